# What a server can do to a connection and its streams while they are in use:
# nothing is lost, what comes twice has the same apns-id, and what has
# certainly not been processed is not charged.

use strict;
use warnings;

use ImpPush;
use ImpPush::Rounds;
use Test::More;

my $users = 2000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		jit = off");

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

my $rounds = ImpPush::Rounds->new($node, $sim);

{
	my $name = 'GOAWAY every 200 requests';
	my $figures = $rounds->push_to($users, $name, 'goaway-every 200');

	# The last one may be yet to come.
	cmp_ok($figures->{opened}, '>=', $users / 200 - 1,
		"$name: each ends a connection");
	$rounds->no_doubt($name, $figures);
	$sim->control('goaway-every 0');
}

{
	my $name = 'REFUSED_STREAM on one in ten';
	my $figures = $rounds->push_to($users, $name, 'fault every=10 refuse');

	cmp_ok($figures->{fired}, '>=', $users / 10, "$name: that many are refused");
	is($figures->{again}, $figures->{fired},
		"$name: what is refused is sent again, and nothing else");
	is($figures->{opened}, 0, "$name: over the same connection");
	$rounds->no_doubt($name, $figures);
}

{
	my $name = 'reset after the body on one in fifty';
	my $figures = $rounds->push_to($users, $name, 'fault every=50 reset');

	cmp_ok($figures->{fired}, '>=', $users / 50, "$name: that many are reset");
	is($figures->{resent}, $figures->{fired},
		"$name: each of these is sent again, and nothing else");
}

# Only from here on somebody is to miss a deadline.
$node->append_conf('postgresql.conf', "imp_push.request_timeout = '2s'");
$node->reload;

{
	my $name = 'no answer to one in a hundred';
	my $figures = $rounds->push_to($users, $name, 'fault every=100 silent');

	cmp_ok($figures->{fired}, '>=', $users / 100,
		"$name: that many get no answer");

	# On a busy machine others may miss their deadline, too.
	cmp_ok($figures->{resent}, '>=', $figures->{fired},
		"$name: each of these is sent again");
}

{
	my $name = 'the connection closed at one in three hundred';
	my $figures = $rounds->push_to($users, $name, 'fault every=300 close');

	cmp_ok($figures->{fired}, '>=', int($users / 300), "$name: so often");
	cmp_ok($figures->{opened}, '>=', $figures->{fired},
		"$name: each time there is another");

	# A connection that has proved itself for a while carries no more.
	cmp_ok($figures->{repeated}, '<=', $figures->{fired} * 100,
		"$name: no more comes twice than was under way");
}

{
	my $name = 'refused streams among those without an answer';
	my $figures = $rounds->push_to($users, $name, 'fault every=10 refuse',
		'fault every=100 silent');

	# That a stream is refused does not say that there are too many.
	cmp_ok($figures->{seconds}, '<', $users / 100,
		"$name: these do not wait for each other's deadline, which is 2 s");
}

{
	my $name = 'all of these';
	my $number = 600;
	my $figures = $rounds->push_to($number, $name, 'goaway-every 200',
		'fault every=10 refuse', 'fault every=50 reset',
		'fault every=100 silent', 'fault every=300 close');

	cmp_ok($figures->{fired}, '>=', $number / 10, "$name: so often");
	$sim->control('goaway-every 0');
}

done_testing();
