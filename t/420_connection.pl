# What can happen to a connection, and to the host at its other end: nothing
# is lost, and what has certainly not been sent is not charged.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $users = 1000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.request_timeout = '2s'
		imp_push.connect_timeout = '2s'
		log_statement = none");

# A message for everybody, under a fault that is cleared before the end.
sub push_to_all
{
	my ($name, $number) = @_;

	$number ||= $users;
	$sim->forget;
	insert_to_users($node, $number, msg_id => $name);
	wait_settled($node);
	$sim->control('clear');
	return none_lost($sim, $number, $name);
}

sub attempts
{
	my ($name) = @_;

	return $node->safe_psql('postgres',
		"SELECT string_agg(DISTINCT status || attempts, ' ')
		 FROM imp_push.delivery WHERE msg_id = '$name'");
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

$sim->control('goaway-every 200');
push_to_all('GOAWAY every 200 requests');
is(attempts('GOAWAY every 200 requests'), 'sent1', 'and none is charged');
diag(sprintf '%d connections', $sim->stats->{connections});
$sim->control('goaway-every 0');

$sim->control('fault every=10 refuse');
push_to_all('REFUSED_STREAM on one in ten');
is(attempts('REFUSED_STREAM on one in ten'), 'sent1', 'and none is charged');

$sim->control('fault every=50 reset');
push_to_all('reset after the body on one in fifty');

# Answered late at worst, so a few seconds longer than a retry's back-off.

$sim->control('fault every=100 silent');
push_to_all('no answer to one in a hundred', 300);

foreach my $streams (1, 1000, 3)
{
	$sim->control("max-streams $streams");
	push_to_all("stream limit $streams", 300);
	is(attempts("stream limit $streams"), 'sent1', 'and none is charged');
}
$sim->control('max-streams 1000');

# An outage of the server

{
	my ($begun, @seconds);
	my $name = '503 for 4 s';

	$sim->control('fault seconds=4 status=503');
	$begun = time;
	push_to_all($name);
	$seconds[ int($_->{arrived_us} / 1e6 - $begun) ]++
	  foreach grep { ($_->{status} || 0) == 503 } $sim->requests;
	$_ ||= 0 foreach @seconds;
	diag("$name: requests in each second of the outage: @seconds");
	shift @seconds;
	is(scalar(grep { $_ > 3 } @seconds),
		0, 'during the outage only probes are sent');
}

# Gone, and back

{
	my ($back, $status);
	my $number = 50;

	$sim->stop;
	$sim->forget;
	insert_to_users($node, $number, msg_id => 'gone');
	ok( $node->poll_query_until(
			'postgres', "SELECT circuit_reason = 'cannot_connect'
			AND waiting = $number FROM imp_push.certificate_status"),
		'a server that is gone: certificate_status says why');
	$sim->start;
	$back = time;
	$sim->wait_for_accepted($number, 20);
	diag(sprintf 'a server that is back: all there after %.1f s',
		time - $back);
	cmp_ok(time - $back, '<', 10, 'it is found by itself');
	wait_settled($node);
	none_lost($sim, $number, 'gone and back');
	is(attempts('gone'), 'sent1', 'and none is charged');
}

# A connection that has died without a word while it was idle

{
	my ($begun, $took);

	# Less than that is no idleness, and a late answer is waited for.
	$node->poll_query_until('postgres',
		q{SELECT max(finished_at) < clock_timestamp() - interval '1.5 seconds'
		  FROM imp_push.delivery})
	  or die 'it is never idle';
	$sim->forget;
	$sim->control('freeze');
	$begun = time;
	insert_message($node, 'user1', 'hello', msg_id => 'silent death');
	$sim->wait_for_accepted(1);
	$took = $sim->accepted && ($sim->accepted)[0]->{arrived_us} / 1e6 - $begun;
	diag(sprintf 'a connection that died while idle: %.1f s', $took);
	wait_settled($node);
	none_lost($sim, 1, 'a connection that died while idle');

	# the time that psql takes to insert is part of it
	cmp_ok($took, '<', 5, 'and the message is out soon');
}

# A server that takes many RST_STREAMs for an attack ends the connection with a
# GOAWAY, and what is on it comes again.  (libcurl 7.88.1 sends one after each
# answer.)

$sim->stop;
$sim->start('--max-resets', 100);
push_to_all('a limit of resets');
is(attempts('a limit of resets'), 'sent1', 'and none is charged');
diag(sprintf '%d connections', $sim->stats->{connections});
$sim->stop;
$sim->start;

# What is no APNs at all

{
	my $reserve = $sim->endpoint;

	$sim->control('fault redirect');
	$sim->forget;
	insert_to_users($node, 20, msg_id => 'redirect');
	circuit_opens($node, 20, 'redirects: the circuit opens');
	is($node->safe_psql('postgres',
			'SELECT circuit_reason FROM imp_push.certificate_status'),
		'http_301', 'certificate_status says why');
	$sim->control('clear');
	$sim->wait_for_accepted(20);
	wait_settled($node);
	none_lost($sim, 20, 'redirects');
	is(attempts('redirect'), 'sent1', 'and none is charged');
}

# Answers that cannot be read are judged by their status.

{
	my $pid = wait_for_worker($node);
	my $before = resident_kb($pid);

	$sim->forget;
	$sim->control('fault garbage');
	insert_to_users($node, 20, msg_id => 'garbage');
	wait_settled($node);
	$sim->control('clear');
	is( $node->safe_psql(
			'postgres', q{SELECT DISTINCT status, reason, apns_status
			FROM imp_push.delivery WHERE msg_id = 'garbage'}),
		'failed|http_400|400',
		'an answer that is not JSON is judged by its status');

	$sim->control('fault huge bytes=100000000');
	insert_to_users($node, 3, msg_id => 'huge');
	wait_settled($node);
	$sim->control('clear');
	is( $node->safe_psql(
			'postgres', q{SELECT DISTINCT status FROM imp_push.delivery
			WHERE msg_id = 'huge'}),
		'sent',
		'an answer of 100 MB with status 200 is one');
	is(wait_for_worker($node), $pid, 'the worker has lived through it');
	diag(sprintf 'resident memory: %d kB, then %d kB',
		$before, resident_kb($pid));
	cmp_ok(resident_kb($pid), '<', $before + 20_000, 'its memory is flat');
}

done_testing();
