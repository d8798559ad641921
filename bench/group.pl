# group.pl: messages to large groups most of whose members are online.
#
# One message to 3,000 members of whom 2,900 are online, 20 a second, compared
# with one to the 100 who are offline; record_suppressed on and off.  What
# inserting takes, what planning takes of the worker's CPU, and WAL.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;
use Time::HiRes qw(time sleep);

my $members = 3_000;
my $offline = 100;
my $messages = size_of(200, 20);
my $rate = 20;

sub insert_statement
{
	my ($where, $name) = @_;

	return "INSERT INTO imp_push.offline_message
			(msg_id, sender, recipient, chat_type, conversation_id, body)
		SELECT '$name', 'sender', 'u' || i, 'groupchat', 'group',
			'A message as people write it'
		FROM generate_series(1, $members) i $where";
}

sub measure
{
	my ($what, $where, $record) = @_;
	my @took;

	fresh_messages('imp_push.offline_message', 1, 'group');
	psql("UPDATE imp_push.settings SET record_suppressed = $record");
	start_worker();
	wait_until('the worker', sub { worker_pid() });
	sleep 2;
	my $worker = worker_pid();
	my $cpu = cpu_of($worker);
	my @wal = wal_stats();
	my $accepted = sink_stats()->{accepted};
	my $started = time;

	for my $i (1 .. $messages)
	{
		my $from = time;
		ask(insert_statement($where, "group-$i"));
		push @took, (time - $from) * 1000;
		my $rest = $started + $i / $rate - time;
		sleep $rest if $rest > 0;
	}
	my $inserted = time - $started;
	wait_until(
		'the pushes',
		sub { sink_stats()->{accepted} - $accepted >= $messages * $offline },
		seconds => 600);
	wait_until(
		'the worker',
		sub {
			query_value("SELECT NOT EXISTS (SELECT FROM imp_push.delivery
				WHERE status = 'pending')") eq 't';
		},
		every => 0.2,
		seconds => 600) if $record eq 'true';
	my $drained = time - $started;
	sleep 2;
	$cpu = (cpu_of($worker) - $cpu) / $messages * 1000;
	my @now = wal_stats();
	my $kb = ($now[2] - $wal[2]) / $messages / 1024;
	stop_worker();

	table_row($what, map { sprintf '%.*f', @$_ }
		  [ 1, median(@took) ], [ 1, $cpu ], [ 0, $kb ],
		[ 1, $messages / $inserted ], [ 1, $messages / $drained ]);
	figure('group', $what, 'insert', 'ms', @took);
	figure('group', $what, 'worker', 'ms', $cpu);
	figure('group', $what, 'wal', 'kB', $kb);
	return;
}

heading("group: $messages messages to $members, $offline of them offline");
start_sink('--no-log');
create_people($members);
psql("UPDATE imp_push.presence SET status = 'online'
	WHERE user_id IN (SELECT 'u' || i
		FROM generate_series($offline + 1, $members) i)");
table_row('a message', 'insert ms', 'worker ms', 'WAL kB', 'inserted/s', 'pushed/s');
measure('to all, recorded', '', 'true');
measure('to all, not recorded', '', 'false');
measure('to those offline', "WHERE i <= $offline", 'true');
psql("UPDATE imp_push.settings SET record_suppressed = true",
	"UPDATE imp_push.presence SET status = 'offline'");
1;
