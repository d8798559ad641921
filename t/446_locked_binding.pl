# A binding that is locked for long when its token is found to be dead is tried
# now and then, and not with everything that is settled meanwhile.

use strict;
use warnings;

use ImpPush;
use Test::More;
use Time::HiRes qw(time);

my $messages = 60;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		track_functions = 'pl'");
my ($in, $out) = ('', '');
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout(300));
my $begun;
my $calls;

# How often the worker has tried to disable bindings; it reports once a second.
sub tries
{
	my ($at_least) = @_;
	my $count = q{SELECT calls FROM pg_stat_user_functions
		WHERE schemaname = 'imp_push' AND funcname = 'disable_tokens'};

	$node->poll_query_until('postgres', "SELECT ($count) >= $at_least")
	  or die 'nobody tries';
	return $node->safe_psql('postgres', $count);
}

bind_users($node, 2);
$in .= "BEGIN; SELECT 'locked' FROM imp_push.device_token
	WHERE user_id = 'user1' FOR UPDATE;\n";
$session->pump until $out =~ /locked/;
$sim->control('fault status=410 prefix=' . token_of('user1'));
$begun = time;

# Half of the messages are for it, too.
foreach my $i (1 .. $messages)
{
	insert_message($node, 'user' . (1 + $i % 2), 'hello', msg_id => "m $i");
	$sim->wait_for($i);
}
wait_settled($node);
$calls = tries(2);
diag(sprintf 'tried %d times in %.1f s', $calls, time - $begun);
cmp_ok($calls, '<', time - $begun + 3, 'it is tried once a second');
cmp_ok(tries($calls + 2),
	'>', $calls, 'and the server is told of it, though nothing else happens');
$in .= "COMMIT;\n\\q\n";
$session->finish;
ok( $node->poll_query_until(
		'postgres', q{SELECT disabled_reason = 'Unregistered'
		FROM imp_push.device_token WHERE user_id = 'user1'}),
	'and is disabled when it is free');

done_testing();
