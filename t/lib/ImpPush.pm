# ImpPush.pm
#		What the TAP tests have in common: servers with the extension, people
#		with devices, and what became of their messages.
#
# Stands on PostgreSQL's own test modules, and finds them through PG_CONFIG.
# Owns the way a test server is configured.  Must never wait for a duration
# (every wait is for a condition, with a deadline), and knows nothing of how
# the extension queues and plans: it uses the documented interface alone.

package ImpPush;

use strict;
use warnings;

use Carp;
use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use File::Basename;
use JSON::PP;
use Test::More;

use ImpPush::Simulator;

our @EXPORT = qw(
  start_simulator new_simulator new_node make_keys make_client_certificate
  set_certificate configure token_of bind_users insert_message insert_to_users
  wait_settled settle_soon retry_now sent_again circuit_opens wait_until
  worker_pid wait_for_worker kill_worker arrivals
  arrived_once latencies median
);

# PostgreSQL's test modules are not where Perl looks, and want to be told where
# its programs are.
BEGIN
{
	my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
	my ($pgxs, $bindir);

	chomp($pgxs = `$pg_config --pgxs`);
	chomp($bindir = `$pg_config --bindir`);
	die "$pg_config does not work: set PG_CONFIG\n" if $? || !$pgxs;

	my $src = dirname(dirname($pgxs));

	unshift @INC, "$src/test/perl";
	$ENV{PATH} = "$bindir:$ENV{PATH}";
	$ENV{PG_REGRESS} ||= "$src/test/regress/pg_regress";
	# What PostgreSQL 16 and later ask for.
	$ENV{TESTDATADIR} ||= 'tmp_check';
	$ENV{TESTLOGDIR} ||= 'tmp_check/log';
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use ImpPush::Keys;

# The certificate that tests use unless they say otherwise.
our $CERTIFICATE = 'chat';
our $BUNDLE_ID = 'com.example.chat';

=pod

=head1 NAME

ImpPush - the harness of imp_push's TAP tests

=head1 SYNOPSIS

  use ImpPush;
  use Test::More;

  my $sim = start_simulator();
  my $node = new_node('main', simulator => $sim);

  bind_users($node, 10);
  insert_to_users($node, 10, body => 'hello');
  $sim->wait_for_accepted(10);
  wait_settled($node);
  arrived_once($sim, 10, 'ten messages arrive once each');
  done_testing();

Run with C<prove -It/lib t/100_single.pl>, not as root, PG_CONFIG naming a
PostgreSQL into which the extension is installed; C<dev/check --only tap> does
all of it.

C<make_keys> and C<make_client_certificate> of L<ImpPush::Keys> come with it.

=head1 SIMULATOR

=over

=item start_simulator([$name,] args => [...], lifetime => SECONDS)

Starts an L<ImpPush::Simulator> that knows the key of C<make_keys> and the
topic C<com.example.chat>.

=item new_simulator([$name,] args => [...], lifetime => SECONDS)

The same without starting it.  (Its port is not known before the first start.)

=cut

sub new_simulator
{
	my $name = @_ % 2 ? shift : 'apns';
	my %opts = @_;
	my $key = make_keys();

	return ImpPush::Simulator->new(
		$name,
		folder($name),
		lifetime => $opts{lifetime},
		args => [
			'--key', "$key->{team_id}:$key->{key_id}:$key->{public}",
			@{ $opts{args} || [] }
		]);
}

sub start_simulator
{
	return new_simulator(@_)->start;
}

=pod

=back

=head1 SERVERS

=over

=item new_node($name, %options)

A running PostgreSQL with the extension in its database C<postgres>, the
certificate C<chat> for the simulator, and started.  Options:

=over

=item simulator

where the certificate leads to; without it there is no certificate

=item preload (1)

0: the library is not preloaded

=item databases ('postgres')

imp_push.databases

=item conf

further lines for postgresql.conf

=item allows_streaming

as in PostgreSQL::Test::Cluster

=item extension (1), started (1)

0: without CREATE EXTENSION; without start()

=back

The poll that is the safety net for lost wake-ups is set to an hour, so that
nothing in a test comes to rely on it.

=cut

sub new_node
{
	my ($name, %opts) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	%opts = (extension => 1, started => 1, %opts);
	$node->init(
		allows_streaming => $opts{allows_streaming},
		extra => [ '--encoding=UTF8', '--locale=C' ]);
	configure($node, %opts);
	$node->start;
	return $node unless $opts{extension};

	$node->safe_psql('postgres', 'CREATE EXTENSION imp_push');
	set_certificate($node, $CERTIFICATE, $opts{simulator})
	  if $opts{simulator};
	$node->safe_psql('postgres', 'SELECT imp_push.start()')
	  if $opts{started};
	return $node;
}

=item configure($node, %options)

Writes the configuration that C<new_node> gives to its servers.

=cut

sub configure
{
	my ($node, %opts) = @_;
	my $databases =
	  defined $opts{databases} ? $opts{databases} : 'postgres';

	%opts = (preload => 1, %opts);
	$node->append_conf('postgresql.conf',
		"track_commit_timestamp = on\n"
		  . "max_prepared_transactions = 10\n"
		  . "imp_push.poll_interval = '1h'\n"
		  . "imp_push.databases = '$databases'\n");
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'imp_push'")
	  if $opts{preload};
	$node->append_conf('postgresql.conf',
		"imp_push.ca_file = '" . $opts{simulator}->ca_file . "'")
	  if $opts{simulator};
	$node->append_conf('postgresql.conf', $opts{conf}) if $opts{conf};
	return;
}

=item set_certificate($node, $name, $simulator, %options)

Creates or changes a certificate that leads to the simulator.  Options:
database, key (of C<make_keys>), client (of C<make_client_certificate>),
bundle_id, endpoint (the simulator's), and further arguments of imp_push.set_certificate under B<more>, as
SQL text.

=cut

sub set_certificate
{
	my ($node, $name, $sim, %opts) = @_;
	my $key = $opts{key} || make_keys();
	my @credentials;

	if ($opts{client})
	{
		@credentials = (
			client_certificate => $opts{client}->{certificate},
			client_key => $opts{client}->{key});
	}
	else
	{
		@credentials = (
			team_id => $key->{team_id},
			key_id => $key->{key_id},
			private_key => $key->{private});
	}
	my %arguments = (
		bundle_id => $opts{bundle_id} || $BUNDLE_ID,
		endpoint => $opts{endpoint} || $sim->endpoint,
		@credentials);
	my $list = join ', ', quote($name),
	  map { "$_ => " . quote($arguments{$_}) } sort keys %arguments;

	$list .= ", $opts{more}" if $opts{more};
	$node->safe_psql($opts{database} || 'postgres',
		"SELECT imp_push.set_certificate($list)");
	return;
}

=item worker_pid($node, $database)

The process of the worker of a database, or ''.

=item wait_for_worker($node, $database)

Waits until there is one, and returns its process.

=item kill_worker($node, $pid)

Kills a worker with SIGKILL, and waits until the server, of which
restart_after_crash must be on, has recovered from that: until it begins to, it
answers as if nothing had happened.

=cut

sub worker_pid
{
	my ($node, $database) = @_;

	$database = 'postgres' unless defined $database;
	return $node->safe_psql($database,
		'SELECT pid FROM imp_push.worker_status
		 JOIN pg_catalog.pg_stat_activity USING (pid)');
}

sub wait_for_worker
{
	my ($node, $database) = @_;
	my $pid;

	wait_until(sub { return $pid = worker_pid($node, $database) },
		undef, 'a worker');
	return $pid;
}

sub kill_worker
{
	my ($node, $pid) = @_;
	my $begin = -s $node->logfile;

	kill 'KILL', $pid;
	wait_until(
		sub {
			return slurp_file($node->logfile, $begin) =~
			  /database system is ready to accept connections/;
		},
		undef, 'the server to recover');
	return;
}

=pod

=back

=head1 PEOPLE AND MESSAGES

=over

=item token_of($user, $device)

The device token that C<bind_users> gives to a device.

=item bind_users($node, $number, %options)

Binds a device to each of user1, user2 …  Options: database, device
(C<phone>), certificate (C<chat>).

=cut

sub token_of
{
	my ($user, $device) = @_;

	return sha256_hex("$user/" . (defined $device ? $device : 'phone'));
}

sub bind_users
{
	my ($node, $number, %opts) = @_;
	my $device = quote($opts{device} || 'phone');
	my $certificate = quote($opts{certificate} || $CERTIFICATE);

	$node->safe_psql(
		$opts{database} || 'postgres', qq{
		INSERT INTO imp_push.device_token
			(user_id, device_id, certificate, token)
		SELECT u, $device, $certificate,
			   encode(sha256(convert_to(u || '/' || $device, 'UTF8')), 'hex')
		FROM (SELECT 'user' || i AS u FROM generate_series(1, $number) AS i)
			 AS users});
	return;
}

=item insert_message($node, $recipient, $body, %columns)

Inserts one message and returns its msg_id.  Columns beside recipient and body
are named as in the table; the sender is C<sender> unless given.  B<database>
names another database.

=item insert_to_users($node, $number, %columns)

Inserts, in one statement, the same message for user1, user2 …

=cut

sub insert_message
{
	my ($node, $recipient, $body, %columns) = @_;
	my $database = delete $columns{database} || 'postgres';

	%columns = (
		sender => 'sender',
		recipient => $recipient,
		body => $body,
		%columns);
	my @names = sort keys %columns;

	return $node->safe_psql($database,
			'INSERT INTO imp_push.offline_message ('
		  . join(', ', @names)
		  . ') VALUES ('
		  . join(', ', map { quote($columns{$_}) } @names)
		  . ') RETURNING msg_id');
}

sub insert_to_users
{
	my ($node, $number, %columns) = @_;
	my $database = delete $columns{database} || 'postgres';

	%columns = (sender => 'sender', body => 'hello', %columns);
	my @names = sort keys %columns;

	$node->safe_psql($database,
			'INSERT INTO imp_push.offline_message (recipient, '
		  . join(', ', @names)
		  . q{) SELECT 'user' || i, }
		  . join(', ', map { quote($columns{$_}) } @names)
		  . " FROM generate_series(1, $number) AS i");
	return;
}

=item wait_settled($node, $database)

Waits until every stored message has its outcomes.

=item settle_soon($node)

The same, but nobody waits until the time of his next attempt has come.

=item retry_now($node)

Whatever waits for its next attempt is due, as if its time had come.

=item sent_again($node)

How often the worker has sent something again at once.  Waits until it has
written down what it has counted, which one that has crashed never does.

=item circuit_opens($node, $waiting, $name)

A test: the circuit of the only certificate opens, and so many pushes wait.

=item wait_until($condition, $seconds, $what)

See L<ImpPush::Simulator>.

=cut

sub wait_settled
{
	my ($node, $database) = @_;

	$node->poll_query_until(
		$database || 'postgres',
		"SELECT NOT EXISTS (SELECT FROM imp_push.delivery
							WHERE status IN ('pending', 'retrying'))")
	  or croak 'messages remain unsettled';
	return;
}

sub settle_soon
{
	my ($node) = @_;
	my $left = q{SELECT count(*) FROM imp_push.delivery
		WHERE status IN ('pending', 'retrying')};

	for (;;)
	{
		# those that are to go now have gone
		$node->poll_query_until('postgres',
			"$left AND COALESCE(next_attempt_at <= now() OR attempts = 0, true)",
			'0') or croak 'messages remain unsettled';
		last if $node->safe_psql('postgres', $left) eq '0';
		retry_now($node);
	}
	return;
}

sub retry_now
{
	my ($node) = @_;

	# Told to read its configuration, the worker looks at everything anew.
	$node->safe_psql(
		'postgres', q{UPDATE imp_push.waiting SET due = now()
			WHERE attempts > 0 AND due > now();
		SELECT pg_reload_conf()});
	return;
}

sub sent_again
{
	my ($node) = @_;

	$node->poll_query_until(
		'postgres', q{
		SELECT (SELECT sum(value) FROM imp_push.metrics
				WHERE name = 'imp_push_sent_total')
			= (SELECT count(*) FROM imp_push.delivery WHERE status = 'sent')})
	  or croak 'the worker does not write its counters';
	return $node->safe_psql('postgres',
		q{SELECT coalesce(sum(value), 0) FROM imp_push.metrics
		WHERE name = 'imp_push_resent_total'});
}

sub circuit_opens
{
	my ($node, $waiting, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(
		$node->poll_query_until(
			'postgres', "SELECT circuit = 'open' AND waiting = $waiting
				FROM imp_push.certificate_status"),
		$name);
}

sub wait_until
{
	return ImpPush::Simulator::wait_until(@_);
}

=pod

=back

=head1 WHAT ARRIVED

=over

=item arrivals($sim)

How often each message was accepted for each device:
{ "token/recipient/msg_id" => n }.

=item arrived_once($sim, $number, $name)

Tests that so many different messages were accepted, none of them twice.

=cut

sub arrivals
{
	my ($sim) = @_;
	my %count;

	$count{"$_->{token}/$_->{json}->{t}/$_->{json}->{m}"}++
	  foreach $sim->accepted;
	return \%count;
}

sub arrived_once
{
	my ($sim, $number, $name) = @_;
	my $count = arrivals($sim);
	my @repeated = grep { $count->{$_} > 1 } sort keys %$count;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar keys %$count, $number, "$name: none is lost");
	is("@repeated", '', "$name: none comes twice");
	return;
}

=item latencies($node, $sim, $database)

Milliseconds from the commit of each stored message to its arrival, sorted.

=item median(@numbers)

=back

=cut

sub latencies
{
	my ($node, $sim, $database) = @_;
	my %committed = map { split /\t/ } split /\n/,
	  $node->safe_psql(
		$database || 'postgres', q{
		SELECT recipient || '/' || msg_id || E'\t' ||
			   extract(epoch FROM pg_xact_commit_timestamp(xmin))
		FROM imp_push.offline_message
		WHERE pg_xact_commit_timestamp(xmin) IS NOT NULL});
	my @latencies;

	foreach my $request ($sim->requests)
	{
		my $key = "$request->{json}->{t}/$request->{json}->{m}";

		push @latencies,
		  $request->{arrived_us} / 1_000 - $committed{$key} * 1_000
		  if exists $committed{$key};
	}
	return sort { $a <=> $b } @latencies;
}

sub median
{
	my @numbers = sort { $a <=> $b } @_;

	return @numbers ? $numbers[ $#numbers / 2 ] : undef;
}

sub quote
{
	my ($text) = @_;

	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return "'$text'";
}

1;
