# pg_dump and pg_restore lose nothing, and nothing is pushed a second time.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

my $number = 20;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	databases => 'postgres, restored, again');
my $folder = PostgreSQL::Test::Utils::tempdir();

# What a user sees of each table: the documented columns.
my %columns = (
	settings => '*',
	certificate => '*',
	device_token => '*',
	presence => '*',
	im_node => '*',
	user_profile => '*',
	contact_remark => '*',
	dnd => '*',
	template => '*',
	builtin_text => '*',
	offline_message => 'id, recipient, sender, chat_type, conversation_id, '
	  . 'msg_id, type, body, sender_name, ext, translations, created_at, '
	  . 'expires_at',
	delivery => 'message_id, msg_id, recipient, device_id, certificate, '
	  . 'status, reason, apns_id, apns_status, attempts, finished_at');

# The contents of each table, by its name.
sub contents
{
	my ($database) = @_;

	return map {
		$_ => $node->safe_psql($database,
			"SELECT $columns{$_} FROM imp_push.$_ AS t ORDER BY t::text")
	} keys %columns;
}

sub same_contents
{
	my ($database, %expected) = @_;
	my %contents = contents($database);

	foreach my $table (sort keys %columns)
	{
		ok($contents{$table} eq $expected{$table},
			"$database: $table is complete")
		  or diag(difference($contents{$table}, $expected{$table}));
	}
	return;
}

# The first lines that only one of two texts has.
sub difference
{
	my ($got, $expected) = @_;
	my %got = map { $_ => 1 } split /\n/, $got;
	my %expected = map { $_ => 1 } split /\n/, $expected;
	my @more = map { "only restored: $_" }
	  grep { !$expected{$_} } sort keys %got;
	my @less = map { "only before: $_" } grep { !$got{$_} } sort keys %expected;

	return join "\n", grep { defined } @more[ 0 .. 4 ], @less[ 0 .. 4 ];
}

sub copy_database
{
	my ($from, $to) = @_;
	my @connection = ('-h', $node->host, '-p', $node->port);

	command_ok(
		[
			'pg_dump', @connection, '-Fd', '-j2', '-f', "$folder/$to", $from
		],
		"pg_dump -j2 of $from");
	$node->safe_psql('postgres', "CREATE DATABASE $to TEMPLATE template0");
	command_ok(
		[
			'pg_restore', @connection, '-j2', '--exit-on-error', '-d', $to,
			"$folder/$to"
		],
		"pg_restore -j2 into $to");
	return;
}

bind_users($node, $number);
bind_users($node, $number, device => 'pad');
$node->safe_psql(
	'postgres', q{
	UPDATE imp_push.settings
		SET default_language = 'en', push_ttl = '2 days';
	UPDATE imp_push.builtin_text SET value = 'News!'
		WHERE language = 'en' AND key = 'title';
	INSERT INTO imp_push.builtin_text (language, key, value)
		VALUES ('fr', 'title', 'Vous avez un nouveau message');
	INSERT INTO imp_push.im_node VALUES ('node1', now());
	INSERT INTO imp_push.presence (user_id, device_id, status, node) VALUES
		('user1', 'phone', 'offline', 'node1'),
		('user2', 'phone', 'kicked', NULL);
	INSERT INTO imp_push.user_profile (user_id, nickname, display_style)
		VALUES ('user1', 'Anna', 'summary');
	INSERT INTO imp_push.contact_remark VALUES ('user1', 'user2', 'Bobby');
	INSERT INTO imp_push.template VALUES ('greeting', '{$msg}', '{0}');
	INSERT INTO imp_push.dnd (user_id, mode, dnd_until)
		VALUES ('user3', 'all', now() - interval '1 day')});

# Sent, suppressed, waiting, never planned, and dead tokens

insert_to_users($node, $number, msg_id => 'sent');
wait_settled($node);
$sim->control('fault prefix='
	  . token_of('user5')
	  . ' status=410 reason=Unregistered timestamp=4102444800000');
insert_message($node, 'user5', 'hello', msg_id => 'gone');
wait_settled($node);
$sim->stop;
insert_to_users($node, $number, msg_id => 'waiting');
ok( $node->poll_query_until(
		'postgres', "SELECT NOT EXISTS (
			SELECT FROM generate_series(1, $number) AS i
			WHERE i NOT IN (2, 5) AND 2 <> (
				SELECT count(*) FROM imp_push.delivery
				WHERE recipient = 'user' || i AND msg_id = 'waiting' AND
					  device_id IS NOT NULL))"),
	'pushes wait for APNs');
$node->safe_psql('postgres', 'SELECT imp_push.stop()');
wait_until(sub { return worker_pid($node) eq '' }, undef, 'the worker to leave');
insert_to_users($node, $number, msg_id => 'unplanned');

my %before = contents('postgres');

copy_database('postgres', 'restored');
same_contents('restored', %before);
copy_database('restored', 'again');
same_contents('again', %before);

is( $node->safe_psql(
		'restored', q{SELECT certificate, has_key
		FROM imp_push.certificate_status}),
	'chat|f',
	'signing keys are not in a dump');
is( $node->safe_psql(
		'restored', q{
		WITH old AS (SELECT max(id) FROM imp_push.offline_message)
		SELECT nextval(pg_get_serial_sequence(
			'imp_push.offline_message', 'id')) > max FROM old}),
	't',
	'the identity sequence goes on');

# The restored database is stopped. Started, it waits for its key, and then
# pushes what the first had not pushed, and nothing else.

$sim->forget;
$sim->start;
$node->safe_psql('restored', 'SELECT imp_push.start()');
ok( $node->poll_query_until(
		'restored', q{SELECT circuit_reason = 'no_key' OR NOT has_key
		FROM imp_push.certificate_status}),
	'a certificate without its key keeps its messages waiting');
is(scalar $sim->requests, 0, 'nothing was sent before start() and the key');
set_certificate($node, 'chat', $sim, database => 'restored');
wait_settled($node, 'restored');

my %count;

$count{"$_->{json}->{m}"}++ foreach $sim->accepted;
# user2's phone is kicked, user5's token is dead: 2 of 40.
is_deeply(
	\%count,
	{ waiting => 2 * $number - 2, unplanned => 2 * $number - 2 },
	'what was pending is pushed, what was pushed is not');
arrived_once($sim, 2 * (2 * $number - 2), 'after the restore');

insert_message(
	$node, 'user1', 'new',
	msg_id => 'new',
	database => 'restored');
wait_settled($node, 'restored');
is($node->safe_psql('restored',
		q{SELECT count(*) FROM imp_push.delivery
		WHERE msg_id = 'new' AND status = 'sent'}),
	'2', 'the restored database takes new messages');

done_testing();
