# SmallDisk.pm
#		A small disk for a test that fills it.
#
# Owns a tmpfs in namespaces of the test's own, for which nobody has to be
# root: the test is started anew inside of them, as the user who started it.
# Where the kernel allows no such thing the test is skipped.

package ImpPush::SmallDisk;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Path qw(make_path);
use Test::More;

our @EXPORT = qw(small_disk fill_disk free_disk);

my $mounted = $ENV{IMP_PUSH_SMALL_DISK};

sub start_anew
{
	# First as root of a namespace, who may mount, then as oneself again, for
	# PostgreSQL refuses root.
	my $mount = 'mount -t tmpfs -o size=16m,mode=0700 none "$1" || exit 1
		user=$2 group=$3; shift 3
		exec unshare --user --map-user="$user" --map-group="$group" "$@"';
	my @namespace = ('unshare', '--user', '--map-root-user', '--mount');
	my $folder = "tmp_check/small_disk_$$";
	my ($group) = split ' ', $(;

	make_path($folder);
	$folder = abs_path($folder);
	plan(skip_all => 'there are no namespaces for ordinary users here')
	  if system(@namespace, 'sh', '-c', $mount, 'sh', $folder, $<, $group,
		'true') != 0;
	$ENV{IMP_PUSH_SMALL_DISK} = $folder;
	exec @namespace, 'sh', '-c', $mount, 'sh', $folder, $<, $group,
	  $^X, (map { "-I$_" } @INC), $0, @ARGV
	  or die "unshare: $!\n";
}

# Before any other module has begun to work
BEGIN { start_anew() unless $ENV{IMP_PUSH_SMALL_DISK}; }

=pod

=head1 NAME

ImpPush::SmallDisk - a disk of 16 MB

=head1 FUNCTIONS

=over

=item small_disk()

Its folder.

=item fill_disk($left)

Fills it up to so many kB.

=item free_disk()

Takes that away again.

=back

=cut

sub small_disk
{
	return $mounted;
}

sub fill_disk
{
	my ($left) = @_;
	my ($free) = `df -k --output=avail $mounted` =~ /(\d+)\s*$/;

	open my $file, '>:raw', "$mounted/ballast" or die "ballast: $!\n";
	foreach (1 .. $free - $left)
	{
		print $file "\0" x 1024 or die "ballast: $!\n";
	}
	close $file or die "ballast: $!\n";
	return;
}

sub free_disk
{
	unlink "$mounted/ballast" or die "ballast: $!\n";
	return;
}

1;
