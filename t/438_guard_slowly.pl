# One refusal every few seconds: each token seems dead, until the twentieth
# shows that it is the configuration; whatever happens to the worker meanwhile,
# that costs nobody a token.
#
# The guard waits two seconds for a second verdict, and no setting changes
# that: so all the servers are refused at the same time.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $verdicts = 20;
my $users = $verdicts + 10;

# What happens to the worker, and after which verdict
my @cases = (
	{ name => 'left alone' },
	{
		name => 'killed once, restarted once',
		after => {
			15 => sub { kill_worker($_[0], worker_process($_[0])) },
			$verdicts - 1 => sub {
				$_[0]->safe_psql('postgres', 'SELECT imp_push.stop()');
				$_[0]->safe_psql('postgres', 'SELECT imp_push.start()');
			}
		}
	});

my $failed = q{(SELECT count(*) FROM imp_push.delivery
	WHERE (status, reason, attempts) = ('failed', 'BadDeviceToken', 1))};
my $disabled =
  '(SELECT count(*) FROM imp_push.device_token WHERE disabled_at IS NOT NULL)';

sub value
{
	my ($case, $value) = @_;

	return $case->{node}->safe_psql('postgres', "SELECT $value");
}

# Also while the server recovers from a worker that was killed
sub wait_for_dead
{
	my ($case, $number) = @_;

	$case->{node}->poll_query_until('postgres',
		"SELECT ($failed, $disabled) = ($number, $number)")
	  or die "$case->{name}: not $number tokens seem dead";
	return;
}

# Lets it happen, and waits for the worker that comes then.
sub replace_worker
{
	my ($node, $happens) = @_;
	my $before = worker_process($node);

	$happens->($node);
	wait_until(
		sub {
			my $worker = worker_process($node);
			return $worker && $worker != $before;
		},
		undef, 'another worker');
	return;
}

foreach my $i (0 .. $#cases)
{
	my $case = $cases[$i];

	$case->{sim} = start_simulator("apns$i");
	$case->{node} = new_node(
		"main$i",
		simulator => $case->{sim},
		conf => "log_statement = none\nrestart_after_crash = on");
	bind_users($case->{node}, $users);
	$case->{sim}->control('fault status=400 reason=BadDeviceToken');
}

foreach my $verdict (1 .. $verdicts - 1)
{
	insert_message($_->{node}, "user$verdict", 'hello', msg_id => 'slow')
	  foreach @cases;
	foreach my $case (@cases)
	{
		my $happens = $case->{after}->{$verdict};

		wait_for_dead($case, $verdict);
		replace_worker($case->{node}, $happens) if $happens;
	}
}

foreach my $case (@cases)
{
	my ($name, $node, $sim) = @$case{qw(name node sim)};

	wait_for_dead($case, $verdicts - 1);
	pass("$name: all but one seem dead");
	insert_message($node, "user$verdicts", 'hello', msg_id => 'slow');
	ok( $node->poll_query_until(
			'postgres', q{SELECT (circuit_reason, waiting) = ('BadDeviceToken', 1)
			FROM imp_push.certificate_status}),
		"$name: the next refusal shows that it is the configuration");
	ok( $node->poll_query_until('postgres', "SELECT $disabled", 0),
		"$name: not one token is disabled");

	$sim->control('clear');
	insert_to_users($node, $users, msg_id => 'mended');
	wait_settled($node);
	is(value($case, $failed), $verdicts - 1,
		"$name: mended: what was settled before stays settled");
	none_lost($sim, 1 + $users, "$name: mended");
	is(value($case, $disabled), 0, "$name: nor is one in the end");
}

done_testing();
