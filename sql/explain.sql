-- explain(): for whoever hears "I got no notification".  For a settled message
-- the recorded decision, for one that is not, what would be decided now.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET jit = off;
UPDATE imp_push.settings SET push_ttl = '100 years', delivery_retention = '100 years';	-- "now" must not matter
INSERT INTO imp_push.certificate (name, bundle_id, team_id, key_id) VALUES ('app', 'com.example.app', 'TEAM567890', 'KEY4567890');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, disabled_at, disabled_reason) VALUES
	('bob', 'iphone', 'app', 'b1', NULL, NULL), ('bob', 'ipad', 'app', 'b2', '2024-06-02 00:00+00', 'Unregistered'), ('carol', 'iphone', 'app', 'c1', NULL, NULL);
INSERT INTO imp_push.presence (user_id, device_id, status, session, node, changed_at) VALUES ('carol', 'web', 'online', 's1', 'n1', '2024-06-03 00:00+00');
INSERT INTO imp_push.dnd (user_id, dnd_until, mode) VALUES ('dan', 'infinity', NULL), ('nell', NULL, 'none');
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body, created_at, type)
SELECT n, r, 'alice', 'm' || n, 'hello', '2024-06-03 04:00+00', t FROM (VALUES (1, 'bob', 'txt'), (2, 'carol', 'txt'), (3, 'dan', 'txt'), (4, 'nell', 'txt'), (5, 'stranger', 'txt'), (6, 'bob', 'cmd'), (7, 'bob', 'txt')) v(n, r, t);

-- All of it, once.
SELECT * FROM imp_push.explain('carol', 'm2');
-- In short: a letter for each check (passed, failed, not reached), which failed, and the outcome.
CREATE FUNCTION pg_temp.short(recipient text, msg_id text) RETURNS TABLE (device text, checks text, failed text, why jsonb, outcome text, detail jsonb) LANGUAGE sql AS $$
	SELECT device_id, string_agg(left(result, 1), '' ORDER BY check_no) FILTER (WHERE check_no IS NOT NULL),
		max(check_no || ' ' || reason) FILTER (WHERE check_no IS NOT NULL AND result = 'failed'),
		max(detail::text) FILTER (WHERE check_no IS NOT NULL)::jsonb, max(result) FILTER (WHERE check_no IS NULL),
		(max(detail::text) FILTER (WHERE check_no IS NULL))::jsonb - 'decided_at' - 'finished_at' - 'apns_id'
	FROM imp_push.explain($1, $2) GROUP BY device_id ORDER BY device_id NULLS FIRST $$;
-- Not planned yet: judged now.
SELECT * FROM pg_temp.short('bob', 'm1');
SELECT * FROM pg_temp.short('carol', 'm2');
SELECT * FROM pg_temp.short('dan', 'm3');
SELECT * FROM pg_temp.short('nell', 'm4');
SELECT * FROM pg_temp.short('stranger', 'm5');
SELECT * FROM pg_temp.short('bob', 'm6');
-- Unknown: nothing.
SELECT * FROM pg_temp.short('bob', 'never was');
SELECT * FROM pg_temp.short('nobody', 'm1');

-- Planned: bob's phone waits, the rest is settled.  Then everything changes; what is settled stays as it was.
SELECT message_id, device_id FROM imp_push.plan_messages('{1,2,3,4,5,6}', '2024-06-03 04:00+00');
INSERT INTO imp_push.presence (user_id, device_id, status, session, changed_at) VALUES ('bob', 'web', 'online', 's2', '2024-06-03 05:00+00');
DELETE FROM imp_push.presence WHERE user_id = 'carol';
DELETE FROM imp_push.dnd;
SELECT imp_push.bind_device('stranger', 'iphone', 'app', 'aa'), imp_push.bind_device('bob', 'ipad', 'app', 'b2');
SELECT * FROM pg_temp.short('bob', 'm1');
SELECT * FROM pg_temp.short('carol', 'm2');
SELECT * FROM pg_temp.short('dan', 'm3');
SELECT * FROM pg_temp.short('nell', 'm4');
SELECT * FROM pg_temp.short('stranger', 'm5');
SELECT * FROM pg_temp.short('bob', 'm6');
-- Retrying; then what APNs said; then the message is gone.
DELETE FROM imp_push.presence;
UPDATE imp_push.waiting SET attempts = 2, reason = 'TooManyRequests', apns_status = 429;
SELECT * FROM pg_temp.short('bob', 'm1');
SELECT imp_push.settle('{1}', '{m1}', '{bob}', '{iphone}', '{app}', ARRAY[imp_push.apns_id('bob', 'm1', 'iphone', 'app')], '{failed}', '{Unregistered}', ARRAY[NULL::jsonb],
	'{410}', '{3}', '{true}', ARRAY[NULL::timestamptz], ARRAY[NULL::timestamptz], ARRAY['2024-06-03 04:00+00'::timestamptz], ARRAY['2024-06-03 04:00:01+00'::timestamptz]);
SELECT x IS NULL AS all_disabled FROM imp_push.disable_tokens('{bob}', '{iphone}', '{app}', '{b1}', '{Unregistered}', '{0}', '2024-06-03 04:00:01+00') x;
DELETE FROM imp_push.offline_message WHERE id = 1;
SELECT * FROM pg_temp.short('bob', 'm1');
-- Sent, by a template and without.
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, device_id, certificate, status, reason, detail, apns_status, attempts, decided_at, finished_at) VALUES
	(0, 7, 'm7', 'bob', 'iphone', 'app', 'sent', NULL, '{"text_from": "sender", "warnings": ["no template x"]}', 200, 1, '2024-06-03', '2024-06-03'),
	(0, 7, 'm7', 'bob', 'ipad', 'app', 'sent', NULL, NULL, 200, 1, '2024-06-03', '2024-06-03');
SELECT * FROM pg_temp.short('bob', 'm7');
-- A retry that ended with a reason of the user, one whose binding was gone, a message deleted unplanned, one that could not be planned.
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, device_id, certificate, status, reason, detail, attempts, decided_at, finished_at) VALUES
	(0, 11, 'm11', 'bob', 'iphone', 'app', 'suppressed', 'dnd', '{"by": "app interval"}', 1, '2024-06-03', '2024-06-03'), (0, 12, 'm12', 'bob', 'iphone', 'app', 'suppressed', 'unbound', NULL, 1, '2024-06-03', '2024-06-03'),
	(0, 13, 'm13', 'bob', NULL, NULL, 'cancelled', 'acknowledged', NULL, 0, '2024-06-03', '2024-06-03'), (0, 14, 'm14', 'bob', NULL, NULL, 'failed', '22003', NULL, 0, '2024-06-03', '2024-06-03'),
	(0, 15, 'm15', 'bob', 'iphone', 'app', 'cancelled', 'recalled', NULL, 2, '2024-06-03', '2024-06-03');
SELECT n, s.* FROM generate_series(11, 15) n, pg_temp.short('bob', 'm' || n) s;
-- A message that came again: explained as it is now.
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body) VALUES (21, 'bob', 'alice', 'm11', 'hello');
SELECT * FROM pg_temp.short('bob', 'm11');
SELECT message_id, device_id FROM imp_push.plan_messages('{21}', '2024-06-03 04:00+00');
SELECT * FROM pg_temp.short('bob', 'm11');

-- Decided and not recorded.
UPDATE imp_push.settings SET record_suppressed = false;
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, type) VALUES (22, 'bob', 'alice', 'm22', 'cmd');
SELECT message_id, device_id FROM imp_push.plan_messages('{22}', '2024-06-03 04:00+00');
SELECT * FROM pg_temp.short('bob', 'm22');
SELECT imp_push.store_cursor(0::smallint, pg_current_snapshot());
SELECT * FROM pg_temp.short('bob', 'm22');
UPDATE imp_push.settings SET record_suppressed = true;
SELECT * FROM pg_temp.short('bob', 'm22');
BEGIN READ ONLY;
SELECT count(*) FROM imp_push.explain('bob', 'm22');
COMMIT;

UPDATE imp_push.settings SET push_ttl = '1 day', delivery_retention = '7 days';
DELETE FROM imp_push.worker_cursor;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.dnd;
DELETE FROM imp_push.certificate;
