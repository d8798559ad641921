# What a device has acknowledged is not pushed any more.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);

sub status_of
{
	my ($msg_id) = @_;

	return $node->safe_psql(
		'postgres', "SELECT status, reason FROM imp_push.delivery
		WHERE msg_id = '$msg_id' ORDER BY device_id");
}

bind_users($node, 3);
$sim->stop;
insert_message($node, 'user1', "message $_", msg_id => "m-$_") foreach 1 .. 3;
ok( $node->poll_query_until(
		'postgres',
		q{SELECT waiting = 3 FROM imp_push.certificate_status}),
	'three pushes wait for a server that is not there');

is( $node->safe_psql(
		'postgres', q{SELECT string_agg(msg_id, ' ')
		FROM imp_push.fetch_offline_messages('user1')}),
	'm-1 m-2 m-3',
	'a device that logs in fetches them, oldest first');
is( $node->safe_psql(
		'postgres', q{SELECT imp_push.ack_offline_messages('user1',
			(SELECT array_agg(id) FROM imp_push.offline_message
			 WHERE msg_id IN ('m-1', 'm-2')) || -1::bigint)}),
	'2',
	'and acknowledges two of them');
is($node->safe_psql('postgres', q{SELECT imp_push.offline_message_count('user1')}),
	'1', 'one is left');

$sim->start;
$sim->wait_for_accepted(1);
wait_settled($node);
arrived_once($sim, 1, 'one push');
is(($sim->accepted)[0]->{json}->{m}, 'm-3', 'the one not acknowledged');
is(($sim->accepted)[0]->{json}->{aps}->{badge},
	1, 'with the badge of the moment it is sent');
is(status_of('m-1'), 'cancelled|acknowledged', 'the first is cancelled');
is(status_of('m-2'), 'cancelled|acknowledged', 'and so is the second');
is(status_of('m-3'), 'sent|', 'the third is sent');

# Acknowledged while the push is on its way

$sim->control('fault count=1 delay=500');
insert_message($node, 'user2', 'slow', msg_id => 'm-4');
$sim->wait_for(2);
$node->safe_psql('postgres',
	"DELETE FROM imp_push.offline_message WHERE msg_id = 'm-4'");
ok( $node->poll_query_until(
		'postgres',
		"SELECT status = 'sent' FROM imp_push.delivery WHERE msg_id = 'm-4'"),
	'a push on its way ends as what became of it');

# Inserted and deleted in the same breath

$node->safe_psql(
	'postgres', q{
	BEGIN;
	INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		VALUES ('sender', 'user3', 'm-5');
	DELETE FROM imp_push.offline_message WHERE msg_id = 'm-5';
	COMMIT});
insert_message($node, 'user3', 'after it', msg_id => 'm-6');
$sim->wait_for(3);
wait_settled($node);
is_deeply([ grep { $_->{json}->{m} eq 'm-5' } $sim->requests ],
	[], 'a message that nobody ever saw is not pushed');

# A message that comes again after its acknowledgement

$node->safe_psql('postgres', q{DELETE FROM imp_push.offline_message});
insert_message($node, 'user3', 'once more', msg_id => 'm-6');
wait_settled($node);
is( $node->safe_psql(
		'postgres', q{SELECT status, reason FROM imp_push.delivery
		WHERE msg_id = 'm-6' ORDER BY message_id}),
	"sent|\nsuppressed|duplicate",
	'a message that comes again after its acknowledgement is a duplicate');

done_testing();
