# Who is online gets nothing, and the policy decides about the other devices.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my $recipient = 0;

# The devices of a person: name => [ bound, presence or undef ].
# Expected: the devices that get a push, and what delivery says.
my @cases = (
	{
		name => 'a device without presence is offline',
		devices => { iphone => [ 1, undef ] },
		all_offline => [ ['iphone'], 'iphone sent' ],
		any_offline => [ ['iphone'], 'iphone sent' ],
	},
	{
		name => 'iPhone offline, iPad online',
		devices => { iphone => [ 1, 'offline' ], ipad => [ 1, 'online' ] },
		all_offline => [ [], '- suppressed online' ],
		any_offline =>
		  [ ['iphone'], 'ipad suppressed device_online, iphone sent' ],
	},
	{
		name => 'iPhone offline, a browser online',
		devices => { iphone => [ 1, 'offline' ], web => [ 0, 'online' ] },
		all_offline => [ [], '- suppressed online' ],
		any_offline => [ ['iphone'], 'iphone sent' ],
	},
	{
		name => 'iPhone kicked, iPad offline',
		devices => { iphone => [ 1, 'kicked' ], ipad => [ 1, 'offline' ] },
		all_offline => [ ['ipad'], 'ipad sent, iphone suppressed kicked' ],
		any_offline => [ ['ipad'], 'ipad sent, iphone suppressed kicked' ],
	},
	{
		name => 'logged out and still bound',
		devices => { iphone => [ 1, 'logged_out' ] },
		all_offline => [ ['iphone'], 'iphone sent' ],
		any_offline => [ ['iphone'], 'iphone sent' ],
	},
	{
		name => 'three devices, all offline',
		devices => {
			iphone => [ 1, 'offline' ],
			ipad => [ 1, 'logged_out' ],
			watch => [ 1, undef ]
		},
		all_offline => [
			[ 'ipad', 'iphone', 'watch' ],
			'ipad sent, iphone sent, watch sent'
		],
		any_offline => [
			[ 'ipad', 'iphone', 'watch' ],
			'ipad sent, iphone sent, watch sent'
		],
	},
	{
		name => 'no device is bound',
		devices => { web => [ 0, 'offline' ] },
		all_offline => [ [], '- suppressed no_device_token' ],
		any_offline => [ [], '- suppressed no_device_token' ],
	});

sub outcome
{
	my ($user) = @_;

	return $node->safe_psql(
		'postgres', "
		SELECT string_agg(concat_ws(' ', coalesce(device_id, '-'), status,
									reason), ', ' ORDER BY device_id)
		FROM imp_push.delivery WHERE recipient = '$user'");
}

sub check_case
{
	my ($policy, $case) = @_;
	my $user = 'person' . ++$recipient;
	my ($arrived, $outcome) = @{ $case->{$policy} };

	foreach my $device (sort keys %{ $case->{devices} })
	{
		my ($bound, $status) = @{ $case->{devices}->{$device} };
		my $token = token_of($user, $device);

		$node->safe_psql('postgres',
			"SELECT imp_push.bind_device('$user', '$device', 'chat', '$token')")
		  if $bound;
		$node->safe_psql('postgres',
			"SELECT imp_push.set_presence('$user', '$device', '$status')")
		  if $status;
	}
	$sim->forget;
	insert_message($node, $user, 'hello');
	wait_settled($node);
	is(outcome($user), $outcome, "$policy: $case->{name}: delivery says it");
	is_deeply(
		[ sort map { $_->{token} } $sim->requests ],
		[ sort map { token_of($user, $_) } @$arrived ],
		"$policy: $case->{name}: that is what arrives");
	return;
}

foreach my $policy ('all_offline', 'any_offline')
{
	$node->safe_psql('postgres',
		"UPDATE imp_push.settings SET multi_device_policy = '$policy'");
	check_case($policy, $_) foreach @cases;
}

# Leases: whoever is gone without a word is offline when the lease is over.

$node->safe_psql(
	'postgres', q{
	UPDATE imp_push.settings SET multi_device_policy = 'all_offline';
	INSERT INTO imp_push.im_node (name, expires_at) VALUES
		('alive', now() + interval '1 hour'), ('crashed', now());
	SELECT imp_push.bind_device(u, 'phone', 'chat',
			encode(sha256(convert_to(u, 'UTF8')), 'hex'))
	FROM unnest('{ann,bob,cat,dan}'::text[]) AS u;
	INSERT INTO imp_push.presence
		(user_id, device_id, status, node, expires_at) VALUES
		('ann', 'phone', 'online', 'alive', now() + interval '1 hour'),
		('bob', 'phone', 'online', 'alive', now()),
		('cat', 'phone', 'online', 'crashed', now() + interval '1 hour'),
		('dan', 'phone', 'online', NULL, NULL);
	INSERT INTO imp_push.offline_message (sender, recipient)
	SELECT 'sender', u FROM unnest('{ann,bob,cat,dan}'::text[]) AS u});
wait_settled($node);
is(outcome('ann'), '- suppressed online', 'both leases run: online');
is(outcome('bob'), 'phone sent', 'its own lease is over: offline');
is(outcome('cat'), 'phone sent', "the node's lease is over: offline");
is(outcome('dan'), '- suppressed online', 'no lease: online');

# Until the last moment: who comes online before the push, gets none.

$sim->forget;
$sim->stop;
insert_message($node, 'bob', 'are you there?', msg_id => 'waits');
ok( $node->poll_query_until(
		'postgres',
		"SELECT circuit = 'open' FROM imp_push.certificate_status"),
	'the push waits');
$node->safe_psql('postgres',
	"SELECT imp_push.set_presence('bob', 'phone', 'online')");
$sim->start;
$node->poll_query_until(
	'postgres', "SELECT status = 'suppressed' FROM imp_push.delivery
	 WHERE msg_id = 'waits' AND device_id IS NOT NULL");
is( $node->safe_psql(
		'postgres', "SELECT status, reason FROM imp_push.delivery
		 WHERE msg_id = 'waits'"),
	'suppressed|online',
	'who has come online before the push went out gets none');
is(scalar $sim->requests, 0, 'and nothing was sent');

done_testing();
