# Failover under load, there and back: whatever the standby has got is pushed,
# and there is one worker at any time.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 200;
my $sim = start_simulator();
my $first = new_node(
	'first',
	simulator => $sim,
	allows_streaming => 1,
	conf => "wal_log_hints = on
		wal_keep_size = '256MB'
		log_statement = none");
my $second = PostgreSQL::Test::Cluster->new('second');

bind_users($first, $users);
$first->backup('backup');
$second->init_from_backup($first, 'backup', has_streaming => 1);
$second->start;

wait_for_standby($first, '*');

# '*': commits that a client is told of are on the standby as well.
sub wait_for_standby
{
	my ($node, $names) = @_;

	$node->append_conf('postgresql.conf',
		"synchronous_standby_names = '$names'");
	$node->reload;
	return;
}

# The number of messages that a client was told of: it inserts one after the
# other until the server is gone.
sub start_load
{
	my ($node, $name) = @_;
	my $script =
	  PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
	my $load = { out => '', err => '' };

	append_to_file(
		$script, qq{
		\\set person random(1, $users)
		INSERT INTO imp_push.offline_message (sender, recipient, msg_id)
		VALUES ('s', 'user' || :person, '$name ' || gen_random_uuid());
		\\sleep 1 ms});
	$load->{process} = IPC::Run::start(
		[
			'pgbench', '-n', '-h', $node->host, '-p', $node->port,
			'-f', $script, '-c', '4', '-T', '60', 'postgres'
		],
		'<', '/dev/null', '>', \$load->{out}, '2>', \$load->{err},
		IPC::Run::timeout(120));
	return $load;
}

sub acknowledged
{
	my ($load) = @_;

	$load->{process}->finish;
	my ($number) =
	  $load->{out} =~ /number of transactions actually processed: (\d+)/;
	return $number;
}

sub stored
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		'SELECT count(*) FROM imp_push.offline_message');
}

sub workers
{
	my @processes = worker_processes(@_);

	return scalar @processes;
}

# Crashes one under load and promotes the other; tests that nothing is lost.
sub fail_over
{
	my ($from, $to, $name) = @_;
	my $before = stored($from);
	my $arrived = accepted_count($sim);
	my $load;
	my $told;
	my $number;

	$sim->control('fault delay=20');
	$load = start_load($from, $name);
	$sim->wait_for_accepted($arrived + 500);
	$from->stop('immediate');
	$told = acknowledged($load);
	wait_for_standby($to, '');
	$to->promote;
	$sim->control('clear');

	$number = stored($to);
	cmp_ok($number, '>=', $before + $told,
		"$name: whatever a client was told of is there");
	insert_message($to, 'user1', 'hello', msg_id => "after $name");
	wait_settled($to);
	none_lost($sim, $number + 1, $name, $to);
	is( $to->safe_psql(
			'postgres',
			'SELECT status, count(*) FROM imp_push.delivery GROUP BY status'),
		'sent|' . ($number + 1),
		"$name: delivery says sent of all of them");
	is($sim->stats->{jwts}, 1, "$name: not one new provider token");
	is(workers($to), 1, "$name: there is one worker");
	return;
}

# The one that was primary comes back as the standby of the other.
sub rewind
{
	my ($node, $primary) = @_;
	my $data = $node->data_dir;
	my $conf = slurp_file("$data/postgresql.conf");

	# From here on the other says that its history is another one.
	$primary->safe_psql('postgres', 'CHECKPOINT');
	command_ok(
		[
			'pg_rewind', '-D', $data,
			'--source-server', $primary->connstr('postgres')
		],
		$node->name . ' is rewound');
	# It brings the configuration of the other along.
	unlink "$data/postgresql.conf";
	append_to_file("$data/postgresql.conf", $conf);
	$node->enable_streaming($primary);
	$node->start;
	wait_for_standby($primary, '*');
	$primary->wait_for_catchup($node->name);
	is($node->safe_psql('postgres', 'SELECT state FROM imp_push.worker_status'),
		'standby', $node->name . ' is a standby and says so');
	is(workers($primary), 1, $primary->name . ' has one worker');
	is(workers($node), 0, $node->name . ' has none');
	return;
}

fail_over($first, $second, 'there');
rewind($first, $second);
insert_to_users($second, $users, msg_id => 'with the old one as standby');
wait_settled($second);
none_lost($sim, stored($second), 'with the old primary as standby', $second);
fail_over($second, $first, 'back');

done_testing();
