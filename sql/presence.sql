\set SHOW_CONTEXT never

-- A device without a row is offline.
SELECT imp_push.is_online('alice');

-- One online device makes a user online.
SELECT imp_push.set_presence('alice', 'phone', 'offline');
SELECT imp_push.set_presence('alice', 'web', 'online', session => 'w1');
SELECT imp_push.is_online('alice');
TABLE imp_push.online_user;
SELECT imp_push.set_presence('alice', 'web', 'offline', session => 'w1');
SELECT imp_push.is_online('alice');
TABLE imp_push.online_user;

-- Plain SQL does as well.
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES ('bob', 'phone', 'online');
UPDATE imp_push.presence SET status = 'online' WHERE user_id = 'alice';
SELECT * FROM imp_push.online_user ORDER BY 1;

-- A wrong value is refused, and the error says what is allowed.
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES ('bob', 'pad', 'away');
INSERT INTO imp_push.presence (user_id, device_id) VALUES ('bob', 'pad');
UPDATE imp_push.presence SET status = 'ONLINE' WHERE user_id = 'bob';
SELECT imp_push.set_presence('bob', 'pad', NULL);
SELECT imp_push.set_presence('bob', 'pad', 'online', ttl => '0');
SELECT imp_push.set_presence('bob', 'pad', 'online', ttl => '-1 minute');
SELECT imp_push.node_heartbeat('node1', NULL);
SELECT imp_push.node_heartbeat('node1', '-1 minute');
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES (NULL, 'pad', 'online');
SELECT imp_push.set_presence('', 'pad', 'online');
SELECT imp_push.set_presence('bob', '', 'online');
SELECT imp_push.node_heartbeat(NULL, '1 minute');
SELECT imp_push.node_heartbeat('', '1 minute');
DELETE FROM imp_push.presence;

-- What a device counts as. It is offline from the moment of its lease's end
-- on, its own or its node's.
SELECT status, own, node, imp_push.device_status(status, own::timestamptz, node::timestamptz, '2026-01-01 12:00')
	FROM (VALUES
		(NULL, NULL, NULL),
		('online', NULL, NULL),
		('online', '2026-01-01 12:00:01', NULL),
		('online', '2026-01-01 12:00:00', NULL),
		('online', '2026-01-01 12:00:01', '2026-01-01 12:00:00'),
		('online', '2026-01-01 12:00:00', '2026-01-01 12:00:01'),
		('online', NULL, '2026-01-01 12:00:01'),
		('offline', NULL, NULL),
		('logged_out', '2026-01-01 13:00:00', NULL),
		('kicked', '2026-01-01 11:00:00', NULL)) AS device (status, own, node);

-- A ghost is not online.
BEGIN;
SELECT imp_push.set_presence('alice', 'phone', 'online', ttl => '1 hour');
SELECT expires_at = now() + interval '1 hour' AS in_an_hour FROM imp_push.presence;
COMMIT;
SELECT imp_push.is_online('alice');
UPDATE imp_push.presence SET expires_at = now();
SELECT imp_push.is_online('alice');
TABLE imp_push.online_user;
-- Another sign of life, and it is online again, by default without a lease.
SELECT imp_push.set_presence('alice', 'phone', 'online');
SELECT expires_at FROM imp_push.presence;
SELECT imp_push.is_online('alice');

-- A node that stops beating takes all of its connections along.
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's1', node => 'node1');
SELECT imp_push.set_presence('bob', 'phone', 'online', session => 's2', node => 'node1');
SELECT imp_push.set_presence('carol', 'phone', 'online', session => 's3', node => 'node2');
SELECT imp_push.node_heartbeat('node1', '1 minute');
SELECT * FROM imp_push.online_user ORDER BY 1;
UPDATE imp_push.im_node SET expires_at = now() WHERE name = 'node1';
SELECT * FROM imp_push.online_user ORDER BY 1;
SELECT imp_push.node_heartbeat('node1', '1 minute');
SELECT * FROM imp_push.online_user ORDER BY 1;
-- A node that is deleted has no lease: its connections end with it.
DELETE FROM imp_push.im_node WHERE name = 'node1';
SELECT user_id, status, node FROM imp_push.presence ORDER BY 1;
DELETE FROM imp_push.presence;

-- Late news of another session changes nothing.
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's1', node => 'node1');
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's2', node => 'node2');
SELECT imp_push.set_presence('alice', 'phone', 'offline', session => 's1');
SELECT imp_push.set_presence('alice', 'phone', 'logged_out', session => 's1');
SELECT status, session, node FROM imp_push.presence;
SELECT imp_push.set_presence('alice', 'phone', 'offline', session => 's2');
SELECT status, session, node FROM imp_push.presence;
-- News without a session is never late.
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's3');
SELECT imp_push.set_presence('alice', 'phone', 'logged_out');
SELECT status, session, node FROM imp_push.presence;
-- A session is not late where no row is.
SELECT imp_push.set_presence('bob', 'phone', 'offline', session => 's1');
SELECT status, session, node FROM imp_push.presence WHERE user_id = 'bob';

-- The kicked stay so until they are online again, whoever writes what.
INSERT INTO imp_push.presence (user_id, device_id, status, changed_at) VALUES ('kate', 'phone', 'kicked', '2026-01-01');
UPDATE imp_push.presence SET status = 'offline' WHERE user_id = 'kate';
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES ('kate', 'phone', 'logged_out')
	ON CONFLICT (user_id, device_id) DO UPDATE SET status = EXCLUDED.status;
SELECT status, changed_at = '2026-01-01' AS unchanged FROM imp_push.presence WHERE user_id = 'kate';
UPDATE imp_push.presence SET status = 'online' WHERE user_id = 'kate';
UPDATE imp_push.presence SET status = 'offline' WHERE user_id = 'kate';
SELECT status FROM imp_push.presence WHERE user_id = 'kate';
DELETE FROM imp_push.presence WHERE user_id = 'kate';
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's4');
SELECT imp_push.set_presence('alice', 'phone', 'kicked');
SELECT imp_push.set_presence('alice', 'phone', 'offline', session => 's4');
SELECT imp_push.logout('alice', 'phone', unbind => false);
SELECT status, session FROM imp_push.presence WHERE user_id = 'alice';
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's5');
SELECT imp_push.set_presence('alice', 'phone', 'offline', session => 's5');
SELECT status, session FROM imp_push.presence WHERE user_id = 'alice';

-- Logging out may or may not end the bindings of the device.
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('app', 'com.example.app');
SELECT imp_push.bind_device('alice', 'phone', 'app', 'aa');
SELECT imp_push.bind_device('alice', 'pad', 'app', 'bb');
SELECT imp_push.logout('alice', 'phone', unbind => false);
SELECT device_id FROM imp_push.device_token ORDER BY 1;
SELECT imp_push.logout('alice', 'phone', unbind => true);
SELECT device_id FROM imp_push.device_token ORDER BY 1;
SELECT imp_push.logout('alice', 'phone', unbind => NULL);
SELECT status FROM imp_push.presence WHERE user_id = 'alice';
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.certificate;
DELETE FROM imp_push.presence;

-- changed_at: since when the status, or the connection, is what it is.
INSERT INTO imp_push.presence (user_id, device_id, status, session, changed_at) VALUES
	('alice', 'phone', 'online', 's1', '2026-01-01');
BEGIN;
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's1', ttl => '1 minute');
SELECT changed_at = '2026-01-01' AS kept FROM imp_push.presence;
SELECT imp_push.set_presence('alice', 'phone', 'online', session => 's2');
SELECT changed_at = now() AS moved FROM imp_push.presence;
UPDATE imp_push.presence SET status = 'offline', changed_at = '2026-01-02';
SELECT changed_at = '2026-01-02' AS given FROM imp_push.presence;
UPDATE imp_push.presence SET status = 'online';
SELECT changed_at = now() AS moved FROM imp_push.presence;
ROLLBACK;
DELETE FROM imp_push.presence;

-- push_unacknowledged: who turns offline is noted for the worker, in whatever
-- way, and only while the setting is on.
SELECT imp_push.set_presence(name, 'phone', 'online') FROM unnest(ARRAY['alice', 'bob', 'carol', 'dave', 'erin']) AS name;
SELECT imp_push.set_presence('alice', 'phone', 'offline');
SELECT count(*) FROM imp_push.recheck;
UPDATE imp_push.settings SET push_unacknowledged = true;
SELECT imp_push.set_presence('alice', 'phone', 'online');
SELECT imp_push.set_presence('alice', 'phone', 'online', ttl => '1 minute');
SELECT imp_push.set_presence('alice', 'phone', 'offline');
SELECT imp_push.set_presence('alice', 'phone', 'logged_out');
UPDATE imp_push.presence SET status = 'kicked' WHERE user_id = 'bob';
DELETE FROM imp_push.presence WHERE user_id = 'carol';
UPDATE imp_push.presence SET expires_at = now() + interval '1 hour' WHERE user_id = 'dave';
UPDATE imp_push.presence SET expires_at = now() WHERE user_id = 'erin';
SELECT imp_push.node_heartbeat('node7', '1 hour');
SELECT imp_push.set_presence('frank', 'phone', 'online', node => 'node7');
SELECT imp_push.set_presence('gina', 'phone', 'offline', node => 'node7');
UPDATE imp_push.im_node SET expires_at = now() + interval '2 hours' WHERE name = 'node7';
UPDATE imp_push.im_node SET expires_at = now() - interval '1 hour' WHERE name = 'node7';
SELECT user_id FROM imp_push.recheck ORDER BY id;
-- An IM server's role needs no rights on the list.
CREATE ROLE regress_imp_push_app;
GRANT USAGE ON SCHEMA imp_push TO regress_imp_push_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON imp_push.presence TO regress_imp_push_app;
SET ROLE regress_imp_push_app;
UPDATE imp_push.presence SET status = 'offline' WHERE user_id = 'dave';
RESET ROLE;
SELECT user_id FROM imp_push.recheck ORDER BY id DESC LIMIT 1;
UPDATE imp_push.settings SET push_unacknowledged = false;
DELETE FROM imp_push.recheck;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.im_node;
DROP OWNED BY regress_imp_push_app;
DROP ROLE regress_imp_push_app;

-- Leases that ran out in a span of time: of users, and of nodes, who have no
-- other device online at its end.
INSERT INTO imp_push.im_node VALUES ('node1', '2026-01-01 12:00'), ('node2', '2026-01-01 13:00');
INSERT INTO imp_push.presence (user_id, device_id, status, node, expires_at) VALUES
	('alice', 'phone', 'online', NULL, '2026-01-01 12:00'),
	('bob', 'phone', 'online', 'node1', NULL),
	('carol', 'phone', 'online', 'node2', '2026-01-01 11:59'),
	('dave', 'phone', 'online', NULL, '2026-01-01 12:00'),
	('dave', 'web', 'online', NULL, '2026-01-01 12:01'),
	('erin', 'phone', 'online', NULL, '2026-01-01 12:02'),
	('frank', 'phone', 'offline', 'node1', '2026-01-01 12:00');
SELECT * FROM imp_push.leases_ended('2026-01-01 11:59', '2026-01-01 12:00') AS user_id ORDER BY 1;
SELECT * FROM imp_push.leases_ended('2026-01-01 11:58', '2026-01-01 11:59') AS user_id ORDER BY 1;
SELECT * FROM imp_push.leases_ended('2026-01-01 12:00', '2026-01-01 13:00') AS user_id ORDER BY 1;
SELECT user_id, device_id, node, expires_at > '2026-01-01 12:00' AS lives_on
	FROM imp_push.live_device('2026-01-01 12:00') ORDER BY 1;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.im_node;
