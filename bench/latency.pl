# latency.pl: from COMMIT to the arrival at the sink.
#
# Compared with the floor: a libpq program that LISTENs, runs one SELECT and
# sends on a warm connection.  Idle (twenty messages a second) and at 500
# messages a second, from eight clients.  Rounds are interleaved, and only the
# one whose turn it is is running: each commit that notifies the floor would
# wake our worker, too.  The first messages of a turn make it warm (connection,
# plans, sessions) and do not count.
#
# Two clocks, both CLOCK_REALTIME of this machine: the client's just before it
# sends COMMIT (so that making it durable counts) and just after its answer
# has come (so that it does not; what is sent meanwhile counts as 0 or less).
# The arrival is apnsim's, when headers and body were in.

package Bench::Latency;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;

my $users = size_of(10_000, 2_000);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(5, 2, 1);
# name, messages a second, how many are measured, clients
my @loads = (
	[ 'idle', 20, size_of(1_000, 100, 30), 1 ],
	[ '500/s', 500, size_of(7_500, 2_000, 1_000), 8 ]);
my $insert = 'INSERT INTO %s (recipient, sender, conversation_id, msg_id, body)
	VALUES ($1, \'sender\', \'sender\', $2, \'A message as people write it\')';
my %table = (
	imp_push => 'imp_push.offline_message',
	floor => 'bench.floor_message');
my %from_commit;
my %from_answer;

# ---------- a turn ----------

my $floor;

my %start = (
	imp_push => sub {
		fresh_messages('imp_push.offline_message', 0, '');
		start_worker();
		wait_until('the worker', sub { worker_state() eq 'idle' });
	},
	floor => sub {
		psql('TRUNCATE bench.floor_message', 'CHECKPOINT');
		$floor = spawn_program(
			'floor', {},
			'bench/floor', '--conninfo', '', '--url', url(), '--ca',
			work_dir() . '/apns/ca.pem', '--authorization', fake_token(),
			'--topic', 'com.example.chat');
		wait_until('the floor', sub { -s logfile('floor') });
	});
my %stop = (
	imp_push => sub { stop_worker() },
	floor => sub { stop_program($floor) });

# Two seconds' worth of messages.
sub warm_up_of { my ($load) = @_; return 2 * $load->[1]; }

# msg_id → [before, after] of its COMMIT
sub insert_messages
{
	my ($peer, $prefix, $load) = @_;
	my ($name, $rate, $count, $clients) = @$load;
	my $output = run_program(
		'bench/inserter', '--conninfo', '', '--sql',
		sprintf($insert, $table{$peer}),
		'--rate', $rate, '--count', $count + warm_up_of($load),
		'--warm-up', warm_up_of($load), '--clients', $clients,
		'--users', $users, '--prefix', $prefix);

	return map { my ($id, @times) = split; $id => \@times } split /\n/, $output;
}

# msg_id → arrival; the first one, should it come twice
sub arrivals
{
	my ($prefix) = @_;
	my %at;

	for my $line (sink_log_lines())
	{
		$line =~ /"arrived_us":(\d+).*\\"m\\":\\"(\Q$prefix\E\d+)\\"/ or next;
		$at{$2} = $1 if !exists $at{$2};
	}
	return %at;
}

sub measure
{
	my ($peer, $round, $load) = @_;
	my $prefix = "$peer-$round-$load->[1]-";

	sink_ctl('reset-log');
	$start{$peer}->();
	my $before = sink_stats()->{accepted};
	my %committed = insert_messages($peer, $prefix, $load);
	wait_for_pushes($before, $load->[2] + warm_up_of($load));
	$stop{$peer}->();
	my %at = arrivals($prefix);
	my $key = "$peer $load->[0]";
	my (@commit, @answer);

	for my $id (keys %committed)
	{
		die "$id did not arrive\n" if !$at{$id};
		push @commit, ($at{$id} - $committed{$id}[0]) / 1000;
		push @answer, ($at{$id} - $committed{$id}[1]) / 1000;
	}
	push @{ $from_commit{$key} }, \@commit;
	push @{ $from_answer{$key} }, \@answer;
	note(sprintf '%-10s %-6s round %s: p50 %.2f p99 %.2f ms, after the answer p50 %.2f p99 %.2f ms',
		$peer, $load->[0], $round,
		percentile(50, @commit), percentile(99, @commit),
		percentile(50, @answer), percentile(99, @answer));
	return;
}

# Median over the rounds of a percentile.
sub over_rounds
{
	my ($p, $samples) = @_;

	return map { percentile($p, @$_) } @$samples;
}

start_sink();
create_people($users);
for my $round (1 .. $rounds)
{
	for my $load (@loads)
	{
		measure($_, $round, $load)
		  for $round % 2 ? qw(imp_push floor) : qw(floor imp_push);
	}
}

my @rows;
my %bar = (50 => '≤ 1.50', 99 => '≤ 3.00');
for my $load (@loads)
{
	my %median;

	push @rows, $load->[0] eq 'idle' ? 'idle: 20 messages a second, from one session'
	  : '500 messages a second, from eight sessions';
	for my $peer (qw(floor imp_push))
	{
		my $key = "$peer $load->[0]";
		my %answer;

		for my $p (50, 90, 99)
		{
			my @values = over_rounds($p, $from_commit{$key});
			my @after = over_rounds($p, $from_answer{$key});

			$median{$peer}{$p} = median(@values);
			$answer{$p} = median(@after);
			figure('latency', $key, "p$p", 'ms', @values);
			figure('latency', "$key after the answer", "p$p", 'ms', @after);
		}
		push @rows,
		  [
			"  $peer",
			(map { sprintf '%.2f', $median{$peer}{$_} } 50, 90, 99),
			(
				map {
					$peer eq 'floor' ? ('', '')
					  : (sprintf('%.2f', $median{$peer}{$_} / $median{floor}{$_}),
						$bar{$_})
				} 50, 99),
			(map { sprintf '%.2f', $answer{$_} } 50, 99)
		  ];
	}
}
report(
	title => 'latency: from COMMIT to arrival at the sink, in milliseconds',
	about => [
		'p50, p90, p99: from just before COMMIT is sent; so many of a hundred messages',
		'arrive sooner.  Medians of '
		  . rounds($rounds) . " with $loads[0][2] and $loads[1][2] messages."
	],
	columns => [
		'p50', 'p90', 'p99', 'p50 ÷ floor', 'bar', 'p99 ÷ floor', 'bar',
		'after: p50', 'p99'
	],
	rows => \@rows,
	notes => [
		'floor: a program that LISTENs, runs one SELECT, and sends on a warm connection.',
		'Its table has what ours has but queued_xid, its index and our triggers; its one',
		'trigger notifies, so that its COMMIT writes as much and notifies besides.  It',
		'decides nothing and writes no outcome: imp_push commits those, to the same disk.',
		'after: from the answer to COMMIT; below 0 if the push was faster than it'
	]);
1;
