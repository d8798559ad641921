# Simulator.pm
#		A running apnsim: start, stop, faults, and what has arrived.
#
# Owns the process and its folder (CA, certificates, logs).  Must never touch
# PostgreSQL, and never wait for a duration: every wait is for a condition,
# with a deadline.

package ImpPush::Simulator;

use strict;
use warnings;

use Carp;
use Encode qw(encode_utf8);
use File::Basename;
use File::Path qw(make_path);
use File::Spec;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use Test::More ();
use Time::HiRes qw(time usleep);

my $json = JSON::PP->new->utf8;

my @running;

=pod

=head1 NAME

ImpPush::Simulator - a running apnsim

=head1 SYNOPSIS

  my $sim = ImpPush::Simulator->new('apns', "$tmp/apns",
      args => [ '--key', "$team:$key_id:$public_pem" ]);
  $sim->start;
  $sim->control('fault count=10 status=503 reason=ServiceUnavailable');
  my @requests = $sim->wait_for(20);
  $sim->stop;
  $sim->start('--http1');    # the same port, the same certificate authority

=head1 METHODS

=over

=item ImpPush::Simulator->new($name, $folder, args => [...], lifetime => 1800)

Does not start it.  The arguments are given at every start.  After so many
seconds it ends by itself if nobody has stopped it.

=cut

sub new
{
	my ($class, $name, $folder, %opts) = @_;

	make_path($folder);
	return bless {
		name => $name,
		folder => File::Spec->rel2abs($folder),
		args => $opts{args} || [],
		lifetime => $opts{lifetime} || 1800,
		binary => $ENV{APNSIM} || default_binary(),
		port => 0,
		control_port => undef,
		starts => 0,
		logs => [],
		lines => [],
		requests => [],
	}, $class;
}

sub default_binary
{
	my $root = dirname(__FILE__) . '/../../..';

	return File::Spec->rel2abs("$root/apnsim/apnsim");
}

=pod

=item $sim->start(@more_arguments)

Starts it and waits until it listens.  From the second time on it listens on
the port that it had.

=cut

sub start
{
	my ($self, @more) = @_;
	my $ready = "$self->{folder}/ready";
	my $output = sprintf '%s/output.%d', $self->{folder}, $self->{starts};
	my $log = sprintf '%s/requests.%d', $self->{folder}, $self->{starts};

	croak "simulator $self->{name} is running" if $self->{process};
	unlink $ready;
	$self->{starts}++;
	push @{ $self->{logs} }, { path => $log, offset => 0 };

	$self->{process} = IPC::Run::start(
		[
			$self->{binary}, 'serve', '--dir', $self->{folder},
			'--port', $self->{port}, '--log', $log,
			'--run-seconds', $self->{lifetime}, @{ $self->{args} }, @more
		],
		'<', '/dev/null', '>', $output, '2>&1');
	push @running, $self;

	wait_until(
		sub {
			croak "simulator $self->{name} did not start, see $output"
			  unless $self->{process}->pumpable
			  || -s $ready
			  || kill 0, $self->pid;
			return -s $ready && slurp($ready) =~ /^\d+ \d+ \d+/;
		},
		30, "simulator $self->{name} to listen, see $output");
	($self->{port}, $self->{control_port}) = split ' ', slurp($ready);
	return $self;
}

sub pid
{
	my ($self) = @_;

	return $self->{process}->{KIDS}->[0]->{PID};
}

=pod

=item $sim->stop

Ends it at once, as a host that goes down does.

=cut

sub stop
{
	my ($self) = @_;
	my $process = delete $self->{process} or return;

	@running = grep { $_ != $self } @running;
	$process->signal('TERM');
	$process->finish;
	return;
}

=pod

=item $sim->port, $sim->endpoint, $sim->ca_file, $sim->folder

=cut

sub port { return $_[0]->{port}; }
sub folder { return $_[0]->{folder}; }
sub ca_file { return "$_[0]->{folder}/ca.pem"; }
sub endpoint { return "https://localhost:$_[0]->{port}"; }

=pod

=item $sim->control($command)

Sends a command to the control port (see apnsim/README.md) and returns its
answer.  Dies if that is an error.

=cut

sub control
{
	my ($self, $command) = @_;
	my $socket = IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		PeerPort => $self->{control_port},
		Timeout => 10) or croak "simulator's control port: $@";
	my $answer;

	print $socket "$command\n";
	$answer = <$socket>;
	close $socket;
	croak "simulator did not answer: $command" unless defined $answer;
	chomp $answer;
	croak "simulator answered \"$answer\": $command" unless $answer =~ /^ok/;
	return $answer;
}

=pod

=item $sim->stats

The counters of the simulator, as a hash.

=cut

sub stats
{
	my ($self) = @_;

	return { $self->control('stats') =~ /(\w+)=(\S+)/g };
}

=pod

=item $sim->requests

Everything that has arrived since the first start, in the order of arrival:
the lines of the log (see apnsim/README.md), decoded, each with B<bytes>, the
payload as it was sent, and B<json>, the payload decoded.

=cut

sub requests
{
	my ($self) = @_;
	my $requests = $self->{requests};

	$self->read_logs;
	push @$requests, decode($self->{lines}->[ @$requests ])
	  while @$requests < @{ $self->{lines} };
	return @$requests;
}

# Decoding is slow in Perl: waiting counts lines.
sub read_logs
{
	my ($self) = @_;

	push @{ $self->{lines} }, map { new_lines($_) } @{ $self->{logs} };
	return $self->{lines};
}

sub decode
{
	my ($line) = @_;
	my $request = $json->decode($line);

	$request->{bytes} = encode_utf8($request->{payload});
	$request->{json} = eval { $json->decode($request->{bytes}) };
	return $request;
}

# The complete lines that have been added to a log since the last call.
sub new_lines
{
	my ($log) = @_;
	my ($text, $complete);

	open my $file, '<:raw', $log->{path} or return;
	seek $file, $log->{offset}, 0;
	$text = do { local $/; <$file> };
	close $file;
	return unless defined $text;

	$complete = rindex($text, "\n") + 1;
	$log->{offset} += $complete;
	return split /\n/, substr($text, 0, $complete);
}

=pod

=item $sim->accepted

Those that were answered with 200.

=cut

sub accepted
{
	my ($self) = @_;

	return grep { $_->{status} == 200 } $self->requests;
}

=pod

=item $sim->wait_for($number, $seconds)

Waits until so many requests have arrived, and returns them all; fails when
the time is over (by default PG_TEST_TIMEOUT_DEFAULT, 180).

=item $sim->wait_for_accepted($number, $seconds)

The same for those that were answered with 200.

=cut

sub wait_for
{
	my ($self, $number, $seconds) = @_;

	wait_until(sub { return @{ $self->read_logs } >= $number },
		$seconds, "$number requests at the simulator $self->{name}");
	return $self->requests;
}

sub wait_for_accepted
{
	my ($self, $number, $seconds) = @_;

	wait_until(
		sub {
			return $number <=
			  grep { /"status":200\b/ } @{ $self->read_logs };
		},
		$seconds,
		"$number accepted requests at the simulator $self->{name}");
	return $self->accepted;
}

=pod

=item $sim->forget

Starts the count of requests anew.

=cut

sub forget
{
	my ($self) = @_;

	$self->take_lines;
	return;
}

=pod

=item $sim->take_lines

The lines of the log, not decoded, that have come since the last call of this
or of B<forget>, and starts the count of requests anew.

=cut

sub take_lines
{
	my ($self) = @_;
	my $lines = $self->read_logs;

	$self->{lines} = [];
	$self->{requests} = [];
	return @$lines;
}

=pod

=item ImpPush::Simulator::wait_until($condition, $seconds, $what)

Waits until the function B<condition> returns true; dies after so many
seconds, saying that it waited for B<what>.

=back

=cut

sub wait_until
{
	my ($condition, $seconds, $what) = @_;
	my $deadline;

	$seconds = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180 unless defined $seconds;
	$deadline = time + $seconds;
	until ($condition->())
	{
		croak "waited $seconds s in vain for $what" if time > $deadline;
		usleep(5_000);
	}
	return;
}

sub slurp
{
	my ($path) = @_;

	open my $file, '<:raw', $path or croak "$path: $!";
	local $/;
	return scalar <$file>;
}

# A test that dies leaves nothing running.
END
{
	my $status = $?;

	foreach my $sim (@running)
	{
		my $process = $sim->{process};

		eval { $process->signal('TERM'); $process->finish; };
	}
	$? = $status;
}

1;
