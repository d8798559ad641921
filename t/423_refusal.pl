# A server that refuses everybody: messages wait, uncharged, and it is not
# flooded with connections.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $users = 500;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

bind_users($node, $users);
insert_message($node, 'user1', 'hello', msg_id => 'first');
wait_settled($node);

foreach my $case (
	[ 'streams are refused', 'fault refuse', 'stream_refused' ],
	[ 'no stream is allowed', 'max-streams 0', 'stream_refused' ],
	[ 'connections are closed', 'fault close', 'connection_lost' ],
	[ 'connections end with Shutdown', 'fault status=503 reason=Shutdown',
		'Shutdown' ])
{
	my ($name, $fault, $reason) = @$case;

	subtest "$name, all of them" => sub {
		my ($before, $opened);

		$sim->forget;
		$before = $sim->stats->{connections};
		$sim->control($fault);
		insert_to_users($node, $users, msg_id => $name);
		ok( $node->poll_query_until(
				'postgres', "SELECT circuit_reason = '$reason'
				AND next_probe_at > circuit_since + interval '5 s'
				FROM imp_push.certificate_status"),
			"the circuit opens: $reason");
		$opened = $sim->stats->{connections} - $before;
		diag("$name: $opened connections in five seconds");
		cmp_ok($opened, '<', 40, 'and connections are few');
		$sim->control('reset');
		wait_settled($node);
		is( $node->safe_psql(
				'postgres', "SELECT count(*) FROM imp_push.delivery
				WHERE msg_id = '$name' AND status = 'sent'"),
			$users, 'in the end all are sent');
	};
}

done_testing();
