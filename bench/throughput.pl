# throughput.pl: stored messages a second, one worker.
#
# From start() to the last settled outcome, compared with a bare libcurl loop,
# which sends the very requests that imp_push sent in the round before, and
# with a worker in Node.js.  And as many messages in one commit, "live", while
# the worker is running and idle: one that has just started catches up without
# a rest, one that meets a stream may rest.  And from start() again, "away":
# each answer comes so much later as Apple is away.
#
# That all send the same is looked up in the sink's log before anything is
# measured.  The peers' settings are tried out, imp_push has its defaults.
# Rounds are interleaved.  "CPU" is user and system time of the process that
# sends, and of the peer's database sessions.

package Bench::Throughput;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;
use Time::HiRes qw(time);

my $n = $ENV{BENCH_MESSAGES} || size_of(100_000, 20_000, 5_000);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 3, 1);
my $trials = size_of(2, 1, 0);
my $trial_size = $n < 20_000 ? $n : 20_000;
$trial_size = 5_000 if quick();
my $away_ms = 50;
my $requests = work_dir() . '/requests';
my (%seconds, %cpu, %sink_cpu);

# What the peers are tried with; the first is taken where nothing is tried.
my @bare_settings = (
	map { my $how = $_; map { [ '--in-flight', $_, @$how ] } 100, 300, 1000 }
	  [], ['--perform']);
my @node_settings = map { { IN_FLIGHT => $_ } } 250, 100, 500, 1000;
my $bare = $bare_settings[0];
my $node = $node_settings[0];

# imp_push: the worker starts, and everything is there.
sub round_imp_push
{
	my ($prefix) = @_;

	fresh_messages('imp_push.offline_message', $n, $prefix);
	return until_settled(0, sub { start_worker() });
}

# imp_push, live: the worker is there and idle, and everything comes at once.
sub round_live
{
	my ($prefix) = @_;

	fresh_messages('imp_push.offline_message', 100, "$prefix-warm-");
	push_cost(100, stay => 1);
	wait_until('the worker to rest', sub { worker_state() eq 'idle' });
	ask('BEGIN');
	store_messages('imp_push.offline_message', 1, $n, $prefix);
	return until_settled(cpu_of(worker_pid()), sub { ask('COMMIT') });
}

# imp_push, away: as from start(), but answers take their time.
sub round_away
{
	my ($prefix) = @_;

	sink_ctl("fault delay=$away_ms");
	return round_imp_push($prefix);
}

# Seconds from the moment when go() is called, and CPU seconds of the worker
# besides those that it has used before.
sub until_settled
{
	my ($cpu_before, $go) = @_;
	my $settled = settled_count();
	my $accepted = sink_stats()->{accepted};
	my $started = time;

	$go->();
	wait_for_pushes($accepted, $n);
	wait_until('outcomes', sub { settled_count() - $settled >= $n },
		every => 0.005);
	my $seconds = time - $started;
	my $cpu = cpu_of(worker_pid()) - $cpu_before;
	stop_worker();
	my $sent = query_value(
		"SELECT count(*) FROM imp_push.delivery_log WHERE status = 'sent'")
	  - $settled;
	die "only $sent of $n were sent\n" if $sent != $n;
	return ($seconds, $cpu);
}

sub round_bare_loop
{
	my ($file, $count, @settings) = @_;
	my $output = run_program(
		'bench/bare_loop', '--url', url(), '--ca',
		work_dir() . '/apns/ca.pem', '--requests', $file, @settings);
	my %figures = $output =~ /(\w+)=([\d.]+)/g;

	die "bare loop: $output" if $figures{accepted} != $count;
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
	my ($prefix, $count, $settings) = @_;

	fresh_messages('bench.node_message', $count, $prefix);
	$node_pid = spawn_program(
		'node',
		{
			APNS_KEY => work_dir() . '/key.p8',
			APNS_CA => work_dir() . '/apns/ca.pem',
			APNS_PORT => url() =~ /(\d+)$/,
			%$settings
		},
		'node',
		'bench/node-worker/worker.js');
	wait_until('the Node.js worker', sub { logged('node') =~ /ready/ });
	my $before = sink_stats()->{accepted};
	my $cpu_before = node_cpu();
	my $started = time;
	psql('NOTIFY node_push');
	wait_for_pushes($before, $count);
	wait_until('outcomes',
		sub {
			query_value('SELECT count(*) FROM bench.node_outcome') >= $count;
		},
		every => 0.005);
	my $seconds = time - $started;
	my $cpu = node_cpu() - $cpu_before;
	stop_program($node_pid);
	my $sent = query_value(
		"SELECT count(*) FROM bench.node_outcome WHERE status = 'sent'");
	die "Node.js: only $sent of $count were sent\n" if $sent != $count;
	return ($seconds, $cpu);
}

# ---------- the same requests ----------

# Keeps what the sink has logged, in a table.
sub keep_log
{
	my ($table) = @_;
	my $log = work_dir() . '/apns/requests.log';

	psql(
		"DROP TABLE IF EXISTS bench.$table",
		"CREATE UNLOGGED TABLE bench.$table (line json)",
		"COPY bench.$table FROM '$log'
			WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')");
	return;
}

# The requests of imp_push, as the sink has seen them, for the bare loop.
sub record_requests
{
	psql("COPY (
			SELECT concat_ws(E'\\x1f', line ->> 'token',
				(SELECT string_agg(h.key || ': ' || h.value, E'\\x1f')
				 FROM json_each_text(line -> 'headers') h
				 WHERE h.key = 'authorization' OR h.key LIKE 'apns-%'),
				line ->> 'payload')
			FROM bench.own_request)
			TO '$requests' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')");
	open my $all, '<', $requests or die "$requests: $!\n";
	open my $some, '>', "$requests.trial" or die "$requests.trial: $!\n";
	while (my $line = <$all>)
	{
		print $some $line if $. <= $trial_size;
	}
	close $some or die "$requests.trial: $!\n";
	return;
}

# Dies if the peer's requests differ from imp_push's to the same tokens: in
# the length of an apns- header, or of the body.  Other headers may differ,
# since a library adds its own; a note says how.
sub compare_requests
{
	my ($peer, $count) = @_;
	my $apns = "(SELECT string_agg(h.key || ' ' || length(h.value), ', '
			ORDER BY h.key)
		FROM json_each_text(line -> 'headers') h WHERE h.key LIKE 'apns-%')
		|| ', body ' || (line ->> 'payload_bytes')";
	my $others = "string_agg(DISTINCT h.key || ' ' || length(h.value), ', ')
		FROM bench.%s, json_each_text(line -> 'headers') h
		WHERE h.key NOT LIKE 'apns-%%' AND h.key <> 'content-length'";

	keep_log('peer_request');
	my ($same) = ask("SELECT count(*)
		FROM (SELECT line ->> 'token' AS token, $apns AS form
				FROM bench.own_request) own
			JOIN (SELECT line ->> 'token' AS token, $apns AS form
				FROM bench.peer_request) peer USING (token, form)");
	my ($example) = ask("SELECT $apns FROM bench.own_request LIMIT 1");
	my ($theirs) = ask("SELECT $apns FROM bench.peer_request LIMIT 1");
	die "$peer: $same of $count requests are those of imp_push\n"
	  . "imp_push: $example\n$peer: $theirs\n"
	  if $same != $count;

	note("$peer sends the same: $count requests of $count");
	for my $who ([ 'imp_push', 'own_request' ], [ $peer, 'peer_request' ])
	{
		my ($headers) = ask('SELECT ' . sprintf($others, $who->[1]));
		note("  other headers of $who->[0] (name and length): $headers");
	}
	return;
}

# Records what imp_push sends, and lets the peers send it once.
sub same_requests
{
	my ($with_node) = @_;

	note('the same requests? each sends once, and the sink keeps a log');
	start_sink();
	round_imp_push('warm-i-');
	keep_log('own_request');
	record_requests();
	start_sink();
	round_bare_loop($requests, $n, @$bare);
	compare_requests('bare libcurl loop', $n);
	if ($with_node)
	{
		start_sink();
		round_node('warm-n-', $trial_size, $node);
		compare_requests('Node.js worker', $trial_size);
	}
	psql('DROP TABLE bench.own_request, bench.peer_request');
	return;
}

# ---------- the best settings ----------

# The settings with the shortest time of all trials, which alternate.
sub best_of
{
	my ($peer, $attempt, @settings) = @_;
	my ($best, $shortest) = ($settings[0]);

	for my $trial (1 .. $trials)
	{
		for my $settings (@settings)
		{
			start_sink('--no-log');
			my ($seconds) = $attempt->($settings);
			note(sprintf 'trying %s, %s: %.0f/s', $peer, in_words($settings),
				$trial_size / $seconds);
			($best, $shortest) = ($settings, $seconds)
			  if !defined $shortest || $seconds < $shortest;
		}
	}
	return $best;
}

sub in_words
{
	my ($settings) = @_;

	return join ' ', ref $settings eq 'HASH' ? %$settings : @$settings;
}

# ---------- the rounds ----------

my %peers = (
	'imp_push' => sub { round_imp_push("$_[0]-i-") },
	'imp_push, live' => sub { round_live("$_[0]-l-") },
	'imp_push, away' => sub { round_away("$_[0]-a-") },
	'bare libcurl loop' => sub { round_bare_loop($requests, $n, @$bare) },
	'Node.js worker' => sub { round_node("$_[0]-n-", $n, $node) },
);

sub measure
{
	my ($peer, $round) = @_;
	my $sink = start_sink('--no-log');
	my $sink_before = cpu_of($sink->{pid});
	my ($seconds, $cpu) = $peers{$peer}->($round);

	push @{ $seconds{$peer} }, $seconds;
	push @{ $cpu{$peer} }, $cpu / $n * 1e6;
	push @{ $sink_cpu{$peer} },
	  (cpu_of($sink->{pid}) - $sink_before) / $n * 1e6;
	note(sprintf '%-18s round %s: %.2f s, %.0f/s, CPU %.1f µs a push, sink %.1f',
		$peer, $round, $seconds, $n / $seconds, $cpu{$peer}[-1],
		$sink_cpu{$peer}[-1]);
	return;
}

my $with_node = node_is_there();
my @all = (
	'imp_push', 'imp_push, live', 'imp_push, away', 'bare libcurl loop',
	$with_node ? 'Node.js worker' : ());
my @order = @all;
my %bar = ('bare libcurl loop' => '≥ 0.60', 'Node.js worker' => '≥ 2.00');

start_sink();
create_people($n);
same_requests($with_node);
$bare = best_of('bare libcurl loop',
	sub { round_bare_loop("$requests.trial", $trial_size, @{ $_[0] }) },
	@bare_settings);
$node = best_of('Node.js worker',
	sub { round_node('trial-', $trial_size, $_[0]) }, @node_settings)
  if $with_node;
for my $round (1 .. $rounds)
{
	measure($_, $round) for @order;
	push @order, shift @order;
}

my @rows;
my $own = median(map { $n / $_ } @{ $seconds{'imp_push'} });
my $own_cpu = median(@{ $cpu{'imp_push'} });
for my $peer (@all)
{
	my @rates = map { $n / $_ } @{ $seconds{$peer} };

	push @rows,
	  [
		$peer,
		sprintf('%.0f', median(@rates)),
		range('%.0f', @rates),
		sprintf('%.2f', $own / median(@rates)),
		$bar{$peer} || '',
		sprintf('%.1f', median(@{ $cpu{$peer} })),
		sprintf('%.2f', $own_cpu / median(@{ $cpu{$peer} })),
		sprintf('%.1f', median(@{ $sink_cpu{$peer} }))
	  ];
	figure('throughput', $peer, 'rate', '1/s', @rates);
	figure('throughput', $peer, 'cpu', 'us', @{ $cpu{$peer} });
}
report(
	title => "throughput: $n stored messages pushed, one worker",
	about => [
		'From start() to the last settled outcome; live: all in one commit while the',
		'worker is idle, from COMMIT to the last outcome; away: from start(), each answer',
		"$away_ms ms later.  One device for each person, and rows of profile, presence and",
		'settings for all.  Medians of ' . rounds($rounds) . '.'
	],
	columns => [
		'pushes/s', 'from–to', 'imp_push ÷ this', 'bar',
		'CPU µs/push', 'imp_push ÷ this', 'sink CPU µs/push'
	],
	rows => \@rows,
	notes => [
		'CPU: of the process that sends and, for Node.js, of its database sessions;',
		"imp_push's worker does both in one.",
		'settings: imp_push as installed; bare libcurl loop ' . in_words($bare)
		  . ($with_node ? '; Node.js worker ' . in_words($node) : ''),
		$with_node ? () : 'The worker in Node.js was left out: it is not installed.'
	]);
1;
