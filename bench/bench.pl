# bench.pl: runs benchmarks one after the other in one cluster.  Started by
# bench/run, in a copy of the checkout, with WORK and PG_CONFIG set.
#
# Each benchmark is a file with a package of its own, so that no two of them
# share a name.  A warning of Perl's is shown at once, and fails the run when
# it has ended.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";
use Bench;
use Report;

my $warnings = 0;

$SIG{__WARN__} = sub { print STDERR @_; $warnings++; };
binmode STDERR, ':encoding(UTF-8)';
$| = 1;
report_to(work_dir());
start_sink();
start_cluster();
for my $bench (@ARGV)
{
	note("$bench begins");
	my $done = do "$FindBin::Bin/$bench.pl";
	die "$bench: " . ($@ || $!) . "\n" if $@ || !$done;
	note("$bench has ended");
}
die "warnings: $warnings\n" if $warnings;
