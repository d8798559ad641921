# Where a worker has to run there is one, and where it has to make way it does.
#
# Nobody here has a device: a worker shows that it works by giving messages
# their outcome, no_device_token.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $node = new_node(
	'main',
	databases => 'postgres, second, "Mixed Case"',
	conf => "restart_after_crash = on\nlog_min_messages = debug1\n");
my $message = 0;

sub create_app
{
	my ($database) = @_;

	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	$node->safe_psql($database, 'CREATE EXTENSION imp_push');
	my ($status, $stdout, $stderr) =
	  $node->psql($database, 'SELECT imp_push.start()');

	return $stderr;
}

# The worker processes of a database.
sub workers
{
	my ($database) = @_;

	return $node->safe_psql('postgres',
		qq{SELECT pid FROM pg_stat_activity
		   WHERE backend_type = 'imp_push worker' AND datname = '$database'});
}

# The worker process of a database, once it works.
sub working
{
	my ($database, $name) = @_;
	my $msg_id = insert_message($node, 'user', ++$message,
		database => $database);

	$node->poll_query_until(
		$database,
		"SELECT reason = 'no_device_token' FROM imp_push.delivery
		 WHERE recipient = 'user' AND msg_id = '$msg_id'")
	  or die "$database does not work";
	ok(1, $name) if defined $name;
	return workers($database);
}

sub gone
{
	my ($database, $name) = @_;

	wait_until(sub { return workers($database) eq '' },
		undef, "the worker of $database to leave");
	ok(1, $name);
	return;
}

sub logged
{
	return PostgreSQL::Test::Utils::slurp_file($node->logfile);
}

# How often a worker was registered for a database.
sub registered
{
	my ($database) = @_;

	return scalar(() = logged() =~
		  /registering background worker "imp_push worker of database $database"/g
	);
}

sub launcher
{
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity
		  WHERE backend_type = 'imp_push launcher'});
}

# Databases that are not there yet

my $absent = qr/database "second" in "imp_push.databases" does not exist/;

$node->wait_for_log($absent);
create_app('second');
working('second', 'a database that comes later');
create_app('Mixed Case');
working('Mixed Case', 'a name in double quotes');
is(scalar(() = logged() =~ /$absent/g),
	1, 'that there was none is said once');

# start() and stop()

$node->safe_psql('postgres', 'SELECT imp_push.stop()');
gone('postgres', 'the worker of a database that is stopped leaves');
$node->safe_psql('postgres', 'BEGIN; SELECT imp_push.start(); ROLLBACK');
is(workers('postgres'), '', 'a start() that is rolled back');
$node->safe_psql('postgres', 'SELECT imp_push.start()');
working('postgres', 'start() brings it back');
$node->safe_psql('postgres',
	"SELECT imp_push.stop();\nSELECT imp_push.start();\n" x 20);
working('postgres', 'a start() while the worker is leaving');

# The launcher may go at any time.

my $worker = working('postgres');
my $launcher = launcher();

$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher, 10000)");
wait_until(sub { return launcher() ne '' }, undef, 'the launcher');
is(working('postgres'), $worker, 'the worker stays while the launcher changes');
$node->safe_psql('postgres', 'SELECT imp_push.stop()');
gone('postgres', 'and stops');
$node->safe_psql('postgres', 'SELECT imp_push.start()');
working('postgres', 'and starts');

# Only those who may run a command drive out a worker with it.

$worker = working('second');
$node->safe_psql('postgres', 'CREATE ROLE anybody LOGIN');
my @refused = (
	[ 'postgres', 'DROP DATABASE second' ],
	[ 'postgres', 'ALTER DATABASE second RENAME TO third' ],
	[ 'postgres', 'CREATE DATABASE third TEMPLATE second' ],
	[ 'second', 'DROP EXTENSION imp_push CASCADE' ],
	[ 'second', 'SELECT imp_push.start()' ],
	[ 'second', 'SELECT imp_push.stop()' ]);
foreach (@refused)
{
	my ($database, $command) = @$_;
	my ($status, $stdout, $stderr) =
	  $node->psql($database, "SET ROLE anybody; $command");

	like($stderr, qr/ERROR/, "$command, by a role that may not");
}
is(working('second'), $worker, 'nobody has driven out the worker');

# Commands that fail

my ($status, $stdout, $stderr) =
  $node->psql('postgres', 'ALTER DATABASE second RENAME TO postgres');
like($stderr, qr/already exists/, 'a RENAME that fails');
isnt(working('second'), $worker, 'brings the worker back');

$node->safe_psql('second', 'BEGIN; DROP EXTENSION imp_push CASCADE; ROLLBACK');
working('second', 'a DROP EXTENSION that is rolled back, too');
$node->safe_psql('second',
	'BEGIN; SAVEPOINT s; DROP EXTENSION imp_push CASCADE;
	 ROLLBACK TO s; COMMIT');
working('second', 'or that a savepoint takes back');

# A database that is not on the list

like(create_app('extra'), qr/WARNING:.*restart.*HINT:.*imp_push\.databases/s,
	'start() warns in a database that is not on the list');
$worker = working('extra', 'and works');
$node->psql('extra', 'SELECT imp_push.start()');
is(working('extra'), $worker, 'start() again starts no other');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker, 10000)");
isnt(working('extra'), $worker, 'its worker comes back when terminated');
is(registered('extra'), 1, 'and only the postmaster brings it back');
$node->safe_psql('postgres', 'ALTER DATABASE extra RENAME TO more');
working('more', 'and after a RENAME');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE more');
working('more', 'and after it was copied');
is(workers('copy'), '', 'the copy has none');
$node->safe_psql('more', 'SELECT imp_push.stop()');
gone('more', 'stop() ends it');
my $starting = $node->background_psql('more');
$starting->query_safe('SET client_min_messages = error');
$starting->query_safe('BEGIN');
$starting->query_safe('SELECT imp_push.start()');
$starting->query_safe('COMMIT');
$starting->quit;
working('more', 'start() counts from its commit on');

# The crash of a worker: the postmaster restarts everything.

$worker = working('more');
kill_worker($node, $worker);
isnt(working('more'), $worker, 'kill -9: workers that start() has started');
working('second', 'kill -9: workers of the launcher');

# A database that was dropped leaves nobody behind who asks for it.

$node->safe_psql('postgres', 'DROP DATABASE more');
$node->safe_psql('postgres', 'DROP DATABASE second WITH (FORCE)');
working('postgres', 'DROP DATABASE');
unlike(logged(), qr/FATAL:  database/,
	'no worker looks for a database that is gone');

# The list changes.

$node->append_conf('postgresql.conf', "imp_push.databases = 'postgres'");
$node->reload;
gone('Mixed Case', 'a database that is taken from the list');
$node->append_conf('postgresql.conf',
	qq{imp_push.databases = 'postgres, "Mixed Case"'});
$node->reload;
working('Mixed Case', 'and put back');
$node->append_conf('postgresql.conf', q{imp_push.databases = 'a, "b'});
$node->reload;
$node->wait_for_log(qr/invalid value for parameter "imp_push.databases"/);
working('Mixed Case', 'a list that is none changes nothing');
$node->stop;

# No background worker is left: this leaves room for our launcher, the one of
# logical replication, and one worker.

$node->append_conf('postgresql.conf',
	"max_worker_processes = 3\nimp_push.databases = 'postgres'\n");
$node->start;
working('postgres', 'the one worker that there is room for');
($status, $stdout, $stderr) =
  $node->psql('Mixed Case', 'SELECT imp_push.start()');
like($stderr, qr/ERROR:.*background worker.*HINT:.*max_worker_processes/s,
	'start() says that there is no room for another');
$node->append_conf('postgresql.conf',
	qq{imp_push.databases = 'postgres, "Mixed Case"'});
$node->reload;
$node->wait_for_log(
	qr/no background worker left for database "Mixed Case".*HINT:[^\n]*max_worker_processes/s
);
$node->safe_psql('postgres', 'SELECT imp_push.stop()');
working('Mixed Case', 'it starts as soon as there is room');

$node->stop;
done_testing();
