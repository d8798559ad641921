-- Who gets a push: the checks of the policy in their order, devices, modes and
-- do-not-disturb, as simulate() tells.
\set ECHO none
\i sql/include/cases.sql
\set ECHO all

-- Somebody with nothing but a phone gets a push; nobody knows the stranger.
INSERT INTO c (name, recipient, expected) VALUES
	('a phone', 'bob', '{"status": "push", "reason": null, "device_id": "iphone", "certificate": "app", "detail": null}'),
	('no device', 'stranger', '{"status": "suppressed", "reason": "no_device_token", "device_id": null, "certificate": null, "apns-id": null, "payload": null}');
SELECT * FROM pg_temp.check_cases();

-- The checks of the message, 1 to 6, each alone.  (5 needs a message that is
-- older than now: see plan_batch.)
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, status, attempts, decided_at, finished_at)
VALUES (0, 4711, 'old', 'bob', 'sent', 1, '2024-06-01', '2024-06-01'),
	(0, NULL, 'badge', 'bob', 'sent', 1, '2024-06-01', '2024-06-01');
INSERT INTO c (name, expected, chat_type, conversation_id, sender, type, ext, msg_id) VALUES
	('1: a chat room', '{"status": "suppressed", "reason": "chat_room", "device_id": null}', 'chatroom', 'r1', 'alice', 'txt', '{}', 'm1'),
	('not 1: a group', '{"status": "push"}', 'groupchat', 'g1', 'alice', 'txt', '{}', 'm1'),
	('2: to oneself', '{"status": "suppressed", "reason": "own_message", "device_id": null}', 'chat', NULL, 'bob', 'txt', '{}', 'm1'),
	('2: in a group', '{"reason": "own_message"}', 'groupchat', 'g1', 'bob', 'txt', '{}', 'm1'),
	('not 2: ids are compared exactly', '{"status": "push"}', 'chat', NULL, 'Bob', 'txt', '{}', 'm1'),
	('3: a command', '{"status": "suppressed", "reason": "type_not_pushed", "device_id": null}', 'chat', NULL, 'alice', 'cmd', '{}', 'm1'),
	('not 3: one''s own type', '{"status": "push"}', 'chat', NULL, 'alice', 'CMD', '{}', 'm1'),
	('4: ignored', '{"status": "suppressed", "reason": "ignored_by_sender", "device_id": null}', 'chat', NULL, 'alice', 'txt', '{"em_ignore_notification": true}', 'm1'),
	('6: was here before', '{"status": "suppressed", "reason": "duplicate", "device_id": null, "detail": {"message_id": 4711}}', 'chat', NULL, 'alice', 'txt', '{}', 'old'),
	('not 6: a badge is no message', '{"status": "push"}', 'chat', NULL, 'alice', 'txt', '{}', 'badge');
SELECT * FROM pg_temp.check_cases();

-- Flags: true, 1, and the strings true, yes and 1 in any case; nothing else.
INSERT INTO c (name, ext, expected)
SELECT 'flag ' || v::text, jsonb_build_object('em_ignore_notification', v),
	'{"reason": "ignored_by_sender"}'
FROM unnest(ARRAY['true', '1', '1.0', '"true"', '"TRUE"', '"tRuE"', '"yes"', '"Yes"', '"YES"', '"1"']::jsonb[]) v;
INSERT INTO c (name, ext, expected)
SELECT 'no flag ' || v::text, jsonb_build_object('em_ignore_notification', v), '{"status": "push"}'
FROM unnest(ARRAY['false', '0', '2', '-1', '1e300', '"false"', '"no"', '"0"', '"on"', '"t"', '"y"', '""', '" true"', 'null', '[]', '[true]', '{}', '{"true": true}']::jsonb[]) v;
SELECT * FROM pg_temp.check_cases();

-- Order: a message for which everything is wrong; then each time one thing less.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, disabled_at, disabled_reason)
VALUES ('eve', 'iphone', 'off', 'e0e0', '2024-06-01 00:00+00', 'Unregistered');
INSERT INTO imp_push.presence (user_id, device_id, status, session, node, changed_at)
VALUES ('eve', 'web', 'online', 's1', 'n1', '2024-06-03 03:00+00');
INSERT INTO imp_push.dnd (user_id, mode, dnd_until) VALUES ('eve', 'none', '2024-06-04 00:00+00');
INSERT INTO imp_push.delivery_log (slot, message_id, msg_id, recipient, status, attempts, decided_at, finished_at)
VALUES (0, 1, 'old', 'eve', 'sent', 1, '2024-06-01', '2024-06-01');
CREATE TEMP TABLE wrong AS SELECT ('{"em_ignore_notification": true, "em_push_filter": {"ignore_device_id": ["iphone"]},
	"em_apns_ext": {"em_push_title": "' || repeat('x', 5000) || '"}}')::jsonb AS ext;
INSERT INTO c (name, expected, recipient, sender, type, chat_type, conversation_id, msg_id, ext)
SELECT s.name, s.expected::jsonb, 'eve', s.sender, s.type, s.chat_type, s.conversation_id, s.msg_id, wrong.ext - s.without
FROM wrong, (VALUES
	('1 before 2', '{"reason": "chat_room"}', 'eve', 'cmd', 'chatroom', 'r1', 'old', ''),
	('2 before 3', '{"reason": "own_message"}', 'eve', 'cmd', 'chat', NULL, 'old', ''),
	('3 before 4', '{"reason": "type_not_pushed"}', 'alice', 'cmd', 'chat', NULL, 'old', ''),
	('4 before 6', '{"reason": "ignored_by_sender"}', 'alice', 'txt', 'chat', NULL, 'old', ''),
	('6 before 7', '{"reason": "duplicate"}', 'alice', 'txt', 'chat', NULL, 'old', 'em_ignore_notification'),
	('7 before 8', '{"reason": "online", "status": "suppressed", "device_id": null,
		"detail": {"device_id": "web", "session": "s1", "node": "n1", "since": "2024-06-03T03:00:00+00:00"}}', 'alice', 'txt', 'chat', NULL, 'new', 'em_ignore_notification')
	) s(name, expected, sender, type, chat_type, conversation_id, msg_id, without);
SET timezone = 'UTC';
SELECT * FROM pg_temp.check_cases();
-- The web session ends.
DELETE FROM imp_push.presence WHERE user_id = 'eve';
INSERT INTO c (name, recipient, ext, expected)
SELECT '8 before 9', 'eve', ext - 'em_ignore_notification', '{"status": "suppressed", "reason": "dnd", "device_id": null,
	"detail": {"by": "app duration", "until": "2024-06-04T00:00:00+00:00"}}' FROM wrong;
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.dnd SET dnd_until = '2024-06-01 00:00+00' WHERE user_id = 'eve';
INSERT INTO c (name, recipient, ext, expected)
SELECT '9 before the binding', 'eve', ext - 'em_ignore_notification', '{"status": "suppressed", "reason": "mode_none", "device_id": null, "detail": {"mode": "none", "mode_from": "app"}}' FROM wrong;
INSERT INTO c (name, recipient, expected) VALUES ('9 before 11', 'frank', '{"reason": "mode_none", "device_id": null}');
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('frank', 'none'), ('grace', 'mention_only');
INSERT INTO c (name, recipient, expected) VALUES ('10 before 11', 'grace', '{"status": "suppressed", "reason": "not_mentioned", "device_id": null, "detail": {"mode": "mention_only", "mode_from": "app"}}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.dnd SET mode = 'mention_only' WHERE user_id = 'eve';
INSERT INTO c (name, recipient, ext, expected)
SELECT '10 before the binding', 'eve', ext - 'em_ignore_notification', '{"reason": "not_mentioned", "device_id": null}' FROM wrong;
SELECT * FROM pg_temp.check_cases();
DELETE FROM imp_push.dnd WHERE user_id = 'eve';
-- A kicked phone.
INSERT INTO imp_push.presence (user_id, device_id, status, session, changed_at) VALUES ('eve', 'iphone', 'kicked', 's2', '2024-06-03 03:00+00');
INSERT INTO c (name, recipient, ext, expected)
SELECT '12 before 16', 'eve', ext - 'em_ignore_notification', '{"status": "suppressed", "reason": "kicked", "device_id": "iphone", "certificate": "off",
	"detail": {"session": "s2", "since": "2024-06-03T03:00:00+00:00"}}' FROM wrong;
SELECT * FROM pg_temp.check_cases();
DELETE FROM imp_push.presence WHERE user_id = 'eve';
INSERT INTO c (name, recipient, ext, expected)
SELECT s.name, 'eve', ext - s.without, s.expected
FROM wrong, (VALUES
	('16 before 17', '{em_ignore_notification}'::text[], '{"status": "suppressed", "reason": "filtered", "device_id": "iphone", "certificate": "off"}'::jsonb),
	('17 before 18', '{em_ignore_notification,em_push_filter}', '{"status": "suppressed", "reason": "token_disabled", "device_id": "iphone",
		"detail": {"disabled_at": "2024-06-01T00:00:00+00:00", "disabled_reason": "Unregistered"}}')) s(name, without, expected);
SELECT * FROM pg_temp.check_cases();
SELECT imp_push.bind_device('eve', 'iphone', 'off', 'e0e0');
INSERT INTO c (name, recipient, ext, expected)
SELECT s.name, 'eve', ext - s.without, s.expected
FROM wrong, (VALUES
	('18 before 19', '{em_ignore_notification,em_push_filter}'::text[], '{"status": "failed", "reason": "payload_too_large", "device_id": "iphone", "payload": null, "headers": null}'::jsonb),
	('19 is last', '{em_ignore_notification,em_push_filter,em_apns_ext}', '{"status": "suppressed", "reason": "certificate_disabled", "device_id": "iphone", "payload": null}')) s(name, without, expected);
SELECT * FROM pg_temp.check_cases();

-- push_cmd pushes commands.
UPDATE imp_push.settings SET push_cmd = true;
INSERT INTO c (name, type, expected) VALUES ('a command', 'cmd', '{"status": "push", "badge": 1}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET push_cmd = false;

-- Devices.  Names say what they are: i for the phone (bound), p for the tablet
-- (bound), w for the Web (not bound); then on, off, out (logged out), kick,
-- none (no presence row), x (not bound).
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
SELECT u, d, 'app', md5(u || d)
FROM (VALUES ('i_off p_on', 'iphone'), ('i_off p_on', 'ipad'), ('i_off w_on', 'iphone'), ('i_kick p_off', 'iphone'), ('i_kick p_off', 'ipad'),
	('i_out', 'iphone'), ('i_none p_none', 'iphone'), ('i_none p_none', 'ipad'), ('i_kick', 'iphone'), ('i_kick w_on', 'iphone'),
	('i_off p_on w_on', 'iphone'), ('i_off p_on w_on', 'ipad'), ('i_on', 'iphone'), ('i_kick p_on', 'iphone'), ('i_kick p_on', 'ipad'),
	('i_off w_kick', 'iphone')) b(u, d);
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES
	('i_off p_on', 'iphone', 'offline'), ('i_off p_on', 'ipad', 'online'), ('i_off w_on', 'iphone', 'offline'), ('i_off w_on', 'web', 'online'),
	('i_kick p_off', 'iphone', 'kicked'), ('i_kick p_off', 'ipad', 'offline'), ('i_out', 'iphone', 'logged_out'), ('i_kick', 'iphone', 'kicked'),
	('i_kick w_on', 'iphone', 'kicked'), ('i_kick w_on', 'web', 'online'), ('i_off p_on w_on', 'iphone', 'offline'), ('i_off p_on w_on', 'ipad', 'online'),
	('i_off p_on w_on', 'web', 'online'), ('i_on', 'iphone', 'online'), ('i_kick p_on', 'iphone', 'kicked'), ('i_kick p_on', 'ipad', 'online'),
	('i_off w_kick', 'iphone', 'offline'), ('i_off w_kick', 'web', 'kicked'), ('w_on', 'web', 'online'), ('w_off', 'web', 'offline');
INSERT INTO c (name, recipient, expected)
SELECT 'all_offline: ' || u, u, e::jsonb FROM (VALUES
	('i_off p_on', '{"reason": "online", "device_id": null}'),
	('i_off w_on', '{"reason": "online"}'),
	('i_kick p_off', '[{"status": "push", "device_id": "ipad"}, {"reason": "kicked", "device_id": "iphone"}]'),
	('i_out', '{"status": "push", "device_id": "iphone"}'),
	('i_none p_none', '[{"status": "push", "device_id": "ipad"}, {"status": "push", "device_id": "iphone"}]'),
	('i_kick', '{"reason": "kicked", "device_id": "iphone"}'),
	('i_kick w_on', '{"reason": "online"}'),
	('i_off p_on w_on', '{"reason": "online"}'),
	('i_on', '{"reason": "online"}'),
	('i_kick p_on', '{"reason": "online"}'),
	('i_off w_kick', '{"status": "push"}'),
	('w_on', '{"reason": "online", "device_id": null}'),
	('w_off', '{"reason": "no_device_token"}')) t(u, e);
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET multi_device_policy = 'any_offline';
INSERT INTO c (name, recipient, expected)
SELECT 'any_offline: ' || u, u, e::jsonb FROM (VALUES
	('i_off p_on', '[{"status": "suppressed", "reason": "device_online", "device_id": "ipad"}, {"status": "push", "device_id": "iphone"}]'),
	('i_off w_on', '{"status": "push", "device_id": "iphone"}'),
	('i_kick p_off', '[{"status": "push", "device_id": "ipad"}, {"reason": "kicked", "device_id": "iphone"}]'),
	('i_out', '{"status": "push", "device_id": "iphone"}'),
	('i_none p_none', '[{"status": "push", "device_id": "ipad"}, {"status": "push", "device_id": "iphone"}]'),
	('i_kick', '{"reason": "kicked"}'),
	('i_kick w_on', '{"reason": "kicked"}'),
	('i_off p_on w_on', '[{"reason": "device_online"}, {"status": "push"}]'),
	('i_on', '{"reason": "device_online", "device_id": "iphone"}'),
	('i_kick p_on', '[{"reason": "device_online"}, {"reason": "kicked"}]'),
	('i_off w_kick', '{"status": "push"}'),
	('w_on', '{"reason": "no_device_token", "device_id": null}'),
	('w_off', '{"reason": "no_device_token"}')) t(u, e);
-- 13 before 16.
INSERT INTO c (name, recipient, ext, expected) VALUES
	('13 before 16', 'i_on', '{"em_push_filter": {"ignore_device_id": ["iphone"]}}', '{"reason": "device_online"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET multi_device_policy = 'all_offline';

-- Leases: offline from the moment of expires_at on, its own or its node's.
INSERT INTO imp_push.im_node (name, expires_at) VALUES ('alive', '2024-06-03 05:00+00'), ('dead', '2024-06-03 04:00+00');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
SELECT u, 'iphone', 'app', md5(u) FROM unnest(ARRAY['leased', 'on alive', 'on dead', 'on unknown', 'leased on dead', 'leased on alive']) u;
INSERT INTO imp_push.presence (user_id, device_id, status, node, expires_at) VALUES
	('leased', 'iphone', 'online', NULL, '2024-06-03 04:00+00'), ('on alive', 'iphone', 'online', 'alive', NULL),
	('on dead', 'iphone', 'online', 'dead', NULL), ('on unknown', 'iphone', 'online', 'unknown', NULL),
	('leased on dead', 'iphone', 'online', 'dead', '2024-06-03 04:30+00'), ('leased on alive', 'iphone', 'online', 'alive', '2024-06-03 04:30+00');
INSERT INTO c (name, recipient, at, expected)
SELECT u || ' at ' || t, u, ('2024-06-03 ' || t || '+00')::timestamptz,
	CASE e WHEN 'push' THEN '{"status": "push"}' ELSE '{"reason": "online"}' END::jsonb
FROM (VALUES ('leased', '03:59:59.999999', 'online'), ('leased', '04:00', 'push'), ('leased', '04:01', 'push'),
	('on alive', '04:00', 'online'), ('on alive', '04:59:59', 'online'), ('on alive', '05:00', 'push'),
	('on dead', '03:59:59', 'online'), ('on dead', '04:00', 'push'), ('on unknown', '23:00', 'online'),
	('leased on dead', '03:59', 'online'), ('leased on dead', '04:00', 'push'),
	('leased on alive', '04:29', 'online'), ('leased on alive', '04:30', 'push')) t(u, t, e);
SELECT * FROM pg_temp.check_cases();

-- Modes (01, section 4, and every combination of the two levels).
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
SELECT a || '/' || b, 'iphone', 'app', md5(a || b)
FROM unnest(ARRAY['-', 'all', 'mention_only', 'none']) a, unnest(ARRAY['-', 'all', 'mention_only', 'none']) b;
INSERT INTO imp_push.dnd (user_id, mode)
SELECT a || '/' || b, a FROM unnest(ARRAY['all', 'mention_only', 'none']) a, unnest(ARRAY['-', 'all', 'mention_only', 'none']) b;
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode)
SELECT a || '/' || b, 'groupchat', 'C', b FROM unnest(ARRAY['-', 'all', 'mention_only', 'none']) a, unnest(ARRAY['all', 'mention_only', 'none']) b;
-- To C without a mention, to C with one, to another group.
INSERT INTO c (name, recipient, chat_type, conversation_id, ext, expected)
SELECT u || ' to ' || x.what, u, 'groupchat', x.g, x.ext, CASE (ARRAY[no, yes, other])[x.i] WHEN 'push' THEN '{"status": "push"}'::jsonb
	ELSE jsonb_build_object('reason', (ARRAY[no, yes, other])[x.i]) END
FROM (VALUES
	('-/-', 'push', 'push', 'push'),
	('-/all', 'push', 'push', 'push'),
	('-/mention_only', 'not_mentioned', 'push', 'push'),
	('-/none', 'mode_none', 'mode_none', 'push'),
	('all/-', 'push', 'push', 'push'),
	('all/all', 'push', 'push', 'push'),
	('all/mention_only', 'not_mentioned', 'push', 'push'),
	('all/none', 'mode_none', 'mode_none', 'push'),
	('mention_only/-', 'not_mentioned', 'push', 'not_mentioned'),
	('mention_only/all', 'push', 'push', 'not_mentioned'),
	('mention_only/mention_only', 'not_mentioned', 'push', 'not_mentioned'),
	('mention_only/none', 'mode_none', 'mode_none', 'not_mentioned'),
	('none/-', 'mode_none', 'mode_none', 'mode_none'),
	('none/all', 'push', 'push', 'mode_none'),
	('none/mention_only', 'not_mentioned', 'push', 'mode_none'),
	('none/none', 'mode_none', 'mode_none', 'mode_none')) t(u, no, yes, other),
	LATERAL (VALUES (1, 'C', 'C', '{}'::jsonb), (2, 'C, mentioned', 'C', jsonb_build_object('em_at_list', jsonb_build_array(u))), (3, 'D', 'D', '{}')) x(i, what, g, ext);
INSERT INTO c (name, recipient, chat_type, conversation_id, expected) VALUES
	('the level is named: conversation', 'all/none', 'groupchat', 'C', '{"detail": {"mode": "none", "mode_from": "conversation"}}'),
	('the level is named: app', 'none/-', 'groupchat', 'C', '{"detail": {"mode": "none", "mode_from": "app"}}'),
	('a person is no group of that name', 'none/all', 'chat', NULL, '{"reason": "mode_none"}');
SELECT * FROM pg_temp.check_cases();

-- A single chat's conversation is the peer, whatever the message calls it.
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode) VALUES ('bob', 'chat', 'carol', 'none'), ('bob', 'groupchat', 'dave', 'none');
INSERT INTO c (name, sender, conversation_id, expected) VALUES
	('carol is silenced', 'carol', NULL, '{"reason": "mode_none", "detail": {"mode": "none", "mode_from": "conversation"}}'),
	('carol in a conversation with a name', 'carol', 'c-17', '{"reason": "mode_none"}'),
	('alice in one that is called carol', 'alice', 'carol', '{"status": "push"}'),
	('dave is not the group dave', 'dave', NULL, '{"status": "push"}');
SELECT * FROM pg_temp.check_cases();

-- Mentions.
INSERT INTO c (name, recipient, ext, expected)
SELECT 'mention ' || e, '-/mention_only', e::jsonb, CASE WHEN m THEN '{"status": "push"}' ELSE '{"reason": "not_mentioned"}' END::jsonb
FROM (VALUES
	('{}', false),
	('{"em_at_list": ["-/mention_only"]}', true), ('{"em_at_list": ["x", "-/mention_only", "y"]}', true),
	('{"em_at_list": ["x"]}', false), ('{"em_at_list": []}', false), ('{"em_at_list": ["-/MENTION_ONLY"]}', false),
	('{"em_at_list": "all"}', true), ('{"em_at_list": "All"}', true), ('{"em_at_list": "ALL"}', true), ('{"em_at_list": "aLL"}', true),
	('{"em_at_list": ["all"]}', true), ('{"em_at_list": ["x", "ALL"]}', true), ('{"em_at_list": ["aLl"]}', true),
	('{"em_at_list": "allofthem"}', false), ('{"em_at_list": ["nall"]}', false),
	('{"em_apns_ext": {"em_at_list": ["-/mention_only"]}}', true), ('{"em_apns_ext": {"em_at_list": "all"}}', true),
	('{"em_at_list": ["x"], "em_apns_ext": {"em_at_list": "all"}}', false),
	('{"em_at_list": [], "em_apns_ext": {"em_at_list": "all"}}', false),
	('{"em_at_list": null, "em_apns_ext": {"em_at_list": "all"}}', true),
	('{"em_at_list": 5, "em_apns_ext": {"em_at_list": "all"}}', true),
	('{"em_at_list": {"all": 1}, "em_apns_ext": {"em_at_list": "all"}}', true),
	('{"em_at_list": true}', false), ('{"em_at_list": {"-/mention_only": 1}}', false), ('{"em_at_list": [["all"], {"all": 1}, null, 5]}', false),
	('{"em_apns_ext": "all"}', false), ('{"em_apns_ext": ["all"]}', false), ('{"em_at_list": "-/mention_only"}', false)) t(e, m);
UPDATE c SET chat_type = 'groupchat', conversation_id = 'C';
SELECT * FROM pg_temp.check_cases();

-- Force and ignore.  Force overrides do-not-disturb, the mode only if
-- force_bypasses_mode is on; ignore beats force; nothing brings a push to who is online.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
SELECT u, 'iphone', 'app', md5(u) FROM unnest(ARRAY['quiet', 'quiet none']) u;
INSERT INTO imp_push.dnd (user_id, mode, dnd_until) VALUES ('quiet', NULL, 'infinity'), ('quiet none', 'none', 'infinity');
INSERT INTO c (name, recipient, ext, expected, chat_type, conversation_id)
SELECT 'force ' || u, u, '{"em_force_notification": true}', CASE r WHEN 'push' THEN '{"status": "push"}'::jsonb ELSE jsonb_build_object('reason', r) END, 'groupchat', 'C'
FROM (VALUES ('quiet', 'push'), ('quiet none', 'mode_none'), ('none/-', 'mode_none'), ('-/mention_only', 'not_mentioned'), ('i_off p_on', 'online'), ('i_kick', 'kicked')) t(u, r);
INSERT INTO c (name, recipient, ext, expected) VALUES
	('no force', 'quiet', '{"em_force_notification": false}', '{"reason": "dnd"}'),
	('force, in a string', 'quiet', '{"em_force_notification": "YES"}', '{"status": "push"}'),
	('ignore beats force', 'quiet', '{"em_force_notification": true, "em_ignore_notification": true}', '{"reason": "ignored_by_sender"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET force_bypasses_mode = true;
INSERT INTO c (name, recipient, ext, expected, chat_type, conversation_id)
SELECT 'force past the mode ' || u, u, '{"em_force_notification": 1}', CASE r WHEN 'push' THEN '{"status": "push"}'::jsonb ELSE jsonb_build_object('reason', r) END, 'groupchat', 'C'
FROM (VALUES ('quiet', 'push'), ('quiet none', 'push'), ('none/-', 'push'), ('-/mention_only', 'push'), ('i_off p_on', 'online'), ('i_kick', 'kicked')) t(u, r);
INSERT INTO c (name, recipient, expected) VALUES ('without force', 'none/-', '{"reason": "mode_none"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET force_bypasses_mode = false;

-- Do-not-disturb (01, section 4).  Times are those of the wall clock in Shanghai.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
SELECT u, 'iphone', 'app', md5(u) FROM unnest(ARRAY['10-08', '08-10+', 'night all', 'C until', 'whole day', 'off', 'both', 'new york', 'kathmandu']) u;
INSERT INTO imp_push.dnd (user_id, dnd_start, dnd_end, dnd_until, mode) VALUES
	('10-08', '10:00', '08:00', NULL, NULL), ('08-10+', '08:00', '10:00', '2024-06-03 12:00+08', NULL), ('night all', '22:00', '07:00', NULL, 'all'),
	('whole day', '09:00', '09:00', NULL, NULL), ('off', '00:00', '00:00', NULL, NULL), ('both', '08:00', '10:00', NULL, NULL),
	('new york', '22:00', '07:00', NULL, NULL), ('kathmandu', '22:00', '07:00', NULL, NULL);
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, dnd_until, mode) VALUES
	('night all', 'groupchat', 'C', NULL, 'all'), ('C until', 'groupchat', 'C', '2024-06-03 12:00+08', NULL),
	('both', 'groupchat', 'C', '2024-06-03 12:00+08', NULL);
INSERT INTO imp_push.user_profile (user_id, time_zone) VALUES ('new york', 'America/New_York'), ('kathmandu', 'Asia/Kathmandu');
INSERT INTO c (name, recipient, chat_type, conversation_id, at, ext, expected)
SELECT u || ' at ' || t || ' in ' || g, u, 'groupchat', g, t::timestamptz, jsonb_build_object('em_at_list', jsonb_build_array(u)),
	CASE e WHEN 'push' THEN '{"status": "push"}'::jsonb ELSE jsonb_build_object('reason', 'dnd', 'detail', jsonb_build_object('by', e, 'until', ends::timestamptz)) END
FROM (VALUES
	('10-08', 'C', '2024-06-03 08:00+08', 'push', NULL), ('10-08', 'C', '2024-06-03 09:59:59.999+08', 'push', NULL),
	('10-08', 'C', '2024-06-03 07:59+08', 'app interval', '2024-06-03 08:00+08'), ('10-08', 'C', '2024-06-03 10:00+08', 'app interval', '2024-06-04 08:00+08'),
	('10-08', 'C', '2024-06-03 23:59:59+08', 'app interval', '2024-06-04 08:00+08'), ('10-08', 'C', '2024-06-04 00:00+08', 'app interval', '2024-06-04 08:00+08'),
	('08-10+', 'C', '2024-06-03 09:00+08', 'app duration', '2024-06-03 12:00+08'), ('08-10+', 'C', '2024-06-03 11:00+08', 'app duration', '2024-06-03 12:00+08'),
	('08-10+', 'C', '2024-06-03 12:00+08', 'push', NULL), ('08-10+', 'C', '2024-06-04 11:00+08', 'push', NULL),
	('08-10+', 'C', '2024-06-04 08:00+08', 'app interval', '2024-06-04 10:00+08'), ('08-10+', 'C', '2024-06-04 07:59:59+08', 'push', NULL),
	('night all', 'C', '2024-06-03 23:00+08', 'app interval', '2024-06-04 07:00+08'), ('night all', 'C', '2024-06-03 21:00+08', 'push', NULL),
	('C until', 'C', '2024-06-03 11:00+08', 'conversation duration', '2024-06-03 12:00+08'), ('C until', 'D', '2024-06-03 11:00+08', 'push', NULL),
	('C until', 'C', '2024-06-03 12:00+08', 'push', NULL),
	('whole day', 'C', '2024-06-03 12:00+08', 'app interval', 'infinity'), ('whole day', 'C', '2024-06-03 09:00+08', 'app interval', 'infinity'),
	('off', 'C', '2024-06-03 00:00+08', 'push', NULL), ('off', 'C', '2024-06-03 12:00+08', 'push', NULL),
	('both', 'C', '2024-06-03 09:00+08', 'conversation duration', '2024-06-03 12:00+08'), ('both', 'D', '2024-06-03 09:00+08', 'app interval', '2024-06-03 10:00+08'),
	('new york', 'C', '2024-06-03 12:00+08', 'app interval', '2024-06-03 07:00-04'), ('new york', 'C', '2024-06-03 23:00+08', 'push', NULL),
	('new york', 'C', '2024-03-10 06:59-04', 'app interval', '2024-03-10 07:00-04'), ('new york', 'C', '2024-11-03 07:00-05', 'push', NULL),
	('kathmandu', 'C', '2024-06-03 07:00+05:45', 'push', NULL), ('kathmandu', 'C', '2024-06-03 06:59+05:45', 'app interval', '2024-06-03 07:00+05:45')) t(u, g, t, e, ends);
SELECT * FROM pg_temp.check_cases();

-- Filters: no list or an empty one restricts nothing, ignore beats accept, both kinds must let the device through.
INSERT INTO c (name, ext, expected)
SELECT f, jsonb_build_object('em_push_filter', f::jsonb), CASE WHEN push THEN '{"status": "push"}' ELSE '{"status": "suppressed", "reason": "filtered", "device_id": "iphone", "certificate": "app"}' END::jsonb
FROM (VALUES
	('{}', true), ('{"accept_device_id": []}', true), ('{"accept_device_id": [], "ignore_device_id": [], "accept_notifier_name": [], "ignore_notifier_name": []}', true),
	('{"accept_device_id": ["iphone"]}', true), ('{"accept_device_id": ["ipad", "iphone"]}', true), ('{"accept_device_id": ["ipad"]}', false), ('{"accept_device_id": ["IPHONE"]}', false),
	('{"ignore_device_id": ["iphone"]}', false), ('{"ignore_device_id": ["ipad"]}', true), ('{"accept_device_id": ["iphone"], "ignore_device_id": ["iphone"]}', false),
	('{"accept_notifier_name": ["app"]}', true), ('{"accept_notifier_name": ["pro"]}', false), ('{"ignore_notifier_name": ["app"]}', false), ('{"ignore_notifier_name": ["pro"]}', true),
	('{"accept_notifier_name": ["app"], "ignore_notifier_name": ["app"]}', false), ('{"accept_device_id": ["iphone"], "accept_notifier_name": ["pro"]}', false),
	('{"accept_device_id": ["iphone"], "ignore_notifier_name": ["app"]}', false), ('{"accept_device_id": ["ipad"], "accept_notifier_name": ["app"]}', false),
	('{"accept_device_id": ["iphone"], "accept_notifier_name": ["app"]}', true),
	('{"accept_device_id": "ipad"}', true), ('{"ignore_device_id": "iphone"}', true), ('{"accept_device_id": {"ipad": 1}}', true), ('{"accept_device_id": null}', true),
	('{"ignore_device_id": {"iphone": 1}}', true), ('["iphone"]', true), ('"iphone"', true), ('null', true), ('{"ignore_device_id": [["iphone"], {"iphone": 1}, 5, null]}', true)) t(f, push);
SELECT * FROM pg_temp.check_cases();

-- Calls and VoIP.  vera has both kinds of binding, vic only VoIP, vida a VoIP binding that is disabled.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, disabled_at, disabled_reason) VALUES
	('vera', 'iphone', 'app', 'e1', NULL, NULL), ('vera', 'iphone', 'calls', 'e2', NULL, NULL), ('vera', 'ipad', 'app', 'e3', NULL, NULL),
	('vic', 'iphone', 'calls', 'e4', NULL, NULL),
	('vida', 'iphone', 'app', 'e5', NULL, NULL), ('vida', 'iphone', 'calls', 'e6', '2024-06-01', 'Unregistered'),
	('kay', 'iphone', 'app', 'e7', NULL, NULL), ('kay', 'iphone', 'calls', 'e8', NULL, NULL);
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES ('kay', 'iphone', 'kicked');
INSERT INTO c (name, recipient, ext, expected) VALUES
	('no call, both', 'vera', '{}', '[{"status": "push", "device_id": "ipad"}, {"status": "push", "device_id": "iphone", "certificate": "app"}]'),
	('no call, VoIP alone', 'vic', '{}', '{"status": "suppressed", "reason": "not_a_call", "device_id": "iphone", "certificate": "calls"}'),
	('a call, both', 'vera', '{"em_push_ext": {"type": "call"}}', '[{"status": "push", "device_id": "ipad", "certificate": "app"},
		{"status": "suppressed", "reason": "sent_as_call", "device_id": "iphone", "certificate": "app"},
		{"status": "push", "device_id": "iphone", "certificate": "calls", "apns-push-type": "voip", "apns-topic": "com.example.app.voip", "apns-priority": "10", "apns-collapse-id": null, "apns-expiration": "0"}]'),
	('a call, VoIP alone', 'vic', '{"em_push_ext": {"type": "call"}}', '{"status": "push", "apns-push-type": "voip"}'),
	('a call, no VoIP', 'bob', '{"em_push_ext": {"type": "call"}}', '{"status": "push", "apns-push-type": "alert", "apns-collapse-id": "m1"}'),
	('a call, VoIP disabled', 'vida', '{"em_push_ext": {"type": "call"}}', '[{"status": "push", "certificate": "app"}, {"reason": "token_disabled", "certificate": "calls"}]'),
	('no call, VoIP disabled', 'vida', '{}', '{"status": "push", "certificate": "app"}'),
	('call in capitals is none', 'vic', '{"em_push_ext": {"type": "CALL"}}', '{"reason": "not_a_call"}'),
	('type of a wrong type', 'vic', '{"em_push_ext": {"type": ["call"]}}', '{"reason": "not_a_call"}'),
	('12 before 14', 'kay', '{}', '[{"reason": "kicked", "certificate": "app"}, {"reason": "kicked", "certificate": "calls"}]'),
	('12 before 15', 'kay', '{"em_push_ext": {"type": "call"}}', '[{"reason": "kicked", "certificate": "app"}, {"reason": "kicked", "certificate": "calls"}]'),
	('14 before 16', 'vic', '{"em_push_filter": {"ignore_device_id": ["iphone"]}}', '{"reason": "not_a_call"}'),
	('15 before 16', 'vera', '{"em_push_ext": {"type": "call"}, "em_push_filter": {"ignore_device_id": ["iphone"]}}',
		'[{"status": "push", "device_id": "ipad"}, {"reason": "sent_as_call", "certificate": "app"}, {"reason": "filtered", "certificate": "calls"}]'),
	('a filter on the certificate', 'vera', '{"em_push_ext": {"type": "call"}, "em_push_filter": {"accept_notifier_name": ["calls"]}}',
		'[{"reason": "filtered", "device_id": "ipad"}, {"reason": "sent_as_call"}, {"status": "push", "certificate": "calls"}]');
SELECT * FROM pg_temp.check_cases();

-- What a message cannot have, simulate() refuses.
\set SHOW_CONTEXT never
SELECT * FROM imp_push.simulate(NULL, 'alice', 'hello');
SELECT * FROM imp_push.simulate('', 'alice', 'hello');
SELECT * FROM imp_push.simulate('bob', NULL, 'hello');
SELECT * FROM imp_push.simulate(repeat('b', 1025), 'alice', 'hello');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', 'groupchat');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', 'group', 'g1');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', type => '');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', ext => '[]');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', translations => 'null');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', msg_id => repeat('m', 1025));
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', at => 'infinity');
SELECT * FROM imp_push.simulate('bob', 'alice', 'hello', at => '294276-12-31 00:00+00');
-- It runs in a read-only transaction, and a NULL body is an empty one.
BEGIN READ ONLY;
SELECT status, payload::jsonb #>> '{aps,alert,body}' AS body FROM imp_push.simulate('bob', 'alice', NULL);
COMMIT;

-- Without the advanced features nobody has modes or do-not-disturb.
SELECT imp_push.disable_advanced_features(confirm => true);
INSERT INTO c (name, recipient, expected) VALUES
	('no mode', 'none/none', '{"status": "push"}'), ('no silence', 'quiet', '{"status": "push"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET advanced_features = true;

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
