# Pushes without a message, messages that a dead connection has swallowed, and
# what is left of a person: send_test, push_badge, push_unacknowledged,
# forget_user, metrics.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my ($id, $request);

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# A test: a column of delivery gets that value for a message.
sub becomes
{
	my ($msg_id, $column, $value, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(
		$node->poll_query_until(
			'postgres', "SELECT $column = '$value' FROM imp_push.delivery
				WHERE msg_id = '$msg_id'"),
		$name);
}

bind_users($node, 3);

# The certificate test

$id = query("SELECT imp_push.send_test('chat', ' <ABCD01> ', 'A title', 'A text')");
($request) = $sim->wait_for(1);
is($request->{token}, 'abcd01', 'send_test goes to the token, normalised');
is($request->{headers}->{'apns-id'}, $id, 'under the apns_id that it returns');
is( $request->{bytes},
	'{"aps":{"alert":{"title":"A title","body":"A text"},"sound":"default"}}',
	'with title and text and nothing else');
wait_settled($node);
is( query("SELECT message_id IS NULL, certificate, status, apns_status
		FROM imp_push.delivery WHERE apns_id = '$id'"),
	't|chat|sent|200',
	'delivery tells what became of it');
is(query('SELECT count(*) FROM imp_push.direct_push'),
	'0', 'and its token and text are gone');

$sim->control('fault prefix=abcd02 status=503 reason=ServiceUnavailable');
$id = query("SELECT imp_push.send_test('chat', 'abcd02', 'A title', 'A text')");
ok( $node->poll_query_until(
		'postgres', "SELECT status = 'failed' AND reason = 'ServiceUnavailable'
			FROM imp_push.delivery WHERE apns_id = '$id'"),
	'a test is tried once, whatever comes of it');

query("UPDATE imp_push.certificate SET enabled = false");
$id = query("SELECT imp_push.send_test('chat', 'abcd03', 'A title', 'A text')");
ok( $node->poll_query_until(
		'postgres',
		"SELECT status = 'sent' FROM imp_push.delivery WHERE apns_id = '$id'"),
	'a certificate that is switched off can be tested');
query("UPDATE imp_push.certificate SET enabled = true");

my (undef, undef, $error) = $node->psql('postgres',
	"SET log_statement = 'none';
	 SELECT imp_push.send_test('chat', 'not hex', 'A title', 'A text')");
like($error, qr/invalid.*even number of hexadecimal digits/s,
	'a token that is not hex is refused');
unlike($error, qr/not hex/, 'without being shown');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/not hex/, 'nor logged');

# The badge

query("SELECT imp_push.set_presence('user1', 'phone', 'offline');
	SELECT imp_push.bind_device('user1', 'pad', 'chat', 'fade01');
	SELECT imp_push.bind_device('user1', 'desk', 'chat', 'fade02');
	SELECT imp_push.set_presence('user1', 'desk', 'online');
	SELECT imp_push.set_dnd_duration('user1', 60)");
my $before = scalar $sim->requests;
is(query("SELECT imp_push.push_badge('user1', 'phone', 0)"),
	'1', 'push_badge goes to the other devices that are not online');
$sim->wait_for($before + 1);
($request) = grep { $_->{token} eq 'fade01' } $sim->requests;
is($request->{bytes}, '{"aps":{"badge":0}}',
	'the badge alone, past do-not-disturb');
is($request->{headers}->{'apns-priority'}, '5', 'with priority 5');
is($request->{headers}->{'apns-push-type'}, 'alert', 'as an alert');
wait_settled($node);
query("SELECT imp_push.set_presence('user1', 'desk', 'offline')");
is(query("SELECT imp_push.push_badge('nobody')"), '0', 'to nobody: none');

# Swallowed by a dead connection

query("UPDATE imp_push.settings SET push_unacknowledged = true;
	SELECT imp_push.set_presence('user2', 'desk', 'online')");
insert_message($node, 'user2', 'swallowed', msg_id => 'swallowed');
becomes('swallowed', 'reason', 'online',
	'a message to somebody who is online is not pushed');
query("SELECT imp_push.set_presence('user2', 'desk', 'offline')");
becomes('swallowed', 'status', 'sent',
	'but when the last device turns offline, and nobody has acknowledged it');
is( query("SELECT count(*) FROM imp_push.delivery WHERE msg_id = 'swallowed'"),
	'1', 'and delivery shows that alone');

query("SELECT imp_push.set_presence('user3', 'desk', 'online')");
insert_message($node, 'user3', 'seen', msg_id => 'seen');
becomes('seen', 'reason', 'online', 'another');
query("DELETE FROM imp_push.offline_message WHERE msg_id = 'seen';
	SELECT imp_push.set_presence('user3', 'desk', 'offline')");
insert_message($node, 'user3', 'later', msg_id => 'later');
becomes('later', 'status', 'sent', 'a later one is pushed');
is(query("SELECT status, reason FROM imp_push.delivery WHERE msg_id = 'seen'"),
	'suppressed|online', 'the acknowledged one is not');

# Metrics

ok( $node->poll_query_until(
		'postgres', q{SELECT value = 5 FROM imp_push.metrics
			WHERE name = 'imp_push_sent_total'
				AND labels = '{"certificate": "chat"}'}),
	'imp_push_sent_total counts what APNs accepts');
is( query(q{SELECT value FROM imp_push.metrics
		WHERE name = 'imp_push_answers_total'
			AND labels->>'reason' = 'ServiceUnavailable'}),
	'1', 'imp_push_answers_total counts each answer');
is( query(q{SELECT value FROM imp_push.metrics
		WHERE name = 'imp_push_decisions_total'
			AND labels = '{"status": "suppressed", "reason": "online"}'}),
	'2', 'imp_push_decisions_total counts those who get nothing');
is( query(q{SELECT count(*) FROM imp_push.metrics
		WHERE help IS NULL OR type NOT IN ('counter', 'gauge', 'histogram')}),
	'0', 'each metric has a type and says what it means');
is( query(q{SELECT string_agg(name, ' ') FROM (
		SELECT name FROM imp_push.metrics
		GROUP BY name
		HAVING count(DISTINCT ARRAY(
			SELECT k FROM jsonb_object_keys(labels) k ORDER BY k)) > 1) m}),
	'', 'and the same labels each time');

# A person is forgotten

insert_message($node, 'user2', 'from user1', sender => 'user1',
	msg_id => 'from-user1');
wait_settled($node);
query("INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode)
		VALUES ('user2', 'chat', 'user1', 'none');
	INSERT INTO imp_push.contact_remark VALUES ('user2', 'user1', 'remark')");
is( query("SELECT string_agg(table_name || ' ' || rows, ', ')
		FROM imp_push.forget_user('user1', true) WHERE rows > 0"),
	'device_token 3, presence 2, contact_remark 1, dnd 2, '
	  . 'offline_message 1, delivery 1',
	'forget_user says what it has erased');
is( query("SELECT count(*) FROM imp_push.delivery WHERE recipient = 'user1'"),
	'0', 'nothing is left of the person');

# APNs cannot be reached, is back, and nothing waits that would tell: what comes
# then is a probe, whatever it is, at the next poll at the latest.

sub outage_without_witness
{
	my ($name) = @_;

	$sim->stop;
	insert_message($node, 'user2', 'gone', msg_id => $name);
	circuit_opens($node, 1, "$name: the circuit is open");
	query("DELETE FROM imp_push.offline_message WHERE msg_id = '$name'");
	ok( $node->poll_query_until(
			'postgres', "SELECT next_probe_at < now() - interval '1 second'
				AND NOT EXISTS (SELECT FROM imp_push.waiting)
				FROM imp_push.certificate_status"),
		"$name: and there is nothing to probe with");
	$sim->start;
	return;
}

query("SELECT imp_push.set_presence('user3', 'desk', 'online')");
insert_message($node, 'user3', 'swallowed', msg_id => 'swallowed twice');
becomes('swallowed twice', 'reason', 'online', 'one more is swallowed');
query("ALTER SYSTEM SET imp_push.poll_interval = '500ms'");
query('SELECT pg_reload_conf()');

outage_without_witness('outage 1');
query("SELECT imp_push.set_presence('user3', 'desk', 'offline')");
becomes('swallowed twice', 'status', 'sent',
	'what a dead connection has swallowed goes out after an outage');

outage_without_witness('outage 2');
query("SELECT imp_push.push_badge('user2', badge => 5)");
ok( $node->poll_query_until(
		'postgres', "SELECT circuit = 'closed' FROM imp_push.certificate_status
			WHERE certificate = 'chat'"),
	'and so does a badge');
wait_settled($node);
query('ALTER SYSTEM RESET imp_push.poll_interval');
query('SELECT pg_reload_conf()');

# A client certificate that ends soon

my $folder = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::system_or_bail('openssl', 'req', '-x509', '-newkey',
	'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '10',
	'-subj', '/CN=test', '-keyout', "$folder/key.pem", '-out',
	"$folder/cert.pem");
my $key = PostgreSQL::Test::Utils::slurp_file("$folder/key.pem");
my $cert = PostgreSQL::Test::Utils::slurp_file("$folder/cert.pem");
query("SELECT imp_push.set_certificate('old', 'com.example.chat',
	client_certificate => '$cert', client_key => '$key')");
$node->wait_for_log(qr/client certificate of "old" ends at/);
pass('a client certificate in its last 30 days is warned of');
ok( $node->poll_query_until(
		'postgres', q{SELECT expires_at BETWEEN now() + interval '9 days'
			AND now() + interval '11 days'
			FROM imp_push.certificate_status WHERE certificate = 'old'}),
	'and certificate_status says when it ends');

done_testing();
