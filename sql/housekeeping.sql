-- Housekeeping: retention, the limits of the store, and the ring of delivery.
-- Time is a parameter.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FUNCTION pg_temp.store(from_id int, to_id int, recipient text, chat_type text DEFAULT 'chat', created_at timestamptz DEFAULT '2024-06-10 00:00+00', type text DEFAULT 'txt') RETURNS bigint LANGUAGE sql AS $$
	WITH i AS (INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, chat_type, conversation_id, created_at, type)
		SELECT n, recipient, 'alice', 'm' || n, chat_type, 'alice', created_at, type FROM generate_series(from_id, to_id) n RETURNING 1)
	SELECT count(*) FROM i $$;
CREATE FUNCTION pg_temp.stored() RETURNS TABLE (recipient text, chat_type text, number bigint, oldest bigint, newest bigint) LANGUAGE sql AS
	'SELECT recipient, chat_type, count(*), min(id), max(id) FROM imp_push.offline_message GROUP BY 1, 2 ORDER BY 1, 2';

-- Retention: what is older goes, as evicted.
SELECT pg_temp.store(1, 3, 'bob', created_at => '2024-06-02 23:59:59+00'), pg_temp.store(4, 5, 'bob', created_at => '2024-06-03 00:00+00'), pg_temp.store(6, 6, 'bob', 'chatroom', '2024-06-01 00:00+00');
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
SELECT * FROM pg_temp.stored();
SELECT message_id, status, reason FROM imp_push.delivery WHERE status <> 'pending' ORDER BY message_id;
UPDATE imp_push.settings SET offline_retention = '1 day';
SELECT imp_push.housekeeping('2024-06-04 00:00:01+00');
SELECT * FROM pg_temp.stored();
UPDATE imp_push.settings SET offline_retention = '7 days';
-- In steps: true as long as there is more.
SELECT pg_temp.store(10001, 11200, 'bob', created_at => '2024-06-01 00:00+00');
SELECT imp_push.evict_old_messages('2024-06-10 00:00+00', 500), imp_push.evict_old_messages('2024-06-10 00:00+00', 0);
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
SELECT * FROM pg_temp.stored();
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.housekeeping_state;

-- Limits: single chats and groups by themselves, oldest out first; chat rooms have none.
UPDATE imp_push.settings SET single_chat_limit = 10, group_chat_limit = 5;
SELECT pg_temp.store(20001, 20020, 'bob'), pg_temp.store(20101, 20120, 'bob', 'groupchat'), pg_temp.store(20201, 20220, 'bob', 'chatroom'), pg_temp.store(20301, 20310, 'carol'), pg_temp.store(20401, 20405, 'dave', 'groupchat');
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
SELECT * FROM pg_temp.stored();
SELECT recipient, status, reason, count(*), min(message_id), max(message_id) FROM imp_push.delivery WHERE status <> 'pending' GROUP BY 1, 2, 3;
-- Only those who got new ones are looked at.
UPDATE imp_push.settings SET single_chat_limit = 4;
SELECT pg_temp.store(20501, 20501, 'carol');
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
SELECT * FROM pg_temp.stored();
SELECT imp_push.housekeeping('2024-06-10 00:00+00');
-- Small steps, also if a great deal is to go.
DELETE FROM imp_push.offline_message;
SELECT pg_temp.store(30001, 31100, 'erin');
SELECT imp_push.evict_surplus_messages(500), (SELECT count(*) FROM imp_push.offline_message) AS before;
SELECT count(*) FROM imp_push.offline_message;
SELECT imp_push.evict_surplus_messages(500);
SELECT count(*) FROM imp_push.offline_message;
SELECT imp_push.evict_surplus_messages(500);
SELECT * FROM pg_temp.stored();
SELECT imp_push.evict_surplus_messages(500);
SELECT imp_push.evict_surplus_messages(500);
UPDATE imp_push.settings SET single_chat_limit = 500, group_chat_limit = 200;
DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.housekeeping_state;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.delivery_ring;

-- The ring: three days in three tables, the fourth is emptied and written next.
UPDATE imp_push.settings SET delivery_retention = '3 days';
CREATE FUNCTION pg_temp.settled(n int, at timestamptz) RETURNS void LANGUAGE sql AS $$
	SELECT imp_push.settle(ARRAY[n::bigint], ARRAY['m' || n], '{bob}', '{iphone}', '{app}', ARRAY[imp_push.apns_id('bob', 'm' || n, 'iphone', 'app')], '{sent}', ARRAY[NULL::text], ARRAY[NULL::jsonb],
		'{200}', '{1}', '{false}', ARRAY[NULL::timestamptz], ARRAY[NULL::timestamptz], ARRAY[at], ARRAY[at]) $$;
SELECT imp_push.log_slot() AS slot, count(*) FROM imp_push.delivery_ring;
SELECT imp_push.turn_delivery_ring('2024-06-01 00:00+00');
SELECT slot, since FROM imp_push.delivery_ring;
SELECT imp_push.turn_delivery_ring('2024-06-01 23:59:59+00');
SELECT slot, since FROM imp_push.delivery_ring;
-- Ten days, a delivery each day at noon; what is remembered, and where.
DO $$
BEGIN
	FOR day IN 0..9 LOOP
		PERFORM imp_push.turn_delivery_ring('2024-06-01 00:00+00'::timestamptz + make_interval(days => day));
		PERFORM pg_temp.settled(day + 1, '2024-06-01 12:00+00'::timestamptz + make_interval(days => day));
	END LOOP;
END $$;
SELECT slot, since FROM imp_push.delivery_ring;
SELECT slot, tableoid::regclass AS stored_in, msg_id, finished_at FROM imp_push.delivery_log ORDER BY finished_at;
-- At least delivery_retention: the oldest is 3 days old when its table is emptied.
SELECT min(finished_at) FROM imp_push.delivery;
SELECT imp_push.turn_delivery_ring('2024-06-11 00:00+00');
SELECT min(finished_at) FROM imp_push.delivery;
-- A long pause forgets one table and no more.
SELECT imp_push.turn_delivery_ring('2025-06-11 00:00+00');
SELECT imp_push.turn_delivery_ring('2025-06-11 00:00+00');
SELECT count(*), min(finished_at) FROM imp_push.delivery;
SELECT slot, since FROM imp_push.delivery_ring;
-- Another retention turns it at another speed.
UPDATE imp_push.settings SET delivery_retention = '6 days';
SELECT imp_push.turn_delivery_ring('2025-06-12 23:59+00');
SELECT slot FROM imp_push.delivery_ring;
SELECT imp_push.turn_delivery_ring('2025-06-13 00:00+00');
SELECT slot FROM imp_push.delivery_ring;
-- Nothing younger than the retention is forgotten, also if that was raised.
UPDATE imp_push.settings SET delivery_retention = '3 years';
SELECT imp_push.turn_delivery_ring('2026-06-13 00:00+00');
SELECT slot FROM imp_push.delivery_ring;
UPDATE imp_push.settings SET delivery_retention = '7 days';
-- What delivery has forgotten is no duplicate.
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, created_at) VALUES (101, 'bob', 'alice', 'm1', '2024-06-12'), (110, 'bob', 'alice', 'm10', '2024-06-12');
SET jit = off;
SELECT message_id, device_id FROM imp_push.plan_messages('{101,110}', '2024-06-12');
SELECT msg_id, reason FROM imp_push.delivery WHERE message_id IN (101, 110) ORDER BY msg_id;

DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.delivery_ring;
DELETE FROM imp_push.housekeeping_state;
