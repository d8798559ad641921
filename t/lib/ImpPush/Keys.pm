# Keys.pm
#		Signing keys and client certificates, made for a test.
#
# Owns the files of the keys, in a folder of the test file's own.  Stands on
# PostgreSQL's own test modules, which ImpPush finds; must never touch a server.

package ImpPush::Keys;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Basename;
use File::Path qw(make_path);
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(make_keys make_client_certificate openssl folder);

our $TEAM_ID = 'TEAM000001';
our $KEY_ID = 'KEY0000001';

my $keys;

=pod

=head1 NAME

ImpPush::Keys - keys and certificates for tests

=head1 FUNCTIONS

=over

=item make_keys()

A signing key, the same for the whole test: { team_id, key_id, private (PEM
text), private_file, public (file) }.

=item make_keys($team_id, $key_id, $curve)

A new one.

=cut

sub make_keys
{
	my ($team_id, $key_id, $curve) = @_;
	my $key;

	return $keys if !defined $team_id && $keys;
	$key = {
		team_id => $team_id || $TEAM_ID,
		key_id => $key_id || $KEY_ID,
	};
	my $base = folder('keys') . "/$key->{team_id}-$key->{key_id}";

	$key->{private_file} = "$base.p8";
	$key->{public} = "$base.pub";
	openssl('genpkey', '-algorithm', 'EC', '-pkeyopt',
		'ec_paramgen_curve:' . ($curve || 'P-256'),
		'-out', $key->{private_file});
	openssl('pkey', '-in', $key->{private_file},
		'-pubout', '-out', $key->{public});
	$key->{private} = slurp_file($key->{private_file});
	$keys = $key unless defined $team_id;
	return $key;
}

=item make_client_certificate($common_name)

A client certificate with an authority of its own: { certificate, key (PEM
texts), authority (file) }.

=item openssl(@arguments)

Runs the program; dies with its output if it fails.

=item folder($name)

A folder of this test file, made if need be.

=back

=cut

sub make_client_certificate
{
	my ($name) = @_;
	my $base = folder('keys') . "/$name";
	my @days = ('-days', '90');

	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:P-256', '-nodes', @days,
		'-subj', "/CN=$name authority",
		'-keyout', "$base-ca.key", '-out', "$base-ca.pem");
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
		'-nodes', '-subj', "/CN=$name",
		'-keyout', "$base.key", '-out', "$base.csr");
	openssl('x509', '-req', '-in', "$base.csr", @days,
		'-CA', "$base-ca.pem", '-CAkey', "$base-ca.key",
		'-CAcreateserial', '-out', "$base.pem");
	return {
		certificate => slurp_file("$base.pem"),
		key => slurp_file("$base.key"),
		authority => "$base-ca.pem",
	};
}

sub openssl
{
	my @command = ('openssl', @_);
	my $output;

	IPC::Run::run(\@command, '>&', \$output)
	  or croak "@command: $output";
	return;
}

sub folder
{
	my ($name) = @_;
	my $test = basename($0, '.pl');
	my $folder = "$PostgreSQL::Test::Utils::tmp_check/${test}_$name";

	make_path($folder);
	return File::Spec->rel2abs($folder);
}

1;
