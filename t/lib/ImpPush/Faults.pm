# Faults.pm
#		What the tests of faults have in common: figures of what arrived, and
#		what a process has used.
#
# Reads the simulator's log without decoding it, for there may be tens of
# thousands of requests.  Never waits.

package ImpPush::Faults;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT =
  qw(figures none_lost accepted_count cpu_seconds resident_kb worker_process
  worker_processes found_again);

=pod

=head1 NAME

ImpPush::Faults - figures for the tests of faults

=head1 FUNCTIONS

=over

=item figures($sim)

What has arrived since C<< $sim->forget >>:

  { requests    all of them
    messages    (token, msg_id) that were accepted at least once
    repeated    accepted again
    other_id    (token, msg_id) that came under more than one apns-id
    other_collapse_id
                or under more than one collapse id, or with and without one
    resent      sent again, whatever became of it before }

=cut

sub figures
{
	my ($sim) = @_;
	my (%accepted, %sent, %ids, %collapse_ids);
	my $requests = 0;

	foreach my $line (@{ $sim->read_logs })
	{
		my ($token) = $line =~ /"token":"([^"]*)"/;
		my ($id) = $line =~ /"apns-id":"([^"]*)"/;
		my ($collapse_id) = $line =~ /"apns-collapse-id":"([^"]*)"/;
		my ($message) = $line =~ /\\"m\\":\\"(.*?)\\"/;
		my $key = "$token/" . (defined $message ? $message : '');

		$requests++;
		$sent{$key}++;
		$ids{$key}->{$id} = 1 if defined $id;
		$collapse_ids{$key}->{ defined $collapse_id ? $collapse_id : '' } = 1;
		$accepted{$key}++ if $line =~ /"status":200\b/;
	}
	my $figures = {
		requests => $requests,
		messages => scalar keys %accepted,
		other_id => scalar(grep { keys %$_ > 1 } values %ids),
		other_collapse_id => scalar(grep { keys %$_ > 1 } values %collapse_ids),
		repeated => 0,
		resent => 0,
	};
	$figures->{repeated} += $_ - 1 foreach values %accepted;
	$figures->{resent} += $_ - 1 foreach values %sent;
	return $figures;
}

=item none_lost($sim, $number, $name, $node)

Tests that so many different messages were accepted, and that whatever came
more than once came under one apns-id and one collapse id; prints the figures and returns them.
The server, if given, is asked how many its worker has sent again at once.

=cut

sub none_lost
{
	my ($sim, $number, $name, $node) = @_;
	my $figures = figures($sim);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	diag(
		sprintf '%s: sent %d, lost %d, repeated %d (%s), sent again %d%s',
		$name,
		$figures->{messages},
		$number - $figures->{messages},
		$figures->{repeated},
		of_repeats($figures),
		$figures->{resent},
		$node ? ', of these at once ' . resent_at_once($node) : '');
	is($figures->{messages}, $number, "$name: none is lost");
	is($figures->{other_id}, 0, "$name: whatever comes twice has one apns-id");
	is($figures->{other_collapse_id}, 0, "$name: and one collapse id");
	return $figures;
}

sub of_repeats
{
	my ($figures) = @_;
	my @others = grep { $_ !~ /^0 / } "$figures->{other_id} with another apns-id",
	  "$figures->{other_collapse_id} with another collapse id";

	return @others ? join ', ', @others : 'same apns-id and collapse id';
}

sub resent_at_once
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT coalesce(sum(value), 0) FROM imp_push.metrics
		WHERE name = 'imp_push_resent_total'});
}

=item accepted_count($sim)

How many requests have been accepted so far.

=cut

sub accepted_count
{
	my ($sim) = @_;

	return scalar grep { /"status":200\b/ } @{ $sim->read_logs };
}

=item found_again($mended, $name, @requests)

Tests that a server was found again by itself soon after that time, and that all
these requests, which had waited for it, came then.

=cut

sub found_again
{
	my ($mended, $name, @requests) = @_;
	my ($probe, $last) =
	  (sort { $a <=> $b } map { $_->{arrived_us} / 1e6 } @requests)[ 0, -1 ];

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	diag(sprintf '%s: a probe %.1f s after the mend, the last one %.1f s later',
		$name, $probe - $mended, $last - $probe);

	# Five seconds between two probes at most; the rest is for a busy machine.
	cmp_ok($probe - $mended, '<', 10, "$name, mended: it is found by itself");
	cmp_ok($last - $probe, '<', 5,
		"$name, mended: all are there within five seconds of a probe");
	return;
}

=item worker_process($node)

The process of a worker, found without asking the server, which takes time and
may not be possible; undef if there is none.

=item worker_processes($node)

All of them.

=cut

sub worker_process
{
	return (worker_processes(@_))[0];
}

sub worker_processes
{
	my ($node) = @_;
	my ($postmaster) = PostgreSQL::Test::Utils::slurp_file(
		$node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	return grep { slurp("/proc/$_/cmdline") =~ /imp_push worker/ } split ' ',
	  slurp("/proc/$postmaster/task/$postmaster/children");
}

# What a file of /proc holds; '' if the process has just ended.
sub slurp
{
	my ($path) = @_;

	open my $file, '<', $path or return '';
	local $/;
	my $text = <$file>;
	return defined $text ? $text : '';
}

=item cpu_seconds($pid), resident_kb($pid)

=back

=cut

sub cpu_seconds
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/stat" or return;
	my $line = <$file>;
	my @fields = split ' ', $line =~ s/^.*\) //r;

	# utime and stime, in ticks of which there are always 100 for user space
	return ($fields[11] + $fields[12]) / 100;
}

sub resident_kb
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/status" or return;
	foreach (<$file>)
	{
		return $1 if /^RssAnon:\s+(\d+)/;
	}
	return;
}

1;
