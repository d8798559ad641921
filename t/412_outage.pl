# Two hours without APNs, and messages all the while: every one of them arrives
# when it is back, none is given up.  Time is moved on in the tables, a quarter
# of an hour after the other, in each of which APNs is gone in another way.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $users = 50;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.connect_timeout = '500ms'
		imp_push.request_timeout = '1s'
		log_statement = none");

my @outages = (
	[ 'nobody listens' => 'listen off' ],
	[ 'connections are not answered' => 'hang on' ],
	[ '503' => 'fault status=503' ],
	[ 'requests are not answered' => 'fault silent' ],
	[ 'connections are closed' => 'fault close' ],
	[ '500' => 'fault status=500' ],
	[ 'streams are reset' => 'fault reset' ],
	[ 'HTTP/1.1' => 'h1 on' ]);

sub stop_worker
{
	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	wait_until(sub { return !worker_process($node) }, undef, 'it to leave');
	return;
}

sub start_worker
{
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	return;
}

# As if all that is stored had been stored so much earlier.
sub pass_time
{
	my ($time) = @_;

	$node->safe_psql(
		'postgres', qq{
		UPDATE imp_push.offline_message
		SET created_at = created_at - interval '$time';
		UPDATE imp_push.waiting
		SET due = due - interval '$time',
			expires_at = expires_at - interval '$time',
			since = since - interval '$time',
			decided_at = decided_at - interval '$time';
		UPDATE imp_push.certificate_state
		SET circuit_since = circuit_since - interval '$time',
			next_probe_at = next_probe_at - interval '$time',
			last_success_at = last_success_at - interval '$time';
		UPDATE imp_push.provider_token
		SET issued_at = issued_at - interval '$time'});
	return;
}

my $sent = 0;
my $mended;

sub mend
{
	$mended = time;
	$sim->control('reset');
	return;
}

sub recovers
{
	my ($name) = @_;

	wait_settled($node);
	found_again($mended, $name,
		grep { $_->{arrived_us} / 1e6 > $mended } $sim->accepted);
	none_lost($sim, $sent, $name, $node);
	is( $node->safe_psql(
			'postgres',
			'SELECT status, count(*) FROM imp_push.delivery GROUP BY status'),
		"sent|$sent",
		"$name: none has failed, none has expired");
	return;
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'before');
wait_settled($node);
$sent++;

foreach my $outage (@outages)
{
	my ($name, $command) = @$outage;

	# Between two outages APNs is well, and nobody may notice that.
	stop_worker();
	pass_time('15 minutes');
	$sim->control('reset');
	$sim->control('close');
	$sim->control($command);
	start_worker();
	insert_to_users($node, $users, msg_id => $name);
	$sent += $users;
	ok( $node->poll_query_until(
			'postgres', "SELECT waiting = $sent - 1 AND circuit = 'open'
			FROM imp_push.certificate_status"),
		"$name: the circuit is open, and all messages wait");
}
stop_worker();
pass_time('15 minutes');
is( $node->safe_psql(
		'postgres',
		q{SELECT count(*), max(now() - created_at) >= interval '2 hours'
		FROM imp_push.offline_message}),
	"$sent|t",
	'two hours have passed');
is(scalar $sim->accepted, 1, 'nothing has arrived');
mend();
start_worker();
recovers('two hours of outage');

# The same, and the worker lives through it.

my $pid = worker_process($node);
my $waiting = 0;

$sim->control('listen off');
$sim->control('close');
foreach my $half ('the first hour', 'the second hour')
{
	insert_to_users($node, $users, msg_id => $half);
	$sent += $users;
	$waiting += $users;
	circuit_opens($node, $waiting,
		"$half: the circuit is open, and all messages wait");
	pass_time('1 hour');
}
mend();
recovers('two hours, and the same worker');
is(worker_process($node), $pid, 'it is the same indeed');

done_testing();
