# idle.pl: what it costs to have nothing to do.
#
# A system with people, messages that have been pushed, and a worker.  CPU time
# of worker and launcher, and transactions in the database, which are those of
# the safety poll.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;

my $users = size_of(10_000, 1_000);
my $seconds = size_of(600, 30);

sub launcher_pid
{
	return query_value(
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'imp_push launcher'");
}

sub transactions
{
	return query_value(
		"SELECT xact_commit + xact_rollback FROM pg_stat_database
		 WHERE datname = 'bench'");
}

heading("idle: $seconds seconds without messages");
start_sink('--no-log');
create_people($users);
fresh_messages('imp_push.offline_message', $users, 'idle-');
push_cost($users, stay => 1);
sleep size_of(40, 5);
my $worker = worker_pid();
my $launcher = launcher_pid();
my @cpu = (cpu_of($worker), $launcher ? cpu_of($launcher) : 0);
my $before = transactions();
sleep $seconds;
my $transactions = transactions() - $before - 1;
my @used = (cpu_of($worker) - $cpu[0],
	$launcher ? cpu_of($launcher) - $cpu[1] : 0);
my $polls = $seconds / 30;
stop_worker();

table_row('worker, CPU ms a minute', sprintf '%.1f', $used[0] / $seconds * 60_000);
table_row('launcher, CPU ms a minute', sprintf '%.1f', $used[1] / $seconds * 60_000);
table_row('transactions a minute', sprintf '%.1f', $transactions / $seconds * 60);
print "(the safety poll is due twice a minute; autovacuum counts, too)\n";
figure('idle', 'worker', 'cpu', 'ms/min', $used[0] / $seconds * 60_000);
figure('idle', 'launcher', 'cpu', 'ms/min', $used[1] / $seconds * 60_000);
figure('idle', 'database', 'transactions', '1/min', $transactions / $seconds * 60);
1;
