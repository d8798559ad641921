-- Who may do what: nobody anything, but for the three kinds of role.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET timezone = 'UTC';
SET jit = off;
\set VERBOSITY terse
CREATE ROLE regress_imp_app;
CREATE ROLE regress_imp_monitor;
CREATE ROLE regress_imp_worker;
CREATE ROLE "regress imp odd"; -- a name that needs quotes
CREATE ROLE regress_imp_nobody;
SELECT imp_push.grant_app('regress_imp_app'), imp_push.grant_monitor('regress_imp_monitor'), imp_push.grant_worker('regress_imp_worker');
SELECT imp_push.grant_app('"regress imp odd"'), imp_push.grant_monitor('"regress imp odd"'), imp_push.grant_worker('"regress imp odd"');
SELECT imp_push.grant_app('regress_imp_app'); -- twice is no harm
SELECT imp_push.grant_app('no_such_role');

-- r: SELECT, a: INSERT, w: UPDATE, d: DELETE, D: TRUNCATE, x: REFERENCES, t: TRIGGER.
CREATE FUNCTION pg_temp.may(role name, relation oid) RETURNS text LANGUAGE sql AS $$
	SELECT COALESCE(string_agg(letter, '' ORDER BY n), '')
	FROM (VALUES (1, 'r', 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (4, 'd', 'DELETE'), (5, 'D', 'TRUNCATE'), (6, 'x', 'REFERENCES'), (7, 't', 'TRIGGER')) p(n, letter, privilege)
	WHERE has_table_privilege($1, $2, privilege) $$;
SELECT relname, pg_temp.may('regress_imp_app', oid) AS app, pg_temp.may('regress_imp_monitor', oid) AS monitor,
	pg_temp.may('regress_imp_worker', oid) AS worker, pg_temp.may('regress_imp_nobody', oid) AS nobody
FROM pg_class WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') ORDER BY relname COLLATE "C";
-- No column has rights of its own.
SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'imp_push'::regnamespace AND attacl IS NOT NULL;
-- Functions that a role may call; the worker may call those that only read as well.
SELECT p.oid::regprocedure AS function,
	CASE WHEN has_function_privilege('regress_imp_app', p.oid, 'EXECUTE') THEN 'x' ELSE '' END AS app,
	CASE WHEN has_function_privilege('regress_imp_monitor', p.oid, 'EXECUTE') THEN 'x' ELSE '' END AS monitor,
	CASE WHEN has_function_privilege('regress_imp_worker', p.oid, 'EXECUTE') THEN 'x' ELSE '' END AS worker
FROM pg_proc p
WHERE pronamespace = 'imp_push'::regnamespace AND prorettype <> 'trigger'::regtype
	AND (has_function_privilege('regress_imp_app', p.oid, 'EXECUTE') OR has_function_privilege('regress_imp_monitor', p.oid, 'EXECUTE')
		OR (has_function_privilege('regress_imp_worker', p.oid, 'EXECUTE') AND (provolatile = 'v' OR prosecdef)))
ORDER BY p.oid::regprocedure::text COLLATE "C";
-- Nobody may call anything, and nobody but the owner what handles keys, rights, or the worker.
SELECT p.oid::regprocedure AS function
FROM pg_proc p, unnest(ARRAY['regress_imp_app', 'regress_imp_monitor', 'regress_imp_worker', 'regress_imp_nobody']) role
WHERE pronamespace = 'imp_push'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE')
	AND (role = 'regress_imp_nobody' OR proname ~ '^(grant_|set_certificate|renew_|check_.*key|choose_keys|start|stop|forget_user|send_test|disable_advanced)');

INSERT INTO imp_push.certificate (name, bundle_id, team_id, key_id) VALUES ('app', 'com.example.app', 'TEAM567890', 'KEY4567890');
INSERT INTO imp_push.template (name, title, content) VALUES ('default', 'News', '{$msg}');

-- The IM server: everything that it needs.
SET ROLE regress_imp_app;
SELECT imp_push.bind_device('bob', 'iphone', 'app', 'b0b0'), imp_push.bind_device('bob', 'ipad', 'app', 'b1b1');
SELECT imp_push.unbind_device('bob', 'ipad');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('bob', 'watch', 'app', 'B2B2') ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'iphone', 'app', 'b2b2') RETURNING user_id, token, disabled_at;
SELECT imp_push.set_presence('bob', 'iphone', 'online', 's1', 'n1', '1 hour'), imp_push.node_heartbeat('n1', '1 minute');
SELECT imp_push.is_online('bob');
SELECT * FROM imp_push.online_user;
SELECT imp_push.set_presence('bob', 'iphone', 'offline', 's1');
SELECT imp_push.is_online('bob');
SELECT imp_push.logout('carol', 'iphone', true);
DELETE FROM imp_push.im_node;
INSERT INTO imp_push.user_profile (user_id, nickname, display_style, language, time_zone, template) VALUES ('bob', 'Bob', 'summary', 'en', 'Europe/Berlin', 'default');
INSERT INTO imp_push.contact_remark (user_id, contact_id, remark) VALUES ('bob', 'alice', 'My Alice');
SELECT imp_push.set_mode('bob', 'none', 'groupchat', 'g1'), imp_push.set_dnd_interval('bob', '22:00', '07:00'), imp_push.set_dnd_duration('bob', 0) IS NOT NULL AS duration;
SELECT mode, mode_from FROM imp_push.get_dnd('bob', 'groupchat', 'g1');
UPDATE imp_push.dnd SET dnd_start = NULL, dnd_end = NULL WHERE chat_type = 'app';
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body, ext) VALUES (1, 'bob', 'alice', 'm1', 'hello', '{}'), (2, 'bob', 'alice', 'm2', 'hello', '{}'), (3, 'bob', 'alice', 'm3', 'hello', '{}') ON CONFLICT DO NOTHING;
SELECT id, msg_id, body FROM imp_push.fetch_offline_messages('bob');
SELECT imp_push.offline_message_count('bob');
SELECT imp_push.ack_offline_messages('bob', '{1}'), imp_push.recall_message('m2');
UPDATE imp_push.offline_message SET body = 'edited' WHERE id = 3;
SELECT msg_id, status, reason FROM imp_push.delivery ORDER BY message_id;
SELECT status, payload FROM imp_push.simulate('bob', 'alice', 'hello', msg_id => 'm9');
SELECT count(*) FROM imp_push.explain('bob', 'm3');
SELECT imp_push.push_badge('bob');
SELECT name FROM imp_push.template;
SELECT count(*) > 0 AS texts FROM imp_push.builtin_text;
-- And nothing else.
SELECT * FROM imp_push.settings;
UPDATE imp_push.settings SET push_cmd = true;
SELECT name FROM imp_push.certificate;
SELECT * FROM imp_push.certificate_key;
SELECT * FROM imp_push.provider_token;
SELECT * FROM imp_push.waiting;
SELECT * FROM imp_push.delivery_log;
SELECT * FROM imp_push.direct_push;
INSERT INTO imp_push.template VALUES ('x', 'x', 'x');
DELETE FROM imp_push.delivery;
SELECT imp_push.forget_user('bob');
SELECT imp_push.send_test('app', 'aa', 't', 'b');
SELECT imp_push.start();
SELECT imp_push.stop();
SELECT imp_push.set_certificate('app', sound => 'x');
SELECT imp_push.disable_advanced_features(true);
SELECT imp_push.grant_app('regress_imp_nobody');
SELECT imp_push.plan_messages('{3}', now());
SELECT imp_push.wake_worker();
TRUNCATE imp_push.offline_message;
RESET ROLE;

-- Monitoring: three views, delivery and explain; no tokens, no text.
SET ROLE regress_imp_monitor;
SELECT count(*) >= 0 AS ok FROM imp_push.worker_status;
SELECT certificate, enabled, has_key, waiting FROM imp_push.certificate_status;
SELECT msg_id, status, reason FROM imp_push.delivery WHERE message_id IS NOT NULL ORDER BY message_id;
SELECT result FROM imp_push.explain('bob', 'm3') WHERE reason = 'outcome';
SELECT count(*) > 0 AS metrics FROM imp_push.metrics;
SELECT * FROM imp_push.offline_message;
SELECT * FROM imp_push.device_token;
SELECT * FROM imp_push.presence;
SELECT * FROM imp_push.certificate;
SELECT * FROM imp_push.direct_push;
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello');
SELECT imp_push.is_online('bob');
SELECT imp_push.ack_offline_messages('bob', '{3}');
SELECT imp_push.decide(NULL, NULL, NULL, now());
SELECT * FROM imp_push.known_outcomes('bob', 'm3');
RESET ROLE;

-- The worker's role plans, settles and tidies up; keys and provider tokens are not its business.
UPDATE imp_push.offline_message SET created_at = '2024-06-03 04:00+00';
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body, created_at) VALUES (4, 'bob', 'alice', 'm4', 'hello', '2024-06-03 04:00+00'), (5, 'stranger', 'alice', 'm5', 'hello', '2024-06-03 04:00+00');
SET ROLE regress_imp_worker;
SELECT message_id, device_id, payload FROM imp_push.plan_messages('{3,4,5}', '2024-06-03 04:00+00');
SELECT count(*) FROM imp_push.next_messages(imp_push.seen_by_worker(), pg_current_snapshot(), '0', 0, 10, true);
SELECT imp_push.settle('{3,4}', '{m3,m4}', '{bob,bob}', '{iphone,iphone}', '{app,app}', ARRAY[imp_push.apns_id('bob', 'm3', 'iphone', 'app'), imp_push.apns_id('bob', 'm4', 'iphone', 'app')],
	'{sent,retry}', '{NULL,ServiceUnavailable}', '{NULL,NULL}', '{200,503}', '{1,1}', '{false,false}', ARRAY[NULL, '2024-06-03 04:01+00'::timestamptz], ARRAY[NULL, '2024-06-04 04:00+00'::timestamptz],
	ARRAY['2024-06-03 04:00+00', '2024-06-03 04:00+00'::timestamptz], ARRAY['2024-06-03 04:00+00'::timestamptz, NULL]);
SELECT * FROM imp_push.next_waiting('2024-06-03 04:01+00', '{}', '{}', 10) WHERE message_id > 0;
SELECT imp_push.next_due('{}', '{}') IS NOT NULL AS due;
SELECT message_id, attempts FROM imp_push.plan_waiting('{4}', '{iphone}', '{app}', '2024-06-03 04:01+00');
SELECT count(*) FROM imp_push.next_probes('{app}', '{}');
SELECT count(*) AS direct FROM imp_push.plan_waiting(ARRAY(SELECT -id FROM imp_push.direct_push), ARRAY(SELECT device_id FROM imp_push.direct_push), ARRAY(SELECT certificate FROM imp_push.direct_push), now());
SELECT * FROM imp_push.disable_tokens('{bob}', '{iphone}', '{app}', '{b0b0}', '{BadDeviceToken}', '{0}', now());
SELECT imp_push.revive_tokens('app', '{b0b0}');
SELECT imp_push.fail_message(4, 'XX000', now());
SELECT imp_push.store_cursor(0::smallint, pg_current_snapshot());
SELECT imp_push.housekeeping('2024-06-03 04:00+00'), imp_push.recheck_unacknowledged('2024-06-03 04:00+00', 10);
SELECT imp_push.housekeeping('2024-06-06 04:00+00'); -- turns the ring, with TRUNCATE
SELECT slot FROM imp_push.delivery_ring;
SELECT imp_push.evict_messages('{4}');
SELECT started FROM imp_push.control;
SELECT * FROM imp_push.certificate_key;
SELECT * FROM imp_push.provider_token;
SELECT imp_push.renew_provider_token('T', 'K', '\x01', 't', now());
SELECT imp_push.set_certificate('app', sound => 'x');
INSERT INTO imp_push.offline_message (recipient, sender) VALUES ('bob', 'alice');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('x', 'x', 'app', 'aa');
UPDATE imp_push.settings SET push_cmd = true;
UPDATE imp_push.control SET started = true;
SELECT imp_push.grant_worker('regress_imp_nobody');
SELECT imp_push.forget_user('bob');
RESET ROLE;

-- Anybody else: not even the schema.
SET ROLE regress_imp_nobody;
SELECT * FROM imp_push.delivery;
SELECT imp_push.is_online('bob');
RESET ROLE;

DROP OWNED BY regress_imp_app, regress_imp_monitor, regress_imp_worker, "regress imp odd", regress_imp_nobody;
DROP ROLE regress_imp_app, regress_imp_monitor, regress_imp_worker, "regress imp odd", regress_imp_nobody;
DELETE FROM imp_push.worker_cursor;
DELETE FROM imp_push.delivery_ring;
DELETE FROM imp_push.housekeeping_state;
DELETE FROM imp_push.direct_push;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.user_profile;
DELETE FROM imp_push.contact_remark;
DELETE FROM imp_push.dnd;
DELETE FROM imp_push.template;
DELETE FROM imp_push.certificate;
