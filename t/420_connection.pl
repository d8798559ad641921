# What a server can do to a connection and its streams while they are in use:
# nothing is lost, what comes twice has the same apns-id, and what has
# certainly not been processed is not charged.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $users = 2000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.request_timeout = '2s'
		imp_push.connect_timeout = '2s'
		log_statement = none");

# How often the worker has sent something again at once
sub resent
{
	return $node->safe_psql('postgres',
		q{SELECT COALESCE(sum(value), 0) FROM imp_push.metrics
		WHERE name = 'imp_push_resent_total'});
}

# A message for everybody, under faults that are cleared before the end
sub push_to_all
{
	my ($name, @faults) = @_;
	my ($resent, $connections) = (resent(), $sim->stats->{connections});
	my $begun = time;
	my $figures;

	$sim->forget;
	$sim->control($_) foreach @faults;
	insert_to_users($node, $users, msg_id => $name);
	wait_settled($node);
	$sim->control('clear');
	$figures = none_lost($sim, $users, $name);
	diag(sprintf '%s: %.1f s, sent again at once %d, connections %d',
		$name, time - $begun, resent() - $resent,
		$sim->stats->{connections} - $connections);
	return $figures;
}

sub none_is_charged
{
	my ($name) = @_;

	is( $node->safe_psql(
			'postgres', "SELECT DISTINCT status, attempts
			FROM imp_push.delivery WHERE msg_id = '$name'"),
		'sent|1',
		"$name: none is charged");
	return;
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

push_to_all('GOAWAY every 200 requests', 'goaway-every 200');
none_is_charged('GOAWAY every 200 requests');
$sim->control('goaway-every 0');

push_to_all('REFUSED_STREAM on one in ten', 'fault every=10 refuse');
none_is_charged('REFUSED_STREAM on one in ten');

push_to_all('reset after the body on one in fifty', 'fault every=50 reset');
push_to_all('no answer to one in a hundred', 'fault every=100 silent');
push_to_all('the connection closed at one in three hundred',
	'fault every=300 close');
push_to_all('all of these', 'goaway-every 200', 'fault every=10 refuse',
	'fault every=50 reset', 'fault every=100 silent', 'fault every=300 close');
$sim->control('goaway-every 0');

foreach my $streams (1, 1000, 3)
{
	push_to_all("stream limit $streams", "max-streams $streams");
	none_is_charged("stream limit $streams");
}
$sim->control('max-streams 1000');

push_to_all('an answer before the body', 'fault early');
none_is_charged('an answer before the body');
push_to_all('an answer before the body, and a reset', 'fault early-stop');
none_is_charged('an answer before the body, and a reset');

# A server may take many RST_STREAMs for an attack, and end the connection with
# a GOAWAY.

$sim->stop;
$sim->start('--max-resets', 10);
is(push_to_all('a limit of resets')->{repeated},
	0, 'a limit of resets: nothing is sent twice');
is($sim->stats->{connections}, 1, 'over one connection, which stays');
none_is_charged('a limit of resets');
$sim->stop;
$sim->start;

# An outage of the server at full load

{
	my ($begun, @seconds);
	my $name = '503 for ten seconds';

	$sim->control('fault seconds=10 status=503');
	$begun = time;
	push_to_all($name);
	$seconds[ int($_->{arrived_us} / 1e6 - $begun) ]++
	  foreach grep { ($_->{status} || 0) == 503 } $sim->requests;
	$_ ||= 0 foreach @seconds;
	diag("$name: requests in each second of the outage: @seconds");

	# those that were under way, and then the probes
	cmp_ok(shift @seconds, '<', 200, "$name: most are not even tried");
	is(scalar(grep { $_ > 3 } @seconds),
		0, "$name: then only probes are sent");
}

done_testing();
