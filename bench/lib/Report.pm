# Report.pm
#		The figures of a run: as a table, and as a file for the plots.
#
# Owns how figures are named and printed.  Must never compute one: that is the
# benchmarks' business.

package Report;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(figure heading table_row report_file);

my $file;

# report_file(path): figures go there too, a line each:
# bench, what, figure, unit, median, all values.
sub report_file
{
	my ($path) = @_;

	open $file, '>>', $path or die "$path: $!\n";
	$file->autoflush(1);
	return;
}

sub heading
{
	my ($text) = @_;

	print "\n$text\n", '-' x length($text), "\n";
	return;
}

# A line of a table: the first column to the left, the others to the right.
sub table_row
{
	my ($first, @others) = @_;

	printf '%-34s' . '%14s' x @others . "\n", $first, @others;
	return;
}

sub figure
{
	my ($bench, $what, $figure, $unit, @values) = @_;

	return if !$file;
	print $file join("\t", $bench, $what, $figure, $unit,
		map { defined $_ ? $_ : '' } @values), "\n";
	return;
}

1;
