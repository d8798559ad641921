# An open circuit is tried with something that goes out: a device that APNs
# asks to spare does not keep all the others waiting.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

bind_users($node, 3);

# It would be the first to be tried.
$node->safe_psql('postgres',
	q{UPDATE imp_push.device_token SET registered_at = now() + interval '1 s'
	WHERE user_id = 'user1'});

sub spare
{
	my ($msg_id) = @_;

	insert_message($node, 'user1', 'hello', msg_id => $msg_id);
	$node->poll_query_until(
		'postgres', qq{SELECT reason = 'TooManyRequests'
		FROM imp_push.delivery WHERE msg_id = '$msg_id'})
	  or die 'no TooManyRequests';
	return;
}

sub circuit_is
{
	my ($state) = @_;

	$node->poll_query_until('postgres',
		"SELECT circuit = '$state' FROM imp_push.certificate_status")
	  or die "the circuit is not $state";
	return;
}

# Not before its time; a busy machine is no excuse for that.
sub is_spared_still
{
	my ($name) = @_;

	return is(
		$node->safe_psql(
			'postgres', q{SELECT bool_and(next_attempt_at > now())
			FROM imp_push.delivery WHERE recipient = 'user1'}),
		't', $name);
}

$sim->control('fault status=429 prefix=' . token_of('user1'));
spare('busy 1');
$sim->control('clear');
$sim->control('fault status=403 reason=InvalidProviderToken');
insert_message($node, 'user2', 'hello', msg_id => 'waits');
circuit_is('open');

# What comes now could be tried, too: it is spared as well.
$sim->forget;
spare('busy 2');
$sim->wait_for(2);
is(scalar(grep { $_->{token} eq token_of('user1') } $sim->requests),
	0, 'a device that is spared is not tried');
$sim->control('clear');
circuit_is('closed');
is_spared_still('the circuit closes while it is spared');
ok( $node->poll_query_until(
		'postgres', q{SELECT (status, attempts) = ('sent', 1)
		FROM imp_push.delivery WHERE msg_id = 'waits'}),
	'by the push of another device, which was not charged before');

done_testing();
