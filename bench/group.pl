# group.pl: messages to large groups most of whose members are online.
#
# One message to 3,000 members of whom 2,900 are online, 20 a second, compared
# with one to the 100 who are offline; both with record_suppressed on and off.
# What inserting takes, what planning takes, and WAL.  Rounds are interleaved.
#
# What planning takes is measured on its own: in a session that plans messages
# as the worker does, page by page, and then rolls everything back.

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
my $messages = size_of(100, 20);
my $rate = 20;
my $rounds = $ENV{BENCH_ROUNDS} || size_of(3, 2, 1);

# what, whom the INSERT chooses, record_suppressed
my @cases = (
	[ 'to all, recorded', '', 'true' ],
	[ 'to all, not recorded', '', 'false' ],
	[ 'to those offline, recorded', "WHERE i <= $offline", 'true' ],
	[ 'to those offline, not recorded', "WHERE i <= $offline", 'false' ]);

# figure, unit, decimals in the table, its column
my @figures = (
	[ 'insert', 'ms', 1, 'insert ms' ],
	[ 'insert p99', 'ms', 1, 'p99' ],
	[ 'planning', 'ms', 1, 'planning CPU ms' ],
	[ 'worker', 'ms', 1, 'worker CPU ms' ],
	[ 'wal', 'kB', 0, 'WAL kB' ],
	[ 'inserted', '1/s', 1, 'inserted/s' ],
	[ 'pushed', '1/s', 1, 'pushed/s' ]);
my %values;

sub insert_statement
{
	my ($where, $name) = @_;

	return "INSERT INTO imp_push.offline_message
			(msg_id, sender, recipient, chat_type, conversation_id, body)
		SELECT '$name', 'sender', 'u' || i, 'groupchat', 'group',
			'A message as people write it'
		FROM generate_series(1, $members) i $where";
}

# As src/session.c pins them for the worker, as far as plans depend on them.
my @pinned = (
	'jit = off', 'plan_cache_mode = force_generic_plan',
	'max_parallel_workers_per_gather = 0',
	map { "enable_$_ = off" } qw(seqscan bitmapscan hashjoin mergejoin));

# CPU milliseconds of planning a message, once the session is warm.
sub planning
{
	my ($where) = @_;
	my ($warm, $measured) = (2, 10);
	my $rows = $where eq '' ? $members : $offline;
	my $pid = query_value('SELECT pg_backend_pid()');
	my $cpu;

	ask(join '; ', 'BEGIN', map { "SET LOCAL $_" } @pinned);
	for my $i (1 .. $warm + $measured)
	{
		ask(insert_statement($where, "planned-$i"));
	}
	for my $i (1 .. $warm + $measured)
	{
		$cpu = cpu_of($pid) if $i == $warm + 1;
		ask("SELECT count(*)
			FROM generate_series(0, $rows - 1, 256) page
				CROSS JOIN imp_push.plan_messages(ARRAY(
					SELECT m.id FROM imp_push.offline_message m
					WHERE m.msg_id = 'planned-$i'
					ORDER BY m.id OFFSET page LIMIT 256), now())");
	}
	$cpu = cpu_of($pid) - $cpu;
	ask('ROLLBACK');
	return $cpu / $measured * 1000;
}

# Inserts at the rate, or as fast as can be: milliseconds of each INSERT.
sub insert_all
{
	my ($where, $started) = @_;
	my @took;

	for my $i (1 .. $messages)
	{
		my $from = time;
		ask(insert_statement($where, "group-$i"));
		push @took, (time - $from) * 1000;
		note("  $i of $messages messages inserted") if $i % 50 == 0;
		my $rest = $started + $i / $rate - time;
		sleep $rest if $rest > 0;
	}
	return @took;
}

# Until each row has its outcome or has been passed over, as the cursor says,
# which is stored once a second.
sub wait_for_all
{
	my ($accepted) = @_;

	wait_for_pushes($accepted, $messages * $offline);
	wait_until(
		'the worker',
		sub {
			query_value("SELECT pg_visible_in_snapshot(m.queued_xid,
					imp_push.seen_by_worker())
				FROM imp_push.offline_message m
				ORDER BY m.queued_xid DESC, m.id DESC LIMIT 1") eq 't';
		},
		seconds => 600);
	return;
}

sub measure
{
	my ($what, $where, $record) = @_;

	psql("UPDATE imp_push.settings SET record_suppressed = $record");
	fresh_messages('imp_push.offline_message', $offline, 'warm-',
		people => $offline);
	my $planning = planning($where);
	push_cost($offline, stay => 1);
	my $worker = worker_pid();
	my $cpu = cpu_of($worker);
	my @wal = wal_stats();
	my $accepted = sink_stats()->{accepted};
	my $started = time;
	my @took = insert_all($where, $started);
	my $inserted = time - $started;
	wait_for_all($accepted);
	my $pushed = time - $started;
	$cpu = cpu_of($worker) - $cpu;
	stop_worker();
	my @now = wal_stats();

	my @each = (
		median(@took), percentile(99, @took),
		$planning,
		$cpu / $messages * 1000,
		($now[2] - $wal[2]) / $messages / 1024,
		$messages / $inserted,
		$messages / $pushed);
	push @{ $values{$what}{ $figures[$_][0] } }, $each[$_] for 0 .. $#figures;
	note(sprintf '%-30s planning %.1f ms, CPU %.1f ms a message',
		$what, @each[ 2, 3 ]);
	return;
}

start_sink('--no-log');
create_people($members);
psql("UPDATE imp_push.presence SET status = 'online'
	WHERE user_id IN (SELECT 'u' || i
		FROM generate_series($offline + 1, $members) i)");
for my $round (1 .. $rounds)
{
	measure(@$_) for @cases;
}
psql('UPDATE imp_push.settings SET record_suppressed = true',
	"UPDATE imp_push.presence SET status = 'offline'");

my @rows;
for my $what (map { $_->[0] } @cases)
{
	my @row = ($what);

	for my $form (@figures)
	{
		my ($figure, $unit, $decimals) = @$form;
		my @values = @{ $values{$what}{$figure} };

		push @row, sprintf '%.*f', $decimals, median(@values);
		figure('group', $what, $figure, $unit, @values);
	}
	push @rows, \@row;
}
report(
	title => 'group: messages to a large group most of whose members are online',
	about => [
		"$messages messages, $rate a second if they can be had, each a row for $members",
		"members of whom $offline are offline, or for these alone; figures a message.",
		'Medians of ' . rounds($rounds) . '.'
	],
	columns => [ map { $_->[3] } @figures ],
	rows => \@rows,
	notes => [
		'insert ms: median time of the INSERT; recorded: record_suppressed is on,',
		'so that each member who gets no push has a row in delivery',
		"planning: a part of the worker's CPU time, measured in a session that does only",
		'this; the rest is for reading, sending and settling',
		'pushed/s: until the last push, and the last row, of the last message',
		'bar: none, to be reported'
	]);
1;
