# apnsim plays every fault that a test orders: for one token or all, so many
# times, to every n-th, for so long.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use ApnsimTest;
use RawHttp2;

my ($key, $public) = make_key('key');
my ($key2, $public2) = make_key('key2');
my @keys = ('--key', "TEAMTEAM01:KEYKEYKEY1:$public",
	'--key', "TEAMTEAM01:KEYKEYKEY2:$public2");
my $apns = ApnsimTest->new(@keys);
my $plain = ApnsimTest->new(@keys, '--plain');
my $jwt = jwt(key => $key);

sub verdict_for
{
	my ($prefix) = @_;
	return $apns->verdict(jwt => $jwt, token => token($prefix));
}

# After a fault: nothing of it is left.
sub forget
{
	$_->control('reset', 'reset-log') for $apns, $plain;
	return;
}

subtest 'whom a fault meets' => sub {
	$apns->control('fault prefix=AB status=503');
	is(verdict_for('ab'), '503 ServiceUnavailable', 'the tokens of its prefix');
	is(verdict_for('cd'), '200', 'and no others');
	$apns->control('clear');
	is(verdict_for('ab'), '200', 'nobody after clear');

	$apns->control('fault count=2 status=500');
	is(join(' ', map { verdict_for('ab') } 1 .. 3),
		'500 InternalServerError 500 InternalServerError 200',
		'count: so many times');

	$apns->control('fault every=3 status=500');
	is(join(' ', map { substr(verdict_for('ab'), 0, 3) } 1 .. 6),
		'200 200 500 200 200 500', 'every: each n-th');
	$apns->control('clear');

	$apns->control('fault topic=com.example.other status=500');
	is(verdict_for('ab'), '200', 'topic: no other topic');
	is( $apns->verdict(jwt => $jwt, 'apns-topic' => 'com.example.other'),
		'500 InternalServerError', 'but this one');
	$apns->control('clear');

	my $begin = time();
	$apns->control('fault seconds=3 status=503');
	is(verdict_for('ab'), '503 ServiceUnavailable', 'seconds: for so long');
	ok(wait_until(sub { verdict_for('ab') eq '200' }), 'and no longer');
	ok(time() - $begin >= 2.9, 'than it said');

	$apns->control('fault prefix=ab status=500', 'fault status=503');
	is(verdict_for('ab'), '500 InternalServerError', 'the first that matches');
	is(verdict_for('cd'), '503 ServiceUnavailable', 'then the next');
	is($apns->control('faults'), 'ok status-6:1/1 status-7:1/1',
		'faults lists them, with how often they struck');
	forget();
};

subtest 'any answer' => sub {
	$apns->control('fault prefix=a1 status=410 timestamp=1700000000123',
		'fault prefix=a2 status=400 reason=DeviceTokenNotForTopic',
		'fault prefix=a3 status=429 name=slow-down',
		'fault prefix=a4 status=403 reason=ExpiredProviderToken',
		'fault prefix=a5 status=503 reason=none',
		'fault prefix=a6 status=410');
	my $answer = $apns->request(jwt => $jwt, token => token('a1'));
	is(ApnsimTest::said($answer), '410 Unregistered', 'a dead token');
	is($answer->{timestamp}, 1700000000123, 'with the timestamp that was given');
	ok($answer->{apns_id}, 'and an apns-id');
	is(verdict_for('a2'), '400 DeviceTokenNotForTopic', 'any reason');
	is(verdict_for('a3'), '429 TooManyRequests', 'the usual reason if none is given');
	is($apns->last_request->{fault}, 'slow-down', 'the log has the rule by name');
	is($apns->last_request->{reason}, 'TooManyRequests', 'and the reason');
	is(verdict_for('a4'), '403 ExpiredProviderToken', 'a status with another than its usual reason');
	$answer = $apns->request(jwt => $jwt, token => token('a5'));
	is("$answer->{status}$answer->{body}", '503', 'no body if the reason is none');
	my $now = time() * 1000;
	$answer = $apns->request(jwt => $jwt, token => token('a6'));
	cmp_ok($answer->{timestamp}, '>=', int($now), 'a 410 is of now');
	forget();
};

subtest 'no answer' => sub {
	$apns->control('fault prefix=b1 refuse', 'fault prefix=b2 reset',
		'fault prefix=b3 close', 'fault prefix=b4 silent');
	like(verdict_for('b1'), qr/^curl \d+$/, 'refuse: the stream is reset');
	is($apns->last_request->{payload}, '', 'before the body is read');
	is($apns->last_request->{status}, undef, 'and the log has no status');
	is(verdict_for('b2'), 'curl 92', 'reset: the stream is reset');
	isnt($apns->last_request->{payload}, '', 'after the body is read');
	like(verdict_for('b3'), qr/^curl \d+$/, 'close: the connection is gone');
	isnt($apns->last_request->{payload}, '', 'after the body is read');
	my $answer = $apns->request(jwt => $jwt, token => token('b4'),
		curl => [ '--max-time', '3' ]);
	is(ApnsimTest::said($answer), 'curl 28', 'silent: there is no answer');
	like($apns->last_request->{fault}, qr/^silent-/, 'though it was seen');
	is($apns->stats->{unanswered}, scalar(() = $apns->requests),
		'all of these are counted as unanswered');
	forget();
};

subtest 'the streams that are refused say so' => sub {
	$plain->control('fault prefix=b1 refuse', 'fault prefix=b2 reset');
	my $client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('b1'), $jwt);
	$client->send_request(3, token('b2'), $jwt);
	$client->send_request(5, token('b3'), $jwt);
	is(RawHttp2::error_of($client->wait_frame(RawHttp2::RST_STREAM, 1)),
		7, 'refuse: REFUSED_STREAM');
	is(RawHttp2::error_of($client->wait_frame(RawHttp2::RST_STREAM, 3)),
		2, 'reset: INTERNAL_ERROR');
	ok($client->wait_frame(RawHttp2::HEADERS, 5), 'and the next is answered');
	forget();
};

subtest 'slow answers' => sub {
	$plain->control('fault prefix=c1 delay=300',
		'fault prefix=c2 delay=100 status=503');
	my $client = RawHttp2->new($plain->{port});
	my $begin = time();
	$client->send_request(1, token('c1'), $jwt);
	$client->send_request(3, token('c2'), $jwt);
	$client->send_request(5, token('c3'), $jwt);
	my @order = map { $client->wait_frame(RawHttp2::HEADERS)->{stream} } 1 .. 3;
	is("@order", '5 3 1', 'delay: each in its own time, nobody waits for another');
	cmp_ok(time() - $begin, '>=', 0.3, 'and not sooner');
	is_deeply([ map { $_->{status} } $plain->requests ],
		[ 200, 503, 200 ], 'delay goes with any status');
	$client->send_request(7, token('c1'), $jwt);
	$client->send_frame(RawHttp2::RST_STREAM, 0, 7, pack('N', 8));
	ok( wait_until(sub { $plain->stats->{streams} == 0 }),
		'who gives up is forgotten');
	forget();
};

subtest 'an answer before the body' => sub {
	$plain->control('fault prefix=d1 early', 'fault prefix=d2 early-stop',
		'fault prefix=d3 early-stop status=400');
	my $client = RawHttp2->new($plain->{port});
	$client->send_head(1, token('d1'), $jwt);
	my $answer = $client->wait_frame(RawHttp2::HEADERS, 1);
	ok($answer && $answer->{flags} & RawHttp2::END_STREAM,
		'early: comes with the headers');
	is($plain->last_request->{payload}, '', 'nothing of the body was read');
	is($plain->last_request->{status}, 200, 'and it was accepted');
	$client->send_body(1, '{}');
	$client->send_head(3, token('d2'), $jwt);
	ok($client->wait_frame(RawHttp2::HEADERS, 3), 'early-stop: the same');
	is(RawHttp2::error_of($client->wait_frame(RawHttp2::RST_STREAM, 3)),
		0, 'and NO_ERROR tells the client to stop');
	$client->send_head(5, token('d3'), $jwt);
	ok($client->wait_frame(RawHttp2::DATA, 5), 'with a body in the answer');
	is(RawHttp2::error_of($client->wait_frame(RawHttp2::RST_STREAM, 5)),
		0, 'the stop comes after it');
	is(scalar(my @seen = $plain->requests), 3, 'each was seen once');
	forget();
};

subtest 'GOAWAY' => sub {
	$plain->control('fault prefix=e1 goaway');
	my $client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('e0'), $jwt);
	$client->send_request(3, token('e1'), $jwt);
	$client->send_request(5, token('e2'), $jwt);
	my $goaway = $client->wait_frame(RawHttp2::GOAWAY);
	is(RawHttp2::last_of($goaway), 3, 'names the stream that met the fault');
	is(RawHttp2::error_of($goaway), 0, 'without an error');
	ok($client->wait_closed, 'the connection ends');
	my @answered =
	  map { $_->{stream} } grep { $_->{type} == RawHttp2::HEADERS } @{ $client->{frames} };
	is("@answered", '1 3', 'what came up to there is answered');
	is(join(' ', map { $_->{stream} } $plain->requests), '1 3',
		'and nothing beyond was processed');

	$plain->control('reset', 'reset-log', 'fault prefix=e1 goaway');
	$client = RawHttp2->new($plain->{port});
	$client->send_head(1, token('e1'), $jwt);
	$client->send_head(3, token('e2'), $jwt);
	$client->send_body(1, '{"aps":{}}');
	$client->send_body(3, '{"aps":{}}');
	is(RawHttp2::last_of($client->wait_frame(RawHttp2::GOAWAY)),
		1, 'a request of which only the headers came is beyond');
	ok($client->wait_closed, 'the connection ends');
	is(scalar(my @processed = $plain->requests), 1, 'and it was not processed');

	$plain->control('reset', 'reset-log', 'fault prefix=e1 goaway last=1');
	$client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('e0'), $jwt);
	$client->send_request(3, token('e1'), $jwt);
	is(RawHttp2::last_of($client->wait_frame(RawHttp2::GOAWAY)),
		1, 'last: names any stream');
	ok($client->wait_closed, 'the connection ends');
	is($plain->last_request->{status}, undef,
		'the one that met it is beyond and has no answer');

	$plain->control('reset', 'reset-log', 'goaway-every 3');
	$client = RawHttp2->new($plain->{port});
	$client->send_request($_ * 2 + 1, token('e3'), $jwt) for 0 .. 4;
	is(RawHttp2::last_of($client->wait_frame(RawHttp2::GOAWAY)),
		5, 'goaway-every: after so many requests on a connection');
	ok($client->wait_closed, 'the connection ends');

	$plain->control('reset');
	$client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('e4'), $jwt);
	$client->wait_frame(RawHttp2::HEADERS, 1);
	$plain->control('goaway');
	is(RawHttp2::last_of($client->wait_frame(RawHttp2::GOAWAY)),
		1, 'goaway: at once, on every connection');
	forget();
};

subtest 'answers that are none' => sub {
	$apns->control('fault prefix=f1 garbage', 'fault prefix=f2 redirect',
		'fault prefix=f3 redirect status=307 location=https://example.org/x',
		'fault prefix=f4 huge bytes=3000000',
		'fault prefix=f5 huge status=503 bytes=100000');
	my $answer = $apns->request(jwt => $jwt, token => token('f1'));
	is($answer->{status}, 400, 'garbage: an error');
	like($answer->{body}, qr/html/, 'that is not JSON');
	$answer = $apns->request(jwt => $jwt, token => token('f2'));
	is($answer->{status}, 301, 'redirect: 301');
	like($answer->{head}, qr{^location: https://127.0.0.1:$apns->{port}/}m,
		'to this server, where it would be seen');
	$answer = $apns->request(jwt => $jwt, token => token('f3'));
	is($answer->{status}, 307, 'or any status');
	like($answer->{head}, qr{^location: https://example.org/x\s*$}m, 'and place');
	$answer = $apns->request(jwt => $jwt, token => token('f4'));
	is($answer->{status}, 200, 'huge: accepted');
	is(length $answer->{body}, 3_000_000, 'with a body of any length');
	$answer = $apns->request(jwt => $jwt, token => token('f5'));
	is($answer->{status}, 503, 'or with any status');

	$apns->control('clear', 'fault huge');
	my ($exit, $length) = run_command(
		'curl', '-s', '--http2', '--cacert', "$apns->{dir}/ca.pem",
		'-o', '/dev/null', '-w', '%{size_download}',
		$apns->curl_arguments(jwt => $jwt));
	is($length, 1 << 30, 'a gigabyte unless told otherwise');
	is_below(memory($apns, 'VmHWM'), 60_000, 'which costs no memory');
	forget();
};

subtest 'the number of streams' => sub {
	my $max = sub { RawHttp2::settings_of($_[0])->{3} };
	my $next_settings = sub {
		my ($client) = @_;
		my $frame;
		do { $frame = $client->wait_frame(RawHttp2::SETTINGS) }
		  while $frame && $frame->{flags} & RawHttp2::ACK;
		return $frame;
	};
	my $client = RawHttp2->new($plain->{port});
	is($max->($next_settings->($client)), 1000, 'is 1,000');
	$plain->control('max-streams 3');
	is($max->($next_settings->($client)), 3, 'max-streams: changes at once');
	is($max->($next_settings->(RawHttp2->new($plain->{port}))),
		3, 'and for new connections');
	$client->send_frame(RawHttp2::SETTINGS, RawHttp2::ACK, 0, '') for 1 .. 2;
	$client->send_head($_, token('a0'), $jwt) for 1, 3, 5, 7;
	ok($client->wait_frame(RawHttp2::GOAWAY), 'one too many is an error');

	$plain->control('reset', 'one-stream on', 'fault prefix=aa status=503');
	$client = RawHttp2->new($plain->{port});
	is($max->($next_settings->($client)), 1, 'one-stream: begins with one');
	$client->send_request(1, token('aa'), $jwt);
	$client->wait_frame(RawHttp2::HEADERS, 1);
	$client->send_request(3, token('ab'), $jwt);
	my $settings = $next_settings->($client);
	is($max->($settings), 1000, 'and opens up');
	ok((grep { $_->{stream} == 1 && $_->{type} == RawHttp2::HEADERS }
			@{ $client->{frames} }),
		'when the first request is accepted, not when one is refused');
	$client = RawHttp2->new($plain->{port});
	$client->send_head(1, token('ab'), $jwt);
	$client->send_head(3, token('ab'), $jwt);
	is(RawHttp2::error_of($client->wait_frame(RawHttp2::RST_STREAM, 3)),
		7, 'a second stream before that is refused');
	forget();
};

subtest 'jwt-strict' => sub {
	$apns->control('now 100000');
	my @at = (age => -100000);
	my ($first, $second) =
	  map { jwt(key => $key, age => -100000 + $_) } 5, 4;
	my $foreign = jwt(key => $key2, key_id => 'KEYKEYKEY2', @at);
	$apns->control('jwt-strict on');
	is($apns->verdict(jwt => $first), '200', 'the first provider token is fine');
	is($apns->verdict(jwt => $second),
		'429 TooManyProviderTokenUpdates', 'another within 20 minutes is not');
	is($apns->verdict(jwt => $first), '200', 'the first still is');
	is($apns->verdict(jwt => $foreign), '200', 'another key has a first one too');
	my @said = map { ApnsimTest::said($_) }
	  $apns->requests_in_a_row({ jwt => $first }, { jwt => $foreign },
		{ jwt => $first });
	is("@said", '200 403 UnrelatedKeyIdInToken 200',
		'a connection belongs to the key of its first push');
	$apns->control('now 101300');
	is($apns->verdict(jwt => $second), '200', 'another after 20 minutes is fine');
	$apns->control('jwt-strict off', 'now 100000');
	is($apns->verdict(jwt => jwt(key => $key, age => -99997)),
		'200', 'off: as many as one likes');
	forget();
};

subtest 'servers that are not what they should be' => sub {
	$apns->control('h1 on');
	my $answer = $apns->request(jwt => $jwt);
	is("$answer->{version} $answer->{status}", '1.1 200',
		'h1: a client that falls back to HTTP/1.1 is answered');
	is($apns->last_request->{protocol}, 'http/1.1', 'and seen');
	is( $apns->verdict(jwt => $jwt, payload => '{"aps":{}}', curl => ['--no-alpn']),
		'200',
		'also one that speaks no ALPN');
	is($apns->verdict(payload => 'x'), '403 MissingProviderToken',
		'and checked like any other');
	$apns->control('h1 off');
	$answer = $apns->request(jwt => $jwt);
	is($answer->{version}, '2', 'off: HTTP/2 again');
	is($apns->verdict(jwt => $jwt, curl => ['--http1.1']),
		'curl 35', 'and nothing else');
	# closed, or reset, as the packets meet
	like($apns->verdict(jwt => $jwt, curl => ['--no-alpn']),
		qr/^curl (52|56)$/, 'nor anything without ALPN');

	my $old = ApnsimTest->new(@keys, '--http1');
	is($old->request(jwt => $jwt)->{version}, '1.1', '--http1 begins like that');

	my $port = $plain->{port};
	my $before = $plain->stats->{requests};
	my ($exit, $printed) = run_command('curl', '-s', '-k', '-i', "https://127.0.0.1:$port/");
	is($exit, 35, 'plain: TLS fails at once');
	is($plain->stats->{requests}, $before, 'and nothing is seen');
	forget();
};

subtest 'a server that is gone, or seems to be' => sub {
	$apns->control('listen off');
	is(verdict_for('a0'), 'curl 7', 'listen off: nobody there');
	$apns->control('listen on');
	is(verdict_for('a0'), '200', 'listen on: back on the same port');

	my $client = RawHttp2->new($plain->{port});
	$client->wait_frame(RawHttp2::SETTINGS);
	$plain->control('close');
	ok($client->wait_closed, 'close: every connection ends');

	$client = RawHttp2->new($plain->{port});
	$client->send_request(1, token('a0'), $jwt);
	$client->wait_frame(RawHttp2::HEADERS, 1);
	$plain->control('freeze', 'reset-log');
	$client->send_request(3, token('a0'), $jwt);
	$client->send_frame(RawHttp2::PING, 0, 0, 'pingping');
	my $other = RawHttp2->new($plain->{port});
	$other->send_request(1, token('a0'), $jwt);
	ok($other->wait_frame(RawHttp2::HEADERS, 1), 'freeze: new connections live');
	ok($client->silent_so_far, 'those that were open are silent');
	is(scalar(my @one = $plain->requests), 1, 'and not listened to');
	$client->{socket}->close;
	ok(wait_until(sub { $plain->stats->{open} == 1 }), 'until the client leaves');

	$plain->control('hang on');
	$client = RawHttp2->new($plain->{port});
	$other->send_request(3, token('a0'), $jwt);
	ok($other->wait_frame(RawHttp2::HEADERS, 3), 'hang: old connections live');
	ok($client->silent_so_far, 'new ones are taken and left alone');
	forget();
};

subtest 'client certificates' => sub {
	my $dir = $apns->{dir};
	for my $ca (qw(good bad))
	{
		my @days = ('-days', '10');
		run_command('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
			'-keyout', "$dir/$ca.key", '-out', "$dir/$ca.pem",
			'-subj', "/CN=$ca CA", @days);
		run_command('openssl', 'req', '-newkey', 'rsa:2048', '-nodes',
			'-keyout', "$dir/$ca-client.key", '-out', "$dir/$ca-client.csr",
			'-subj', '/UID=com.example.app');
		run_command('openssl', 'x509', '-req', '-in', "$dir/$ca-client.csr",
			'-CA', "$dir/$ca.pem", '-CAkey', "$dir/$ca.key", '-set_serial', 1,
			'-out', "$dir/$ca-client.pem", @days);
	}
	my $with = ApnsimTest->new(@keys, '--client-ca', "$dir/good.pem");
	my %certificate = map {
		$_ => [ '--cert', "$dir/$_-client.pem", '--key', "$dir/$_-client.key" ]
	} qw(good bad);
	is($with->verdict(curl => $certificate{good}),
		'200', 'one of the CA authenticates');
	is( $with->verdict(curl => $certificate{good}, authorization => 'bearer x'),
		'200',
		'and the provider token is ignored, as Apple does');
	like($with->verdict(curl => $certificate{bad}),
		qr/^curl \d+$/, 'one of another CA does not');
	is($with->verdict, '403 MissingProviderToken', 'none needs a provider token');
	is($with->verdict(jwt => $jwt), '200', 'which is still good');
	$with->control('one-stream on');
	is($with->verdict(curl => $certificate{good}),
		'200', 'one-stream is for provider tokens only');
};

subtest 'commands that are wrong' => sub {
	like($apns->answer_to($_), qr/^error /, "\"$_\" is an error")
	  for 'bla', 'fault', 'fault bla', 'fault count=0 silent',
	  'fault status=99', 'fault prefix=xy silent', 'fault silent close',
	  'fault reason="x" status=400', 'max-streams', 'max-streams many',
	  'one-stream yes', 'now', 'goaway first=1', 'listen';
	is($apns->answer_to('ping'), 'ok', 'and what is right still works');
	is($apns->control('faults'), 'ok', 'and nothing of it was taken');
};

done_testing();
