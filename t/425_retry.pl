# When a push that APNs had trouble with goes out again: after five seconds at
# most, doubling up to a quarter of an hour, and each at a time of its own, so
# that they do not all come back together.  And no later than its message lives.

use strict;
use warnings;

use ImpPush;
use Test::More;

# More certificates than one: six answers of 500 among those of twenty other
# people do not open a circuit, nor do they if some of these go again by
# themselves before the others are pushed to.
my @certificates = map { "app$_" } 1 .. 9;
my $unlucky = 6;
my $lucky = 20;
my $pushes = @certificates * $unlucky;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');

# People of whose device tokens APNs says 500, and others
sub bind_people
{
	my ($certificate) = @_;

	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
		SELECT '$certificate ' || kind || i, 'phone', '$certificate',
			prefix || substr(encode(sha256(convert_to(
				'$certificate ' || kind || i, 'UTF8')), 'hex'), 3)
		FROM (VALUES ('unlucky', '00', $unlucky), ('lucky', 'ff', $lucky))
				AS k(kind, prefix, number)
			CROSS JOIN LATERAL generate_series(1, number) AS i});
	return;
}

sub insert_to
{
	my ($kind, $msg_id) = @_;

	$node->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		SELECT 's', user_id, '$msg_id' FROM imp_push.device_token
		WHERE user_id LIKE '% $kind%'});
	return;
}

# The most seconds that a push may wait after so many attempts
sub limit
{
	my ($attempts) = @_;
	my $limit = 5 * 2**($attempts - 1);

	return $limit < 900 ? $limit : 900;
}

# When each push may go again, counted from its latest answer and in parts of
# the time that it may wait at most: counted from the arrival of the request,
# and from now.
sub waits
{
	my %arrived;
	my @rows = split /\n/, $node->safe_psql(
		'postgres', q{
		SELECT apns_id, attempts, extract(epoch FROM next_attempt_at),
			extract(epoch FROM clock_timestamp())
		FROM imp_push.delivery
		WHERE msg_id = 'unlucky'});

	push @{ $arrived{ $_->{headers}->{'apns-id'} } }, $_->{arrived_us} / 1e6
	  foreach $sim->requests;
	return map {
		my ($apns_id, $attempts, $next, $now) = split /\|/;

		{
			from_arrival => ($next - $arrived{$apns_id}->[ $attempts - 1 ])
			  / limit($attempts),
			from_now => ($next - $now) / limit($attempts)
		}
	} @rows;
}

foreach my $certificate (@certificates)
{
	set_certificate($node, $certificate, $sim,
		bundle_id => "com.example.$certificate");
	bind_people($certificate);
}
$sim->control('fault prefix=00 status=500');

foreach my $attempt (1 .. 9)
{
	my $limit = limit($attempt);
	my @waits;

	insert_to('lucky', "lucky $attempt");
	$node->poll_query_until(
		'postgres', "SELECT count(*) = @{[ @certificates * $lucky ]}
		FROM imp_push.delivery
		WHERE msg_id = 'lucky $attempt' AND status = 'sent'")
	  or die 'the others do not get theirs';
	if ($attempt == 1) { insert_to('unlucky', 'unlucky'); }
	else { retry_now($node); }
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = $pushes FROM imp_push.delivery
			WHERE msg_id = 'unlucky' AND status = 'retrying'
				AND attempts >= $attempt AND apns_status = 500"),
		"attempt $attempt: $pushes pushes got a 500");

	# Those that have gone again already wait for another answer; no more are to
	# go before the others are pushed to.
	@waits = waits();
	$node->safe_psql('postgres',
		q{UPDATE imp_push.waiting SET due = now() + interval '1 hour'});
	diag(sprintf 'attempt %d, %d s at most: the next one after %.2f to %.2f of it',
		$attempt, $limit,
		(sort { $a <=> $b } map { $_->{from_arrival} } @waits)[ 0, -1 ]);
	is(scalar(grep { $_->{from_arrival} <= 0 || $_->{from_now} > 1 } @waits),
		0, "attempt $attempt: the next one within $limit s");

	# Of so many there is one in either half, unless they wait alike.
	cmp_ok(scalar(grep { $_->{from_arrival} < 0.5 } @waits),
		'>', 0, "attempt $attempt: some in the first half of that time");
	cmp_ok(scalar(grep { $_->{from_arrival} > 0.5 } @waits),
		'>', 0, "attempt $attempt: and some in the second");
}

# Its life ends while it waits.

{
	my $name = 'a message whose time is over while it waits';
	my $state = q{SELECT status, attempts > 0, finished_at >= m.expires_at
		FROM imp_push.delivery JOIN imp_push.offline_message m USING (msg_id)
		WHERE msg_id = 'short'};

	$node->safe_psql(
		'postgres', q{
		INSERT INTO imp_push.offline_message
			(sender, recipient, msg_id, expires_at)
		VALUES ('s', 'app1 unlucky1', 'short', now() + interval '10 s')});
	ok( $node->poll_query_until(
			'postgres', q{SELECT status = 'retrying' FROM imp_push.delivery
			WHERE msg_id = 'short'}),
		"$name: APNs has trouble with it");
	$node->safe_psql(
		'postgres', q{UPDATE imp_push.waiting SET due = now() + interval '1 hour'
		WHERE msg_id = 'short'});
	ok($node->poll_query_until('postgres', $state, 'expired|t|t'),
		"$name: it expires, and not before");
}

done_testing();
