# growth.pl: does a push cost more when there is more of everything?
#
# Each dimension is measured small and large in turn.  The cost is the worker's
# CPU time a push, which other programs on the machine disturb least, and wall
# time beside it.  The worker is warm, and its process stands still while the
# messages are being stored, so that neither its start nor the storing counts:
# from the moment when it may go on to the last outcome.  Autovacuum is off, so
# that it does not come into one measurement and not into the other.

package Bench::Growth;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;
use Time::HiRes qw(time);

my $n = size_of(10_000, 4_000);
my $many = size_of(1_000_000, 20_000);
my $acknowledged = size_of(100_000, 8_000);
my $certificates = 50;
my $rounds = $ENV{BENCH_ROUNDS} || 3;
my $messages = 'imp_push.offline_message';
my @rows;

# ---------- what is measured ----------

# CPU µs and wall µs a push.  between: something that happens once the worker is
# warm (warm: after so many pushes); store: stores something else than n
# messages, which make so many pushes; after: something before it ends.
sub cost
{
	my (%opts) = @_;
	my $pushes = $opts{pushes} || $n;
	my $store = $opts{store} || sub { add_messages($messages, $n, 'grow-') };

	fresh_messages($messages, 100, 'warm-', people => $n / 2);
	push_cost($opts{warm} || 100, stay => 1);
	$opts{between}->() if $opts{between};
	my $worker = halt_worker();
	$store->();
	psql('CHECKPOINT');

	my $settled = settled_count();
	my $accepted = sink_stats()->{accepted};
	my $cpu = cpu_of($worker);
	my $started = time;
	kill 'CONT', $worker;
	wait_for_pushes($accepted, $pushes);
	wait_until('outcomes', sub { settled_count() - $settled >= $pushes });
	my $seconds = time - $started;
	$cpu = cpu_of($worker) - $cpu;
	$opts{after}->() if $opts{after};
	stop_worker();
	return { cpu => $cpu / $pushes * 1e6, wall => $seconds / $pushes * 1e6 };
}

# Its pid.  It has to be at rest: others would wait for what it holds.
sub halt_worker
{
	my $pid = worker_pid();

	wait_until(
		'the worker to rest',
		sub {
			kill 'STOP', $pid;
			return 1
			  if query_value("SELECT xact_start IS NULL FROM pg_stat_activity
				WHERE pid = $pid") eq 't';
			kill 'CONT', $pid;
			return 0;
		});
	return $pid;
}

# Cases, [ name, code ], in turn, as often as there are rounds.
sub in_turn
{
	my ($dimension, @cases) = @_;
	my %costs;

	for my $round (1 .. $rounds)
	{
		for my $case (@cases)
		{
			my ($name, $code) = @$case;
			my $cost = $code->();

			push @{ $costs{$name}{$_} }, $cost->{$_} for keys %$cost;
			note(sprintf '%s, %s: CPU %.1f µs, wall %.1f µs a push',
				$dimension, $name, $cost->{cpu}, $cost->{wall});
		}
	}
	return \%costs;
}

# A line of the table.
sub line
{
	my ($dimension, $costs, $small, $large) = @_;
	my @row = ("$dimension: $small → $large");

	for my $figure (qw(cpu wall))
	{
		my ($few, $more) = map { $costs->{$_}{$figure} } $small, $large;
		my @medians = map { median(@$_) } $few, $more;

		push @row, (map { sprintf '%.1f', $_ } @medians),
		  sprintf('%.2f', $medians[1] / $medians[0]);
		push @row,
		  range('%.2f', map { $more->[$_] / $few->[$_] } 0 .. $#$few), '≤ 1.15'
		  if $figure eq 'cpu';
		figure('growth', $dimension, "$figure $_", 'us',
			@{ $costs->{$_}{$figure} }) for $small, $large;
	}
	push @rows, \@row;
	return;
}

sub compare
{
	my ($dimension, @cases) = @_;

	line($dimension, in_turn($dimension, @cases), map { $_->[0] } @cases);
	return;
}

# ---------- old snapshots and transactions ----------

# As many messages as are acknowledged later are pushed and deleted, and the
# table is vacuumed.  If another session holds a snapshot or a transaction id
# all the while, they stay in it and its indexes as dead rows.
sub acknowledging
{
	my (@statements) = @_;
	my $session;

	return sub {
		cost(
			between => sub {
				$session = hold(@statements) if @statements;
				push_cost(
					$acknowledged,
					stay => 1,
					store => sub { add_messages($messages, $acknowledged, 'old-') });
				psql("DELETE FROM $messages", "VACUUM ANALYZE $messages");
				# it plans its statements anew now
				push_cost(100, stay => 1,
					store => sub { add_messages($messages, 100, 'again-') });
			},
			after => sub { close $session if $session; undef $session });
	};
}

# A session that holds what the statements make it hold.
sub hold
{
	my (@statements) = @_;

	open my $psql, '|-', bin('psql'), '-Xq', '-o', '/dev/null' or die;
	$psql->autoflush(1);
	print $psql "$_;\n" for @statements;
	wait_until(
		'the other session',
		sub {
			query_value("SELECT count(*) FROM pg_stat_activity
				WHERE state = 'idle in transaction'") > 0;
		});
	return $psql;
}

# ---------- templates ----------

# So many templates; each other message names one, and each person has chosen
# one.
sub with_templates
{
	my ($count) = @_;

	return sub {
		psql(
			"INSERT INTO imp_push.template (name, title, content)
				SELECT 't' || i, 'Title {\$fromNickname}', 'Text {\$msg}'
				FROM generate_series(1, $count) i",
			"UPDATE imp_push.user_profile
				SET template = 't' || substr(user_id, 2)::int % $count + 1",
			'VACUUM ANALYZE imp_push.template',
			'VACUUM ANALYZE imp_push.user_profile');
		my $cost = cost(
			store => sub {
				store_messages($messages, 1, $n / 2, 'own-');
				store_messages($messages, $n / 2 + 1, $n, 'named-',
					templates => $count);
			});
		psql('UPDATE imp_push.user_profile SET template = NULL',
			'DELETE FROM imp_push.template',
			'VACUUM ANALYZE imp_push.user_profile');
		return $cost;
	};
}

# ---------- devices ----------

# With devices 2 to 10 of each user.
sub with_devices
{
	psql("INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
			SELECT user_id, 'phone' || k, certificate,
				encode(sha256((user_id || '/' || k)::bytea), 'hex')
			FROM imp_push.device_token, generate_series(2, 10) k",
		"INSERT INTO imp_push.presence (user_id, device_id, status)
			SELECT user_id, 'phone' || k, 'offline'
			FROM imp_push.presence, generate_series(2, 10) k",
		'ANALYZE');
	my $cost = cost(
		warm => 1_000,
		store => sub { add_messages($messages, $n / 10, 'grow-') });
	psql("DELETE FROM imp_push.device_token WHERE device_id <> 'phone'",
		"DELETE FROM imp_push.presence WHERE device_id <> 'phone'",
		'VACUUM ANALYZE imp_push.device_token', 'VACUUM ANALYZE imp_push.presence');
	return $cost;
}

# ---------- certificates ----------

# The messages go to the first half of the people, with one certificate or with
# the first half of many.  There are more of them than elsewhere: each open
# circuit is probed every few seconds, however much is pushed meanwhile, so that
# a short time would have all of the probes, or none.
my $to_half = 5 * $n;

sub cost_of_half
{
	return cost(
		pushes => $to_half,
		store => sub { add_messages($messages, $to_half, 'grow-', people => $n / 2) },
		@_);
}

# The second half of the certificates have a host that is not there, and belong
# to the second half of the people.  What is pushed to these is put aside before
# anything is measured, and stays where it is.
sub with_certificates
{
	my $half = $certificates / 2;

	psql(map {
			"SELECT imp_push.set_certificate('chat$_', 'com.example.chat$_',
				'development', 'TEAM000001', 'KEY0000001',
				pg_read_file('" . work_dir() . "/key.p8'),
				endpoint => '" . ($_ > $half ? 'https://localhost:1' : url()) . "')"
		} 1 .. $certificates);
	psql("UPDATE imp_push.device_token SET certificate = 'chat' ||
			(i % $half + 1 + CASE WHEN i > $n / 2 THEN $half ELSE 0 END)
		FROM (SELECT user_id, substr(user_id, 2)::int AS i
				FROM imp_push.user_profile) u
		WHERE u.user_id = device_token.user_id",
		"DELETE FROM imp_push.certificate WHERE name = 'chat'",
		'VACUUM ANALYZE imp_push.device_token');
	my $cost = cost_of_half(
		between => \&open_circuits,
		after => \&circuits_are_open);
	forget_people();
	create_people($n);
	return $cost;
}

# A message to each person of the second half; and to each of the first, so
# that all connections are there.
sub open_circuits
{
	push_cost(
		$n / 2,
		stay => 1,
		store => sub {
			psql("INSERT INTO $messages (recipient, sender, conversation_id, body)
				SELECT user_id, 'sender', 'sender', 'A message'
				FROM imp_push.device_token");
		});
	wait_until('the circuits', sub { eval { circuits_are_open(); 1 } });
	return;
}

sub circuits_are_open
{
	my $open = query_value("SELECT count(*) FROM imp_push.certificate_status
		WHERE circuit = 'open'");
	my $aside = waiting_count();

	die "$open circuits are open, $aside pushes put aside\n"
	  if $open != $certificates / 2 || $aside < $n / 2;
	return;
}

# ---------- people and messages ----------

# The backlog grows when there are people for it, so that each has as many
# messages, of which the badge is the number.
my $few_people = sub { forget_people(); create_people($n); cost() };
my $many_people = sub { create_people($many); cost() };
my $backlog = sub {
	cost(
		pushes => $many,
		store => sub { add_messages($messages, $many, 'grow-') });
};

# ---------- all of them ----------

start_sink('--no-log');
configure(autovacuum => 'off');
forget_people();
create_people($n);
my $usual = sub { cost() };

compare(
	'old snapshot',
	[ 'none', acknowledging() ],
	[ 'held', acknowledging('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1') ]);
compare(
	'old transaction',
	[ 'none', acknowledging() ],
	[ 'held', acknowledging('BEGIN', 'SELECT pg_current_xact_id()',
			'CREATE TEMP TABLE t (a int)') ]);
my $templates = in_turn('templates',
	[ 0, $usual ], [ 1, with_templates(1) ], [ 1000, with_templates(1000) ]);
line('templates', $templates, 0, 1000);
line('templates, all used', $templates, 1, 1000);
compare('devices a user', [ 1, $usual ], [ 10, \&with_devices ]);
compare('certificates', [ 1, \&cost_of_half ],
	[ $certificates, \&with_certificates ]);
my $growing = in_turn('people, backlog',
	[ 'few', $few_people ], [ 'many', $many_people ], [ 'backlog', $backlog ]);
line('people', { $n => $growing->{few}, $many => $growing->{many} }, $n, $many);
line('backlog', { $n => $growing->{many}, $many => $growing->{backlog} },
	$n, $many);
forget_people();
configure(autovacuum => 'on');
report(
	title => 'growth: CPU time of the worker a push, and wall time, in µs',
	about => [
		"$n pushes, or so many as are named, by a worker that is warm; one more thing",
		'than usual in each line.  Medians of ' . rounds($rounds) . '.'
	],
	columns => [
		'CPU small', 'large', 'large ÷ small', 'from–to', 'bar',
		'wall small', 'large', 'large ÷ small'
	],
	rows => \@rows,
	notes => [
		"old snapshot, old transaction: held by another session while $acknowledged messages",
		'were pushed, acknowledged and vacuumed, and while it is measured; none: the same',
		'without that session',
		'templates: each other message names one, each person has chosen one; 1 → 1000:',
		'what more of them cost when they are used',
		'devices a user: pushes of ten devices, so that each message is planned for ten',
		"certificates: half of the $certificates have a host that is not there, and an open",
		'circuit; what waits for them is there, and only pushes to the others count'
	]);
1;
