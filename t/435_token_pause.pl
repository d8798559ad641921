# A provider token that comes to its end while APNs wants no new one: its
# certificates wait, and nobody else does.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 100;
my $other_key = make_keys('TEAM000002', 'KEY0000002');
my $sim = start_simulator(
	args => [
		'--key',
		"$other_key->{team_id}:$other_key->{key_id}:$other_key->{public}"
	]);
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none
		imp_push.max_in_flight = 40');

# Two certificates with one key, and one with another
set_certificate($node, 'second', $sim, bundle_id => 'com.example.second');
set_certificate($node, 'other', $sim,
	bundle_id => 'com.example.other',
	key => $other_key);
bind_users($node, $users);
foreach my $name ('second', 'other')
{
	$node->safe_psql('postgres',
		"SELECT imp_push.bind_device('$name', 'phone', '$name', '"
		  . token_of($name)
		  . "')");
}

sub circuit_is
{
	my ($certificate, $state, $name) = @_;

	return ok(
		$node->poll_query_until(
			'postgres', "SELECT coalesce(circuit_reason, circuit) = '$state'
			FROM imp_push.certificate_status
			WHERE certificate = '$certificate'"),
		$name);
}

sub provider_tokens
{
	my %tokens = map { $_->{headers}->{authorization} => 1 }
	  grep { $_->{headers}->{'apns-topic'} ne 'com.example.other' }
	  $sim->requests;

	return scalar keys %tokens;
}

insert_message($node, $_, 'hello', msg_id => 'warm')
  foreach 'user1', 'second', 'other';
wait_settled($node);

# APNs has had too many; what is there already is good for a while.
$sim->control('fault topic=com.example.chat count=1 status=429'
	  . ' reason=TooManyProviderTokenUpdates');
insert_message($node, 'user1', 'hello', msg_id => 'one too many');
wait_settled($node);
circuit_is('chat', 'closed', 'the provider token there is goes on being used');

# Then it is at its end.
$node->safe_psql('postgres',
	q{UPDATE imp_push.provider_token SET issued_at = issued_at - interval '55 min'
	WHERE team_id = 'TEAM000001'});
$sim->control(
	"fault topic=com.example.$_ status=403 reason=ExpiredProviderToken")
  foreach 'chat', 'second';
insert_to_users($node, $users, msg_id => 'ended');
circuit_is('chat', 'TooManyProviderTokenUpdates',
	'at its end, and no new one allowed: the circuit opens');
insert_message($node, 'second', 'hello', msg_id => 'ended');
circuit_is('second', 'TooManyProviderTokenUpdates',
	'as does that of another certificate with that key');
insert_message($node, 'other', 'hello', msg_id => 'other');
ok( $node->poll_query_until(
		'postgres', q{SELECT status = 'sent'
		FROM imp_push.delivery WHERE msg_id = 'other'}),
	'a certificate with another key sends on');
is( $node->safe_psql(
		'postgres', q{SELECT sum(attempts) FROM imp_push.delivery
		WHERE msg_id = 'ended'}),
	'0', 'what waits is not charged');

# APNs takes it again.
$sim->control('clear');
wait_settled($node);
none_lost($sim, $users + 6, 'mended');
is(provider_tokens(), 1, 'and no new one has been made');

done_testing();
