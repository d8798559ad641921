# Whom a device token and a text are handed to: a server that the authority
# vouches for, under the name that was asked for, today, over TLS 1.2 or later.
# Nobody else is sent anything, not even by a redirect.

use strict;
use warnings;

use ImpPush;
use PostgreSQL::Test::Utils;
use Test::More;

# Without a lower bound of our own, this server's OpenSSL would take TLS 1.0.
my $openssl_conf = "$PostgreSQL::Test::Utils::tmp_check/lax.cnf";

append_to_file($openssl_conf, <<'EOF_CONF');
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
EOF_CONF
$ENV{OPENSSL_CONF} = File::Spec->rel2abs($openssl_conf);

my $sim = start_simulator();
my $node = new_node('main', simulator => $sim);
my $folder = $sim->folder;
my @openssl_servers;

# A server of openssl with a certificate of the simulator's authority.
sub certificate
{
	my ($name, $subject, @options) = @_;
	my $base = "$PostgreSQL::Test::Utils::tmp_check/$name";

	ImpPush::openssl('req', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost',
		'-keyout', "$base.key", '-out', "$base.csr");
	append_to_file("$base.ext", "subjectAltName = $subject\n");
	if (grep { $_ eq 'self-signed' } @options)
	{
		ImpPush::openssl('x509', '-req', '-in', "$base.csr", '-days', '1',
			'-signkey', "$base.key", '-extfile', "$base.ext", '-out', "$base.pem");
	}
	else
	{
		ImpPush::openssl('x509', '-req', '-in', "$base.csr", @options,
			'-CA', "$folder/ca.pem", '-CAkey', "$folder/ca.key",
			'-set_serial', 1 + int rand 1e9, '-extfile', "$base.ext",
			'-out', "$base.pem");
	}
	return ("$base.pem", "$base.key");
}

# What it has been sent is in its output.
sub start_openssl
{
	my ($certificate, $key, @options) = @_;
	my $server = { out => '' };

	$server->{process} = IPC::Run::start(
		[
			'openssl', 's_server', '-accept', '127.0.0.1:0',
			'-cert', $certificate, '-key', $key, '-alpn', 'h2', '-ign_eof', @options
		],
		'<', \'', '>', \$server->{out}, '2>&1');
	push @openssl_servers, $server;
	$server->{process}->pump until $server->{out} =~ /^ACCEPT \S+:(\d+)\n/m;
	$server->{port} = $1;
	return $server;
}

END
{
	my $status = $?;

	foreach my $server (@openssl_servers)
	{
		eval { $server->{process}->kill_kill; };
	}
	$? = $status;
}

# Where the certificate leads.
sub lead_to
{
	my ($endpoint) = @_;

	$node->safe_psql('postgres',
		"UPDATE imp_push.certificate SET endpoint = '$endpoint'");
	return;
}

# The circuit opens for this reason, and the message waits.
sub not_sent
{
	my ($name, $reason) = @_;
	my $status;

	insert_message($node, 'user1', 'hello', msg_id => $name);
	circuit_opens($node, 1, "$name: the circuit opens, and the message waits");
	$status = $node->safe_psql('postgres',
		q{SELECT circuit_reason || ': ' || coalesce(circuit_detail, '') FROM imp_push.certificate_status});
	like($status, $reason, "$name: certificate_status says why");
	return;
}

sub mended
{
	my ($name) = @_;

	lead_to($sim->endpoint);
	wait_settled($node);
	is( $node->safe_psql('postgres',
			"SELECT status FROM imp_push.delivery WHERE msg_id = '$name'"),
		'sent', "$name: it goes out when that is mended");

	# It is said a moment later, and the next case must not read the old.
	$node->poll_query_until('postgres',
		q{SELECT circuit = 'closed' FROM imp_push.certificate_status})
	  or die "$name: the circuit does not close";
	return;
}

bind_users($node, 1);
insert_message($node, 'user1', 'hello');
wait_settled($node);
is(scalar $sim->accepted, 1, 'what is as it should be works');

# Certificates that will not do

foreach my $case (
	[ 'self-signed', 'DNS:localhost', 'self-signed' ],
	[ 'another name', 'DNS:apns.example.com,IP:127.0.0.2', '-days', '1' ],
	[ 'the end of the name', 'DNS:localhost.example.com', '-days', '1' ],
	[ 'a wildcard for everything', 'DNS:*', '-days', '1' ],
	[ 'an expired one', 'DNS:localhost', '-days', '-1' ])
{
	my ($name, $subject, @options) = @$case;
	my $server = start_openssl(certificate($name =~ s/\W/_/gr, $subject, @options));

	lead_to("https://localhost:$server->{port}");
	not_sent($name, qr/^tls_verification_failed: /);
	$server->{process}->pump_nb;
	unlike($server->{out}, qr/bearer|3\/device|PRI \* HTTP/,
		"$name: nothing was sent");
	mended($name);
	$server->{process}->kill_kill;
}

# An IP address is a name as well.
lead_to($sim->endpoint =~ s/localhost/127.0.0.1/r);
insert_message($node, 'user1', 'hello', msg_id => 'address');
wait_settled($node);
is(scalar(grep { $_->{json}->{m} eq 'address' } $sim->accepted),
	1, 'a certificate for the address is taken');

# Versions of TLS

{
	my @files = certificate('version', 'DNS:localhost', '-days', '1');
	my $lax = start_openssl(@files, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
	my $output = '';

	IPC::Run::run(
		[
			'curl', '--silent', '--show-error', '--cacert', $sim->ca_file,
			'--tlsv1.0', '--tls-max', '1.1', '--ciphers', 'ALL:@SECLEVEL=0',
			'--max-time', '2', '--verbose', "https://localhost:$lax->{port}/"
		],
		'<', '/dev/null', '>', '/dev/null', '2>', \$output);
	like($output, qr/SSL connection using TLSv1\.1/,
		'whoever takes TLS 1.1 gets it');
	lead_to("https://localhost:$lax->{port}");
	not_sent('TLS 1.1', qr/^tls_failed: /);
	mended('TLS 1.1');
	$lax->{process}->kill_kill;
}

# A redirect: to another host, which must not hear of it, or to itself

{
	my $other = start_simulator('other');

	append_to_file($sim->ca_file, slurp_file($other->ca_file));
	$sim->forget;
	foreach my $status (301, 302, 303, 307, 308)
	{
		my $location = $other->endpoint . '/3/device/' . token_of('user1');

		$sim->control("fault redirect status=$status location=$location");
		not_sent("redirect $status", qr/^http_$status/);
		$sim->control('clear');
		mended("redirect $status");
	}
	is(scalar $other->requests, 0, 'where a redirect leads nobody asks');
	is($other->stats->{connections}, 0, 'or connects');
	my %answers = map { $_->{status} => 1 } $sim->requests;

	is(join(',', sort keys %answers),
		'200,301,302,303,307,308', 'each was answered as told');
	$other->stop;
}

# What is not https is refused where it is written.

foreach my $endpoint (
	'http://localhost:1', 'HTTPS://localhost', 'ftp://localhost',
	'file:///etc/passwd', 'localhost:443', '//localhost', 'https:/localhost',
	'https://user:secret@localhost', 'https://localhost:1/path')
{
	my ($status, undef, $error) = $node->psql('postgres',
		"UPDATE imp_push.certificate SET endpoint = '$endpoint'");

	isnt($status, 0, "$endpoint is refused");
	like($error, qr/endpoint must be https:\/\/host or https:\/\/host:port/,
		"$endpoint: the error says what is allowed");
}

$node->stop;
done_testing();
