# What a worker keeps of keys in its memory: of a signing key not its text, and
# of a key that is no longer used nothing.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

# Private and writable memory: what the process itself has written.  (The
# server's buffers hold the table, and are shared.)
sub memory_holds
{
	my ($pid, $text) = @_;
	my $found = 0;

	open my $maps, '<', "/proc/$pid/maps" or die "maps: $!";
	open my $memory, '<:raw', "/proc/$pid/mem" or die "mem: $!";
	foreach (<$maps>)
	{
		my ($from, $to) = /^(\w+)-(\w+) rw-p/ or next;
		my ($start, $end) = (hex $from, hex $to);

		sysseek $memory, $start, 0 or next;
		while ($start < $end)
		{
			my $want = $end - $start < 1 << 20 ? $end - $start : 1 << 20;
			my $part;
			my $got = sysread $memory, $part, $want;

			last unless $got;
			$found ||= index($part, $text) >= 0;
			# What lies across two parts is found in the next.
			last if $got < $want || $start + $got >= $end;
			$start += $got - length $text;
			sysseek $memory, $start, 0;
		}
	}
	return $found;
}

my $own = 'this is in ' . "my memory: $$";

plan skip_all => 'the memory of a process cannot be read here'
  unless eval { memory_holds($$, $own) };

# A part of a key that is nowhere else: its second line.
sub part_of
{
	my ($pem) = @_;

	return (split /\n/, $pem)[2] || die;
}

my $signing = make_keys();
my $in_file = make_keys('TEAM000002', 'KEY0000002');
my $client = make_client_certificate('com.example.client');
my $sim = start_simulator(
	args => [
		'--key', "$in_file->{team_id}:$in_file->{key_id}:$in_file->{public}",
		'--client-ca', $client->{authority}
	]);
my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $node = new_node(
	'main',
	simulator => $sim,
	conf => "imp_push.key_directory = '$folder'");

append_to_file("$folder/key.p8", $in_file->{private});
chmod 0600, "$folder/key.p8" or die "chmod: $!";
$node->safe_psql('postgres',
	"SELECT imp_push.set_certificate('file', bundle_id => 'com.example.file', endpoint => '"
	  . $sim->endpoint
	  . "', team_id => '$in_file->{team_id}', key_id => '$in_file->{key_id}', private_key => 'file:key.p8')");
set_certificate($node, 'client', $sim,
	client => $client,
	bundle_id => 'com.example.client');

my $pid = wait_for_worker($node);

sub push_again
{
	insert_message($node, 'user1', 'hello');
	wait_settled($node);
	return;
}

# A connection that has the key may live a moment longer.
sub forgets
{
	my ($key, $name) = @_;

	wait_until(sub { return !memory_holds($pid, part_of($key->{key})) },
		30, 'a key to be gone');
	pass($name);
	return;
}

bind_users($node, 1, certificate => $_, device => $_)
  foreach 'chat', 'file', 'client';
push_again();
my %used = map { $_->{headers}->{'apns-topic'} => 1 } $sim->accepted;

is(join(' ', sort keys %used),
	'com.example.chat com.example.client com.example.file',
	'all keys are used');
ok(!memory_holds($pid, part_of($signing->{private})),
	'of a stored signing key the text is gone');
ok(!memory_holds($pid, part_of($in_file->{private})),
	'of one in a file as well');
ok(memory_holds($pid, part_of($client->{key})),
	'the key of a client certificate is there while it is used');

# Another key in its place, and none

my $next = make_client_certificate('com.example.next');

append_to_file($client->{authority}, slurp_file($next->{authority}));
$sim->stop;
$sim->start;
set_certificate($node, 'client', $sim,
	client => $next,
	bundle_id => 'com.example.client');
push_again();
ok(memory_holds($pid, part_of($next->{key})), 'the new one is used');
forgets($client, 'of the old one nothing is left');

$node->safe_psql('postgres', q{
	DELETE FROM imp_push.device_token WHERE certificate = 'client';
	DELETE FROM imp_push.certificate WHERE name = 'client'});
push_again();
forgets($next, 'nor of one whose certificate is deleted');
is(wait_for_worker($node), $pid, 'it was one worker all the time');

$node->stop;
done_testing();
