# What others do in their transactions: the worker comes to no harm, loses
# nothing, and is in nobody's way.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $users = 100;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "deadlock_timeout = '100ms'
		log_statement = none");

bind_users($node, $users);

# Until the worker sleeps in one of the triggers below
sub wait_for_sleep
{
	$node->poll_query_until(
		'postgres',
		q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE application_name = 'imp_push worker'
			AND wait_event = 'PgSleep'})
	  or die 'the worker does not sleep';
	return;
}

# A deadlock: a user's trigger counts what is logged, and another session of
# the user's holds that count and wants the log.  The worker is the last to
# wait, and so the one whose transaction ends.

{
	my $session = $node->background_psql('postgres');
	my $log = -s $node->logfile;

	$node->safe_psql(
		'postgres', q{
		CREATE TABLE tally (n bigint);
		INSERT INTO tally VALUES (0);
		CREATE FUNCTION tally_up() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			WHILE NOT EXISTS (
				SELECT FROM pg_catalog.pg_locks WHERE NOT granted)
				AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity
					WHERE application_name = 'holds')
			LOOP
				PERFORM pg_catalog.pg_sleep(0.01);
				PERFORM pg_catalog.pg_stat_clear_snapshot();
			END LOOP;
			UPDATE public.tally SET n = n + 1;
			RETURN NULL;
		END $$;
		CREATE TRIGGER tally_up AFTER INSERT ON imp_push.delivery_log
			FOR EACH ROW EXECUTE FUNCTION tally_up()});
	$session->query_safe(
		q{SET application_name = 'holds'; SET deadlock_timeout = '1min';
		BEGIN; UPDATE tally SET n = 0});
	insert_to_users($node, $users, msg_id => 'deadlock');
	wait_for_sleep();
	$session->query_until(
		qr/wants/, q{\echo wants
		LOCK TABLE imp_push.delivery_log IN EXCLUSIVE MODE;
		RESET application_name;
		COMMIT;
		});
	wait_settled($node);
	$session->quit;
	like(
		slurp_file($node->logfile, $log),
		qr/could not settle: deadlock detected \(SQLSTATE 40P01\)/,
		'there was a deadlock, which ended the transaction of the worker');
	is(none_lost($sim, $users, 'a deadlock with a user', $node)->{repeated},
		0, 'what had been sent is not sent again');
	$node->safe_psql('postgres', 'DROP FUNCTION tally_up() CASCADE');
}

# A statement that hangs, until the worker's own timeout ends it after 30
# seconds.  (The number of the sequence stays drawn.)

{
	my $log = -s $node->logfile;
	my $begun = time;

	$node->safe_psql(
		'postgres', q{
		CREATE SEQUENCE tries;
		CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('public.tries') = 1 THEN
				PERFORM pg_catalog.pg_sleep(600);
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER hang BEFORE INSERT ON imp_push.delivery_log
			FOR EACH ROW WHEN (NEW.recipient = 'nobody')
			EXECUTE FUNCTION hang()});
	$sim->forget;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', CASE i WHEN 50 THEN 'nobody' ELSE 'user' || i END, 'hangs'
		FROM generate_series(1, $users) i});
	wait_for_sleep();
	$node->safe_psql(
		'postgres', q{
		SET statement_timeout = '5s';
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		VALUES ('s', 'user1', 'meanwhile');
		SELECT count(*) FROM imp_push.delivery;
		SELECT imp_push.ack_offline_messages('user2', ARRAY[]::bigint[]);
		SELECT imp_push.bind_device('user3', 'phone', 'chat', repeat('ab', 32))});
	pass('whoever stores, asks and binds does not wait for it');
	wait_settled($node);
	diag(sprintf 'it went on after %.0f s', time - $begun);
	like(
		slurp_file($node->logfile, $log),
		qr/could not plan: .*statement timeout.*\(SQLSTATE 57014\)/,
		'the worker has ended its own statement');
	none_lost($sim, $users, 'a statement that hangs', $node);
	is( $node->safe_psql(
			'postgres', q{SELECT recipient, status FROM imp_push.delivery
			WHERE msg_id = 'hangs' AND status <> 'sent'}),
		'nobody|suppressed',
		'nothing is set aside for it');
}

done_testing();
