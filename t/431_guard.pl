# The guard: tokens that are refused one by one are dead, and if all are
# refused the configuration is wrong, which costs nobody a token and no
# message its push.

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
	conf => "log_statement = none\nrestart_after_crash = on");
my $refuse_all = 'fault status=400 reason=BadDeviceToken';

# Each subtest has a certificate of its own, and users of that name.
sub certificate
{
	my ($name, $users) = @_;

	$sim->forget;
	set_certificate($node, $name, $sim);
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.device_token
			(user_id, device_id, certificate, token, registered_at)
		SELECT '$name ' || i, 'phone', '$name',
			   encode(sha256(convert_to('$name ' || i, 'UTF8')), 'hex'),
			   now() - interval '1 day' + i * interval '1 ms'
		FROM generate_series(1, $users) AS i});
	return;
}

# A message for each of the users $from to $to
sub push_to
{
	my ($name, $from, $to, $msg_id) = @_;

	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', '$name ' || i, '$msg_id' FROM generate_series($from, $to) i});
	return;
}

sub eventually
{
	my ($condition, $name) = @_;

	return ok($node->poll_query_until('postgres', "SELECT $condition"), $name);
}

sub guard_opens
{
	my ($name, $number) = @_;

	eventually(
		"(circuit_reason, waiting) = ('BadDeviceToken', $number)
		FROM imp_push.certificate_status WHERE certificate = '$name'",
		"the circuit opens, and $number pushes wait");
	return;
}

sub nobody_is_disabled
{
	my ($when) = @_;

	eventually(
		'count(*) = 0 FROM imp_push.device_token WHERE disabled_at IS NOT NULL',
		"$when: not one token is disabled");
	return;
}

sub stop_worker
{
	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	wait_until(sub { return !worker_process($node) }, undef, 'no worker');
	return;
}

sub outcomes
{
	my ($msg_id) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT string_agg(concat_ws(' ', n, outcome), ', ' ORDER BY outcome)
		FROM (SELECT count(*) AS n, concat_ws(' ', status, reason,
				attempts) AS outcome
			FROM imp_push.delivery WHERE msg_id LIKE '$msg_id' GROUP BY 2) counts});
}

sub failed
{
	my ($msg_id) = @_;

	return $node->safe_psql('postgres',
		"SELECT count(*) FROM imp_push.delivery
		WHERE msg_id = '$msg_id' AND status = 'failed'");
}

sub mend
{
	$sim->control('clear');
	wait_settled($node);
	return;
}

# How many requests have come again for a token that had been refused
sub tried_again
{
	my %refused;

	return scalar grep { $_->{status} == 400 && $refused{ $_->{token} }++ }
	  $sim->requests;
}

my $many = 5000;

subtest '5,000 tokens of the wrong environment' => sub {
	certificate('many', $many);
	$sim->control($refuse_all);
	push_to('many', 1, $many, 'all');
	guard_opens('many', $many);
	nobody_is_disabled('at full speed');

	# the probes
	$sim->wait_for(scalar($sim->requests) + 3);
	my $requests = $sim->requests;
	diag("$requests requests were refused, none lost a token");
	cmp_ok($requests, '<', 200, 'the others are not even tried');
	is(tried_again(), 0, 'no probe uses a token that has just been refused');
	mend();
	none_lost($sim, $many, 'mended');
	is(outcomes('all'), "$many sent 1", 'mended: all are sent, none is charged');
	nobody_is_disabled('mended');
};

subtest 'the same, less than a minute after a success' => sub {
	$sim->forget;
	$sim->control($refuse_all);
	push_to('many', 1, $many, 'late');
	eventually(
		q{circuit_reason = 'BadDeviceToken' FROM imp_push.certificate_status
		WHERE certificate = 'many'}, 'the circuit opens');
	nobody_is_disabled('after a success');
	mend();

	my $failed = failed('late');

	diag("$failed failed before it was known");
	cmp_ok($failed, '<', 20, 'fewer than 20 have failed');
	none_lost($sim, $many - $failed, 'mended');
	nobody_is_disabled('mended');
};

foreach my $away (0, 1)
{
	my $when = $away ? 'while the worker is away' : 'while it runs';

	subtest "fewer than it takes, and somebody mends the certificate $when" =>
	  sub {
		my $name = "some$away";

		certificate($name, 5);
		$sim->control($refuse_all);
		push_to($name, 1, 5, 'some');
		eventually(
			q{count(*) = 5 FROM imp_push.device_token
			WHERE disabled_at IS NOT NULL}, 'five tokens seem dead');
		$sim->control('clear');
		stop_worker() if $away;
		set_certificate($node, $name, $sim,
			more => q{environment => 'development'},
			key => make_keys('TEAM000001', 'KEY0000009'));
		set_certificate($node, $name, $sim);
		$node->safe_psql('postgres', 'SELECT imp_push.start()');
		nobody_is_disabled('with the certificate mended');
		push_to($name, 1, 5, "$name more");
		wait_settled($node);
		is(outcomes("$name more"), '5 sent 1', 'and the next message arrives');
	  };
}

subtest 'two devices, and many messages' => sub {
	certificate('few', 2);
	$sim->control($refuse_all);
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'few ' || i % 2 + 1, 'few ' || i
		FROM generate_series(1, 60) i});
	guard_opens('few', 60);
	nobody_is_disabled('two devices');
	$sim->control('clear');

	# Another key: what was refused before is tried again at once.
	set_certificate($node, 'few', $sim,
		key => make_keys('TEAM000001', 'KEY0000009'));
	set_certificate($node, 'few', $sim);
	wait_settled($node);
	none_lost($sim, 60, 'mended');
	nobody_is_disabled('mended');
};

subtest 'a success proves that the others are dead' => sub {
	certificate('proof', 2);
	$sim->control("$refuse_all prefix="
		  . $node->safe_psql('postgres',
			q{SELECT token FROM imp_push.device_token WHERE user_id = 'proof 1'}));
	push_to('proof', 1, 2, 'proof');
	wait_settled($node);
	is( outcomes('proof'),
		'1 failed BadDeviceToken 1, 1 sent 1',
		'one is refused, one is sent');
	eventually(
		q{array_agg(user_id) = '{proof 1}' FROM imp_push.device_token
		WHERE disabled_reason = 'BadDeviceToken'},
		'and only its token is disabled');
	$sim->control('clear');
	$node->safe_psql('postgres',
		q{DELETE FROM imp_push.device_token WHERE user_id = 'proof 1'});
};

foreach my $killed (0, 1)
{
	my $until = $killed ? 'until a crash' : 'for a while';

	subtest "a binding is locked when its token is found to be good, $until" =>
	  sub {
		my ($in, $out, $err) = ('', '', '');
		my $name = "locked$killed";
		my $session;

		certificate($name, 31);
		$sim->control($refuse_all);
		push_to($name, 1, 5, 'locked');
		eventually(
			'count(*) = 5 FROM imp_push.device_token WHERE disabled_at IS NOT NULL',
			'five tokens seem dead');
		$session = IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
			'<', \$in, '>', \$out, '2>', \$err,
			IPC::Run::timeout(300));
		$in .= "BEGIN; SELECT 'locked' FROM imp_push.device_token
			WHERE user_id = '$name 1' FOR UPDATE;\n";
		$session->pump until $out =~ /locked/;
		push_to($name, 6, 30, 'locked');
		eventually(
			qq{array_agg(user_id) = '{$name 1}' FROM imp_push.device_token
			WHERE disabled_at IS NOT NULL}, 'the others are live again');
		guard_opens($name, 25);
		kill_worker($node, worker_process($node)) if $killed;
		$in .= "COMMIT;\n\\q\n";
		$session->finish;
		nobody_is_disabled('when it is free');
		$sim->control('clear');
		push_to($name, 31, 31, 'somebody new');
		wait_settled($node);
	  };
}

# For a minute what waits is no good for a probe; whoever comes new is.

subtest 'a probe goes to whoever has not been refused yet' => sub {
	certificate('lone', 2);
	$sim->control($refuse_all);
	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'lone 1', 'lone ' || i FROM generate_series(1, 30) i});
	guard_opens('lone', 30);
	eventually(
		q{next_probe_at > now() + interval '30 seconds'
		FROM imp_push.certificate_status WHERE certificate = 'lone'},
		'nothing that waits is tried again soon');
	$sim->control('clear');
	push_to('lone', 2, 2, 'new');
	$sim->wait_for_accepted(31, 25);
	pass('mended: all are sent when a message for somebody else comes');
};

# What has been registered since may be good where all that waits is not.

subtest 'a probe goes to the newest registration' => sub {
	certificate('newest', 300);
	$sim->control($refuse_all);
	push_to('newest', 1, 250, 'newest');
	guard_opens('newest', 250);
	$sim->control('clear');
	$sim->control('fault status=200 prefix='
		  . $node->safe_psql('postgres',
			q{SELECT token FROM imp_push.device_token WHERE user_id = 'newest 300'})
	);
	$sim->control($refuse_all);
	push_to('newest', 251, 300, 'newest');
	eventually(
		q{status = 'sent' FROM imp_push.delivery
		WHERE msg_id = 'newest' AND recipient = 'newest 300'},
		'though others wait longer');
	mend();
	nobody_is_disabled('mended');
};

done_testing();
