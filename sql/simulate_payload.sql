-- What is sent: payload and headers, the cut of the body, and whatever a
-- sender may put into ext, as simulate() tells.
\set ECHO none
\i sql/include/cases.sql
\set ECHO all
UPDATE imp_push.settings SET default_language = 'en';
INSERT INTO imp_push.user_profile (user_id, display_style) VALUES ('bob', 'summary');
SELECT imp_push.bind_device('pia', 'iphone', 'pro', 'b1b1'), imp_push.bind_device('vic', 'iphone', 'calls', 'b2b2');

-- All of it.
\pset format unaligned
SELECT headers - 'apns-id' AS headers, payload FROM imp_push.simulate('bob', 'alice', 'hello', msg_id => 'm1', at => '2024-06-03 04:00+00');
SELECT headers - 'apns-id' AS headers, payload FROM imp_push.simulate('pia', 'alice', 'hello', 'groupchat', 'g1', msg_id => 'm1', at => '2024-06-03 04:00:00.9+00',
	ext => '{"em_apns_ext": {"em_push_title": "T", "em_push_content": "C", "em_alert_subTitle": "S", "em_push_title_loc_key": "TK", "em_push_title_loc_args": ["a", 1],
		"em_push_body_loc_key": "BK", "em_push_body_loc_args": ["b"], "em_push_badge": 7, "em_push_sound": "s.caf", "thread_id": "th", "em_push_category": "cat",
		"em_push_mutable_content": true, "em_push_content_available": 1, "interruption_level": "time-sensitive", "relevance_score": 0.5, "em_push_collapse_key": "ck"},
		"em_push_ext": {"custom": {"k": [1, 2, {"x": null}]}}}');
SELECT headers - 'apns-id' AS headers, payload FROM imp_push.simulate('vic', 'alice', 'hello', msg_id => 'm1', at => '2024-06-03 04:00+00', ext => '{"em_push_ext": {"type": "call"}}');
SELECT headers - 'apns-id' AS headers, payload FROM imp_push.simulate('bob', 'alice', 'hello', msg_id => 'm1', at => '2024-06-03 04:00+00',
	ext => '{"em_apns_ext": {"em_push_title": "", "em_push_content": "", "em_push_content_available": "yes"}}');
\pset format aligned

-- Each key from its source; a value of the wrong type is as if absent.
INSERT INTO c (name, recipient, expected, ext)
SELECT a, r, e::jsonb || '{"status": "push"}', jsonb_build_object('em_apns_ext', a::jsonb)
FROM (VALUES
	('bob', '{}', '{"subtitle": null, "sound": "default", "thread-id": "chat:alice", "category": null, "mutable-content": null, "content-available": null, "interruption-level": null,
		"relevance-score": null, "g": null, "e": null, "f": "alice", "t": "bob", "m": "m1", "badge": 1, "title-loc-key": null, "loc-key": null, "title-loc-args": null, "loc-args": null}'),
	('bob', '{"em_alert_subTitle": "S"}', '{"subtitle": "S"}'), ('bob', '{"em_alert_subTitle": ""}', '{"subtitle": ""}'), ('bob', '{"em_alert_subTitle": 5}', '{"subtitle": null}'),
	('bob', '{"em_alert_subtitle": "S"}', '{"subtitle": null}'),
	('bob', '{"em_push_title_loc_key": "TK"}', '{"title-loc-key": "TK", "title-loc-args": null, "title": "You have a new message"}'),
	('bob', '{"em_push_title_loc_key": "TK", "em_push_title_loc_args": ["a"]}', '{"title-loc-key": "TK", "title-loc-args": ["a"]}'),
	('bob', '{"em_push_title_loc_args": ["a"]}', '{"title-loc-key": null, "title-loc-args": null}'),
	('bob', '{"em_push_title_loc_key": 5, "em_push_title_loc_args": ["a"]}', '{"title-loc-key": null, "title-loc-args": null}'),
	('bob', '{"em_push_title_loc_key": "TK", "em_push_title_loc_args": "a"}', '{"title-loc-key": "TK", "title-loc-args": null}'),
	('bob', '{"em_push_body_loc_key": "BK", "em_push_body_loc_args": ["a", "b"]}', '{"loc-key": "BK", "loc-args": ["a", "b"]}'),
	('bob', '{"em_push_body_loc_args": ["a"]}', '{"loc-key": null, "loc-args": null}'), ('bob', '{"em_push_body_loc_key": "BK", "em_push_body_loc_args": {"0": "a"}}', '{"loc-key": "BK", "loc-args": null}'),
	-- sound
	('bob', '{"em_push_sound": "s.caf"}', '{"sound": "s.caf"}'), ('bob', '{"em_push_sound": ""}', '{"sound": null}'), ('bob', '{"em_push_sound": 5}', '{"sound": "default"}'), ('bob', '{"em_push_sound": null}', '{"sound": "default"}'),
	('bob', '{"em_push_ignore_sound": true}', '{"sound": null}'), ('bob', '{"em_push_ignore_sound": true, "em_push_sound": "s.caf"}', '{"sound": null}'), ('bob', '{"em_push_ignore_sound": false}', '{"sound": "default"}'),
	('pia', '{}', '{"sound": "ring.caf"}'), ('pia', '{"em_push_sound": "s.caf"}', '{"sound": "s.caf"}'), ('pia', '{"em_push_sound": ""}', '{"sound": null}'), ('pia', '{"em_push_ignore_sound": "1"}', '{"sound": null}'),
	-- thread, category, flags
	('bob', '{"thread_id": "th"}', '{"thread-id": "th"}'), ('bob', '{"thread_id": 5}', '{"thread-id": "chat:alice"}'), ('bob', '{"em_push_category": "cat"}', '{"category": "cat"}'), ('bob', '{"em_push_category": ["cat"]}', '{"category": null}'),
	('bob', '{"em_push_mutable_content": true}', '{"mutable-content": 1}'), ('bob', '{"em_push_mutable_content": false}', '{"mutable-content": null}'), ('bob', '{"em_push_mutable_content": "TRUE"}', '{"mutable-content": 1}'),
	('pia', '{}', '{"mutable-content": 1}'), ('pia', '{"em_push_mutable_content": false}', '{"mutable-content": 1}'),
	('bob', '{"em_push_content_available": true}', '{"content-available": 1, "body": "alice: hello", "apns-push-type": "alert", "apns-priority": "10"}'), ('bob', '{"em_push_content_available": 2}', '{"content-available": null}'),
	-- interruption level and relevance score, if valid
	('bob', '{"interruption_level": "passive"}', '{"interruption-level": "passive"}'), ('bob', '{"interruption_level": "active"}', '{"interruption-level": "active"}'), ('bob', '{"interruption_level": "time-sensitive"}', '{"interruption-level": "time-sensitive"}'),
	('bob', '{"interruption_level": "critical"}', '{"interruption-level": "critical"}'), ('bob', '{"interruption_level": "Critical"}', '{"interruption-level": null}'), ('bob', '{"interruption_level": "loud"}', '{"interruption-level": null}'), ('bob', '{"interruption_level": 1}', '{"interruption-level": null}'),
	('bob', '{"relevance_score": 0}', '{"relevance-score": 0}'), ('bob', '{"relevance_score": 1}', '{"relevance-score": 1}'), ('bob', '{"relevance_score": 0.25}', '{"relevance-score": 0.25}'), ('bob', '{"relevance_score": 1.01}', '{"relevance-score": null}'),
	('bob', '{"relevance_score": -0.1}', '{"relevance-score": null}'), ('bob', '{"relevance_score": "0.5"}', '{"relevance-score": null}'), ('bob', '{"relevance_score": 1e300}', '{"relevance-score": null}'), 
	('bob', '{"relevance_score": 1.2345678901234567e-7}', '{"relevance-score": 0.00000012345678901234567}'), ('bob', '{"relevance_score": null}', '{"relevance-score": null}'),
	-- badge: an integer from 0 to 2147483647, also as a string; anything else is as if absent
	('bob', '{"em_push_badge": 5}', '{"badge": 5}'), ('bob', '{"em_push_badge": 0}', '{"badge": 0}'), ('bob', '{"em_push_badge": "0"}', '{"badge": 0}'), ('bob', '{"em_push_badge": "17"}', '{"badge": 17}'),
	('bob', '{"em_push_badge": 2147483647}', '{"badge": 2147483647}'), ('bob', '{"em_push_badge": "2147483647"}', '{"badge": 2147483647}'), ('bob', '{"em_push_badge": 2147483648}', '{"badge": 1}'), ('bob', '{"em_push_badge": "2147483648"}', '{"badge": 1}'),
	('bob', '{"em_push_badge": "99999999999999999999"}', '{"badge": 1}'), ('bob', '{"em_push_badge": -1}', '{"badge": 1}'), ('bob', '{"em_push_badge": "-1"}', '{"badge": 1}'), ('bob', '{"em_push_badge": "+1"}', '{"badge": 1}'), ('bob', '{"em_push_badge": 1.5}', '{"badge": 1}'),
	('bob', '{"em_push_badge": 3.0}', '{"badge": 3}'), ('bob', '{"em_push_badge": "3.0"}', '{"badge": 1}'), ('bob', '{"em_push_badge": " 3"}', '{"badge": 1}'), ('bob', '{"em_push_badge": ""}', '{"badge": 1}'), ('bob', '{"em_push_badge": 1e300}', '{"badge": 1}'), ('bob', '{"em_push_badge": 1e2}', '{"badge": 100}'),
	('bob', '{"em_push_badge": "1e2"}', '{"badge": 1}'), ('bob', '{"em_push_badge": true}', '{"badge": 1}'), ('bob', '{"em_push_badge": null}', '{"badge": 1}'), ('bob', '{"em_push_badge": [5]}', '{"badge": 1}'), ('bob', '{"em_push_badge": {"add": 5}}', '{"badge": 1}'), ('bob', '{"em_push_badge": "7\n"}', '{"badge": 1}'),
	('bob', '{"em_push_badge": "٣"}', '{"badge": 1}')) v(r, a, e);
-- What is left of em_apns_ext is in e, for the app to see.
UPDATE c SET expected = expected || jsonb_build_object('e', ext -> 'em_apns_ext') WHERE ext -> 'em_apns_ext' <> '{}';
SELECT * FROM pg_temp.check_cases();

-- e: custom, else extern, else what is left of em_apns_ext.
INSERT INTO c (name, ext, expected)
SELECT x, x::jsonb, jsonb_build_object('e', e::jsonb)
FROM (VALUES
	('{}', 'null'), ('{"em_apns_ext": {}}', 'null'), ('{"em_push_ext": {"custom": {"a": 1}}}', '{"a": 1}'), ('{"em_push_ext": {"custom": "text"}}', '"text"'), ('{"em_push_ext": {"custom": 0}}', '0'),
	('{"em_push_ext": {"custom": false}}', 'false'), ('{"em_push_ext": {"custom": []}}', '[]'), ('{"em_push_ext": {"custom": {}}}', '{}'), ('{"em_push_ext": {"custom": ""}}', '""'), ('{"em_push_ext": {"custom": null}}', 'null'),
	('{"em_push_ext": {"custom": {"a": 1}}, "em_apns_ext": {"extern": {"b": 2}, "left": 3}}', '{"a": 1}'), ('{"em_push_ext": {"custom": null}, "em_apns_ext": {"extern": {"b": 2}, "left": 3}}', '{"b": 2}'),
	('{"em_apns_ext": {"extern": {"b": 2}, "left": 3}}', '{"b": 2}'), ('{"em_apns_ext": {"extern": [1]}}', '[1]'), ('{"em_apns_ext": {"extern": ""}}', '""'),
	('{"em_apns_ext": {"left": 3}}', '{"left": 3}'), ('{"em_apns_ext": {"em_push_title": "T", "em_push_content": "C", "em_push_name": "n", "em_push_channel_id": "c", "em_huawei_push_badge_class": "h", "em_at_list": "all"}}', 'null'),
	('{"em_apns_ext": {"em_push_title": "T", "left": {"deep": [1, {"x": null}]}}}', '{"left": {"deep": [1, {"x": null}]}}'), ('{"em_apns_ext": "extern", "em_push_ext": ["custom"]}', 'null'), ('{"other": 1}', 'null')) v(x, e);
SELECT * FROM pg_temp.check_cases();

-- f, t, m always; g in groups only; the thread is the conversation.
INSERT INTO c (name, chat_type, conversation_id, expected) VALUES
	('chat', 'chat', NULL, '{"thread-id": "chat:alice", "f": "alice", "t": "bob", "m": "m1", "g": null}'),
	('group', 'groupchat', 'g1', '{"thread-id": "groupchat:g1", "f": "alice", "t": "bob", "m": "m1", "g": "g1"}');
SELECT * FROM pg_temp.check_cases();

-- The badge counts the stored messages and this one; not chat rooms, cmd, or one's own.
INSERT INTO imp_push.offline_message (recipient, sender, chat_type, conversation_id, type) VALUES
	('bob', 'alice', 'chat', NULL, 'txt'), ('bob', 'alice', 'groupchat', 'g1', 'img'), ('bob', 'alice', 'chatroom', 'r1', 'txt'), ('bob', 'alice', 'chat', NULL, 'cmd'), ('bob', 'bob', 'chat', NULL, 'txt'), ('pia', 'alice', 'chat', NULL, 'txt');
UPDATE imp_push.settings SET push_cmd = true;
INSERT INTO c (name, type, recipient, expected) VALUES ('two and this', 'txt', 'bob', '{"badge": 3}'), ('a command does not count', 'cmd', 'bob', '{"badge": 2}'), ('at least 1', 'cmd', 'vic', '{"status": "suppressed"}'), ('another''s', 'txt', 'pia', '{"badge": 2}');
SELECT * FROM pg_temp.check_cases();
DELETE FROM imp_push.offline_message;
INSERT INTO c (name, type, expected) VALUES ('at least 1', 'cmd', '{"badge": 1}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET push_cmd = false;
DELETE FROM imp_push.delivery_log;

-- Background pushes: content-available, and title and content both given as the empty string.
INSERT INTO c (name, recipient, ext, expected)
SELECT x, r, x::jsonb, e::jsonb
FROM (VALUES
	('bob', '{"em_apns_ext": {"em_push_title": "", "em_push_content": "", "em_push_content_available": true}}', '{"alert": null, "badge": null, "sound": null, "content-available": 1, "apns-push-type": "background", "apns-priority": "5", "apns-collapse-id": "m1", "t": "bob"}'),
	('bob', '{"em_push_ext": {"title": "", "content": ""}, "em_apns_ext": {"em_push_content_available": 1}}', '{"alert": null, "apns-push-type": "background", "apns-priority": "5"}'),
	('bob', '{"em_push_ext": {"content": ""}, "em_apns_ext": {"em_push_title": "", "em_push_content_available": 1}}', '{"alert": null, "apns-push-type": "background"}'),
	('bob', '{"em_apns_ext": {"em_push_title": "", "em_push_content": "", "em_push_content_available": true, "em_alert_subTitle": "S", "em_push_body_loc_key": "K", "em_push_badge": 5, "em_push_sound": "s.caf"}}', '{"alert": null, "badge": null, "sound": null, "apns-push-type": "background"}'),
	('bob', '{"em_apns_ext": {"em_push_title": "", "em_push_content": ""}}', '{"title": "", "body": "", "apns-push-type": "alert", "apns-priority": "10", "badge": 1}'),
	('bob', '{"em_apns_ext": {"em_push_title": "", "em_push_content_available": true}}', '{"title": "", "body": "alice: hello", "apns-push-type": "alert", "content-available": 1}'),
	('bob', '{"em_apns_ext": {"em_push_content": "", "em_push_content_available": true}}', '{"title": "You have a new message", "body": "", "apns-push-type": "alert", "content-available": 1}'),
	('bob', '{"em_apns_ext": {"em_push_title": "", "em_push_content": "C", "em_push_content_available": true}}', '{"body": "C", "apns-push-type": "alert"}'),
	('bob', '{"em_apns_ext": {"em_push_title": " ", "em_push_content": "", "em_push_content_available": true}}', '{"title": " ", "apns-push-type": "alert"}'),
	('pia', '{"em_apns_ext": {"em_push_title": "", "em_push_content": "", "em_push_content_available": true}}', '{"alert": null, "sound": null, "apns-push-type": "background"}'),
	('vic', '{"em_apns_ext": {"em_push_title": "", "em_push_content": "", "em_push_content_available": true}, "em_push_ext": {"type": "call"}}', '{"apns-push-type": "voip", "apns-priority": "10"}')) v(r, x, e);
SELECT * FROM pg_temp.check_cases();

-- Headers.
INSERT INTO c (name, ext, msg_id, expected)
SELECT left(k, 20), jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_collapse_key', k)), 'm1', jsonb_build_object('apns-collapse-id', COALESCE(e, encode(sha256(convert_to(k, 'UTF8')), 'hex')))
FROM (VALUES ('key', 'key'), ('', 'm1'), (repeat('k', 64), repeat('k', 64)), (repeat('k', 65), NULL), (repeat('k', 300), NULL), (repeat('键', 21), repeat('键', 21)), (repeat('键', 22), NULL),
	(E'a\r\nx-evil: 1', NULL), (E'a\tb', NULL), (E'a\x7f', NULL), (U&'a\0085b', NULL), (E'\n', NULL), (' a', NULL), ('a ', NULL), ('a b', 'a b')) v(k, e);
INSERT INTO c (name, ext, msg_id, expected)
SELECT left(m, 20), '{"em_apns_ext": {"em_push_collapse_key": 5}}', m, jsonb_build_object('apns-collapse-id', COALESCE(e, encode(sha256(convert_to(m, 'UTF8')), 'hex')), 'm', m)
FROM (VALUES ('id', 'id'), (repeat('m', 64), repeat('m', 64)), (repeat('m', 65), NULL), (repeat('消', 30), NULL), (E'a\nb', NULL)) v(m, e);
INSERT INTO c (name, recipient, ext, at, expected) VALUES
	('alert', 'bob', '{}', '2024-06-03 04:00+00', '{"apns-topic": "com.example.app", "apns-push-type": "alert", "apns-priority": "10", "apns-expiration": "1717473600", "authorization": null}'),
	('fractions of a second', 'bob', '{}', '2024-06-03 04:00:00.999+00', '{"apns-expiration": "1717473600"}'),
	('voip', 'vic', '{"em_push_ext": {"type": "call"}}', '2024-06-03 04:00+00', '{"apns-topic": "com.example.app.voip", "apns-push-type": "voip", "apns-collapse-id": null, "apns-expiration": "0"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET push_ttl = '1 hour';
INSERT INTO c (name, expected) VALUES ('push_ttl', '{"apns-expiration": "1717390800"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET push_ttl = '1 day';
-- The apns-id: the same for the same four, another for any other.
SELECT count(*), count(DISTINCT headers ->> 'apns-id'), bool_and(headers ->> 'apns-id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS lower_case_uuid_v8
FROM unnest(ARRAY['bob', 'bob', 'pia', 'pia']) r, unnest(ARRAY['m1', 'm2', 'm2']) m, imp_push.simulate(r, 'alice', 'hello', msg_id => m);
-- A topic that ends in .voip already.
INSERT INTO imp_push.certificate (name, bundle_id, push_type, team_id, key_id) VALUES ('suffix', 'com.example.suffix.voip', 'voip', 'TEAM567890', 'KEY4567890');
SELECT imp_push.bind_device('sue', 'iphone', 'suffix', 'b3b3');
INSERT INTO c (name, recipient, ext, expected) VALUES ('suffix', 'sue', '{"em_push_ext": {"type": "call"}}', '{"apns-topic": "com.example.suffix.voip", "apns-push-type": "voip"}');
SELECT * FROM pg_temp.check_cases();

-- The cut.  The body is what fits, then …; with one character more it would not have fitted.
CREATE TEMP TABLE texts (name text, text text);
INSERT INTO texts VALUES
	('Chinese', repeat('天地玄黄宇宙洪荒', 700)), ('Arabic', repeat('السلام عليكم ', 500)), ('Hindi', repeat('नमस्ते दुनिया ', 300)), ('Thai', repeat('สวัสดีชาวโลก', 400)),
	('families', repeat('👨‍👩‍👧‍👦', 500)), ('quotes', repeat('"', 4096)), ('backslashes', repeat(E'\\', 4096)), ('control characters', repeat(E'\x01', 2000)), ('new lines', repeat(E'\n', 4096)),
	('ASCII', repeat('x', 5000)), ('mixed', repeat(E'a"é€👍\n\\\u2028', 500)), ('two bytes', repeat('é', 4000)), ('DEL', repeat(E'\x7f', 5000));
-- Each of them behind 0 to 7 characters, so that the limit falls everywhere.
CREATE TEMP TABLE cut AS
SELECT t.name, n, x.text, s.payload, s.payload::jsonb #>> '{aps,alert,body}' AS body
FROM texts t, generate_series(0, 7) n, LATERAL (SELECT repeat('.', n) || t.text AS text) x,
	LATERAL (SELECT * FROM imp_push.simulate('bob', 'alice', x.text, msg_id => 'm1', ext => '{"em_apns_ext": {"em_push_title": "T"}}') OFFSET 0) s;
-- render_payload() says whether one more would have fitted.
SELECT name, count(*), min(octet_length(payload)) AS min_bytes, max(octet_length(payload)) AS max_bytes,
	bool_and(octet_length(payload) <= 4096) AS fits,
	bool_and(right(body, 1) = '…' AND starts_with('alice: ' || text, rtrim(body, '…'))) AS is_beginning,
	bool_and(imp_push.render_payload(false, 'T', NULL, left('alice: ' || text, length(body)) || '…', NULL, NULL, NULL, NULL, 1, 'default', 'chat:alice', NULL, false, false, NULL, NULL, 'alice', 'bob', NULL, 'm1', NULL, NULL, 4096)::jsonb
		#>> '{aps,alert,body}' = body) AS not_one_fewer,
	max(length(body)) AS longest
FROM cut GROUP BY name ORDER BY name COLLATE "C";
-- One byte decides: exactly 4,096 is whole.
SELECT n - room AS over, octet_length(s.payload) AS bytes, right(s.payload::jsonb #>> '{aps,alert,body}', 3) AS ending
FROM (SELECT 4096 - octet_length(payload) + 5 AS room FROM imp_push.simulate('bob', 'alice', 'hello', msg_id => 'm1')) r, LATERAL generate_series(room - 1, room + 2) n,
	LATERAL imp_push.simulate('bob', 'alice', repeat('x', n), msg_id => 'm1') s;
-- VoIP has 5,120.
SELECT octet_length(payload) AS bytes FROM imp_push.simulate('vic', 'alice', 'hello', msg_id => 'm1', ext => jsonb_build_object('em_push_ext', jsonb_build_object('type', 'call', 'content', repeat('x', 6000))));

-- Leftovers go first, then the body; a given e stays.  What cannot be cut is too large.
INSERT INTO c (name, ext, body, expected)
SELECT name, ext, body, e::jsonb
FROM (VALUES
	('leftovers go', jsonb_build_object('em_apns_ext', jsonb_build_object('left', repeat('x', 4000))), 'hello', '{"status": "push", "e": null, "body": "alice: hello"}'),
	('extern stays', jsonb_build_object('em_apns_ext', jsonb_build_object('extern', 'e')), repeat('x', 5000), '{"status": "push", "e": "e", "bytes": 4096}'),
	('leftovers go before the body is cut', '{"em_apns_ext": {"left": 1}}', repeat('x', 5000), '{"status": "push", "e": null, "bytes": 4096}'),
	('leftovers stay if there is room', '{"em_apns_ext": {"left": 1}}', repeat('x', 3000), '{"status": "push", "e": {"left": 1}}'),
	('custom alone too large', jsonb_build_object('em_push_ext', jsonb_build_object('custom', repeat('x', 4096))), 'hello', '{"status": "failed", "reason": "payload_too_large"}'),
	('custom leaves no body', jsonb_build_object('em_push_ext', jsonb_build_object('custom', repeat('x', 3941))), 'hello', '{"status": "push", "body": null, "title": "You have a new message"}'),
	('title alone too large', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_title', repeat('x', 4096))), 'hello', '{"status": "failed", "reason": "payload_too_large"}')) v(name, ext, body, e);
SELECT * FROM pg_temp.check_cases();

-- Hostile: 200 kB wherever a text may stand.  What may be cut or left out costs nobody the push; what may not, does.
INSERT INTO c (name, ext, body, type, translations, expected)
SELECT name, ext, COALESCE(body, 'hello'), COALESCE(type, 'txt'), COALESCE(translations, '{}'), e::jsonb
FROM (SELECT repeat('"天', 50000) AS big) b, LATERAL (VALUES
	('body', '{}'::jsonb, big, NULL, NULL, '{"status": "push"}'),
	('translation', '{}', NULL, NULL, jsonb_build_object('en', big), '{"status": "push"}'),
	('10,000 translations', '{}', NULL, NULL, (SELECT jsonb_object_agg('x' || n, 'text') FROM generate_series(1, 10000) n), '{"status": "push", "body": "alice: hello"}'),
	('type of 1 kB', '{}', '', repeat('t', 1024), NULL, '{"status": "push", "body": "alice: [Custom message]"}'),
	('content', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_content', big)), NULL, NULL, NULL, '{"status": "push", "e": null}'),
	('content of em_push_ext', jsonb_build_object('em_push_ext', jsonb_build_object('content', big)), NULL, NULL, NULL, '{"status": "push"}'),
	('collapse key', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_collapse_key', big)), NULL, NULL, NULL, '{"status": "push", "body": "alice: hello", "e": null}'),
	('badge', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_badge', repeat('1', 200000))), NULL, NULL, NULL, '{"status": "push", "badge": 1, "e": null}'),
	('a tiny number', '{"em_apns_ext": {"relevance_score": 1e-16000}}', NULL, NULL, NULL, '{"status": "push", "relevance-score": null, "e": null}'),
	('a number of 100,000 digits', ('{"em_apns_ext": {"em_push_badge": ' || repeat('9', 100000) || ', "relevance_score": 0.' || repeat('9', 16000) || '}}')::jsonb, NULL, NULL, NULL, '{"status": "push", "badge": 1, "relevance-score": null, "e": null}'),
	('interruption level', jsonb_build_object('em_apns_ext', jsonb_build_object('interruption_level', big)), NULL, NULL, NULL, '{"status": "push", "e": null}'),
	('flags', jsonb_build_object('em_ignore_notification', big, 'em_force_notification', big), NULL, NULL, NULL, '{"status": "push"}'),
	('template', jsonb_build_object('em_push_template', jsonb_build_object('name', big)), NULL, NULL, NULL, '{"status": "push", "body": "alice: hello"}'),
	('directed target', jsonb_build_object('em_push_template', jsonb_build_object('directed_template', jsonb_build_object('target', big, 'name', big))), NULL, NULL, NULL, '{"status": "push"}'),
	('type of em_push_ext', jsonb_build_object('em_push_ext', jsonb_build_object('type', big)), NULL, NULL, NULL, '{"status": "push"}'),
	('filters', jsonb_build_object('em_push_filter', jsonb_build_object('ignore_device_id', jsonb_build_array(big), 'accept_notifier_name', big)), NULL, NULL, NULL, '{"status": "push"}'),
	('10,000 mentions', (SELECT jsonb_build_object('em_at_list', jsonb_agg('user' || n)) FROM generate_series(1, 10000) n), NULL, NULL, NULL, '{"status": "push"}'),
	('10,000 devices', (SELECT jsonb_build_object('em_push_filter', jsonb_build_object('accept_device_id', jsonb_agg('dev' || n) || '["iphone"]')) FROM generate_series(1, 10000) n), NULL, NULL, NULL, '{"status": "push"}'),
	('leftovers', jsonb_build_object('em_apns_ext', jsonb_build_object('x', big)), NULL, NULL, NULL, '{"status": "push", "e": null}'),
	('10,000 leftovers', (SELECT jsonb_build_object('em_apns_ext', jsonb_object_agg('k' || n, n)) FROM generate_series(1, 10000) n), NULL, NULL, NULL, '{"status": "push", "e": null}'),
	('deep leftovers', ('{"em_apns_ext": {"x": ' || repeat('[', 2000) || repeat(']', 2000) || '}}')::jsonb, NULL, NULL, NULL, '{"status": "push", "body": "alice: hello", "e": null}'),
	('deep custom that fits', ('{"em_push_ext": {"custom": ' || repeat('[', 1500) || repeat(']', 1500) || '}}')::jsonb, NULL, NULL, NULL, '{"status": "push"}'),
	('deep nesting everywhere', ('{"em_at_list": ' || repeat('[', 2000) || repeat(']', 2000) || ', "em_push_filter": ' || repeat('{"x":', 2000) || '1' || repeat('}', 2000) || ', "em_push_template": {"name": ' || repeat('[', 2000) || repeat(']', 2000) || '}}')::jsonb, NULL, NULL, NULL, '{"status": "push", "body": "alice: hello"}'),
	('1e300 everywhere', '{"em_ignore_notification": 1e300, "em_force_notification": -1e300, "em_at_list": [1e300], "em_apns_ext": {"em_push_badge": 1e300, "relevance_score": 1e300, "em_push_title": 1e300, "thread_id": 1e300, "x": 1e300}, "em_push_filter": {"ignore_device_id": [1e300]}}',
		NULL, NULL, NULL, '{"status": "push", "badge": 1, "relevance-score": null, "title": "You have a new message"}'),
	('control characters', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_title', E'\x01\r\n\t\x1f', 'em_push_sound', E'a\r\nb', 'thread_id', E'\n')), E'\x02\r\n', NULL, NULL, '{"status": "push", "title": "\u0001\r\n\t\u001f", "sound": "a\r\nb", "thread-id": "\n", "body": "alice: \u0002\r\n"}'),
	('title', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_title', big)), NULL, NULL, NULL, '{"status": "failed", "reason": "payload_too_large"}'),
	('subtitle', jsonb_build_object('em_apns_ext', jsonb_build_object('em_alert_subTitle', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}'),
	('sound', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_sound', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}'),
	('thread', jsonb_build_object('em_apns_ext', jsonb_build_object('thread_id', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}'),
	('category', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_category', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}'),
	('loc key', jsonb_build_object('em_apns_ext', jsonb_build_object('em_push_body_loc_key', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}'),
	('extern', jsonb_build_object('em_apns_ext', jsonb_build_object('extern', big)), NULL, NULL, NULL, '{"reason": "payload_too_large"}')
	) v(name, ext, body, type, translations, e);
UPDATE c SET ext = ext || '{"em_at_list": "all"}' WHERE name = 'flags';
SELECT * FROM pg_temp.check_cases();
-- Every field of the wrong type, each in turn: a push, with the words of nobody but the display style.
INSERT INTO c (name, ext, expected)
SELECT field || ' ' || wrong, jsonb_build_object('em_push_ext', '{"custom": 1}'::jsonb) || CASE array_length(path, 1)
		WHEN 1 THEN jsonb_build_object(path[1], wrong::jsonb)
		ELSE jsonb_build_object(path[1], jsonb_build_object(path[2], wrong::jsonb)) END,
	'{"status": "push", "title": "You have a new message", "body": "alice: hello", "badge": 1, "sound": "default", "thread-id": "chat:alice", "category": null, "subtitle": null,
		"mutable-content": null, "content-available": null, "interruption-level": null, "relevance-score": null, "detail": null, "apns-collapse-id": "m1"}'
FROM unnest(ARRAY['em_at_list', 'em_apns_ext', 'em_push_ext', 'em_push_template', 'em_push_filter', 'em_ignore_notification', 'em_force_notification',
		'em_apns_ext.em_push_title', 'em_apns_ext.em_push_content', 'em_apns_ext.em_push_badge', 'em_apns_ext.em_push_sound', 'em_apns_ext.em_push_ignore_sound', 'em_apns_ext.thread_id', 'em_apns_ext.em_push_category',
		'em_apns_ext.em_push_mutable_content', 'em_apns_ext.em_push_content_available', 'em_apns_ext.interruption_level', 'em_apns_ext.relevance_score', 'em_apns_ext.em_push_collapse_key', 'em_apns_ext.em_alert_subTitle',
		'em_apns_ext.em_push_title_loc_key', 'em_apns_ext.em_push_title_loc_args', 'em_apns_ext.em_push_body_loc_key', 'em_apns_ext.em_push_body_loc_args', 'em_apns_ext.em_at_list',
		'em_push_ext.title', 'em_push_ext.content', 'em_push_ext.type', 'em_push_ext.group_user_nickname',
		'em_push_template.name', 'em_push_template.title_args', 'em_push_template.content_args', 'em_push_template.directed_template',
		'em_push_filter.accept_device_id', 'em_push_filter.ignore_device_id', 'em_push_filter.accept_notifier_name', 'em_push_filter.ignore_notifier_name']) field,
	LATERAL string_to_array(field, '.') path,
	unnest(ARRAY['null', 'false', '-7', '1e300', '[]', '[[]]', '{}', '{"a": {"b": []}}']) wrong
-- an array of no string is a list that nobody is on
WHERE NOT (field LIKE '%.accept%' AND wrong = '[[]]');
SELECT * FROM pg_temp.check_cases();
-- A template's argument that repeats the message a thousand times costs no more than what is shown.
INSERT INTO imp_push.template (name, title, content) VALUES ('t', 'T', '{0}{0}{0}{0}');
INSERT INTO c (name, body, ext, expected)
SELECT 'bomb', repeat('x', 200000), jsonb_build_object('em_push_template', jsonb_build_object('name', 't', 'content_args', jsonb_build_array(repeat('{$msg}', 30000)))), '{"status": "push", "title": "T", "bytes": 4096}';
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET default_language = 'zh';

DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.im_node;
DELETE FROM imp_push.user_profile;
DELETE FROM imp_push.contact_remark;
DELETE FROM imp_push.dnd;
DELETE FROM imp_push.template;
DELETE FROM imp_push.certificate;
UPDATE imp_push.settings SET default_time_zone = :'zone_before';
