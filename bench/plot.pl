# plot.pl: draws the figures of a run as SVG, one picture a benchmark.
#
#     perl bench/plot.pl FIGURES.tsv DIR
#
# Horizontal bars of medians, with a line from the smallest to the largest
# value of all rounds.  Owns the layout; must never compute more than a median.

use strict;
use warnings;
use utf8;

use open qw(:std :encoding(UTF-8));

my ($file, $folder) = @ARGV;
my %figures;    # bench → what → figure → [values]
my %named;      # bench → [what …], bench and what → [figure …], as they came

my @colours = ('#1f6f8b', '#99a8b2', '#d98032', '#5b8c5a');
my $label_width = 230;
my $bar_width = 430;
my $bar_height = 18;
my $row = 24;

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $middle = int($#sorted / 2);

	return @sorted % 2 ? $sorted[$middle]
	  : ($sorted[$middle] + $sorted[ $middle + 1 ]) / 2;
}

sub values_of
{
	my ($bench, $what, $figure) = @_;

	return @{ $figures{$bench}{$what}{$figure} || [] };
}

sub escape
{
	my ($text) = @_;
	my %entity = ('<' => '&lt;', '>' => '&gt;', '&' => '&amp;');

	$text =~ s/([<>&])/$entity{$1}/g;
	return $text;
}

sub text
{
	my ($x, $y, $text, %style) = @_;
	my $style = join ' ', map { "$_=\"$style{$_}\"" } sort keys %style;

	return "<text x=\"$x\" y=\"$y\" $style>" . escape($text) . "</text>\n";
}

# draw(name, title, format, [ [ group, [ [ label, colour, values… ], … ] ], … ])
sub draw
{
	my ($name, $title, $format, $groups) = @_;
	my @groups = grep { @{ $_->[1] } } @$groups;
	my ($largest, $y, $body) = (0, 34, '');

	for my $bar (map { @{ $_->[1] } } @groups)
	{
		my (undef, undef, @values) = @$bar;
		$largest = $_ > $largest ? $_ : $largest for @values;
	}
	return if !$largest;
	for my $group (@groups)
	{
		my ($heading, $bars) = @$group;

		if ($heading ne '')
		{
			$body .= text(8, $y + 14, $heading, 'font-weight' => 'bold');
			$y += $row;
		}
		for my $bar (@$bars)
		{
			my ($label, $colour, @values) = @$bar;
			my ($low, $high) = (sort { $a <=> $b } @values)[ 0, -1 ];
			my $median = median(@values);
			my ($width, $from, $to) =
			  map { sprintf '%.1f', $_ / $largest * $bar_width } $median, $low,
			  $high;
			my $middle = $y + $bar_height / 2;

			$body .= text($label_width - 8, $y + 14, $label,
				'text-anchor' => 'end');
			$body .= "<rect x=\"$label_width\" y=\"$y\" width=\"$width\""
			  . " height=\"$bar_height\" fill=\"$colours[$colour]\"/>\n";
			$body .= sprintf
			  "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#333\"/>\n",
			  $label_width + $from, $middle, $label_width + $to
			  if $high > $low;
			$body .= text($label_width + ($to > $width ? $to : $width) + 6,
				$y + 14, sprintf($format, $median));
			$y += $row;
		}
		$y += 8;
	}

	my $width = $label_width + $bar_width + 90;
	open my $svg, '>', "$folder/$name.svg" or die "$folder: $!\n";
	print $svg "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$width\""
	  . " height=\"$y\" viewBox=\"0 0 $width $y\""
	  . " font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
	  . "<rect width=\"$width\" height=\"$y\" fill=\"#fff\"/>\n"
	  . text(8, 20, $title, 'font-size' => 15, 'font-weight' => 'bold')
	  . $body
	  . "</svg>\n";
	close $svg;
	return;
}

open my $in, '<', $file or die "$file: $!\n";
while (<$in>)
{
	chomp;
	my ($bench, $what, $figure, undef, @values) = split /\t/;
	push @{ $named{$bench} }, $what if !$figures{$bench}{$what};
	push @{ $named{"$bench $what"} }, $figure
	  if !$figures{$bench}{$what}{$figure};
	$figures{$bench}{$what}{$figure} = \@values;
}

# A bar for each peer that has such a figure.
sub bars
{
	my ($bench, $figure, @peers) = @_;
	my $colour = 0;
	my @bars;

	for my $peer (@peers)
	{
		my ($what, $label) = ref $peer ? @$peer : ($peer, $peer);
		my @values = values_of($bench, $what, $figure);
		push @bars, [ $label, $colour, @values ] if @values;
		$colour++;
	}
	return \@bars;
}

my @peers = ('imp_push', 'bare libcurl loop', 'Node.js worker');
draw('throughput', 'Stored messages pushed a second, one worker', '%.0f',
	[ [ '', bars('throughput', 'rate', @peers) ] ]);
draw('cpu', 'CPU time a push, µs', '%.0f',
	[ [ '', bars('throughput', 'cpu', @peers) ] ]);
draw(
	'latency',
	'From COMMIT to arrival, ms',
	'%.2f',
	[
		map {
			my ($load, $p) = @$_;
			[
				"$load, $p",
				bars('latency', $p, [ "imp_push $load", 'imp_push' ],
					[ "floor $load", 'floor' ])
			]
		} [ 'idle', 'p50' ], [ 'idle', 'p99' ], [ '500/s', 'p50' ],
		[ '500/s', 'p99' ]
	]);
draw(
	'insert',
	'Commits a second, one row each',
	'%.0f',
	[
		map {
			my $clients = $_;
			[
				$clients == 1 ? '1 client' : "$clients clients",
				bars('insert', 'rate',
					[ "$clients imp_push", 'imp_push, delivering' ],
					[ "$clients plain", 'plain table' ],
					[ "$clients pg_notify", 'pg_notify in a trigger' ],
					[ "$clients imp_push, stopped", 'imp_push, stopped' ])
			]
		} 1, 8, 32
	]);
# The small one of each dimension comes first.
draw(
	'growth',
	'CPU time a push when there is more of everything, µs',
	'%.0f',
	[
		map {
			my $dimension = $_;
			my @cases = @{ $named{"growth $dimension"} };
			[
				$dimension,
				[
					map {
						[ substr($_, 4), $_ eq $cases[0] ? 1 : 0,
							values_of('growth', $dimension, $_) ]
					} @cases
				]
			]
		} @{ $named{growth} }
	]) if $named{growth};

# One bar for each case of a benchmark that has nothing beside it.
sub cases
{
	my ($bench, $figure) = @_;

	return [ map { [ $_, 0, values_of($bench, $_, $figure) ] }
		  @{ $named{$bench} || [] } ];
}

draw(
	'group',
	'One message to a large group, milliseconds',
	'%.0f',
	[
		[ 'INSERT', cases('group', 'insert') ],
		[ "worker's CPU time", cases('group', 'worker') ]
	]);
draw('memory', 'Resident size of the worker after so many pushes, MB',
	'%.1f', [ [ '', cases('memory', 'resident') ] ]);
draw('size', 'WAL a message, bytes', '%.0f',
	[ [ '', cases('size', 'bytes') ] ]);
