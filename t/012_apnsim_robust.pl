# Nothing that a client sends, or fails to read, harms apnsim or its other
# clients.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);

use ApnsimTest;
use RawHttp2;

my ($key, $public) = make_key('key');
my @key = ('--key', "TEAMTEAM01:KEYKEYKEY1:$public");
my $apns = ApnsimTest->new(@key);
my $plain = ApnsimTest->new(@key, '--plain');
my $jwt = jwt(key => $key);

# The same accidents in every run.
srand(20);

sub tcp
{
	my ($port) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
	  // die "connect: $!";
}

sub random_bytes
{
	my ($n) = @_;
	return join '', map { chr int rand 256 } 1 .. $n;
}

# A good request is answered, and nothing is left of whoever was there before.
sub is_well
{
	my ($what) = @_;
	my $client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('a0'), $jwt);
	ok($client->wait_frame(RawHttp2::HEADERS, 1), "$what: a good request is answered");
	undef $client;
	ok(wait_until(sub { $plain->stats->{open} == 0 }), "$what: no connection is left");
	is($plain->stats->{streams}, 0, "$what: no stream is left");
	return;
}

subtest 'bytes at random' => sub {
	for my $simulator ($plain, $apns)
	{
		for (1 .. 100)
		{
			my $socket = tcp($simulator->{port});
			local $SIG{PIPE} = 'IGNORE';
			$socket->syswrite(random_bytes(1 + int rand 2000));
		}
	}
	is_well('after that');
	is($apns->verdict(jwt => $jwt), '200', 'with TLS as well');
};

subtest 'frames at random' => sub {
	for (1 .. 300)
	{
		my $client = RawHttp2->new($plain->{port});
		$client->send_head(1, token('a0'), $jwt) if rand() < 0.5;
		for (1 .. 1 + int rand 8)
		{
			$client->send_frame(int rand 12, int rand 256, int rand 6,
				random_bytes(rand() < 0.3 ? int rand 10 : int rand 100));
		}
	}
	is_well('after that');
};

subtest 'a limit of resets' => sub {
	my $strict = ApnsimTest->new(@key, '--plain', '--max-resets', 3);
	my $client = RawHttp2->new($strict->{port});
	for my $stream (1, 3, 5, 7)
	{
		$client->send_request($stream, token('a0'), $jwt);
		ok($client->wait_frame(RawHttp2::HEADERS, $stream), "stream $stream is answered");
		$client->send_frame(RawHttp2::RST_STREAM, 0, $stream, pack('N', 5));
	}
	ok($client->wait_frame(RawHttp2::GOAWAY), 'one more ends the connection');
};

subtest 'frames that are wrong' => sub {
	my $error = sub {
		my ($what, $code, $send) = @_;
		my $client = RawHttp2->new($plain->{port});
		$client->send_request(1, token('a0'), $jwt);
		$client->wait_frame(RawHttp2::HEADERS, 1);
		$send->($client);
		my $goaway = $client->wait_frame(RawHttp2::GOAWAY);
		is($goaway && RawHttp2::error_of($goaway), $code, $what);
		ok($client->wait_closed, 'and the connection ends');
	};
	$error->('a frame that is too long', 6,
		sub { $_[0]->send_frame(RawHttp2::DATA, 0, 3, 'x' x 20000) });
	$error->('headers that are no HPACK', 9,
		sub { $_[0]->send_frame(RawHttp2::HEADERS, 5, 3, "\xff" x 20) });
	$error->('a PING of 7 bytes', 6,
		sub { $_[0]->send_frame(RawHttp2::PING, 0, 0, '1234567') });
	$error->('a client with even streams', 1,
		sub { $_[0]->send_head(2, token('a0'), $jwt) });
	is_well('after that');
};

subtest 'requests that are cut off' => sub {
	for my $bytes (1, 10, 24, 33, 60, 200)
	{
		my $client = RawHttp2->new($plain->{port});
		$client->send_frame(RawHttp2::HEADERS, RawHttp2::END_HEADERS, 1,
			substr(RawHttp2::header_block(':method' => 'POST', ':path' => '/'), 0, $bytes));
	}
	my $client = RawHttp2->new($plain->{port});
	$client->send_head(1, token('a0'), $jwt);
	$client->send_frame(RawHttp2::DATA, 0, 1, '{"aps"');
	undef $client;
	is_well('after that');
	isnt($plain->last_request->{payload}, '{"aps"', 'half a body is no request');
};

subtest 'a client that closes its side' => sub {
	my $client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('a0'), $jwt);
	$client->{socket}->shutdown(1);
	ok($client->wait_frame(RawHttp2::HEADERS, 1), 'gets its answer');
	ok($client->wait_closed, 'and is closed then');
	is_well('after that');
};

subtest 'a client that resets its connection' => sub {
	for (1 .. 50)
	{
		my $client = RawHttp2->new($plain->{port});
		$client->send_request($_ * 2 + 1, token('a0'), $jwt) for 0 .. 5;
		setsockopt($client->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
		$client->{socket}->close;
	}
	is_well('after that');
};

# Sends until the other side takes no more, at most so many times.
sub flood
{
	my ($client, $times, $make) = @_;
	my $socket = $client->{socket};
	local $SIG{PIPE} = 'IGNORE';
	my ($bytes, $left) = ('', 0);
	for my $n (1 .. $times)
	{
		$bytes = $make->($n);
		while (length $bytes)
		{
			return $n unless IO::Select->new($socket)->can_write(0.5);
			my $written = $socket->syswrite($bytes, length $bytes) // return $n;
			substr($bytes, 0, $written) = '';
		}
	}
	return $times;
}

sub frame
{
	my ($type, $flags, $stream, $payload) = @_;
	return pack('CnCCN', length($payload) >> 16, length($payload) & 0xFFFF,
		$type, $flags, $stream)
	  . $payload;
}

subtest 'a client that does not read' => sub {
	my $before = memory($plain, 'VmRSS');
	my %request = (
		'requests' => sub {
			my $head = RawHttp2::header_block(':method' => 'GET', ':scheme' => 'http',
				':path' => '/' . ('x' x 100));
			return join '', map { frame(RawHttp2::HEADERS, 5, $_[0] * 200 + $_ * 2 - 1, $head) }
			  1 .. 100;
		},
		'pings' => sub { frame(RawHttp2::PING, 0, 0, 'pingping') x 1000 },
		'settings' => sub { frame(RawHttp2::SETTINGS, 0, 0, '') x 1000 },
	);
	my @clients;
	for my $what (sort keys %request)
	{
		my $client = RawHttp2->new($plain->{port});
		$client->{socket}->blocking(0);
		flood($client, 2000, $request{$what});
		push @clients, $client;
		my $other = RawHttp2->new($plain->{port});
		$other->send_request(1, token('a0'), $jwt);
		ok($other->wait_frame(RawHttp2::HEADERS, 1),
			"$what: holds up nobody else");
	}
	my $after = memory($plain, 'VmRSS');
	is_below($after - $before, 40_000, 'and costs a fixed amount of memory');
	@clients = ();
	is_well('after that');
};

subtest 'requests given up at once' => sub {
	my $head = RawHttp2::header_block(':method' => 'POST', ':scheme' => 'http',
		':path' => '/3/device/' . token('a0'));
	my $client = RawHttp2->new($plain->{port});
	my $given_up = sub {
		my ($n) = @_;
		return join '', map {
			frame(RawHttp2::HEADERS, 4, $_, $head)
			  . frame(RawHttp2::RST_STREAM, 0, $_, pack('N', 8))
		} map { $n * 200 + $_ * 2 - 1 } 1 .. 100;
	};
	flood($client, 50, $given_up);
	my $before = memory($plain, 'VmRSS');
	flood($client, 300, sub { $given_up->($_[0] + 50) });
	$client->send_request(100001, token('a0'), $jwt);
	ok($client->wait_frame(RawHttp2::HEADERS, 100001),
		'35,000 of them do not end the connection');
	is_below(memory($plain, 'VmRSS') - $before, 2000, 'nor cost any memory');
	undef $client;
	is_well('after that');
};

subtest 'many at a time' => sub {
	my @clients = map { RawHttp2->new($plain->{port}) } 1 .. 200;
	for my $client (@clients)
	{
		$client->send_request($_ * 2 + 1, token('a0'), $jwt) for 0 .. 4;
	}
	my $answered = 0;
	for my $client (@clients)
	{
		$answered += !!$client->wait_frame(RawHttp2::HEADERS, 9);
	}
	is($answered, 200, '200 connections are served');
	@clients = ();
	is_well('after that');
};

subtest 'commands at random' => sub {
	my $socket = tcp($plain->{control_port});
	$socket->syswrite("pi");
	$plain->control('ping');
	$socket->syswrite("ng\nping\r\n \nstats x\n");
	is(scalar(<$socket>), "ok\n", 'a line may come in pieces');
	is(scalar(<$socket>), "ok\n", 'two may come at once');
	is(scalar(<$socket>), "error unknown command\n", 'an empty one is an error');
	like(scalar(<$socket>), qr/^ok requests/, 'and the next is read again');

	$socket = tcp($plain->{control_port});
	$socket->syswrite('x' x 5000);
	is(scalar(<$socket>), undef, 'a line without end ends the connection');

	for (1 .. 100)
	{
		local $SIG{PIPE} = 'IGNORE';
		my $client = tcp($plain->{control_port});
		$client->syswrite('fault ' . random_bytes(int rand 200) . "\n");
	}
	is($plain->control('ping'), 'ok', 'junk is survived');
	$plain->control('reset');
	is_well('after that');
};

is($_->stop, 0, 'it still stops with exit status 0') for $plain, $apns;

done_testing();
