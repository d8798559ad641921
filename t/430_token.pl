# Tokens and keys that APNs refuses: whoever is not concerned gets his messages,
# and only the binding loses its token that is concerned.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $users = 200;
my $sim = start_simulator();
my $other = start_simulator('other');
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

sub disabled
{
	return $node->safe_psql('postgres',
		'SELECT count(*) FROM imp_push.device_token
		 WHERE disabled_at IS NOT NULL');
}

sub revive
{
	$node->safe_psql('postgres',
		'UPDATE imp_push.device_token SET disabled_at = NULL
		 WHERE disabled_at IS NOT NULL');
	return;
}

sub circuit_is
{
	my ($state, $certificate, $name) = @_;

	return ok(
		$node->poll_query_until(
			'postgres', "SELECT circuit = '$state'
			FROM imp_push.certificate_status
			WHERE certificate = '$certificate'"),
		$name);
}

sub settled_are
{
	my ($number, $msg_id) = @_;

	$node->poll_query_until(
		'postgres', "SELECT count(*) = $number FROM imp_push.delivery
		WHERE msg_id LIKE '$msg_id' AND status NOT IN ('pending', 'retrying')")
	  or die "$msg_id is not settled";
	return;
}

# Both simulators are trusted.
PostgreSQL::Test::Utils::append_to_file($sim->ca_file,
	PostgreSQL::Test::Utils::slurp_file($other->ca_file));
set_certificate($node, 'other', $other, bundle_id => 'com.example.chat');
bind_users($node, $users);
insert_to_users($node, $users, msg_id => 'warm');
wait_settled($node);

# One device is asked too often.

{
	my $token = token_of('user1');

	$sim->control("fault prefix=$token status=429");
	insert_message($node, 'user1', 'hello', msg_id => 'busy 1');
	$node->poll_query_until(
		'postgres', q{SELECT status = 'retrying' AND reason = 'TooManyRequests'
		AND next_attempt_at > now() + interval '30 seconds'
		FROM imp_push.delivery WHERE msg_id = 'busy 1'})
	  or die 'no TooManyRequests';
	insert_message($node, 'user1', 'hello', msg_id => 'busy 2');
	ok( $node->poll_query_until(
			'postgres', q{SELECT reason = 'TooManyRequests' AND attempts = 0
			FROM imp_push.delivery WHERE msg_id = 'busy 2'}),
		'429: another message to that device waits, uncharged');

	# The worker that comes after a crash knows it, too.
	$node->stop('immediate');
	$node->start;
	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'busy 3');
	ok( $node->poll_query_until(
			'postgres', q{SELECT reason = 'TooManyRequests' AND attempts = 0
				AND next_attempt_at > now() + interval '20 seconds'
			FROM imp_push.delivery WHERE msg_id = 'busy 3'}),
		'429: and so does one after a crash');
	is(scalar $sim->requests, 0, '429: that device is left alone');
	$node->safe_psql('postgres',
		q{DELETE FROM imp_push.offline_message WHERE msg_id LIKE 'busy%'});
	$sim->control('clear');
}

# A host that hangs, and a key that was revoked, at another certificate

bind_users($node, $users, certificate => 'other', device => 'pad');
foreach my $case (
	[ 'a hanging host', 'fault silent' ],
	[ 'a revoked key', 'fault status=403 reason=InvalidProviderToken' ])
{
	my ($name, $fault) = @$case;

	$other->control($fault);
	$sim->forget;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'user' || i, '$name'
		FROM generate_series(2, 99) i});
	$sim->wait_for_accepted(98);
	none_lost($sim, 98, "$name: everybody else");
	circuit_is('open', 'other', "$name: its circuit opens");
	$other->control('clear');

	# what hangs runs into its deadline before it is tried again
	$node->append_conf('postgresql.conf', "imp_push.request_timeout = '2s'");
	$node->reload;
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)')
	  if $name =~ /hanging/;
	circuit_is('closed', 'other', "$name: its circuit closes by itself");
	wait_settled($node);
	$other->forget;
}
is(disabled(), '0', 'no token is disabled by any of this');

# Who is gone is gone, unless he has come back since; and a token belongs to
# whom it was sent for.

{
	my $now = int(time * 1000);
	my $hour = 3_600_000;

	$node->safe_psql(
		'postgres', q{
		DELETE FROM imp_push.device_token;
		INSERT INTO imp_push.device_token
			(user_id, device_id, certificate, token, registered_at)
		SELECT u, 'phone', 'other',
			   encode(sha256(convert_to(u || '/phone', 'UTF8')), 'hex'),
			   now() - interval '2 hours'
		FROM unnest(ARRAY['gone', 'back', 'again', 'mover']) u});
	$other->control("fault prefix=" . token_of('gone') . ' status=410 timestamp='
		  . ($now - $hour));
	$other->control("fault prefix=" . token_of('back') . ' status=410 timestamp='
		  . ($now - 3 * $hour));
	$other->control("fault prefix=$_ status=410 timestamp=$now delay=1500")
	  foreach token_of('again'), token_of('mover');
	$other->forget;
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', u, '410'
		FROM unnest(ARRAY['gone', 'back', 'again', 'mover']) u});

	# While the answer is on its way, the app of one registers once more, and
	# somebody else logs in on the device of another.
	$other->wait_for(4);
	foreach (['again', 'again'], [ 'heir', 'mover' ])
	{
		my ($user, $token) = @$_;

		$node->safe_psql('postgres',
			"SELECT imp_push.bind_device('$user', 'phone', 'other', '"
			  . token_of($token)
			  . "')");
	}
	settled_are(4, '410');
	$other->control('clear');
	is( $node->safe_psql(
			'postgres', q{
			SELECT user_id, disabled_reason FROM imp_push.device_token
			ORDER BY user_id}),
		"again|\nback|\ngone|Unregistered\nheir|",
		'410: only the binding that still holds the token is disabled');
	is( $node->safe_psql(
			'postgres', q{
			SELECT DISTINCT status, reason FROM imp_push.delivery
			WHERE msg_id = '410'}),
		'failed|Unregistered',
		'410: the pushes have failed');
	is(figures($other)->{requests}, 4, '410: none is sent again');

	$other->forget;
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', u, 'after 410'
		FROM unnest(ARRAY['gone', 'back', 'again', 'mover', 'heir']) u});
	settled_are(5, 'after 410');
	none_lost($other, 3, '410: the next message to those who have a token');
}

# A binding that a user has locked is disabled later; one whose trigger raises
# an error is left alone.  Neither holds anybody up.

{
	my ($in, $out, $err) = ('', '', '');
	my $session;

	revive();
	$node->safe_psql(
		'postgres', q{
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN RAISE EXCEPTION 'not this one'; END$$;
		CREATE TRIGGER refuse BEFORE UPDATE ON imp_push.device_token
			FOR EACH ROW WHEN (NEW.user_id = 'back') EXECUTE FUNCTION refuse()});
	$session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout(300));
	$in .= "BEGIN; SELECT 'locked' FROM imp_push.device_token
		WHERE user_id = 'gone' FOR UPDATE;\n";
	$session->pump until $out =~ /locked/;

	$other->forget;
	$other->control("fault prefix=$_ status=410")
	  foreach token_of('gone'), token_of('back');
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', u, 'locked'
		FROM unnest(ARRAY['gone', 'back', 'heir']) u});
	settled_are(3, 'locked');
	pass('a lock and an error on bindings hold up no outcome');
	is(disabled(), '0', 'what is locked is not disabled yet');
	$in .= "COMMIT;\n\\q\n";
	$session->finish;
	ok( $node->poll_query_until(
			'postgres', q{SELECT disabled_reason = 'Unregistered'
			FROM imp_push.device_token WHERE user_id = 'gone'}),
		'and is disabled when it is free');
	$other->control('clear');
}

done_testing();
