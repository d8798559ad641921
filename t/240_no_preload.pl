# Without shared_preload_libraries everything holds until the server restarts.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	preload => 0,
	extension => 0);
my ($stdout, $stderr, $pid);
my $expected = 0;

sub more_arrive
{
	my ($number, $name) = @_;

	$expected += $number;
	$sim->wait_for_accepted($expected);
	wait_settled($node);
	arrived_once($sim, $expected, $name);
	return;
}

$node->psql('postgres', 'CREATE EXTENSION imp_push', stderr => \$stderr);
like($stderr, qr/NOTICE:.*preload/s,
	'CREATE EXTENSION says that the library is not preloaded');
like($stderr, qr/start\(\)/, 'and that nothing is pushed before start()');
is( $node->safe_psql(
		'postgres', 'SELECT worker, pid, state FROM imp_push.worker_status'),
	'0||stopped',
	'worker_status says that it is stopped');
set_certificate($node, 'chat', $sim);
bind_users($node, 100);

insert_message($node, 'user1', 'before start()');
is($node->safe_psql('postgres', 'SELECT status FROM imp_push.delivery'),
	'pending', 'nothing is pushed before start()');
is(scalar $sim->requests, 0, 'indeed nothing');

$node->psql('postgres', 'SELECT imp_push.start()', stderr => \$stderr);
like($stderr, qr/WARNING:.*restart/s,
	'start() warns that the worker lasts until the next restart');
more_arrive(1, 'a message that was there before start()');
is($node->safe_psql('postgres', 'SELECT preloaded FROM imp_push.worker_status'),
	'f', 'worker_status says that the library is not preloaded');

insert_to_users($node, 100, msg_id => 'group');
more_arrive(100, 'a hundred messages');
$node->safe_psql(
	'postgres', join "\n",
	'COPY imp_push.offline_message (sender, recipient, msg_id) FROM stdin;',
	(map { "sender\tuser$_\tcopied" } 1 .. 10), '\\.', '');
more_arrive(10, 'COPY');

# A second start() starts no second worker.

$pid = wait_for_worker($node);
$node->psql('postgres', 'SELECT imp_push.start()');
insert_message($node, 'user1', 'after a second start()');
more_arrive(1, 'a second start()');
is(worker_pid($node), $pid, 'one worker');

# A worker that is terminated comes back by itself.

$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
insert_message($node, 'user1', 'while there is no worker');
more_arrive(1, 'a worker that was terminated');

# stop() and start()

$node->safe_psql('postgres', 'SELECT imp_push.stop()');
wait_until(sub { return worker_pid($node) eq '' }, undef, 'the worker to leave');
insert_message($node, 'user1', 'while stopped');
$node->psql('postgres', 'SELECT imp_push.start()');
more_arrive(1, 'stop() and start()');

# A restart of the server ends it; start() goes on.

$node->restart;
insert_message($node, 'user1', 'after the restart');
is(worker_pid($node), '', 'after a restart there is no worker');
$node->psql('postgres', 'SELECT imp_push.start()');
more_arrive(1, 'start() after a restart');

# DROP EXTENSION with the worker running, and everything again

$node->safe_psql('postgres', 'SELECT imp_push.stop()');
$node->safe_psql('postgres', 'DROP EXTENSION imp_push CASCADE');
$node->safe_psql('postgres', 'CREATE EXTENSION imp_push');
set_certificate($node, 'chat', $sim);
bind_users($node, 1);
$node->psql('postgres', 'SELECT imp_push.start()');
insert_message($node, 'user1', 'in the new extension');
more_arrive(1, 'DROP EXTENSION, CREATE EXTENSION');

done_testing();
