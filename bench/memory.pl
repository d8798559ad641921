# memory.pl: does the worker grow?
#
# Its resident size, without shared memory, after a tenth of the pushes and
# after all of them.  Answers come late, so that from the beginning there are
# as many under way as max_in_flight allows, and their memory is no growth.

package Bench::Memory;

use strict;
use warnings;
use utf8;

use Bench;
use Median;
use Report;

my $users = size_of(100_000, 5_000);
my $n = size_of(1_000_000, 40_000);
my $step = $n / 10;
my $delay_ms = 100;

my (@rows, @sizes);

sub look
{
	my ($pushes) = @_;
	my ($own, $files, $shared) = memory_of(worker_pid());

	push @rows, [ "after $pushes pushes",
		map { sprintf '%.1f', $_ / 1024 } $own, $files, $own + $files, $shared ];
	push @sizes, ($own + $files) / 1024;
	figure('memory', $pushes, 'resident', 'MB', $sizes[-1]);
	return;
}

start_sink('--no-log');
sink_ctl("fault delay=$delay_ms");
create_people($users);
fresh_messages('imp_push.offline_message', 0, '');
for my $tenth (1 .. 10)
{
	push_cost(
		$step,
		stay => 1,
		store => sub {
			add_messages('imp_push.offline_message', $step, "memory $tenth-");
		});
	look($tenth * $step);
	note("$rows[-1][0]: $rows[-1][3] MB");
}
stop_worker();
report(
	title => "memory: resident size of the worker, in MB, during $n pushes",
	about => [
		'own: what it has allocated; files: programs and libraries; shared: pages of',
		'shared_buffers that it has touched, which are no memory of its own.  Each answer',
		"comes $delay_ms ms late, so that there are as many under way as may be."
	],
	columns => [ 'own', 'files', 'own and files', 'shared' ],
	rows => \@rows,
	notes => [
		sprintf('grown by %.2f MB from the first line to the last (bar: ≤ 2 MB)',
			$sizes[-1] - $sizes[0]),
		sprintf('largest: %.1f MB (bar: < 64 MB)', percentile(100, @sizes))
	]);
1;
