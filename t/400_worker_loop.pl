# The worker's loop: it follows stop(), start() and the settings at once, and
# whatever it waits for, it waits without using the processor.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.request_timeout = '3s'
		log_statement = none
		shared_preload_libraries = 'imp_push, auto_explain'");

sub state_is
{
	my ($state, $name, $more) = @_;

	$more = 'true' unless defined $more;
	return ok(
		$node->poll_query_until(
			'postgres', "SELECT state = '$state' AND $more
			FROM imp_push.worker_status"),
		$name);
}

# What the worker uses while somebody else looks at the clock.
sub is_quiet
{
	my ($name) = @_;
	my $pid = wait_for_worker($node);
	my $before = cpu_seconds($pid);
	my $used;

	$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
	$used = cpu_seconds($pid) - $before;
	diag(sprintf '%s: %.0f ms of processor time in 1 s', $name, $used * 1000);
	cmp_ok($used, '<', 0.2, "$name: the worker is quiet");
	return;
}

sub stop_and_start
{
	$node->safe_psql('postgres',
		'SELECT imp_push.stop(); SELECT imp_push.start()');
	return;
}

sub settings
{
	$node->append_conf('postgresql.conf', join "\n", @_);
	$node->reload;
	return;
}

bind_users($node, 1000);

# A commit that comes while the worker is in the middle of another's messages
# is not overlooked.  (The poll comes once an hour.)

subtest 'no commit is overlooked' => sub {
	my $rounds = 12;

	foreach my $round (1 .. $rounds)
	{
		# Two commits, the second while the worker reads the first
		$node->safe_psql(
			'postgres', qq{
			INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
			SELECT 'sender', 'user' || i, 'many $round'
			FROM generate_series(1, 600) i;
			SELECT FROM generate_series(1, 2000 * $round);
			INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
			VALUES ('sender', 'user601', 'one $round')});
		eval { $sim->wait_for_accepted($round * 601, 60) } or last;
	}
	none_lost($sim, $rounds * 601, 'commits while it reads');
};

subtest 'stop() and start() at once' => sub {
	$sim->forget;
	foreach my $round (1 .. 5)
	{
		stop_and_start();
		insert_message($node, 'user1', 'hello', msg_id => "round $round");
	}
	$sim->wait_for_accepted(5);
	wait_settled($node);
	none_lost($sim, 5, 'stop() and start()');

	# With something in flight, so that leaving takes a moment
	$sim->forget;
	$sim->control('fault count=1 delay=700');
	insert_message($node, 'user1', 'hello', msg_id => 'slow');
	$sim->wait_for(1);
	stop_and_start();
	insert_to_users($node, 10, msg_id => 'after');
	$sim->wait_for_accepted(11);
	wait_settled($node);
	none_lost($sim, 11, 'while leaving');
	is(figures($sim)->{repeated}, 0, 'what was in flight is finished');
	is_quiet('after that');

	# Of which one is never answered, on a connection that works
	settings("imp_push.request_timeout = '1min'");
	$sim->forget;
	$sim->control('fault silent prefix=' . token_of('user20'));
	insert_to_users($node, 20, msg_id => 'never');
	$sim->wait_for(20);
	stop_and_start();
	insert_to_users($node, 10, msg_id => 'at once');
	$sim->wait_for_accepted(29);
	is(figures($sim)->{resent},
		0, 'start() does not wait for what is in flight from before');
	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	is_quiet('stopped, and still waiting for an answer');
	$node->safe_psql(
		'template1', q{
		SET statement_timeout = '10s';
		ALTER DATABASE postgres RENAME TO another;
		ALTER DATABASE another RENAME TO postgres});
	pass('whoever needs the database for himself does not wait for it, either');
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	$sim->control('clear');
	settings("imp_push.request_timeout = '3s'");
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
	wait_settled($node);
};

subtest 'disabled' => sub {
	settings('imp_push.enabled = off');
	state_is('disabled', 'it says so');
	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'disabled');
	is_quiet('disabled, with a message waiting');
	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	state_is('stopped', 'stop() holds as well', 'pid IS NULL');
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	state_is('disabled', 'and start()');
	is(scalar $sim->requests, 0, 'nothing was sent');
	settings('imp_push.enabled = on');
	$sim->wait_for_accepted(1);
	wait_settled($node);
};

subtest 'with an open circuit' => sub {
	$sim->stop;
	insert_to_users($node, 20, msg_id => 'circuit');
	circuit_opens($node, 20, 'the circuit opens');
	is_quiet('pushes wait for a circuit');
	is( $node->safe_psql(
			'postgres', q{SELECT imp_push.push_badge('user1', badge => 3)}),
		1, 'a badge');
	is_quiet('a badge waits for a circuit, too');
	settings('imp_push.enabled = off');
	state_is('disabled', 'disabled');
	is_quiet('disabled, and a circuit is open');
	settings('imp_push.enabled = on');
	state_is('idle', 'enabled');
	$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
	wait_settled_or_badge();
	is_quiet('nothing waits for the circuit');
	$sim->forget;
	$sim->start;
	insert_message($node, 'user2', 'hello', msg_id => 'mended');
	$sim->wait_for_accepted(2);
	wait_settled($node);
	ok( scalar(grep { $_->{json}->{m} } $sim->accepted) == 1,
		'the message arrives, and so does the badge');
};

# Those of the messages that are gone; the badge stays.
sub wait_settled_or_badge
{
	$node->poll_query_until('postgres',
		'SELECT NOT EXISTS (SELECT FROM imp_push.waiting)')
	  or die 'deleted messages are not cancelled';
	return;
}

subtest 'certificates come and go' => sub {
	set_certificate($node, 'brief', $sim);
	bind_users($node, 1, certificate => 'brief', device => 'brief');
	$sim->stop;
	$node->safe_psql('postgres',
		q{SELECT imp_push.send_test('brief', repeat('ab', 32), 't', 'b')});
	insert_message($node, 'user1', 'hello', msg_id => 'brief');
	ok( $node->poll_query_until(
			'postgres', "SELECT bool_and(circuit = 'open')
			FROM imp_push.certificate_status"),
		'their circuits are open');
	$node->safe_psql(
		'postgres', q{
		UPDATE imp_push.certificate SET name = 'renamed' WHERE name = 'brief'});
	$sim->forget;
	$sim->start;
	eval { $sim->wait_for_accepted(2, 20) };
	is(scalar $sim->accepted, 2, 'waiting pushes follow a renamed certificate');
	wait_settled($node);

	$sim->stop;
	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'gone');
	$node->safe_psql(
		'postgres', q{
		SELECT imp_push.push_badge('user1', badge => 3)});
	ok( $node->poll_query_until(
			'postgres', "SELECT sum(waiting) = 2
			FROM imp_push.certificate_status"),
		'two wait');
	$node->safe_psql(
		'postgres', q{
		SELECT imp_push.unbind_device('user1', 'brief');
		DELETE FROM imp_push.certificate WHERE name = 'renamed'});
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = 2 FROM imp_push.delivery
			WHERE certificate = 'renamed' AND reason = 'unbound'"),
		'what waits for a certificate that is gone ends');
	is_quiet('a certificate is gone');
	$sim->start;
	$sim->wait_for_accepted(2);
	wait_settled($node);
};

# What changes nothing for its connections does not put off its next try.

subtest 'a certificate changes while its circuit is open' => sub {
	my $next_probe = q{extract(epoch FROM next_probe_at)};

	$sim->stop;
	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'sound');
	circuit_opens($node, 1, 'it is open');
	foreach my $sound (1 .. 3)
	{
		my $due = $node->safe_psql('postgres',
			"SELECT $next_probe FROM imp_push.certificate_status");

		$node->safe_psql('postgres',
			"UPDATE imp_push.certificate SET sound = '$sound.caf'");
		wait_until(
			sub {
				return $node->safe_psql('postgres',
					"SELECT $next_probe FROM imp_push.certificate_status") > $due;
			},
			20,
			'the next try');
	}
	pass('it is tried again all the same');
	$sim->start;
	$sim->wait_for_accepted(1);
	wait_settled($node);
};

subtest 'pushes that nobody answers take all the room' => sub {
	settings('imp_push.max_in_flight = 10', "imp_push.request_timeout = '1min'");
	$sim->forget;
	$sim->control('fault silent');
	insert_to_users($node, 100, msg_id => 'room');
	$sim->wait_for(1);
	is_quiet('no room');
	$sim->control('clear');
	settings('imp_push.max_in_flight = 1000', "imp_push.request_timeout = '3s'");
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
	wait_settled($node);
	none_lost($sim, 100, 'no room');
};

subtest 'an id that is used again before its turn has come' => sub {
	settings('imp_push.max_in_flight = 10');
	$sim->forget;
	$sim->control('fault delay=2000');
	insert_to_users($node, 100, msg_id => 'read');
	$sim->wait_for(10);
	$node->safe_psql(
		'postgres', q{
		WITH gone AS (
			DELETE FROM imp_push.offline_message
			WHERE msg_id = 'read' AND recipient = 'user99' RETURNING id)
		INSERT INTO imp_push.offline_message (id, sender, recipient, msg_id)
		SELECT id, 's', 'user99', 'in its place' FROM gone});
	$sim->control('clear');
	wait_settled($node);
	is(scalar(grep { $_->{json}{m} eq 'in its place' } $sim->requests),
		1, 'is pushed once');
	is(scalar(grep { $_->{json}{t} eq 'user99' } $sim->requests),
		1, 'and what it belonged to before is not');
	settings('imp_push.max_in_flight = 1000');
};

subtest 'a test that says too much' => sub {
	my $pid = wait_for_worker($node);
	my $test = $node->safe_psql('postgres',
		q{SELECT imp_push.send_test('chat', repeat('ab', 32), repeat('x', 9000), 'b')}
	);

	ok( $node->poll_query_until(
			'postgres', "SELECT status = 'failed' AND reason = 'payload_too_large'
			FROM imp_push.delivery WHERE apns_id = '$test'"),
		'fails as payload_too_large');
	is(wait_for_worker($node), $pid, 'and the worker lives');
};

subtest 'pg_cancel_backend()' => sub {
	my $pid = wait_for_worker($node);

	$sim->forget;
	$sim->control('fault seconds=2 delay=200');
	foreach my $round (1 .. 5)
	{
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		insert_message($node, 'user1', 'hello', msg_id => "cancel $round");
	}
	$sim->control('clear');
	wait_settled($node);
	is(wait_for_worker($node), $pid, 'it is still the same worker');
	is(none_lost($sim, 5, 'cancelled')->{repeated}, 0, 'none comes twice');
};

subtest 'imp_push.role' => sub {
	settings("imp_push.role = 'courier'");
	state_is('waiting_for_role', 'a role that is not there',
		"last_error LIKE '%role \"courier\" does not exist%'");
	is_quiet('without its role');
	$node->safe_psql('postgres', 'CREATE ROLE courier');
	state_is('waiting_for_role', 'a role without rights',
		"last_error LIKE '%permission denied%'");
	$node->safe_psql('postgres', q{SELECT imp_push.grant_worker('courier')});
	state_is('idle', 'a role with its rights');
	$sim->forget;
	$node->safe_psql('postgres',
		'REVOKE INSERT ON imp_push.delivery_log FROM courier');
	insert_message($node, 'user1', 'hello', msg_id => 'role');
	state_is('waiting_for_role', 'a right is missing',
		"last_error LIKE '%permission denied for table delivery_log%'");
	is_quiet('without a right');
	$node->safe_psql('postgres', q{SELECT imp_push.grant_worker('courier')});
	wait_settled($node);
	arrived_once($sim, 1, 'with the right again');
	settings("imp_push.role = ''");
};

subtest 'a version that it does not know' => sub {
	$node->safe_psql('postgres',
		q{UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'imp_push'}
	);
	$sim->forget;
	insert_message($node, 'user1', 'hello', msg_id => 'version');
	state_is('unknown_version', 'it says so');
	is_quiet('an unknown version');
	$node->safe_psql('postgres',
		q{UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'imp_push'}
	);
	$sim->wait_for_accepted(1);
	wait_settled($node);
	arrived_once($sim, 1, 'a version that it knows');
};

# An idle worker runs no statement but those of the poll.

# How many it has run since the log was so long
sub statements
{
	my ($begin) = @_;
	my $pid = wait_for_worker($node);

	return scalar(() =
		  slurp_file($node->logfile, $begin) =~ /\[$pid\].* duration:/g);
}

subtest 'idle' => sub {
	state_is('idle', 'it is idle');
	settings('auto_explain.log_min_duration = 0');
	wait_until(
		sub {
			my $begin = -s $node->logfile;

			is_quiet('idle');
			return statements($begin) == 0;
		},
		undef, 'a second without a statement');

	my $begin = -s $node->logfile;

	settings("imp_push.poll_interval = '200ms'");
	wait_until(sub { return statements($begin) > 3 }, 30, 'polls');
	pass('a shorter poll holds at once');
	is_quiet('polling');
};

done_testing();
