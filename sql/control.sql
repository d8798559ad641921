-- start() and stop(): what they write, who may call them, and the settings of
-- the server.  (Who starts a worker, and when, needs a server of its own: t/.)
-- What start() warns of depends on how the server was started.
SET client_min_messages = error;

SELECT imp_push.start();
SELECT started FROM imp_push.control;
-- Twice is as good as once.
SELECT changed_at AS first FROM imp_push.control \gset
SELECT imp_push.start();
SELECT started, changed_at = :'first' AS unchanged FROM imp_push.control;
BEGIN;
SELECT imp_push.stop();
SELECT started FROM imp_push.control;
ROLLBACK;
SELECT started FROM imp_push.control;
SELECT imp_push.stop();
SELECT imp_push.stop();
SELECT started, changed_at > :'first' AS changed FROM imp_push.control;

-- There is one row, and start() makes it if somebody has taken it away.
\set VERBOSITY terse
INSERT INTO imp_push.control (only_row) VALUES (false);
\set VERBOSITY default
BEGIN;
DELETE FROM imp_push.control;
SELECT imp_push.start();
SELECT started FROM imp_push.control;
ROLLBACK;

-- The owner's, until he lets others.
CREATE ROLE regress_operator;
GRANT USAGE ON SCHEMA imp_push TO regress_operator;
SET ROLE regress_operator;
SELECT imp_push.start();
SELECT imp_push.stop();
SELECT imp_push.wake_worker();
RESET ROLE;
GRANT EXECUTE ON FUNCTION imp_push.start(), imp_push.stop(), imp_push.start_worker()
	TO regress_operator;
SET ROLE regress_operator;
SELECT imp_push.start();
SELECT imp_push.stop();
-- It starts a process that is a superuser's: EXECUTE is not enough.
SELECT imp_push.start_worker();
RESET ROLE;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator;

-- Settings: for the whole server, in a file.
SET imp_push.enabled = off;
ALTER SYSTEM SET imp_push.enabled = 'perhaps';
ALTER SYSTEM SET imp_push.poll_interval = '1ms';
ALTER SYSTEM SET imp_push.max_in_flight = 0;
ALTER SYSTEM SET imp_push.databases = 'one, "two';
SELECT name, boot_val, unit, vartype, context, min_val, max_val
FROM pg_settings
WHERE name LIKE 'imp\_push.%'
ORDER BY name COLLATE "C";
-- This one is for functions, and not shown with the others.
SHOW imp_push.cancel_reason;
SET imp_push.cancel_reason = 'tired';
