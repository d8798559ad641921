# The worker may be terminated at any moment: nothing is lost, and what comes
# twice is recognisably the same.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $number = 200;
my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my ($pid, $new_pid);

bind_users($node, $number);

# While it is idle

insert_message($node, 'user1', 'the first', msg_id => 'first');
wait_settled($node);
$pid = wait_for_worker($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
insert_message($node, 'user1', 'the second', msg_id => 'second');
wait_settled($node);
arrived_once($sim, 2, 'terminated while idle');
$new_pid = wait_for_worker($node);
isnt($new_pid, $pid, 'another worker has taken its place');

# While its requests are in flight

$sim->control('fault seconds=60 delay=300');
$sim->forget;
insert_to_users($node, $number, msg_id => 'busy');
$sim->wait_for(1);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($new_pid, 10000)");
$sim->control('clear');
wait_settled($node);

my $count = arrivals($sim);
my %ids;

$ids{ $_->{token} }->{ $_->{headers}->{'apns-id'} } = 1
  foreach $sim->requests;
is(scalar keys %$count, $number, 'terminated while busy: none is lost');
is(scalar(grep { keys %$_ != 1 } values %ids),
	0, 'whatever comes twice has the same apns-id');
diag(sprintf '%d of %d requests came twice',
	scalar($sim->requests) - $number, $number);

# A signal to cancel its statement does no harm.

$sim->forget;
$pid = wait_for_worker($node);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
insert_to_users($node, $number, msg_id => 'cancelled');
wait_settled($node);
is(scalar keys %{ arrivals($sim) },
	$number, 'pg_cancel_backend() costs no message');

# The settings of the database and of the owner do not reach it.

$sim->forget;
$node->safe_psql(
	'postgres', q{
	ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET search_path = nowhere;
	ALTER DATABASE postgres SET default_transaction_isolation = serializable;
	ALTER DATABASE postgres SET statement_timeout = '1ms'});
$pid = wait_for_worker_of_catalog();
$node->safe_psql('template1', "SELECT pg_terminate_backend($pid, 10000)");
$node->safe_psql(
	'template1', q{
	ALTER DATABASE postgres RESET ALL});
insert_message($node, 'user1', 'still here', msg_id => 'settings');
wait_settled($node);
arrived_once($sim, 1, 'whatever ALTER DATABASE says');

done_testing();

# As wait_for_worker(), for a database in which one can do nothing now.
sub wait_for_worker_of_catalog
{
	return $node->safe_psql(
		'template1', q{SELECT pid FROM pg_catalog.pg_stat_activity
		WHERE datname = 'postgres' AND backend_type <> 'client backend'
		LIMIT 1});
}
