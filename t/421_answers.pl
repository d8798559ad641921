# Each answer that APNs can give has the consequences that its row in the table
# of answers says: for the message, the device token, the certificate's circuit,
# the provider token and the connection.

use strict;
use warnings;

use ImpPush;
use Test::More;

# What each certificate's server answers, and what comes of it:
#
#	delivery	what delivery says while it lasts: status, reason, attempts
#				charged and HTTP status
#	token		the disabled_reason of the binding, or live
#	circuit		its reason, or closed
#	keys		how many provider tokens APNs has seen
#	connections	over how many connections the requests came: a number, many
#				or any
#	mended		what delivery says when the server is well again
#
# A fault of count=1 is over when its one answer has been given.  Before the
# fault each certificate has had a success, unless it is cold.
my @usual = (
	token => 'live',
	circuit => 'closed',
	keys => 1,
	connections => 1,
	mended => 'sent - 1 200');
my @cases = (
	[ 'count=1 status=200', 'sent - 1 200' ],
	(
		# The token is dead
		map { [ $_->[0], "failed $_->[1] 1 410", token => $_->[1] ] }
		  [ 'status=410', 'Unregistered' ],
		[ 'status=410 reason=ExpiredToken', 'ExpiredToken' ],
		[ 'status=410 reason=none', 'http_410' ],
		[ 'status=410 garbage', 'http_410' ]),
	[ 'status=410 timestamp=1000', 'failed Unregistered 1 410' ],

	# The token is dead, or the configuration wrong
	(
		map { (
			["status=400 reason=$_", "failed $_ 1 400", token => $_],
			["status=400 reason=$_", "failed $_ 1 400", token => $_, cold => 1])
		} qw(BadDeviceToken DeviceTokenNotForTopic)),

	# The configuration is wrong
	(
		map { [ "status=400 reason=$_", "pending $_ 0 400", circuit => $_ ] }
		  qw(BadTopic MissingTopic TopicDisallowed)),
	(
		map { [ "status=403 reason=$_", "pending $_ 0 403", circuit => $_ ] }
		  qw(BadCertificate BadCertificateEnvironment Forbidden
		  InvalidProviderToken MissingProviderToken BadEnvironmentKeyIdInToken
		  NeverHeardOf)),
	[ 'status=403 reason=none', 'pending http_403 0 403', circuit => 'http_403' ],
	[ 'status=301 redirect', 'pending http_301 0 301', circuit => 'http_301' ],
	[ 'status=204 reason=none', 'pending http_204 0 204', circuit => 'http_204' ],

	# The provider token
	[
		'count=1 status=403 reason=ExpiredProviderToken', 'sent - 1 200',
		aged => '25 minutes', keys => 2, connections => 2
	],
	[
		'status=403 reason=ExpiredProviderToken', 'pending clock_is_wrong 0 403',
		aged => '15 minutes', circuit => 'clock_is_wrong', connections => 'any'
	],
	[
		'count=1 status=403 reason=UnrelatedKeyIdInToken', 'sent - 1 200',
		connections => 2
	],
	[
		'status=403 reason=UnrelatedKeyIdInToken',
		'pending UnrelatedKeyIdInToken 0 403',
		circuit => 'UnrelatedKeyIdInToken', connections => 'many'
	],
	[
		'status=429 reason=TooManyProviderTokenUpdates',
		'pending TooManyProviderTokenUpdates 0 429',
		circuit => 'TooManyProviderTokenUpdates'
	],

	# One device is asked too often
	[
		'status=429', 'retrying TooManyRequests 1 429',
		mended => 'retrying TooManyRequests 1 429'
	],
	[
		'status=429 reason=none', 'retrying http_429 1 429',
		mended => 'retrying http_429 1 429'
	],

	# The connection is to be replaced
	[ 'count=1 status=400 reason=IdleTimeout', 'sent - 1 200', connections => 2 ],
	[ 'count=1 status=503 reason=Shutdown', 'sent - 1 200', connections => 2 ],
	[
		'status=503 reason=Shutdown', 'pending Shutdown 0 503',
		circuit => 'Shutdown', connections => 'many'
	],

	# The server is in trouble
	[ 'count=1 status=500', 'sent - 2 200' ],
	[ 'count=1 status=503', 'sent - 2 200' ],
	[ 'count=1 status=502 garbage', 'sent - 2 200' ],
	[ 'count=1 status=599 reason=NeverHeardOf', 'sent - 2 200' ],
	[ 'count=1 status=500 reason=none', 'sent - 2 200' ],

	# The message is refused
	(
		map { [ "status=$_->[0] reason=$_->[1]", "failed $_->[1] 1 $_->[0]" ] }
		  map { my ($status, @reasons) = @$_; map { [ $status, $_ ] } @reasons }
		  [ 413, 'PayloadTooLarge' ],
		[
			400, qw(BadCollapseId BadExpirationDate BadMessageId BadPriority
			  DuplicateHeaders InvalidPushType MissingDeviceToken PayloadEmpty
			  NeverHeardOf)
		],
		[ 404, 'BadPath' ],
		[ 405, 'MethodNotAllowed' ],
		[ 418, 'NeverHeardOf' ]),
	[ 'status=413 reason=none', 'failed http_413 1 413' ],
	[ 'status=400 reason=none', 'failed http_400 1 400' ],
	[ 'status=400 garbage', 'failed http_400 1 400' ],
	[ 'status=400 huge bytes=100000', 'failed http_400 1 400' ],
	[ 'count=1 status=200 garbage', 'sent - 1 200' ],
	[ 'count=1 huge bytes=100000', 'sent - 1 200' ]);

foreach my $i (0 .. $#cases)
{
	my ($fault, $delivery, @more) = @{ $cases[$i] };

	$cases[$i] = {
		@usual, @more,
		fault => $fault,
		delivery => $delivery,
		certificate => sprintf('case%02d', $i),
		topic => sprintf('com.example.case%02d', $i),
		key => { %{ make_keys() }, key_id => sprintf('KEY00000%02d', $i) },
	};
	$cases[$i]->{name} = join ', ', $fault,
	  $cases[$i]->{cold} ? 'and no success before' : (),
	  $cases[$i]->{aged} ? "a provider token of $cases[$i]->{aged}" : ();
}

my $sim = ImpPush::Simulator->new('apns', ImpPush::folder('apns'),
	args => ['--trust-any-key'])->start;
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

# A message for each of these certificates, that has been sent at the end
sub warm_up
{
	my ($msg_id, @warm) = @_;

	$node->safe_psql(
		'postgres',
		join ';',
		map { "INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
			VALUES ('s', '$_->{certificate}', '$msg_id')" } @warm);
	wait_settled($node);
	return;
}

set_certificate($node, $_->{certificate}, $sim,
	key => $_->{key}, bundle_id => $_->{topic})
  foreach @cases;
$node->safe_psql(
	'postgres', q{
	INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	SELECT c.name, 'phone', c.name,
		encode(sha256(convert_to(c.name, 'UTF8')), 'hex')
	FROM imp_push.certificate c WHERE c.name LIKE 'case%'});

# A provider token that is older than it is.  The worker that comes then takes
# it from the table.
my @aged = grep { $_->{aged} } @cases;

warm_up('age', @aged);
$node->safe_psql(
	'postgres',
	join ';',
	map { "UPDATE imp_push.provider_token
		SET issued_at = issued_at - interval '$_->{aged}'
		WHERE key_id = '$_->{key}->{key_id}'" } @aged);
$node->safe_psql('postgres',
	'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
warm_up('warm', grep { !$_->{cold} } @cases);
warm_up('warmer', grep { !$_->{cold} } @cases);

$sim->control("fault topic=$_->{topic} $_->{fault}") foreach @cases;
$node->safe_psql(
	'postgres', q{
	INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
	SELECT 's', d.user_id, 'case' FROM imp_push.device_token d});

# What is known of each certificate
sub states
{
	my %states;

	foreach (
		split /\n/,
		$node->safe_psql(
			'postgres', q{
			SELECT d.certificate, concat_ws(' ', d.status,
					COALESCE(d.reason, '-'), d.attempts,
					COALESCE(d.apns_status::text, '-'))
				|| '; token ' || COALESCE(t.disabled_reason, 'live')
				|| '; circuit ' || COALESCE(s.circuit_reason, s.circuit)
			FROM imp_push.delivery d
				JOIN imp_push.device_token t USING (certificate)
				JOIN imp_push.certificate_status s USING (certificate)
			WHERE d.msg_id = 'case'}))
	{
		my ($certificate, $state) = split /\|/;

		$states{$certificate} = $state;
	}
	return \%states;
}

# Waits until the states are as they should be; or not, and the tests say so.
sub wait_for_states
{
	my ($expected) = @_;
	my $states;

	eval {
		wait_until(
			sub {
				$states = states();
				return !grep { $states->{$_} ne $expected->{$_} }
				  keys %$expected;
			},
			40, 'all of them');
	};
	return $states;
}

my %expected = map {
	$_->{certificate} =>
	  "$_->{delivery}; token $_->{token}; circuit $_->{circuit}"
} @cases;
my $states = wait_for_states(\%expected);
my %connections;
my %keys;
my %ids;

foreach my $request ($sim->requests)
{
	my $topic = $request->{headers}->{'apns-topic'};

	next if $request->{json}->{m} eq 'age';
	$connections{$topic}->{ $request->{connection} } = 1;
	$keys{$topic}->{ $request->{headers}->{authorization} } = 1;
	$ids{$topic}->{ $request->{headers}->{'apns-id'} } = 1
	  if $request->{json}->{m} eq 'case';
}
foreach my $case (@cases)
{
	my $topic = $case->{topic};
	my $connections = keys %{ $connections{$topic} };

	$connections = $case->{connections}
	  if $case->{connections} eq 'any'
	  || ($case->{connections} eq 'many' && $connections > 1);
	is( sprintf('%s; keys %d; connections %s',
			$states->{ $case->{certificate} },
			scalar keys %{ $keys{$topic} },
			$connections),
		"$expected{$case->{certificate}}; keys $case->{keys};"
		  . " connections $case->{connections}",
		$case->{name});
}
is( scalar(grep { keys %$_ != 1 } values %ids),
	0, 'whatever is sent again has the same apns-id');

# The server is well again.

$sim->control('clear');
foreach my $case (@cases)
{
	my $lasts = $case->{delivery} =~ /^(failed|sent)/;

	$expected{ $case->{certificate} } = join '; ',
	  $lasts ? $case->{delivery} : $case->{mended},
	  "token $case->{token}", 'circuit closed';
}
$states = wait_for_states(\%expected);
is($states->{ $_->{certificate} }, $expected{ $_->{certificate} },
	"$_->{name}: mended")
  foreach @cases;

done_testing();
