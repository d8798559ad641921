\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT default_time_zone AS zone_before FROM imp_push.settings \gset
UPDATE imp_push.settings SET default_time_zone = 'Asia/Shanghai';

-- A wrong value is refused, and the error says what is allowed.
INSERT INTO imp_push.dnd (user_id) VALUES (NULL);
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('', 'none');
INSERT INTO imp_push.dnd (user_id, chat_type) VALUES ('alice', 'chatroom');
INSERT INTO imp_push.dnd (user_id, chat_type) VALUES ('alice', 'chat');
INSERT INTO imp_push.dnd (user_id, conversation_id) VALUES ('alice', 'bob');
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('alice', 'loud');
INSERT INTO imp_push.dnd (user_id, dnd_start) VALUES ('alice', '22:00');
INSERT INTO imp_push.dnd (user_id, dnd_end) VALUES ('alice', '07:00');
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, dnd_start, dnd_end)
	VALUES ('alice', 'groupchat', 'g1', '22:00', '07:00');
SELECT imp_push.set_dnd_duration('alice', -1);
SELECT imp_push.set_dnd_duration('alice', 10081);
SELECT imp_push.set_dnd_duration('alice', NULL);
SELECT imp_push.set_dnd_interval('alice', '22:00', NULL);
SELECT imp_push.set_mode('alice', 'all', 'chat');
-- Written directly, dnd_until takes any time: imports and restores do that.
INSERT INTO imp_push.dnd (user_id, dnd_until) VALUES ('alice', '2001-01-01'), ('bob', 'infinity');
SELECT user_id, (imp_push.get_dnd(user_id)).* FROM imp_push.dnd ORDER BY 1;
DELETE FROM imp_push.dnd;

-- Modes: the conversation's wins; one without inherits; a user without has all.
SELECT * FROM imp_push.get_dnd('alice', 'groupchat', 'g1');
SELECT imp_push.set_mode('alice', 'mention_only');
SELECT imp_push.set_mode('alice', 'none', 'groupchat', 'g1');
SELECT imp_push.set_mode('alice', 'all', 'chat', 'bob');
SELECT chat_type, conversation_id, mode, mode_from
	FROM (VALUES ('app', ''), ('groupchat', 'g1'), ('groupchat', 'g2'), ('chat', 'bob'), ('chat', 'g1'))
			AS asked (chat_type, conversation_id),
		LATERAL imp_push.get_dnd('alice', chat_type, conversation_id);
-- NULL clears it, and leaves no row that says nothing.
SELECT imp_push.set_mode('alice', NULL, 'groupchat', 'g1');
SELECT mode, mode_from FROM imp_push.get_dnd('alice', 'groupchat', 'g1');
SELECT imp_push.set_mode('alice', NULL);
SELECT imp_push.set_mode('carol', NULL);
SELECT user_id, chat_type, conversation_id, mode FROM imp_push.dnd;
DELETE FROM imp_push.dnd;

-- The interval, on the wall clock of the user: [start, end)
SELECT imp_push.set_dnd_interval('alice', '22:00', '23:30');
SELECT at, silent, silent_by, silent_until
	FROM unnest(ARRAY['2026-03-03 21:59:59.999999+08', '2026-03-03 22:00+08', '2026-03-03 23:29:59.999999+08',
			'2026-03-03 23:30+08']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('alice', at => at);
-- across midnight
SELECT imp_push.set_dnd_interval('alice', '10:00', '08:00');
SELECT at, silent, silent_by, silent_until
	FROM unnest(ARRAY['2026-03-03 07:59+08', '2026-03-03 08:00+08', '2026-03-03 09:59+08', '2026-03-03 10:00+08',
			'2026-03-03 23:59+08', '2026-03-04 00:00+08']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('alice', at => at);
-- the whole day, and off
SELECT imp_push.set_dnd_interval('alice', '10:00', '10:00');
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 10:00+08');
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 09:59+08');
SELECT imp_push.set_dnd_interval('alice', '00:00', '00:00');
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 00:00+08');
SELECT imp_push.set_dnd_interval('alice', '00:00', '24:00');
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 00:00+08');
SELECT imp_push.set_dnd_interval('alice', '22:00', '24:00');
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 23:00+08');
SELECT imp_push.set_dnd_interval('alice', NULL, NULL);
SELECT silent, silent_by, silent_until FROM imp_push.get_dnd('alice', at => '2026-03-03 10:00+08');
SELECT count(*) FROM imp_push.dnd;

-- A duration silences a conversation, or the app. Conversations cannot opt
-- out of the app's.
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode, dnd_until) VALUES
	('alice', 'groupchat', 'g1', 'all', '2026-03-03 12:00+08'),
	('bob', 'app', '', NULL, '2026-03-03 12:00+08'),
	('bob', 'groupchat', 'g1', 'all', NULL);
SELECT user_id, conversation_id, at, mode, silent, silent_by, silent_until
	FROM unnest(ARRAY['alice', 'bob']) AS user_id,
		unnest(ARRAY['g1', 'g2']) AS conversation_id,
		unnest(ARRAY['2026-03-03 11:59:59+08', '2026-03-03 12:00+08']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd(user_id, 'groupchat', conversation_id, at)
	ORDER BY 1, 2, 3;
DELETE FROM imp_push.dnd;

-- Both at once are a union: 08:00 to 10:00, and 240 minutes from 08:00 on.
INSERT INTO imp_push.dnd (user_id, dnd_start, dnd_end, dnd_until) VALUES ('alice', '08:00', '10:00', '2026-03-03 12:00+08');
SELECT at, silent, silent_by, silent_until
	FROM unnest(ARRAY['2026-03-03 09:00+08', '2026-03-03 11:00+08', '2026-03-03 12:00+08', '2026-03-04 09:00+08',
			'2026-03-04 11:00+08']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('alice', at => at);
-- The one that lasts longest is named, and where one follows upon another the
-- end is that of the whole.
INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, dnd_until) VALUES
	('alice', 'chat', 'bob', '2026-03-03 13:00+08'),
	('alice', 'chat', 'carol', '2026-03-03 11:00+08'),
	('alice', 'chat', 'dave', '2026-03-04 09:00+08');
SELECT conversation_id, silent, silent_by, silent_until
	FROM unnest(ARRAY['bob', 'carol', 'dave']) AS conversation_id,
		LATERAL imp_push.get_dnd('alice', 'chat', conversation_id, '2026-03-03 09:00+08');
DELETE FROM imp_push.dnd;

-- A new duration replaces the old one, and 0 ends it. It leaves the rest of
-- the row alone.
BEGIN;
SELECT imp_push.set_mode('alice', 'all', 'chat', 'bob');
SELECT imp_push.set_dnd_duration('alice', 10080, 'chat', 'bob') = now() + interval '7 days' AS ends;
SELECT imp_push.set_dnd_duration('alice', 30, 'chat', 'bob') = now() + interval '30 minutes' AS ends;
SELECT silent, silent_by, silent_until = now() + interval '30 minutes' AS until
	FROM imp_push.get_dnd('alice', 'chat', 'bob');
SELECT imp_push.set_dnd_duration('alice', 0, 'chat', 'bob') = now() AS ends;
SELECT mode, mode_from, silent FROM imp_push.get_dnd('alice', 'chat', 'bob');
ROLLBACK;

-- Everybody has their own wall clock: one instant, 23:00 in Shanghai.
INSERT INTO imp_push.user_profile (user_id, time_zone) VALUES
	('newyorker', 'America/New_York'), ('kathmandu', 'Asia/Kathmandu'), ('centraleuropean', 'CET');
INSERT INTO imp_push.dnd (user_id, dnd_start, dnd_end)
	SELECT name, '22:00', '07:00' FROM unnest(ARRAY['nowhere', 'newyorker', 'kathmandu', 'centraleuropean']) AS name;
SELECT user_id, silent, silent_until
	FROM imp_push.dnd, LATERAL imp_push.get_dnd(user_id, at => '2026-07-01 15:00+00') ORDER BY 1;
-- a quarter of an hour: 22:00 in Kathmandu is 16:15 in UTC
SELECT at, silent, silent_until
	FROM unnest(ARRAY['2026-07-01 16:14:59+00', '2026-07-01 16:15+00']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('kathmandu', at => at);
-- CET the zone has summer time, CET the abbreviation has none
SELECT at, silent
	FROM unnest(ARRAY['2026-07-01 20:00+00', '2026-07-01 19:59+00', '2026-12-01 21:00+00', '2026-12-01 20:59+00']::timestamptz[])
			AS at,
		LATERAL imp_push.get_dnd('centraleuropean', at => at);

-- New York, 8 March 2026: at 02:00 (07:00 UTC) clocks go to 03:00.
UPDATE imp_push.dnd SET dnd_start = '01:00', dnd_end = '02:30' WHERE user_id = 'newyorker';
SELECT at, silent, silent_until
	FROM unnest(ARRAY['2026-03-08 05:59+00', '2026-03-08 06:00+00', '2026-03-08 06:59:59+00', '2026-03-08 07:00+00',
			'2026-03-09 06:00+00', '2026-03-09 06:30+00']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('newyorker', at => at);
UPDATE imp_push.dnd SET dnd_start = '02:15', dnd_end = '03:15' WHERE user_id = 'newyorker';
SELECT at, silent, silent_until
	FROM unnest(ARRAY['2026-03-08 06:59:59+00', '2026-03-08 07:00+00', '2026-03-08 07:15+00']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('newyorker', at => at);
UPDATE imp_push.dnd SET dnd_start = '22:00', dnd_end = '07:00' WHERE user_id = 'newyorker';
SELECT silent, silent_until, silent_until - '2026-03-08 03:00+00' AS lasts
	FROM imp_push.get_dnd('newyorker', at => '2026-03-08 03:00+00');

-- 1 November 2026: at 02:00 (06:00 UTC) clocks go back to 01:00, and the hour
-- comes twice.
UPDATE imp_push.dnd SET dnd_start = '01:00', dnd_end = '01:30' WHERE user_id = 'newyorker';
SELECT at, silent, silent_until
	FROM unnest(ARRAY['2026-11-01 05:00+00', '2026-11-01 05:30+00', '2026-11-01 06:00+00', '2026-11-01 06:29+00',
			'2026-11-01 06:30+00']::timestamptz[]) AS at,
		LATERAL imp_push.get_dnd('newyorker', at => at);
-- It ends where the clock goes back to before its start.
UPDATE imp_push.dnd SET dnd_start = '01:30', dnd_end = '03:00' WHERE user_id = 'newyorker';
SELECT at, silent, silent_until
	FROM unnest(ARRAY['2026-11-01 05:30+00', '2026-11-01 06:00+00', '2026-11-01 06:30+00', '2026-11-01 08:00+00']::timestamptz[])
			AS at,
		LATERAL imp_push.get_dnd('newyorker', at => at);
UPDATE imp_push.dnd SET dnd_start = '22:00', dnd_end = '07:00' WHERE user_id = 'newyorker';
SELECT silent, silent_until, silent_until - '2026-11-01 02:00+00' AS lasts
	FROM imp_push.get_dnd('newyorker', at => '2026-11-01 02:00+00');

-- A zone that the server does not know, or does not know any more: the
-- default one, and if that is unknown, UTC.
ALTER TABLE imp_push.user_profile DISABLE TRIGGER USER;
ALTER TABLE imp_push.settings DISABLE TRIGGER USER;
UPDATE imp_push.user_profile SET time_zone = 'Mars/Olympus' WHERE user_id = 'newyorker';
SELECT silent, silent_until FROM imp_push.get_dnd('newyorker', at => '2026-03-03 22:00+08');
UPDATE imp_push.settings SET default_time_zone = 'Mars/Olympus';
SELECT silent, silent_until FROM imp_push.get_dnd('newyorker', at => '2026-03-03 22:00+00');
ALTER TABLE imp_push.user_profile ENABLE TRIGGER USER;
ALTER TABLE imp_push.settings ENABLE TRIGGER USER;

-- An IM server's role asks without rights on settings, as on a standby.
UPDATE imp_push.settings SET default_time_zone = 'Asia/Shanghai';
CREATE ROLE regress_imp_push_app;
GRANT USAGE ON SCHEMA imp_push TO regress_imp_push_app;
GRANT EXECUTE ON FUNCTION imp_push.get_dnd, imp_push.set_mode, imp_push.drop_empty_dnd TO regress_imp_push_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON imp_push.dnd TO regress_imp_push_app;
SET ROLE regress_imp_push_app;
SELECT imp_push.set_mode('nowhere', 'none');
BEGIN READ ONLY;
SELECT * FROM imp_push.get_dnd('nowhere', at => '2026-03-03 22:00+08');
COMMIT;
RESET ROLE;

-- The rule in a query over many: it joins the two rows of dnd, and asks.
SELECT message.recipient, message.conversation_id, rule.*
	FROM (VALUES ('nowhere', 'groupchat', 'g1'), ('kathmandu', 'chat', 'bob'), ('somebody', 'chat', 'bob'))
			AS message (recipient, chat_type, conversation_id)
		CROSS JOIN imp_push.settings
		LEFT JOIN imp_push.user_profile AS profile ON profile.user_id = message.recipient
		LEFT JOIN imp_push.dnd AS app
			ON app.user_id = message.recipient AND app.chat_type = 'app' AND app.conversation_id = ''
		LEFT JOIN imp_push.dnd AS conversation
			ON conversation.user_id = message.recipient AND conversation.chat_type = message.chat_type
				AND conversation.conversation_id = message.conversation_id
		CROSS JOIN LATERAL imp_push.dnd_rule('2026-03-03 22:00+08', app, conversation, profile.time_zone,
			settings.default_time_zone) AS rule
	ORDER BY 1;

UPDATE imp_push.settings SET default_time_zone = :'zone_before';
DELETE FROM imp_push.dnd;
DELETE FROM imp_push.user_profile;
DROP OWNED BY regress_imp_push_app;
DROP ROLE regress_imp_push_app;
