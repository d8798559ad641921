# A synchronous standby that is gone: commits wait as the user has configured,
# and nothing of imp_push's hangs, neither its worker nor a shutdown.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time);

my $users = 100;
my $sim = start_simulator();
my $primary = new_node(
	'primary',
	simulator => $sim,
	allows_streaming => 1,
	conf => 'log_statement = none');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$primary->backup('backup');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# Counts sessions that wait for the standby.
sub wait_for_waiting
{
	my ($number, $name) = @_;

	return ok(
		$primary->poll_query_until(
			'postgres', "SELECT count(*) = $number FROM pg_stat_activity
			WHERE wait_event = 'SyncRep'"),
		$name);
}

sub insert_sql
{
	my ($msg_id) = @_;

	return "INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'user' || i, '$msg_id' FROM generate_series(1, $users) i";
}

bind_users($primary, $users);
$primary->append_conf('postgresql.conf',
	"synchronous_standby_names = 'standby'");
$primary->reload;
insert_to_users($primary, $users, msg_id => 'both');
$sim->wait_for_accepted($users);
wait_settled($primary);
none_lost($sim, $users, 'with the standby', $primary);

# The standby goes.

$standby->stop;
my $session = $primary->background_psql('postgres');
$session->query_until(qr/begins/, "\\echo begins\n" . insert_sql('waits') . ";\n");
wait_for_waiting(1, 'an insert waits for the standby');

$sim->forget;
$primary->safe_psql('postgres',
	'SET synchronous_commit = local; ' . insert_sql('local'));
$sim->wait_for_accepted($users);
$primary->safe_psql('postgres', 'SET synchronous_commit = local');
wait_settled($primary);
none_lost($sim, $users, 'without the standby', $primary);
wait_for_waiting(1, 'only the user waits');

# So does a start(), and the worker has come all the same.

$primary->safe_psql('postgres',
	'SET synchronous_commit = local; SELECT imp_push.stop()');
wait_until(sub { return !worker_process($primary) }, undef, 'it to leave');
$primary->safe_psql('postgres',
	'SET synchronous_commit = local; SELECT imp_push.start()');
$sim->forget;
$primary->safe_psql('postgres',
	'SET synchronous_commit = local; ' . insert_sql('restarted'));
$sim->wait_for_accepted($users);
wait_settled($primary);
none_lost($sim, $users, 'stopped and started without the standby', $primary);

# With requests in flight and an insert that waits: the server stops.

my $begun;

$sim->forget;
$sim->control('fault silent');
$primary->safe_psql('postgres',
	'SET synchronous_commit = local; ' . insert_sql('in flight'));
$sim->wait_for(1);
$begun = time;
$primary->stop('fast');
diag(sprintf 'fast shutdown: %.1f s', time - $begun);
cmp_ok(time - $begun, '<', 15, 'a fast shutdown does not hang');
eval { $session->quit };
$sim->control('clear');

# What had been inserted is there after the restart, and goes out.

$primary->start;
$sim->wait_for_accepted(2 * $users);
wait_settled($primary);
none_lost($sim, 2 * $users, 'after the restart, still without it', $primary);

$standby->start;
$sim->forget;
insert_to_users($primary, $users, msg_id => 'both again');
$sim->wait_for_accepted($users);
wait_settled($primary);
none_lost($sim, $users, 'with the standby again', $primary);

done_testing();
