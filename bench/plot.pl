# plot.pl: draws the figures of a run as SVG, one picture a benchmark.
#
#     perl bench/plot.pl FIGURES.tsv DIR
#
# Horizontal bars of medians, with a line from the smallest to the largest value
# of all rounds.  What is ours, or the larger case, has the strong colour.  Drawn
# on a card of its own, which is light or dark as the reader's screen.  Owns the
# layout; must never compute more than a median.

use strict;
use warnings;
use utf8;

use open qw(:std :encoding(UTF-8));

use FindBin;
use lib "$FindBin::Bin/lib";
use Median;

my ($file, $folder) = @ARGV;
my %figures;    # bench → what → figure → [values]
my %named;      # bench → [what …], bench and what → [figure …], as they came

my $label_width = 230;
my $bar_width = 430;
my $bar_height = 16;
my $row = 24;
my $width = $label_width + $bar_width + 100;

my $style = <<'END_STYLE';
<style>
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: bold }
.heading { font-weight: bold }
.about, .axis { fill: #59636e }
.about, .axis { font-size: 12px }
.card { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.range { stroke: #1f2328; stroke-width: 1.5 }
.strong { fill: #2f81b7 }
.weak { fill: #a9b4be }
@media (prefers-color-scheme: dark) {
	text { fill: #e6edf3 }
	.about, .axis { fill: #9198a1 }
	.card { fill: #161b22; stroke: #3d444d }
	.grid { stroke: #3d444d }
	.range { stroke: #e6edf3 }
	.strong { fill: #3b8ec4 }
	.weak { fill: #59636e }
}
</style>
END_STYLE

# ---------- drawing ----------

sub escape
{
	my ($text) = @_;
	my %entity = ('<' => '&lt;', '>' => '&gt;', '&' => '&amp;');

	$text =~ s/([<>&])/$entity{$1}/g;
	return $text;
}

# 12345.678 as 12,345.68, say.
sub number
{
	my ($decimals, $value) = @_;
	my $text = sprintf '%.*f', $decimals, $value;

	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

sub text
{
	my ($x, $y, $class, $text, $anchor) = @_;

	return sprintf qq{<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>\n},
	  $x, $y, $class, $anchor || 'start', escape($text);
}

# Where a value lies, if the largest one is at the end of the axis.
sub position
{
	my ($value, $largest) = @_;

	return $label_width + $value / $largest * $bar_width;
}

# 1, 2 or 5 times a power of ten, so that there are at most six ticks.
sub tick_step
{
	my ($largest) = @_;
	my $power = 10**int(log($largest / 6) / log(10) - ($largest < 6));

	for my $step (map { $_ * $power } 1, 2, 5, 10)
	{
		return $step if $largest / $step <= 6;
	}
}

# The axis below what has been drawn, with lines through all of it.
sub axis
{
	my ($top, $bottom, $largest, $unit) = @_;
	my $step = tick_step($largest);
	my $decimals = $step < 0.1 ? 2 : $step < 1 ? 1 : 0;
	my $svg = '';

	for (my $value = 0; $value <= $largest; $value += $step)
	{
		my $x = position($value, $largest);

		$svg .= sprintf qq{<path d="M%.1f %.1fV%.1f" class="grid"/>\n}, $x, $top,
		  $bottom;
		$svg .= text($x, $bottom + 16, 'axis', number($decimals, $value), 'middle');
	}
	return $svg . text($label_width + $bar_width / 2, $bottom + 34, 'axis', $unit,
		'middle');
}

sub bar
{
	my ($y, $largest, $decimals, $label, $class, @values) = @_;
	my ($low, $high) = (sort { $a <=> $b } @values)[ 0, -1 ];
	my ($median, $from, $to) = map { position($_, $largest) } median(@values), $low,
	  $high;
	my $svg = text($label_width - 8, $y + 13, '', $label, 'end');

	$svg .= sprintf
	  qq{<rect x="%d" y="%.1f" width="%.1f" height="%d" class="%s"/>\n},
	  $label_width, $y, $median - $label_width, $bar_height, $class;
	$svg .= sprintf qq{<path d="M%.1f %.1fH%.1f" class="range"/>\n},
	  $from, $y + $bar_height / 2, $to
	  if $high > $low;
	return $svg . text(($to > $median ? $to : $median) + 6, $y + 13, '',
		number($decimals, median(@values)));
}

# draw(name, { title, about, unit, decimals },
#	[ heading, [ label, class, values… ], … ], …)
sub draw
{
	my ($name, $what, @groups) = @_;
	my ($largest, $top, $bars) = (0, 56, '');
	my $y = $top + 8;

	@groups = grep { @$_ > 1 } @groups;
	for my $bar (map { @$_[ 1 .. $#$_ ] } @groups)
	{
		$largest = $_ > $largest ? $_ : $largest for @$bar[ 2 .. $#$bar ];
	}
	return if !$largest;
	for my $group (@groups)
	{
		my ($heading, @bars) = @$group;

		if ($heading ne '')
		{
			$bars .= text(12, $y + 13, 'heading', $heading);
			$y += $row;
		}
		for my $bar (@bars)
		{
			$bars .= bar($y, $largest, $what->{decimals}, @$bar);
			$y += $row;
		}
		$y += 4;
	}

	my $height = $y + 46;
	open my $svg, '>', "$folder/$name.svg" or die "$folder: $!\n";
	print $svg qq{<svg xmlns="http://www.w3.org/2000/svg" width="$width"}
	  . qq{ height="$height" viewBox="0 0 $width $height" role="img">\n}
	  . '<title>' . escape($what->{title}) . "</title>\n"
	  . $style
	  . sprintf(qq{<rect x="0.5" y="0.5" width="%d" height="%d" rx="6" class="card"/>\n},
		$width - 1, $height - 1)
	  . text(12, 24, 'title', $what->{title})
	  . text(12, 44, 'about', $what->{about})
	  . axis($top, $y, $largest, $what->{unit})
	  . $bars
	  . "</svg>\n";
	close $svg or die "$folder: $!\n";
	return;
}

# ---------- the figures ----------

sub read_figures
{
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
	return;
}

# A bar for each that has such a figure: [ what, label ] or what alone.  Ours
# are strong.
sub bars
{
	my ($bench, $figure, @all) = @_;
	my @bars;

	for my $one (@all)
	{
		my ($what, $label) = ref $one ? @$one : ($one, $one);
		my $values = $figures{$bench}{$what}{$figure} or next;

		push @bars, [ $label, $label =~ /^imp_push/ ? 'strong' : 'weak', @$values ];
	}
	return @bars;
}

# One for each case of a benchmark that has nothing beside it.
sub cases
{
	my ($bench, $figure, $which) = @_;
	my @cases = grep { /$which/ } @{ $named{$bench} || [] };

	return map { [ $_->[0], 'strong', @$_[ 2 .. $#$_ ] ] }
	  bars($bench, $figure, @cases);
}

# The small one of a dimension comes first.
sub dimension
{
	my ($dimension) = @_;
	my @cases = grep { /^cpu / } @{ $named{"growth $dimension"} };

	return [
		$dimension,
		map {
			[ substr($_, 4), $_ eq $cases[0] ? 'weak' : 'strong',
				@{ $figures{growth}{$dimension}{$_} } ]
		} @cases
	];
}

read_figures();

my @peers = (
	'imp_push', 'imp_push, live', 'imp_push, away', 'bare libcurl loop',
	'Node.js worker');
draw(
	'throughput',
	{
		title => 'Throughput of one worker',
		about => 'imp_push beside a libcurl loop without a database, and a worker in '
		  . 'Node.js; more is better',
		unit => 'stored messages pushed a second',
		decimals => 0
	},
	[ '', bars('throughput', 'rate', @peers) ]);
draw(
	'cpu',
	{
		title => 'Processor time of a push',
		about => 'of the process that sends and, for Node.js, its database sessions; '
		  . 'less is better',
		unit => 'µs a push',
		decimals => 0
	},
	[ '', bars('throughput', 'cpu', @peers) ]);
draw(
	'latency',
	{
		title => 'Latency from COMMIT to arrival',
		about => 'imp_push beside a program that only LISTENs, SELECTs and sends; '
		  . 'less is better',
		unit => 'milliseconds',
		decimals => 2
	},
	map {
		my ($load, $name, $p) = @$_;
		[
			"$name, $p",
			bars('latency', $p, [ "imp_push $load", 'imp_push' ],
				[ "floor $load", 'floor' ])
		]
	} [ 'idle', 'idle', 'p50' ], [ 'idle', 'idle', 'p99' ],
	[ '500/s', '500 a second', 'p50' ], [ '500/s', '500 a second', 'p99' ]);
draw(
	'insert',
	{
		title => 'What inserting sessions pay: commits of one row',
		about => 'imp_push beside a plain table, and one that notifies in a trigger; '
		  . 'more is better',
		unit => 'commits a second',
		decimals => 0
	},
	map {
		my $clients = $_;
		[
			$clients == 1 ? '1 client' : "$clients clients",
			bars('insert', 'rate',
				[ "$clients imp_push", 'imp_push, delivering' ],
				[ "$clients imp_push, stopped", 'imp_push, stopped' ],
				[ "$clients plain", 'plain table' ],
				[ "$clients pg_notify", 'pg_notify in a trigger' ])
		]
	} 1, 8, 32);
draw(
	'growth',
	{
		title => 'Does a push cost more when there is more of everything?',
		about => "the worker's processor time with little (grey) and much (blue); "
		  . 'as long as each other is best',
		unit => 'µs a push',
		decimals => 0
	},
	map { dimension($_) } @{ $named{growth} || [] });
draw(
	'group',
	{
		title => 'A message to a group of 3,000 of whom 100 are offline',
		about => 'to all of them, or only to those offline; with and without a row '
		  . 'for who gets no push',
		unit => 'milliseconds a message',
		decimals => 1
	},
	[ 'INSERT', cases('group', 'insert', qr/./) ],
	[ "planning, processor time", cases('group', 'planning', qr/./) ],
	[ "the worker's processor time", cases('group', 'worker', qr/./) ]);
draw(
	'memory',
	{
		title => 'Does the worker grow?',
		about => 'its resident size after so many pushes, without shared memory',
		unit => 'MB',
		decimals => 1
	},
	[ 'pushes', cases('memory', 'resident', qr/./) ]);
draw(
	'size',
	{
		title => 'What is written to the WAL',
		about => 'imp_push storing and pushing, beside storing in a plain table',
		unit => 'bytes a message',
		decimals => 0
	},
	map {
		my $images = $_;
		[
			"full_page_writes $images",
			bars('size', 'bytes',
				[ "storing, full_page_writes $images", 'imp_push, storing' ],
				[ "pushing, full_page_writes $images", 'imp_push, pushing' ],
				[ "plain table, full_page_writes $images", 'plain table' ])
		]
	} 'off', 'on');
