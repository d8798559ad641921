# What a server can do to the streams of a connection that is sound: their limit
# is obeyed, and answers may come early; nothing is sent twice.

use strict;
use warnings;

use ImpPush;
use ImpPush::Rounds;
use Test::More;

my $everybody = 20_000;
my $users = 2000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		jit = off");

bind_users($node, $everybody);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

my $rounds = ImpPush::Rounds->new($node, $sim);

# The limit holds for whatever comes after its acknowledgement; a stream too
# many, and the simulator ends the connection.

foreach my $streams (1, 1000, 3)
{
	my $name = "stream limit $streams";
	my $figures;

	$sim->control("max-streams $streams");
	insert_message($node, 'user1', 'hello', msg_id => "before $name");
	wait_settled($node);
	$figures = $rounds->push_to($users, $name);
	is($figures->{again}, 0, "$name: nothing is refused");
	is($figures->{opened}, 0, "$name: and the connection stays");
	$rounds->no_doubt($name, $figures);
}
$sim->control('max-streams 1000');

# Changed while pushes are under way: what crosses the news may be refused.

{
	my $name = 'stream limits 1000, 1 and 3 while pushes are under way';
	my @changed;
	my $figures = $rounds->push_to(
		$users, $name,
		'fault delay=50',
		sub {
			foreach my $change ([ 300, 1 ], [ 800, 3 ])
			{
				my ($arrived, $streams) = @$change;

				wait_until(sub { return @{ $sim->read_logs } >= $arrived },
					undef, "$arrived requests");
				$sim->control("max-streams $streams");
				$sim->control('clear');
				push @changed, scalar @{ $sim->read_logs };
			}
		});

	diag("$name: changed after @changed requests");
	cmp_ok($changed[1], '<', $users, "$name: in the midst of it");
	is($figures->{opened}, 0, "$name: the connection stays");
	$rounds->no_doubt($name, $figures);
	$sim->control('max-streams 1000');
}

# libcurl 7.88.1 is known to lose some of these.

foreach my $case (
	[ 'an answer before the body', 'early', $everybody ],
	[ 'an answer before the body, and a reset', 'early-stop', $users ])
{
	my ($name, $what, $number) = @$case;
	my $figures = $rounds->push_to($number, $name, "fault $what");

	diag("$name: $number requests, with " . `curl-config --version`);
	is($figures->{fired}, $number, "$name: for all of them");
	is($figures->{again}, 0, "$name: nothing is sent again");
	$rounds->no_doubt($name, $figures);
}

# A server may take many RST_STREAMs for an attack, and end the connection with
# a GOAWAY.

$sim->stop;
$sim->start('--max-resets', 10);
{
	my $name = 'a limit of resets';

	$rounds->no_doubt($name, $rounds->push_to($users, $name));
	is($sim->stats->{connections}, 1, "$name: over one connection, which stays");
}

done_testing();
