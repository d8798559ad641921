# A host that answers, but slowly, delays nobody but those who are pushed to
# through it: what it cannot take soon waits in the table, and not in the way.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = 3000;
my $sim = start_simulator();
my $slow = start_simulator('slow', args => [ '--max-streams', '10' ]);
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my ($in, $out) = ('', '');
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout(300));

# Both simulators are trusted.
append_to_file($sim->ca_file, slurp_file($slow->ca_file));
set_certificate($node, 'slow', $slow);
bind_users($node, 1);
$node->safe_psql(
	'postgres', qq{
	INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	SELECT 'slow ' || i, 'phone', 'slow',
		   encode(sha256(convert_to('slow ' || i, 'UTF8')), 'hex')
	FROM generate_series(1, $many) AS i});

sub insert
{
	my ($statement) = @_;

	$out = '';
	$in .= "$statement;\nSELECT 'inserted';\n";
	$session->pump until $out =~ /inserted/;
	return;
}

sub push_to_slow
{
	my ($msg_id) = @_;

	insert(qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'slow ' || i, '$msg_id' FROM generate_series(1, $many) i});
	return;
}

# Messages of another certificate, one by one, each of which has to arrive
# before the next is written; the seconds that each took
sub beside
{
	my ($name, $number) = @_;
	my @took;

	$sim->forget;
	foreach my $i (1 .. $number)
	{
		insert("INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
			VALUES ('s', 'user1', '$name $i')");
		$sim->wait_for_accepted($i, 60);
	}
	@took = map { $_ / 1000 } latencies($node, $sim);
	$node->safe_psql('postgres',
		q{DELETE FROM imp_push.offline_message WHERE recipient = 'user1'});
	diag(
		sprintf '%s: another certificate\'s messages took %.3f s, at most %.1f s;'
		  . ' %d of %d are sent to the slow host',
		$name, median(@took), $took[-1], accepted_count($slow), $many);
	return @took;
}

sub is_not_held_up
{
	my ($name) = @_;
	my @took = beside($name, 20);

	# What the slow host would need for all of them is a minute.
	cmp_ok($took[-1], '<', 15, "$name: nobody else waits for it");
	cmp_ok(median(@took), '<', 2, "$name: as soon as it is known to be slow");
	cmp_ok(accepted_count($slow), '<', $many / 2,
		"$name: while most of it is still to come");
	return;
}

# How often a row that was there has been written again; statistics are late.
sub rewritten
{
	return $node->safe_psql(
		'postgres', q{SELECT n_tup_upd FROM pg_stat_user_tables
		WHERE relid = 'imp_push.waiting'::regclass});
}

sub ends_well
{
	my ($msg_id) = @_;

	$slow->control('clear');
	$slow->control('max-streams 1000');
	wait_settled($node);
	diag('rows written again so far: ' . rewritten());
	none_lost($slow, $many, $msg_id);
	is(figures($slow)->{resent}, 0, "$msg_id: none is sent twice");
	is( $node->safe_psql(
			'postgres', qq{
			SELECT DISTINCT status, attempts FROM imp_push.delivery
			WHERE msg_id = '$msg_id'}),
		'sent|1', "$msg_id: none is charged for waiting");
	$slow->control('max-streams 10');
	$slow->forget;
	return;
}

insert_message($node, $_, 'hello', msg_id => 'warm') foreach 'user1', 'slow 1';
wait_settled($node);
$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
$slow->forget;

# 50 a second
$slow->control('fault delay=200');
push_to_slow('a stream');
is_not_held_up('a stream');
ends_well('a stream');

# What has waited for the host while it was away comes all at once.
$slow->control('close');
$slow->control('listen off');
push_to_slow('a backlog');
ok( $node->poll_query_until(
		'postgres', qq{
		SELECT (circuit, waiting) = ('open', $many)
		FROM imp_push.certificate_status WHERE certificate = 'slow'}),
	'a backlog waits');
$slow->control('fault delay=200');
$slow->control('listen on');
$slow->wait_for(20);
is_not_held_up('a backlog');
ends_well('a backlog');

$in .= "\\q\n";
$session->finish;

done_testing();
