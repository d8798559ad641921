# A server that is not there, or is not APNs: the messages stay pending,
# nothing is sent, certificate_status says why, and they go out by themselves
# when it is mended.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $number = 20;
my $sim = start_simulator('apns', args => [ '--name', 'apns.test' ]);
my $stranger = start_simulator('stranger');
my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());

# A name that can go away

command_ok(
	[
		$ENV{CC} || 'cc', '-shared', '-fPIC', '-o', "$folder/fake_dns.so",
		't/lib/fake_dns.c', '-ldl'
	],
	'a DNS of our own');
$ENV{FAKE_DNS} = "$folder/apns.test";
$ENV{LD_PRELOAD} = "$folder/fake_dns.so";
append_to_file($ENV{FAKE_DNS}, '');

my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.connect_timeout = '2s'
		imp_push.request_timeout = '3s'
		track_functions = 'pl'
		log_statement = none");

# While it lasts
sub check_circuit
{
	my ($fault, $reason) = @_;

	circuit_opens($node, $number,
		"$fault: the circuit opens and $number pushes wait");
	like(
		$node->safe_psql(
			'postgres', 'SELECT circuit_reason FROM imp_push.certificate_status'),
		$reason,
		"$fault: certificate_status says why");
	is( $node->safe_psql(
			'postgres', "SELECT DISTINCT status, attempts FROM imp_push.delivery
			WHERE msg_id = '$fault'"),
		'pending|0',
		"$fault: nobody is charged for it");
	return;
}

# Afterwards
sub check_mended
{
	my ($fault) = @_;
	my $mended = time;

	found_again($mended, $fault, $sim->wait_for_accepted($number));
	wait_settled($node);
	none_lost($sim, $number, "$fault, mended");
	is( $node->safe_psql(
			'postgres', "SELECT DISTINCT status, attempts FROM imp_push.delivery
			WHERE msg_id = '$fault'"),
		'sent|1',
		"$fault, mended: all are sent");
	ok( $node->poll_query_until(
			'postgres', "SELECT circuit = 'closed' AND circuit_reason IS NULL
				AND waiting = 0 FROM imp_push.certificate_status"),
		"$fault, mended: certificate_status says so");
	return;
}

sub nothing_was_sent
{
	my ($fault) = @_;

	is(scalar $sim->requests, 0, "$fault: nothing was sent");
	return;
}

sub use_authority
{
	my ($of) = @_;

	$node->append_conf('postgresql.conf',
		"imp_push.ca_file = '" . $of->ca_file . "'");
	$node->reload;
	return;
}

# How often the worker has called a function, once that is often enough.
sub calls_of
{
	my ($function, $at_least) = @_;
	my $calls = "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions
		WHERE schemaname = 'imp_push' AND funcname = '$function'";

	$node->poll_query_until('postgres', "SELECT ($calls) >= $at_least")
	  or die "$function is not called";
	return $node->safe_psql('postgres', $calls);
}

# A probe costs no look at all that waits.
sub check_probes
{
	my $probes = calls_of('plan_waiting', 1);
	my $looks = calls_of('recheck_unacknowledged', 1);

	calls_of('plan_waiting', $probes + 3);
	cmp_ok(calls_of('recheck_unacknowledged', $looks) - $looks,
		'<=', 1, 'three probes, and what is due is looked for by the poll alone');
	return;
}

# A message for everybody, to a server that has just been started so
sub push_to_all
{
	my ($fault, @arguments) = @_;

	$sim->stop;
	$sim->start(@arguments);
	$sim->forget;
	insert_to_users($node, $number, msg_id => $fault);
	return;
}

bind_users($node, $number);

subtest 'nobody listens for five seconds' => sub {
	$sim->stop;
	insert_to_users($node, $number, msg_id => 'no server');
	check_circuit('no server', qr/^cannot_connect$/);
	$node->poll_query_until(
		'postgres', q{SELECT circuit_since < clock_timestamp() - interval '5 s'
		FROM imp_push.certificate_status}) or die 'the circuit has closed';
	nothing_was_sent('no server');
	check_probes();
	$sim->start;
	check_mended('no server');
};

subtest 'its name is gone' => sub {
	set_certificate($node, 'chat', $sim,
		endpoint => 'https://apns.test:' . $sim->port);
	push_to_all('name, while it is there');
	check_mended('name, while it is there');

	unlink $ENV{FAKE_DNS};
	push_to_all('no name');
	check_circuit('no name', qr/^name_not_resolved$/);
	nothing_was_sent('no name');
	append_to_file($ENV{FAKE_DNS}, '');
	check_mended('no name');
	set_certificate($node, 'chat', $sim);
};

subtest 'its certificate is not from the authority that we trust' => sub {
	use_authority($stranger);
	push_to_all('wrong CA');
	check_circuit('wrong CA', qr/^tls_verification_failed$/);
	nothing_was_sent('wrong CA');
	use_authority($sim);
	check_mended('wrong CA');
};

# It would be found out too late that nobody has read what was sent.

foreach my $case ([ 'plain HTTP', '--plain' ], [ 'HTTP/1.1', '--http1' ])
{
	my ($fault, $argument) = @$case;

	subtest "a server that speaks $fault" => sub {
		push_to_all($fault, $argument);
		check_circuit($fault, qr/^(tls_failed|not_http2)$/);
		nothing_was_sent($fault);
		$sim->stop;
		$sim->start;
		check_mended($fault);
	};
}

subtest 'it takes connections and leaves them alone' => sub {
	$sim->control('hang on');
	$sim->control('close');
	$sim->forget;
	insert_to_users($node, $number, msg_id => 'hang');
	check_circuit('hang', qr/^(connect_timeout|no_answer)$/);
	nothing_was_sent('hang');
	$sim->control('hang off');
	check_mended('hang');
};

subtest 'a key that APNs does not know' => sub {
	$sim->forget;
	set_certificate($node, 'chat', $sim,
		key => make_keys('TEAM000001', 'KEY0000009'));
	insert_to_users($node, $number, msg_id => 'unknown key');
	check_circuit('unknown key', qr/^InvalidProviderToken$/);
	set_certificate($node, 'chat', $sim);
	check_mended('unknown key');
};

subtest 'whoever answers sends us elsewhere' => sub {
	$sim->forget;
	$sim->control('fault redirect');
	insert_to_users($node, $number, msg_id => 'redirect');
	check_circuit('redirect', qr/^http_301$/);
	is(scalar(grep { $_->{method} ne 'POST' || $_->{path} !~ m{^/3/device/} }
			$sim->requests),
		0, 'redirect: and nobody goes there');
	$sim->control('clear');
	check_mended('redirect');
};

# Answers that cannot be read are judged by their status.

subtest 'answers of a gigabyte, and answers that are none' => sub {
	my $pid = wait_for_worker($node);
	my $before = resident_kb($pid);

	foreach my $status (200, 400)
	{
		foreach my $fault (
			"garbage status=$status",
			"huge bytes=2000 status=$status",
			"huge status=$status")
		{
			my $begun = time;

			$sim->control("fault $fault");
			insert_to_users($node, $number, msg_id => $fault);
			wait_settled($node);
			$sim->control('clear');
			is( $node->safe_psql(
					'postgres', "SELECT DISTINCT status, reason, apns_status
					FROM imp_push.delivery WHERE msg_id = '$fault'"),
				$status == 200 ? 'sent||200' : 'failed|http_400|400',
				"$fault: is judged by its status");
			cmp_ok(time - $begun, '<', 15, "$fault: without waiting for anything");
		}
	}
	is(wait_for_worker($node), $pid, 'the worker has lived through it');
	diag(sprintf 'resident memory: %d kB, then %d kB',
		$before, resident_kb($pid));
	cmp_ok(resident_kb($pid), '<', $before + 5_000, 'its memory is flat');
};

done_testing();
