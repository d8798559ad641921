# A new connection is warmed up: one request, and nothing more on it before that
# is answered, for APNs allows one stream until it has accepted a request.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 2000;
my $connections = 3;
my $delay = 200;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.connections = $connections
		log_statement = none");

# When the requests have come, on each connection, in milliseconds since its
# first one
sub arrivals_by_connection
{
	my %arrived;

	foreach my $line (@{ $sim->read_logs })
	{
		my ($connection) = $line =~ /"connection":(\d+)/;
		my ($arrived_us) = $line =~ /"arrived_us":(\d+)/;

		push @{ $arrived{$connection} }, $arrived_us / 1000;
	}
	foreach my $times (values %arrived)
	{
		my $first = $times->[0];

		$_ -= $first foreach @$times;
	}
	return values %arrived;
}

# A message for everybody, over new connections, to a server whose answers take
# their time.  The first so many requests on each connection have to wait for
# each other; behind them all that there is room for comes at once.
sub push_over_new_connections
{
	my ($name, $alone, @faults) = @_;
	my @arrivals;
	my $figures;

	$sim->control('close');
	$sim->control($_) foreach @faults, "fault delay=$delay";
	$sim->forget;
	insert_to_users($node, $users, msg_id => $name);
	wait_until(sub { return @{ $sim->read_logs } >= $users / 4 },
		undef, 'a quarter of them');
	$sim->control('clear');
	settle_soon($node);
	$sim->control('reset');

	@arrivals = arrivals_by_connection();
	cmp_ok(scalar @arrivals, '>=', $connections,
		"$name: over so many new connections");
	foreach my $i (1 .. $alone)
	{
		my @after = map { $_->[$i] - $_->[ $i - 1 ] } grep { @$_ > $i } @arrivals;

		diag(sprintf '%s: ms between request %d of a connection and the next: %s',
			$name, $i, join ', ', map { sprintf '%.0f', $_ } @after);

		# The simulator's clock for delays counts whole milliseconds.
		is(scalar(grep { $_ < $delay - 2 } @after),
			0, "$name: request " . ($i + 1) . ' comes after the answer');
	}
	foreach my $times (@arrivals)
	{
		my @fanned = grep { $_ < $times->[$alone] + $delay } @$times;

		cmp_ok(@fanned - $alone, '>', 10, "$name: then it fans out")
		  if @$times > $users / $connections / 2;
	}

	$figures = none_lost($sim, $users, $name, $node);
	is($figures->{repeated}, 0, "$name: nothing is sent twice");
	is(sent_again($node), 0, "$name: nothing is refused");
	return $figures;
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

push_over_new_connections('a server without haste', 1);
push_over_new_connections('one stream until the first is accepted',
	1, 'one-stream on');
push_over_new_connections('the first answer is a 503',
	2, 'one-stream on', "fault count=$connections status=503 delay=$delay");
is( $node->safe_psql(
		'postgres', q{SELECT attempts, count(*) FROM imp_push.delivery
		WHERE msg_id = 'the first answer is a 503' GROUP BY 1 ORDER BY 1}),
	"1|" . ($users - $connections) . "\n2|$connections",
	'only those that got it are charged');

done_testing();
