# idle.pl: what does it cost to have nothing to do?
#
# An assembled system, without messages: people of whom half are online, with
# leases that run out meanwhile and nodes; messages that have been pushed and
# are not acknowledged; pushes that wait until tomorrow; and a worker.  CPU time
# of worker and launcher, and each statement that the worker runs, beside how
# often the safety poll is due.
#
# The statements are counted by pg_stat_statements, for which the server is
# started again, and asked for in another database, so that nobody else runs any
# in ours.

package Bench::Idle;

use strict;
use warnings;
use utf8;

use Bench;
use Report;

my $users = size_of(10_000, 1_000);
my $seconds = size_of(600, 60);
my $nodes = 4;
my $counting = -e query_value('SELECT setting FROM pg_config WHERE name = $$PKGLIBDIR$$')
  . '/pg_stat_statements.so';
my $poll = query_value("SELECT setting::float / 1000 FROM pg_settings
	WHERE name = 'imp_push.poll_interval'");

sub launcher_pid
{
	return query_value(
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'imp_push launcher'");
}

sub assemble
{
	start_sink('--no-log');
	create_people($users);
	fresh_messages('imp_push.offline_message', $users, 'idle-');
	push_cost($users);
	psql(
		"SELECT imp_push.node_heartbeat('node' || i, '1 day')
			FROM generate_series(1, $nodes) i",
		"UPDATE imp_push.presence SET status = 'online',
			node = 'node' || i % $nodes + 1,
			expires_at = now() + make_interval(secs => $seconds * random() * 2)
			FROM (SELECT 'u' || i AS user_id, i FROM generate_series(2, $users, 2) i) u
			WHERE u.user_id = presence.user_id",
		"INSERT INTO imp_push.waiting (message_id, device_id, certificate,
				recipient, msg_id, apns_id, attempts, due, expires_at, reason,
				since, decided_at)
			SELECT id, 'phone', 'chat', recipient, msg_id, gen_random_uuid(), 1,
				now() + interval '20 hours', now() + interval '1 day',
				'ServiceUnavailable', now(), now()
			FROM imp_push.offline_message
			ORDER BY id LIMIT $users / 10",
		'VACUUM ANALYZE');
	return;
}

# Statements of our database since the last time, [ text, calls ], the most
# frequent first.
sub statements
{
	my @lines = split /\n/, run_program(
		bin('psql'), '-XqAt', '-d', 'postgres', '-c',
		"SELECT calls, regexp_replace(query, '\\s+', ' ', 'g')
			FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
			WHERE d.datname = 'bench' AND s.toplevel
			ORDER BY calls DESC, query",
		'-c', 'SELECT pg_stat_statements_reset()');

	return map { [ reverse split /\|/, $_, 2 ] } grep { /\|/ } @lines;
}

# What a safety poll asks, and how often that is expected: once each, in two
# transactions that look first whether the database is started.  The fewest
# statements that the promise allows; all others are not expected.
my @expected = (
	[ 'is it started, and new messages?', qr/imp_push\.next_messages/, 1 / $poll ],
	[ 'is it started?', qr/FROM imp_push\.control/, 1 / $poll ],
	[ 'waiting pushes?', qr/imp_push\.next_waiting/, 1 / $poll ],
	[ 'when is the next of them due?', qr/imp_push\.next_due/, 1 / $poll ],
	[ 'leases that ran out?', qr/imp_push\.recheck_unacknowledged/, 1 / $poll ],
	[ 'anything to tidy up?', qr/imp_push\.housekeeping/, 1 / 60 ]);

# Rows of the table: seen, expected.
sub statement_rows
{
	my (@left) = @_;
	my @rows;

	for my $expected (@expected)
	{
		my ($what, $form, $rate) = @$expected;
		my $seen = 0;

		$seen += $_->[1] for grep { $_->[0] =~ $form } @left;
		@left = grep { $_->[0] !~ $form } @left;
		push @rows, [ "statements: $what", $seen, sprintf('%.0f', $rate * $seconds) ];
		figure('idle', $what, 'statements', '', $seen);
	}
	my $others = 0;
	$others += $_->[1] for @left;
	note("not expected: $_->[1] times $_->[0]") for @left;
	push @rows, [ 'statements: any others', $others, 0 ];
	figure('idle', 'any others', 'statements', '', $others);
	return @rows;
}

assemble();
restart_cluster(
	shared_preload_libraries => 'imp_push'
	  . ($counting ? ',pg_stat_statements' : ''),
	autovacuum => 'off');
run_program(bin('psql'), '-Xq', '-d', 'postgres', '-c',
	'CREATE EXTENSION pg_stat_statements') if $counting;
start_worker();
wait_until('the worker', sub { worker_state() eq 'idle' });
patiently(size_of(40, 5));
my $worker = worker_pid();
my $launcher = launcher_pid();
my $waiting = waiting_count();
my @cpu = (cpu_of($worker), cpu_of($launcher));
statements() if $counting;
patiently($seconds);
my @used = (cpu_of($worker) - $cpu[0], cpu_of($launcher) - $cpu[1]);
my @statements = $counting ? statements() : ();
die "not idle: some of what waited has gone\n" if waiting_count() != $waiting;
stop_worker();
run_program(bin('psql'), '-Xq', '-d', 'postgres', '-c',
	'DROP EXTENSION pg_stat_statements') if $counting;
psql("UPDATE imp_push.presence
		SET status = 'offline', node = NULL, expires_at = NULL",
	'DELETE FROM imp_push.im_node');
restart_cluster(shared_preload_libraries => 'imp_push', autovacuum => 'on');

report(
	title => "idle: what it costs to have nothing to do for $seconds s",
	about => [
		"$users people of whom half are online, with leases that run out meanwhile, and",
		"$nodes nodes; $users messages that have been pushed, and $waiting pushes that wait",
		"until tomorrow.  A safety poll is due every $poll s."
	],
	columns => [ 'seen', 'expected' ],
	rows => [
		[ 'CPU ms a minute, worker', sprintf('%.2f', $used[0] / $seconds * 60_000), '' ],
		[ 'CPU ms a minute, launcher', sprintf('%.2f', $used[1] / $seconds * 60_000), '' ],
		$counting ? statement_rows(@statements) : ()
	],
	notes => [
		'bar: no CPU to speak of, no statement but the safety poll',
		$counting
		? 'expected: as often as a poll, or tidying up once a minute, is due; ±1'
		: 'No statements are counted: there is no pg_stat_statements.'
	]);
figure('idle', 'worker', 'cpu', 'ms/min', $used[0] / $seconds * 60_000);
figure('idle', 'launcher', 'cpu', 'ms/min', $used[1] / $seconds * 60_000);
1;
