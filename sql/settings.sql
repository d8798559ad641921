\set SHOW_CONTEXT never

-- There is one row, and it stays one row.
SELECT multi_device_policy, advanced_features, default_language, push_cmd, force_bypasses_mode, push_unacknowledged,
	record_suppressed, push_ttl, offline_retention, single_chat_limit, group_chat_limit, delivery_retention
	FROM imp_push.settings;
SELECT imp_push.is_time_zone(default_time_zone) FROM imp_push.settings;
DELETE FROM imp_push.settings;
TRUNCATE imp_push.settings;

-- Inserting is updating, whatever ON CONFLICT says: a restore does that.
BEGIN;
INSERT INTO imp_push.settings (default_time_zone, push_ttl) VALUES ('Asia/Shanghai', '2 days');
SELECT default_time_zone, push_ttl FROM imp_push.settings;
INSERT INTO imp_push.settings (default_time_zone, push_ttl) VALUES ('Europe/Paris', '3 days') ON CONFLICT DO NOTHING;
SELECT default_time_zone, push_ttl FROM imp_push.settings;
INSERT INTO imp_push.settings (push_cmd) VALUES (true);
SELECT default_time_zone, push_ttl, push_cmd FROM imp_push.settings;
ROLLBACK;

-- A wrong value is refused, and the error says what is allowed.
UPDATE imp_push.settings SET multi_device_policy = 'some_offline';
UPDATE imp_push.settings SET multi_device_policy = NULL;
UPDATE imp_push.settings SET default_language = '中文';
UPDATE imp_push.settings SET default_time_zone = 'Asia/Shangai';
UPDATE imp_push.settings SET default_time_zone = NULL;
UPDATE imp_push.settings SET push_cmd = NULL;
UPDATE imp_push.settings SET push_ttl = '0';
UPDATE imp_push.settings SET push_ttl = '300000 years', delivery_retention = '300000 years';
UPDATE imp_push.settings SET offline_retention = '-1 day';
UPDATE imp_push.settings SET single_chat_limit = 0;
UPDATE imp_push.settings SET group_chat_limit = -1;
UPDATE imp_push.settings SET delivery_retention = '23 hours';
UPDATE imp_push.settings SET push_ttl = '8 days';
INSERT INTO imp_push.settings (multi_device_policy) VALUES ('some_offline');

-- Both at once are fine.
BEGIN;
UPDATE imp_push.settings SET push_ttl = '8 days', delivery_retention = '8 days';
ROLLBACK;

-- Time zones are IANA names. Offsets, POSIX zones, abbreviations and clocks
-- with leap seconds are none.
SELECT left(name, 20) AS name, imp_push.is_time_zone(name)
	FROM unnest(ARRAY['Asia/Shanghai', 'asia/kathmandu', 'America/New_York', 'UTC', 'Etc/GMT-8', 'UTC+8', '+08:00', 'Foo5',
		'PST', 'right/Asia/Shanghai', ':UTC', '../../etc/passwd', 'Asia', '', repeat('x', 300)]) AS name;

-- The advanced features are switched off by their function alone.
UPDATE imp_push.settings SET advanced_features = false;
SELECT imp_push.disable_advanced_features();
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('alice', 'none'), ('bob', 'mention_only');
INSERT INTO imp_push.template VALUES ('sale', 'Sale', '{0}');
INSERT INTO imp_push.user_profile (user_id, nickname, template) VALUES ('alice', 'Alice', 'sale');
SELECT imp_push.disable_advanced_features();
INSERT INTO imp_push.settings (advanced_features) VALUES (false);
SELECT imp_push.disable_advanced_features(confirm => true);
SELECT advanced_features FROM imp_push.settings;
SELECT count(*) FROM imp_push.dnd;
SELECT count(*) FROM imp_push.template;
SELECT * FROM imp_push.user_profile;

-- While they are off nothing is configured. Ending things is possible.
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('alice', 'none');
SELECT imp_push.set_mode('alice', 'none');
SELECT imp_push.set_dnd_duration('alice', 10);
INSERT INTO imp_push.template VALUES ('sale', 'Sale', '{0}');
DELETE FROM imp_push.dnd;
SELECT mode, mode_from, silent FROM imp_push.get_dnd('alice');

-- A restore of such a database inserts the row as it was dumped.
INSERT INTO imp_push.settings SELECT * FROM imp_push.settings;
COPY imp_push.dnd FROM stdin;
\.

UPDATE imp_push.settings SET advanced_features = true;
INSERT INTO imp_push.template VALUES ('sale', 'Sale', '{0}');

DELETE FROM imp_push.template;
DELETE FROM imp_push.user_profile;
