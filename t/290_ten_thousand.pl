# 10,000 messages for 10,000 people arrive once each, with one commit and with
# 10,000.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $number = 10_000;
my $sim = start_simulator();
# A log with every statement is no help here.
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
my $begun;

sub check_rate
{
	my ($name) = @_;
	my @arrived;

	$sim->wait_for_accepted($number);
	wait_settled($node);
	arrived_once($sim, $number, $name);
	@arrived = map { $_->{arrived_us} } $sim->accepted;
	diag(sprintf '%s: %.0f pushes a second, the last one after %.1f s',
		$name, $number / ($arrived[-1] - $arrived[0]) * 1e6,
		$arrived[-1] / 1e6 - $begun);
	is( $node->safe_psql(
			'postgres',
			'SELECT status, attempts, count(*) FROM imp_push.delivery
			GROUP BY status, attempts'),
		"sent|1|$number",
		"$name: delivery has one row each, sent at the first attempt");
	return;
}

bind_users($node, $number);

$begun = time;
insert_to_users($node, $number, msg_id => 'one commit');
check_rate('one commit');
is($sim->stats->{connections}, 1, 'over one connection');

$node->safe_psql(
	'postgres', q{
	DROP EXTENSION imp_push CASCADE;
	CREATE EXTENSION imp_push;
	CREATE SEQUENCE person});
set_certificate($node, 'chat', $sim);
bind_users($node, $number);
$node->safe_psql('postgres', 'SELECT imp_push.start()');
$sim->forget;

append_to_file($script,
	q{INSERT INTO imp_push.offline_message (sender, recipient, body)
	VALUES ('sender', 'user' || nextval('person'), 'hello');});
$begun = time;
command_ok(
	[
		'pgbench', '-n', '-h', $node->host, '-p', $node->port,
		'-f', $script, '-c', '8', '-t', $number / 8, 'postgres'
	],
	'8 clients insert 10,000 messages');
check_rate('10,000 commits');

done_testing();
