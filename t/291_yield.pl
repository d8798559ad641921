# Where the processors have more to do than they can, the worker lets those who
# insert go first, and nobody waits for his push for much longer than
# imp_push.yield_limit.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $number = 2000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		imp_push.yield_limit = '1s'");
my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
my @busy;

# Programs that would like to have a processor each, for two minutes at most
sub take_processors
{
	my ($count) = @_;

	foreach (1 .. $count)
	{
		my $pid = fork;

		die "fork: $!" if !defined $pid;
		if ($pid == 0)
		{
			alarm 120;
			1 while 1;
		}
		push @busy, $pid;
	}
	return;
}

sub give_them_back
{
	kill 'KILL', @busy;
	waitpid $_, 0 foreach splice @busy;
	return;
}

# Commits one message after the other for different people, by four sessions,
# and says how long the slowest took to arrive (ms).
sub slowest
{
	my ($name) = @_;

	$sim->forget;
	$node->safe_psql('postgres',
		'DELETE FROM imp_push.offline_message; ALTER SEQUENCE person RESTART');
	$node->command_ok(
		[ 'pgbench', '-n', '-c', 4, '-t', $number / 4, '-f', $script, 'postgres' ],
		"$name: messages are inserted");
	$sim->wait_for_accepted($number);
	wait_settled($node);
	arrived_once($sim, $number, $name);
	return (latencies($node, $sim))[-1];
}

END
{
	local $?;
	give_them_back();
}

bind_users($node, $number);
$node->safe_psql('postgres', 'CREATE SEQUENCE person');
append_to_file($script,
	q{INSERT INTO imp_push.offline_message (sender, recipient, body)
	VALUES ('sender', 'user' || nextval('person'), 'hello');});

diag(sprintf 'alone: the slowest after %.0f ms', slowest('alone'));
take_processors(8);
my $slowest = slowest('crowded');
give_them_back();
diag(sprintf 'eight others want a processor: the slowest after %.0f ms', $slowest);
cmp_ok($slowest, '<', 10_000, 'nobody waits for much longer than the limit');

done_testing();
