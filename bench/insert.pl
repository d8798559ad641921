# insert.pl: what an inserting session pays.
#
# pgbench, one-row commits, fsync on, into three tables: without anything of
# ours, with a trigger that calls pg_notify while somebody listens, and imp_push's
# with the worker delivering.  And INSERT … SELECT of 10,000 rows.  Interleaved.
#
# The clock runs when all clients are connected and inserting; rows are counted
# by the table's sequence.  The worker and the sink share the machine with the
# sessions, so imp_push is also measured with the worker stopped: the difference
# is what the pushes themselves cost, and not what is added to an INSERT.
#
# A worker that left the machine to the sessions would let them insert faster
# and its pushes wait: how far it is behind is measured, too.

package Bench::Insert;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;
use Time::HiRes qw(time sleep);

my $users = size_of(100_000, 2_000);
my $seconds = size_of(12, 4, 2);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 2, 1);
my $bulk = 10_000;
my @clients = @{ size_of([ 1, 8, 32 ], [ 1, 8, 32 ], [ 8, 32 ]) };
my %table = (
	'plain' => 'bench.plain_message',
	'pg_notify' => 'bench.notify_message',
	'imp_push, stopped' => 'imp_push.offline_message',
	'imp_push' => 'imp_push.offline_message');
my @peers = ('plain', 'pg_notify', 'imp_push, stopped', 'imp_push');
my $listener;
my %rate;
my %lag;     # load → figure → values

# figure, unit, decimals, column: how far the worker is behind
my @lags = (
	[ 'pushed', '1/s', 0, 'pushed/s meanwhile' ],
	[ 'age', 's', 3, 'median age, s' ],
	[ 'oldest', 's', 3, 'oldest unsent at the end, s' ],
	[ 'caught up', 's', 3, 'caught up after, s' ]);

sub script
{
	my ($peer) = @_;
	my $file = work_dir() . '/insert.sql';

	open my $script, '>', $file or die;
	print $script <<"END_SCRIPT";
\\set n random(1, $users)
INSERT INTO $table{$peer} (recipient, sender, conversation_id, body)
	VALUES ('u' || :n, 'sender', 'sender', 'A message as people write it');
END_SCRIPT
	close $script;
	return $file;
}

# Empty tables and, for imp_push, a worker that is connected; for pg_notify
# somebody who listens, as there is wherever it is used.
sub prepare
{
	my ($peer) = @_;

	fresh_messages('imp_push.offline_message', 100, 'warm-');
	psql("TRUNCATE $table{$peer}") if $peer !~ /^imp_push/;
	push_cost(100, stay => 1) if $peer eq 'imp_push';
	if ($peer eq 'pg_notify')
	{
		$listener = spawn_program('listener', {}, 'bench/listener', '--channel', 'push');
		wait_until('the listener', sub { logged('listener') =~ /^listening/m });
	}
	return;
}

# From the end of the load on: waits for what is left of it, and notes how far
# the worker was behind.  Times are the database's.
sub finish
{
	my ($peer, $load, $from, $to) = @_;

	stop_program($listener) if $peer eq 'pg_notify';
	return if $peer ne 'imp_push';
	wait_until(
		'what is left of the load',
		sub {
			query_value('SELECT count(*) FROM imp_push.offline_message')
			  == settled_count();
		},
		every => 0.1,
		seconds => 300);
	stop_worker();
	my ($line) = ask("SELECT
			count(*) FILTER (WHERE finished_at BETWEEN from_time AND to_time)
				/ extract(epoch FROM to_time - from_time),
			percentile_cont(0.5) WITHIN GROUP
				(ORDER BY extract(epoch FROM finished_at - created_at))
				FILTER (WHERE finished_at BETWEEN from_time AND to_time),
			COALESCE(extract(epoch FROM to_time -
				min(created_at) FILTER (WHERE created_at < to_time
					AND finished_at > to_time)), 0),
			greatest(extract(epoch FROM max(finished_at) - max(created_at)), 0)
		FROM imp_push.offline_message m
			JOIN imp_push.delivery_log l ON l.message_id = m.id,
			(VALUES ('$from'::timestamptz, '$to'::timestamptz))
				clock (from_time, to_time)
		WHERE l.status = 'sent'
		GROUP BY from_time, to_time");
	my @values = split /\|/, $line;
	push @{ $lag{$load}{ $lags[$_][0] } }, $values[$_] for 0 .. $#lags;
	return;
}

# Time, in the database, and how many rows have been inserted up to now; their
# numbers are not used twice, and none is left out.
sub look
{
	my ($peer) = @_;

	return split /\|/, query_value("SELECT clock_timestamp(), COALESCE(
		pg_sequence_last_value(pg_get_serial_sequence('$table{$peer}', 'id')), 0)");
}

sub measure_rows
{
	my ($peer, $clients) = @_;

	prepare($peer);
	my (undef, $none) = look($peer);
	my $pgbench = spawn_program(
		'pgbench', {}, bin('pgbench'), '-n', '-M', 'prepared', '-f',
		script($peer), '-c', $clients, '-j', ($clients > 1 ? 2 : 1), '-T', 600);
	wait_until(
		'pgbench to be connected and inserting',
		sub {
			query_value("SELECT count(*) FROM pg_stat_activity
				WHERE application_name = 'pgbench'") == $clients
			  && (look($peer))[1] > $none + $clients;
		});
	my ($from, $first) = look($peer);
	my $started = time;
	sleep $seconds;
	my ($to, $last) = look($peer);
	my $rate = ($last - $first) / (time - $started);
	stop_program($pgbench);
	finish($peer, $clients, $from, $to);

	die "pgbench got nothing done:\n" . logged('pgbench') if $rate == 0;
	push @{ $rate{$clients}{$peer} }, $rate;
	note(sprintf '%-20s %2d clients: %.0f/s', $peer, $clients, $rate);
	return;
}

sub measure_bulk
{
	my ($peer) = @_;
	my @values;

	prepare($peer);
	my ($from) = look($peer);
	for my $i (1 .. 3)
	{
		my $started = time;
		store_messages($table{$peer}, 1, $bulk, "b$i-");
		push @values, $bulk / (time - $started);
	}
	my ($to) = look($peer);
	finish($peer, 'bulk', $from, $to);
	push @{ $rate{bulk}{$peer} }, median(@values);
	note(sprintf '%-20s bulk: %.0f rows/s', $peer, median(@values));
	return;
}

start_sink('--no-log');
create_people($users);
my @order = @peers;
for my $round (1 .. $rounds)
{
	for my $clients (@clients)
	{
		measure_rows($_, $clients) for @order;
	}
	measure_bulk($_) for @order;
	push @order, shift @order;
}

my @rows;
for my $load (@clients, 'bulk')
{
	my $plain = median(@{ $rate{$load}{plain} });
	my $notify = median(@{ $rate{$load}{pg_notify} });
	my $bulk_load = $load eq 'bulk';

	push @rows,
	  $bulk_load ? "INSERT … SELECT of $bulk rows, rows a second"
	  : "$load client" . ($load > 1 ? 's' : '') . ', commits a second';
	for my $peer (@peers)
	{
		my @values = @{ $rate{$load}{$peer} };
		my $judged = $peer eq 'imp_push';

		push @rows,
		  [
			"  $peer",
			sprintf('%.0f', median(@values)),
			range('%.0f', @values),
			sprintf('%.2f', median(@values) / $plain),
			$judged ? $bulk_load ? '≥ 0.80' : '≥ 0.90' : '',
			sprintf('%.2f', median(@values) / $notify),
			$judged && $load eq '32' ? '≥ 3.00' : ''
		  ];
		figure('insert', "$load $peer", 'rate', '1/s', @values);
	}
}
report(
	title => 'insert: what an inserting session pays',
	about => [
		"pgbench, one row a commit, fsync on, $seconds s each; and many rows in one",
		'statement.  Medians of ' . rounds($rounds) . '.'
	],
	columns => [
		'rate', 'from–to', '÷ plain', 'bar', '÷ pg_notify', 'bar'
	],
	rows => \@rows,
	notes => [
		'plain: the same table without our columns and triggers',
		'pg_notify: that table with a trigger that calls pg_notify(); one session listens',
		'imp_push: the worker delivers, and shares the machine with the sessions;',
		'stopped: it does not, so that only what is added to an INSERT counts'
	]);

my @behind;
for my $load (@clients, 'bulk')
{
	my @row = ($load eq 'bulk' ? "INSERT … SELECT of $bulk rows, three times"
		: "$load client" . ($load > 1 ? 's' : ''));

	for my $form (@lags)
	{
		my ($figure, $unit, $decimals) = @$form;
		my @values = @{ $lag{$load}{$figure} };

		push @row, sprintf '%.*f', $decimals, median(@values);
		figure('insert', "$load imp_push", $figure, $unit, @values);
	}
	push @behind, \@row;
}
report(
	title => 'insert: how far the worker is behind meanwhile',
	about => ['The same runs with the worker delivering.'],
	columns => [ map { $_->[3] } @lags ],
	rows => \@behind,
	notes => [
		'median age: of what was delivered before the end, from the beginning of the',
		'transaction that stored it to the answer',
		'oldest unsent: how long it has been there; caught up: from the last message to',
		'the last answer'
	]);
1;
