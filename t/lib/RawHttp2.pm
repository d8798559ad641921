# RawHttp2: HTTP/2 frames made by hand, over plain TCP, for what a polite
# client never does.  It knows enough HPACK to send a request and none to
# read an answer: answers are judged by their frames.
package RawHttp2;

use strict;
use warnings;
use Carp;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

use constant {
	DATA => 0,
	HEADERS => 1,
	RST_STREAM => 3,
	SETTINGS => 4,
	PING => 6,
	GOAWAY => 7,
	END_STREAM => 1,
	END_HEADERS => 4,
	ACK => 1,
	DEADLINE => 30
};

# Connects and says hello.
sub new
{
	my ($class, $port) = @_;
	my $socket =
	  IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
	  or croak "connect: $!";
	return $class->over($socket);
}

# Says hello over what is connected already.
sub over
{
	my ($class, $handle) = @_;
	my $self = bless { socket => $handle, seen => '', frames => [] }, $class;
	$self->send_bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	$self->send_frame(SETTINGS, 0, 0, '');
	return $self;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	$self->{socket}->syswrite($bytes);
	return;
}

sub send_frame
{
	my ($self, $type, $flags, $stream, $payload) = @_;
	$self->send_bytes(
		pack('Cn', length($payload) >> 16, length($payload) & 0xFFFF)
		  . pack('CCN', $type, $flags, $stream)
		  . $payload);
	return;
}

# A string in HPACK, not Huffman-coded.
sub hpack_string
{
	my ($text) = @_;
	my $n = length $text;
	return pack('C', $n) . $text if $n < 127;
	my $prefix = pack('C', 127);
	for ($n -= 127; $n >= 128; $n >>= 7)
	{
		$prefix .= pack('C', 128 | $n & 127);
	}
	return $prefix . pack('C', $n) . $text;
}

# Literal fields, never indexed.
sub header_block
{
	my @fields = @_;
	my $block = '';
	while (my ($name, $value) = splice @fields, 0, 2)
	{
		$block .= "\x10" . hpack_string($name) . hpack_string($value);
	}
	return $block;
}

# The head of a request for this token.  The body is the caller's affair.
sub send_head
{
	my ($self, $stream, $token, $jwt, @more) = @_;
	$self->send_frame(
		HEADERS,
		END_HEADERS,
		$stream,
		header_block(
			':method' => 'POST',
			':scheme' => 'http',
			':authority' => 'localhost',
			':path' => "/3/device/$token",
			'authorization' => "bearer $jwt",
			'apns-topic' => 'com.example.app',
			'apns-push-type' => 'alert',
			@more));
	return;
}

sub send_body
{
	my ($self, $stream, $body) = @_;
	$self->send_frame(DATA, END_STREAM, $stream, $body);
	return;
}

sub send_request
{
	my ($self, $stream, $token, $jwt, @more) = @_;
	$self->send_head($stream, $token, $jwt, @more);
	$self->send_body($stream, '{"aps":{"alert":"hello"}}');
	return;
}

# Takes one whole frame out of what has come in.
sub next_frame
{
	my ($self) = @_;
	return if length $self->{seen} < 9;
	my ($high, $low, $type, $flags, $stream) = unpack('CnCCN', $self->{seen});
	my $length = ($high << 16) + $low;
	return if length $self->{seen} < 9 + $length;
	my $payload = substr($self->{seen}, 9, $length);
	substr($self->{seen}, 0, 9 + $length) = '';
	return { type => $type, flags => $flags, stream => $stream,
		payload => $payload };
}

# Waits for a frame of that type (and stream).  Undef: the connection ended,
# or the deadline passed.
sub wait_frame
{
	my ($self, $type, $stream) = @_;
	my $end = time() + DEADLINE;
	for (;;)
	{
		while (my $frame = $self->next_frame)
		{
			push @{ $self->{frames} }, $frame;
			return $frame
			  if $frame->{type} == $type
			  && (!defined $stream || $frame->{stream} == $stream);
		}
		my $left = $end - time();
		return if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
		next
		  if $self->{socket}->sysread($self->{seen}, 65536,
			length $self->{seen});
		$self->{closed} = 1;
		return;
	}
}

# True when the server has closed, within the deadline.
sub wait_closed
{
	my ($self) = @_;
	$self->wait_frame(-1);
	return $self->{closed};
}

# What has come in so far, without waiting.
sub silent_so_far
{
	my ($self) = @_;
	return !IO::Select->new($self->{socket})->can_read(0);
}

# The error code of a RST_STREAM or GOAWAY frame.
sub error_of
{
	my ($frame) = @_;
	return unpack('N', substr($frame->{payload}, -4)) if $frame->{type} == RST_STREAM;
	return unpack('x4N', $frame->{payload});
}

sub last_of
{
	my ($frame) = @_;
	return unpack('N', $frame->{payload});
}

# SETTINGS as a hash of id and value.
sub settings_of
{
	my ($frame) = @_;
	return { unpack('(nN)*', $frame->{payload}) };
}

1;
