# idle.pl: what it costs to have nothing to do.
#
# A system with people, messages that have been pushed, and a worker.  CPU time
# of worker and launcher, and transactions in the database, which are those of
# the safety poll.

package Bench::Idle;

use strict;
use warnings;
use utf8;

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

start_sink('--no-log');
create_people($users);
fresh_messages('imp_push.offline_message', $users, 'idle-');
push_cost($users, stay => 1);
patiently(size_of(40, 5));
my $worker = worker_pid();
my $launcher = launcher_pid();
my @cpu = (cpu_of($worker), $launcher ? cpu_of($launcher) : 0);
my $before = transactions();
patiently($seconds);
my $transactions = transactions() - $before - 1;
my @used = (cpu_of($worker) - $cpu[0],
	$launcher ? cpu_of($launcher) - $cpu[1] : 0);
stop_worker();

report(
	title => 'idle: what it costs to have nothing to do',
	about => [
		"$seconds s without messages, with $users people and as many messages that",
		'have been pushed; figures a minute.'
	],
	columns => [ 'a minute', 'bar' ],
	rows => [
		[
			'worker, CPU ms', sprintf('%.1f', $used[0] / $seconds * 60_000),
			'none to speak of'
		],
		[
			'launcher, CPU ms', sprintf('%.1f', $used[1] / $seconds * 60_000),
			'none to speak of'
		],
		[
			'transactions in the database',
			sprintf('%.1f', $transactions / $seconds * 60),
			'safety poll alone'
		]
	],
	notes => [
		'The safety poll is due twice a minute, in some transactions; those of',
		'autovacuum are counted, too.'
	]);
figure('idle', 'worker', 'cpu', 'ms/min', $used[0] / $seconds * 60_000);
figure('idle', 'launcher', 'cpu', 'ms/min', $used[1] / $seconds * 60_000);
figure('idle', 'database', 'transactions', '1/min', $transactions / $seconds * 60);
1;
