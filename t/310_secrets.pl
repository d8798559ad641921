# No token, key or text gets out: not into the server's log, however much that
# is told to say, not into errors, statistics of statements, the list of
# activities or what is shown to monitoring, and no key into a dump.

use strict;
use warnings;

use ImpPush;
use ImpPush::Faults;
use PostgreSQL::Test::Utils;
use Test::More;

my $number = 5;
my $sim = start_simulator();
my $node = new_node(
	'main',
	simulator => $sim,
	started => 0,
	conf => "shared_preload_libraries = 'imp_push, auto_explain, pg_stat_statements'
		pg_stat_statements.track = all
		log_statement = none
		log_min_messages = debug5
		log_error_verbosity = verbose
		log_lock_waits = on
		restart_after_crash = on
		imp_push.request_timeout = '2s'");
my $key = make_keys();
my ($key_line) = $key->{private} =~ /^(MIG.{40})/m;

# What must not get out, and how it looks.
my %secret = (
	'a text' => qr/CANARY/i,
	'a device token' => qr/c0ffee/i,
	'a key' => qr/PRIVATE KEY|\Q$key_line\E/,
	'a provider token' => qr/eyJ[A-Za-z0-9_-]{10}|bearer /i);

# One user a device, each token recognisable.
sub token
{
	my ($n) = @_;

	return sprintf 'c0ffee%058x', $n;
}

sub shows_no_secret
{
	my ($text, $where) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $what (sort keys %secret)
	{
		my ($line) = $text =~ /^(.*$secret{$what}.*)$/m;

		is($line, undef, "$where shows no sign of $what");
	}
	return;
}

# As an IM server would, whose statements the server is not told to log.
sub as_im
{
	my ($sql) = @_;

	local $ENV{PGOPTIONS} = '';
	return $node->psql('postgres', $sql, extra_params => [ '-U', 'im' ]);
}

# All columns of all rows of a query, as a role.
sub rows
{
	my ($role, $query) = @_;

	return scalar $node->safe_psql('postgres',
		"SET ROLE $role; SELECT t::text FROM ($query) t");
}

# The plans of the worker's statements go into the log as well, with whatever
# is in them; ours do not, since what we insert stands in our statements.
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION pg_stat_statements;
	CREATE ROLE im LOGIN;
	CREATE ROLE monitor LOGIN;
	SELECT imp_push.grant_app('im'), imp_push.grant_monitor('monitor');
	DO $$
	BEGIN
		EXECUTE format('ALTER ROLE %I SET auto_explain.log_min_duration = 0', current_user);
		EXECUTE format('ALTER ROLE %I SET auto_explain.log_nested_statements = on', current_user);
		EXECUTE format('ALTER ROLE %I SET auto_explain.log_verbose = on', current_user);
		IF current_setting('server_version_num')::int >= 160000 THEN
			EXECUTE format('ALTER ROLE %I SET auto_explain.log_parameter_max_length = 0', current_user);
		END IF;
	END $$});
$ENV{PGOPTIONS} = '-c auto_explain.log_min_duration=-1';
my $log_start = -s $node->logfile;

sub bind_all
{
	return as_im(
		join ';',
		map {
			"SELECT imp_push.bind_device('user$_', 'phone', 'chat', '"
			  . token($_) . "')"
		} 1 .. $number);
}

is((bind_all())[0], 0, 'devices are bound');
as_im(
	q{INSERT INTO imp_push.user_profile (user_id, nickname, display_style)
	SELECT 'user' || i, 'Canary', 'summary' FROM generate_series(1, 5) i;
	INSERT INTO imp_push.contact_remark VALUES ('user1', 'sender', 'my Canary')});

sub message
{
	my ($msg_id, $recipient) = @_;

	return qq{INSERT INTO imp_push.offline_message
			(recipient, sender, sender_name, msg_id, body, ext, translations)
		SELECT u, 'sender', 'Canary', '$msg_id', 'CANARY body ' || u,
			'{"em_apns_ext": {"em_alert_subTitle": "CANARY subtitle",
				"extern": "CANARY extern"}}',
			'{"fr": "CANARY traduit"}'
		FROM unnest(ARRAY[$recipient]) u};
}
my $all = join ', ', map { "'user$_'" } 1 .. $number;

# The way of a message

$node->safe_psql('postgres', 'SELECT imp_push.start()');
as_im(message('way', $all));
wait_settled($node);
is(scalar(grep { $_->{payload} =~ /CANARY body user/ } $sim->accepted),
	$number, 'texts are delivered');

# Answers of all kinds, and no answer

foreach my $fault (
	'count=1 status=403 reason=InvalidProviderToken',
	'count=1 garbage', 'count=1 redirect', 'count=1 reset', 'count=1 refuse',
	'count=1 status=400 reason=Odd',
	'count=1 status=400 reason=BadDeviceToken', 'count=1 status=410')
{
	my ($name) = $fault =~ /(\w+)$/;

	$sim->control("fault $fault");
	as_im(message("fault $name", $all));
	ok( $node->poll_query_until(
			'postgres', "SELECT bool_and(status IN ('sent', 'failed', 'suppressed'))
				FROM imp_push.delivery WHERE msg_id = 'fault $name'"),
		"settled in spite of $name");
}
bind_all();

# An error in the database that quotes what it stumbled over

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM (SELECT body FROM imp_push.offline_message
			WHERE id = NEW.message_id)::int;
		RETURN NEW;
	END $$;
	CREATE TRIGGER stumble BEFORE INSERT ON imp_push.delivery_log FOR EACH ROW
		WHEN (NEW.msg_id = 'stumble' AND NEW.status <> 'failed')
		EXECUTE FUNCTION stumble()});
as_im(message('stumble', q{'user1', 'nobody'}));
wait_settled($node);
is( $node->safe_psql(
		'postgres', q{SELECT string_agg(DISTINCT reason, ',') FROM imp_push.delivery
		WHERE msg_id = 'stumble'}),
	'22P02',
	'an error that quotes a text is recorded by its SQLSTATE');
$node->safe_psql('postgres', 'DROP FUNCTION stumble() CASCADE');

# Values that are refused, given as literals

my $good = token(1);
my $message = 'INSERT INTO imp_push.offline_message (recipient, sender, body';

foreach my $refused (
	[ 'no recipient', "$message) VALUES (NULL, 's', 'CANARY')" ],
	[ 'an empty one', "$message) VALUES ('', 's', 'CANARY')" ],
	[ 'a long one', "$message) VALUES (repeat('x', 2000), 's', 'CANARY')" ],
	[ 'a wrong chat_type', "$message, chat_type) VALUES ('r', 's', 'CANARY', 'x')" ],
	[ 'no group', "$message, chat_type) VALUES ('r', 's', 'CANARY', 'groupchat')" ],
	[ 'an array as ext', qq{$message, ext) VALUES ('r', 's', 'CANARY', '["CANARY"]')} ],
	[ 'a text as translations', qq{$message, translations) VALUES ('r', 's', 'x', '"CANARY"')} ],
	[ 'the end of time', "$message, created_at) VALUES ('r', 's', 'CANARY', 'infinity')" ],
	[ 'a number below 1', "$message, id) VALUES ('r', 's', 'CANARY', 0)" ],
	[ 'another msg_id', "UPDATE imp_push.offline_message SET msg_id = 'x', body = 'CANARY'" ],
	[ 'a message by COPY', "COPY imp_push.offline_message (recipient, sender, body) FROM STDIN;\n\tCANARY\tCANARY body\n\\.\n" ],
	[ 'half a byte as token', "SELECT imp_push.bind_device('u', 'd', 'chat', '${good}0')" ],
	[ 'a long token', "SELECT imp_push.bind_device('u', 'd', 'chat', repeat('$good', 10))" ],
	[ 'no hex', "INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('u', 'd', 'chat', '${good}x')" ],
	[ 'no such certificate', "SELECT imp_push.bind_device('u', 'd', 'other', '$good')" ],
	[ 'no user', "SELECT imp_push.bind_device('', 'd', 'chat', '$good')" ],
	[ 'a registration at the end of time', "INSERT INTO imp_push.device_token VALUES ('u', 'd', 'chat', '$good', 'infinity')" ],
	[ 'arguments in the wrong order', "SELECT imp_push.bind_device('u', 'd', '$good', 'chat')" ],
	[ 'a token by COPY', "COPY imp_push.device_token (user_id, device_id, certificate, token) FROM STDIN;\nu\td\tchat\t${good}x\n\\.\n" ],
	[ 'a nickname that is too long', "UPDATE imp_push.user_profile SET nickname = repeat('Canary', 20)" ],
	[ 'a message that cannot be simulated', "SELECT * FROM imp_push.simulate('', 's', 'CANARY')" ],
	[ 'one without a group', "SELECT * FROM imp_push.simulate('r', 's', 'CANARY', 'groupchat')" ])
{
	my ($name, $sql) = @$refused;
	my ($status, undef, $error) = as_im($sql);

	# Who wrote it may well see it again: psql shows the statement.
	$error =~ s/^LINE .*\n.*\^//mg;
	isnt($status, 0, "$name is refused");
	shows_no_secret($error, "the error for $name");
}
foreach my $refused (
	"'nowhere', '$good', 'CANARY', 'CANARY'",
	"'chat', '${good}x', 'CANARY', 'CANARY'")
{
	isnt($node->psql('postgres', "SELECT imp_push.send_test($refused)"),
		0, 'a test that cannot be sent is refused');
}

# As parameters, whatever the reason: the key is taken.

append_to_file("$PostgreSQL::Test::Utils::tmp_check/again.sql",
	"$message, msg_id) VALUES (:recipient, 'sender', :body, 'way');\n");
{
	local $ENV{PGOPTIONS} = '';

	command_fails_like(
	[
		'pgbench', '-n', '-t1', '-M', 'extended', '-h', $node->host,
		'-p', $node->port, '-U', 'im', '-f',
		"$PostgreSQL::Test::Utils::tmp_check/again.sql",
		'-D', 'recipient=user1', '-D', 'body=CANARY', 'postgres'
	],
	qr/duplicate key/,
	'a duplicate, with parameters, is refused');
}

# Crash, cancellation and the end

$sim->control('fault silent');
my $before = $sim->requests;
as_im(message('crash', $all));
$sim->wait_for(1 + $before);
shows_no_secret(
	$node->safe_psql('postgres',
		q{SELECT a::text FROM pg_stat_activity a
		WHERE backend_type LIKE 'imp_push%' OR application_name LIKE 'imp_push%'}),
	'pg_stat_activity');
kill_worker($node, worker_process($node));
$sim->control('clear');
wait_settled($node);
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . wait_for_worker($node) . ')');
as_im(message('end', q{'user1'}));
wait_settled($node);

# What monitoring sees, and what is dumped

foreach my $view (qw(worker_status certificate_status metrics delivery))
{
	my $rows = rows('monitor', "SELECT * FROM imp_push.$view");

	isnt($rows, '', "$view has rows");
	shows_no_secret($rows, $view);
}
shows_no_secret(
	rows('monitor', q{SELECT e.* FROM imp_push.delivery d, imp_push.explain(d.recipient, d.msg_id) e}),
	'explain');
my $statements = rows('none', 'SELECT query FROM pg_stat_statements');

like($statements, qr/SELECT d FROM imp_push\.decide/, 'statements are counted, also the worker\'s');
shows_no_secret($statements, 'pg_stat_statements');

my $dump = `pg_dump -h @{[ $node->host ]} -p @{[ $node->port ]} postgres`;

is( $node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM imp_push.certificate_key) > 0
		AND (SELECT count(*) FROM imp_push.provider_token) > 0}),
	't', 'there are a key and a provider token');
like($dump, qr/c0ffee.*CANARY/s, 'a dump holds devices and messages');
unlike($dump, $secret{$_}, "a dump holds no sign of $_")
  foreach 'a key', 'a provider token';

# The log

$node->stop;
my $log = slurp_file($node->logfile, $log_start);

like($log, qr/DEBUG:.*StartTransaction/, 'the log says a lot');
like($log, qr/Query Text: .*imp_push\.decide/,
	'it has the plans of the worker');
like($log, qr/could not plan: SQLSTATE 22P02/, 'it has an error of the worker');
like($log, qr/ERROR: .*invalid value for column "token"/,
	'it has errors of users');
shows_no_secret($log, 'the log');

done_testing();
