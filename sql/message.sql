-- Messages: what is checked when they are written, what is filled in, and what
-- can be edited.  Errors name the column and what is allowed, and show nothing
-- of the message, in their context neither.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
\set SHOW_CONTEXT always
SET timezone = 'UTC';

-- The least that a message needs.
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('bob', 'alice', 'hello');
SELECT recipient, sender, chat_type, conversation_id, length(msg_id) AS msg_id_length,
	type, body, sender_name, ext, translations, created_at = queued.started AS now,
	expires_at, queued_xid IS NOT NULL AS stamped
FROM imp_push.offline_message, (SELECT created_at AS started FROM imp_push.offline_message LIMIT 1) queued;
-- A single chat may name its conversation; a group must, and so must a room.
INSERT INTO imp_push.offline_message (recipient, sender, chat_type, conversation_id, msg_id)
VALUES ('bob', 'alice', 'chat', 'alice', 'named'), ('bob', 'alice', 'groupchat', 'g1', 'group'),
	('bob', 'alice', 'chatroom', 'r1', 'room');
SELECT msg_id, conversation_id FROM imp_push.offline_message WHERE msg_id <= 'z' AND length(msg_id) < 10 ORDER BY msg_id;
-- One's own types, any text, no text, ids of all kinds.
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, type, body, expires_at)
VALUES ('张三', 'x y', 'm 1', 'red_packet', '', 'infinity'), (repeat('r', 1024), repeat('s', 1024), repeat('m', 1024), 'txt', NULL, '-infinity');
-- The stamp is the transaction's, whatever the statement says.
BEGIN;
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, queued_xid) VALUES ('bob', 'alice', 'stamp', '1');
SELECT queued_xid = pg_current_xact_id() AS stamped FROM imp_push.offline_message WHERE msg_id = 'stamp';
COMMIT;

-- Bad input gets a clear error.
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES (NULL, 'alice', 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('', 'alice', 'secret');
INSERT INTO imp_push.offline_message (recipient, body) VALUES ('bob', 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('bob', '', 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES (repeat('r', 1025), 'alice', 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('bob', repeat('名', 342), 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, body, msg_id) VALUES ('bob', 'alice', 'secret', repeat('m', 100000));
INSERT INTO imp_push.offline_message (recipient, sender, body, msg_id) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, msg_id) VALUES ('bob', 'alice', 'secret', '');
INSERT INTO imp_push.offline_message (recipient, sender, body, type) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, type) VALUES ('bob', 'alice', 'secret', '');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type) VALUES ('bob', 'alice', 'secret', 'groupchat');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type) VALUES ('bob', 'alice', 'secret', 'chatroom');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type, conversation_id) VALUES ('bob', 'alice', 'secret', 'groupchat', '');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type, conversation_id) VALUES ('bob', 'alice', 'secret', 'groupchat', repeat('g', 1025));
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type) VALUES ('bob', 'alice', 'secret', 'group');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type) VALUES ('bob', 'alice', 'secret', 'Chat');
INSERT INTO imp_push.offline_message (recipient, sender, body, chat_type) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, ext) VALUES ('bob', 'alice', 'secret', '["secret"]');
INSERT INTO imp_push.offline_message (recipient, sender, body, ext) VALUES ('bob', 'alice', 'secret', '"secret"');
INSERT INTO imp_push.offline_message (recipient, sender, body, ext) VALUES ('bob', 'alice', 'secret', 'null');
INSERT INTO imp_push.offline_message (recipient, sender, body, ext) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, translations) VALUES ('bob', 'alice', 'secret', '["en", "secret"]');
INSERT INTO imp_push.offline_message (recipient, sender, body, translations) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, created_at) VALUES ('bob', 'alice', 'secret', NULL);
INSERT INTO imp_push.offline_message (recipient, sender, body, created_at) VALUES ('bob', 'alice', 'secret', 'infinity');
INSERT INTO imp_push.offline_message (recipient, sender, body, created_at) VALUES ('bob', 'alice', 'secret', '-infinity');
INSERT INTO imp_push.offline_message (recipient, sender, body, created_at) VALUES ('bob', 'alice', 'secret', '294276-12-31 23:59+00');
INSERT INTO imp_push.offline_message (id, recipient, sender, body) VALUES (NULL, 'bob', 'alice', 'secret');
INSERT INTO imp_push.offline_message (id, recipient, sender, body) VALUES (0, 'bob', 'alice', 'secret');
INSERT INTO imp_push.offline_message (id, recipient, sender, body) VALUES (-1, 'bob', 'alice', 'secret');
-- By COPY, too, whose context would quote the line.
COPY imp_push.offline_message (recipient, sender, body, ext) FROM stdin;
carol	alice	hello	{}
carol	alice	secret	["secret"]
\.
-- A compressed ext from another table is an object all the same.
CREATE TEMP TABLE compressed (ext jsonb);
INSERT INTO compressed SELECT jsonb_build_object('x', repeat('x', 100000));
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, ext) SELECT 'bob', 'alice', 'compressed', ext FROM compressed;
UPDATE compressed SET ext = jsonb_build_array(repeat('x', 100000));
INSERT INTO imp_push.offline_message (recipient, sender, ext) SELECT 'bob', 'alice', ext FROM compressed;
-- Nothing of it is there.
SELECT count(*) FROM imp_push.offline_message WHERE body LIKE '%secret%' OR recipient = 'carol';

-- Repeated inserts: (msg_id, recipient) is unique.
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('bob', 'alice', 'again', 'first');
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('bob', 'alice', 'again', 'secret');
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('bob', 'alice', 'again', 'second')
ON CONFLICT DO NOTHING;
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('carol', 'alice', 'again', 'for another')
ON CONFLICT DO NOTHING;
SELECT recipient, body FROM imp_push.offline_message WHERE msg_id = 'again' ORDER BY recipient;
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body) VALUES ('bob', 'alice', 'again', 'edited')
ON CONFLICT (msg_id, recipient) DO UPDATE SET body = EXCLUDED.body;
SELECT recipient, body FROM imp_push.offline_message WHERE msg_id = 'again' ORDER BY recipient;

-- An edited message keeps its place in the queue and its key.
SELECT queued_xid AS xid_before FROM imp_push.offline_message WHERE msg_id = 'again' AND recipient = 'bob' \gset
UPDATE imp_push.offline_message SET body = 'edited again', queued_xid = '1', type = 'img',
	ext = '{"em_ignore_notification": true}', expires_at = '2000-01-01 00:00+00'
WHERE msg_id = 'again' AND recipient = 'bob'
RETURNING body, type, ext, expires_at, queued_xid = :'xid_before' AS same_place;
UPDATE imp_push.offline_message SET msg_id = 'other' WHERE msg_id = 'again';
UPDATE imp_push.offline_message SET recipient = 'dave' WHERE msg_id = 'again';
UPDATE imp_push.offline_message SET id = id + 1000 WHERE msg_id = 'again';
UPDATE imp_push.offline_message SET ext = '[]' WHERE msg_id = 'again';
UPDATE imp_push.offline_message SET sender = NULL WHERE msg_id = 'again';
UPDATE imp_push.offline_message SET chat_type = 'groupchat', conversation_id = NULL WHERE msg_id = 'again';
-- A single chat that forgets its conversation gets the sender.
UPDATE imp_push.offline_message SET conversation_id = NULL WHERE msg_id = 'again' RETURNING recipient, conversation_id;

-- Fetch: oldest first, by page; deletes nothing.
DELETE FROM imp_push.offline_message;
INSERT INTO imp_push.offline_message (id, recipient, sender, msg_id, type, chat_type, conversation_id)
OVERRIDING SYSTEM VALUE
VALUES (1000001, 'bob', 'alice', 'm1', 'txt', 'chat', NULL), (1000002, 'carol', 'alice', 'm1', 'txt', 'chat', NULL),
	(1000003, 'bob', 'alice', 'm2', 'cmd', 'chat', NULL), (1000004, 'bob', 'bob', 'm3', 'txt', 'chat', NULL),
	(1000005, 'bob', 'alice', 'm4', 'txt', 'chatroom', 'r1'), (1000006, 'bob', 'alice', 'm5', 'img', 'groupchat', 'g1');
SELECT id, msg_id FROM imp_push.fetch_offline_messages('bob');
SELECT id, msg_id FROM imp_push.fetch_offline_messages('bob', 2);
SELECT id, msg_id FROM imp_push.fetch_offline_messages('bob', 2, 1000003);
SELECT id, msg_id FROM imp_push.fetch_offline_messages('bob', after_id => 1000006);
SELECT id FROM imp_push.fetch_offline_messages('nobody');
SELECT id FROM imp_push.fetch_offline_messages(NULL);
-- The badge's count: no chat rooms, no cmd, not one's own.
SELECT imp_push.offline_message_count('bob'), imp_push.offline_message_count('carol'), imp_push.offline_message_count('nobody');
-- Acknowledge: one's own alone, and how many were there.
SELECT imp_push.ack_offline_messages('bob', ARRAY[1000001, 1000002, 1000003, 999]);
SELECT imp_push.ack_offline_messages('bob', ARRAY[1000001]);
SELECT imp_push.ack_offline_messages('bob', '{}'), imp_push.ack_offline_messages('bob', NULL), imp_push.ack_offline_messages(NULL, ARRAY[1000002]);
SELECT recipient, id FROM imp_push.offline_message ORDER BY id;
-- Recall: every recipient's.
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, chat_type, conversation_id)
SELECT 'member' || n, 'alice', 'to all', 'groupchat', 'g1' FROM generate_series(1, 3) n;
SELECT imp_push.recall_message('to all');
SELECT imp_push.recall_message('to all'), imp_push.recall_message('never was'), imp_push.recall_message(NULL);
SELECT recipient, status, reason FROM imp_push.delivery WHERE msg_id = 'to all' ORDER BY recipient;
-- What is deleted before it was planned is cancelled, by plain SQL as well.
DELETE FROM imp_push.offline_message;
SELECT message_id, msg_id, recipient, device_id, status, reason, attempts, finished_at >= decided_at AS finished
FROM imp_push.delivery WHERE message_id > 1000000 AND message_id < 1000007 ORDER BY message_id;

DELETE FROM imp_push.delivery_log;

-- The trigger does not fall over columns that it does not know.
BEGIN;
ALTER TABLE imp_push.offline_message ADD COLUMN gone int, ADD COLUMN mine text;
ALTER TABLE imp_push.offline_message DROP COLUMN gone;
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, mine) VALUES ('bob', 'alice', 'added', 'kept')
RETURNING conversation_id, mine, queued_xid = pg_current_xact_id() AS stamped;
ROLLBACK;
