# One message, inserted with plain SQL, is at APNs at once and complete.

use strict;
use warnings;

use ImpPush;
use MIME::Base64 qw(decode_base64url);
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my ($msg_id, $request, $row);

bind_users($node, 2);

# The request

$msg_id = insert_message($node, 'user1', 'see you at eight');
($request) = $sim->wait_for(1);
is($request->{status}, 200, 'APNs accepts the request');
is($request->{method}, 'POST', 'it is a POST');
is($request->{path}, '/3/device/' . token_of('user1'),
	'the path names the device token');

my $headers = $request->{headers};
my $expiration = $node->safe_psql('postgres',
	"SELECT extract(epoch FROM created_at + interval '1 day')::bigint
	 FROM imp_push.offline_message WHERE msg_id = '$msg_id'");

is($headers->{'apns-topic'}, 'com.example.chat', 'apns-topic: bundle id');
is($headers->{'apns-push-type'}, 'alert', 'apns-push-type: alert');
is($headers->{'apns-priority'}, '10', 'apns-priority: 10');
is($headers->{'apns-collapse-id'}, $msg_id, 'apns-collapse-id: msg_id');
cmp_ok(abs($headers->{'apns-expiration'} - $expiration),
	'<=', 1, 'apns-expiration: push_ttl after the message');
like(
	$headers->{'apns-id'},
	qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
	'apns-id: a lower-case UUID');

my ($head, $claims) =
  map { decode_base64url($_) } split /\./,
  $headers->{authorization} =~ s/^bearer //r;

like($head, qr/"alg" *: *"ES256"/, 'authorization: signed with ES256');
like($head, qr/"kid" *: *"KEY0000001"/, 'authorization: by our key');
like($claims, qr/"iss" *: *"TEAM000001"/, 'authorization: for our team');

# The payload

my $payload = '{"aps":{"alert":{"title":"您有一条新消息",'
  . '"body":"请点击查看"},"badge":1,"sound":"default",'
  . '"thread-id":"chat:sender"},"f":"sender","t":"user1",'
  . '"m":"' . $msg_id . '"}';
is($request->{bytes}, $payload, 'the payload, byte for byte');
is( $node->safe_psql(
		'postgres', "SELECT payload FROM imp_push.simulate(
			recipient => 'user1', sender => 'sender',
			body => 'see you at eight', msg_id => '$msg_id-2')"),
	$payload =~ s/"badge":1/"badge":2/r =~ s/\Q$msg_id\E/$msg_id-2/r,
	'simulate() shows what the worker sends');

# What became of it

wait_settled($node);
$row = $node->safe_psql(
	'postgres', "SELECT recipient, device_id, certificate, status, reason,
		apns_status, attempts, finished_at >= decided_at, apns_id
	FROM imp_push.delivery WHERE msg_id = '$msg_id'");
is( $row,
	"user1|phone|chat|sent||200|1|t|$headers->{'apns-id'}",
	'delivery tells what became of it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM imp_push.offline_message'),
	'1', 'the message is stored until it is acknowledged');

# The summary style, in the recipient's language

$node->safe_psql(
	'postgres', q{
	INSERT INTO imp_push.user_profile (user_id, nickname) VALUES
		('sender', 'Sandra "S" Ender');
	INSERT INTO imp_push.user_profile (user_id, display_style, language) VALUES
		('user2', 'summary', 'en')});
insert_message($node, 'user2', "line 1\nline 2 \x{5c}");
($request) = (sort { $a->{seq} <=> $b->{seq} } $sim->wait_for(2))[1];
is_deeply(
	$request->{json}->{aps}->{alert},
	{
		title => 'You have a new message',
		body => "Sandra \"S\" Ender: line 1\nline 2 \x{5c}"
	},
	'the summary style shows sender and text');

# The latency, on a system that does nothing else

wait_settled($node);
for my $i (1 .. 50)
{
	insert_message($node, 'user1', "message $i");
	$sim->wait_for(2 + $i);
}
my @latencies = latencies($node, $sim);

diag(sprintf 'commit to arrival: median %.1f ms, worst %.1f ms',
	median(@latencies), $latencies[-1]);
# The aim is 10 ms; this machine may be busy with other things.
cmp_ok(median(@latencies), '<', 100, 'a message is on its way at once');
wait_settled($node);
arrived_once($sim, 52, 'messages');

done_testing();
