# growth.pl: does a push cost more when there is more of everything?
#
# Each dimension is measured small and large in turn; the cost is the
# worker's CPU time a push, which other programs on the machine disturb least,
# and wall time beside it.

package Bench::Growth;

use strict;
use warnings;
use utf8;

use Bench;
use Report;

my $n = size_of(10_000, 4_000);
my $few = $n;
my $many = size_of(1_000_000, 20_000);
my $rounds = $ENV{BENCH_ROUNDS} || size_of(3, 1);
my @rows;

# Stores messages and pushes them: CPU µs and wall µs a push, those included
# that are put aside until their host is back.
sub cost
{
	my ($messages, $pushes, $put_aside) = @_;

	fresh_messages('imp_push.offline_message', $messages, 'grow-');
	my ($seconds, $cpu) = push_cost($pushes, put_aside => $put_aside);
	$pushes += $put_aside || 0;
	return ($cpu / $pushes * 1e6, $seconds / $pushes * 1e6);
}

sub compare
{
	my ($dimension, $small, $large, $times) = @_;
	my (@cpu, @wall);

	for my $round (1 .. $times || $rounds)
	{
		for my $case (0, 1)
		{
			my ($cpu, $wall) = ($small, $large)[$case]->{measure}->();
			push @{ $cpu[$case] }, $cpu;
			push @{ $wall[$case] }, $wall;
			note(sprintf '%s, %s: CPU %.1f µs, wall %.1f µs a push',
				$dimension, ($small, $large)[$case]->{name}, $cpu, $wall);
		}
	}
	my @medians = map { median(@$_) } @cpu, @wall;
	push @rows,
	  [
		"$dimension: $small->{name} → $large->{name}",
		sprintf('%.1f', $medians[0]),
		sprintf('%.1f', $medians[1]),
		sprintf('%.2f', $medians[1] / $medians[0]),
		'≤ 1.15',
		sprintf('%.2f', $medians[3] / $medians[2])
	  ];
	figure('growth', $dimension, "cpu $small->{name}", 'us', @{ $cpu[0] });
	figure('growth', $dimension, "cpu $large->{name}", 'us', @{ $cpu[1] });
	return;
}

sub base
{
	return { name => $_[0], measure => sub { cost($n, $n) } };
}

# Devices 2 to 10 of each user.
sub more_devices
{
	psql("INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
			SELECT user_id, 'phone' || k, certificate,
				encode(sha256((user_id || '/' || k)::bytea), 'hex')
			FROM imp_push.device_token, generate_series(2, 10) k",
		"INSERT INTO imp_push.presence (user_id, device_id, status)
			SELECT user_id, 'phone' || k, 'offline'
			FROM imp_push.presence, generate_series(2, 10) k",
		'ANALYZE');
	return;
}

sub fewer_devices
{
	psql("DELETE FROM imp_push.device_token WHERE device_id <> 'phone'",
		"DELETE FROM imp_push.presence WHERE device_id <> 'phone'",
		'VACUUM ANALYZE imp_push.device_token', 'VACUUM ANALYZE imp_push.presence');
	return;
}

# A session that holds what the statement makes it hold.
sub holding
{
	my ($name, @statements) = @_;

	return {
		name => $name,
		measure => sub {
			my $pid = open my $psql, '|-', bin('psql'), '-Xq', '-o', '/dev/null'
			  or die;
			$psql->autoflush(1);
			print $psql "$_;\n" for @statements;
			wait_until(
				'the other session',
				sub {
					query_value("SELECT count(*) FROM pg_stat_activity
						WHERE state = 'idle in transaction'") > 0;
				});
			my @cost = cost($n, $n);
			close $psql;
			return @cost;
		}
	};
}

start_sink('--no-log');
forget_people();
create_people($few);

compare('old snapshot', base('none'),
	holding('held', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1'));
compare('old transaction', base('none'),
	holding('held', 'BEGIN', 'CREATE TEMP TABLE t (a int)',
		"SELECT pg_current_xact_id()"));

psql("INSERT INTO imp_push.template (name, title, content)
	SELECT 't' || i, 'Title {\$fromNickname}', 'Text {\$msg}'
	FROM generate_series(1, 1000) i", 'ANALYZE imp_push.template');
compare(
	'templates',
	{
		name => '0',
		measure => sub {
			psql('CREATE TABLE bench.t AS TABLE imp_push.template',
				'DELETE FROM imp_push.template');
			my @cost = cost($n, $n);
			psql('INSERT INTO imp_push.template TABLE bench.t',
				'DROP TABLE bench.t');
			return @cost;
		}
	},
	base('1000'));
psql('DELETE FROM imp_push.template');

compare(
	'devices a user',
	base('1'),
	{
		name => '10',
		measure => sub {
			more_devices();
			my @cost = cost($n / 10, $n);
			fewer_devices();
			return @cost;
		}
	});

# Certificates 2 to 50 have users of their own; the odd ones' host is dead.
sub more_certificates
{
	psql(map {
			"SELECT imp_push.set_certificate('chat$_', 'com.example.chat$_',
				'development', 'TEAM000001', 'KEY0000001',
				pg_read_file('" . work_dir() . "/key.p8'),
				endpoint => '" . ($_ % 2 ? 'https://localhost:1' : url()) . "')"
		} 2 .. 50);
	psql("UPDATE imp_push.device_token SET certificate = 'chat' || k
		FROM generate_series(2, 50) k
		WHERE substr(user_id, 2)::int % 50 = k - 1");
	psql('VACUUM ANALYZE imp_push.device_token');
	return;
}

compare(
	'certificates',
	base('1'),
	{
		name => '50',
		measure => sub {
			more_certificates();
			# half of the pushes wait for hosts that are not there
			my $accepted = $n * 26 / 50;
			my @cost = cost($n, $accepted, $n - $accepted);
			psql("UPDATE imp_push.device_token SET certificate = 'chat'
					WHERE certificate <> 'chat'",
				'TRUNCATE imp_push.waiting',
				"DELETE FROM imp_push.certificate WHERE name <> 'chat'",
				'VACUUM ANALYZE imp_push.device_token');
			return @cost;
		}
	});

# The backlog grows when there are people for it, so that each has as many
# messages, of which the badge is the number.
compare(
	'users',
	{
		name => $few,
		measure => sub { forget_people(); create_people($few); cost($n, $n) }
	},
	{ name => $many, measure => sub { create_people($many); cost($n, $n) } },
	1);
compare(
	'backlog',
	base($few),
	{ name => $many, measure => sub { cost($many, $many) } },
	1);
forget_people();
report(
	title => 'growth: CPU time of the worker a push, in µs',
	about => [
		"$n messages, or so many as are named, stored and then pushed; one more thing",
		'than usual in each line.  Medians of ' . rounds($rounds)
		  . ' (users and backlog: of one).'
	],
	columns => [ 'small', 'large', 'large ÷ small', 'bar', 'in wall time' ],
	rows => \@rows,
	notes => [
		'devices a user: pushes of ten devices, so that each message is planned for ten',
		'certificates: half of the 50 have a host that is not there, and an open circuit;',
		'their pushes are put aside, and are counted',
		'old snapshot, old transaction: held open by another session all the while'
	]);
1;
