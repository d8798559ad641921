# A refusal whose reason is cut off says nothing about the message.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

bind_users($node, 2);
insert_message($node, 'user1', 'hello', msg_id => 'warm');
wait_settled($node);
$sim->forget;

$sim->control('fault count=1 status=400 cut');
insert_message($node, 'user1', 'hello', msg_id => '400');
wait_settled($node);
none_lost($sim, 1, 'a 400');
is( $node->safe_psql(
		'postgres', q{SELECT status, attempts FROM imp_push.delivery
		WHERE msg_id = '400'}),
	'sent|2', 'it is sent again, after a while');

$sim->control('fault count=1 status=410 cut');
insert_message($node, 'user2', 'hello', msg_id => '410');
wait_settled($node);
is( $node->safe_psql(
		'postgres', q{SELECT status, reason, attempts FROM imp_push.delivery
		WHERE msg_id = '410'}),
	'failed|http_410|1', 'a 410 says enough without one');

done_testing();
