# A group message is one INSERT … SELECT, and one push for each member.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $members = 1_000;
my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my @requests;

# user1, a member like any other, is the one who writes.
bind_users($node, $members);
$node->safe_psql(
	'postgres', "
	CREATE TABLE member (group_id text, user_id text);
	INSERT INTO member
		SELECT 'hikers', 'user' || i FROM generate_series(1, $members) AS i;
	INSERT INTO imp_push.offline_message
		(msg_id, recipient, sender, chat_type, conversation_id, body)
		SELECT 'm-1', user_id, 'user1', 'groupchat', group_id, 'off we go'
		FROM member WHERE group_id = 'hikers'");

@requests = $sim->wait_for_accepted($members - 1);
wait_settled($node);
arrived_once($sim, $members - 1, 'a group of 1,000');

is(scalar(grep { $_->{json}->{g} ne 'hikers' } @requests),
	0, 'the payload names the group');
is( scalar(grep { $_->{json}->{aps}->{'thread-id'} ne 'groupchat:hikers' }
		  @requests),
	0,
	'the notifications of a group are one thread');
is(scalar(grep { $_->{headers}->{'apns-collapse-id'} ne 'm-1' } @requests),
	0, 'all carry the collapse id of the message');
is(scalar(grep { $_->{json}->{aps}->{badge} != 1 } @requests),
	0, 'each member has a badge of their own');

my %ids = map { $_->{headers}->{'apns-id'} => 1 } @requests;

is(scalar keys %ids, $members - 1, 'each push has an apns-id of its own');
is( $node->safe_psql(
		'postgres', q{
		SELECT status, reason, count(*) FROM imp_push.delivery
		GROUP BY status, reason ORDER BY status}),
	"sent||999\nsuppressed|own_message|1",
	'delivery has a row for each member');

# One connection carries them all.
is($sim->stats->{connections}, 1, 'over one connection');

done_testing();
