# A certificate gets another name while pushes are under way: they go on under
# that name, each to its end, and once.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 200;
my $sim = start_simulator(args => [ '--max-streams', '20' ]);
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

# Half of them have another device, which gets nothing: then the push to the
# first has a row in the table from the beginning.
bind_users($node, $users);
bind_users($node, $users / 2, device => 'pad');
$node->safe_psql(
	'postgres', q{
	UPDATE imp_push.device_token SET disabled_at = now(),
		disabled_reason = 'by hand'
	WHERE device_id = 'pad'});

sub rename_certificate
{
	my ($from, $to) = @_;

	$node->safe_psql('postgres',
		"UPDATE imp_push.certificate SET name = '$to' WHERE name = '$from'");
	return;
}

sub outcomes
{
	my ($msg_id) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT string_agg(concat_ws(' ', n, outcome), ', ' ORDER BY outcome)
		FROM (SELECT count(*) AS n, concat_ws(' ', status, reason, attempts)
				AS outcome
			FROM imp_push.delivery WHERE msg_id = '$msg_id'
				AND device_id = 'phone'
			GROUP BY 2) counts});
}

foreach my $case (
	[ 'renamed', [ 'chat' => 'talk' ] ],
	[ 'renamed twice', [ 'talk' => 'speak' ], [ 'speak' => 'say' ] ],
	[ 'and back', [ 'say' => 'talk' ], [ 'talk' => 'say' ] ])
{
	my ($name, @renames) = @$case;

	insert_message($node, 'user1', 'hello', msg_id => "$name: warm");
	wait_settled($node);
	$sim->forget;
	$sim->control('fault delay=1000');
	insert_to_users($node, $users, msg_id => $name);
	$sim->wait_for(10);

	# the others wait for room
	rename_certificate(@$_) foreach @renames;
	$sim->control('clear');
	wait_settled($node);
	none_lost($sim, $users, $name);
	is(figures($sim)->{resent}, 0, "$name: none is sent twice");
	is(outcomes($name), "$users sent 1", "$name: each has its outcome");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM imp_push.waiting'),
	0, 'nothing is left behind');

done_testing();
