# Report.pm
#		The figures of a run: as tables, and as a file for the plots.
#
# Owns how figures are named and printed.  Must never compute one, nor judge
# it: the bars of a table are printed beside what was measured, as text.

package Report;

use strict;
use warnings;
use utf8;

use Exporter 'import';

our @EXPORT = qw(figure report report_to);

my $figures;
my $tables;

# report_to(folder): figures.tsv gets a line a figure, namely bench, what,
# figure, unit, all values; tables.txt gets what is printed.
sub report_to
{
	my ($folder) = @_;

	binmode STDOUT, ':encoding(UTF-8)';
	open $figures, '>>:encoding(UTF-8)', "$folder/figures.tsv"
	  or die "$folder: $!\n";
	open $tables, '>>:encoding(UTF-8)', "$folder/tables.txt"
	  or die "$folder: $!\n";
	$_->autoflush(1) for $figures, $tables;
	return;
}

sub figure
{
	my ($bench, $what, $figure, $unit, @values) = @_;

	print $figures join("\t", $bench, $what, $figure, $unit, @values), "\n";
	return;
}

# A column is as wide as the widest of its cells.
sub widths
{
	my @width;

	for my $row (@_)
	{
		for my $i (0 .. $#$row)
		{
			my $length = length $row->[$i];
			$width[$i] = $length if $length > ($width[$i] || 0);
		}
	}
	return @width;
}

# report(title, about, columns, rows, notes): columns and rows are lists of
# cells, the first of which is a label and stands to the left; a row that is
# no list is a heading among the rows.  about and notes are lists of lines.
sub report
{
	my (%table) = @_;
	my @rows = ([ '', @{ $table{columns} } ], @{ $table{rows} });
	my @width = widths(grep { ref } @rows);
	my $text = "\n$table{title}\n" . ('=' x length $table{title}) . "\n";

	$text .= "$_\n" for @{ $table{about} };
	$text .= "\n";
	for my $row (@rows)
	{
		if (!ref $row)
		{
			$text .= "$row\n";
			next;
		}
		my ($label, @cells) = @$row;
		my $line = sprintf '%-*s', $width[0], $label;
		$line .= sprintf '  %*s', $width[ $_ + 1 ], $cells[$_] for 0 .. $#cells;
		$text .= "$line\n";
	}
	$text .= "\n" if @{ $table{notes} || [] };
	$text .= "$_\n" for @{ $table{notes} || [] };
	print $text;
	print $tables $text;
	return;
}

1;
