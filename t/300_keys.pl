# Keys in files: which files are taken and which are refused; and no key gets
# into the server's log or into an error.

use strict;
use warnings;

use File::Spec;
use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $outside = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $node = new_node(
	'keys',
	started => 0,
	conf => "imp_push.key_directory = '$folder'
		log_statement = none
		log_min_messages = debug1");
my $key = make_keys()->{private};
my $client = make_client_certificate('com.example.client');

sub key_file
{
	my ($name, $content, $mode) = @_;

	append_to_file("$folder/$name", $content);
	chmod defined $mode ? $mode : 0600, "$folder/$name"
	  or die "chmod $name: $!";
	return;
}

# What set_certificate() says: '' or the first line of its error.
sub set_key
{
	my ($arguments) = @_;
	my ($status, undef, $error) = $node->psql('postgres',
		"SELECT imp_push.set_certificate('app', bundle_id => 'com.example.app', $arguments)"
	);

	return '' if $status == 0;
	return $error =~ /ERROR:\s+(.*)/ ? $1 : $error;
}

sub set_key_file
{
	my ($name) = @_;

	return set_key("team_id => 'TEAM000001', key_id => 'KEY0000001', "
		  . "private_key => 'file:$name'");
}

# Files that are taken

key_file('key.p8', $key);
key_file('read_only.p8', $key, 0400);
is(set_key_file($_), '', "$_ is taken") foreach 'key.p8', 'read_only.p8';
is( $node->safe_psql(
		'postgres',
		q{SELECT c.key_file, k.private_key IS NULL
		  FROM imp_push.certificate c
		  JOIN imp_push.certificate_key k ON k.certificate = c.name}),
	'read_only.p8|t',
	'the name of a file is stored, its content is not');

# Files that are refused

key_file('group.p8', $key, 0640);
key_file('others.p8', $key, 0604);
key_file('empty.p8', '');
key_file('text.p8', "secret text\n");
key_file('binary.p8', "$key\0");
key_file('large.p8', $key . "\n" x 10_000_000);
append_to_file("$outside/key.p8", $key);
chmod 0600, "$outside/key.p8";
symlink 'key.p8', "$folder/link.p8" or die "symlink: $!";
symlink "$outside/key.p8", "$folder/link_out.p8" or die "symlink: $!";
symlink $outside, "$folder/folder_link" or die "symlink: $!";
mkdir "$folder/folder.p8" or die "mkdir: $!";
system('mkfifo', '-m', '600', "$folder/fifo.p8") == 0 or die 'mkfifo';

my @refused = (
	[ 'missing.p8', qr/could not be opened: No such file/ ],
	[ 'group.p8', qr/mode must be 0600 or less/ ],
	[ 'others.p8', qr/mode must be 0600 or less/ ],
	[ 'link.p8', qr/is a symbolic link/ ],
	[ 'link_out.p8', qr/is a symbolic link/ ],
	[ 'folder.p8', qr/is not a regular file/ ],
	[ 'fifo.p8', qr/is not a regular file/ ],
	[ 'large.p8', qr/is longer than 64 kB/ ],
	[ 'empty.p8', qr/is not a private key in PEM format/ ],
	[ 'text.p8', qr/is not a private key in PEM format/ ],
	[ 'binary.p8', qr/is not in PEM format/ ],
	[ 'folder_link/key.p8', qr/must be a plain file name/ ],
	[ '../' . ($outside =~ s{.*/}{}r) . '/key.p8',
		qr/must be a plain file name/ ],
	[ "$outside/key.p8", qr/must be a plain file name/ ],
	[ '.', qr/must be a plain file name/ ],
	[ '..', qr/must be a plain file name/ ]);

foreach my $refused (@refused)
{
	my ($name, $fault) = @$refused;

	like(set_key_file($name), $fault, "$name is refused, with the reason");
}

# A client certificate and its key: in two files, in one, or one of them

key_file('client.pem', $client->{certificate});
key_file('client.key', $client->{key});
key_file('both.pem', $client->{certificate} . $client->{key});
is( set_key(
		"client_certificate => 'file:client.pem', client_key => 'file:client.key'"
	),
	'',
	'a client certificate in two files is taken');
is( set_key(
		"client_certificate => 'file:both.pem', client_key => 'file:both.pem'"),
	'',
	'one that shares its file with its key is taken');
is( set_key(
		"client_certificate => '$client->{certificate}', client_key => 'file:client.key'"
	),
	'',
	'one by value with its key in a file is taken');
like(
	set_key("client_key => 'file:key.p8'"),
	qr/client_key: key file "key.p8" does not belong to the client certificate/,
	'a file with another key is refused');

# Nothing of a key gets out

my $offset = -s $node->logfile;
my $broken = $key =~ s/^(.{60}).*(-----END)/$1\n$2/rs;

set_key("private_key => '$broken'");
set_key("team_id => '$key'");
set_key("private_key => '$key', client_key => '$client->{key}'");
set_key("client_certificate => '$client->{certificate}', client_key => '$key'");

my $log = slurp_file($node->logfile, $offset);
my ($line) = $key =~ /^(MIG.{40})/m;

is(scalar(() = $log =~ /ERROR:/g), 4, 'four faulty keys were refused');
unlike($log, qr/STATEMENT/, 'the log does not show the statements');
unlike($log, qr/PRIVATE KEY|\Q$line\E/, 'the log shows nothing of the keys');

# Files of others: a device, one of root's that everybody reads, and one that
# is as long as it says only while nobody reads it.

sub use_directory
{
	my ($directory) = @_;

	$node->append_conf('postgresql.conf', "imp_push.key_directory = '$directory'");
	$node->reload;
	wait_until(
		sub {
			return $node->safe_psql('postgres', 'SHOW imp_push.key_directory') eq
			  $directory;
		},
		undef, 'another directory');
	return;
}

foreach my $case (
	[ '/dev', 'null', qr/"null" is not a regular file/ ],
	[ '/etc', 'passwd', qr/"passwd" .* its mode must be 0640 or less/ ],
	[ '/proc/self', 'environ', qr/"environ" changed while it was being read/ ])
{
	my ($directory, $name, $fault) = @$case;

	use_directory($directory);
	like(set_key_file($name), $fault, "$directory/$name is refused");
}

# And one that is neither the server's nor root's.  Nobody but root can give a
# file away, so the server is made to see root's as somebody else's: in a
# namespace in which it is another user, and root is not known.
SKIP:
{
	my @namespace = ('unshare', '--user', '--map-user=1', '--map-group=1');
	my $bin = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());

	skip 'there are no namespaces for ordinary users here', 2
	  if system(@namespace, 'true') != 0;
	chomp(my $pg_ctl = `which pg_ctl`);
	append_to_file("$bin/pg_ctl", "#!/bin/sh\nexec @namespace $pg_ctl \"\$@\"\n");
	chmod 0700, "$bin/pg_ctl" or die "chmod: $!";
	use_directory('/etc');
	{
		local $ENV{PATH} = "$bin:$ENV{PATH}";
		$node->restart;
	}
	like(set_key_file('passwd'), qr/"passwd" must be owned by the server's user or by root/,
		"another user's file is refused");
	use_directory($folder);
	is(set_key_file('key.p8'), '', 'the own ones are taken there as well');
	$node->restart;
}
use_directory($folder);

# Who may not set certificates does not learn from it which files there are.

$node->safe_psql('postgres',
	'CREATE ROLE curious LOGIN; GRANT USAGE ON SCHEMA imp_push TO curious');
foreach my $granted ('nothing', 'EXECUTE')
{
	my %said;

	$node->safe_psql('postgres',
		'GRANT EXECUTE ON FUNCTION imp_push.set_certificate TO curious')
	  if $granted eq 'EXECUTE';
	foreach my $file ('key.p8', 'missing.p8', '../missing')
	{
		my (undef, undef, $error) = $node->psql(
			'postgres',
			"SELECT imp_push.set_certificate('app', private_key => 'file:$file')",
			extra_params => [ '-U', 'curious' ]);

		$said{$error} = $file;
	}
	is(scalar keys %said, 1, "with $granted: the same of each file");
	like((keys %said)[0], qr/permission denied/, "with $granted: permission denied");
}
is( ($node->psql('postgres', 'SHOW imp_push.key_directory',
			extra_params => [ '-U', 'curious' ]))[0],
	3, 'nor where the files are');

# A directory that is not set

$node->append_conf('postgresql.conf', "imp_push.key_directory = ''");
$node->reload;
wait_until(
	sub { return set_key_file('key.p8') =~ /key_directory is not set/ },
	undef, 'no directory, no files');
pass('without imp_push.key_directory there are no key files');

$node->stop;
done_testing();
