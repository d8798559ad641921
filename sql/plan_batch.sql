-- Plan and settle as the worker calls them, without one: first attempts,
-- retries, what is cancelled, and what delivery shows of it at each moment.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET timezone = 'UTC';
SET jit = off;	-- as the worker: compiling these plans takes longer than anything else
SET datestyle = 'ISO';
INSERT INTO imp_push.certificate (name, bundle_id, team_id, key_id) VALUES
	('app', 'com.example.app', 'TEAM567890', 'KEY4567890'), ('pro', 'com.example.pro', 'TEAM567890', 'KEY4567890');
SELECT imp_push.bind_device(u, d, 'app', md5(u || d)) IS NULL AS bound
FROM (VALUES ('bob', 'iphone'), ('bob', 'ipad'), ('carol', 'iphone'), ('carol', 'ipad'), ('dave', 'iphone')) b(u, d) GROUP BY 1;
INSERT INTO imp_push.presence (user_id, device_id, status, changed_at) VALUES
	('carol', 'ipad', 'kicked', '2024-06-03 00:00+00'), ('dave', 'web', 'online', '2024-06-03 00:00+00');

CREATE VIEW pg_temp.state AS
	SELECT message_id AS id, recipient, device_id AS device, status, reason, detail, attempts AS n,
		next_attempt_at AS next, finished_at IS NOT NULL AS done
	FROM imp_push.delivery ORDER BY message_id, device_id, status, reason;
CREATE FUNCTION pg_temp.plan(ids bigint[], at timestamptz) RETURNS TABLE (id bigint, device text, attempts int, waiting boolean)
LANGUAGE sql AS 'SELECT message_id, device_id, attempts, waiting FROM imp_push.plan_messages($1, $2) ORDER BY 1, 2';
CREATE FUNCTION pg_temp.plan_waiting(id bigint, device text, at timestamptz) RETURNS TABLE (push bigint, device_id text, attempts int, waiting boolean)
LANGUAGE sql AS $$ SELECT message_id, device_id, attempts, waiting FROM imp_push.plan_waiting(ARRAY[id], ARRAY[device], ARRAY['app'], at) ORDER BY 1, 2 $$;
-- One push of the certificate app.
CREATE FUNCTION pg_temp.settle(id bigint, recipient text, device text, status text, attempts int, has_row boolean,
	reason text DEFAULT NULL, due timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT '2024-06-04 04:00+00') RETURNS void
LANGUAGE sql AS $$
	SELECT imp_push.settle(ARRAY[id], ARRAY['m' || id], ARRAY[recipient], ARRAY[device], ARRAY['app'], ARRAY[imp_push.apns_id(recipient, 'm' || id, device, 'app')],
		ARRAY[status], ARRAY[reason], ARRAY[NULL::jsonb], ARRAY[CASE WHEN status = 'sent' THEN 200 END], ARRAY[attempts], ARRAY[has_row],
		ARRAY[due], ARRAY[expires_at], ARRAY['2024-06-03 04:00+00'::timestamptz], ARRAY[CASE WHEN status <> 'retry' THEN '2024-06-03 04:00:01+00'::timestamptz END]) $$;
CREATE FUNCTION pg_temp.message(id bigint, recipient text DEFAULT 'bob', expires_at timestamptz DEFAULT NULL, created_at timestamptz DEFAULT '2024-06-03 04:00+00',
	msg_id text DEFAULT NULL, chat_type text DEFAULT 'chat') RETURNS void
LANGUAGE sql AS $$
	INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, body, expires_at, created_at, chat_type, conversation_id)
	VALUES (id, recipient, 'alice', COALESCE(msg_id, 'm' || id), 'hello', expires_at, created_at, chat_type, 'alice') $$;
\set at '''2024-06-03 04:00+00'''

-- A batch of all kinds.  1: two pushes; 2: a push and a kicked device; 3: online;
-- 4: no device; 5: past its expires_at; 6: older than push_ttl; 7: at the very
-- end of its life; 8: here before; 9: a chat room.
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, status, attempts, decided_at, finished_at) VALUES (0, 4711, 'm8', 'bob', 'sent', 1, :at, :at);
SELECT pg_temp.message(1), pg_temp.message(2, 'carol'), pg_temp.message(3, 'dave'), pg_temp.message(4, 'stranger'), pg_temp.message(5, 'bob', '2024-06-03 03:59:59+00'),
	pg_temp.message(6, 'bob', NULL, '2024-06-02 03:59:59+00'), pg_temp.message(7, 'bob', :at), pg_temp.message(8), pg_temp.message(9, 'bob', chat_type => 'chatroom');
TABLE pg_temp.state;
SELECT * FROM pg_temp.plan(ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 999], :at);
TABLE pg_temp.state;
SELECT message_id, device_id, certificate, attempts, due, expires_at, since FROM imp_push.waiting;
-- The first answer of message 1 settles both of its bindings: no crash loses the other.
SELECT pg_temp.settle(1, 'bob', 'iphone', 'sent', 1, false), pg_temp.settle(1, 'bob', 'ipad', 'retry', 0, false, due => :at);
SELECT * FROM pg_temp.state WHERE id = 1;
SELECT * FROM pg_temp.plan_waiting(1, 'ipad', :at);
SELECT pg_temp.settle(1, 'bob', 'ipad', 'failed', 1, true, 'PayloadTooLarge');
SELECT pg_temp.settle(2, 'carol', 'iphone', 'sent', 1, true);
SELECT * FROM pg_temp.state WHERE id IN (1, 2);
SELECT count(*) AS waiting FROM imp_push.waiting;
-- The columns of a push, as the worker gets them.
\x on
SELECT message_id, msg_id, recipient, device_id, certificate, token, payload, topic, push_type, priority, expiration, collapse_id, apns_id, expires_at, detail, attempts, waiting
FROM imp_push.plan_messages(ARRAY[7], :at) ORDER BY device_id DESC LIMIT 1;
\x off
-- Only those bindings are tried that it had at first: a device bound later gets no old message.
SELECT pg_temp.settle(7, 'bob', 'iphone', 'retry', 1, false, 'InternalServerError', '2024-06-03 04:00:05+00', :at),
	pg_temp.settle(7, 'bob', 'ipad', 'sent', 1, false);
SELECT imp_push.bind_device('bob', 'watch', 'app', 'abcd');
SELECT * FROM imp_push.next_waiting('2024-06-03 05:00+00', '{}', '{}', 10);
SELECT * FROM pg_temp.plan_waiting(7, 'iphone', '2024-06-03 04:00:05+00');
SELECT * FROM pg_temp.state WHERE id = 7;
SELECT imp_push.unbind_device('bob', 'watch');
-- All that the cursor sees has an outcome or waits; the rest shows as pending.
SELECT pg_temp.message(10);
SELECT imp_push.store_cursor(0::smallint, pg_current_snapshot());
SELECT pg_temp.message(11);
SELECT * FROM pg_temp.state WHERE id >= 10;
DELETE FROM imp_push.worker_cursor;
SELECT * FROM pg_temp.state WHERE id >= 10;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- Retries are decided anew: what has changed since ends the push with its
-- reason, in the row of its binding, whatever the scope of the check.
CREATE FUNCTION pg_temp.waits(id bigint, device text DEFAULT 'iphone', recipient text DEFAULT 'bob') RETURNS void LANGUAGE sql AS $$
	SELECT pg_temp.settle(id, recipient, device, 'retry', 2, false, 'ServiceUnavailable', '2024-06-03 04:01+00') $$;
SELECT pg_temp.message(n), pg_temp.waits(n) FROM generate_series(20, 31) n;
SELECT * FROM pg_temp.state WHERE id = 20;
INSERT INTO imp_push.presence (user_id, device_id, status, session, changed_at) VALUES ('bob', 'web', 'online', 's1', '2024-06-03 04:00:30+00');
SELECT * FROM pg_temp.plan_waiting(20, 'iphone', '2024-06-03 04:01+00');
UPDATE imp_push.settings SET multi_device_policy = 'any_offline';
UPDATE imp_push.presence SET device_id = 'iphone' WHERE user_id = 'bob';
SELECT * FROM pg_temp.plan_waiting(21, 'iphone', '2024-06-03 04:01+00');
UPDATE imp_push.settings SET multi_device_policy = 'all_offline';
UPDATE imp_push.presence SET status = 'kicked', changed_at = '2024-06-03 04:00:40+00' WHERE user_id = 'bob';
SELECT * FROM pg_temp.plan_waiting(22, 'iphone', '2024-06-03 04:01+00');
DELETE FROM imp_push.presence WHERE user_id = 'bob';
INSERT INTO imp_push.dnd (user_id, dnd_until) VALUES ('bob', '2024-06-03 05:00+00');
SELECT * FROM pg_temp.plan_waiting(23, 'iphone', '2024-06-03 04:01+00');
UPDATE imp_push.dnd SET dnd_until = NULL, mode = 'none';
SELECT * FROM pg_temp.plan_waiting(24, 'iphone', '2024-06-03 04:01+00');
DELETE FROM imp_push.dnd;
SELECT * FROM imp_push.disable_tokens('{bob}', '{iphone}', '{app}', ARRAY[md5('bobiphone')], '{Unregistered}', '{0}', '2024-06-03 04:00:40+00');
SELECT * FROM pg_temp.plan_waiting(25, 'iphone', '2024-06-03 04:01+00');
SELECT imp_push.unbind_device('bob', 'iphone');
SELECT * FROM pg_temp.plan_waiting(26, 'iphone', '2024-06-03 04:01+00');
SELECT imp_push.unbind_device('bob', 'ipad');
SELECT * FROM pg_temp.plan_waiting(27, 'iphone', '2024-06-03 04:01+00');
SELECT imp_push.bind_device('bob', 'iphone', 'app', md5('bobiphone')), imp_push.bind_device('bob', 'ipad', 'app', md5('bobipad'));
UPDATE imp_push.offline_message SET ext = '{"em_ignore_notification": true}' WHERE id = 28;
SELECT * FROM pg_temp.plan_waiting(28, 'iphone', '2024-06-03 04:01+00');
UPDATE imp_push.certificate SET enabled = false WHERE name = 'app';
SELECT * FROM pg_temp.plan_waiting(29, 'iphone', '2024-06-03 04:01+00');
UPDATE imp_push.certificate SET enabled = true WHERE name = 'app';
SELECT * FROM pg_temp.plan_waiting(30, 'iphone', '2024-06-04 04:00:00.001+00');
SELECT * FROM pg_temp.plan_waiting(31, 'iphone', '2024-06-03 04:01+00');
TABLE pg_temp.state;
SELECT message_id FROM imp_push.waiting;
-- The apns-id is the same at each attempt.
SELECT count(DISTINCT apns_id) FROM (
	SELECT apns_id FROM imp_push.plan_waiting('{31}', '{iphone}', '{app}', '2024-06-03 04:01+00')
	UNION ALL SELECT apns_id FROM imp_push.waiting WHERE message_id = 31
	UNION ALL SELECT apns_id FROM imp_push.plan_messages('{31}', '2024-06-03 04:01+00') WHERE device_id = 'iphone') a;
-- A second retry moves the row on; without an answer the last status stays.
SELECT pg_temp.settle(31, 'bob', 'iphone', 'retry', 3, true, 'connection reset', '2024-06-03 04:05+00');
SELECT attempts, due, reason, apns_status, since, decided_at FROM imp_push.waiting;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- Cancelled.  40: before it was planned.
SELECT pg_temp.message(n) FROM generate_series(40, 49) n;
DELETE FROM imp_push.offline_message WHERE id = 40;
SELECT * FROM pg_temp.plan(ARRAY[40], :at);
SELECT id, device, status, reason FROM pg_temp.state WHERE id = 40;
-- 41: on its way at the first attempt, and sent all the same.
SELECT * FROM pg_temp.plan(ARRAY[41], :at);
DELETE FROM imp_push.offline_message WHERE id = 41;
SELECT id, device, status, reason FROM pg_temp.state WHERE id = 41;
SELECT pg_temp.settle(41, 'bob', 'iphone', 'sent', 1, false), pg_temp.settle(41, 'bob', 'ipad', 'failed', 1, false, 'PayloadTooLarge');
SELECT id, device, status, reason FROM pg_temp.state WHERE id = 41;
-- 42: waiting; recalled; the worker finds out later and says nothing new.
SELECT pg_temp.waits(42), pg_temp.settle(42, 'bob', 'ipad', 'sent', 1, false);
SELECT imp_push.recall_message('m42');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 42;
SELECT * FROM pg_temp.plan_waiting(42, 'iphone', '2024-06-03 04:01+00');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 42;
-- 43: waiting and on its way; sent.  44: failed.
SELECT pg_temp.waits(43), pg_temp.waits(44);
DELETE FROM imp_push.offline_message WHERE id IN (43, 44);
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id IN (43, 44);
SELECT pg_temp.settle(43, 'bob', 'iphone', 'sent', 3, true), pg_temp.settle(44, 'bob', 'iphone', 'failed', 3, true, 'BadMessageId');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id IN (43, 44);
-- 45: waiting and on its way; would have to wait longer.
SELECT pg_temp.waits(45);
SELECT imp_push.evict_messages(ARRAY[45]);
SELECT pg_temp.settle(45, 'bob', 'iphone', 'retry', 3, true, 'ServiceUnavailable', '2024-06-03 04:02+00');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 45;
SELECT * FROM pg_temp.plan_waiting(45, 'iphone', '2024-06-03 04:02+00');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 45;
-- 46: on its way at the first attempt, recalled, would have to wait: each binding says so.
SELECT imp_push.recall_message('m46');
SELECT pg_temp.waits(46), pg_temp.waits(46, 'ipad');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 46;
SELECT * FROM pg_temp.plan_waiting(46, 'iphone', '2024-06-03 04:01+00');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 46;
SELECT * FROM pg_temp.plan_waiting(46, 'ipad', '2024-06-03 04:01+00');
SELECT id, device, status, reason, n FROM pg_temp.state WHERE id = 46;
-- 47: has its outcome: deleting it says nothing.
SELECT pg_temp.settle(47, 'bob', 'iphone', 'sent', 1, false), pg_temp.settle(47, 'bob', 'ipad', 'sent', 1, false);
DELETE FROM imp_push.offline_message WHERE id = 47;
SELECT id, device, status, reason FROM pg_temp.state WHERE id = 47;
-- 48: planned at the moment when it is deleted: what was decided shows, in whichever order.
DELETE FROM imp_push.offline_message WHERE id = 48;
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, status, reason, attempts, decided_at, finished_at) VALUES (0, 48, 'm48', 'bob', 'suppressed', 'dnd', 0, :at, :at);
SELECT id, device, status, reason FROM pg_temp.state WHERE id = 48;
SELECT count(*) AS waiting FROM imp_push.waiting;
-- Comes again after all that: here before.
SELECT pg_temp.message(n + 20, msg_id => 'm' || n) FROM generate_series(40, 46) n;
SELECT * FROM pg_temp.plan(ARRAY(SELECT id FROM imp_push.offline_message WHERE id BETWEEN 60 AND 66), :at);
SELECT id, status, reason, detail FROM pg_temp.state WHERE id BETWEEN 60 AND 66;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- An online row is hidden once the message has a later one; so is a device's.
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, device_id, certificate, status, reason, attempts, decided_at, finished_at) VALUES
	(0, 70, 'm70', 'bob', NULL, NULL, 'suppressed', 'online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'),
	(0, 71, 'm71', 'bob', NULL, NULL, 'suppressed', 'online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'), (0, 71, 'm71', 'bob', 'iphone', 'app', 'sent', NULL, 1, '2024-06-03 04:01+00', '2024-06-03 04:01+00'),
	(0, 72, 'm72', 'bob', NULL, NULL, 'suppressed', 'online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'), (0, 72, 'm72', 'bob', NULL, NULL, 'suppressed', 'dnd', 0, '2024-06-03 04:01+00', '2024-06-03 04:01+00'),
	(0, 73, 'm73', 'bob', 'iphone', 'app', 'suppressed', 'device_online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'), (0, 73, 'm73', 'bob', 'iphone', 'app', 'sent', NULL, 1, '2024-06-03 04:01+00', '2024-06-03 04:01+00'),
	(0, 73, 'm73', 'bob', 'ipad', 'app', 'suppressed', 'device_online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'),
	(0, 74, 'm74', 'bob', NULL, NULL, 'suppressed', 'online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00'), (0, 75, 'm75', 'bob', 'iphone', 'app', 'suppressed', 'device_online', 0, '2024-06-03 04:00+00', '2024-06-03 04:00+00');
-- planned again, and waiting
SELECT pg_temp.message(74), pg_temp.message(75), pg_temp.waits(74), pg_temp.waits(75);
SELECT id, device, status, reason FROM pg_temp.state;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- A life that was over before all times, and one that never ends.
SELECT pg_temp.message(88, 'bob', '-infinity'), pg_temp.message(89, 'bob', 'infinity');
SELECT message_id, device_id, expiration, expires_at FROM imp_push.plan_messages('{88,89}', :at) ORDER BY 1, 2;
SELECT id, device, status, reason FROM pg_temp.state WHERE id IN (88, 89);
DELETE FROM imp_push.offline_message WHERE id IN (88, 89);
DELETE FROM imp_push.delivery_log;

-- record_suppressed off: messages suppressed as a whole leave no row; bindings and what expired do.
UPDATE imp_push.settings SET record_suppressed = false;
SELECT pg_temp.message(80, 'stranger'), pg_temp.message(81, 'dave'), pg_temp.message(82, 'carol'), pg_temp.message(83, 'bob', '2024-06-03 03:00+00'), pg_temp.message(84, 'stranger');
SELECT * FROM pg_temp.plan(ARRAY[80, 81, 82, 83], :at);
SELECT imp_push.store_cursor(0::smallint, pg_current_snapshot());
SELECT id, device, status, reason FROM pg_temp.state;
-- Deleting one unplanned records nothing; a waiting push is cancelled all the same.
DELETE FROM imp_push.offline_message WHERE id IN (82, 84);
SELECT id, device, status, reason FROM pg_temp.state;
-- online leaves one while push_unacknowledged is on.
UPDATE imp_push.settings SET push_unacknowledged = true;
SELECT * FROM pg_temp.plan(ARRAY[80, 81], :at);
SELECT id, device, status, reason FROM pg_temp.state WHERE id IN (80, 81);
UPDATE imp_push.settings SET push_unacknowledged = false, record_suppressed = true;
DELETE FROM imp_push.worker_cursor;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- A message that cannot be planned ends; of one that waits, what waits of it.
SELECT pg_temp.message(90), pg_temp.message(91), pg_temp.settle(91, 'bob', 'ipad', 'sent', 1, false), pg_temp.waits(91);
SELECT imp_push.fail_message(90, '22003', :at), imp_push.fail_message(91, '22003', :at), imp_push.fail_message(999, '22003', :at);
SELECT id, device, status, reason, n FROM pg_temp.state;
SELECT count(*) AS waiting FROM imp_push.waiting;
-- Once: its other devices were on the same page perhaps.
SELECT imp_push.fail_message(90, '22003', :at), imp_push.fail_message(91, '22003', :at);
SELECT count(*) AS rows, count(device_id) AS with_device FROM imp_push.delivery_log;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- What is due: oldest first, without open circuits and those in flight; at the
-- end of its life each is due, circuit open or not.
SELECT pg_temp.message(n) FROM generate_series(100, 104) n;
INSERT INTO imp_push.waiting (message_id, device_id, certificate, recipient, msg_id, apns_id, attempts, due, expires_at, since, decided_at)
SELECT n, 'iphone', c, 'bob', 'm' || n, imp_push.apns_id('bob', 'm' || n, 'iphone', c), 1, due::timestamptz, ends::timestamptz, :at, :at
FROM (VALUES (100, 'app', '2024-06-03 04:03+00', '2024-06-04 04:00+00'), (101, 'app', '2024-06-03 04:01+00', '2024-06-04 04:00+00'), (102, 'app', '2024-06-03 04:02+00', '2024-06-04 04:00+00'),
	(103, 'pro', '2024-06-03 04:01+00', '2024-06-04 04:00+00'), (104, 'pro', '2024-06-03 05:00+00', '2024-06-03 04:30+00')) w(n, c, due, ends);
SELECT * FROM imp_push.next_waiting('2024-06-03 04:00+00', '{}', '{}', 10);
SELECT * FROM imp_push.next_waiting('2024-06-03 04:02+00', '{}', '{}', 10) ORDER BY 1;
SELECT * FROM imp_push.next_waiting('2024-06-03 04:02+00', '{}', '{}', 1) ORDER BY 1;
SELECT * FROM imp_push.next_waiting('2024-06-03 04:03+00', '{app}', '{}', 10) ORDER BY 1;
SELECT * FROM imp_push.next_waiting('2024-06-03 04:03+00', '{}', ARRAY[imp_push.apns_id('bob', 'm101', 'iphone', 'app')], 10) ORDER BY 1;
SELECT * FROM imp_push.next_waiting('2024-06-03 04:31+00', '{app,pro}', '{}', 10) ORDER BY 1;
SELECT imp_push.next_due('{}', '{}') AS first, imp_push.next_due('{app}', '{}') AS pro, imp_push.next_due('{app,pro}', '{}') AS ends,
	imp_push.next_due('{pro}', ARRAY(SELECT apns_id FROM imp_push.waiting)) AS none;
-- Probes: the newest registrations among those that wait.
UPDATE imp_push.device_token SET registered_at = '2024-01-01' WHERE user_id = 'bob';
SELECT message_id, device_id, certificate, left(token, 4) AS token FROM imp_push.next_probes('{app}', '{}') ORDER BY 1;
SELECT message_id, device_id, certificate, token IS NULL AS unbound FROM imp_push.next_probes('{pro}', '{}') ORDER BY 1;
SELECT place, certificate, count(*) FROM imp_push.next_probes('{pro,none,app}', '{}') GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FROM imp_push.next_probes('{app}', ARRAY(SELECT apns_id FROM imp_push.waiting));
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- New messages, page by page: what now sees and seen does not.
SELECT pg_current_snapshot() AS seen \gset
SELECT pg_temp.message(n) FROM generate_series(110, 112) n;
SELECT pg_temp.message(n) FROM generate_series(113, 114) n;
SELECT pg_current_snapshot() AS middle \gset
SELECT pg_temp.message(115);
SELECT pg_current_snapshot() AS now \gset
SELECT id, settled FROM imp_push.next_messages(:'seen', :'now', '0', 0, 10, false);
SELECT id FROM imp_push.next_messages(:'seen', :'now', '0', 0, 4, false);
SELECT queued_xid AS after_xid FROM imp_push.offline_message WHERE id = 113 \gset
SELECT id FROM imp_push.next_messages(:'seen', :'now', :'after_xid', 113, 10, false);
SELECT id FROM imp_push.next_messages(:'middle', :'now', '0', 0, 10, false);
SELECT id FROM imp_push.next_messages(:'seen', :'middle', '0', 0, 10, false);
SELECT id FROM imp_push.next_messages(:'now', :'now', '0', 0, 10, false);
-- A transaction that was under way when seen was taken.
SELECT id FROM imp_push.next_messages((:'after_xid' || ':' || pg_snapshot_xmax(:'now') || ':' || :'after_xid')::pg_snapshot, :'now', '0', 0, 10, false);
-- Recovering, what has an outcome or waits is known.
SELECT pg_temp.waits(110), pg_temp.settle(111, 'bob', 'iphone', 'sent', 1, false);
SELECT id, settled FROM imp_push.next_messages('1:1:', :'now', '0', 0, 10, true);
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;

-- Dead tokens: only the token that was sent, and not one registered since.
UPDATE imp_push.device_token SET registered_at = '2024-06-03 04:00:00.500+00';
SELECT u, d, ms, t, x AS skipped FROM (VALUES
	('bob', 'iphone', '2024-06-03 04:00:00.499', 'bobiphone'), ('bob', 'ipad', '2024-06-03 04:00:00.500', 'bobipad'), ('carol', 'iphone', '1970-01-01', 'caroliphone'),
	('carol', 'ipad', '1970-01-01', 'another token'), ('nobody', 'iphone', '1970-01-01', 'x')) v(u, d, ms, t)
	LEFT JOIN LATERAL imp_push.disable_tokens(ARRAY[u], ARRAY[d], '{app}', ARRAY[md5(t)], '{Unregistered}', ARRAY[(EXTRACT(epoch FROM ms::timestamp) * 1000)::bigint], '2024-06-03 04:01+00') x ON true;
SELECT user_id, device_id, disabled_at, disabled_reason FROM imp_push.device_token ORDER BY 1, 2;
-- An import's unknown registration is before any answer; the same one twice is disabled once.
UPDATE imp_push.device_token SET registered_at = '-infinity' WHERE user_id = 'bob' AND device_id = 'iphone';
SELECT count(*) <= 1 AS at_most_one_again FROM imp_push.disable_tokens('{bob,bob}', '{iphone,iphone}', '{app,app}', ARRAY[md5('bobiphone'), md5('bobiphone')], '{BadDeviceToken,BadDeviceToken}', '{1,1}', '2024-06-03 04:02+00');
SELECT user_id, device_id, disabled_at, disabled_reason FROM imp_push.device_token WHERE disabled_at IS NOT NULL ORDER BY 1, 2;
-- It was the certificate: only those refused for that reason live again.
SELECT imp_push.revive_tokens('app', ARRAY(SELECT token FROM imp_push.device_token));
SELECT imp_push.revive_tokens('pro', ARRAY(SELECT token FROM imp_push.device_token));
SELECT user_id, device_id, disabled_at, disabled_reason, registered_at FROM imp_push.device_token ORDER BY 1, 2;

DELETE FROM imp_push.device_token;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.certificate;
