# What an operator may meet in a status, a table or a setting stands in the
# documents, and no link in them is dead.

use strict;
use warnings;

use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";

sub slurp
{
	my ($file) = @_;

	open(my $handle, '<', "$root/$file") or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

sub files
{
	return map { s{^\Q$root/\E}{}r } map { glob("$root/$_") } @_;
}

# The part of a document below a heading, up to the next one of that level.
sub section
{
	my ($file, $heading) = @_;
	my ($level) = $heading =~ /^(#+)/;

	return slurp($file) =~ /^\Q$heading\E\n(.*?)(?:^$level |\z)/ms ? $1 : '';
}

sub without_examples
{
	my ($text) = @_;

	return $text =~ s/^```.*?^```//gmsr;
}

# Tests that each of these words stands in the text, as code.
sub all_stand
{
	my ($text, $name, @words) = @_;
	my %wanted = map { $_ => 1 } @words;
	my %said = map { $_ => 1 }
	  map { /[\w.]+/g } without_examples($text) =~ /`([^`]+)`/g;
	my @missing = grep { !$said{$_} } sort keys %wanted;

	cmp_ok(scalar keys %wanted, '>', 1, "$name: there are some");
	return is("@missing", '', $name);
}

# The words in double quotes among the arguments of calls of a function.
sub arguments
{
	my ($source, $function) = @_;

	return map { /"(\w+)"/g } $source =~ /\b$function\s*\((.*?)\);/gs;
}

my $sources = join('', map { slurp($_) } files('src/*.c'));
my $answers = slurp('src/answer.c');
my $reference = slurp('docs/reference.md');

# Reasons of an open circuit: what APNs says against all pushes, what libcurl
# says, and what is found out here.

my $circuits =
  section('docs/operations.md', '## Reasons of an open circuit');
my $one_push_only =
  qr/TOKEN_DEAD|TOKEN_BUSY|PROVIDER_TOKEN_EXPIRED|MESSAGE/;
all_stand($circuits, 'operations: what APNs refuses',
	$answers =~ /\{\d+, "(\w+)", ANSWER_(?!$one_push_only\})\w+\}/g);
all_stand($circuits, 'operations: how connections fail',
	$answers =~ /\{CURLE_\w+,\s*"(\w+)"/g,
	$sources =~ /\banswer(?:->|\.)reason = "(\w+)"/g);
all_stand(
	$circuits,
	'operations: what is found out here',
	$sources =~ /->fault = "(\w+)"/g,
	arguments($sources, 'set_fault'),
	arguments($sources, 'open_circuit'),
	arguments($sources, 'sender_open_circuit'));
like($circuits, qr/`\Q$_\E\d+`/, "operations: ${_}N")
  for $answers =~ /"(\w+_)%d"/g;

# Reasons in delivery

all_stand(
	section('docs/reference.md', '## Statuses and reasons'),
	'reference: reasons in delivery',
	(slurp('src/sql/plan.sql') =~ /check_reasons\(\).*?ARRAY\[(.*?)\]/s)[0] =~
	  /'(\w+)'/g,
	slurp('src/guc.c') =~ /\{"(\w+)", CANCEL_\w+/g,
	$sources =~ /\breturn "(\w+_token\w*|\w+_header|every_\w+)"/g,
	arguments($sources, 'sender_answer'),
	arguments($sources, 'sender_flush'),
	arguments($sources, 'end_message'));

# Settings, and what the sender's client may say

all_stand($reference, 'reference: settings of the server',
	grep { $_ ne 'imp_push.cancel_reason' }
	  $sources =~ /"(imp_push\.\w+)",\s+"(?:Sets|Lists|Lets|Set) /g);
all_stand(
	section('docs/reference.md', '### Fields of `ext`'),
	'reference: fields of ext',
	map { slurp($_) =~ / -> '(\w+)'/g }
	  qw(src/sql/plan.sql src/sql/words.sql));

# Links

sub anchors
{
	my ($file) = @_;
	my (%seen, %anchors);

	for my $heading (without_examples(slurp($file)) =~ /^#+ +(.*)$/gm)
	{
		my $anchor = lc($heading) =~ s/[^\w -]//gr =~ tr/ /-/r;
		my $before = $seen{$anchor}++;

		$anchors{ $before ? "$anchor-$before" : $anchor } = 1;
	}
	return \%anchors;
}

for my $file (files(qw(*.md docs/*.md apnsim/*.md bench/*.md)))
{
	my ($folder) = $file =~ m{^(.*/)};
	my @dead;

	for my $link (slurp($file) =~ /\]\(([^)\s]+)\)/g)
	{
		my ($target, $anchor) = split(/#/, $link, 2);

		next if $target =~ /^\w+:/;
		$target = $target eq '' ? $file : ($folder // '') . $target;
		push @dead, $link
		  if !-e "$root/$target"
		  || (defined $anchor && !anchors($target)->{$anchor});
	}
	is("@dead", '', "$file: no link is dead");
}

done_testing();
