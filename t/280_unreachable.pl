# A server that is not there, or is not APNs: the messages stay pending,
# nothing is sent, certificate_status says why, and they go out when it is
# mended.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $number = 20;
my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my $stranger = start_simulator('stranger');

sub check_circuit
{
	my ($fault, $reason) = @_;
	my $status;

	circuit_opens($node, $number,
		"$fault: the circuit opens and $number pushes wait");
	$status = $node->safe_psql('postgres',
		'SELECT circuit_reason FROM imp_push.certificate_status');
	like($status, $reason, "$fault: certificate_status says why");
	is( $node->safe_psql(
			'postgres', "SELECT DISTINCT attempts FROM imp_push.delivery
			WHERE msg_id = '$fault'"),
		'0',
		"$fault: nobody is charged for it");
	is(scalar $sim->requests, 0, "$fault: nothing was sent");
	return;
}

sub check_mended
{
	my ($fault) = @_;

	$sim->wait_for_accepted($number);
	wait_settled($node);
	arrived_once($sim, $number, "$fault, mended");
	ok( $node->poll_query_until(
			'postgres', "SELECT circuit = 'closed' AND circuit_reason IS NULL
				AND waiting = 0 FROM imp_push.certificate_status"),
		"$fault, mended: certificate_status says so");
	return;
}

bind_users($node, $number);

# Nobody listens

$sim->stop;
insert_to_users($node, $number, msg_id => 'no server');
check_circuit('no server', qr/^cannot_connect$/);
$sim->start;
check_mended('no server');

# The certificate of the server is not from the authority that we trust.

$sim->stop;
$sim->start;
$sim->forget;
$node->append_conf('postgresql.conf',
	"imp_push.ca_file = '" . $stranger->ca_file . "'");
$node->reload;
$node->safe_psql('postgres',
	'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
insert_to_users($node, $number, msg_id => 'wrong CA');
check_circuit('wrong CA', qr/^tls_verification_failed$/);
$node->append_conf('postgresql.conf',
	"imp_push.ca_file = '" . $sim->ca_file . "'");
$node->reload;
check_mended('wrong CA');

# A port that speaks plain HTTP, and a server that knows HTTP/1.1 alone

foreach my $case ([ 'plain HTTP', '--plain' ], [ 'HTTP/1.1', '--http1' ])
{
	my ($fault, $argument) = @$case;

	$sim->stop;
	$sim->start($argument);
	$sim->forget;
	insert_to_users($node, $number, msg_id => $fault);
	check_circuit($fault, qr/^(tls_failed|not_http2)$/);
	$sim->stop;
	$sim->start;
	check_mended($fault);
}

# A key that APNs does not know

$sim->forget;
set_certificate($node, 'chat', $sim,
	key => make_keys('TEAM000001', 'KEY0000009'));
insert_to_users($node, $number, msg_id => 'unknown key');
circuit_opens($node, $number, 'unknown key: the circuit opens');
is( $node->safe_psql('postgres',
		'SELECT circuit_reason FROM imp_push.certificate_status'),
	'InvalidProviderToken',
	'unknown key: certificate_status says why');
set_certificate($node, 'chat', $sim);
check_mended('unknown key');

done_testing();
