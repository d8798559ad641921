# A message whose planning brings the worker down is found and set aside, and
# no other message with it: the worker plans with care after a crash, and only
# what was alone on trial and brought it down three times is to blame.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 1000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "restart_after_crash = on
		log_statement = none
		imp_push.max_in_flight = 400");
my $strikes =
  File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir() . '/strikes');
my $crashes = 0;

# Writing down what becomes of a message to this person kills the process that
# does it, so many times; what is set aside is written down unharmed.
sub set_trap
{
	my ($recipient, $times) = @_;

	unlink $strikes;
	$node->safe_psql(
		'postgres', qq{
		CREATE OR REPLACE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql
		AS \$\$
		BEGIN
			COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; echo strike >> $strikes;
				[ \$(wc -l < $strikes) -gt $times ] || kill -SEGV \$PPID';
			RETURN NEW;
		END
		\$\$;
		CREATE OR REPLACE TRIGGER trap BEFORE INSERT ON imp_push.delivery_log
			FOR EACH ROW
			WHEN (NEW.recipient = '$recipient' AND NEW.status <> 'failed')
			EXECUTE FUNCTION trap()});
	return;
}

# One message for each of the users, in the middle of them one for nobody.
sub insert_with_nobody
{
	my ($msg_id) = @_;

	$sim->forget;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', CASE i WHEN 501 THEN 'nobody' ELSE 'user' || i END,
			   '$msg_id'
		FROM generate_series(1, $users) i});
	return;
}

# How often the worker has crashed since the last call.
sub new_crashes
{
	my $before = $crashes;

	$crashes = () =
	  slurp_file($node->logfile) =~ /imp_push worker.*terminated by signal/g;
	return $crashes - $before;
}

sub wait_for_end
{
	wait_until(
		sub {
			my ($status, $left) = $node->psql(
				'postgres',
				q{SELECT count(*) FROM imp_push.delivery
				WHERE status IN ('pending', 'retrying')});

			return $status == 0 && $left eq '0';
		},
		undef,
		'every message to end');
	return;
}

# What of a message's rows is not sent.
sub others
{
	my ($msg_id) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT recipient, status, reason FROM imp_push.delivery
		WHERE msg_id = '$msg_id' AND status <> 'sent'});
}

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

# A new message

set_trap('nobody', 1_000_000);
insert_with_nobody('poison');
wait_for_end();
none_lost($sim, $users - 1, 'one that brings the worker down');
is(others('poison'), 'nobody|failed|worker_crashed',
	'that one has failed, and says why');
is(new_crashes(), 5,
	'at the first time, among others on trial, and three times alone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM imp_push.trial'),
	0, 'in the end nothing is on trial');

# One that did it twice, alone, and not again

set_trap('nobody', 4);
insert_with_nobody('twice');
wait_for_end();
none_lost($sim, $users - 1, 'one that recovers');
is(others('twice'), 'nobody|suppressed|no_device_token',
	'whoever brings it down twice is planned the third time');
is(new_crashes(), 4, 'after that many crashes');

# One that waits for its next attempt, with three devices

$sim->forget;
bind_users($node, 3, device => $_) foreach 'pad', 'watch';

# The circuit may open, and is then tried with the newest registration.
$node->safe_psql('postgres',
	q{UPDATE imp_push.device_token SET registered_at = now()
	WHERE user_id = 'user3'});
$sim->control('fault status=503');
insert_to_users($node, 3, msg_id => 'waits');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 9 FROM imp_push.waiting
		WHERE msg_id = 'waits'}),
	'nine pushes wait');
$node->safe_psql(
	'postgres', q{
	SELECT imp_push.stop();
	UPDATE imp_push.device_token SET disabled_at = now(),
		disabled_reason = 'by hand'
	WHERE user_id = 'user2' AND device_id = 'watch'});
wait_until(sub { return !worker_process($node) }, undef, 'it to leave');
$node->safe_psql('postgres', 'UPDATE imp_push.waiting SET due = now()');
set_trap('user2', 1_000_000);
$sim->control('clear');
$node->safe_psql('postgres', 'SELECT imp_push.start()');
wait_for_end();
none_lost($sim, 6 + accepted_for('user2'), 'one that waits');
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT recipient FROM imp_push.delivery
		WHERE msg_id = 'waits' AND reason = 'worker_crashed'}),
	'user2',
	'a waiting one, too, is set aside alone');
is(new_crashes(), 5, 'after as many crashes');

# How many devices of a person have been accepted for
sub accepted_for
{
	my ($recipient) = @_;
	my %tokens = map { $_->{token} => 1 }
	  grep { $_->{json}->{t} eq $recipient } $sim->accepted;

	return scalar keys %tokens;
}

# Normal operation does not pay for it.

my $trials = q{SELECT last_value FROM imp_push.trial_no_seq};
my $before = $node->safe_psql('postgres', $trials);

$node->safe_psql('postgres', 'DROP FUNCTION trap() CASCADE');
$node->restart;
insert_to_users($node, $users, msg_id => 'clean');
wait_settled($node);
is($node->safe_psql('postgres', $trials),
	$before, 'after a clean end nothing goes on trial');

done_testing();
