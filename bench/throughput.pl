# throughput.pl: stored messages a second, one worker.
#
# From start() to the last settled outcome, compared with a bare libcurl loop,
# which sends the very requests that imp_push sent in the round before, and
# with a worker in Node.js.  Rounds are interleaved.  "CPU" is user and system
# time of the process that sends, and of the peer's database sessions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;
use Time::HiRes qw(time);

my $n = $ENV{BENCH_MESSAGES} || size_of(100_000, 20_000);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 3);
my $requests = work_dir() . '/requests';
my %seconds;
my %cpu;
my %sink_cpu;

# imp_push: the worker starts, and everything is there.
sub round_imp_push
{
	my ($round) = @_;

	fresh_messages('imp_push.offline_message', $n, "r$round-");
	my $before = sink_stats()->{accepted};
	my $started = time;
	start_worker();
	wait_until('the sink', sub { sink_stats()->{accepted} - $before >= $n },
		seconds => 600);
	wait_until('outcomes', sub { settled_count() >= $n }, every => 0.005);
	my $seconds = time - $started;
	my $cpu = cpu_of(worker_pid());
	stop_worker();
	my $sent = query_value(
		"SELECT count(*) FROM imp_push.delivery_log WHERE status = 'sent'");
	die "only $sent of $n were sent\n" if $sent != $n;
	return ($seconds, $cpu);
}

# The requests of that round, as the sink has seen them, for the bare loop.
sub record_requests
{
	my $log = work_dir() . '/apns/requests.log';

	psql(
		'DROP TABLE IF EXISTS bench.request',
		'CREATE UNLOGGED TABLE bench.request (line json)',
		"COPY bench.request FROM '$log'
			WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')",
		"COPY (
			SELECT concat_ws(E'\\x1f', line ->> 'token',
				(SELECT string_agg(h.key || ': ' || h.value, E'\\x1f')
				 FROM json_each_text(line -> 'headers') h
				 WHERE h.key = 'authorization' OR h.key LIKE 'apns-%'),
				line ->> 'payload')
			FROM bench.request)
			TO '$requests' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')",
		'DROP TABLE bench.request');
	return;
}

sub round_bare_loop
{
	my $output = run_program(
		'bench/bare_loop', '--url', url(), '--ca',
		work_dir() . '/apns/ca.pem', '--requests', $requests, @_);
	my %figures = $output =~ /(\w+)=([\d.]+)/g;

	die "bare loop: $output" if $figures{accepted} != $n;
	return ($figures{seconds}, $figures{cpu});
}

my $node_pid;

sub node_backends
{
	return ask("SELECT pid FROM pg_stat_activity
		WHERE application_name = 'node-worker'");
}

sub node_cpu
{
	my $sum = cpu_of($node_pid);

	$sum += cpu_of($_) for node_backends();
	return $sum;
}

# The Node.js worker is connected already; a NOTIFY starts it.
sub round_node
{
	my ($round) = @_;

	fresh_messages('bench.node_message', $n, "n$round-");
	$node_pid = spawn_program(
		'node',
		{
			APNS_KEY => work_dir() . '/key.p8',
			APNS_CA => work_dir() . '/apns/ca.pem',
			APNS_PORT => url() =~ /(\d+)$/,
		},
		'node',
		'bench/node-worker/worker.js');
	wait_until('the Node.js worker',
		sub { `cat \Q@{[logfile('node')]}` =~ /ready/ });
	my $before = sink_stats()->{accepted};
	my $cpu_before = node_cpu();
	my $started = time;
	psql('NOTIFY node_push');
	wait_until('the sink', sub { sink_stats()->{accepted} - $before >= $n },
		seconds => 600);
	wait_until('outcomes',
		sub { query_value('SELECT count(*) FROM bench.node_outcome') >= $n },
		every => 0.005);
	my $seconds = time - $started;
	my $cpu = node_cpu() - $cpu_before;
	stop_program($node_pid);
	return ($seconds, $cpu);
}

my %peers = (
	'imp_push' => \&round_imp_push,
	'bare libcurl loop' => sub { round_bare_loop() },
	'Node.js worker' => \&round_node,
);
my @order = ('imp_push', 'bare libcurl loop',
	$ENV{BENCH_NO_NODE} ? () : 'Node.js worker');

sub measure
{
	my ($peer, $round) = @_;
	my $sink = start_sink('--no-log');
	my $sink_before = cpu_of($sink->{pid});
	my ($seconds, $cpu) = $peers{$peer}->($round);

	push @{ $seconds{$peer} }, $seconds;
	push @{ $cpu{$peer} }, $cpu;
	push @{ $sink_cpu{$peer} }, cpu_of($sink->{pid}) - $sink_before;
	note(sprintf '%-18s round %s: %.2f s, %.0f/s, CPU %.1f µs a push, sink %.1f',
		$peer, $round, $seconds, $n / $seconds, $cpu / $n * 1e6,
		$sink_cpu{$peer}[-1] / $n * 1e6);
	return;
}

heading("throughput: $n stored messages, $rounds rounds, medians");
start_sink();
create_people($n);
note('a round to record the requests');
round_imp_push('warm');
record_requests();
for my $round (1 .. $rounds)
{
	measure($_, $round) for @order;
}

table_row('', 'pushes/s', 'CPU µs/push', 'sink µs/push', 'times as fast', 'CPU ratio');
for my $peer (@order)
{
	my @rates = map { $n / $_ } @{ $seconds{$peer} };
	my @cpus = map { $_ / $n * 1e6 } @{ $cpu{$peer} };
	my @sink = map { $_ / $n * 1e6 } @{ $sink_cpu{$peer} };
	my $own = median(map { $n / $_ } @{ $seconds{'imp_push'} });
	my $own_cpu = median(map { $_ / $n * 1e6 } @{ $cpu{'imp_push'} });

	table_row(
		$peer,
		map { sprintf '%.*f', @$_ }
		  [ 0, median(@rates) ], [ 1, median(@cpus) ], [ 1, median(@sink) ],
		[ 2, $own / median(@rates) ], [ 2, median(@cpus) / $own_cpu ]);
	figure('throughput', $peer, 'rate', '1/s', @rates);
	figure('throughput', $peer, 'cpu', 'us', @cpus);
}
print "\"times as fast\": imp_push's rate divided by this one's\n";
1;
