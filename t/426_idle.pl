# Connections that carry nothing, or bring no answers: when they are trusted no
# longer.  Time passes by a clock of our own (t/lib/fake_clock.c).

use strict;
use warnings;

use File::Spec;
use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

my $timeout = 30;
my $sim = start_simulator();
my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $seconds = 0;

command_ok(
	[
		$ENV{CC} || 'cc', '-shared', '-fPIC', '-o', "$folder/fake_clock.so",
		't/lib/fake_clock.c', '-ldl'
	],
	'a clock of our own');
$ENV{FAKE_CLOCK} = "$folder/seconds";
append_to_file($ENV{FAKE_CLOCK}, pack 'q', $seconds);
$ENV{LD_PRELOAD} = "$folder/fake_clock.so";

my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.request_timeout = '${timeout}s'
		log_statement = none");

# In place: servers have it mapped.
sub let_pass
{
	my ($more) = @_;

	$seconds += $more;
	open my $file, '+<:raw', $ENV{FAKE_CLOCK} or die "$ENV{FAKE_CLOCK}: $!\n";
	print $file pack 'q', $seconds;
	close $file or die "$ENV{FAKE_CLOCK}: $!\n";
	return;
}

# The connection that a message takes
sub connection_of
{
	my ($msg_id) = @_;

	$sim->forget;
	insert_message($node, 'user9', 'hello', msg_id => $msg_id);
	$node->poll_query_until(
		'postgres', "SELECT status = 'sent' FROM imp_push.delivery
		WHERE msg_id = '$msg_id'") or die "$msg_id is not sent";
	return (grep { $_->{json}->{m} eq $msg_id } $sim->accepted)[0]->{connection};
}

# Together with one that is answered so many requests go out that are not, until
# their time is over.
sub miss_deadlines
{
	my ($number, $name) = @_;

	$sim->control('fault count=1 silent prefix='
		  . substr(token_of('user' . ($_ + 1)), 0, 16))
	  foreach 1 .. $number;
	insert_to_users($node, $number + 1, msg_id => $name);
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = 1 FROM imp_push.delivery
			WHERE msg_id = '$name' AND status = 'sent'"),
		"$name: one is answered");
	let_pass($timeout + 1);
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = $number FROM imp_push.delivery
			WHERE msg_id = '$name' AND reason = 'timeout'"),
		"$name: $number get no answer in time");
	return;
}

bind_users($node, 10);

my $connection = connection_of('first');

# TCP's keep-alive: a timer of the second kind (proc(5), tcp), hundredths of a
# second
{
	my $port = sprintf '%04X', $sim->port;
	my $due;

	wait_until(
		sub {
			($due) = slurp_file('/proc/net/tcp') =~
			  /^\s*\d+: \S+ [0-9A-F]{8}:$port 01 \S+ 02:([0-9A-F]+)/m;
			return defined $due;
		},
		undef,
		'a timer for the connection that is idle');
	diag(sprintf 'keep-alive in %.1f s', hex($due) / 100);
	cmp_ok(hex($due), '<=', 60 * 100,
		'within a minute an idle connection is asked whether it is alive');
}

let_pass(500);
is(connection_of('eight minutes'),
	$connection, 'a connection that was idle for eight minutes is used');
let_pass(601);
my $another = connection_of('ten minutes');
isnt($another, $connection, 'one that was idle for ten minutes is not');
wait_until(sub { return $sim->stats->{open} == 1 }, undef, 'it to be closed');
$connection = $another;

# Deadlines.  An answer in between makes up for those before it.

foreach my $name ('two requests', 'two more')
{
	miss_deadlines(2, $name);
	is(connection_of("after $name"),
		$connection, "$name: the connection is used on");
	settle_soon($node);
}
miss_deadlines(3, 'three in a row');
isnt(connection_of('after three in a row'),
	$connection, 'three in a row: another one is used');
settle_soon($node);
wait_until(sub { return $sim->stats->{open} == 1 },
	undef, 'the old one to be closed');
is($node->safe_psql('postgres', 'SELECT DISTINCT status FROM imp_push.delivery'),
	'sent', 'in the end all are sent');

done_testing();
