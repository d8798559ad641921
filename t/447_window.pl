# How many requests are under way at once: as many as there is room for, however
# long the answers take, but no more than the server takes without refusing.

use strict;
use warnings;

use ImpPush;
use ImpPush::Rounds;
use List::Util qw(max);
use Test::More;

my $users = 5000;
my $delay = 500;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		jit = off");

# The most requests that arrived before the first of them was answered
sub most_under_way
{
	my @arrived_us = sort { $a <=> $b }
	  map { /"arrived_us":(\d+)/ } @{ $sim->read_logs };
	my $first = 0;
	my $most = 0;

	foreach my $last (0 .. $#arrived_us)
	{
		$first++
		  while $arrived_us[$first] <= $arrived_us[$last] - $delay * 1000;
		$most = max($most, $last - $first + 1);
	}
	return $most;
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

my $rounds = ImpPush::Rounds->new($node, $sim);

{
	my $name = 'answers that take their time';
	my $figures = $rounds->push_to($users, $name, "fault delay=$delay");
	my $most = most_under_way();

	diag("$name: at most $most under way");

	# (A slow machine may not make as many in that time.)
	cmp_ok($most, '>', 500, "$name: there are more with each round trip");
	cmp_ok($most, '<=', 1000, "$name: but no more than max_in_flight allows");
	$rounds->no_doubt($name, $figures);
}

# All of them were started before the first refusal could be heard of.
{
	my $name = 'three hundred refused before anything is answered';
	my $figures = $rounds->push_to(1000, $name,
		'fault count=300 refuse', "fault delay=$delay");

	is($figures->{again}, 300, "$name: those come again");
	is($figures->{opened}, 0, "$name: over the same connection");
	$rounds->no_doubt($name, $figures);
}

# A new connection begins with 64 after its first answer.  Each full round trip
# would double that.
{
	my $name = 'a server that refuses streams beyond some forty';
	my $refused = 20;
	my $number = 500;
	my $figures;

	$sim->control('close');
	insert_message($node, 'user1', 'hello', msg_id => "before $name");
	wait_settled($node);
	$figures = $rounds->push_to($number, $name,
		"fault count=$refused refuse", "fault delay=$delay");
	is($figures->{again}, $refused, "$name: those come again");
	cmp_ok(most_under_way(), '<', 150, "$name: there are not many more from then on");
	$rounds->no_doubt($name, $figures);
}

done_testing();
