# Code of others that runs inside the worker, because somebody was granted more
# on our tables than was wise: it acts as imp_push.role, and does not get out
# of that, not at once and not later.  Whatever it breaks, it breaks for as long
# as it is there.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use ImpPush::Faults;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;

my $number = 5;
my $other_key = make_keys('TEAM000002', 'KEY0000002');
my $sim = start_simulator(
	args => [ '--key', "$other_key->{team_id}:$other_key->{key_id}:$other_key->{public}" ]);
my $proof = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir() . '/proof');
my $node = new_node(
	'main',
	simulator => $sim,
	started => 0,
	conf => "imp_push.role = 'courier'
		log_statement = none");

# Mallory may put triggers on what the worker writes, and owns one table of it.

$node->safe_psql(
	'postgres', q{
	CREATE ROLE courier;
	CREATE ROLE mallory LOGIN;
	SELECT imp_push.grant_worker('courier');
	GRANT USAGE ON SCHEMA imp_push TO mallory;
	GRANT TRIGGER ON imp_push.device_token, imp_push.delivery_log, imp_push.worker_cursor TO mallory;
	SELECT format('GRANT TRIGGER ON imp_push.delivery_log_%s TO mallory', i) FROM generate_series(0, 3) i \gexec
	ALTER TABLE imp_push.waiting OWNER TO mallory;
	CREATE SCHEMA mallory AUTHORIZATION mallory});

# What she has her code try.  Each line is a statement of its own, and all are
# to fail.
my $superuser = getpwuid $<;
my @attempts = split /\n/, <<"EOF_SQL";
RESET ROLE
SET ROLE NONE
SET LOCAL ROLE NONE
SET ROLE "$superuser"
SELECT set_config('role', 'none', false)
SELECT set_config('role', '$superuser', true)
RESET SESSION AUTHORIZATION
SET SESSION AUTHORIZATION DEFAULT
SET LOCAL SESSION AUTHORIZATION "$superuser"
SELECT set_config('session_authorization', '$superuser', false)
SELECT set_config('session_authorization', 'default', true)
DISCARD ALL
SET session_replication_role = replica
ALTER ROLE mallory SUPERUSER
CREATE ROLE another SUPERUSER
GRANT pg_execute_server_program TO mallory
GRANT "$superuser" TO mallory
UPDATE pg_authid SET rolsuper = true WHERE rolname = 'mallory'
ALTER SYSTEM SET imp_push.enabled = off
SET imp_push.enabled = off
COPY (SELECT 1) TO PROGRAM 'touch $proof'
COPY (SELECT 1) TO '$proof'
SELECT pg_read_file('postgresql.conf')
SELECT lo_export(lo_create(0), '$proof')
CREATE FUNCTION mallory.sly() RETURNS int LANGUAGE c AS 'sly'
LOAD 'sly'
COMMIT
LISTEN imp_push
CREATE TEMP TABLE settings (a int)
DECLARE kept CURSOR WITH HOLD FOR SELECT 1
SELECT * FROM imp_push.certificate_key
SELECT * FROM imp_push.provider_token
SELECT * FROM pg_authid
UPDATE imp_push.certificate SET endpoint = 'https://localhost:1'
SELECT imp_push.set_certificate('chat', endpoint => 'https://localhost:1')
SELECT imp_push.grant_app('mallory')
SELECT imp_push.stop()
EOF_SQL

# Settings are everybody's, and end with the transaction: these would stop the
# worker, or lead it to what mallory has made.
my @settings = (
	'SET search_path = mallory, pg_catalog', 'SET default_transaction_read_only = on',
	'SET default_transaction_isolation = serializable',
	q{SELECT set_config('lock_timeout', '1ms', false)}, 'SET row_security = on');

sub array
{
	return 'ARRAY[' . join(', ', map { '$q$' . $_ . '$q$' } @_) . ']';
}

$node->safe_psql(
	'postgres', q{
	SET ROLE mallory;
	GRANT USAGE ON SCHEMA mallory TO PUBLIC;
	CREATE TABLE mallory.seen (place text, who text, attempt text, refused text);
	GRANT INSERT ON mallory.seen TO PUBLIC;
	CREATE FUNCTION mallory.try_all(place text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		attempt text;
		refused text;
	BEGIN
		FOREACH attempt IN ARRAY } . array(@attempts) . q{ LOOP
			refused := NULL;
			BEGIN
				EXECUTE attempt;
			EXCEPTION WHEN OTHERS THEN
				refused := SQLERRM;
			END;
			INSERT INTO mallory.seen VALUES (place, current_user, attempt, refused);
		END LOOP;
		FOREACH attempt IN ARRAY } . array(@settings) . q{ LOOP
			EXECUTE attempt;
		END LOOP;
	END $$;
	CREATE FUNCTION mallory.joined(text, text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mallory.try_all('operator');
		RETURN concat($1, $2);
	END $$;
	CREATE FUNCTION mallory.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mallory.try_all('operator');
		RETURN $1 OPERATOR(pg_catalog.=) $2;
	END $$;
	CREATE OPERATOR mallory.|| (FUNCTION = mallory.joined, LEFTARG = text, RIGHTARG = text);
	CREATE OPERATOR mallory.= (FUNCTION = mallory.same, LEFTARG = text, RIGHTARG = text);
	CREATE FUNCTION mallory.attack() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mallory.try_all(TG_NAME);
		RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
	END $$});

sub as_mallory
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql, extra_params => [ '-U', 'mallory' ]);
	return;
}

# Every way of a push: at once, beside a device that gets none, and to a token
# that is dead.
sub delivers
{
	my ($name) = @_;

	$node->safe_psql('postgres',
		q{SELECT imp_push.bind_device('user2', 'phone', 'chat', '} . token_of('user2') . q{')});
	$sim->forget;
	$sim->control('fault count=1 prefix=' . token_of('user2') . ' status=410');
	insert_to_users($node, $number, msg_id => $name);
	wait_settled($node);
	ok( $node->poll_query_until('postgres', q{
			SELECT disabled_reason = 'Unregistered' FROM imp_push.device_token
			WHERE (user_id, device_id) = ('user2', 'phone')}),
		"$name: the dead token is disabled");
	is( $node->safe_psql('postgres', qq{
			SELECT string_agg(concat_ws(' ', recipient, device_id, coalesce(reason, status)), ', ' ORDER BY recipient, device_id)
			FROM imp_push.delivery WHERE msg_id = '$name'}),
		'user1 phone sent, user1 tablet kicked, user2 phone Unregistered, user2 tablet sent, '
		  . 'user3 phone sent, user4 phone sent, user5 phone sent',
		"$name: everything has its outcome");
	arrived_once($sim, $number, $name);
	return;
}

# What mallory's code has found, in the places where it is to have been.
sub stays_inside
{
	my ($name, @places) = @_;
	my $count = @attempts;

	# The cursor is stored once a second.
	$node->poll_query_until('postgres',
		"SELECT count(DISTINCT place) FROM mallory.seen WHERE place <> 'operator'",
		scalar @places);

	# Operators by the names of ours are found as long as the transaction lasts.
	is( $node->safe_psql('postgres', q{SELECT DISTINCT place FROM mallory.seen WHERE place <> 'operator' ORDER BY 1}),
		join("\n", sort @places), "$name: it has run: @places");
	is( $node->safe_psql('postgres', 'SELECT DISTINCT who FROM mallory.seen'),
		'courier', "$name: as imp_push.role");
	is( $node->safe_psql('postgres', 'SELECT count(DISTINCT attempt) FROM mallory.seen'),
		$count, "$name: and has tried $count ways out");
	is($node->safe_psql('postgres', 'SELECT DISTINCT attempt FROM mallory.seen WHERE refused IS NULL'),
		'', "$name: all are closed");
	is($node->safe_psql('postgres', 'SELECT rolname FROM pg_roles WHERE rolsuper'),
		$superuser, "$name: nobody has become a superuser");
	is( $node->safe_psql('postgres',
			q{SELECT count(*) FROM pg_auth_members WHERE member IN ('mallory'::regrole, 'courier'::regrole)}),
		0, "$name: nor a member of anything");
	ok(!-e $proof, "$name: no program has run");
	$node->safe_psql('postgres', 'TRUNCATE mallory.seen');
	return;
}

bind_users($node, $number);
$node->safe_psql('postgres', q{
	INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	VALUES ('user1', 'tablet', 'chat', 'aaaa'), ('user2', 'tablet', 'chat', 'bbbb');
	SELECT imp_push.set_presence('user1', 'tablet', 'kicked'), imp_push.start()});
delivers('before');
my $pid = wait_for_worker($node);

# Triggers

as_mallory(q{
	CREATE TRIGGER before_outcome BEFORE INSERT ON imp_push.delivery_log
		FOR EACH ROW EXECUTE FUNCTION mallory.attack();
	CREATE TRIGGER after_outcomes AFTER INSERT ON imp_push.delivery_log
		FOR EACH STATEMENT EXECUTE FUNCTION mallory.attack();
	CREATE TRIGGER before_token BEFORE UPDATE OF disabled_at ON imp_push.device_token
		FOR EACH ROW EXECUTE FUNCTION mallory.attack();
	CREATE CONSTRAINT TRIGGER constraint_token AFTER UPDATE OF disabled_at ON imp_push.device_token
		DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION mallory.attack();
	CREATE TRIGGER before_waiting BEFORE INSERT OR DELETE ON imp_push.waiting
		FOR EACH ROW EXECUTE FUNCTION mallory.attack();
	CREATE TRIGGER before_cursor BEFORE INSERT OR UPDATE ON imp_push.worker_cursor
		FOR EACH ROW EXECUTE FUNCTION mallory.attack()});
delivers('triggers');

# And now the worker reads keys and signs as the owner: in a session that knows
# nothing of what mallory has set.
set_certificate($node, 'chat', $sim, key => $other_key);
delivers('a new key');
my ($head) = map { decode_base64url($_) } map { $_->{headers}->{authorization} =~ /^bearer ([^.]+)/ } $sim->accepted;
like($head, qr/KEY0000002/, 'a new key: it is used');
stays_inside('triggers', 'before_outcome', 'after_outcomes', 'before_token', 'constraint_token',
	'before_waiting', 'before_cursor');
as_mallory(q{
	DROP TRIGGER before_waiting ON imp_push.waiting});
$node->safe_psql('postgres', q{
	DROP TRIGGER before_outcome ON imp_push.delivery_log;
	DROP TRIGGER after_outcomes ON imp_push.delivery_log;
	DROP TRIGGER before_token ON imp_push.device_token;
	DROP TRIGGER constraint_token ON imp_push.device_token;
	DROP TRIGGER before_cursor ON imp_push.worker_cursor});

# What the owner of a table can do

as_mallory(q{
	CREATE FUNCTION mallory.valid(place text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mallory.try_all(place);
		RETURN true;
	END $$;
	CREATE TYPE mallory.sly AS (a text);
	CREATE FUNCTION mallory.to_text(mallory.sly) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mallory.try_all('cast');
		RETURN $1.a;
	END $$;
	CREATE CAST (mallory.sly AS text) WITH FUNCTION mallory.to_text AS IMPLICIT;
	ALTER TABLE imp_push.waiting ADD COLUMN mine text DEFAULT ROW('x')::mallory.sly,
		ADD CHECK (mallory.valid('check'));
	CREATE RULE sly AS ON DELETE TO imp_push.waiting DO ALSO SELECT mallory.try_all('rule')});
delivers('a table of hers');
stays_inside('a table of hers', 'cast', 'check', 'rule');
as_mallory('DROP RULE sly ON imp_push.waiting; ALTER TABLE imp_push.waiting DROP COLUMN mine, DROP CONSTRAINT waiting_check');

# What PostgreSQL does not let run in there stops the worker, which says so, and
# goes on when it is gone.

as_mallory(q{
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON imp_push.delivery_log
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.attack()});
$sim->forget;
insert_to_users($node, 3, msg_id => 'deferred');
ok( $node->poll_query_until('postgres',
		q{SELECT state = 'waiting_for_role' AND last_error LIKE '%deferred trigger%' FROM imp_push.worker_status}),
	'a deferred trigger stops the worker, and it says so');
$node->safe_psql('postgres', 'DROP TRIGGER deferred ON imp_push.delivery_log');
wait_settled($node);
is(none_lost($sim, 3, 'a deferred trigger', $node)->{repeated}, 0, 'what had been sent is not sent again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mallory.seen'), 0, 'it has not run');
is(wait_for_worker($node), $pid, 'it was one worker all the time');

$node->stop;
done_testing();
