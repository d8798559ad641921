INSERT INTO imp_push.certificate (name, bundle_id, push_type) VALUES
	('app', 'com.example.app', 'alert'),
	('app_old', 'com.example.app', 'alert'),
	('app_voip', 'com.example.app', 'voip'),
	('other', 'com.example.other', 'alert');

CREATE VIEW binding AS
	SELECT user_id, device_id, certificate, token,
		CASE
			WHEN registered_at = '-infinity' THEN 'unknown'
			WHEN registered_at > now() - interval '1 hour' THEN 'now'
			ELSE to_char(registered_at, 'YYYY-MM-DD')
		END AS registered,
		disabled_reason
	FROM imp_push.device_token ORDER BY 1, 2, 3;

-- A token is hex. It is stored in lower case, without blanks and <>.
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES
	('alice', 'phone', 'app', E' <AB01CD23 ef45\t6789>\n'),
	('alice', 'pad', 'app', repeat('ab', 200));
SELECT user_id, device_id, left(token, 20), length(token) FROM imp_push.device_token ORDER BY 1, 2 DESC;
ROLLBACK;

\set SHOW_CONTEXT never

-- A wrong value is refused. The error never shows a token, whoever raises it
-- and whichever way the row came.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'secret');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'abc');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', ' <> ');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', '<ab');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	VALUES ('alice', 'phone', 'app', repeat('ab', 201));
INSERT INTO imp_push.device_token (user_id, device_id, certificate) VALUES ('alice', 'phone', 'app');
INSERT INTO imp_push.device_token (device_id, certificate, token) VALUES ('phone', 'app', 'ab01');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', '', 'app', 'ab01');
INSERT INTO imp_push.device_token (user_id, device_id, token) VALUES ('alice', 'phone', 'ab01');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'nope', 'ab01');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token, registered_at)
	VALUES ('alice', 'phone', 'app', 'ab01', 'infinity');
SELECT imp_push.bind_device('alice', 'phone', 'app', 'secret');
COPY imp_push.device_token (user_id, device_id, certificate, token) FROM stdin;
alice	phone	app	secret
\.
COPY imp_push.device_token (user_id, device_id, certificate, token) FROM stdin;
alice	phone	nope	ab01
\.

INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES
	('alice', 'phone', 'app', 'aa'), ('bob', 'phone', 'app', 'bb');
UPDATE imp_push.device_token SET token = 'secret' WHERE user_id = 'alice';
UPDATE imp_push.device_token SET token = NULL WHERE user_id = 'alice';
UPDATE imp_push.device_token SET registered_at = NULL WHERE user_id = 'alice';
UPDATE imp_push.device_token SET certificate = 'nope' WHERE user_id = 'alice';
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'cc');
TABLE binding;

-- Writing a token that another row has moves it: the last writer wins.
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'pad', 'app', 'AA');
TABLE binding;
UPDATE imp_push.device_token SET token = 'aa' WHERE user_id = 'bob';
TABLE binding;
SELECT imp_push.bind_device('alice', 'phone', 'app', '<aa>');
TABLE binding;
-- also within one statement
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES
	('dave', 'phone', 'app', 'dd'), ('erin', 'phone', 'app', 'dd');
TABLE binding;
-- but under its certificate only
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('frank', 'phone', 'other', 'aa');
TABLE binding;
ROLLBACK;

-- What ends as ON CONFLICT DO NOTHING changes nothing: alice's row is there,
-- so bob keeps his token.
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'bb')
	ON CONFLICT DO NOTHING;
TABLE binding;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'bb')
	ON CONFLICT (user_id, device_id, certificate) DO NOTHING;
TABLE binding;
-- A token that somebody else holds is no conflict, though: it moves.
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'phone', 'app', 'bb')
	ON CONFLICT DO NOTHING;
TABLE binding;
ROLLBACK;
-- In one statement the first row wins then, as without us.
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES
	('carol', 'phone', 'app', 'cc'), ('carol', 'phone', 'app', 'bb')
	ON CONFLICT DO NOTHING;
TABLE binding;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES
	('dave', 'phone', 'app', 'dd'), ('dave', 'phone', 'app', 'bb')
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
ROLLBACK;
-- And DO UPDATE writes.
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'phone', 'app', 'bb')
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
TABLE binding;
ROLLBACK;

-- Swapping two tokens in one statement is refused: the second row has gone
-- with the first one's move.
UPDATE imp_push.device_token SET token = CASE token WHEN 'aa' THEN 'bb' ELSE 'aa' END;
TABLE binding;

-- Binding a device under another certificate of the same bundle id and push
-- type replaces its binding under the first.
BEGIN;
SELECT imp_push.bind_device('alice', 'phone', 'app_voip', 'a1');
SELECT imp_push.bind_device('alice', 'phone', 'other', 'a2');
SELECT imp_push.bind_device('alice', 'pad', 'app', 'a3');
SELECT imp_push.bind_device('alice', 'phone', 'app_old', 'a4');
TABLE binding;
-- by UPDATE as well, and not by DO NOTHING
UPDATE imp_push.device_token SET certificate = 'app' WHERE certificate = 'app_old';
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'pad', 'app_old', 'a5');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('alice', 'pad', 'app_old', 'a6')
	ON CONFLICT DO NOTHING;
TABLE binding;
ROLLBACK;

-- Writing a token again is a new registration: registered_at moves on, and a
-- disabled binding is live again.
BEGIN;
UPDATE imp_push.device_token SET registered_at = '2020-01-01', disabled_at = '2020-02-02', disabled_reason = 'Unregistered';
SAVEPOINT disabled;
TABLE binding;
SELECT imp_push.bind_device('alice', 'phone', 'app', 'aa');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('bob', 'phone', 'app', 'bb')
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
TABLE binding;
SELECT count(*) FROM imp_push.device_token WHERE disabled_at IS NULL;
ROLLBACK TO disabled;
UPDATE imp_push.device_token SET token = token;
TABLE binding;
-- What the statement gives is kept: an import that runs twice changes nothing.
ROLLBACK TO disabled;
INSERT INTO imp_push.device_token SELECT * FROM imp_push.device_token
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token,
		registered_at = EXCLUDED.registered_at, disabled_at = EXCLUDED.disabled_at,
		disabled_reason = EXCLUDED.disabled_reason;
TABLE binding;
-- Other columns register nothing.
UPDATE imp_push.device_token SET registered_at = '-infinity' WHERE user_id = 'alice';
UPDATE imp_push.device_token SET user_id = 'robert' WHERE user_id = 'bob';
TABLE binding;
ROLLBACK;

-- Imports give registered_at; -infinity means unknown.
BEGIN;
COPY imp_push.device_token (user_id, device_id, certificate, token, registered_at) FROM stdin;
carol	phone	app	cc	2021-03-04 00:00:00
dave	phone	app	dd	-infinity
erin	phone	app	aa	2021-03-04 00:00:00
\.
TABLE binding;
ROLLBACK;

-- A certificate that is in use cannot be deleted; renaming it takes its
-- bindings along, as they are.
BEGIN;
SELECT imp_push.bind_device('alice', 'phone', 'app_voip', 'a1');
UPDATE imp_push.device_token SET registered_at = '2020-01-01', disabled_at = '2020-02-02', disabled_reason = 'Unregistered';
UPDATE imp_push.certificate SET name = 'renamed' WHERE name = 'app';
TABLE binding;
DELETE FROM imp_push.certificate WHERE name = 'other';
SAVEPOINT renamed;
DELETE FROM imp_push.certificate WHERE name = 'renamed';
ROLLBACK TO renamed;
TRUNCATE imp_push.certificate CASCADE;
ROLLBACK;
-- A parallel restore may load bindings before their certificates. Every dump
-- begins with this setting.
BEGIN;
SET LOCAL check_function_bodies = off;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'phone', 'later', 'cc');
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('later', 'com.example.later');
TABLE binding;
ROLLBACK;

-- One binding of a device ends, or all of them.
BEGIN;
SELECT imp_push.bind_device('alice', 'phone', 'app_voip', 'a1');
SELECT imp_push.bind_device('alice', 'phone', 'other', 'a2');
SELECT imp_push.bind_device('alice', 'pad', 'app', 'a3');
SELECT imp_push.unbind_device('alice', 'phone', 'other');
TABLE binding;
SELECT imp_push.unbind_device('alice', 'phone');
TABLE binding;
ROLLBACK;

-- An IM server's role needs no rights on certificates.
CREATE ROLE regress_imp_push_app;
GRANT USAGE ON SCHEMA imp_push TO regress_imp_push_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON imp_push.device_token TO regress_imp_push_app;
SET ROLE regress_imp_push_app;
BEGIN;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'phone', 'app', 'AA');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'phone', 'app', 'cc')
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
SELECT user_id, token FROM imp_push.device_token ORDER BY 1;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('carol', 'phone', 'nope', 'dd');
ROLLBACK;
RESET ROLE;

-- A plan that was made while the table was empty serves a long import too.
BEGIN;
TRUNCATE imp_push.device_token;
ANALYZE imp_push.device_token;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	SELECT 'user' || i, 'phone', 'app', encode(sha256(i::text::bytea), 'hex') FROM generate_series(1, 10000) AS i;
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token)
	SELECT 'user' || i, 'phone', 'app', encode(sha256((i + 5000)::text::bytea), 'hex') FROM generate_series(1, 10000) AS i
	ON CONFLICT (user_id, device_id, certificate) DO UPDATE SET token = EXCLUDED.token;
SELECT count(*), count(DISTINCT token) FROM imp_push.device_token;
ROLLBACK;

DROP VIEW binding;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.certificate;
DROP OWNED BY regress_imp_push_app;
DROP ROLE regress_imp_push_app;
