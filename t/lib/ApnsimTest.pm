# ApnsimTest: starts apnsim for its own tests and speaks to it, with curl as
# the client that nobody here wrote, and with hand-made HTTP/2 frames where
# curl is too polite.
#
# It needs nothing but core Perl, curl and openssl; PostgreSQL plays no part.
package ApnsimTest;

use strict;
use warnings;
use Carp;
use Exporter 'import';
use File::Temp ();
use FindBin;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use POSIX ();
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT =
  qw(run_command wait_until make_key jwt token memory is_below);

use constant DEADLINE => 30;

my $apnsim = $ENV{APNSIM} // "$FindBin::Bin/../apnsim/apnsim";
my $workdir = File::Temp->newdir('apnsimXXXXXX', TMPDIR => 1);

# Runs a command.  Returns its exit status and what it printed.
sub run_command
{
	my @command = @_;
	my $pid = open(my $out, '-|') // croak "fork: $!";
	if ($pid == 0)
	{
		open(STDERR, '>&', \*STDOUT);
		exec @command or POSIX::_exit(127);
	}
	local $/;
	my $printed = <$out> // '';
	close $out;
	return ($? >> 8, $printed);
}

# Waits for a condition.  Returns its value, false after the deadline.
sub wait_until
{
	my ($condition) = @_;
	my $end = time() + DEADLINE;
	my $value;
	until ($value = $condition->())
	{
		return $value if time() > $end;
		select(undef, undef, undef, 0.01);
	}
	return $value;
}

# A device token: the prefix, filled up to 64 digits.
sub token
{
	my ($prefix) = @_;
	return $prefix . ('0' x (64 - length $prefix));
}

# A key pair on P-256 (or another curve).  Returns the two files.
sub make_key
{
	my ($name, $curve) = @_;
	my ($private, $public) = ("$workdir/$name.p8", "$workdir/$name.pem");
	run_command('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt',
		'ec_paramgen_curve:' . ($curve // 'P-256'), '-out', $private);
	run_command('openssl', 'pkey', '-in', $private, '-pubout', '-out', $public);
	return ($private, $public);
}

# The raw R and S of an ASN.1 signature, 32 bytes each.
sub raw_signature
{
	my ($der) = @_;
	my ($r, $s) = unpack('x2 x C/a x C/a', $der);
	return join '', map { substr(("\0" x 32) . $_, -32) } $r, $s;
}

# A provider token.  Named parameters: key (private key file), team, key_id,
# age (seconds), and to spoil it: header, claims (JSON texts), signature.
sub jwt
{
	my %p = (team => 'TEAMTEAM01', key_id => 'KEYKEYKEY1', age => 0, @_);
	my $issued_at = POSIX::floor(time()) - $p{age};
	my $header = $p{header} // qq({"alg":"ES256","kid":"$p{key_id}"});
	my $claims = $p{claims} // qq({"iss":"$p{team}","iat":$issued_at});
	my $signed = encode_base64url($header) . '.' . encode_base64url($claims);
	my $file = "$workdir/signed";
	open(my $f, '>', $file) or croak "$file: $!";
	print $f $signed;
	close $f;
	my (undef, $der) =
	  run_command('openssl', 'dgst', '-sha256', '-sign', $p{key}, $file);
	return $signed . '.'
	  . encode_base64url($p{signature} // raw_signature($der));
}

# A figure of the simulator's memory, in kilobytes, as the kernel calls it.
sub memory
{
	my ($self, $what) = @_;
	open(my $f, '<', "/proc/$self->{pid}/status") or croak "no process: $!";
	return join('', <$f>) =~ /^$what:\s+(\d+) kB/m ? $1 : undef;
}

# Is it below the limit?  With APNSIM the program may be one that runs inside
# a sanitizer or valgrind, whose memory says nothing.
sub is_below
{
	my ($kilobytes, $limit, $name) = @_;
  SKIP:
	{
		Test::More::skip($name, 1) if $ENV{APNSIM};
		Test::More::cmp_ok($kilobytes, '<', $limit, "$name ($kilobytes kB)");
	}
	return;
}

my $started = 0;

# Starts a simulator with these options.  Ports are chosen by the kernel.
sub new
{
	my ($class, @options) = @_;
	my $dir = "$workdir/sim" . ++$started;
	my $self = bless { dir => $dir, log => "$dir/requests.log" }, $class;
	$self->start(@options);
	return $self;
}

# Also starts it again after stop, with the same directory.
sub start
{
	my ($self, @options) = @_;
	my $pid = fork // croak "fork: $!";
	if ($pid == 0)
	{
		exec $apnsim, 'serve', '--dir', $self->{dir}, '--run-seconds', 600,
		  @options
		  or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	my $ready = wait_until(
		sub {
			croak "apnsim did not start" if waitpid($pid, POSIX::WNOHANG()) != 0;
			open(my $f, '<', "$self->{dir}/ready") or return;
			return <$f>;
		}) or croak 'apnsim is not ready';
	@$self{qw(port control_port)} = split ' ', $ready;
	return;
}

# Stops it and returns its exit status.
sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;
	kill 'TERM', $pid;
	waitpid($pid, 0);
	return $?;
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop;
	return;
}

# Sends commands; returns the last answer, which must be an "ok" one.
sub control
{
	my ($self, @commands) = @_;
	my ($status, $printed) =
	  run_command($apnsim, 'ctl', '--port', $self->{control_port}, @commands);
	croak "ctl @commands: $printed" if $status != 0;
	return (split /\n/, $printed)[-1];
}

# The answer to a command, whatever it is.
sub answer_to
{
	my ($self, $command) = @_;
	my (undef, $printed) =
	  run_command($apnsim, 'ctl', '--port', $self->{control_port}, $command);
	chomp $printed;
	return $printed;
}

# The counters, as a hash.
sub stats
{
	my ($self) = @_;
	return { $self->control('stats') =~ /(\w+)=(\d+)/g };
}

# The log, decoded: one hash a request.
sub requests
{
	my ($self) = @_;
	open(my $f, '<', $self->{log}) or croak "$self->{log}: $!";
	return map { JSON::PP::decode_json($_) } <$f>;
}

sub last_request
{
	my ($self) = @_;
	return ($self->requests)[-1];
}

# The arguments for curl that make this request: a good one unless told
# otherwise.  Named parameters: token, path, method, payload, jwt, and any
# header (undef: left out).
sub curl_arguments
{
	my ($self, %p) = @_;
	my %headers = (
		'apns-topic' => 'com.example.app',
		'apns-push-type' => 'alert',
		'authorization' => defined $p{jwt} ? "bearer $p{jwt}" : undef);
	my $path = $p{path} // '/3/device/' . ($p{token} // token('a0'));
	my $payload = $p{payload} // '{"aps":{"alert":"hello"}}';
	delete @p{qw(jwt path token)};
	my $method = delete $p{method} // 'POST';
	delete $p{payload};
	%headers = (%headers, %p);
	return (
		(map { ('-H', "$_: $headers{$_}") }
			grep { defined $headers{$_} } sort keys %headers),
		'-X', $method, '--data-binary', $payload,
		"https://127.0.0.1:$self->{port}$path");
}

my @curl = qw(curl -s -S -i --http2 --max-time 30);

# One request.  Returns a hash: exit (curl's), status, reason, timestamp,
# apns_id, body, head.
sub request
{
	my ($self, %p) = @_;
	my @tls = @{ delete $p{curl} // [] };
	return parse_answer(
		run_command(
			@curl, '--cacert', "$self->{dir}/ca.pem",
			@tls, $self->curl_arguments(%p)));
}

# Several requests over one connection, one after the other.
sub requests_in_a_row
{
	my ($self, @requests) = @_;
	my @arguments;
	for my $request (@requests)
	{
		push @arguments, '--next' if @arguments;
		push @arguments, @curl[ 1 .. $#curl ], '--cacert',
		  "$self->{dir}/ca.pem", $self->curl_arguments(%$request);
	}
	my ($exit, $printed) = run_command('curl', @arguments);
	return map { parse_answer($exit, "HTTP/$_") }
	  grep { length } split m{HTTP/(?=[12])}, $printed;
}

sub parse_answer
{
	my ($exit, $printed) = @_;
	my ($head, $body) = split /\r\n\r\n/, $printed, 2;
	my %answer = (exit => $exit, head => $head // '', body => $body // '');
	($answer{version}, $answer{status}) = $answer{head} =~ m{^HTTP/(\S+) (\d+)};
	($answer{apns_id}) = $answer{head} =~ /^apns-id: (\S+)/m;
	($answer{reason}) = $answer{body} =~ /"reason":"(\w+)"/;
	($answer{timestamp}) = $answer{body} =~ /"timestamp":(\d+)/;
	return \%answer;
}

# "status reason", or curl's exit status if there was no answer.
sub said
{
	my ($answer) = @_;
	return "curl $answer->{exit}" unless defined $answer->{status};
	return join ' ', grep { defined } @$answer{qw(status reason)};
}

# What is said to a request.
sub verdict
{
	my ($self, @request) = @_;
	return said($self->request(@request));
}

1;
