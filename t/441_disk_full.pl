# The disk is full when outcomes are to be written down: what has been sent is
# kept in mind and not sent again, nobody who stores messages waits, and when
# there is room again everything goes on by itself.

use strict;
use warnings;

use ImpPush::SmallDisk;
use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 3000;
my $in_flight = 500;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.max_in_flight = $in_flight
		log_statement = none");
my $space = small_disk() . '/space';

sub time_now
{
	return $node->safe_psql('postgres', 'SELECT now()');
}

sub wait_for_full_disk
{
	my ($since) = @_;

	return ok(
		$node->poll_query_until(
			'postgres',
			qq{SELECT last_error LIKE '%SQLSTATE 53100%'
				AND last_error_at > '$since'
			FROM imp_push.worker_status}),
		'worker_status says that the disk is full');
}

mkdir $space or die "$space: $!\n";
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$space'");
$node->safe_psql('postgres',
	"ALTER TABLE imp_push.delivery_log_$_ SET TABLESPACE small")
  foreach 0 .. 3;
bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

# While it is full

my $since = time_now();

fill_disk(64);
$sim->forget;
insert_to_users($node, $users, msg_id => 'full');
wait_for_full_disk($since);

my $pid = wait_for_worker($node);
my $sent = accepted_count($sim);

cmp_ok($sent, '<', $users, 'no more is sent than can be kept in mind');
$node->safe_psql(
	'postgres', q{
	SET statement_timeout = '5s';
	INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
	VALUES ('s', 'user1', 'meanwhile')});
pass('who stores messages does not wait');
free_disk();
wait_settled($node);
is(none_lost($sim, $users + 1, 'a full disk', $node)->{repeated},
	0, 'what had been sent is not sent again');
is(wait_for_worker($node), $pid, 'the worker has lived through it');

# The server is restarted while it is full.

fill_disk(64);
$sim->forget;
insert_to_users($node, $users, msg_id => 'restart');
$sim->wait_for_accepted($in_flight);
$since = time_now();
$node->restart;
wait_for_full_disk($since);
free_disk();
wait_settled($node);
cmp_ok(
	none_lost($sim, $users, 'a restart with a full disk', $node)->{repeated},
	'<=', 2 * $in_flight, 'no more comes twice than was in flight');
is( $node->safe_psql(
		'postgres',
		'SELECT status, count(*) FROM imp_push.delivery GROUP BY status'),
	'sent|' . (2 * $users + 2),
	'none has failed');

done_testing();
