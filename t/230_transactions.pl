# What commits is pushed, whenever and however it commits; what does not, is not.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my $expected = 0;

# Waits for so many more pushes and checks that they are the only ones.
sub more_arrive
{
	my ($number, $name) = @_;

	$expected += $number;
	$sim->wait_for_accepted($expected);
	wait_settled($node);
	arrived_once($sim, $expected, $name);
	return;
}

sub insert_sql
{
	my ($msg_id, $first, $last) = @_;

	$last = $first unless defined $last;
	return "INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 'sender', 'user' || i, '$msg_id'
		FROM generate_series($first, $last) AS i";
}

bind_users($node, 200);

# A commit that comes late: its transaction began before those of others whose
# messages are long sent.

my $late = $node->background_psql('postgres');
my $later = $node->background_psql('postgres');

$late->query_safe('BEGIN');
$late->query_safe(insert_sql('late', 1, 10));
$later->query_safe('BEGIN');
$later->query_safe(insert_sql('later', 1, 10));

insert_to_users($node, 100, msg_id => "prompt-$_") foreach 1 .. 3;
more_arrive(300, 'others go first');
$late->query_safe('COMMIT');
more_arrive(10, 'a commit that comes late');

my $pid = wait_for_worker($node);

$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
$node->poll_query_until('postgres',
	"SELECT pid <> $pid FROM imp_push.worker_status");
insert_to_users($node, 100, msg_id => 'prompt-4');
more_arrive(100, 'others go first, past a new worker');
$later->query_safe('COMMIT');
more_arrive(10, 'a commit that comes even later');
$late->quit;
$later->quit;

# Roll-back, of a transaction and of a part of it

$node->safe_psql('postgres',
	'BEGIN; ' . insert_sql('rolled-back', 1, 10) . '; ROLLBACK');
$node->safe_psql(
	'postgres', 'BEGIN; '
	  . insert_sql('kept', 1)
	  . '; SAVEPOINT s; '
	  . insert_sql('undone', 2)
	  . '; ROLLBACK TO s; '
	  . insert_sql('kept', 3)
	  . '; COMMIT');
more_arrive(2, 'a savepoint rolled back: the rest');
$node->safe_psql(
	'postgres', 'BEGIN; SAVEPOINT s; '
	  . insert_sql('nested', 4)
	  . '; RELEASE s; COMMIT');
more_arrive(1, 'inserted in a subtransaction');

# Two phases, in two sessions, and over a restart

$node->safe_psql('postgres',
	'BEGIN; ' . insert_sql('prepared', 1, 10) . "; PREPARE TRANSACTION 'one'");
$node->safe_psql('postgres',
	'BEGIN; ' . insert_sql('forgotten', 1) . "; PREPARE TRANSACTION 'two'");
insert_message($node, 'user20', 'a marker');
more_arrive(1, 'what is prepared is not committed');
$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
more_arrive(10, 'COMMIT PREPARED in another session');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'two'");

$node->safe_psql('postgres',
	'BEGIN; ' . insert_sql('survives', 1, 10) . "; PREPARE TRANSACTION 'three'");
$node->restart;
$node->safe_psql('postgres', "COMMIT PREPARED 'three'");
more_arrive(10, 'COMMIT PREPARED after a restart');

# COPY

$node->safe_psql(
	'postgres', join "\n",
	'COPY imp_push.offline_message (sender, recipient, msg_id, body) FROM stdin;',
	(map { "sender\tuser$_\tcopied\thello" } 1 .. 100), '\\.', '');
more_arrive(100, 'COPY');

# Other ways for rows to come into a table

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION say(who text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO imp_push.offline_message (sender, recipient)
			VALUES ('sender', who);
	EXCEPTION WHEN OTHERS THEN
		RAISE;
	END $$;
	SELECT say('user1')});
more_arrive(1, 'inserted by a function');
$node->safe_psql(
	'postgres',
	'BEGIN ISOLATION LEVEL SERIALIZABLE; '
	  . insert_sql('serializable', 1)
	  . '; COMMIT');
more_arrive(1, 'in a serializable transaction');
# ON CONFLICT DO NOTHING: the server repeats an insert after a lost answer.

$node->safe_psql('postgres',
	insert_sql('repeated', 1, 2) . ' ON CONFLICT DO NOTHING')
  foreach 1 .. 2;
more_arrive(2, 'an insert that is repeated');

done_testing();
