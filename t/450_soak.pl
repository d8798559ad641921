# Mixed load with one fault after the other: nothing is lost, and nothing
# grows.
#
# dev/soak runs it for half an hour, with the series as a table; otherwise it
# is two quick rounds of all the faults, in which tables still fill up.

use strict;
use warnings;

use ImpPush;
use ImpPush::Soak;
use List::Util qw(max);
use Test::More;

my $minutes = $ENV{SOAK_MINUTES};
my $rounds = $minutes ? 5 : 2;
my @faults = ImpPush::Soak::faults();
my $seconds = $minutes ? $minutes * 60 / $rounds / @faults : 1;
my $soak = ImpPush::Soak->new(
	users => $minutes ? 2000 : 400,
	retention => $minutes ? '5 minutes' : '1 hour',
	seconds => $rounds * @faults * $seconds);
my @series;

diag('memory and sizes in kB');
diag(ImpPush::Soak::heading());
foreach my $round (0 .. $rounds - 1)
{
	foreach my $fault (@faults)
	{
		push @{ $series[$round] }, $soak->step($fault, $seconds);
		diag(ImpPush::Soak::line($series[$round]->[-1]));
	}
}
$soak->settle;

my $accounts = $soak->accounts;

diag($accounts->{endings});
is($accounts->{lost}, '', 'every message that was stored has an outcome');
is($accounts->{untrue}, '', 'whatever is told as sent has arrived');
is($accounts->{unexpected}, '', 'no message ends without a cause');
like($accounts->{endings}, qr/^sent (?=.*online )(?=.*acknowledged )/,
	'most are sent, some are for people online, some are acknowledged before');
is(worker_pid($soak->{node}),
	$soak->{worker}, 'the worker has not been replaced');

# The first rounds are left out, in which tables fill up.  In the short form
# they do so to the end, and memory grows with the longest queue so far.

my $middle = int(($rounds - 1) / 2);

diag("flat from round @{[$middle + 1]} to round $rounds means at most: "
	  . ImpPush::Soak::criterion());
is( ImpPush::Soak::grown(
		$series[$middle], $series[-1],
		$minutes ? () : qw(descriptors threads)),
	'', 'nothing grows');
cmp_ok(max(map { $_->{memory} } @{ $series[-1] }),
	'<', 65_536, 'the worker has less than 64 MB');

done_testing();
