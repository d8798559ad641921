# A promoted standby goes on where the primary stopped.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Cluster;
use Test::More;

my $number = 100;
my $sim = start_simulator();
my $primary =
  new_node('primary', simulator => $sim, allows_streaming => 1);
my $standby = PostgreSQL::Test::Cluster->new('standby');

$primary->backup('backup');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

bind_users($primary, $number);
insert_to_users($primary, $number, msg_id => 'before');
$sim->wait_for_accepted($number);
wait_settled($primary);

# A standby is silent, and shows what the primary does.

$sim->stop;
insert_to_users($primary, $number, msg_id => 'pending');
ok( $primary->poll_query_until(
		'postgres',
		"SELECT waiting = $number FROM imp_push.certificate_status"),
	"$number pushes wait for APNs");
$primary->wait_for_catchup('standby');
is( $standby->safe_psql(
		'postgres', q{SELECT status, count(*) FROM imp_push.delivery
		GROUP BY status ORDER BY status}) =~ s/retrying|pending/waiting/r,
	"waiting|$number\nsent|$number",
	'the standby shows the deliveries');
is($standby->safe_psql('postgres', 'SELECT state FROM imp_push.worker_status'),
	'standby', 'its worker_status says that it is one');
is( $standby->safe_psql(
		'postgres', q{SELECT status FROM imp_push.simulate(
			recipient => 'user1', sender => 'sender', body => 'hello')}),
	'push',
	'simulate() works on it');
is( $standby->safe_psql(
		'postgres', q{SELECT count(*) > 0
		FROM imp_push.explain('user1', 'pending')}),
	't',
	'explain() works on it');

# Promotion: first the primary is gone, then APNs is back.

$primary->stop('immediate');
$standby->promote;
$sim->start;
$sim->wait_for_accepted(2 * $number);
wait_settled($standby);
arrived_once($sim, 2 * $number, 'promotion with messages pending');

insert_to_users($standby, $number, msg_id => 'after');
$sim->wait_for_accepted(3 * $number);
wait_settled($standby);
arrived_once($sim, 3 * $number, 'the new primary takes new messages');

done_testing();
