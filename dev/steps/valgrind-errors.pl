# valgrind-errors.pl: the errors in valgrind's XML logs that concern us.
#
#     perl dev/steps/valgrind-errors.pl FILE.xml…
#
# Prints those whose stack has a frame of imp_push.so, each once.  The exit
# status is 0 only if there is none, and if there were processes to look at.

use strict;
use warnings;

my $processes = 0;
my %errors;

# One line: function, and file with line or else the library
sub frame
{
	my ($xml) = @_;
	my %of = $xml =~ m{<(obj|fn|file|line)>(.*?)</}g;
	my $place =
	  $of{file} ? "$of{file}:$of{line}" : ($of{obj} || '?') =~ s{.*/}{}r;

	return sprintf '    %s (%s)', $of{fn} || '?', $place;
}

foreach my $file (@ARGV)
{
	open my $log, '<', $file or die "$file: $!\n";
	my $xml = do { local $/; <$log> };

	$processes++ if $xml =~ /<valgrindoutput>/;
	while ($xml =~ m{<error>(.*?)</error>}gs)
	{
		my $error = $1;

		next unless $error =~ m{/imp_push\.so</obj>};
		my ($what) = $error =~ m{<(?:what|text)>(.*?)</};
		my @frames = map { frame($_) } $error =~ m{<frame>(.*?)</frame>}gs;

		$errors{ join "\n", $what, @frames }++;
	}
}

print "$errors{$_} times: $_\n\n" foreach sort keys %errors;
print "$processes processes\n";
exit(%errors || $processes < 5 ? 1 : 0);
