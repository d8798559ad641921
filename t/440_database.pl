# What can happen in the database: other sessions' locks and snapshots, a
# message that cannot be planned, a statement that takes for ever, an extension
# that is gone.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 1000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "log_statement = none
		imp_push.request_timeout = '2s'");

bind_users($node, $users);

# An idle transaction that has acknowledged messages

{
	my $number = 50;
	my $session;

	$sim->stop;
	insert_to_users($node, $number, msg_id => 'acknowledged');
	ok( $node->poll_query_until(
			'postgres', "SELECT waiting = $number
			FROM imp_push.certificate_status"),
		"$number pushes wait");
	$session = $node->background_psql('postgres');
	$session->query_safe(
		q{BEGIN;
		SELECT imp_push.ack_offline_messages(recipient, ARRAY[id])
		FROM imp_push.offline_message});
	$sim->forget;
	$sim->start;
	$sim->wait_for_accepted($number);
	insert_to_users($node, $number, msg_id => 'meanwhile');
	wait_settled($node);
	none_lost($sim, 2 * $number, 'acknowledged, not committed');
	$session->query_safe('COMMIT');
	$session->quit;
	is( $node->safe_psql(
			'postgres', q{SELECT status, count(*) FROM imp_push.delivery
			WHERE msg_id = 'acknowledged' GROUP BY status}),
		"sent|$number",
		'what was sent is sent, though it has been acknowledged since');
}

# One that cannot be planned: writing down that it goes to nobody raises an
# error.

{
	$node->safe_psql(
		'postgres', q{
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN RAISE division_by_zero; END$$;
		CREATE TRIGGER refuse BEFORE INSERT ON imp_push.delivery_log
			FOR EACH ROW
			WHEN (NEW.recipient = 'nobody' AND NEW.status <> 'failed')
			EXECUTE FUNCTION refuse()});
	$sim->forget;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', CASE i WHEN 777 THEN 'nobody' ELSE 'user' || i END, 'bad'
		FROM generate_series(1, $users) i});
	$sim->wait_for_accepted($users - 1);
	wait_settled($node);
	none_lost($sim, $users - 1, 'one that cannot be planned');
	is( $node->safe_psql(
			'postgres', q{SELECT recipient, status, reason
			FROM imp_push.delivery
			WHERE msg_id = 'bad' AND status <> 'sent'}),
		'nobody|failed|22012',
		'it has failed with the SQLSTATE');
	$node->safe_psql('postgres', 'DROP FUNCTION refuse() CASCADE');
}

# One whose planning takes for ever.  (pg_cancel_backend() is to the worker what
# its statement timeout is, only sooner.)

{
	my $cancelled = 0;
	my $state = q{SELECT CASE
			WHEN EXISTS (SELECT FROM imp_push.delivery_log
				WHERE msg_id = 'slow' AND status = 'failed') THEN 'failed'
			WHEN wait_event = 'PgSleep' THEN pg_cancel_backend(pid)::text
			ELSE 'works' END
		FROM pg_stat_activity WHERE application_name = 'imp_push worker'};

	$node->safe_psql(
		'postgres', q{
		CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN PERFORM pg_sleep(100); RETURN NEW; END$$;
		CREATE TRIGGER sleep BEFORE INSERT ON imp_push.delivery_log
			FOR EACH ROW
			WHEN (NEW.recipient = 'nobody' AND NEW.status <> 'failed')
			EXECUTE FUNCTION sleep()});
	$sim->forget;
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', CASE i WHEN 7 THEN 'nobody' ELSE 'user' || i END, 'slow'
		FROM generate_series(1, 20) i});
	wait_until(
		sub {
			my $is = $node->safe_psql('postgres', $state);

			$cancelled++ if $is eq 'true';
			return $is eq 'failed';
		},
		undef, 'it to be set aside');
	$sim->wait_for_accepted(19);
	wait_settled($node);
	diag("cancelled $cancelled times");
	none_lost($sim, 19, 'one that takes for ever');
	is( $node->safe_psql(
			'postgres', q{SELECT recipient, reason FROM imp_push.delivery
			WHERE msg_id = 'slow' AND status = 'failed'}),
		'nobody|57014',
		'it is set aside with the SQLSTATE');
	$node->safe_psql('postgres', 'DROP FUNCTION sleep() CASCADE');
}

# Settling fails for a while.

{
	my $pid = wait_for_worker($node);

	$node->safe_psql(
		'postgres', q{
		CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN RAISE disk_full; END$$;
		CREATE TRIGGER no_space BEFORE INSERT ON imp_push.delivery_log
			FOR EACH STATEMENT EXECUTE FUNCTION no_space()});
	$sim->forget;
	insert_to_users($node, 100, msg_id => 'full');
	ok( $node->poll_query_until(
			'postgres', q{SELECT last_error LIKE '%disk_full%'
				OR last_error LIKE '%53100%' FROM imp_push.worker_status}),
		'worker_status says what is wrong');
	$node->safe_psql('postgres', 'DROP FUNCTION no_space() CASCADE');
	wait_settled($node);
	is(none_lost($sim, 100, 'no space left')->{repeated},
		0, 'what had been sent is not sent again');
	is(wait_for_worker($node), $pid, 'the worker has lived through it');
}

# Some whose text has become unreadable: of a large text the table holds only
# where it is stored, and there it has been lost.

{
	my $lost;

	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	wait_until(sub { return !worker_process($node) }, undef, 'it to leave');
	$node->safe_psql(
		'postgres', qq{
		VACUUM FULL imp_push.offline_message;
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id, body)
		SELECT 's', 'user' || i, 'lost',
			   CASE WHEN i BETWEEN 500 AND 503 THEN (
					SELECT string_agg(md5(i || '/' || n), '')
					FROM generate_series(1, 300) n) END
		FROM generate_series(1, $users) i});
	$lost = $node->data_dir . '/' . $node->safe_psql(
		'postgres', q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class
		WHERE oid = 'imp_push.offline_message'::regclass});
	$node->stop;
	truncate $lost, 0 or die "$lost: $!\n";
	$node->start;
	$sim->forget;
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	$sim->wait_for_accepted($users - 4);
	wait_settled($node);
	none_lost($sim, $users - 4, 'unreadable texts');
	is( $node->safe_psql(
			'postgres', q{SELECT count(*), min(recipient), max(recipient),
				min(status), max(reason)
			FROM imp_push.delivery
			WHERE msg_id = 'lost' AND status <> 'sent'}),
		'4|user500|user503|failed|XX001',
		'those, and only those, have failed with the SQLSTATE');
}

$node->stop;

# An extension that is dropped while something is in flight, where the server
# does not know of the worker

{
	my $bare =
	  new_node('bare', simulator => $sim, preload => 0,
		conf => "imp_push.request_timeout = '2s'");

	bind_users($bare, 10);
	$sim->control('fault silent');
	$sim->forget;
	insert_to_users($bare, 10, msg_id => 'dropped');
	$sim->wait_for(1);
	ok(worker_process($bare), 'there is a worker');
	$bare->safe_psql(
		'postgres', 'DROP EXTENSION imp_push CASCADE;
		CREATE EXTENSION imp_push');
	$sim->control('clear');
	wait_until(sub { return !worker_process($bare) },
		undef, 'the worker to leave');
	set_certificate($bare, 'chat', $sim);
	bind_users($bare, 10);
	$sim->forget;
	insert_to_users($bare, 10, msg_id => 'anew');
	$bare->safe_psql('postgres', 'SELECT imp_push.start()');
	$sim->wait_for_accepted(10);
	wait_settled($bare);
	arrived_once($sim, 10, 'created anew');
	is( $bare->safe_psql('postgres',
			'SELECT msg_id, status, count(*) FROM imp_push.delivery
			 GROUP BY 1, 2'),
		'anew|sent|10',
		'and nothing of the one before is left');
}

done_testing();
