# A clone of production with imp_push.enabled = off pushes to nobody.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Cluster;
use Test::More;

my $number = 20;
my $sim = start_simulator();
my $node = new_node('production', simulator => $sim, allows_streaming => 1);
my $clone = PostgreSQL::Test::Cluster->new('clone');

bind_users($node, $number);
insert_to_users($node, $number, msg_id => 'sent');
wait_settled($node);
$sim->stop;
insert_to_users($node, $number, msg_id => 'waiting');
ok( $node->poll_query_until(
		'postgres',
		"SELECT waiting = $number FROM imp_push.certificate_status"),
	'production has pushes waiting');

$node->backup('backup');
$clone->init_from_backup($node, 'backup');
$clone->append_conf('postgresql.conf', 'imp_push.enabled = off');
$clone->start;
ok( $clone->poll_query_until(
		'postgres', "SELECT state = 'disabled' FROM imp_push.worker_status"),
	"the clone's worker_status says that it is disabled");

$sim->forget;
$sim->start;
wait_settled($node);
arrived_once($sim, $number, 'production goes on');

insert_to_users($clone, $number, msg_id => 'on the clone');
$clone->safe_psql(
	'postgres', q{INSERT INTO imp_push.offline_message
		(recipient, sender, msg_id, expires_at) VALUES
		('user1', 'sender', 'past', now() - interval '1 day')});

wait_for_look();
is( $clone->safe_psql(
		'postgres', q{SELECT count(*) FROM imp_push.delivery
		WHERE msg_id IN ('on the clone', 'past') AND status = 'pending'}),
	$number + 1,
	'nothing is planned and nothing expires on the clone');
is(scalar $sim->requests, $number, 'nothing is sent by the clone');

# The switch works both ways, by a reload.

$sim->forget;
$clone->append_conf('postgresql.conf', 'imp_push.enabled = on');
$clone->reload;
wait_settled($clone);
is(scalar $sim->accepted, 2 * $number,
	'switched on, the clone pushes what it has pending');
is( $clone->safe_psql(
		'postgres',
		"SELECT status FROM imp_push.delivery WHERE msg_id = 'past'"),
	'expired',
	'and what is too old expires');

$sim->forget;
$clone->append_conf('postgresql.conf', 'imp_push.enabled = off');
$clone->reload;
ok( $clone->poll_query_until(
		'postgres', "SELECT state = 'disabled' FROM imp_push.worker_status"),
	'switched off again');
$sim->forget;
insert_message($clone, 'user1', 'no', msg_id => 'off');
wait_for_look();
is( $clone->safe_psql(
		'postgres',
		"SELECT status FROM imp_push.delivery WHERE msg_id = 'off'"),
	'pending',
	'it is an emergency switch');
is(scalar $sim->requests, 0, 'and nothing is sent');

done_testing();

# Waits until the clone's worker has looked for work, now that there is some.
# One that is disabled does not say so each time, but when it begins.
sub wait_for_look
{
	my ($pid, $now) = split /\|/, $clone->safe_psql('postgres',
		'SELECT pid, clock_timestamp() FROM imp_push.worker_status');

	$clone->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
	ok( $clone->poll_query_until(
			'postgres', "SELECT state = 'disabled' AND pid <> $pid
				AND last_pass_at > '$now' FROM imp_push.worker_status"),
		'a worker has looked');
	return;
}
