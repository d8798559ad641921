# Rounds.pm
#		Rounds of pushes, each under faults of its own, and what came of them.
#
# Owns the figures of a round.  Must never be used where the worker crashes: it
# waits until the worker has written down what it has counted.

package ImpPush::Rounds;

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(time);

=pod

=head1 NAME

ImpPush::Rounds - pushes under faults

=head1 SYNOPSIS

  my $rounds = ImpPush::Rounds->new($node, $sim);
  my $figures = $rounds->push_to(2000, 'one in ten', 'fault every=10 refuse');

  is($figures->{again}, $figures->{fired}, 'each is sent again');
  $rounds->no_doubt('one in ten', $figures);

=head1 METHODS

=over

=item ImpPush::Rounds->new($node, $sim)

=cut

sub new
{
	my ($class, $node, $sim) = @_;

	return bless { node => $node, sim => $sim, again => sent_again($node) },
	  $class;
}

=item $rounds->push_to($number, $name, @faults)

A message, its msg_id B<name>, for so many while these faults are played, or
what else the simulator is told; rules are cleared at the end.  A function among
them is called when the messages are stored.  Tests that nothing is lost and
returns the figures of L<ImpPush::Faults>, and with them:

  { fired       requests that have met a rule
    again       sent again at once, says the worker
    opened      connections
    seconds     how long it took }

=cut

sub push_to
{
	my ($self, $number, $name, @faults) = @_;
	my @calls = grep { ref } @faults;
	my ($node, $sim) = @$self{ 'node', 'sim' };
	my $opened = $sim->stats->{connections};
	my $again = $self->{again};
	my $begun = time;
	my ($figures, $fired);

	$sim->forget;
	$sim->control($_) foreach grep { !ref } @faults;
	insert_to_users($node, $number, msg_id => $name);
	$_->() foreach @calls;
	wait_until(sub { return @{ $sim->read_logs } >= $number },
		undef, "$number requests");
	settle_soon($node);
	$fired = sum0($sim->control('faults') =~ m{:(\d+)/}g);
	$sim->control('clear');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$figures = none_lost($sim, $number, $name);
	$self->{again} = sent_again($node);
	$figures->{fired} = $fired;
	$figures->{again} = $self->{again} - $again;
	$figures->{opened} = $sim->stats->{connections} - $opened;
	$figures->{seconds} = time - $begun;
	diag(sprintf '%s: %.1f s, faults met %d, sent again at once %d, connections %d',
		$name, @$figures{qw(seconds fired again opened)});
	return $figures;
}

=item $rounds->no_doubt($name, $figures)

Tests that nothing was in doubt in that round: whatever was sent again had
certainly not been processed, and nobody is charged for it.

=back

=cut

sub no_doubt
{
	my ($self, $name, $figures) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($figures->{repeated}, 0, "$name: nothing that was accepted comes again");
	is( $self->{node}->safe_psql(
			'postgres', "SELECT DISTINCT status, attempts
			FROM imp_push.delivery WHERE msg_id = '$name'"),
		'sent|1',
		"$name: none is charged");
	return;
}

1;
