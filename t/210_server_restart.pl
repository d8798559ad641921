# Messages survive the server: what is pending goes out after the restart.

use strict;
use warnings;

use ImpPush;
use Test::More;
use Time::HiRes qw(time);

my $number = 100;
my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);

bind_users($node, $number);

# Waiting when the server is shut down

$sim->stop;
insert_to_users($node, $number, msg_id => 'waits');
ok( $node->poll_query_until(
		'postgres',
		"SELECT waiting = $number FROM imp_push.certificate_status"),
	"$number pushes wait for APNs");
$node->restart;
$sim->start;
$sim->wait_for_accepted($number);
wait_settled($node);
arrived_once($sim, $number, 'waiting during a restart');

# Inserted when no worker is there: the server stops right after the commit.

$sim->forget;
$sim->stop;
insert_to_users($node, $number, msg_id => 'crash');
$node->stop('immediate');
$sim->start;
$node->start;
$sim->wait_for_accepted($number);
wait_settled($node);
arrived_once($sim, $number, 'an immediate stop after the commit');

# In flight when the server is shut down, and when it crashes

foreach my $mode ('fast', 'immediate')
{
	my %ids;

	$sim->forget;
	$sim->control('fault seconds=60 delay=300');
	insert_to_users($node, $number, msg_id => "flight-$mode");
	$sim->wait_for(1);
	$node->stop($mode);
	$sim->control('clear');
	$node->start;
	wait_settled($node);

	$ids{ $_->{token} }->{ $_->{headers}->{'apns-id'} } = 1
	  foreach $sim->requests;
	is(scalar keys %{ arrivals($sim) },
		$number, "in flight at a stop, mode $mode: none is lost");
	is(scalar(grep { keys %$_ != 1 } values %ids),
		0, 'what comes twice has the same apns-id');
	diag(sprintf '%s: %d of %d requests came twice',
		$mode, scalar($sim->requests) - $number, $number);
}

# Requests that nobody answers do not hold up the shutdown.

{
	my $begun;

	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'answered');
	$sim->wait_for_accepted(1);
	$sim->control('fault silent');
	insert_to_users($node, $number, msg_id => 'silent');
	$sim->wait_for(2);
	$begun = time;
	$node->stop('fast');
	diag(sprintf 'fast shutdown with unanswered requests: %.1f s',
		time - $begun);
	cmp_ok(time - $begun, '<', 15, 'unanswered requests do not hold it up');
	$sim->control('clear');
	$node->start;
	$sim->wait_for_accepted(1 + $number);
	wait_settled($node);
	is(scalar keys %{ arrivals($sim) },
		1 + $number, 'unanswered at a stop: none is lost');
}

# Being stopped outlasts the restart, too.

$sim->forget;
$node->safe_psql('postgres', 'SELECT imp_push.stop()');
insert_message($node, 'user1', 'not yet', msg_id => 'stopped');
$node->restart;

# The worker that has come with the server has looked, and left.
ok( $node->poll_query_until(
		'postgres', q{SELECT state_since > pg_postmaster_start_time()
			AND pid IS NULL FROM imp_push.worker_status}),
	'a worker has found that it is stopped');
is( $node->safe_psql(
		'postgres',
		q{SELECT status FROM imp_push.delivery WHERE msg_id = 'stopped'}),
	'pending',
	'stop() lasts over a restart');
is(scalar $sim->requests, 0, 'and nothing is sent');
$node->safe_psql('postgres', 'SELECT imp_push.start()');
$sim->wait_for_accepted(1);
wait_settled($node);
arrived_once($sim, 1, 'after start()');

done_testing();
