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

# The settings of the database and of the role that it connects as do not reach
# it.  (Whoever asks here has others.)

my @settings = (
	'default_transaction_read_only = on',
	'search_path = nowhere',
	'default_transaction_isolation = serializable',
	"statement_timeout = '1ms'");
my @of = ('DATABASE postgres', 'ROLE CURRENT_USER');

$sim->forget;
$pid = wait_for_worker($node);
$ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'default_transaction_read_only=off',
  'search_path=public', 'default_transaction_isolation=read\ committed',
  'statement_timeout=0';
foreach my $of (@of)
{
	$node->safe_psql('postgres', "ALTER $of SET $_") foreach @settings;
}
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
isnt(wait_for_worker($node), $pid, 'a worker with all of these settings');
insert_message($node, 'user1', 'still here', msg_id => 'settings');
wait_settled($node);
arrived_once($sim, 1, 'whatever ALTER DATABASE and ALTER ROLE say');
$node->safe_psql('postgres', "ALTER $_ RESET ALL") foreach @of;

done_testing();
