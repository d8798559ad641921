# APNs answers 503 for eight seconds, and messages keep coming: nothing is lost,
# and all that it sees of us meanwhile are probes.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 2000;
my $name = '503 for eight seconds';
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
my ($output, $inserted, $probes_at, @seconds, @probed);

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);
$sim->forget;

# Everybody's message at once, and then a hundred a second

append_to_file($script, qq{
	\\set person random(1, $users)
	INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
	VALUES ('s', 'user' || :person, 'later ' || gen_random_uuid())});
$sim->control('fault status=503');
insert_to_users($node, $users, msg_id => 'at once');
IPC::Run::run(
	[
		'pgbench', '-n', '-h', $node->host, '-p', $node->port,
		'-f', $script, '-c', '2', '-R', '100', '-T', '8', 'postgres'
	],
	'>&', \$output) or die "pgbench: $output";
($inserted) = $output =~ /number of transactions actually processed: (\d+)/;
is($node->safe_psql('postgres', 'SELECT circuit FROM imp_push.certificate_status'),
	'open', "$name: the circuit is open while they come");
cmp_ok($inserted, '>', 200, "$name: messages keep coming");
$sim->control('clear');
settle_soon($node);

foreach my $request (grep { ($_->{status} || 0) == 503 } $sim->requests)
{
	$probes_at = $request->{arrived_us} unless defined $probes_at;
	$seconds[ ($request->{arrived_us} - $probes_at) / 1e6 ]++;
}
$_ ||= 0 foreach @seconds;
diag("$name, $inserted messages in that time: requests in each second: @seconds");

# those that were under way, and then the probes
cmp_ok(shift @seconds, '<', 200, "$name: most are not even tried");
is(scalar(grep { $_ > 3 } @seconds),
	0, "$name: then only probes are sent");
none_lost($sim, $users + $inserted, $name, $node);

done_testing();
