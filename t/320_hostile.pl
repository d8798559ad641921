# The worker does what it was made for and nothing else, whoever else is in
# the database: objects of others that have the names of ours, settings of the
# database and of roles, locks and signals of people who were granted nothing.

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
	conf => "log_statement = none
		max_locks_per_transaction = 200");

sub delivers
{
	my ($name) = @_;

	$sim->forget;
	insert_to_users($node, $number, msg_id => $name);
	$sim->wait_for_accepted($number);
	wait_settled($node);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	arrived_once($sim, $number, $name);
	return;
}

# A session that stays open after these statements.
sub open_session
{
	my ($role, $sql) = @_;
	my $session =
	  $node->background_psql('postgres', extra_params => [ '-U', $role ]);

	$session->query_safe($sql);
	return $session;
}

bind_users($node, $number);
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN; CREATE ROLE monitor LOGIN;
	CREATE ROLE mallory LOGIN; SELECT imp_push.grant_monitor($$monitor$$)');

# Locks and signals of a role that was granted nothing

{
	my $pid = wait_for_worker($node);
	my $locks = join '; ',
	  map {
		my $class = $_;
		"SELECT count(pg_advisory_lock($class, i)) FROM generate_series(0, 300) i"
	  } 0 .. 3;
	my $session = open_session('stranger',
		"BEGIN; SELECT count(pg_advisory_lock(i)) FROM generate_series(0, 300) i; $locks;
		SELECT count(pg_advisory_lock(d.oid::int, 0)) FROM pg_database d;
		SELECT count(pg_advisory_lock((d.oid::bigint << 32) + i)) FROM pg_database d, generate_series(0, 3) i;
		SELECT pg_advisory_lock(18768), pg_advisory_lock(18768, 18768);
		CREATE TEMP TABLE mine AS SELECT 1; SAVEPOINT a;
		LOCK TABLE pg_class, pg_proc, pg_extension, pg_database, pg_depend IN ACCESS SHARE MODE");
	my $reader = open_session('stranger',
		'LISTEN imp_push; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM pg_class');
	my $viewer = open_session('monitor',
		'BEGIN; SELECT count(*) FROM imp_push.delivery; SELECT count(*) FROM imp_push.metrics');

	foreach my $sql (
		"SELECT pg_terminate_backend($pid)", "SELECT pg_cancel_backend($pid)",
		'LOCK TABLE imp_push.offline_message IN ACCESS SHARE MODE',
		'SELECT FROM imp_push.settings FOR UPDATE',
		'LOCK TABLE pg_extension IN SHARE MODE',
		'ALTER SYSTEM SET imp_push.enabled = off', 'SET imp_push.enabled = off',
		'COMMENT ON DATABASE postgres IS $$mine$$')
	{
		foreach my $role ('stranger', 'monitor')
		{
			isnt(
				$node->psql('postgres', $sql, extra_params => [ '-U', $role ]),
				0, "$role may not: $sql");
		}
	}
	delivers('past locks');
	is(wait_for_worker($node), $pid, 'past locks: the worker has lived');

	# And one that comes to a database that is locked like that.
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until(sub { my $new = worker_pid($node); return $new ne '' && $new != $pid },
		undef, 'another worker');
	delivers('a new worker, past locks');
	$_->quit foreach $session, $reader, $viewer;
}

# Anybody may ring the doorbell, with anything.
$node->safe_psql('postgres',
	q{SELECT count(pg_notify('imp_push', repeat('%s$(x)''', 100) || i)) FROM generate_series(1, 2000) i},
	extra_params => [ '-U', 'stranger' ]);
delivers('after 2,000 rings');

# Objects with the names of ours and of what they use, better matches for other
# arguments, where a session would find them first, and in our schema itself,
# where mallory should never have been let.  Whoever gets called says so.

$node->safe_psql(
	'postgres', q{
	CREATE SEQUENCE public.trapped;
	GRANT ALL ON SEQUENCE public.trapped TO PUBLIC;
	GRANT CREATE, USAGE ON SCHEMA public, imp_push TO mallory;
	GRANT CREATE, TEMPORARY ON DATABASE postgres TO mallory;
	CREATE SCHEMA first AUTHORIZATION mallory});
$node->safe_psql(
	'postgres', q{
	SET search_path = pg_catalog;
	-- A trap for each way to call a function by that name.
	CREATE FUNCTION pg_temp.trap(schema text, name text, args text[], result text, set boolean) RETURNS int LANGUAGE plpgsql AS $do$
	BEGIN
		EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS %s %s LANGUAGE plpgsql COST 0.01 AS
			$$BEGIN PERFORM nextval(''public.trapped''); RETURN%s; END$$',
			schema, name, array_to_string(args, ', '), CASE WHEN set THEN 'SETOF' ELSE '' END, result,
			CASE WHEN set OR result = 'void' THEN '' ELSE ' NULL' END);
		RETURN 1;
	EXCEPTION WHEN duplicate_function OR invalid_function_definition OR feature_not_supported OR datatype_mismatch OR syntax_error OR undefined_object THEN
		RETURN 0;
	END $do$;
	CREATE FUNCTION pg_temp.like(types text[], variant int) RETURNS text[] LANGUAGE sql AS $$
		SELECT CASE variant
			WHEN 1 THEN array_agg(CASE t WHEN 'text' THEN 'varchar' WHEN 'text[]' THEN 'varchar[]' WHEN 'bigint' THEN 'int'
				WHEN 'integer' THEN 'smallint' WHEN 'timestamp with time zone' THEN 'timestamp' WHEN 'jsonb' THEN 'json' ELSE t END ORDER BY n)
			WHEN 2 THEN array_agg(CASE t WHEN 'text' THEN 'name' WHEN 'integer' THEN 'bigint' WHEN 'bigint' THEN 'numeric' ELSE t END ORDER BY n)
			WHEN 3 THEN array_agg('anyelement'::text ORDER BY n)
			WHEN 4 THEN '{VARIADIC anyarray}' END
		FROM unnest(types) WITH ORDINALITY u(t, n) WHERE t IS NOT NULL $$;
	CREATE TABLE public.trap_target AS
		SELECT DISTINCT proname::text AS name, CASE WHEN prorettype = 'record'::regtype THEN 'void' WHEN prorettype IN ('imp_push.planned_push'::regtype, 'imp_push.decision'::regtype) THEN 'record' ELSE prorettype::regtype::text END AS result, proretset AND prorettype <> 'record'::regtype AS set,
			ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) WITH ORDINALITY u(t, n) ORDER BY n) AS args, pronamespace = 'imp_push'::regnamespace AS ours
		FROM pg_proc WHERE pronamespace = 'imp_push'::regnamespace AND prorettype <> 'trigger'::regtype
				AND 'imp_push.decision[]'::regtype <> ALL (proargtypes)
			OR pronamespace = 'pg_catalog'::regnamespace AND proname IN ('now', 'clock_timestamp', 'count', 'unnest', 'sha256', 'decode', 'encode', 'convert_to', 'lower', 'btrim', 'left', 'length',
				'jsonb_typeof', 'jsonb_build_object', 'jsonb_strip_nulls', 'array_agg', 'bool_or', 'to_timestamp', 'gen_random_uuid', 'format', 'pg_visible_in_snapshot', 'current_setting', 'regexp_match', 'texteq', 'int8eq') AND prokind = 'f';
	GRANT SELECT ON public.trap_target TO mallory;
	SET ROLE mallory;
	SELECT sum(pg_temp.trap(schema, name, pg_temp.like(args, variant), result, set)) FROM public.trap_target, generate_series(1, 4) variant, unnest('{imp_push,public,first}'::text[]) schema;
	SELECT sum(pg_temp.trap(schema, name, args, result, set)) FROM public.trap_target, (VALUES ('public'), ('first')) schemas(schema)});
my $traps = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_proc WHERE proowner = 'mallory'::regrole AND pronamespace = 'imp_push'::regnamespace});
cmp_ok($traps, '>', 150, "traps stand in the schema itself ($traps)");
$node->safe_psql(
	'postgres', q{
	SET ROLE mallory;
	CREATE FUNCTION public.trap_operator(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('public.trapped'); RETURN true; END$$;
	CREATE FUNCTION public.trap_operator(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('public.trapped'); RETURN true; END$$;
	CREATE FUNCTION public.trap_operator(text, varchar) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('public.trapped'); RETURN true; END$$;
	CREATE OPERATOR public.= (FUNCTION = public.trap_operator, LEFTARG = text, RIGHTARG = text);
	CREATE OPERATOR public.= (FUNCTION = public.trap_operator, LEFTARG = bigint, RIGHTARG = bigint);
	CREATE OPERATOR public.~ (FUNCTION = public.trap_operator, LEFTARG = text, RIGHTARG = text);
	CREATE OPERATOR imp_push.= (FUNCTION = public.trap_operator, LEFTARG = text, RIGHTARG = text);
	CREATE OPERATOR imp_push.= (FUNCTION = public.trap_operator, LEFTARG = text, RIGHTARG = varchar);
	CREATE OPERATOR imp_push.<> (FUNCTION = public.trap_operator, LEFTARG = text, RIGHTARG = text)});

# Views and tables by the names of ours, in a schema that is found first.
$node->safe_psql('postgres', join ';', 'SET ROLE mallory',
	map { "CREATE TABLE public.$_ (a int)" }
	  qw(settings certificate certificate_key provider_token offline_message
	  device_token presence waiting delivery_log control pg_extension pg_class));
ok($node->safe_psql('postgres', q{SET search_path = public, pg_catalog; SELECT count(*) FROM pg_extension WHERE true}) eq '0',
	'they are what a careless query would find');
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET search_path = first, public, imp_push, pg_catalog});

sub restart_worker
{
	my $pid = wait_for_worker($node);

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until(sub { my $new = worker_pid($node); return $new ne '' && $new != $pid },
		undef, 'another worker');
	return;
}

# With all that the worker does: a dead token, a test, a badge, a recall, a
# certificate that changes, people who come and go.
sub whole_day
{
	my ($name) = @_;

	$sim->control('fault count=1 prefix=' . token_of('user2') . ' status=410');
	$node->safe_psql(
		'postgres', qq{
		SET search_path = first, public, imp_push, pg_catalog;
		SELECT imp_push.set_presence('user7'::text, 'web'::text, 'online'::text, 's'::text, 'n'::text, '1 hour'::interval);
		SELECT imp_push.node_heartbeat('n'::text, '1 hour'::interval);
		SELECT imp_push.set_mode('user3'::text, 'mention_only'::text, 'groupchat'::text, 'g'::text),
			imp_push.set_dnd_interval('user3'::text, '00:00'::time, '00:00'::time), imp_push.set_dnd_duration('user3'::text, 0, 'app'::text, ''::text);
		SELECT imp_push.bind_device('user4'::text, 'phone'::text, 'chat'::text, 'abcdef'::text);
		SELECT imp_push.bind_device('user5'::text, 'phone'::text, 'chat'::text, 'abcdef'::text);
		INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, ext)
			SELECT 'user' || i, 's', '$name day', 'x', '{"em_apns_ext": {"em_push_title": "t"},
				"em_push_filter": {"ignore_device_id": ["other"]}, "em_at_list": "all"}'::jsonb
			FROM pg_catalog.generate_series(1, 6) i;
		SELECT imp_push.set_presence('user7'::text, 'web'::text, 'offline'::text, 's'::text, NULL::text, NULL::interval);
		SELECT imp_push.push_badge('user3'::text, NULL::text, NULL::int), imp_push.send_test('chat'::text, 'abcd'::text, 't'::text, 'b'::text);
		SELECT FROM imp_push.explain('user3'::text, '$name day'::text);
		SELECT FROM imp_push.simulate('user3'::text, 's'::text, 'x'::text, 'chat'::text, NULL::text, 'txt'::text, '{}'::jsonb, '{}'::jsonb, 'm'::text, pg_catalog.now());
		SELECT imp_push.logout('user6'::text, 'phone'::text, true);
		SELECT imp_push.recall_message('none'::text), imp_push.ack_offline_messages('user9'::text, '{1}'::bigint[]);
		UPDATE imp_push.certificate SET sound = '$name', endpoint = endpoint;
		UPDATE imp_push.settings SET push_unacknowledged = true});
	wait_settled($node);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is( $node->safe_psql(
			'postgres', qq{
			SELECT recipient, status, reason FROM imp_push.delivery
			WHERE msg_id = '$name day' ORDER BY recipient COLLATE "C"}),
		join("\n", 'user1|sent|', 'user2|failed|Unregistered', 'user3|sent|',
			'user4|suppressed|no_device_token', 'user5|sent|',
			'user6|suppressed|no_device_token'),
		"$name: a day like any other");
	$node->safe_psql('postgres', q{
		SELECT imp_push.forget_user('user9'::text, false);
		SELECT imp_push.set_dnd_interval('user3'::text, NULL::time, NULL::time);
		DELETE FROM imp_push.device_token});
	bind_users($node, $number);
	return;
}

{
	# What the test itself asks must not fall for them.
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog';

	restart_worker();
	whole_day('traps');
	delivers('traps');
	is( $node->safe_psql('postgres', 'SELECT is_called FROM public.trapped'),
		'f', 'nobody has called what mallory made');
}
is( $node->safe_psql('postgres', q{SET search_path = public, pg_catalog; SELECT 'a'::text = 'b'::text}),
	't', 'others are called ...');
is($node->safe_psql('postgres', 'SELECT is_called FROM public.trapped'),
	't', '... and seen');
$node->safe_psql('postgres',
	'ALTER DATABASE postgres RESET search_path; DROP OWNED BY mallory; DROP TABLE public.trap_target; SELECT setval($$public.trapped$$, 1, false)');

# Settings of the database and of the role that the worker connects as.

my %settings = (
	search_path => q{'public'}, role => q{'stranger'},
	default_transaction_read_only => 'on', default_transaction_isolation => 'serializable',
	default_transaction_deferrable => 'on', statement_timeout => '1', lock_timeout => '1',
	idle_in_transaction_session_timeout => '1', session_replication_role => 'replica',
	row_security => 'on', jit => 'on', jit_above_cost => '0', exit_on_error => 'on',
	DateStyle => q{'SQL, DMY'}, IntervalStyle => 'iso_8601', TimeZone => q{'Asia/Kathmandu'},
	bytea_output => 'escape', array_nulls => 'off', standard_conforming_strings => 'off',
	backslash_quote => 'off', escape_string_warning => 'on', quote_all_identifiers => 'on',
	transform_null_equals => 'on', check_function_bodies => 'off', client_encoding => 'LATIN1',
	client_min_messages => 'debug5', extra_float_digits => '-15', plan_cache_mode => 'force_custom_plan',
	synchronous_commit => 'remote_apply', enable_indexscan => 'off', enable_indexonlyscan => 'off',
	enable_nestloop => 'off', enable_seqscan => 'on', from_collapse_limit => '1', join_collapse_limit => '100',
	work_mem => q{'64kB'}, temp_file_limit => '0', max_stack_depth => q{'100kB'},
	session_preload_libraries => q{'nowhere'}, local_preload_libraries => q{'nowhere'},
	force_parallel_mode => 'on', 'imp_push.cancel_reason' => 'recalled');

if ($node->pg_version >= 16)
{
	delete $settings{force_parallel_mode};
	$settings{debug_parallel_query} = 'on';
}
$settings{transaction_timeout} = '1' if $node->pg_version >= 17;
delete $settings{standard_conforming_strings} if $node->pg_version >= 19;

foreach my $whose ('DATABASE postgres', 'ROLE ' . getpwuid($<) . ' IN DATABASE postgres')
{
	my $pid = wait_for_worker($node);

	$node->safe_psql('postgres', join ';',
		map { "ALTER $whose SET $_ = $settings{$_}" } sort keys %settings);
	is( $node->safe_psql('template1', q{SELECT count(*) FROM pg_db_role_setting s, unnest(setconfig)}),
		scalar keys %settings, "$whose has settings that would stop anybody");

	# Ours are those of a usual session.
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'search_path=pg_catalog',
	  'role=none', 'default_transaction_read_only=off', 'default_transaction_isolation=read\ committed',
	  'default_transaction_deferrable=off', 'statement_timeout=0', 'lock_timeout=0', 'idle_in_transaction_session_timeout=0',
	  'session_replication_role=origin', 'session_preload_libraries=', 'local_preload_libraries=', 'exit_on_error=off',
	  'synchronous_commit=on', 'client_min_messages=warning', 'client_encoding=UTF8', 'standard_conforming_strings=on',
	  'temp_file_limit=-1', 'max_stack_depth=2MB', 'DateStyle=ISO', 'jit=off', 'imp_push.cancel_reason=acknowledged',
	  $node->pg_version >= 17 ? 'transaction_timeout=0' : ();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until(sub { my $new = worker_process($node); return defined $new && $new != $pid },
		undef, 'another worker');
	delivers("settings of $whose");
	whole_day("settings of $whose");
	is( $node->safe_psql('postgres', q{SELECT coalesce(last_error, '') FROM imp_push.worker_status}),
		'', "$whose: no error");
	$node->safe_psql('template1', "ALTER $whose RESET ALL");
}

$node->stop;
done_testing();
