# Crashes under load: the worker is killed 20 times, the server is stopped at
# once 5 times.  Nothing is lost, what comes twice is recognisably the same, and
# nobody is blamed.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use List::Util qw(sum0);
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
		jit = off
		imp_push.max_in_flight = $in_flight");

# Inserts for everybody, and calls the fault when part of it has arrived, which
# returns when the server is back.  All is over before the next round, so that
# what comes twice was in flight.  Returns how much that was.
sub strike
{
	my ($round, $fault) = @_;
	my $figures;

	$sim->forget;
	insert_to_users($node, $users, msg_id => $round);
	wait_until(sub { return @{ $sim->read_logs } >= 50 },
		undef, 'part of it');
	$fault->();
	wait_settled($node);
	$figures = none_lost($sim, $users, $round);
	cmp_ok($figures->{repeated}, '<=', $in_flight,
		"$round: no more comes twice than was in flight");
	return $figures->{repeated};
}

sub check
{
	my ($number, $name, @repeated) = @_;

	diag("$name: repeated " . sum0(@repeated));
	cmp_ok(scalar(grep { $_ > 0 } @repeated),
		'>', @repeated / 2, "$name: in the midst of it");
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

my $kills = 20;
my $stops = 5;
my @repeated;

$sim->control('fault delay=50');
push @repeated, strike("killed $_", sub { kill_worker($node, worker_process($node)) })
  foreach 1 .. $kills;
check(1 + $kills * $users, "kill -9, $kills times", @repeated);
is( scalar(() = slurp_file($node->logfile) =~
		  /imp_push worker.*terminated by signal 9/g),
	$kills,
	"the server has lost its worker $kills times");

sub stop_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

@repeated = map { strike("stopped $_", \&stop_server) } 1 .. $stops;
check(1 + ($kills + $stops) * $users,
	"immediate stop, $stops times", @repeated);

done_testing();
