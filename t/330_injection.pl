# Whatever people and clients write, in ids, names, texts and ext: each message
# makes one request, for its own device, with the headers that belong there and
# a payload that says just that.

use strict;
use warnings;
use utf8;

use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use ImpPush;
use JSON::PP;
use Test::More;

my $json = JSON::PP->new->utf8->canonical;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my $key = make_keys();

# Any text as SQL, whatever psql makes of it.
sub sql
{
	my ($text) = @_;

	return sprintf q{convert_from('\x%s', 'UTF8')},
	  unpack 'H*', encode_utf8($text);
}

sub shown
{
	my ($text) = @_;

	$text = substr($text, 0, 40) . '...' if length $text > 40;
	return $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
}

# The request for a message; tests that there is one, complete and no more.
my @header_names;

sub one_request
{
	my ($msg_id, $token, $name) = @_;
	my @requests =
	  grep { $_->{json} && defined $_->{json}->{m} && $_->{json}->{m} eq $msg_id }
	  $sim->requests;
	my $request = $requests[0];

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar @requests, 1, "$name: one request") or return;
	is("$request->{status} $request->{path}",
		"200 /3/device/$token", "$name: to its device, and accepted");
	is(join(' ', sort keys %{ $request->{headers} }),
		join(' ', @header_names), "$name: with the usual headers");
	unlike(join('', values %{ $request->{headers} }),
		qr/[\x00-\x1f\x7f]/, "$name: without control characters in them");
	unlike(join(' ', keys %{ $request->{json} }),
		qr/\b(?!aps|f|t|g|m|e\b)\w+\b/, "$name: nothing strange in the payload");
	return $request;
}

# The id of a header for a key.
sub collapse_id
{
	my ($key) = @_;

	return $key
	  if length(encode_utf8($key)) <= 64 && $key !~ /[\x00-\x1f\x7f-\x9f]|^ | $/;
	return sha256_hex(encode_utf8($key));
}

sub send_messages
{
	$node->safe_psql('postgres', join ";\n", @_);
	wait_settled($node);
	return;
}

# What a harmless message looks like

$node->safe_psql(
	'postgres', q{
	UPDATE imp_push.settings SET default_language = 'en';
	SELECT imp_push.bind_device('innocent', 'phone', 'chat', 'aaaa');
	INSERT INTO imp_push.user_profile (user_id, display_style) VALUES ('innocent', 'summary')});

sub innocent
{
	my ($msg_id) = @_;

	return "INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body)
		VALUES ('innocent', 'friend', '$msg_id', 'Hello')";
}

send_messages(innocent('first'));
my ($first) = $sim->requests;
@header_names = sort keys %{ $first->{headers} };
is( "@header_names",
	'apns-collapse-id apns-expiration apns-id apns-priority apns-push-type '
	  . 'apns-topic authorization content-length',
	'a request has these headers');
is($first->{headers}->{'apns-topic'}, 'com.example.chat', 'the topic');

# People of all kinds

my @people = (
	"Robert'); DROP TABLE imp_push.offline_message; --",
	q{qu"ote}, q{back\\slash}, '%s%n%1$s', '{$msg} {0} {$fromNickname}',
	'$1', '$$', q{'}, "line\nbreak", "CR\r\napns-topic: com.example.evil",
	"tab\tbell\a", "del\x7f c1 \x{85}", "\x01", ' blanks ', '../../etc/passwd',
	'?x=1&y#z', '%0d%0a', "emoji 😀 \x{2028}", 'العربية', 'null',
	'{"aps":{"badge":99}}', '","aps":{"badge":99},"x":"', '</script>',
	'x' x 300);
my @statements = (innocent('between 1'));

foreach my $n (0 .. $#people)
{
	my $id = sql($people[$n]);

	push @statements,
	  sprintf(q{SELECT imp_push.bind_device(%s, %s, 'chat', '%04x')},
		$id, $id, $n),
	  "SELECT imp_push.set_presence($id, $id, 'offline', $id, $id)",
	  "INSERT INTO imp_push.user_profile (user_id, display_style) VALUES ($id, 'summary')",
	  "INSERT INTO imp_push.offline_message (recipient, sender, sender_name,
			chat_type, conversation_id, msg_id, type, body)
		VALUES ($id, 'friend', $id, 'groupchat', $id, $id, $id, $id)";
}
send_messages(@statements, innocent('between 2'));
foreach my $n (0 .. $#people)
{
	my $person = $people[$n];
	my $name = shown($person);
	my $request = one_request($person, sprintf('%04x', $n), $name) or next;
	my $payload = $request->{json};

	is_deeply(
		[ @$payload{qw(f t g m)} ],
		[ 'friend', $person, $person, $person ],
		"$name: ids are what was written");
	is($payload->{aps}->{alert}->{body}, "$person: $person", "$name: so is the text");
	is($payload->{aps}->{'thread-id'}, "groupchat:$person", "$name: and the thread");
	is($payload->{aps}->{badge}, 1, "$name: the badge is its own");
	is($request->{headers}->{'apns-collapse-id'},
		collapse_id($person), "$name: and the collapse id, or its hash");
}

# What clients put into ext

my $deep = 60;
my %ext = (
	'a header in the collapse key' => [ q({"em_apns_ext":{"em_push_collapse_key":"a\r\nx-evil: 1"}}), undef, "a\r\nx-evil: 1" ],
	'a tab in it' => [ q({"em_apns_ext":{"em_push_collapse_key":"a\tb"}}), undef, "a\tb" ],
	'a C1 control in it' => [ q({"em_apns_ext":{"em_push_collapse_key":"a\u0085b"}}), undef, "a\x{85}b" ],
	'DEL in it' => [ q({"em_apns_ext":{"em_push_collapse_key":"a\u007f"}}), undef, "a\x7f" ],
	'blanks around it' => [ q({"em_apns_ext":{"em_push_collapse_key":" a "}}), undef, ' a ' ],
	'64 bytes' => [ q({"em_apns_ext":{"em_push_collapse_key":") . 'k' x 64 . q("}}), undef, 'k' x 64 ],
	'65 bytes' => [ q({"em_apns_ext":{"em_push_collapse_key":") . 'k' x 65 . q("}}), undef, 'k' x 65 ],
	'a number as collapse key' => [ q({"em_apns_ext":{"em_push_collapse_key":1e300}}) ],
	'a badge of 1e300' => [ q({"em_apns_ext":{"em_push_badge":1e300}}), sub { $_[0]->{aps}->{badge} =~ /^\d{1,3}$/ } ],
	'a badge below zero' => [ q({"em_apns_ext":{"em_push_badge":-1}}), sub { $_[0]->{aps}->{badge} > 0 } ],
	'a badge that is JSON' => [ q({"em_apns_ext":{"em_push_badge":"1,\"x\":2"}}), sub { $_[0]->{aps}->{badge} =~ /^\d{1,3}$/ } ],
	'a tiny relevance' => [ q({"em_apns_ext":{"relevance_score":1e-16000,"extern":1}}), sub { !exists $_[0]->{aps}->{'relevance-score'} } ],
	'a level of its own' => [ q({"em_apns_ext":{"interruption_level":"active\",\"x\":\"","extern":1}}), sub { !exists $_[0]->{aps}->{'interruption-level'} } ],
	'JSON in a sound' => [ q({"em_apns_ext":{"em_push_sound":"a\",\"badge\":99,\"x\":\"","extern":1}}), sub { $_[0]->{aps}->{sound} eq 'a","badge":99,"x":"' && $_[0]->{aps}->{badge} != 99 } ],
	'JSON in category and thread' => [ q({"em_apns_ext":{"em_push_category":"}","thread_id":"\"}}","extern":1}}), sub { $_[0]->{aps}->{category} eq '}' && $_[0]->{aps}->{'thread-id'} eq '"}}' } ],
	'keys of ours in the rest' => [ q({"em_apns_ext":{"aps":{"badge":99},"t":"somebody","\"":"\\\\"}}), sub { $_[0]->{t} eq 'innocent' && $_[0]->{e}->{t} eq 'somebody' && $_[0]->{aps}->{badge} != 99 } ],
	'an odd custom value' => [ q({"em_push_ext":{"custom":"\u0001\u001f\"\\\\ \ud83d\ude00"}}), sub { $_[0]->{e} eq "\x01\x1f\"\\ \x{1f600}" } ],
	'a number of 300 digits' => [ q({"em_push_ext":{"custom":[1e299]}}), sub { $_[0]->{e}->[0] > 9e298 } ],
	'deep nesting' => [ '{"em_push_ext":{"custom":' . '[' x $deep . ']' x $deep . '}}', sub { ref $_[0]->{e} eq 'ARRAY' } ],
	'a template by an odd name' => [ q({"em_push_template":{"name":"x'; DROP TABLE imp_push.settings; --\r\n","title_args":[{}],"content_args":"x"}}) ],
	'arguments that are objects' => [ q({"em_apns_ext":{"em_push_title_loc_key":"k","em_push_title_loc_args":["a\"",{"b":[]},null],"extern":1}}), sub { $_[0]->{aps}->{alert}->{'title-loc-args'}->[0] eq 'a"' } ],
	'flags of every type' => [ q({"em_ignore_notification":{},"em_force_notification":[],"em_at_list":{"a":1},"em_push_filter":"x","em_apns_ext":[1],"em_push_ext":"x","em_push_template":7}) ],
	'a filter of everything' => [ q({"em_push_filter":{"accept_device_id":7,"ignore_device_id":{},"accept_notifier_name":"x","ignore_notifier_name":null}}) ]);

my @names = sort keys %ext;

send_messages(
	map {
			"INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, ext)
		 VALUES ('innocent', 'friend', " . sql($_) . ", 'Hello', " . sql($ext{$_}->[0]) . '::jsonb)'
	} @names);
foreach my $name (@names)
{
	my (undef, $check, $collapse_key) = @{ $ext{$name} };
	my $request = one_request($name, 'aaaa', $name) or next;

	is($request->{json}->{aps}->{alert}->{body}, 'friend: Hello', "$name: the text is the message's");
	is($request->{headers}->{'apns-collapse-id'},
		collapse_id(defined $collapse_key ? $collapse_key : $name), "$name: the collapse id");
	ok($check->($request->{json}), "$name: the payload is as it should be")
	  if $check;
}

# The same texts in everything else that a person, a client or the owner writes

sub object
{
	my ($object) = @_;

	return sql(JSON::PP->new->canonical->encode($object)) . '::jsonb';
}

# A template or an argument filled in, in one pass; an argument has none itself.
sub filled
{
	my ($pattern, $arguments, %name) = @_;

	return $pattern =~ s/\{(\$\w+|[0-9]+)\}/
		exists $name{$1} ? $name{$1}
		: !$arguments || $1 =~ m{^\$} ? "{$1}"
		: filled($arguments->[$1] || '', undef, %name)/gerx;
}

# Two letters that are no language
sub language_of
{
	my ($n) = @_;

	return 'q' . chr(ord('a') + $n);
}

sub certificate_of
{
	my ($n) = @_;

	# what has control characters, or is too long, is no name
	return $people[$n] =~ /[\x01-\x1f\x7f]/ || length $people[$n] > 250 ? undef : $people[$n];
}

# One has 100 characters at most; who has none goes by the id.
sub nickname_of
{
	my ($n) = @_;

	return length $people[$n] < 100 ? "N$people[$n]" : $people[$n];
}

@statements = (
	q{SELECT imp_push.bind_device('reader', 'phone', 'chat', 'cccc'), imp_push.bind_device('member', 'phone', 'chat', 'dddd')},
	q{INSERT INTO imp_push.user_profile (user_id, display_style, language) VALUES ('reader', 'summary', 'en'), ('member', 'summary', 'en')});
foreach my $n (0 .. $#people)
{
	my $text = $people[$n];
	my ($id, $language, $certificate) = (sql($text), language_of($n), certificate_of($n));
	my $templates = {
		name => "t$n",
		title_args => [$text],
		content_args => [ 'x', "$text {0}" ] };

	push @statements, 'UPDATE imp_push.user_profile SET nickname = ' . sql(nickname_of($n)) . " WHERE user_id = $id"
	  if nickname_of($n) ne $text;
	push @statements,
	  "INSERT INTO imp_push.template VALUES ('t$n', " . sql("$text {0} {\$dynamicFrom}") . ', '
	  . sql("$text {1} {\$msg} {9}") . ')',
	  "INSERT INTO imp_push.contact_remark VALUES ('reader', $id, " . sql("R$text") . ')',
	  "INSERT INTO imp_push.builtin_text VALUES ('$language', 'title', $id), ('$language', 'summary', "
	  . sql("$text {text} {sender}") . ')',
	  "INSERT INTO imp_push.user_profile (user_id, display_style, language) VALUES ('$language', 'summary', '$language')",
	  "SELECT imp_push.bind_device('$language', 'phone', 'chat', " . sql(sprintf 'e%03x', $n) . ')',
	  "INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, translations, ext) VALUES ('reader', $id, 'client $n', 'Hello', "
	  . object({ en => $text, $text => $text, fr => 'x' }) . ', '
	  . object({ em_apns_ext => {
				em_alert_subTitle => $text, thread_id => $text, em_push_category => $text,
				em_push_collapse_key => $text, em_push_sound => $text, extern => $text,
				em_push_body_loc_key => $text, em_push_body_loc_args => [ $text, { $text => $text } ] },
			em_push_template => { name => "$text " } }) . ')',
	  "INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, ext) VALUES ('reader', $id, 'template $n', $id, "
	  . object({ em_push_template => $templates }) . ')',
	  "INSERT INTO imp_push.offline_message (recipient, sender, chat_type, conversation_id, msg_id, body, ext) VALUES ('member', $id, 'groupchat', $id, 'group $n', $id, "
	  . object({ em_push_template => $templates, em_push_ext => { group_user_nickname => "G$text" } }) . ')',
	  "INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('$language', $id, 'words $n', $id)";
	next unless defined $certificate;
	push @statements, "SELECT imp_push.set_certificate($id, bundle_id => 'com.example.chat', endpoint => '"
	  . $sim->endpoint . "', team_id => '$key->{team_id}', key_id => '$key->{key_id}', private_key => '$key->{private}')",
	  "SELECT imp_push.bind_device('certificate $n', 'phone', $id, " . sql(sprintf 'f%03x', $n) . ')',
	  "INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, ext) VALUES ('certificate $n', 'friend', 'certificate $n', 'Hello', "
	  . object({ em_push_filter => { accept_notifier_name => [$text] } }) . ')';
}
send_messages(@statements);

foreach my $n (0 .. $#people)
{
	my $text = $people[$n];
	my $name = shown($text);
	my $nickname = nickname_of($n);
	my %name = ('$fromNickname' => $nickname, '$msg' => $text, '$dynamicFrom' => "R$text");
	my ($request, $aps);

	$request = one_request("client $n", 'cccc', "$name: in ext") or next;
	$aps = $request->{json}->{aps};
	is_deeply(
		$aps->{alert},
		{
			title => 'You have a new message',
			subtitle => $text,
			body => "$nickname: $text",
			'loc-key' => $text,
			'loc-args' => [ $text, { $text => $text } ]
		},
		"$name: nickname, translation, subtitle and localisation say just that");
	is_deeply(
		[ $request->{json}->{f}, $request->{json}->{e}, @$aps{qw(thread-id category sound)} ],
		[ ($text) x 5 ], "$name: so do sender, extra, thread, category and sound");
	is($request->{headers}->{'apns-collapse-id'}, collapse_id($text), "$name: and the collapse key");

	foreach my $case ([ template => 'cccc', "R$text" ], [ group => 'dddd', "G$text" ])
	{
		my ($kind, $token, $from) = @$case;
		my %filled = (%name, '$dynamicFrom' => $from);

		$request = one_request("$kind $n", $token, "$name: $kind") or next;
		is_deeply(
			$request->{json}->{aps}->{alert},
			{
				title => filled("$text {0} {\$dynamicFrom}", [$text], %filled),
				body => filled("$text {1} {\$msg} {9}", [ 'x', "$text {0}" ], %filled)
			},
			"$name: $kind: its template, arguments and names are filled in once");
	}

	$request = one_request("words $n", sprintf('e%03x', $n), "$name: in words of the owner") or next;
	is_deeply(
		$request->{json}->{aps}->{alert},
		{ title => $text, body => "$text $text $nickname" },
		"$name: words of the owner say just that");
	next unless defined certificate_of($n);
	$request = one_request("certificate $n", sprintf('f%03x', $n), "$name: as a certificate") or next;
	is($request->{json}->{aps}->{alert}->{body}, 'Tap to view', "$name: a certificate's name goes nowhere");
}
my @certificates = grep { defined certificate_of($_) } 0 .. $#people;
cmp_ok(scalar @certificates, '>', 10, scalar(@certificates) . ' of them are names of certificates');

# What no message can hold, or no request carry

foreach my $ext ('{"a":"\u0000"}', '{"a":"\ud800"}', '{"a":"\udc00\ud800"}',
	'[' x 20000, '{"a":1e1000000}')
{
	isnt(
		$node->psql('postgres',
			"INSERT INTO imp_push.offline_message (recipient, sender, body, ext)
			 VALUES ('innocent', 'friend', 'x', " . sql($ext) . '::jsonb)'),
		0, 'refused: ' . shown($ext));
}
foreach my $token ('../../x', 'aa/../bb', "aa\r\nx-evil: 1", 'aa?x=1', 'aa#', '%61%61', 'aa bb%20', "aa\x{ff41}")
{
	isnt(
		$node->psql('postgres',
			q{SELECT imp_push.bind_device('x', 'x', 'chat', } . sql($token) . ')'),
		0, 'refused as a token: ' . shown($token));
}
foreach my $change ("bundle_id = 'com.example\r\nx-evil: 1'",
	"bundle_id = 'com.example.chat '", "sound = 'a\r\nb'", "endpoint = 'https://localhost/3/device'",
	"endpoint = 'http://localhost:1'", "endpoint = 'https://localhost:1\r\nx-evil: 1'",
	"push_type = 'alert\r\n'", "team_id = 'TEAM00000\n', key_id = 'KEY0000001'")
{
	my ($column, $value) = $change =~ /^(\w+) = '([^']*)'/;

	isnt(
		$node->psql('postgres',
			"UPDATE imp_push.certificate SET $column = " . sql($value)),
		0, 'refused: ' . shown($change));
}

# Names that are not free text are refused, whoever writes them.

my %refused = (
	'the name of a template' => [ 'INSERT INTO imp_push.template VALUES (%s, $q$x$q$, $q$x$q$)', qr/^\w{1,64}$/a ],
	'a language of a person' => [ 'UPDATE imp_push.user_profile SET language = %s', qr/^[a-z]{2,8}$/ ],
	'a language of texts' => [ 'INSERT INTO imp_push.builtin_text VALUES (%s, $q$title$q$, $q$x$q$)', qr/^[a-z]{2,8}$/ ],
	'a certificate' => [ 'UPDATE imp_push.certificate SET name = %s WHERE name = $q$chat$q$', undef ]);

foreach my $what (sort keys %refused)
{
	my ($statement, $allowed) = @{ $refused{$what} };
	my @wrong = grep { $allowed ? $people[$_] !~ $allowed : !defined certificate_of($_) } 0 .. $#people;

	is( $node->safe_psql(
			'postgres', q{
			CREATE FUNCTION pg_temp.refused(statement text, value text) RETURNS boolean LANGUAGE plpgsql AS $$
			BEGIN
				EXECUTE format(statement, quote_literal(value));
				RETURN false;
			EXCEPTION WHEN check_violation THEN
				RETURN true;
			END $$;
			SELECT count(*) FROM unnest(ARRAY[} . join(', ', map { sql($people[$_]) } @wrong)
			  . "]) t WHERE pg_temp.refused('$statement', t)"),
		scalar @wrong, scalar(@wrong) . " of these texts are refused as $what");
}

# A test and a badge, which have no message

$node->safe_psql('postgres',
		q{SELECT imp_push.send_test('chat', 'bbbb', }
	  . sql("\"},\r\n\"aps\":{}") . ', ' . sql("{0}\x01") . ')');
wait_settled($node);
my ($test) = grep { $_->{token} eq 'bbbb' } $sim->requests;
is_deeply($test->{json}->{aps}->{alert},
	{ title => "\"},\r\n\"aps\":{}", body => "{0}\x01" }, 'a test shows what it was given');

# And the others have noticed nothing.

send_messages(innocent('last'));
foreach my $msg_id ('between 1', 'between 2', 'last')
{
	my $request = one_request($msg_id, 'aaaa', $msg_id) or next;
	my $expected = $json->decode($json->encode($first->{json}));

	$expected->{m} = $msg_id;
	$expected->{aps}->{badge} = $request->{json}->{aps}->{badge};
	is_deeply($request->{json}, $expected, "$msg_id: as the first");
}
is(scalar $sim->requests, 1 + @people + @names + 4 * @people + @certificates + 1 + 3, 'there was no other request');
is($node->safe_psql('postgres', 'SELECT count(*) FROM imp_push.settings'), '1', 'and nothing has been dropped');

done_testing();
