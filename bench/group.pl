# group.pl: messages to large groups most of whose members are online.
#
# One message to 3,000 members of whom 2,900 are online, 20 a second, compared
# with one to the 100 who are offline; record_suppressed on and off.  What
# inserting takes, what planning takes of the worker's CPU, and WAL.

package Bench::Group;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;
use Time::HiRes qw(time sleep);

my $members = 3_000;
my $offline = 100;
my $messages = size_of(200, 20);
my $rate = 20;
my @rows;

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
		note("  $i of $messages messages inserted") if $i % 50 == 0;
		my $rest = $started + $i / $rate - time;
		sleep $rest if $rest > 0;
	}
	my $inserted = time - $started;
	wait_for_pushes($accepted, $messages * $offline);
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

	push @rows,
	  [
		$what,
		map { sprintf '%.*f', @$_ }
		  [ 1, median(@took) ], [ 1, percentile(99, @took) ], [ 1, $cpu ],
		[ 0, $kb ], [ 1, $messages / $inserted ], [ 1, $messages / $drained ]
	  ];
	note("$what: done");
	figure('group', $what, 'insert', 'ms', @took);
	figure('group', $what, 'worker', 'ms', $cpu);
	figure('group', $what, 'wal', 'kB', $kb);
	return;
}

start_sink('--no-log');
create_people($members);
psql("UPDATE imp_push.presence SET status = 'online'
	WHERE user_id IN (SELECT 'u' || i
		FROM generate_series($offline + 1, $members) i)");
measure('to all, recorded', '', 'true');
measure('to all, not recorded', '', 'false');
measure('to those offline', "WHERE i <= $offline", 'true');
psql("UPDATE imp_push.settings SET record_suppressed = true",
	"UPDATE imp_push.presence SET status = 'offline'");
report(
	title => 'group: messages to a large group most of whose members are online',
	about => [
		"$messages messages, $rate a second if they can be had, each a row for $members",
		"members of whom $offline are offline; figures a message."
	],
	columns => [
		'insert ms', 'p99 ms', 'worker CPU ms', 'WAL kB', 'inserted/s',
		'pushed/s'
	],
	rows => \@rows,
	notes => [
		'insert ms: median time of the INSERT; recorded: record_suppressed is on,',
		'so that each member who gets no push has a row in delivery',
		'pushed/s: until the last push, and the last row, of the last message',
		'bar: none, to be reported'
	]);
1;
