# Answers over connections of before a certificate was mended say nothing about
# the one that it is now, and what ends without a request says when.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 5;
my $second_key = make_keys('TEAM000001', 'KEY0000002');
my $sim = start_simulator(
	args => [
		'--key',
		"$second_key->{team_id}:$second_key->{key_id}:$second_key->{public}"
	]);
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

bind_users($node, $users);
insert_to_users($node, $users, msg_id => 'warm');
wait_settled($node);
$sim->forget;
$sim->control('fault delay=1000 status=400 reason=BadDeviceToken');
insert_to_users($node, $users, msg_id => 'late');
$sim->wait_for($users);
$sim->control('clear');

# However long it takes to mend the certificate, the answers come after that.
kill 'STOP', $sim->pid;
set_certificate($node, 'chat', $sim, key => $second_key);
kill 'CONT', $sim->pid;
wait_settled($node);
none_lost($sim, $users, 'late refusals');
is( $node->safe_psql(
		'postgres', q{SELECT count(*) FROM imp_push.device_token
		WHERE disabled_at IS NOT NULL}),
	'0', 'and no token is disabled');

# A test without a key ends at once.
$node->safe_psql('postgres', 'DELETE FROM imp_push.certificate_key');
my $test_id = $node->safe_psql('postgres',
	q{SELECT imp_push.send_test('chat', 'abcd', 'title', 'body')});
ok( $node->poll_query_until(
		'postgres', qq{
		SELECT (status, reason) = ('failed', 'no_key')
			AND finished_at BETWEEN now() - interval '1 minute' AND now()
		FROM imp_push.delivery WHERE apns_id = '$test_id'}),
	'what is never sent ends now, and not at the beginning of time');

done_testing();
