-- What is secret cannot be read in a roundabout way: keys and provider tokens
-- by nobody, device tokens and texts by nobody who was not granted them; not
-- by roles that read everything, in toast tables, in statistics, with functions
-- that tell what they are given, or in what explain and simulate return.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
SET jit = off;
\set VERBOSITY terse
CREATE ROLE regress_imp_app;
CREATE ROLE regress_imp_monitor;
CREATE ROLE regress_imp_worker;
CREATE ROLE regress_imp_stranger;
CREATE ROLE regress_imp_reader;
CREATE ROLE regress_imp_writer;
GRANT USAGE ON SCHEMA imp_push TO regress_imp_stranger;
GRANT pg_read_all_data, pg_monitor TO regress_imp_reader;
GRANT pg_read_all_data, pg_write_all_data TO regress_imp_writer;
SELECT imp_push.grant_app('regress_imp_app'), imp_push.grant_monitor('regress_imp_monitor'), imp_push.grant_worker('regress_imp_worker');

-- Secrets that are easy to find, short and long.
CREATE FUNCTION pg_temp.long(text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg($1 || md5($1 || i), ' ') FROM generate_series(1, 100) i $$;
INSERT INTO imp_push.certificate (name, bundle_id, team_id, key_id) SELECT 'token' || i, 'com.example.app', 'TEAM567890', 'KEY456789' || i FROM generate_series(1, 3) i;
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('client', 'com.example.other');
INSERT INTO imp_push.certificate_key (certificate, private_key) SELECT 'token' || i, 'SECRETKEY' || i FROM generate_series(1, 3) i;
INSERT INTO imp_push.certificate_key (certificate, client_certificate, client_key) VALUES ('client', pg_temp.long('chain'), pg_temp.long('SECRETKEY'));
INSERT INTO imp_push.provider_token SELECT 'TEAM567890', 'KEY456789' || i, '\x01', 'SECRETJWT' || i, now() FROM generate_series(1, 3) i;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) SELECT 'user' || i, 'phone', 'token1', '5ec7e7' || lpad(i::text, 4, '0') FROM generate_series(1, 200) i;
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body, ext, sender_name, translations)
	SELECT i, 'user' || i, 'alice', 'm' || i, 'SECRETTEXT ' || pg_temp.long('SECRETTEXT'), jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_title', 'SECRETTEXT')), 'SECRETTEXT', '{"en": "SECRETTEXT"}'
	FROM generate_series(1, 200) i;
INSERT INTO imp_push.template VALUES ('mine', '{0}', '{1}');
UPDATE imp_push.offline_message SET ext = ext || '{"em_push_template": {"name": "mine", "title_args": ["SECRETTEXT"]}}' WHERE id = 2;
SELECT count(*) FROM imp_push.plan_messages('{1,2,3}', now());
SELECT count(imp_push.send_test('token1', '5ec7e70001', 'SECRETTEXT', 'SECRETTEXT'));
ANALYZE imp_push.certificate, imp_push.certificate_key, imp_push.provider_token, imp_push.device_token, imp_push.offline_message, imp_push.delivery_log, imp_push.direct_push;

-- The secrets that a role finds with a statement of one text column; NULL if it may not run it.
CREATE FUNCTION pg_temp.secrets(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	kinds text[] := '{}';
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	FOR line IN EXECUTE statement LOOP
		kinds := kinds || ARRAY(SELECT m[1] FROM regexp_matches(line, 'SECRET(KEY|JWT|TEXT)', 'g') m) || CASE WHEN line ~ '5ec7e7' THEN 'TOKEN' END;
	END LOOP;
	RESET ROLE;
	RETURN COALESCE((SELECT string_agg(DISTINCT k, ',' ORDER BY k) FROM unnest(kinds) k), '');
EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
	RETURN NULL;
END $$;
CREATE VIEW pg_temp.role AS SELECT * FROM (VALUES (1, 'app'), (2, 'monitor'), (3, 'worker'), (4, 'stranger'), (5, 'reader'), (6, 'writer')) r(n, name);

-- In the tables and views: what each role reads there.
SELECT c.oid::regclass AS relation, string_agg(name || ': ' || found, '; ' ORDER BY n) AS secrets
FROM pg_class c, pg_temp.role, pg_temp.secrets('regress_imp_' || name, format('SELECT t::text FROM %s t', c.oid::regclass)) found
WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND found <> '' GROUP BY c.oid ORDER BY relname COLLATE "C";
-- Nobody reads keys and provider tokens where they are.
SELECT name, pg_temp.secrets('regress_imp_' || name, 'SELECT t::text FROM imp_push.certificate_key t') AS keys, pg_temp.secrets('regress_imp_' || name, 'SELECT t::text FROM imp_push.provider_token t') AS tokens
FROM pg_temp.role ORDER BY n;

-- In the toast tables, which row security does not protect: those of messages belong to who may read all data, and no key gets there.
SELECT c.oid::regclass AS relation, name, pg_temp.secrets('regress_imp_' || name, format('SELECT encode(chunk_data, ''escape'') FROM pg_toast.pg_toast_%s', c.oid)) AS secrets
FROM pg_class c, pg_temp.role
WHERE c.oid = ANY ('{imp_push.certificate_key,imp_push.provider_token}'::regclass[]) ORDER BY 1, n;
SELECT count(*) > 0 AS client_certificates_are_there FROM pg_class c, LATERAL (SELECT pg_relation_size(reltoastrelid) AS bytes) t WHERE c.oid = 'imp_push.certificate_key'::regclass AND bytes > 0;
SELECT attrelid::regclass, attname, attstorage, attstattarget FROM pg_attribute WHERE attrelid = 'imp_push.certificate_key'::regclass AND attname LIKE '%key' OR attrelid = 'imp_push.provider_token'::regclass AND attname = 'token' ORDER BY attrelid, attnum;

-- In the planner's statistics.  Whoever reads all data reads them as they are, past row security: so there are none of keys.
SELECT name, pg_temp.secrets('regress_imp_' || name, 'SELECT s::text FROM pg_stats s') AS secrets, pg_temp.secrets('regress_imp_' || name, 'SELECT s::text FROM pg_statistic s') AS raw FROM pg_temp.role ORDER BY n;
SELECT tablename, count(*) > 0 AS has_statistics FROM pg_stats WHERE schemaname = 'imp_push' AND tablename IN ('certificate_key', 'provider_token', 'device_token') GROUP BY 1 ORDER BY 1;

-- With a function, so cheap that the planner asks it first, that tells what it is given: in each column of what a role may read.
CREATE FUNCTION pg_temp.tell(seen text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$
BEGIN
	PERFORM set_config('tell.seen', current_setting('tell.seen') || seen, false);
	RETURN true;
END $$;
CREATE FUNCTION pg_temp.told(role text, relation regclass, col name) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tell.seen', '', false);
	RETURN pg_temp.secrets(role, format('SELECT ''nothing'' FROM %s WHERE pg_temp.tell(%I::text)', relation, col)) || (pg_temp.secrets(role, 'SELECT current_setting(''tell.seen'')'));
END $$;
SELECT attrelid::regclass AS view, attname, name AS role, pg_temp.told('regress_imp_' || name, attrelid, attname) AS secrets
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, pg_temp.role
WHERE relnamespace = 'imp_push'::regnamespace AND relkind = 'v' AND name IN ('app', 'monitor', 'worker', 'stranger') AND pg_temp.told('regress_imp_' || name, attrelid, attname) <> '' ORDER BY 1, 2, 3;
SET ROLE regress_imp_monitor;
SELECT set_config('tell.seen', '', false);
SELECT count(*) > 0 AS reads FROM imp_push.delivery WHERE pg_temp.tell(msg_id);
SELECT current_setting('tell.seen') ~ 'm3' AS it_tells;
RESET ROLE;

-- In what explain and simulate return, and in the plans that EXPLAIN shows: an IM server reads its own texts and no token.
CREATE FUNCTION pg_temp.plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || statement; END $$;
SELECT name, statement, pg_temp.secrets('regress_imp_' || name, statement) AS secrets
FROM pg_temp.role, unnest(ARRAY['SELECT e::text FROM imp_push.explain(''user1'', ''m1'') e', 'SELECT e::text FROM imp_push.explain(''user2'', ''m2'') e', 'SELECT e::text FROM imp_push.explain(''user9'', ''m9'') e',
	'SELECT s::text FROM imp_push.simulate(''user1'', ''alice'', ''hello'') s', 'SELECT pg_temp.plan(''SELECT * FROM imp_push.delivery'')', 'SELECT pg_temp.plan(''SELECT * FROM imp_push.metrics'')']) statement
WHERE name IN ('app', 'monitor', 'stranger') ORDER BY n, statement COLLATE "C";

-- Who writes all data does not replace a key.
SET ROLE regress_imp_writer;
INSERT INTO imp_push.certificate_key (certificate, private_key) VALUES ('token1', 'mine') ON CONFLICT (certificate) DO UPDATE SET private_key = 'mine';
UPDATE imp_push.certificate_key SET private_key = 'mine';
DELETE FROM imp_push.certificate_key;
INSERT INTO imp_push.provider_token VALUES ('TEAM567890', 'KEY4567890', '\x02', 'mine', now());
DELETE FROM imp_push.provider_token;
RESET ROLE;
SELECT count(*) AS keys, count(*) FILTER (WHERE private_key = 'mine') AS replaced, (SELECT count(*) FROM imp_push.provider_token) AS tokens FROM imp_push.certificate_key;

DELETE FROM imp_push.direct_push;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.template;
DELETE FROM imp_push.certificate;
DELETE FROM imp_push.provider_token;
DROP VIEW pg_temp.role;
DROP OWNED BY regress_imp_app, regress_imp_monitor, regress_imp_worker, regress_imp_stranger, regress_imp_reader, regress_imp_writer;
DROP ROLE regress_imp_app, regress_imp_monitor, regress_imp_worker, regress_imp_stranger, regress_imp_reader, regress_imp_writer;
