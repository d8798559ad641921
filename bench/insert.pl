# insert.pl: what an inserting session pays.
#
# pgbench, one-row commits, fsync on, into three tables: without anything of
# ours, with a trigger that calls pg_notify, and imp_push's with the worker
# delivering.  And INSERT … SELECT of 10,000 rows.  Interleaved.
#
# The worker and the sink share the machine with the sessions, so imp_push is
# also measured with the worker stopped: the difference is what the pushes
# themselves cost, and not what is added to an INSERT.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;
use Time::HiRes qw(time);

my $users = size_of(100_000, 2_000);
my $seconds = size_of(8, 4);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 2);
my $bulk = 10_000;
my @clients = (1, 8, 32);
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
	my $best = 0;
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

heading("insert: commits a second, fsync on, $rounds rounds of $seconds s, medians");
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

table_row('', 'rate', 'of plain', 'of pg_notify');
for my $load (@clients, 'bulk')
{
	my $plain = median(@{ $rate{$load}{plain} });
	my $notify = median(@{ $rate{$load}{pg_notify} });

	print $load eq 'bulk' ? "INSERT … SELECT of $bulk rows, rows a second\n"
	  : "$load client" . ($load > 1 ? 's' : '') . "\n";
	for my $peer (@peers)
	{
		my @values = @{ $rate{$load}{$peer} };

		table_row(
			"  $peer",
			sprintf('%.0f', median(@values)),
			sprintf('%.2f', median(@values) / $plain),
			sprintf('%.2f', median(@values) / $notify),
			$peer eq 'imp_push' && $load ne 'bulk'
			? sprintf('%.0f pushed/s', median(@{ $pushed{$load} }))
			: ());
		figure('insert', "$load $peer", 'rate', '1/s', @values);
	}
}
print "the worker and the sink share the machine with the sessions\n";
1;
