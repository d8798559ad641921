# Crashes under load: the worker is killed 20 times, the server is stopped at
# once 5 times.  Nothing is lost, what comes twice is recognisably the same, and
# nobody is blamed.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 1000;
my $in_flight = 200;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "restart_after_crash = on
		log_statement = none
		imp_push.max_in_flight = $in_flight");

sub wait_for_server
{
	wait_until(
		sub {
			my ($status) = $node->psql('postgres', 'SELECT 1');

			return $status == 0;
		},
		undef, 'the server');
	return;
}

# Inserts for everybody, and calls the fault when part of it has arrived.
sub insert_and_strike
{
	my ($round, $strike) = @_;
	my $before = accepted_count($sim);

	insert_to_users($node, $users, msg_id => $round);
	$sim->wait_for_accepted($before + 50);
	$strike->();
	wait_for_server();
	return;
}

sub check
{
	my ($number, $crashes, $name) = @_;
	my $figures;

	wait_settled($node);
	$figures = none_lost($sim, $number, $name, $node);
	cmp_ok($figures->{repeated}, '<=', $crashes * $in_flight,
		"$name: no more comes twice than was in flight");
	is( $node->safe_psql(
			'postgres',
			'SELECT status, count(*) FROM imp_push.delivery GROUP BY status'),
		"sent|$number",
		"$name: delivery says sent of all of them");
	is($sim->stats->{jwts}, 1, "$name: not one new provider token");
	return;
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
$sim->wait_for_accepted(1);

# The answers take a moment, so that there is always something in flight.

my $crashes = 20;

$sim->control('fault delay=20');
foreach my $round (1 .. $crashes)
{
	insert_and_strike(
		"killed $round",
		sub {
			my $pid = worker_process($node);

			kill 'KILL', $pid if $pid;
			wait_until(sub { return !$pid || !-e "/proc/$pid" },
				undef, 'it to die');
		});
}
check(1 + $crashes * $users, $crashes, "kill -9, $crashes times");

my $stops = 5;

$sim->control('clear');
$sim->control('fault delay=400');

foreach my $round (1 .. $stops)
{
	insert_and_strike(
		"stopped $round",
		sub {
			$node->stop('immediate');
			$node->start;
		});
}
check(
	1 + ($crashes + $stops) * $users,
	$crashes + $stops,
	"immediate stop, $stops times");

done_testing();
