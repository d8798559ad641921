# A backlog: the first push goes out at once, a recipient's messages come in their
# order, and the worker's memory does not depend on how much there is.
#
# IMP_PUSH_BACKLOG is the number of messages, 20,000 unless it is set.  If it is,
# other tests do not run beside this one, and a second is a second.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time);

my $number = $ENV{IMP_PUSH_BACKLOG} || 20_000;
my $users = 1000;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none',
	started => 0);

# Stores so many messages while nothing is sent, starts, and returns when.
sub start_with
{
	my ($messages, $name) = @_;
	my $begun;

	$node->safe_psql('postgres', 'SELECT imp_push.stop()');
	wait_until(sub { return !worker_process($node) }, undef, 'it to leave');
	$sim->forget;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', 'user' || i % $users + 1, '$name ' || i
		FROM generate_series(1, $messages) i});
	$begun = time;
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	return $begun;
}

# When the requests have arrived
sub arrived
{
	return
	  map { /"arrived_us":(\d+)/ ? $1 / 1e6 : () } @{ $sim->read_logs };
}

# How often a message arrived after a later one to the same recipient
sub out_of_order
{
	my %last;
	my $times = 0;

	foreach my $request ($sim->requests)
	{
		my ($place) = $request->{json}{m} =~ /^backlog (\d+)$/ or next;
		my $recipient = $request->{json}{t};

		$times++ if $place < ($last{$recipient} || 0);
		$last{$recipient} = $place;
	}
	return $times;
}

bind_users($node, $users);

my $begun = start_with(10, 'few');
$sim->wait_for_accepted(10);
wait_settled($node);
my $least = (arrived())[0] - $begun;

# Somebody's old snapshot, besides
my $session = $node->background_psql('postgres');

$session->query_safe(
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');

my @resident;

$begun = start_with($number, 'backlog');
foreach my $part (1 .. 4)
{
	my $arrived = $part * $number / 4;

	wait_until(sub { return @{ $sim->read_logs } >= $arrived },
		undef, "$arrived requests");
	push @resident, resident_kb(worker_process($node));
}
wait_settled($node);

my @arrived = arrived();
my $first = $arrived[0] - $begun;

diag(
	sprintf 'a backlog of %d: first push after %.2f s (of 10: %.2f s), '
	  . '%.0f a second, resident kB at each quarter: %s',
	$number, $first, $least,
	$number / ($arrived[-1] - $arrived[0]), "@resident");

# Also where the machine is slow: long before most of the others
cmp_ok($first, '<', max(1 + 2 * $least, ($arrived[-1] - $begun) / 4),
	'the first push goes out as if there were no backlog');
cmp_ok($first, '<', 1, 'and within a second')
  if $ENV{IMP_PUSH_BACKLOG};
is(none_lost($sim, $number, 'a backlog, and an old snapshot', $node)->{repeated},
	0, 'none comes twice');
is(out_of_order(), 0, "a recipient's messages come in the order of the queue");
cmp_ok($resident[3], '<', $resident[0] + 10_000, 'its memory is flat');
$session->query_safe('COMMIT');
$session->quit;

done_testing();
