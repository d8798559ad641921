# memory.pl: does the worker grow?
#
# Its resident size, without shared memory, after a tenth of the pushes and
# after all of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;

my $users = size_of(100_000, 5_000);
my $n = size_of(1_000_000, 40_000);
my $step = $n / 10;
my $pid;

sub show
{
	my ($pushes) = @_;
	my ($own, $files, $shared) = memory_of($pid);

	table_row("after $pushes pushes",
		map { sprintf '%.1f', $_ / 1024 } $own, $files, $own + $files, $shared);
	figure('memory', $pushes, 'resident', 'MB', ($own + $files) / 1024);
	return ($own + $files) / 1024;
}

heading("memory: resident size of the worker, MB");
start_sink('--no-log');
create_people($users);
fresh_messages('imp_push.offline_message', 1, 'warm');
table_row('', 'own', 'files', 'together', 'shared');
my @sizes;
for my $tenth (1 .. 10)
{
	add_messages('imp_push.offline_message', $step, "memory $tenth-");
	push_cost($step, stay => 1, at_end => sub { $pid = $_[0] });
	push @sizes, show($tenth * $step) if $tenth == 1 || $tenth == 10;
}
stop_worker();
printf "grown by %.2f MB between the first and the last\n", $sizes[1] - $sizes[0];
1;
