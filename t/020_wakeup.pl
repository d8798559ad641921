# A commit is never overlooked, and only those that concern a worker wake it.
#
# Nobody here has a device: what is tested is that the worker looks, so that
# each message gets its outcome, no_device_token.  The poll is an hour away.

use strict;
use warnings;

use ImpPush;
use Test::More;

# What matters is the time between the last look of a committer at the worker
# before its rows are visible and the first after that: it has to be real.
my $node = new_node(
	'main',
	databases => 'postgres, second',
	conf => "fsync = on\ncommit_delay = 500\ncommit_siblings = 0\n");

# say() inserts one message a transaction.  All who say something do so at the
# same time, and go on only when all messages of the round have their outcomes:
# so whoever is overlooked is noticed, for nobody comes after him.

$node->safe_psql(
	'postgres', q{
	CREATE PROCEDURE say(name text, me int, speakers int, rounds int)
	LANGUAGE plpgsql AS $$
	DECLARE
		everybody text[] := array_agg(name || i)
			FROM generate_series(0, speakers - 1) AS i;
		deadline timestamptz;
	BEGIN
		FOR round IN 1 .. rounds LOOP
			INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
			VALUES ('sender', name || me, round);
			COMMIT;
			deadline := clock_timestamp() + interval '1 min';
			WHILE speakers > count(*) FROM imp_push.delivery
				WHERE recipient = ANY (everybody) AND msg_id = round::text
					AND reason = 'no_device_token'
			LOOP
				IF clock_timestamp() > deadline THEN
					RAISE EXCEPTION 'a message of round % was overlooked', round;
				END IF;
			END LOOP;
		END LOOP;
	END $$});

sub no_commit_is_overlooked
{
	my ($speakers, $rounds, $name) = @_;
	my $script = $node->basedir . '/say.sql';

	PostgreSQL::Test::Utils::append_to_file($script,
		"CALL say('$name ', :client_id, $speakers, $rounds);\n");
	$node->command_ok(
		[
			'pgbench', '--no-vacuum', '--client', $speakers,
			'--transactions', 1, '--file', $script, 'postgres'
		],
		"no commit is overlooked: $name");
	unlink $script;
	return;
}

no_commit_is_overlooked(1, 100, 'one speaker');
no_commit_is_overlooked(2, 200, 'two speakers');
no_commit_is_overlooked(4, 100, 'four speakers');

# The public doorbell

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach 'second', 'other';

my $listener = $node->background_psql('postgres');
my $elsewhere = $node->background_psql('second');

$_->query_safe('LISTEN imp_push') foreach $listener, $elsewhere;

# What a session has heard since it was last asked.
sub heard
{
	my ($session) = @_;

	return () = $session->query('SELECT') =~ /notification "imp_push"/g;
}

# A commit rings only if the worker sleeps, and the last one may have woken it.
sub rings
{
	my ($name) = @_;
	my $heard = 0;

	wait_until(
		sub {
			insert_message($node, 'listener', $name);
			wait_settled($node);
			return $heard = heard($listener);
		},
		undef, 'the doorbell');
	ok($heard, $name);
	return;
}

rings('a commit of a message notifies');
$node->safe_psql('postgres',
	q{BEGIN; INSERT INTO imp_push.offline_message (sender, recipient)
	  VALUES ('sender', 'rolled back'); ROLLBACK});
is(heard($listener), 0, 'one that is rolled back does not');
rings('and takes the doorbell from nobody');

# Fails after it has rung: of these two only one can commit, and the other
# hears of that at the very end.
my @sessions =
  map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;

$node->safe_psql('postgres', 'CREATE TABLE shared (id int)');
foreach my $session (@sessions)
{
	$session->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE');
	$session->query_safe('SELECT count(*) FROM shared');
}
$_->query_safe('INSERT INTO shared VALUES (1)') foreach @sessions;
$_->query_safe(
	q{INSERT INTO imp_push.offline_message (sender, recipient)
	  VALUES ('sender', 'serializable')}) foreach @sessions;
$_->query('COMMIT') foreach @sessions;
$_->quit foreach @sessions;
is( $node->safe_psql('postgres', 'SELECT count(*) FROM shared'),
	'1', 'one of two transactions fails at its commit');
rings('and gives the doorbell back');

# Anybody may wake the worker, here for a message that came without a trigger.

$node->safe_psql(
	'postgres', q{
	SET session_replication_role = replica;
	INSERT INTO imp_push.offline_message
		(sender, recipient, conversation_id, queued_xid)
	VALUES ('sender', 'silent', 'sender', pg_current_xact_id())});
is(heard($listener), 0, 'a message that came silently');
$node->safe_psql('postgres', 'NOTIFY imp_push');
wait_settled($node);
pass('NOTIFY imp_push wakes the worker');
heard($listener);

# Two databases

$node->safe_psql('second', 'CREATE EXTENSION imp_push');
is(heard($elsewhere), 0, 'nothing is heard in another database');
heard($listener);
insert_message($node, 'user', 'hello', database => 'second');
is(heard($listener), 0, 'nor of another database');
is(heard($elsewhere), 0, 'and nobody rings where no worker runs');

# Two phases: with NOTIFY in the trigger this would be refused.

$node->safe_psql('postgres',
	q{BEGIN; INSERT INTO imp_push.offline_message (sender, recipient)
	  VALUES ('sender', 'prepared'); PREPARE TRANSACTION 'one'});
is(heard($listener), 0, 'PREPARE TRANSACTION does not notify');
$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
wait_settled($node);
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM imp_push.delivery
		  WHERE recipient = 'prepared' AND reason = 'no_device_token'}),
	'1',
	'COMMIT PREPARED in another session wakes the worker');

# Commands in a transaction that has failed

my ($status, $stdout, $stderr) = $node->psql(
	'postgres', q{
	BEGIN;
	INSERT INTO imp_push.offline_message (sender, recipient)
		VALUES ('sender', 'failed');
	SELECT 1 / 0;
	DROP DATABASE other;
	COMMIT PREPARED 'one';
	COMMIT}, on_error_stop => 0);
like($stderr, qr/current transaction is aborted/,
	'commands in a failed transaction are refused as ever');
rings('and the next commit notifies');

# A listener that does not read fills the queue: not ours to prove here, but
# the worker must not be that listener.
is( $node->safe_psql('postgres',
		'SELECT pg_notification_queue_usage() < 0.001'),
	't', 'the worker reads its notifications');

$_->quit foreach $listener, $elsewhere;
$node->stop;
done_testing();
