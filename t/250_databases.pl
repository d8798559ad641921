# Each database is an app of its own; databases and the extension come and go
# while their workers are busy, and nobody has to stop anything first.

use strict;
use warnings;

use ImpPush;
use Test::More;
use Time::HiRes qw(time);

my $number = 100;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	databases => 'postgres, second, renamed, copy');
my $started;

sub create_app
{
	my ($database) = @_;

	$node->safe_psql($database, 'CREATE EXTENSION imp_push');
	set_certificate($node, 'chat', $sim, database => $database);
	bind_users($node, $number, database => $database);
	$node->safe_psql($database, 'SELECT imp_push.start()');
	return;
}

# Inserts messages and waits until they are in flight and stay there.
sub make_busy
{
	my ($database) = @_;

	wait_settled($node, $database);
	$sim->forget;
	$sim->control('fault seconds=60 delay=30000');
	insert_to_users($node, $number, database => $database);
	$sim->wait_for(1);
	return;
}

sub arrive
{
	my ($database, $msg_id, $name) = @_;

	$sim->forget;
	$sim->control('clear');
	insert_to_users(
		$node, $number,
		database => $database,
		msg_id => $msg_id);
	wait_settled($node, $database);
	is( scalar(grep { $_->{json}->{m} eq $msg_id } $sim->accepted),
		$number, $name);
	return;
}

# Runs a command that has to wait for workers, and checks that they let go.
sub goes_through
{
	my ($database, $command) = @_;
	my $begun = time;

	my ($status, $stdout, $stderr) = $node->psql($database, $command);

	is($stderr, '', "$command, while the worker is busy");
	# Answers would take thirty.
	cmp_ok(time - $begun, '<', 20, 'and it does not take long');
	return;
}

bind_users($node, $number);
$node->safe_psql('postgres', 'CREATE DATABASE second');
create_app('second');

# Two apps side by side

insert_to_users($node, $number, msg_id => 'one');
insert_to_users($node, $number, msg_id => 'two', database => 'second');
$sim->wait_for_accepted(2 * $number);
wait_settled($node, $_) foreach 'postgres', 'second';
arrived_once($sim, 2 * $number, 'two databases');
isnt(
	worker_pid($node),
	worker_pid($node, 'second'),
	'each has a worker of its own');

# DROP DATABASE

make_busy('second');
goes_through('postgres', 'DROP DATABASE second');
arrive('postgres', 'after-drop', 'the other database goes on');

$node->safe_psql('postgres', 'CREATE DATABASE second');
create_app('second');
arrive('second', 'new', 'a database of the same name works as the first did');

# A busy worker of one database holds up nobody who drops another.

$node->safe_psql('postgres', 'CREATE DATABASE third');
make_busy('postgres');
goes_through('postgres', 'DROP DATABASE third');
$sim->control('clear');

# RENAME and TEMPLATE

make_busy('second');
goes_through('postgres', 'ALTER DATABASE second RENAME TO renamed');
arrive('renamed', 'after-rename', 'the renamed database goes on');

goes_through('postgres', 'CREATE DATABASE copy TEMPLATE renamed');
arrive('renamed', 'after-copy', 'the template goes on');

# DROP EXTENSION

make_busy('renamed');
goes_through('renamed', 'DROP EXTENSION imp_push CASCADE');
is( $node->safe_psql(
		'renamed',
		q{SELECT count(*) FROM pg_namespace AS n WHERE nspname = 'imp_push'
		AND (EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid) OR
			 EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid))}),
	'0',
	'DROP EXTENSION … CASCADE leaves nothing behind');
$sim->control('clear');
create_app('renamed');
arrive('renamed', 'again', 'created again, it works');

# Databases are added and removed by a reload.

$node->safe_psql('postgres', 'CREATE DATABASE late');
$node->append_conf('postgresql.conf',
	"imp_push.databases = 'postgres, late'");
$node->reload;
create_app('late');
arrive('late', 'reloaded', 'a database that a reload has added');

# A database that is not in UTF8

$node->safe_psql('postgres',
	"CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");

my ($status, $stdout, $stderr) =
  $node->psql('latin', 'CREATE EXTENSION imp_push');

like($stderr, qr/ERROR: .*UTF8/,
	'a database that is not in UTF8 is refused');

done_testing();
