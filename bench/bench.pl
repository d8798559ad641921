# bench.pl: runs benchmarks one after the other in one cluster.  Started by
# bench/run, in a copy of the checkout, with WORK and PG_CONFIG set.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;

$| = 1;
report_file(work_dir() . '/figures.tsv');
start_sink();
start_cluster();
for my $bench (@ARGV)
{
	note("$bench");
	my $done = do "$FindBin::Bin/$bench.pl";
	die "$bench: " . ($@ || $!) . "\n" if $@ || !$done;
}
