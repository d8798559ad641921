# apnsim checks what Apple checks, answers in Apple's words, and writes down
# what it saw.  Faults are in 011, what clients can do to it in 012.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use ApnsimTest;
use RawHttp2;

my ($key, $public) = make_key('key');
my ($other_key) = make_key('other');
my @serve = ('--key', "TEAMTEAM01:KEYKEYKEY1:$public",
	map { ('--topic', $_) } qw(com.example.app com.example.app.voip));
my $apns = ApnsimTest->new(@serve);
my $jwt = jwt(key => $key);

# What is said to a good request with this one thing changed.
sub verdict_with
{
	return $apns->verdict(jwt => $jwt, @_);
}

sub provider_token
{
	return $apns->verdict(jwt => jwt(key => $key, @_));
}

my $id = '0123abcd-4567-89ab-cdef-0123456789ab';

subtest 'a good request' => sub {
	my $before = time() * 1e6;
	my $answer = $apns->request(
		jwt => $jwt,
		token => token('a1'),
		'apns-id' => $id,
		'apns-priority' => 10,
		payload => qq({"aps":{"alert":"caf\xc3\xa9 \\"1\\""}}));
	my $after = time() * 1e6;
	my $seen = $apns->last_request;

	is(ApnsimTest::said($answer), '200', 'is accepted');
	is($answer->{body}, '', 'with an empty body');
	is($answer->{apns_id}, $id, 'the answer has its apns-id');
	is($seen->{path}, '/3/device/' . token('a1'), 'the log has its path');
	is($seen->{token}, token('a1'), 'the log has its device token');
	is($seen->{method}, 'POST', 'the log has its method');
	is($seen->{headers}{'apns-priority'}, '10', 'the log has its headers');
	is($seen->{headers}{authorization},
		"bearer $jwt", 'the log has its provider token');
	is( $seen->{payload},
		qq({"aps":{"alert":"caf\x{e9} \\"1\\""}}),
		'the log has its payload as it came');
	is($seen->{apns_id}, $id, 'the log has its apns-id');
	is($seen->{status}, 200, 'the log has the status');
	is($seen->{reason}, undef, 'the log has no reason');
	is($seen->{fault}, undef, 'the log has no fault');
	ok( $seen->{arrived_us} >= $before && $seen->{arrived_us} <= $after,
		'the log has the time of arrival in microseconds');
};

subtest 'method, path and device token' => sub {
	is(verdict_with(method => 'PUT'), '405 MethodNotAllowed', 'only POST');
	is(verdict_with(path => '/3/devices/' . token('a0')),
		'404 BadPath', 'only /3/device/');
	is(verdict_with(path => '/3/device/'),
		'400 MissingDeviceToken', 'no device token');
	is(verdict_with(token => 'xyz0'), '400 BadDeviceToken', 'not hex');
	is(verdict_with(token => 'abc'), '400 BadDeviceToken', 'odd length');
	is(verdict_with(token => 'ab' x 201), '400 BadDeviceToken', 'too long');
	is(verdict_with(token => 'ab' x 200), '200', '400 digits are allowed');
	is(verdict_with(token => uc token('ab')), '200', 'capitals are allowed');
};

subtest 'provider token' => sub {
	is($apns->verdict, '403 MissingProviderToken', 'none');
	is($apns->verdict(authorization => "basic $jwt"),
		'403 InvalidProviderToken', 'not a bearer');
	is($apns->verdict(jwt => 'a.b.c'), '403 InvalidProviderToken', 'malformed');
	is($apns->verdict(authorization => 'bearer'),
		'403 InvalidProviderToken', 'empty');
	is($apns->verdict(jwt => 'A' x 3000),
		'403 InvalidProviderToken', 'longer than any');
	is($apns->verdict(jwt => "$jwt="), '403 InvalidProviderToken', 'padding');
	is($apns->verdict(jwt => jwt(key => $other_key)),
		'403 InvalidProviderToken', 'signed with another key');
	is(provider_token(key_id => 'KEYKEYKEY2'),
		'403 InvalidProviderToken', 'unknown key id');
	is(provider_token(team => 'TEAMTEAM02'),
		'403 InvalidProviderToken', 'unknown team');
	is(provider_token(header => '{"alg":"none","kid":"KEYKEYKEY1"}'),
		'403 InvalidProviderToken', 'another algorithm');
	is(provider_token(header => '{"alg":"ES256"}'),
		'403 InvalidProviderToken', 'no key id');
	is(provider_token(claims => '{"iss":"TEAMTEAM01"}'),
		'403 InvalidProviderToken', 'no time of issue');
	is(provider_token(claims => '{"iss":"TEAMTEAM01","iat":"1"}'),
		'403 InvalidProviderToken', 'a time that is a string');
	is(provider_token(claims => '{"iss":"TEAMTEAM01","iat":1'),
		'403 InvalidProviderToken', 'claims that are not JSON');
	is(provider_token(signature => 'x' x 64),
		'403 InvalidProviderToken', 'a signature of nothing');
	is(provider_token(signature => 'x' x 63),
		'403 InvalidProviderToken', 'a signature of 63 bytes');
	is(provider_token(age => 3590), '200', 'one minute less than an hour old');
	is(provider_token(age => 3610),
		'403 ExpiredProviderToken', 'older than an hour');
	is(provider_token(age => -30), '403 InvalidProviderToken', 'from the future');
	is($apns->verdict(authorization => "Bearer $jwt"), '200',
		'the scheme in capitals is fine');
};

subtest 'the clock for provider tokens can be moved' => sub {
	$apns->control('now 3700');
	is(verdict_with(), '403 ExpiredProviderToken', 'an hour later');
	$apns->control('now -100');
	is(verdict_with(), '403 InvalidProviderToken', 'before it was issued');
	$apns->control('now 0');
	is(verdict_with(), '200', 'and back');
};

subtest 'topic and push type' => sub {
	is(verdict_with('apns-topic' => undef), '400 MissingTopic', 'no topic');
	is(verdict_with('apns-topic' => 'com.example.other'),
		'400 TopicDisallowed', 'a topic that is not ours');
	is(verdict_with('apns-push-type' => 'loud'),
		'400 InvalidPushType', 'an unknown type');
	is(verdict_with('apns-push-type' => undef), '400 InvalidPushType', 'no type');
	is(verdict_with('apns-push-type' => 'voip'),
		'400 InvalidPushType', 'voip on a topic without .voip');
	is(verdict_with('apns-topic' => 'com.example.app.voip'),
		'400 InvalidPushType', 'alert on a topic with .voip');
	is( verdict_with(
			'apns-topic' => 'com.example.app.voip',
			'apns-push-type' => 'voip'),
		'200',
		'voip on a topic with .voip');
};

subtest 'priority' => sub {
	is(verdict_with('apns-priority' => $_), '200', "it may be $_")
	  for 1, 5, 10;
	is(verdict_with('apns-priority' => $_), '400 BadPriority', "not $_")
	  for 0, 7, 'high', '010';
	my @background = ('apns-push-type' => 'background');
	is(verdict_with(@background, 'apns-priority' => 5), '200', 'background at 5');
	is(verdict_with(@background, 'apns-priority' => 10),
		'400 BadPriority', 'not background at 10');
	is(verdict_with(@background),
		'400 BadPriority', 'nor background at the default, which is 10');
};

subtest 'apns-id' => sub {
	is(verdict_with('apns-id' => $_), '400 BadMessageId', "not $_")
	  for uc $id, '0123abcd', "$id-", '0123abcd45-67-89ab-cdef-0123456789ab';
	my $answer = $apns->request(jwt => $jwt);
	my $uuid = qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
	like($answer->{apns_id}, $uuid, 'who gives none gets one');
	isnt($apns->request(jwt => $jwt)->{apns_id},
		$answer->{apns_id}, 'and never the same');
	like($apns->request(method => 'GET')->{apns_id},
		$uuid, 'an error has one too');
};

subtest 'expiration and collapse id' => sub {
	is(verdict_with('apns-expiration' => $_), '200', "expires at $_")
	  for 0, 1900000000;
	is(verdict_with('apns-expiration' => $_), '400 BadExpirationDate', "not $_")
	  for -1, 'tomorrow', '1.5';
	is(verdict_with('apns-collapse-id' => 'c' x 64), '200', '64 bytes collapse');
	is(verdict_with('apns-collapse-id' => 'c' x 65),
		'400 BadCollapseId', '65 do not');
};

# A payload of exactly so many bytes.
sub payload_of
{
	my ($bytes) = @_;
	my $empty = '{"aps":{"alert":""}}';
	my $fill = 'x' x ($bytes - length $empty);
	return $empty =~ s/""/"$fill"/r;
}

subtest 'payload' => sub {
	my @voip = (
		'apns-topic' => 'com.example.app.voip',
		'apns-push-type' => 'voip');
	is(verdict_with(payload => ''), '400 PayloadEmpty', 'none');
	is(verdict_with(payload => payload_of(4096)), '200', '4,096 bytes');
	is(verdict_with(payload => payload_of(4097)),
		'413 PayloadTooLarge', 'one more');
	is(verdict_with(payload => payload_of(100_000)),
		'413 PayloadTooLarge', 'a hundred thousand');
	is($apns->last_request->{payload_bytes},
		100_000, 'of which the log knows the number');
	is(verdict_with(@voip, payload => payload_of(5120)),
		'200', '5,120 bytes for voip');
	is(verdict_with(@voip, payload => payload_of(5121)),
		'413 PayloadTooLarge', 'one more for voip');
	my %bad = (
		'not JSON' => 'hello',
		'JSON that is not an object' => '[{"aps":{}}]',
		'JSON with something after it' => '{"aps":{}} x',
		'JSON that is cut off' => '{"aps":{"alert":"x"}',
		'no aps' => '{"alert":"hello"}',
		'aps that is not an object' => '{"aps":"hello"}',
		'a control character in a string' => qq({"aps":{"alert":"a\tb"}}),
		'bytes that are not UTF-8' => qq({"aps":{"alert":"\xff"}}),
		'half a surrogate in UTF-8' => qq({"aps":{"alert":"\xed\xa0\x80"}}),
		'a number that begins with 0' => '{"aps":{"badge":01}}',
		'nesting without end' => '{"aps":' . ('[' x 2000));
	is(verdict_with(payload => $bad{$_}), '400 PayloadInvalid', $_)
	  for sort keys %bad;
	is( verdict_with(
			payload => ' { "e" : [1, -2.5e+3, true, null, "\\u4f60\\n"] , '
			  . '"aps" : { } } '),
		'200',
		'blanks and all of JSON are fine');
};

subtest 'other headers' => sub {
	my ($answer) = ApnsimTest::parse_answer(
		run_command(
			'curl', '-s', '-i', '--http2', '--cacert', "$apns->{dir}/ca.pem",
			'-H', 'apns-topic: a', $apns->curl_arguments(jwt => $jwt)));
	is(ApnsimTest::said($answer), '400 DuplicateHeaders', 'none twice');
	is(verdict_with('x-long' => 'x' x 9000),
		'431 HeadersTooLarge', 'not 9,000 bytes of them');
};

subtest 'scheme' => sub {
	open(my $pipe, '|-', 'openssl s_client -quiet -no_ign_eof -alpn h2 -connect '
		  . "127.0.0.1:$apns->{port} >/dev/null 2>&1") or die;
	RawHttp2->over($pipe)->send_request(1, token('a9'), $jwt);
	wait_until(sub { $apns->last_request->{token} eq token('a9') });
	is($apns->last_request->{reason}, 'BadScheme', 'it is https');
	close $pipe;
};

subtest 'without --key' => sub {
	my $strict = ApnsimTest->new;
	is($strict->verdict(jwt => $jwt),
		'403 InvalidProviderToken', 'no provider token is good');
	is($strict->stop, 0, 'SIGTERM ends it with exit status 0');
	ok(!-e "$strict->{dir}/ready", 'and takes the ready file away');

	my $any = ApnsimTest->new('--trust-any-key');
	is($any->verdict(jwt => jwt(key => $other_key, team => 'ANYANYANY1')),
		'200', '--trust-any-key takes a well-formed one');
	is($any->verdict(jwt => 'a.b.c'),
		'403 InvalidProviderToken', 'but no other');
	is( $any->verdict(
			jwt => jwt(key => $other_key),
			'apns-topic' => 'com.example.anything'),
		'200',
		'without --topic every topic is good');
};

subtest 'command line' => sub {
	my $apnsim = "$FindBin::Bin/../apnsim/apnsim";
	my %bad = (
		'no command' => [],
		'no directory' => ['serve'],
		'an unknown option' => [qw(serve --dir /tmp --bla)],
		'a port that is none' => [qw(serve --dir /tmp --port 70000)],
		'an unknown environment' => [qw(serve --dir /tmp --environment test)],
		'half a key' => [qw(serve --dir /tmp --key TEAM:KEY)],
		'ctl without a port' => [qw(ctl ping)]);
	is((run_command($apnsim, @{ $bad{$_} }))[0], 2, "$_ is refused")
	  for sort keys %bad;
	my (undef, $p384) = make_key('p384', 'P-384');
	my ($status, $message) = run_command($apnsim, 'serve', '--dir',
		"$apns->{dir}/p384", '--key', "TEAMTEAM01:KEYKEYKEY1:$p384");
	is($status, 1, 'a key on another curve is refused');
	like($message, qr/P-256/, 'by name of the curve that is right');
	is((run_command($apnsim, 'serve', '--dir', "$apns->{dir}/s", '--run-seconds', 1))[0],
		0, '--run-seconds ends it with exit status 0');
};

subtest 'the same directory again' => sub {
	my $before = $apns->requests;
	$apns->stop;
	open(my $f, '<', "$apns->{dir}/ca.pem") or die;
	my $ca = join '', <$f>;
	$apns->start(@serve, '--name', 'apns.test', '--environment', 'development');
	open($f, '<', "$apns->{dir}/ca.pem") or die;
	is(join('', <$f>), $ca, 'keeps its CA');
	my $answer = $apns->request(jwt => $jwt);
	is($answer->{status}, 200, 'serves with it');
	is(scalar($apns->requests), $before + 1, 'and continues its log');
	like($answer->{head}, qr/^apns-unique-id: /m,
		'--environment development answers with apns-unique-id');
	my ($exit, $printed) = run_command(
		'curl', '-s', '-i', '--http2', '--cacert', "$apns->{dir}/ca.pem",
		'--resolve', "apns.test:$apns->{port}:127.0.0.1",
		"https://apns.test:$apns->{port}/");
	is($exit, 0, '--name puts a host name into its certificate');
	my ($status) = run_command('curl', '-s', '--cacert', "$apns->{dir}/ca.pem",
		'--resolve', "other.test:$apns->{port}:127.0.0.1",
		"https://other.test:$apns->{port}/");
	is($status, 60, 'and no other');
};

subtest 'counters and log' => sub {
	my $before = $apns->stats;
	verdict_with() for 1 .. 3;
	verdict_with(payload => '');
	my $after = $apns->stats;
	is($after->{requests} - $before->{requests}, 4, 'requests are counted');
	is($after->{accepted} - $before->{accepted}, 3, 'accepted ones');
	is($after->{refused} - $before->{refused}, 1, 'and refused ones');
	is($after->{connections} - $before->{connections}, 4, 'and connections');
	is($after->{jwts}, 1, 'and provider tokens');
	$apns->control('reset-log');
	is(scalar(my @none = $apns->requests), 0, 'the log can be emptied');
	verdict_with();
	is(scalar(my @one = $apns->requests), 1, 'and goes on');

	my $silent = ApnsimTest->new('--no-log');
	is($silent->verdict, '403 MissingProviderToken', '--no-log serves');
	ok(!-e $silent->{log}, 'and writes none');
	my $file = "$silent->{dir}/elsewhere.log";
	my $elsewhere = ApnsimTest->new('--log', $file);
	$elsewhere->verdict;
	ok(-s $file, '--log FILE writes it there');
};

done_testing();
