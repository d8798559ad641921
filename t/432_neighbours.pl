# One device that is asked too often, one key that was revoked, one host that
# hangs: everybody else's messages are as fast as ever.
#
# Two servers, alike but for the trouble, are measured in turn, so that
# whatever else the machine does slows down both.  APNs takes its time for each
# answer, as the real one does, so that a fifth of it is no clock tick.

use strict;
use warnings;

use ImpPush;
use List::Util qw(max sum0);
use PostgreSQL::Test::Utils;
use Test::More;

my $pairs = 60;
my $delay = 50;
my $backlog = 3000;
my $key = make_keys('TEAM000002', 'KEY0000002');

# A server, the host of two of its certificates, and that of the third.  Many
# people have a device under each of them; those under "chat" have tokens that
# begin with the same digits.  user1 is who is measured.
sub server
{
	my ($name) = @_;
	my $sim = start_simulator($name,
		args => [ '--key', "$key->{team_id}:$key->{key_id}:$key->{public}" ]);
	my $far = start_simulator("$name-far");
	my $server = { sim => $sim, far => $far, in => '', out => '' };

	append_to_file($sim->ca_file, slurp_file($far->ca_file));
	$server->{node} = new_node(
		$name,
		simulator => $sim,
		conf => 'log_statement = none');
	set_certificate($server->{node}, 'other', $sim,
		bundle_id => 'com.example.other',
		key => $key);
	set_certificate($server->{node}, 'far', $far);
	bind_users($server->{node}, 1);
	$server->{node}->safe_psql(
		'postgres', qq{
		INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
		SELECT c || ' ' || i, 'phone', c,
			   CASE c WHEN 'chat' THEN 'bbbbbbbb' ELSE 'cccccccc' END
			   || encode(sha256(convert_to(c || i, 'UTF8')), 'hex')
		FROM unnest(ARRAY['chat', 'other', 'far']) c,
			 generate_series(1, $backlog) i});
	$_->control("fault delay=$delay") foreach $sim, $far;
	$server->{session} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
			$server->{node}->connstr('postgres'), '-f', '-'
		],
		'<', \$server->{in}, '>', \$server->{out}, IPC::Run::timeout(300));
	return $server;
}

my $calm = server('calm');
my $troubled = server('troubled');

sub messages
{
	my ($server, $msg_id, $to) = @_;

	$server->{out} = '';
	$server->{in} .= "INSERT INTO imp_push.offline_message
			(sender, recipient, msg_id)
		SELECT 's', r, '$msg_id' FROM $to r(r);\n\\echo inserted\n";
	$server->{session}->pump until $server->{out} =~ /inserted/;
	return;
}

# How long the messages to user1 took, from commit to answer
sub durations
{
	my ($server, $name) = @_;
	my $of_them = "imp_push.offline_message m
		JOIN imp_push.delivery d ON d.message_id = m.id
		WHERE m.recipient = 'user1' AND m.msg_id LIKE '$name %'
			AND d.status = 'sent'";

	$server->{node}
	  ->poll_query_until('postgres', "SELECT count(*) = $pairs FROM $of_them")
	  or die "$name: messages are not sent";
	return split /\n/,
	  $server->{node}->safe_psql(
		'postgres', "SELECT 1000 * extract(epoch FROM
			d.finished_at - pg_xact_commit_timestamp(m.xmin)) FROM $of_them");
}

# Messages to user1, one by one, at either server in turn; before each there
# is one to somebody else under the certificate.
sub nobody_notices
{
	my ($name, $certificate) = @_;

	$_->{sim}->forget foreach $calm, $troubled;
	foreach my $i (1 .. $pairs)
	{
		foreach my $server ($i % 2 ? ($calm, $troubled) : ($troubled, $calm))
		{
			messages($server, "$name, besides", "(SELECT '$certificate $i')");
			messages($server, "$name $i", q{(SELECT 'user1')});
			wait_until(
				sub { grep { /"$name $i\\"/ } @{ $server->{sim}->read_logs } },
				60, 'a message');
		}
	}

	my @usual = durations($calm, $name);
	my @beside = durations($troubled, $name);
	my $ratio = median(@beside) / median(@usual);

	diag(
		sprintf '%s: median %.1f ms, usually %.1f ms (%+.0f %%);'
		  . ' at most %.0f ms, usually %.0f ms',
		$name, median(@beside), median(@usual), 100 * $ratio - 100,
		max(@beside), max(@usual));
	cmp_ok(median(@usual), '>=', $delay, "$name: the answer takes its time");
	cmp_ok($ratio, '<', 1.2, "$name: nobody else notices");
	cmp_ok(sum0(grep { $_ > 2 * max(@usual) } @beside),
		'<', 5000, "$name: but for a moment, if at all");
	return;
}

# All connections carry something before there is trouble.
foreach my $server ($calm, $troubled)
{
	messages($server, 'warm',
		q{unnest(ARRAY['user1', 'other 1', 'far 1'])});
	wait_settled($server->{node});
	messages($server, 'warmer',
		q{(SELECT 'far ' || i FROM generate_series(1, 200) i)});
	wait_settled($server->{node});
}

# Each time it is another device, for one that has got a 429 is left alone.
$troubled->{sim}->control('clear');
$troubled->{sim}->control("fault prefix=bbbbbbbb status=429 delay=$delay");
$troubled->{sim}->control("fault delay=$delay");
nobody_notices('devices get 429', 'chat');
is( $troubled->{node}->safe_psql(
		'postgres', q{SELECT count(*) FROM imp_push.delivery
		WHERE status = 'retrying' AND apns_status = 429}),
	$pairs,
	'and each of them did');

$troubled->{sim}->control('clear');
$troubled->{sim}->control(
	"fault topic=com.example.other status=403 reason=InvalidProviderToken delay=$delay");
$troubled->{sim}->control("fault delay=$delay");
nobody_notices('a key was revoked', 'other');
is( $troubled->{node}->safe_psql(
		'postgres', q{SELECT circuit_reason, waiting
		FROM imp_push.certificate_status WHERE certificate = 'other'}),
	"InvalidProviderToken|$pairs",
	'and its messages wait');

# More than the worker keeps in flight wait for the host that hangs.
$troubled->{far}->control('clear');
$troubled->{far}->control('fault silent');
$troubled->{far}->forget;
messages($troubled, 'hanging',
	qq{(SELECT 'far ' || i FROM generate_series(1, $backlog) i)});
$troubled->{far}->wait_for(50);
nobody_notices('a host hangs', 'far');
cmp_ok(
	$troubled->{node}->safe_psql(
		'postgres', q{SELECT count(*) FROM imp_push.delivery
		WHERE recipient LIKE 'far %' AND status <> 'sent'}),
	'>=',
	$backlog + $pairs,
	'and all its messages wait');

foreach my $server ($calm, $troubled)
{
	$server->{in} .= "\\q\n";
	$server->{session}->finish;
}

done_testing();
