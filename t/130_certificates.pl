# Each certificate has its own app, key and connection, and its own troubles.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;

my $second_key = make_keys('TEAM000002', 'KEY0000002');
my $third_key = make_keys('TEAM000001', 'KEY0000003');
my $client = make_client_certificate('com.example.client');
my $sim = start_simulator(
	'tokens',
	args => [
		map { ('--key', "$_->{team_id}:$_->{key_id}:$_->{public}") }
		  $second_key,
		$third_key
	]);
my $client_sim =
  start_simulator('client', args => [ '--client-ca', $client->{authority} ]);
my $node = new_node('main', simulator => $sim, started => 0);
my $key_folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $ca_file = "$key_folder/all.pem";

sub key_of
{
	my ($request) = @_;
	my ($head) = split /\./, $request->{headers}->{authorization};

	return decode_base64url($head =~ s/^bearer //r) =~ /"kid" *: *"(\w+)"/
	  ? $1
	  : undef;
}

sub topics_and_keys
{
	return join ', ',
	  sort map { "$_->{headers}->{'apns-topic'} " . key_of($_) } @_;
}

# Both simulators have an authority of their own; imp_push.ca_file is a bundle.
append_to_file($ca_file,
	slurp_file($sim->ca_file) . slurp_file($client_sim->ca_file));
append_to_file("$key_folder/chat.p8", make_keys()->{private});
chmod 0600, "$key_folder/chat.p8";
$node->append_conf(
	'postgresql.conf', "imp_push.ca_file = '$ca_file'
	imp_push.key_directory = '$key_folder'");
$node->reload;

set_certificate($node, 'other', $sim,
	key => $second_key,
	bundle_id => 'com.example.other');
set_certificate($node, 'client', $client_sim,
	client => $client,
	bundle_id => 'com.example.client');
$node->safe_psql('postgres', 'SELECT imp_push.start()');

# A person with one device under three certificates, and one with two devices

bind_users($node, 1, certificate => $_) foreach 'chat', 'other', 'client';
bind_users($node, 1, device => 'pad');
insert_message($node, 'user1', 'hello');
$sim->wait_for(3);
$client_sim->wait_for(1);
wait_settled($node);

is( topics_and_keys($sim->accepted),
	'com.example.chat KEY0000001, com.example.chat KEY0000001, '
	  . 'com.example.other KEY0000002',
	'each binding is pushed with the topic and the key of its certificate');
is($sim->stats->{connections},
	2, 'certificates of two teams never share a connection');

my ($request) = $client_sim->accepted;

is($request->{headers}->{'apns-topic'},
	'com.example.client', 'a client certificate authenticates the connection');
ok(!exists $request->{headers}->{authorization},
	'and then no token is sent');
is( $node->safe_psql(
		'postgres', q{SELECT expires_at BETWEEN now() + interval '89 days'
			AND now() + interval '91 days'
		FROM imp_push.certificate_status WHERE certificate = 'client'}),
	't',
	'certificate_status says when the client certificate expires');

# One provider token for each team and key

my %tokens = map { $_->{headers}->{authorization} => 1 } $sim->requests;

is(scalar keys %tokens, 2, 'connections with the same key share one token');

# A new key, without a restart

$sim->forget;
set_certificate($node, 'chat', $sim, key => $third_key);
insert_message($node, 'user1', 'after the change');
$sim->wait_for_accepted(3);
is( topics_and_keys($sim->accepted),
	'com.example.chat KEY0000003, com.example.chat KEY0000003, '
	  . 'com.example.other KEY0000002',
	'a new key is used from the next request on');

# A key by the name of its file

$sim->forget;
$node->safe_psql('postgres',
	"SELECT imp_push.set_certificate('chat', key_id => 'KEY0000001',
		private_key => 'file:chat.p8')");
insert_message($node, 'user1', 'from the file');
$sim->wait_for_accepted(3);
is( topics_and_keys($sim->accepted),
	'com.example.chat KEY0000001, com.example.chat KEY0000001, '
	  . 'com.example.other KEY0000002',
	'a key may stay in its file');
is( $node->safe_psql('postgres',
		"SELECT key_file FROM imp_push.certificate WHERE name = 'chat'"),
	'chat.p8',
	'and only the name of the file is stored');
wait_settled($node);

# Switched off

$sim->forget;
$client_sim->forget;
$node->safe_psql('postgres',
	"UPDATE imp_push.certificate SET enabled = false WHERE name = 'chat'");
insert_message($node, 'user1', 'two certificates left', msg_id => 'm-2');
wait_settled($node);
is( $node->safe_psql(
		'postgres', "SELECT certificate, device_id, status, reason
		FROM imp_push.delivery WHERE msg_id = 'm-2' ORDER BY 1, 2"),
	"chat|pad|suppressed|certificate_disabled\n"
	  . "chat|phone|suppressed|certificate_disabled\n"
	  . "client|phone|sent|\n"
	  . 'other|phone|sent|',
	'a certificate that is switched off sends nothing; the others do');

# The host of one certificate is down: that is its own trouble.

$client_sim->stop;
$sim->forget;
insert_to_users($node, 1, msg_id => "n-$_") foreach 1 .. 20;
$sim->wait_for_accepted(20);
ok( $node->poll_query_until(
		'postgres', q{SELECT string_agg(concat_ws(' ', certificate, circuit,
			waiting), ', ' ORDER BY certificate) =
			'chat closed 0, client open 20, other closed 0'
		FROM imp_push.certificate_status}),
	'a host that is down delays no other certificate');
$client_sim->start;
$client_sim->wait_for_accepted(20);
wait_settled($node);
pass('and its pushes go out when it is back');

done_testing();
