# Soak.pm
#		Mixed load with faults for as long as one likes, what it leaves behind,
#		and whether anything grows.
#
# Owns the load (what an IM server does all day, by pgbench at a bounded rate),
# the round of faults, the ledger of messages with their outcomes, and the
# series of figures.  A step is a number of transactions, never a duration:
# nothing here sleeps.  It uses the documented interface alone, but for the
# sizes of tables, and must never read the message's text from a log.

package ImpPush::Soak;

use strict;
use warnings;

use Carp;
use File::Basename;
use ImpPush;
use ImpPush::Faults qw(resident_kb);
use IPC::Run;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

=pod

=head1 NAME

ImpPush::Soak - load with faults, and figures of what it costs

=head1 SYNOPSIS

  my $soak = ImpPush::Soak->new(
      users => 2000, retention => '5 minutes', seconds => 130);

  for my $fault (ImpPush::Soak::faults())
  {
      my $figures = $soak->step($fault, 10);
  }
  $soak->settle;

=cut

my $clients = 4;

# Transactions a second; a hundred of them store 84 messages.
my $rate = 240;

# What the IM server does, and how often.  One person in twenty never comes
# back, so that their messages go by age and by number.
my %scripts = (
	'single@60' => q{
		\set recipient random(1, :users)
		\set length random_exponential(1, 6000, 10)
		WITH stored AS (
			INSERT INTO imp_push.offline_message (sender, recipient, body)
			VALUES ('user' || :client_id, 'user' || :recipient,
					repeat('語', :length))
			RETURNING id)
		INSERT INTO soak.ledger SELECT id FROM stored;
	},
	'group@2' => q{
		\set first random(1, :users - 20)
		WITH stored AS (
			INSERT INTO imp_push.offline_message
				(msg_id, sender, recipient, chat_type, conversation_id, body)
			SELECT msg_id, 'sender', 'user' || i, 'groupchat',
				   'group' || :first, 'hello'
			FROM CAST(gen_random_uuid() AS text) AS msg_id,
				 generate_series(:first, :first + 19) AS i
			RETURNING id)
		INSERT INTO soak.ledger SELECT id FROM stored;
	},
	'acknowledge@30' => q{
		\set reader random(1, :users * 19 / 20)
		SELECT imp_push.ack_offline_messages('user' || :reader, ARRAY(
			SELECT id
			FROM imp_push.fetch_offline_messages('user' || :reader)));
	},
	'presence@20' => q{
		\set person random(1, :users)
		\set dice random(0, 9)
		SELECT imp_push.set_presence('user' || :person, 'phone',
			(ARRAY['online', 'online', 'logged_out', 'kicked'])[:dice],
			node => CASE :dice WHEN 1 THEN 'node' END,
			ttl => CASE :dice WHEN 2 THEN interval '3 seconds' END)
		WHERE :dice BETWEEN 1 AND 4;
		SELECT imp_push.set_presence('user' || :person, 'phone', 'offline')
		WHERE :dice NOT BETWEEN 1 AND 4;
	},
	'heartbeat@1' => q{
		\set dice random(1, 2)
		SELECT imp_push.node_heartbeat('node', :dice * interval '2 seconds');
	},
	'bind@10' => q{
		\set person random(1, :users)
		\set dice random(0, 9)
		SELECT imp_push.bind_device('user' || :person, 'phone', 'chat',
			CASE :dice
				WHEN 0 THEN encode(sha256(convert_to(
					'user' || :person || now(), 'UTF8')), 'hex')
				ELSE soak.token('user' || :person, 'phone')
			END);
	},
	'unbind@1' => q{
		\set person random(1, :users)
		SELECT imp_push.unbind_device('user' || :person, 'phone');
	},
	'badge@1' => q{
		\set person random(1, :users)
		SELECT imp_push.push_badge('user' || :person);
	},
	'recall@1' => q{
		\set person random(1, :users)
		SELECT imp_push.recall_message(m.msg_id)
		FROM (
			SELECT msg_id
			FROM imp_push.fetch_offline_messages('user' || :person)
			LIMIT 1) AS m;
	});

# The round of faults: a name, and what to tell the simulator.
my @faults = (
	[ 'none' ],
	[ '503 to one in 20', 'fault every=20 status=503' ],
	[ 'GOAWAY every 500', 'goaway-every 500' ],
	[ 'reset of one in 200', 'fault every=200 reset' ],
	[ '410 to one in 50', 'fault every=50 status=410' ],
	[ 'no answer to one in 300', 'fault every=300 silent' ],
	[ 'nobody listens', 'listen off', 'close' ],
	[ 'one in 7 half a second late', 'fault every=7 delay=500' ],
	[ 'one app gets 500', 'fault topic=com.example.work status=500' ],
	[ 'one in 50 refused', 'fault every=50 refuse' ],
	[ 'connections play dead', 'freeze' ],
	[
		'ten streams, tokens doubted', 'max-streams 10',
		'fault every=300 status=400 reason=BadDeviceToken'
	],
	[ 'one app forbidden', 'fault topic=com.example.client status=403' ]);

# How a message may end under this load.
my @endings = (
	'sent', 'suppressed own_message', 'suppressed online',
	'suppressed kicked',
	'suppressed no_device_token', 'suppressed token_disabled',
	'suppressed unbound', 'cancelled acknowledged', 'cancelled recalled',
	'cancelled evicted', 'failed Unregistered', 'failed BadDeviceToken');

# Of these tables the size is shown; that of all the others together.
my @tables = qw(offline_message waiting delivery_log device_token presence);

=pod

=head1 METHODS

=over

=item ImpPush::Soak->new(users => N, retention => INTERVAL, seconds => N)

A server with three certificates, a simulator, and so many people.  Messages
and the memory of what became of them are kept for B<retention>.  All the
steps are expected to take so many seconds.

=cut

sub new
{
	my ($class, %opts) = @_;
	my $work_key = make_keys('TEAM000002', 'KEY0000002');
	my $client = make_client_certificate('com.example.client');
	# On a busy machine it may take several times as long.
	my $sim = start_simulator(
		lifetime => 600 + 4 * int $opts{seconds},
		args => [
			'--key',
			"$work_key->{team_id}:$work_key->{key_id}:$work_key->{public}",
			'--client-ca',
			$client->{authority}
		]);
	my $node = new_node(
		'main',
		simulator => $sim,
		started => 0,
		conf => "imp_push.poll_interval = '2s'
			imp_push.request_timeout = '2s'
			imp_push.connect_timeout = '2s'
			autovacuum_naptime = '10s'
			log_statement = none");
	my $self = bless {
		%opts,
		sim => $sim,
		node => $node,
		steps => 0,
		pushes => 0,
		began => time,
	}, $class;

	set_certificate($node, 'work', $sim,
		key => $work_key,
		bundle_id => 'com.example.work');
	set_certificate($node, 'client', $sim,
		client => $client,
		bundle_id => 'com.example.client');
	$self->prepare;
	$self->{worker} = wait_for_worker($node);
	return $self;
}

# The ledger: which messages were stored, what became of them, and what has
# arrived.  It is filled by the transaction that stores a message.
sub prepare
{
	my ($self) = @_;
	my $node = $self->{node};

	$node->safe_psql(
		'postgres', qq{
		UPDATE imp_push.settings
			SET push_unacknowledged = true,
				single_chat_limit = 20,
				group_chat_limit = 10,
				offline_retention = '$self->{retention}',
				push_ttl = '$self->{retention}',
				delivery_retention = '$self->{retention}';
		CREATE SCHEMA soak;
		CREATE TABLE soak.ledger (id bigint PRIMARY KEY);
		CREATE TABLE soak.outcome (
			message_id bigint, device_id text, certificate text, status text,
			reason text, apns_id uuid, finished_at timestamptz);
		CREATE UNIQUE INDEX ON soak.outcome (message_id,
			COALESCE(device_id, ''), COALESCE(certificate, ''), status);
		CREATE INDEX ON soak.outcome (finished_at);
		CREATE TABLE soak.arrived (apns_id uuid);
		CREATE FUNCTION soak.token(person text, device text) RETURNS text
			RETURN encode(sha256(convert_to(person || '/' || device, 'UTF8')),
						  'hex')});
	bind_users($node, $self->{users});
	bind_users(
		$node, $self->{users} / 2,
		device => 'pad',
		certificate => 'work');
	bind_users(
		$node, $self->{users} / 5,
		device => 'watch',
		certificate => 'client');
	$node->safe_psql('postgres', 'SELECT imp_push.start()');
	return;
}

=item ImpPush::Soak::faults

The names of the faults, in the order of a round.

=cut

sub faults
{
	return map { $_->[0] } @faults;
}

=item $soak->step($fault, $seconds)

Load under that fault, as much as takes so many seconds.  Returns figures:
{ seconds, fault, messages, pushes, repeats (accepted again), memory (kB), files (of tables, which
PostgreSQL keeps open), descriptors (all the others), threads, dead (tuples),
stored, and one named size:TABLE (kB) for each big table }.

=cut

sub step
{
	my ($self, $fault, $seconds) = @_;
	my ($commands) = grep { $_->[0] eq $fault } @faults;
	my $sim = $self->{sim};

	$sim->control('reset');
	$sim->control($_) foreach @$commands[ 1 .. $#$commands ];
	$self->load($seconds);
	$self->keep_books;
	return { fault => $fault, %{ $self->figures } };
}

sub load
{
	my ($self, $seconds) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $node = $self->{node};
	my $output;
	my @command = (
		'pgbench', '-n', '-h', $node->host, '-p', $node->port,
		'-D', "users=$self->{users}", '-c', $clients, '-R', $rate,
		'-t', int($seconds * $rate / $clients) || 1,
		"--random-seed=$self->{steps}");

	$self->{steps}++;
	foreach my $script (sort keys %scripts)
	{
		my ($name, $weight) = split /@/, $script;
		my $file = "$folder/$name.sql";

		append_to_file($file, $scripts{$script});
		push @command, '-f', "$file\@$weight";
	}
	IPC::Run::run([ @command, 'postgres' ], '>&', \$output)
	  or croak "pgbench: $output";
	return;
}

# Notes what has become of messages since the last time, from the documented
# feed ("everything since"), and what has arrived.
sub keep_books
{
	my ($self) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/arrived';
	my $arrived = '';

	$self->{node}->safe_psql(
		'postgres', q{
		INSERT INTO soak.outcome
			SELECT message_id, device_id, certificate, status, reason, apns_id,
				   finished_at
			FROM imp_push.delivery
			WHERE finished_at >= COALESCE(
					(SELECT max(finished_at) - interval '10 seconds'
					 FROM soak.outcome),
					'-infinity')
				AND message_id IS NOT NULL
			ON CONFLICT DO NOTHING});
	foreach my $line ($self->{sim}->take_lines)
	{
		$self->{pushes}++;
		$arrived .= "$1\n"
		  if $line =~ /"status":200\b/
		  && $line =~ /"apns-id":"([-0-9a-f]+)"/;
	}
	append_to_file($file, $arrived);
	$self->{node}->safe_psql('postgres',
		"\\copy soak.arrived from '$file'");
	return;
}

sub figures
{
	my ($self) = @_;
	my %sizes = map { split /\|/ } split /\n/,
	  $self->{node}->safe_psql(
		'postgres', q{
		SELECT CASE WHEN relname LIKE 'delivery_log%' THEN 'delivery_log'
					ELSE relname END,
			   sum(pg_total_relation_size(relid)) / 1024
		FROM pg_stat_all_tables
		WHERE schemaname = 'imp_push'
		GROUP BY 1});
	my ($messages, $repeats, $stored, $dead) = split /\|/,
	  $self->{node}->safe_psql(
		'postgres', q{
		SELECT (SELECT count(*) FROM soak.ledger),
			   (SELECT count(*) - count(DISTINCT apns_id) FROM soak.arrived),
			   (SELECT count(*) FROM imp_push.offline_message),
			   (SELECT sum(n_dead_tup) FROM pg_stat_all_tables
				WHERE schemaname = 'imp_push')});
	my %figures = (
		seconds => time - $self->{began},
		messages => $messages,
		pushes => $self->{pushes},
		repeats => $repeats,
		stored => $stored,
		dead => $dead,
		%{ $self->process });

	$figures{"size:$_"} = delete $sizes{$_} foreach @tables;
	$figures{'size:others'} += $_ foreach values %sizes;
	return \%figures;
}

sub process
{
	my ($self) = @_;
	my $pid = $self->{worker};
	my ($threads) = slurp_file("/proc/$pid/status") =~ /^Threads:\s+(\d+)/m;
	my @descriptors = map { readlink || () } glob "/proc/$pid/fd/*";
	my $files = grep { m{/base/} } @descriptors;

	return {
		memory => resident_kb($pid),
		descriptors => @descriptors - $files,
		files => $files,
		threads => $threads,
	};
}

=item ImpPush::Soak::heading, ImpPush::Soak::line($figures)

A table of the figures; sizes are in kB.

=cut

my @columns =
  qw(messages pushes repeats memory descriptors files threads dead stored);
my @sizes = map { "size:$_" } @tables, 'others';

sub heading
{
	return sprintf '%8s' . ' %11s' x @columns . ' %15s' x @sizes . '  %s',
	  'seconds', @columns, (map { s/size://r } @sizes), 'fault';
}

sub line
{
	my ($figures) = @_;

	return sprintf '%8.1f' . ' %11d' x @columns . ' %15d' x @sizes . '  %s',
	  @$figures{ 'seconds', @columns, @sizes, 'fault' };
}

=item ImpPush::Soak::grown($before, $after, @names)

The figures among these (all of them if none is named) of which the greatest
value in B<after> is more than may be above that in B<before>, both lists of
figures over whole rounds, so that each fault is in either.

=item ImpPush::Soak::criterion

That, in words.

=cut

# What may be added, in hundredths and beside that.  Autovacuum comes when it
# comes, and a table gets a few more pages if it comes late.
my %allowance = (
	memory => [ 5, 1024 ],
	descriptors => [ 0, 4 ],
	files => [ 10, 10 ],
	threads => [ 0, 1 ],
	dead => [ 50, 2000 ],
	stored => [ 20, 500 ],
	map { ($_ => [ 20, 1024 ]) } @sizes);

sub grown
{
	my ($before, $after, @names) = @_;
	my @grown;

	@names = sort keys %allowance unless @names;
	foreach my $name (@names)
	{
		my ($hundredths, $more) = @{ $allowance{$name} };
		my $was = max map { $_->{$name} } @$before;
		my $is = max map { $_->{$name} } @$after;

		push @grown, "$name from $was to $is"
		  if $is > $was * (1 + $hundredths / 100) + $more;
	}
	return join ', ', @grown;
}

sub criterion
{
	return join ', ', map {
		my ($hundredths, $more) = @{ $allowance{$_} };
		"$_ + $hundredths % + $more"
	} sort keys %allowance;
}

=item $soak->settle

Ends the faults and waits until every message has its outcomes.

=cut

sub settle
{
	my ($self) = @_;

	$self->{sim}->control('reset');
	wait_settled($self->{node});
	$self->keep_books;
	return;
}

=item $soak->accounts

What became of everything that was stored, as texts: { lost (messages without
an outcome), untrue (sent, says delivery, and never arrived), unexpected
(endings that nothing here gives cause for), endings }.

=back

=cut

sub accounts
{
	my ($self) = @_;
	my $node = $self->{node};
	my $expected = join ', ', map { "'$_'" } @endings;

	return {
		lost => $node->safe_psql(
			'postgres',
			'SELECT string_agg(id::text, $$, $$) FROM soak.ledger AS l
			 WHERE NOT EXISTS (
				SELECT FROM soak.outcome AS o WHERE o.message_id = l.id)'),
		untrue => $node->safe_psql(
			'postgres',
			"SELECT string_agg(message_id::text, ', ') FROM soak.outcome AS o
			 WHERE o.status = 'sent' AND NOT EXISTS (
				SELECT FROM soak.arrived AS a WHERE a.apns_id = o.apns_id)"),
		unexpected => $node->safe_psql(
			'postgres',
			"SELECT concat_ws(' ', status, reason), count(*)
			 FROM soak.outcome
			 WHERE concat_ws(' ', status, reason) NOT IN ($expected)
			 GROUP BY 1"),
		endings => $node->safe_psql(
			'postgres',
			q{SELECT string_agg(ending || ' ' || n, ', ' ORDER BY n DESC)
			 FROM (
				SELECT concat_ws(' ', status, reason) AS ending, count(*) AS n
				FROM soak.outcome
				GROUP BY 1) AS e}),
	};
}

1;
