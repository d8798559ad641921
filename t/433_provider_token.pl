# A provider token that grows old while the worker lives: exactly one new one
# is made for all certificates with the key, in good time, and nobody notices.
# Where APNs does not want it yet it is kept, and no other is made.
#
# APNs refuses a second new token within 20 minutes.  Its clock is a parameter,
# and the age of a token is what the table says of it.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use Test::More;

my $users = 3;
my %topics = (chat => $ImpPush::BUNDLE_ID, second => 'com.example.second');
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

$sim->control('jwt-strict on');
set_certificate($node, 'second', $sim, bundle_id => $topics{second});
bind_users($node, $users, certificate => $_, device => $_)
  foreach sort keys %topics;

# A message to everybody, under both certificates; all have been sent then.
sub push_to_all
{
	my ($msg_id) = @_;

	insert_to_users($node, $users, msg_id => $msg_id);
	wait_settled($node);
	return;
}

# The stored token is that much older, and a worker comes that believes it.
sub age_token
{
	my ($time) = @_;

	$node->safe_psql('postgres',
		"UPDATE imp_push.provider_token SET issued_at = now() - interval '$time'");
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(' . wait_for_worker($node) . ', 10000)');
	wait_for_worker($node);
	$sim->forget;
	return;
}

sub stored_token
{
	return $node->safe_psql('postgres',
		q{SELECT 'bearer ' || token FROM imp_push.provider_token});
}

# For each topic what came one after the other, each once: tokens, connections
sub sequences
{
	my ($what) = @_;
	my %sequences;

	foreach my $request ($sim->requests)
	{
		my $sequence = $sequences{ $request->{headers}->{'apns-topic'} } ||= [];
		my $value = $what->($request);

		push @$sequence, $value
		  unless @$sequence && $sequence->[-1] eq $value;
	}
	return \%sequences;
}

sub tokens
{
	return sequences(sub { $_[0]->{headers}->{authorization} });
}

sub outcomes
{
	return $node->safe_psql(
		'postgres',
		q{SELECT DISTINCT status, attempts FROM imp_push.delivery});
}

push_to_all('first');

my $old = stored_token();
my $rounds = 0;

is_deeply(
	tokens(),
	{ map { ($_ => [$old]) } values %topics },
	'two certificates with one key share a token');

# Fifty minutes go by, but for a few seconds, of which APNs sees enough.
$sim->control('now 1300');
age_token('49 minutes 48 seconds');
push_to_all($rounds++)
  while $rounds < 1 || grep { @$_ < 2 } values %{ tokens() };
push_to_all($rounds++);

my $new = stored_token();

isnt($new, $old, 'a token of 50 minutes is replaced while the worker lives');
is_deeply(
	tokens(),
	{ map { ($_ => [ $old, $new ]) } values %topics },
	'the old one is in use until then, and one new one is made for both');
is($sim->stats->{jwts}, 2, 'APNs has seen no other');
is(scalar(grep { @$_ != 1 } values %{ sequences(sub { $_[0]->{connection} }) }),
	0, 'no connection is torn down for it');
is($sim->stats->{open}, 2, 'nor is one opened');
is(outcomes(), 'sent|1', 'each push took one attempt');
none_lost($sim, $rounds * $users * 2, "renewed under $rounds messages to each",
	$node);

# Less than 20 minutes later a worker comes to whom the token is old.
age_token('51 minutes');
insert_to_users($node, $users, msg_id => 'too soon');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 2 FROM imp_push.certificate_status
		WHERE circuit_reason = 'TooManyProviderTokenUpdates'}),
	'a new token that comes too soon opens the circuits');

# until there have been some probes
$sim->wait_for(2 + 4);
my $refused = stored_token();

isnt($refused, $new, 'it is another token');
is_deeply(
	tokens(),
	{ map { ($_ => [$refused]) } values %topics },
	'it is kept: no other is made');
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT status, reason, attempts
		FROM imp_push.delivery WHERE msg_id = 'too soon'}),
	'pending|TooManyProviderTokenUpdates|0',
	'the messages wait, uncharged');

$sim->control('now ' . (1300 + 20 * 60 + 1));
wait_settled($node);
none_lost($sim, $users * 2, '20 minutes later', $node);
is_deeply(
	tokens(),
	{ map { ($_ => [$refused]) } values %topics },
	'20 minutes later: they are sent with the same token');
is(outcomes(), 'sent|1', '20 minutes later: each has taken one attempt');

done_testing();
