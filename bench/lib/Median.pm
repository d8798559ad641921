# Median.pm
#		From the values of several rounds to the one that is told.
#
# Owns what is computed from figures: percentiles, medians, ranges.  Must never
# measure, nor print.

package Median;

use strict;
use warnings;
use utf8;

use Exporter 'import';

our @EXPORT = qw(percentile median range);

sub percentile
{
	my ($p, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;
	my $at = $p / 100 * $#sorted;
	my $low = int($at);

	return undef if !@sorted;
	return $sorted[$low] if $low == $#sorted;
	return $sorted[$low] + ($at - $low) * ($sorted[ $low + 1 ] - $sorted[$low]);
}

sub median { return percentile(50, @_); }

# The smallest and the largest of some values, in one cell of a table.
sub range
{
	my ($format, @values) = @_;
	my ($low, $high) = (sort { $a <=> $b } @values)[ 0, -1 ];

	return sprintf "$format–$format", $low, $high;
}

1;
