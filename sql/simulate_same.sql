-- simulate() and the worker give the same answer for the same state and time,
-- over some hundred combinations of people, devices and messages.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET jit = off;
SET timezone = 'UTC';
SELECT default_time_zone AS zone_before FROM imp_push.settings \gset
UPDATE imp_push.settings SET default_time_zone = 'Asia/Shanghai';
\set at '''2024-06-03 14:30+00'''

INSERT INTO imp_push.certificate (name, bundle_id, push_type, team_id, key_id, sound, mutable_content, enabled) VALUES
	('app', 'com.example.app', 'alert', 'TEAM567890', 'KEY4567890', NULL, false, true), ('calls', 'com.example.app', 'voip', 'TEAM567890', 'KEY4567890', NULL, false, true),
	('pro', 'com.example.pro', 'alert', 'TEAM567890', 'KEY4567890', 'ring.caf', true, true), ('off', 'com.example.off', 'alert', 'TEAM567890', 'KEY4567890', NULL, false, false);
INSERT INTO imp_push.template (name, title, content) VALUES ('own', 'own {0}', '{$dynamicFrom}: {$msg} {1}'), ('outer', '{$fromNickname} {0}', '{$msg} {0} {$x}'), ('detail', 'Detail', '{$fromNickname} - {$msg}');
INSERT INTO imp_push.im_node (name, expires_at) VALUES ('alive', '2024-06-03 15:00+00'), ('dead', '2024-06-03 14:30+00');

-- People: everything about the n-th follows from n.
CREATE TEMP TABLE people AS SELECT n, 'user' || n AS id FROM generate_series(1, 400) n;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, disabled_at, disabled_reason)
SELECT id, 'iphone', 'app', md5(id || 'app'), CASE WHEN n % 13 = 0 THEN '2024-06-01'::timestamptz END, CASE WHEN n % 13 = 0 THEN 'Unregistered' END FROM people WHERE n % 9 > 0
UNION ALL SELECT id, 'iphone', 'calls', md5(id || 'calls'), NULL, NULL FROM people WHERE n % 4 = 1
UNION ALL SELECT id, 'ipad', 'pro', md5(id || 'pro'), NULL, NULL FROM people WHERE n % 3 = 0
UNION ALL SELECT id, 'watch', 'off', md5(id || 'off'), NULL, NULL FROM people WHERE n % 11 = 0;
INSERT INTO imp_push.presence (user_id, device_id, status, session, node, expires_at, changed_at)
SELECT id, d, (ARRAY['offline', 'logged_out', 'kicked', 'online', 'online', 'online'])[1 + (n + o) % 6], 's' || n, (ARRAY[NULL, 'alive', 'dead', 'dead'])[1 + n % 4], CASE WHEN n % 5 = 0 THEN '2024-06-03 14:00+00'::timestamptz END, '2024-06-01'::timestamptz
FROM people, (VALUES ('iphone', 0), ('ipad', 2)) d(d, o) WHERE (n + o) % 3 > 0
UNION ALL SELECT id, 'web', 'online', NULL, NULL, NULL::timestamptz, '2024-06-01'::timestamptz FROM people WHERE n % 10 = 0;
INSERT INTO imp_push.user_profile (user_id, nickname, display_style, language, time_zone, template)
SELECT id, NULL, (ARRAY['simple', 'summary'])[1 + n % 2], (ARRAY[NULL, 'en', 'zh-Hans-CN', 'fr', 'en-GB'])[1 + n % 5], (ARRAY[NULL, 'America/New_York', 'Asia/Kathmandu'])[1 + n % 3], (ARRAY[NULL, NULL, 'own', NULL, 'gone'])[1 + n % 5] FROM people WHERE n % 6 > 0
UNION ALL SELECT 'alice', 'Alice', 'simple', NULL, NULL, NULL;
INSERT INTO imp_push.contact_remark (user_id, contact_id, remark) SELECT id, 'alice', 'remark ' || n FROM people WHERE n % 4 = 0;
INSERT INTO imp_push.dnd (user_id, mode, dnd_start, dnd_end, dnd_until)
SELECT id, (ARRAY[NULL, 'all', 'mention_only', 'none'])[1 + n % 4], CASE WHEN n % 8 = 3 THEN '22:00'::time END, CASE WHEN n % 8 = 3 THEN '07:00'::time END, CASE WHEN n % 16 = 5 THEN '2024-06-03 15:00+00'::timestamptz END FROM people WHERE n % 7 < 3;
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode) SELECT id, 'groupchat', 'g1', (ARRAY['all', 'mention_only', 'none'])[1 + n % 3] FROM people WHERE n % 14 = 1;
-- Some have older messages, which the badge counts.
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, created_at) SELECT id, 'alice', 'older' || k, '2024-06-02' FROM people, generate_series(1, n % 4) k;

-- Messages.
CREATE TEMP TABLE message AS
SELECT n, id AS recipient, CASE WHEN n % 41 = 0 THEN id WHEN n % 3 = 0 THEN 'amy' ELSE 'alice' END AS sender,
	(ARRAY['hello', '你好 {$msg} "x"', '', repeat('长', 3000), E'a\nb'])[1 + n % 5] AS body,
	CASE WHEN n % 37 = 0 THEN 'chatroom' WHEN n % 2 = 0 THEN 'groupchat' ELSE 'chat' END AS chat_type,
	CASE WHEN n % 37 = 0 OR n % 2 = 0 THEN 'g1' END AS conversation_id,
	(ARRAY['txt', 'img', 'txt', 'custom', 'txt', 'red_packet', 'txt', 'cmd'])[1 + n % 8] AS type,
	(ARRAY['{}', '{"em_force_notification": true}', '{"em_push_ext": {"type": "call"}}', '{"em_apns_ext": {"em_push_title": "T", "em_push_badge": 9, "x": 1}}',
		jsonb_build_object('em_at_list', jsonb_build_array(id)), '{"em_push_template": {"name": "outer", "title_args": ["a"], "content_args": []}}', '{"em_push_filter": {"ignore_device_id": ["ipad"]}}',
		'{"em_apns_ext": {"em_push_content_available": true, "em_push_title": "", "em_push_content": ""}}', '{"em_push_ext": {"custom": [1, {"a": null}], "group_user_nickname": "nick"}, "em_at_list": "all"}',
		'{"em_ignore_notification": "yes"}', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_collapse_key', repeat('k', 100), 'left', repeat('x', 4000))),
		jsonb_build_object('em_push_template', jsonb_build_object('name', 'gone', 'directed_template', jsonb_build_object('name', 'own', 'target', jsonb_build_array(id), 'title_args', '["d"]'::jsonb))),
		jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_title', repeat('x', 5000)))]::jsonb[])[1 + n % 13] AS ext,
	CASE WHEN n % 6 = 0 THEN '{"en": "translated", "zh": "译文"}'::jsonb ELSE '{}' END AS translations
FROM people;

CREATE FUNCTION pg_temp.compare(prefix text, at timestamptz) RETURNS TABLE (answers bigint, pushes bigint, reasons bigint, simulate_alone bigint, worker_alone bigint)
LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE simulated ON COMMIT DROP AS
	SELECT m.recipient, s.* FROM message m, LATERAL (
		SELECT * FROM imp_push.simulate(m.recipient, m.sender, m.body, m.chat_type, m.conversation_id, m.type, m.ext, m.translations, prefix || m.n, at) OFFSET 0) s;
	INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type, conversation_id, type, ext, translations, msg_id, created_at)
	SELECT m.recipient, m.sender, m.body, m.chat_type, m.conversation_id, m.type, m.ext, m.translations, prefix || m.n, at FROM message m;
	CREATE TEMP TABLE pushed ON COMMIT DROP AS
	SELECT * FROM imp_push.plan_messages(ARRAY(SELECT id FROM imp_push.offline_message WHERE starts_with(msg_id, prefix)), at);
	CREATE TEMP TABLE planned ON COMMIT DROP AS
	SELECT recipient, device_id, certificate, 'push' AS status, NULL AS reason, detail,
		jsonb_strip_nulls(jsonb_build_object('apns-topic', topic, 'apns-push-type', push_type, 'apns-priority', priority::text, 'apns-id', apns_id::text,
			'apns-expiration', expiration::text, 'apns-collapse-id', collapse_id)) AS headers, payload
	FROM pushed
	UNION ALL
	SELECT recipient, device_id, certificate, status, reason, detail, NULL, NULL FROM imp_push.delivery WHERE starts_with(msg_id, prefix) AND status <> 'pending';
	RETURN QUERY SELECT (SELECT count(*) FROM planned), (SELECT count(*) FROM planned WHERE status = 'push'), (SELECT count(DISTINCT reason) FROM planned),
		(SELECT count(*) FROM (TABLE simulated EXCEPT ALL TABLE planned) s), (SELECT count(*) FROM (TABLE planned EXCEPT ALL TABLE simulated) p);

	-- a further attempt at the same time says the same, too
	PERFORM imp_push.settle(array_agg(message_id), array_agg(msg_id), array_agg(recipient), array_agg(device_id), array_agg(certificate), array_agg(apns_id), array_agg('retry'::text), array_agg('InternalServerError'::text),
		array_agg(NULL::jsonb), array_agg(500), array_agg(1), array_agg(waiting), array_agg(at), array_agg(expires_at), array_agg(at), array_agg(NULL::timestamptz)) FROM pushed;
	RETURN QUERY
	WITH again AS (SELECT w.* FROM (SELECT array_agg(message_id) m, array_agg(device_id) d, array_agg(certificate) c FROM pushed) a, imp_push.plan_waiting(a.m, a.d, a.c, at) w)
	SELECT count(*), count(*), 0::bigint, count(*) FILTER (WHERE p.message_id IS NULL), (SELECT count(*) FROM pushed) - count(p.message_id)
	FROM again w LEFT JOIN pushed p ON (p.message_id, p.device_id, p.certificate, p.token, p.payload, p.topic, p.push_type, p.priority, p.expiration, p.collapse_id, p.apns_id, p.expires_at, p.detail)
		IS NOT DISTINCT FROM (w.message_id, w.device_id, w.certificate, w.token, w.payload, w.topic, w.push_type, w.priority, w.expiration, w.collapse_id, w.apns_id, w.expires_at, w.detail);
	DELETE FROM imp_push.offline_message WHERE starts_with(msg_id, prefix);
	DELETE FROM imp_push.waiting;
	DELETE FROM imp_push.delivery_log;
END $$;

-- Nothing is said by one of the two alone.
SELECT * FROM pg_temp.compare('a', :at);
UPDATE imp_push.settings SET multi_device_policy = 'any_offline', default_language = 'en', push_cmd = true, force_bypasses_mode = true;
SELECT * FROM pg_temp.compare('b', '2024-06-03 20:00+00');
SELECT imp_push.disable_advanced_features(confirm => true);
SELECT * FROM pg_temp.compare('c', :at);

-- Nor does the time zone of the session that asks make a difference: for the
-- worker a day has 24 hours, on this one, too, on which clocks change.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('zoe', 'iphone', 'app', '20e0'), ('zoe', 'ipad', 'app', '20e1');
INSERT INTO imp_push.presence (user_id, device_id, status, changed_at) VALUES ('zoe', 'ipad', 'kicked', '2024-03-30 11:00+00');
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, created_at) VALUES ('zoe', 'alice', 'zoned', now());
SET timezone = 'Europe/Berlin';
SELECT device_id, reason, detail, (headers->>'apns-expiration')::bigint - extract(epoch FROM '2024-03-30 12:00+00'::timestamptz)::bigint AS lives
	FROM imp_push.simulate('zoe', 'alice', 'hello', at => '2024-03-30 12:00+00') ORDER BY 1;
SELECT device_id, reason, detail FROM imp_push.explain('zoe', 'zoned') WHERE result = 'failed' ORDER BY 1;
SET timezone = 'UTC';

UPDATE imp_push.settings SET multi_device_policy = 'all_offline', default_language = 'zh', push_cmd = false, force_bypasses_mode = false, advanced_features = true, default_time_zone = :'zone_before';
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.im_node;
DELETE FROM imp_push.user_profile;
DELETE FROM imp_push.contact_remark;
DELETE FROM imp_push.certificate;
