# Bench.pm
#		What the benchmarks have in common: servers, people, clocks, figures.
#
# Owns the throw-away cluster and the simulator, how they are configured, and
# the reading of clocks: wall time, a process' user and system time, WAL.  Must
# never leave a process behind, and never judges a figure: Report.pm prints
# them.  Only Perl's own modules, PostgreSQL's programs and ours.

package Bench;

use strict;
use warnings;
use utf8;

use Exporter 'import';
use File::Path qw(make_path);
use IO::Socket::INET;
use IPC::Open2;
use MIME::Base64;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep clock_gettime);

our @EXPORT = qw(
  quick size_of start_cluster restart_cluster start_sink stop_sink sink_stats
  psql query_value ask spawn_program stop_program cpu_of note create_people
  store_messages add_messages fresh_messages start_worker stop_worker worker_pid worker_state
  wait_until run_program fake_token logfile url sink_ctl settled_count
  waiting_count work_dir bin sink_log_lines configure forget_people push_cost
  wal_stats memory_of wait_for_pushes node_is_there rounds logged patiently
);

my $work = $ENV{WORK} || die "WORK is not set: use bench/run\n";
my $pg_config = $ENV{PG_CONFIG} || die "PG_CONFIG is not set\n";
my $size = $ENV{BENCH_SIZE} || 'full';
my $data = "$work/data";
my $bindir;

my %programs;    # pid → name, of what has to be stopped
my $postmaster;
my ($to_psql, $from_psql, $psql_pid);
my $sink;

chomp($bindir = `$pg_config --bindir`);
make_path("$work/log");

sub work_dir { return $work; }
sub bin { return "$bindir/$_[0]"; }
sub logfile { return "$work/log/$_[0]"; }

# How much is measured: full, quick or short, what dev/check takes.
my %size_index = (full => 0, quick => 1, short => 2);

die "BENCH_SIZE: full, quick or short\n" if !defined $size_index{$size};

sub quick { return $size ne 'full'; }

# size_of(full, quick, short): without a third, short is as quick.
sub size_of
{
	my $index = $size_index{$size};

	return $_[ $index < $#_ ? $index : $#_ ];
}

my $began = time;

sub note
{
	printf STDERR "[%4d s] %s\n", time - $began, join('', @_);
	return;
}

# What a program has written to its log.
sub logged
{
	my ($name) = @_;

	open my $log, '<', logfile($name) or return '';
	local $/;
	return <$log> // '';
}

# The Node.js worker and what it needs; bench/install-peers puts it there.
sub node_is_there
{
	my $modules = 'bench/node-worker/node_modules';

	return
		 -d "$modules/pg"
	  && -d "$modules/\@parse/node-apn"
	  && grep { -x "$_/node" } split /:/, $ENV{PATH};
}

# ---------- processes ----------

# Starts a program with its output in a log; returns its pid.  What an earlier
# one of that name has said is gone when it returns.
sub spawn_program
{
	my ($name, $environment, @command) = @_;

	unlink logfile($name);
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		$ENV{$_} = $environment->{$_} for keys %$environment;
		# (Not "die": what ends this process' parent is none of its business.)
		open(STDIN, '<', '/dev/null')
		  && open(STDOUT, '>', logfile($name))
		  && open(STDERR, '>&', \*STDOUT)
		  && exec { $command[0] } @command;
		POSIX::_exit(127);
	}
	$programs{$pid} = $name;
	return $pid;
}

sub stop_program
{
	my ($pid) = @_;

	kill 'TERM', $pid;
	waitpid $pid, 0;
	delete $programs{$pid};
	return;
}

# Runs a program to its end and returns what it printed.
sub run_program
{
	my (@command) = @_;

	open my $pipe, '-|', @command or die "$command[0]: $!\n";
	local $/;
	my $output = <$pipe>;
	close $pipe or die "failed ($?): @command\n$output";
	return $output;
}

# Waits for a condition, with a deadline.
sub wait_until
{
	my ($what, $condition, %opts) = @_;
	my $deadline = time + ($opts{seconds} || 60);

	until ($condition->())
	{
		die "waited in vain for $what\n" if time > $deadline;
		sleep($opts{every} || 0.02);
	}
	return;
}

# Waits until the sink has accepted so many more than before, and says every
# few seconds how far it is.  In vain once it has got no more for a minute.
sub wait_for_pushes
{
	my ($before, $expected) = @_;
	my ($accepted, $grown_at, $say_at) = (0, time, time + 5);

	while ($accepted < $expected)
	{
		my $now = sink_stats()->{accepted} - $before;

		$grown_at = time if $now > $accepted;
		$accepted = $now;
		die "the sink got $accepted of $expected pushes, and no more\n"
		  if time - $grown_at > 60;
		if (time > $say_at)
		{
			note("  $accepted of $expected pushed");
			$say_at = time + 5;
		}
		sleep(0.02) if $accepted < $expected;
	}
	return;
}

# Sleeps, and says every few seconds how long it still will.
sub patiently
{
	my ($seconds) = @_;
	my $until = time + $seconds;

	while ((my $rest = $until - time) > 0)
	{
		note(sprintf '  %.0f s to go', $rest) if $rest < $seconds - 1;
		sleep($rest < 10 ? $rest : 10);
	}
	return;
}

END
{
	my $status = $?;

	stop_program($_) for keys %programs;
	end_session();
	system("$bindir/pg_ctl", '-D', $data, '-m', 'immediate', '-s', 'stop')
	  if $postmaster;
	$? = $status;
}

$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 130; };

# ---------- clocks ----------

# User and system seconds of a process so far, those of its threads included, or
# 0 if it has gone.  The number of its clock is that of clock_getcpuclockid(3);
# /proc/PID/stat counts hundredths of a second.
sub cpu_of
{
	my ($pid) = @_;
	my $seconds = clock_gettime((~int($pid) << 3) | 2);

	return $seconds < 0 ? 0 : $seconds;
}

sub rounds
{
	my ($n) = @_;

	return $n == 1 ? 'one round' : "$n interleaved rounds";
}

# ---------- PostgreSQL ----------

sub psql
{
	my (@statements) = @_;

	run_program("$bindir/psql", '-XqAt', '-v', 'ON_ERROR_STOP=1',
		map { ('-c', $_) } @statements);
	return;
}

# Answers of one psql that stays: for what is asked often.
sub ask
{
	my ($sql) = @_;
	my @rows;

	if (!$psql_pid)
	{
		$psql_pid = open2($from_psql, $to_psql, "$bindir/psql", '-XqAt', '-v',
			'ON_ERROR_STOP=1');
		$to_psql->autoflush(1);
	}
	print $to_psql "$sql;\n\\echo :END:\n";
	while (my $line = <$from_psql>)
	{
		chomp $line;
		return wantarray ? @rows : $rows[0] if $line eq ':END:';
		push @rows, $line;
	}
	die "psql has gone, at: $sql\n";
}

sub end_session
{
	return if !$psql_pid;
	close $to_psql;
	waitpid $psql_pid, 0;
	undef $psql_pid;
	return;
}

sub query_value { return scalar ask(@_); }

sub configure
{
	my (%settings) = @_;

	psql(map { "ALTER SYSTEM SET $_ = '$settings{$_}'" } keys %settings);
	psql('SELECT pg_reload_conf()');
	return;
}

sub start_cluster
{
	my (%settings) = @_;
	my %all = (
		listen_addresses => '',
		unix_socket_directories => $work,
		port => $ENV{BENCH_PORT} || 5432,
		max_connections => 100,
		shared_buffers => '512MB',
		max_wal_size => '8GB',
		checkpoint_timeout => '30min',
		shared_preload_libraries => 'imp_push',
		'imp_push.databases' => 'bench',
		'imp_push.ca_file' => "$work/apns/ca.pem",
		%settings);

	run_program("$bindir/initdb", '-D', $data, '-A', 'trust', '-U', 'postgres',
		'--encoding=UTF8', '--locale=' . ($ENV{BENCH_LOCALE} || 'C.UTF-8'));
	open my $conf, '>>', "$data/postgresql.conf" or die;
	print $conf "$_ = '$all{$_}'\n" for sort keys %all;
	close $conf;
	run_program("$bindir/pg_ctl", '-D', $data, '-l', logfile('postgresql'),
		'-w', 'start');
	$postmaster = 1;

	$ENV{PGHOST} = $work;
	$ENV{PGPORT} = $all{port};
	$ENV{PGUSER} = 'postgres';
	$ENV{PGDATABASE} = 'postgres';
	$ENV{PGOPTIONS} = '-c client_min_messages=warning';
	psql('CREATE DATABASE bench');
	$ENV{PGDATABASE} = 'bench';
	psql('CREATE EXTENSION imp_push');
	run_program("$bindir/psql", '-Xq', '-v', 'ON_ERROR_STOP=1', '-f',
		'bench/sql/schema.sql');
	return;
}

# The same cluster with other settings, which stay.
sub restart_cluster
{
	my (%settings) = @_;

	psql(map { "ALTER SYSTEM SET $_ = $settings{$_}" } keys %settings);
	end_session();
	run_program("$bindir/pg_ctl", '-D', $data, '-l', logfile('postgresql'),
		'-w', '-m', 'fast', 'restart');
	return;
}

# ---------- the sink ----------

# One sink at a time; its port stays the same.
sub start_sink
{
	my (@options) = @_;

	stop_sink() if $sink;
	make_path("$work/apns");
	unlink "$work/apns/ready", "$work/apns/requests.log";
	my $pid = spawn_program(
		'apnsim', {},
		'apnsim/apnsim', 'serve', '--dir', "$work/apns", '--trust-any-key',
		($sink ? ('--port', $sink->{port}) : ()), @options);
	wait_until('apnsim', sub { -s "$work/apns/ready" });
	open my $ready, '<', "$work/apns/ready" or die;
	my ($port, $control) = split ' ', <$ready>;
	$sink = { pid => $pid, port => $port, control => $control };
	return $sink;
}

sub stop_sink
{
	stop_program($sink->{pid});
	return;
}

sub url { return "https://localhost:$sink->{port}"; }

sub sink_ctl
{
	my ($command) = @_;
	my $socket = IO::Socket::INET->new("127.0.0.1:$sink->{control}")
	  or die "apnsim does not answer: $@\n";

	print $socket "$command\n";
	my $answer = <$socket>;
	die "apnsim: $answer" if $answer !~ /^ok/;
	return $answer;
}

sub sink_stats
{
	my %stats = sink_ctl('stats') =~ /(\w+)=(\d+)/g;

	return \%stats;
}

sub sink_log_lines
{
	open my $log, '<', "$work/apns/requests.log" or die;
	my @lines = <$log>;
	return @lines;
}

# A provider token that is well formed; the sink trusts any key.
sub fake_token
{
	my $issued = int(time);
	my $encode = sub {
		my $text = encode_base64($_[0], '');

		$text =~ tr{+/=}{-_}d;
		return $text;
	};

	return 'bearer ' . join '.',
	  $encode->('{"alg":"ES256","kid":"KEY0000001"}'),
	  $encode->("{\"iss\":\"TEAM000001\",\"iat\":$issued}"),
	  $encode->('x' x 64);
}

# ---------- what is pushed ----------

my $people = 0;

# Users u1 to un, and the certificate.
sub create_people
{
	my ($n) = @_;

	if (!$people)
	{
		run_program(
			'openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt',
			'ec_paramgen_curve:P-256', '-out', "$work/key.p8")
		  if !-e "$work/key.p8";
		psql(
			"SELECT imp_push.set_certificate('chat', 'com.example.chat',
				'development', 'TEAM000001', 'KEY0000001',
				pg_read_file('$work/key.p8'), endpoint => '" . url() . "')");
	}
	return if $n <= $people;
	for (my $first = $people + 1; $first <= $n; $first += 50_000)
	{
		my $last = $first + 49_999 < $n ? $first + 49_999 : $n;
		psql("SELECT bench.add_people($first, $last)");
		note("  $last of $n people") if $n > 100_000;
	}
	psql('VACUUM ANALYZE');
	$people = $n;
	return;
}

# Messages first to last, in one statement, scattered over the people, or over
# the first so many of them; each names one of so many templates (none: 0).
sub store_messages
{
	my ($table, $first, $last, $prefix, %opts) = @_;

	ask("SELECT bench.add_messages('$table', $first, $last, "
		  . ($opts{people} || $people) . ", '$prefix', "
		  . ($opts{templates} || 0) . ')');
	return;
}

# n messages, with the same options.
sub add_messages
{
	my ($table, $n, $prefix, %opts) = @_;

	for (my $first = 1; $first <= $n; $first += 100_000)
	{
		my $last = $first + 99_999 < $n ? $first + 99_999 : $n;
		store_messages($table, $first, $last, $prefix, %opts);
		note("  $last of $n messages stored") if $n > 100_000;
	}
	return;
}

# The same into an empty table, ready to be pushed: the worker is stopped.
sub fresh_messages
{
	my ($table, $n, $prefix, %opts) = @_;

	psql($table =~ /node/ ? 'TRUNCATE bench.node_message, bench.node_outcome'
		: 'TRUNCATE imp_push.offline_message, imp_push.delivery_log,
			imp_push.waiting, imp_push.worker_cursor');
	add_messages($table, $n, $prefix, %opts);
	psql("VACUUM ANALYZE $table", 'CHECKPOINT');
	return;
}

sub worker_pid
{
	return query_value(
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'imp_push worker'");
}

# As it has written it down: idle, working, …; empty if there is none.
sub worker_state
{
	return query_value('SELECT s.state FROM imp_push.worker_state s
		JOIN pg_stat_activity a USING (pid)') // '';
}

sub start_worker
{
	psql('SELECT imp_push.start()');
	return;
}

sub stop_worker
{
	psql('SELECT imp_push.stop()');
	wait_until('the worker to leave', sub { !worker_pid() });
	return;
}

sub settled_count
{
	return query_value('SELECT count(*) FROM imp_push.delivery_log');
}

sub waiting_count
{
	return query_value('SELECT count(*) FROM imp_push.waiting');
}

# Everybody is gone, and so are the certificates.
sub forget_people
{
	psql('TRUNCATE imp_push.device_token, imp_push.presence, imp_push.user_profile,
		imp_push.dnd, imp_push.offline_message, imp_push.delivery_log,
		imp_push.waiting, imp_push.worker_cursor',
		'DELETE FROM imp_push.certificate');
	$people = 0;
	return;
}

# Pushes what is stored: seconds, and CPU seconds of the worker.  store: stores
# it, if the worker may be at work already, who would be counted too late.
sub push_cost
{
	my ($expected, %opts) = @_;
	my $settled = settled_count();
	my $accepted = sink_stats()->{accepted};
	my $started = time;

	$opts{store}->() if $opts{store};
	start_worker();
	wait_for_pushes($accepted, $expected);
	wait_until('outcomes', sub { settled_count() - $settled >= $expected });
	my $seconds = time - $started;
	my $cpu = cpu_of(worker_pid());

	stop_worker() if !$opts{stay};
	return ($seconds, $cpu);
}

# WAL since the server started: records, full page images, bytes.
sub wal_stats
{
	my ($line) = ask('SELECT wal_records, wal_fpi, wal_bytes FROM pg_stat_wal');
	return split /\|/, $line;
}

# Resident memory in kB: of its own, of files, of shared memory.
sub memory_of
{
	my ($pid) = @_;
	my %kb;

	open my $status, '<', "/proc/$pid/status" or die;
	while (<$status>)
	{
		$kb{$1} = $2 if /^Rss(\w+):\s+(\d+)/;
	}
	return @kb{qw(Anon File Shmem)};
}

1;
