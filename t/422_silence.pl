# Connections and servers that fall silent: what was sent to them goes out
# again soon, and is not sent again where it is merely slow.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $users = 500;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

# A message to one person, at once: psql would take its time.
my ($in, $out) = ('', '');
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout(300));

sub message
{
	my ($msg_id, $user) = @_;

	$user = 'user1' unless defined $user;
	$out = '';
	$in .= "INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		VALUES ('s', '$user', '$msg_id') RETURNING 'inserted';\n";
	$session->pump until $out =~ /inserted/;
	return;
}

# The seconds from the commit of the only messages there are to their arrival
sub longest_latency
{
	my ($name) = @_;
	my @took = latencies($node, $sim);
	my $longest = $took[-1] / 1000;

	diag(sprintf '%s: arrived %.2f s after the commit', $name, $longest);
	$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
	return $longest;
}

# Starts anew with a connection that has just been used
sub begin
{
	message('begin');
	wait_settled($node);
	$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
	$sim->forget;
	return;
}

bind_users($node, $users);

subtest 'a connection that has died while it was idle' => sub {
	begin();
	$sim->control('freeze');
	message('idle');
	$sim->wait_for_accepted(1);
	wait_settled($node);
	none_lost($sim, 1, 'idle');
	is(figures($sim)->{resent}, 0, 'only one has been received');

	# 1.5 s, and what a busy machine takes for a connection.  Silence alone is
	# noticed after five.
	cmp_ok(longest_latency('idle'), '<', 4,
		'the next message is out within two seconds and a connect');
	is( $node->safe_psql('postgres',
			q{SELECT attempts FROM imp_push.delivery WHERE msg_id = 'idle'}),
		'1', 'and is not charged for it');
};

subtest 'the same, and many messages' => sub {
	begin();
	$sim->control('freeze');
	insert_to_users($node, $users, msg_id => 'many');
	$sim->wait_for_accepted($users);
	wait_settled($node);
	none_lost($sim, $users, 'many');
	cmp_ok(longest_latency('many'), '<', 5, 'all are out soon');
};

subtest 'a connection that dies with requests under way' => sub {
	begin();

	# its answers are late, and then it is dead
	$sim->control('fault delay=60000');
	insert_to_users($node, $users, msg_id => 'under way');
	$sim->wait_for(30);
	$sim->control('clear');
	$sim->control('freeze');
	wait_settled($node);
	none_lost($sim, $users, 'under way');
	$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
	is( $node->safe_psql(
			'postgres', q{SELECT count(*) FROM imp_push.delivery
			WHERE msg_id = 'under way'
				AND finished_at > decided_at + interval '20 s'}),
		0, 'nobody waits for the deadline');
};

subtest 'a server that has become slow' => sub {
	begin();
	$sim->control('fault delay=1800');

	# the first ones are doubted
	foreach my $i (1 .. 3)
	{
		message("first $i");
		wait_settled($node);
	}
	$sim->forget;
	foreach my $i (1 .. 3)
	{
		message("slow $i");
		wait_settled($node);
	}
	none_lost($sim, 3, 'slow');
	is(figures($sim)->{resent}, 0, 'is known to be slow: none is sent again');
	$sim->control('clear');
};

$in .= "\\q\n";
$session->finish;

done_testing();
