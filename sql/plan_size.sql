-- The cost of a push stays flat: with 100,000 users no statement of the worker
-- or of an IM server reads a big table from end to end.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET timezone = 'UTC';
SET jit = off;
-- What reads what, since remember(); small tables may be read as a whole.
CREATE TEMP TABLE until_now AS SELECT * FROM pg_stat_xact_user_tables;
CREATE FUNCTION pg_temp.remember() RETURNS void LANGUAGE sql AS
	'DELETE FROM until_now; INSERT INTO until_now SELECT * FROM pg_stat_xact_user_tables';
CREATE VIEW pg_temp.read_from_end_to_end AS
	SELECT relname, now.seq_scan - until_now.seq_scan AS seq_scan
	FROM pg_stat_xact_user_tables now JOIN until_now USING (relid, relname)
	WHERE now.schemaname = 'imp_push' AND now.seq_scan > until_now.seq_scan
		AND relname NOT IN ('settings', 'vocabulary', 'certificate', 'builtin_text', 'im_node', 'control', 'worker_cursor', 'delivery_ring', 'housekeeping_state', 'recheck_state', 'direct_push', 'worker_state', 'certificate_state', 'counter', 'recheck')
	ORDER BY relname;

-- A batch of 1,000 reads a few rows for each of them.
CREATE VIEW pg_temp.read_a_lot AS
	SELECT relname, now.idx_tup_fetch - until_now.idx_tup_fetch AS idx_tup_fetch
	FROM pg_stat_xact_user_tables now JOIN until_now USING (relid, relname)
	WHERE now.schemaname = 'imp_push' AND now.idx_tup_fetch - until_now.idx_tup_fetch > 20000;

-- As src/session.c pins it: plans are made once, while the tables may be empty.
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET max_parallel_workers_per_gather = 0;
INSERT INTO imp_push.certificate (name, bundle_id, push_type, team_id, key_id) VALUES ('app', 'com.example.app', 'alert', 'TEAM567890', 'KEY4567890'), ('calls', 'com.example.app', 'voip', 'TEAM567890', 'KEY4567890');
CREATE FUNCTION pg_temp.work(from_id int, to_id int) RETURNS TABLE (what text, number bigint) LANGUAGE plpgsql AS $$
DECLARE
	at CONSTANT timestamptz := '2024-06-03 04:00+00';
	p imp_push.planned_push[];
BEGIN
	what := 'next_messages';
	SELECT count(*) INTO number FROM imp_push.next_messages('1:1:', pg_current_snapshot(), '0', 0, 1000, true);
	RETURN NEXT;
	what := 'plan_messages';
	p := ARRAY(SELECT x FROM imp_push.plan_messages(ARRAY(SELECT n FROM generate_series(from_id, to_id) n), at) x);
	number := cardinality(p);
	RETURN NEXT;
	what := 'settle';
	PERFORM imp_push.settle(array_agg(x.message_id), array_agg(x.msg_id), array_agg(x.recipient), array_agg(x.device_id), array_agg(x.certificate), array_agg(x.apns_id),
		array_agg(CASE WHEN x.message_id % 2 = 0 THEN 'sent' ELSE 'retry' END), array_agg(NULL::text), array_agg(NULL::jsonb), array_agg(200), array_agg(1), array_agg(x.waiting), array_agg(at), array_agg(x.expires_at),
		array_agg(at), array_agg(at)) FROM unnest(p) x;
	RETURN NEXT;
	what := 'next_waiting';
	SELECT count(*) INTO number FROM imp_push.next_waiting(at, '{}', '{}', 1000);
	RETURN NEXT;
	what := 'next_due';
	PERFORM imp_push.next_due('{}', '{}'), imp_push.next_probes('{app}', '{}');
	RETURN NEXT;
	what := 'plan_waiting';
	SELECT count(*) INTO number FROM (SELECT array_agg(w.message_id) m, array_agg(w.device_id) d, array_agg(w.certificate) c FROM imp_push.next_waiting(at, '{}', '{}', 1000) w) a,
		imp_push.plan_waiting(a.m, a.d, a.c, at);
	RETURN NEXT;
	what := 'disable_tokens';
	SELECT count(*) INTO number FROM (SELECT array_agg(x.recipient) r, array_agg(x.device_id) d, array_agg(x.certificate) c, array_agg(x.token) t, array_agg('Unregistered'::text) u, array_agg(0::bigint) z FROM unnest(p[1:50]) x) a,
		imp_push.disable_tokens(a.r, a.d, a.c, a.t, a.u, a.z, at);
	PERFORM imp_push.revive_tokens('app', ARRAY(SELECT x.token FROM unnest(p[1:50]) x));
	RETURN NEXT;
	what := 'fail_message';
	PERFORM imp_push.fail_message(p[1].message_id, 'XX000', at);
	RETURN NEXT;
	what := 'housekeeping';
	PERFORM imp_push.housekeeping('2024-06-03 04:00+00');
	RETURN NEXT;
	what := 'ack_offline_messages';
	number := imp_push.ack_offline_messages('user2', ARRAY[1]);
	RETURN NEXT;
	what := 'plan_swallowed';
	PERFORM imp_push.plan_swallowed(ARRAY(SELECT 'user' || n FROM generate_series(from_id, from_id + 100) n), at);
	RETURN NEXT;
END $$;
-- The plans of an empty database; they stay.
BEGIN;
SELECT pg_temp.remember();
SELECT * FROM pg_temp.work(1, 1000);
TABLE pg_temp.read_from_end_to_end;
ROLLBACK;

-- 100,000 users, each with a phone, a profile, a presence row, a message, an older one and its outcome; and 1,000 templates.
SET session_replication_role = replica;	-- no trigger: it is the load that takes the time
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, registered_at) SELECT 'user' || n, 'iphone', 'app', md5(n::text), '2024-01-01' FROM generate_series(1, 100000) n;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, registered_at) SELECT 'user' || n, 'iphone', 'calls', md5(n::text), '2024-01-01' FROM generate_series(1, 100000, 10) n;
INSERT INTO imp_push.presence (user_id, device_id, status) SELECT 'user' || n, 'iphone', (ARRAY['offline', 'online', 'logged_out', 'kicked'])[1 + n % 4] FROM generate_series(1, 100000) n;
INSERT INTO imp_push.user_profile (user_id, nickname, display_style) SELECT 'user' || n, 'nick' || n, (ARRAY['simple', 'summary'])[1 + n % 2] FROM generate_series(1, 100000) n;
INSERT INTO imp_push.dnd (user_id, mode, dnd_start, dnd_end) SELECT 'user' || n, (ARRAY['all', 'mention_only', 'none'])[1 + n % 3], '22:00', '07:00' FROM generate_series(1, 100000, 5) n;
INSERT INTO imp_push.contact_remark (user_id, contact_id, remark) SELECT 'user' || n, 'user' || n + 1, 'remark' FROM generate_series(1, 100000, 5) n;
INSERT INTO imp_push.template (name, title, content) SELECT 't' || n, 'title', 'content' FROM generate_series(1, 1000) n;
INSERT INTO imp_push.offline_message (id, recipient, sender, conversation_id, msg_id, body, created_at, queued_xid)
SELECT n, 'user' || n % 100000 + 1, 'user' || n % 5000 + 7, 'user' || n % 5000 + 7, 'm' || n, 'hello', '2024-06-03 04:00+00', '5' FROM generate_series(1, 100000) n;
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, device_id, certificate, status, attempts, decided_at, finished_at)
SELECT n % 4, n, 'm' || n, 'user' || n % 100000 + 1, 'iphone', 'app', 'sent', 1, '2024-06-03', '2024-06-03'::timestamptz + make_interval(secs => n) FROM generate_series(50001, 100000) n;
INSERT INTO imp_push.waiting (message_id, device_id, certificate, recipient, msg_id, apns_id, attempts, due, expires_at, since, decided_at)
SELECT n, 'iphone', 'calls', 'user' || n % 100000 + 1, 'm' || n, imp_push.apns_id('user' || n % 100000 + 1, 'm' || n, 'iphone', 'calls'), 1, '2024-06-04', '2024-06-05', '2024-06-03', '2024-06-03' FROM generate_series(80001, 100000) n;
RESET session_replication_role;

-- With those plans.
BEGIN;
SELECT pg_temp.remember();
SELECT * FROM pg_temp.work(1, 1000);
TABLE pg_temp.read_from_end_to_end;
SELECT * FROM pg_temp.read_a_lot;
ROLLBACK;
-- With new ones.
ANALYZE imp_push.device_token, imp_push.presence, imp_push.user_profile, imp_push.dnd, imp_push.contact_remark, imp_push.template, imp_push.offline_message, imp_push.delivery_log, imp_push.waiting;
BEGIN;
SELECT pg_temp.remember();
SELECT * FROM pg_temp.work(1, 1000);
TABLE pg_temp.read_from_end_to_end;
SELECT * FROM pg_temp.read_a_lot;
ROLLBACK;
-- Looking for new messages reads no more of the queue than it finds, however many are stored.
CREATE FUNCTION pg_temp.page(seen pg_snapshot, after_xid xid8, after_id bigint, OUT messages bigint, OUT index_pages_are_few boolean) LANGUAGE plpgsql AS $$
DECLARE
	before CONSTANT bigint := pg_stat_get_xact_blocks_fetched('imp_push.offline_message_queue_idx'::regclass);
BEGIN
	SELECT count(*) INTO messages FROM imp_push.next_messages(seen, '20:20:', after_xid, after_id, 1000, false);
	index_pages_are_few := pg_stat_get_xact_blocks_fetched('imp_push.offline_message_queue_idx'::regclass) - before < 30;
END $$;
SELECT 'nothing new' AS place, * FROM pg_temp.page('10:10:', '0', 0)
UNION ALL SELECT 'nothing after a place', * FROM pg_temp.page('1:1:', '6', 7)
UNION ALL SELECT 'the end of a long transaction', * FROM pg_temp.page('1:1:', '5', 99500)
UNION ALL SELECT 'the end of one that was under way', * FROM pg_temp.page('5:10:5', '5', 99500)
UNION ALL SELECT 'the beginning', * FROM pg_temp.page('1:1:', '0', 0);

-- The plan of decide() itself.
CREATE FUNCTION pg_temp.scans(node jsonb) RETURNS TABLE (kind text, relation text) LANGUAGE sql AS $$
	SELECT node ->> 'Node Type', node ->> 'Relation Name'
	UNION ALL SELECT s.* FROM jsonb_array_elements(node -> 'Plans') p, pg_temp.scans(p) s $$;
PREPARE decide (imp_push.offline_message[], text[], text[], timestamptz) AS SELECT * FROM imp_push.decide($1, $2, $3, $4);
CREATE FUNCTION pg_temp.plan_of_decide() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) EXECUTE decide(NULL, NULL, NULL, NULL)' INTO plan;
	RETURN plan::jsonb -> 0 -> 'Plan';
END $$;
SELECT DISTINCT kind, relation FROM pg_temp.scans(pg_temp.plan_of_decide())
WHERE relation IS NOT NULL AND kind NOT LIKE 'Index%' AND kind NOT LIKE 'Bitmap%' ORDER BY 1, 2;

-- What an IM server and an operator do, with the planner as it is.
RESET plan_cache_mode;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_hashjoin;
RESET enable_mergejoin;
BEGIN;
SELECT pg_temp.remember();
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('user7', 'user8', 'new', 'hello') ON CONFLICT DO NOTHING;
SELECT count(*) FROM imp_push.fetch_offline_messages('user7');
SELECT imp_push.offline_message_count('user7'), imp_push.ack_offline_messages('user7', ARRAY[6]), imp_push.recall_message('m8');
SELECT status FROM imp_push.simulate('user7', 'user8', 'hello');
SELECT count(*) FROM imp_push.explain('user50009', 'm50008');
SELECT count(*) FROM imp_push.delivery WHERE recipient = 'user50009' AND msg_id = 'm50008';
SELECT count(*) FROM imp_push.delivery WHERE finished_at > '2024-06-03'::timestamptz + make_interval(secs => 99990);
SELECT imp_push.set_presence('user7', 'iphone', 'online'), imp_push.is_online('user7'), imp_push.push_badge('user7', badge => 1);
SELECT imp_push.bind_device('user7', 'iphone', 'app', 'abcd'), imp_push.unbind_device('user7', 'iphone');
SELECT mode FROM imp_push.get_dnd('user7');
SELECT * FROM imp_push.online_user WHERE user_id = 'user7';
TABLE pg_temp.read_from_end_to_end;
ROLLBACK;

TRUNCATE imp_push.offline_message, imp_push.waiting, imp_push.delivery_log, imp_push.device_token, imp_push.presence, imp_push.user_profile, imp_push.dnd, imp_push.contact_remark, imp_push.template;
DELETE FROM imp_push.certificate;
