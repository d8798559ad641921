# insert.pl: what an inserting session pays.
#
# pgbench, one-row commits, fsync on, into three tables: without anything of
# ours, with a trigger that calls pg_notify, and imp_push's with the worker
# delivering.  And INSERT … SELECT of 10,000 rows.  Interleaved.
#
# The worker and the sink share the machine with the sessions, so imp_push is
# also measured with the worker stopped: the difference is what the pushes
# themselves cost, and not what is added to an INSERT.

package Bench::Insert;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;
use Time::HiRes qw(time);

my $users = size_of(100_000, 2_000);
my $seconds = size_of(8, 4, 3);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 2, 1);
my $bulk = 10_000;
my @clients = @{ size_of([ 1, 8, 32 ], [ 1, 8, 32 ], [ 8, 32 ]) };
my %table = (
	'plain' => 'bench.plain_message',
	'pg_notify' => 'bench.notify_message',
	'imp_push, stopped' => 'imp_push.offline_message',
	'imp_push' => 'imp_push.offline_message');
my @peers = ('plain', 'pg_notify', 'imp_push, stopped', 'imp_push');
my %rate;
my %pushed;

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

sub prepare
{
	my ($peer) = @_;

	if ($peer =~ /^imp_push/)
	{
		psql('TRUNCATE imp_push.offline_message, imp_push.delivery_log,
			imp_push.waiting, imp_push.worker_cursor');
		start_worker() if $peer eq 'imp_push';
	}
	else
	{
		psql("TRUNCATE $table{$peer}");
	}
	psql('CHECKPOINT');
	return;
}

sub finish
{
	my ($peer) = @_;

	stop_worker() if $peer eq 'imp_push';
	return;
}

sub measure_rows
{
	my ($peer, $clients) = @_;

	prepare($peer);
	my $before = sink_stats()->{accepted};
	my $output = run_program(
		bin('pgbench'), '-n', '-M', 'prepared', '-f', script($peer), '-c',
		$clients, '-j', ($clients > 1 ? 2 : 1), '-T', $seconds);
	my $pushed = (sink_stats()->{accepted} - $before) / $seconds;
	finish($peer);
	my ($tps) = $output =~ /tps = ([\d.]+) \(without/;

	die "pgbench got nothing done:\n$output" if !$tps;
	push @{ $rate{$clients}{$peer} }, $tps;
	push @{ $pushed{$clients} }, $pushed if $peer eq 'imp_push';
	note(sprintf '%-20s %2d clients: %.0f/s', $peer, $clients, $tps);
	return;
}

sub measure_bulk
{
	my ($peer) = @_;
	my @values;

	prepare($peer);
	for my $i (1 .. 3)
	{
		my $started = time;
		add_messages($table{$peer}, $bulk, "b$i-");
		push @values, $bulk / (time - $started);
	}
	finish($peer);
	push @{ $rate{bulk}{$peer} }, median(@values);
	note(sprintf '%-20s bulk: %.0f rows/s', $peer, median(@values));
	return;
}

start_sink('--no-log');
create_people($users);
for my $round (1 .. $rounds)
{
	for my $clients (@clients)
	{
		measure_rows($_, $clients) for @peers;
	}
	measure_bulk($_) for @peers;
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
			$judged && $load eq '32' ? '≥ 3.00' : '',
			$judged && !$bulk_load
			? sprintf('%.0f', median(@{ $pushed{$load} })) : ''
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
		'rate', 'from–to', '÷ plain', 'bar', '÷ pg_notify', 'bar',
		'pushed/s meanwhile'
	],
	rows => \@rows,
	notes => [
		'plain: the same table without our columns and triggers',
		'pg_notify: that table with a trigger that calls pg_notify()',
		'imp_push: the worker delivers, and shares the machine with the sessions;',
		'stopped: it does not, so that only what is added to an INSERT counts'
	]);
1;
