# What the simulator understands, an HTTP/2 server understands that does not know
# us: the one of Node.js.  Its crypto library verifies what ours has signed.

use strict;
use warnings;

use Encode qw(encode_utf8);
use File::Basename;
use ImpPush;
use ImpPush::Faults;
use IPC::Cmd qw(can_run);
use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no Node.js here' unless can_run('node');

my $users = 1_000;
my $streams = 20;
my $key = make_keys();
my $folder = ImpPush::folder('foreign');

ImpPush::openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
	'-days', '30', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
	'-keyout', "$folder/server.key", '-out', "$folder/server.pem");

my $server = IPC::Run::start(
	[ 'node', dirname(__FILE__) . '/lib/foreign_server.js', $folder, $key->{public}, $streams ],
	'<pipe', \*INPUT, '>', "$folder/output", '2>&1');

wait_until(sub { return -s "$folder/port" }, 30, "Node.js to listen, see $folder/output");
chomp(my $port = slurp_file("$folder/port"));

my $node = new_node(
	'main',
	started => 0,
	conf => "imp_push.ca_file = '$folder/server.pem'
		log_statement = none");

set_certificate($node, 'chat', undef, endpoint => "https://localhost:$port");
$node->safe_psql('postgres', 'SELECT imp_push.start()');

# The requests that have come since the last call
sub take_requests
{
	my @requests = map { decode_json($_) } split /\n/, slurp_file("$folder/requests.log");

	truncate "$folder/requests.log", 0 or die "truncate: $!";
	return @requests;
}

# One message: the request, as it was understood

bind_users($node, $users);
$node->safe_psql(
	'postgres', q{
	INSERT INTO imp_push.user_profile (user_id, display_style, language) VALUES ('user1', 'summary', 'en')});
my $payload = $node->safe_psql(
	'postgres', q{
	SELECT payload FROM imp_push.simulate(recipient => 'user1', sender => 'sender', msg_id => 'one',
		body => '"Ä" 😀 \ ok')});
insert_message($node, 'user1', '"Ä" 😀 \ ok', msg_id => 'one');
wait_settled($node);

my ($request) = take_requests();
my $headers = $request->{headers};
my ($head, $claims) = map { decode_json(decode_base64url($_)) }
  ($headers->{authorization} =~ /^bearer ([\w-]+)\.([\w-]+)\.[\w-]{86}$/);

is($request->{alpn}, 'h2', 'HTTP/2 is agreed on');
is( join(' ', sort keys %$headers),
	':authority :method :path :scheme apns-collapse-id apns-expiration apns-id apns-priority '
	  . 'apns-push-type apns-topic authorization content-length',
	'the request has these headers');
is("$headers->{':method'} $headers->{':scheme'} $headers->{':authority'} $headers->{':path'}",
	"POST https localhost:$port /3/device/" . token_of('user1'), 'it is a POST for the device');
is("$headers->{'apns-topic'} $headers->{'apns-push-type'} $headers->{'apns-priority'} $headers->{'apns-collapse-id'}",
	'com.example.chat alert 10 one', 'the headers say what APNs wants to know');
ok($request->{signed}, 'the signature of the provider token is good');
is_deeply($head, { alg => 'ES256', kid => $key->{key_id} }, 'it is signed by our key');
is($claims->{iss}, $key->{team_id}, 'for our team');
cmp_ok(abs($claims->{iat} - time), '<', 60, 'now');
is(encode_utf8($request->{body}), $payload, 'the payload is what simulate() shows');
is($headers->{'content-length'}, length $payload, 'and as long as announced');

# Many messages: at the server's limit of streams, and past its GOAWAY

insert_to_users($node, $users, msg_id => 'many');
wait_settled($node);

my @requests = take_requests();
my $resent = ImpPush::Faults::resent_at_once($node);
my (%times, %sessions);

foreach (@requests)
{
	my $json = decode_json(encode_utf8($_->{body}));

	$times{"$_->{headers}->{':path'} $json->{t} $json->{m}"}++;
	$sessions{ $_->{session} }++;
}
diag(sprintf '%d requests over %d connections (%s), sent again at once %d',
	scalar @requests, scalar keys %sessions, join(' and ', map { $sessions{$_} } sort keys %sessions), $resent);
is(scalar keys %times, $users, 'none of 1,000 is lost');
is(join(' ', grep { $times{$_} > 1 } keys %times), '', 'none comes twice');
is( join(' ', sort keys %times),
	join(' ', sort map { '/3/device/' . token_of("user$_") . " user$_ many" } 1 .. $users),
	'each comes to its device');
is(scalar(grep { !$_->{signed} } @requests), 0, 'all are signed');
cmp_ok($resent, '<=', $streams,
	'nothing is refused but at the GOAWAY: no more streams are opened than the server allows');
is(scalar keys %sessions, 2, 'GOAWAY makes one more connection');
is( $node->safe_psql('postgres',
		'SELECT status, apns_status, count(*) FROM imp_push.delivery GROUP BY 1, 2'),
	'sent|200|' . ($users + 1), 'all are sent');

# An answer with a body, in frames with padding

$node->safe_psql('postgres', q{SELECT imp_push.bind_device('user1', 'phone', 'chat', 'dead00')});
insert_message($node, 'user1', 'hello', msg_id => 'dead');
wait_settled($node);
is( $node->safe_psql('postgres',
		q{SELECT status, reason, apns_status FROM imp_push.delivery WHERE msg_id = 'dead'}),
	'failed|Unregistered|410', 'its reasons are read');
ok( $node->poll_query_until('postgres',
		q{SELECT disabled_reason = 'Unregistered' FROM imp_push.device_token WHERE token = 'dead00'}),
	'and what they say is done');

$node->stop;
close INPUT;
$server->finish;
is(slurp_file("$folder/output"), '', 'the server had nothing to complain of');
done_testing();
