# One device that is asked too often, one host that hangs, one key that was
# revoked: everybody else's messages are as fast as ever.

use strict;
use warnings;

use ImpPush;
use Test::More;

my $pairs = 60;
my $sim = start_simulator();
my $other = start_simulator('other');
my $node = new_node(
	'main',
	simulator => $sim,
	conf => 'log_statement = none');
my ($in, $out) = ('', '');
my $session;

# Three certificates: of those who are measured, of one that works like
# theirs, and of one that will be in trouble.  Both simulators are trusted.
PostgreSQL::Test::Utils::append_to_file($sim->ca_file,
	PostgreSQL::Test::Utils::slurp_file($other->ca_file));
set_certificate($node, 'sound', $sim);
set_certificate($node, 'troubled', $other);
bind_users($node, 1);
foreach my $name ('sound', 'troubled')
{
	$node->safe_psql('postgres',
		"SELECT imp_push.bind_device('$name', 'phone', '$name', '"
		  . token_of($name)
		  . "')");
}
$session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout(300));

sub message
{
	my ($to, $msg_id) = @_;

	$out = '';
	$in .= "INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		VALUES ('s', '$to', '$msg_id') RETURNING 'inserted';\n";
	$session->pump until $out =~ /inserted/;
	return;
}

# Messages to user1, one by one; before each there is one to somebody else, in
# turn to the sound and to the troubled.
sub medians
{
	my ($name) = @_;
	my %took;
	my %committed;

	$sim->forget;
	foreach my $i (1 .. 2 * $pairs)
	{
		my $neighbour = $i % 2 ? 'sound' : 'troubled';

		message($neighbour, "$name $i");
		message('user1', "$name, beside $neighbour $i");
		wait_until(
			sub { grep { /beside $neighbour $i\\"/ } @{ $sim->read_logs } },
			60, 'a message');
	}
	%committed = map { split /\|/ } split /\n/,
	  $node->safe_psql(
		'postgres', q{
		SELECT msg_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))
		FROM imp_push.offline_message WHERE recipient = 'user1'});
	foreach my $request ($sim->requests)
	{
		my $msg_id = $request->{json}->{m};
		my ($neighbour) = $msg_id =~ /beside (\w+)/ or next;

		push @{ $took{$neighbour} },
		  $request->{arrived_us} / 1000 - $committed{$msg_id} * 1000;
	}
	$node->safe_psql('postgres', 'DELETE FROM imp_push.offline_message');
	return map { median(@{ $took{$_} }) } 'sound', 'troubled';
}

sub nobody_notices
{
	my ($name) = @_;
	my ($usual, $beside) = medians($name);

	diag(sprintf '%s: median %.1f ms, usually %.1f ms (%+.0f %%)',
		$name, $beside, $usual, 100 * $beside / $usual - 100);

	# a busy machine's clock ticks are some milliseconds long
	cmp_ok($beside, '<', 1.2 * $usual + 5, "$name: nobody else notices");
	return;
}

medians('warm');
foreach my $case (
	[ 'one device gets 429', 'fault status=429' ],
	[ 'one host hangs', 'fault silent' ],
	[
		'one key was revoked', 'fault status=403 reason=InvalidProviderToken'
	])
{
	my ($name, $fault) = @$case;

	$other->control($fault);
	nobody_notices($name);
	$other->control('clear');

	# Another connection, another key: nothing is left of the trouble.
	set_certificate($node, 'troubled', $other,
		key => make_keys('TEAM000001', 'KEY0000009'));
	set_certificate($node, 'troubled', $other);
	$node->safe_psql('postgres',
			"SELECT imp_push.bind_device('troubled', 'phone', 'troubled', '"
		  . token_of($name)
		  . "')");
}

$in .= "\\q\n";
$session->finish;

done_testing();
