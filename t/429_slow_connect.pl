# A connection that takes its time to be made is used, once it is there.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;
use Time::HiRes qw(time);

my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my $connections;
my $begun;

bind_users($node, 1);
insert_message($node, 'user1', 'hello', msg_id => 'before');
wait_settled($node);
$sim->control('close');
$sim->forget;

# The kernel takes the connection; who would shake hands is held up for longer
# than an answer may take.
$connections = $sim->stats->{connections};
kill 'STOP', $sim->pid;
$begun = time;
insert_message($node, 'user1', 'hello', msg_id => 'slow');
wait_until(sub { return time > $begun + 2 }, 10, 'two seconds to pass');
kill 'CONT', $sim->pid;
wait_settled($node);
none_lost($sim, 1, 'slow');
is(figures($sim)->{resent}, 0, 'the message is sent once');
is($sim->stats->{connections} - $connections,
	1, 'over the connection that was made for it');

done_testing();
