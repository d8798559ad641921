-- Installing, what is granted to everybody (nothing), what has a comment
-- (everything), removing, installing again.
-- The NOTICE depends on how the server was started.
SET client_min_messages = error;
DROP EXTENSION IF EXISTS imp_push CASCADE;
CREATE EXTENSION imp_push;
SELECT extname, extversion, nspname AS schema, extrelocatable
FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname = 'imp_push';

-- The database is stopped.
SELECT started FROM imp_push.control;

-- There is one row of settings, and there are the built-in texts.
SELECT multi_device_policy, advanced_features, default_language, push_cmd,
	force_bypasses_mode, push_unacknowledged, record_suppressed, push_ttl,
	offline_retention, single_chat_limit, group_chat_limit, delivery_retention
FROM imp_push.settings;
SELECT language, key, value FROM imp_push.builtin_text ORDER BY language, key;

-- What PUBLIC may do: nothing at all.
SELECT 'schema' AS kind, nspname::text AS name, a.privilege_type
FROM pg_namespace, aclexplode(COALESCE(nspacl, acldefault('n', nspowner))) a
WHERE nspname = 'imp_push' AND a.grantee = 0
UNION ALL
SELECT 'relation', oid::regclass::text, a.privilege_type
FROM pg_class, aclexplode(COALESCE(relacl, acldefault('r', relowner))) a
WHERE relnamespace = 'imp_push'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'column', attrelid::regclass || '.' || attname, a.privilege_type
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl) a
WHERE relnamespace = 'imp_push'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'function', p.oid::regprocedure::text, a.privilege_type
FROM pg_proc p, aclexplode(COALESCE(proacl, acldefault('f', proowner))) a
WHERE pronamespace = 'imp_push'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'type', t.oid::regtype::text, a.privilege_type
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c',
	aclexplode(COALESCE(typacl, acldefault('T', typowner))) a
WHERE typnamespace = 'imp_push'::regnamespace AND a.grantee = 0;

-- What has no comment: nothing.  Partitions have their columns, triggers and
-- indexes from the table; the index of a key says itself what it is for.
SELECT 'relation' AS kind, c.oid::regclass::text AS name
FROM pg_class c
WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p', 'v', 'c', 'S')
	AND obj_description(COALESCE(NULLIF(c.reltype, 0), c.oid), 'pg_type') IS NULL
	AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column', c.oid::regclass || '.' || attname
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p', 'v', 'c')
	AND NOT relispartition AND attnum > 0 AND NOT attisdropped
	AND col_description(c.oid, attnum) IS NULL
UNION ALL
SELECT 'trigger', tgname || ' on ' || tgrelid::regclass
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = 'imp_push'::regnamespace AND NOT tgisinternal AND tgparentid = 0
	AND obj_description(t.oid, 'pg_trigger') IS NULL
UNION ALL
SELECT 'index', indexrelid::regclass::text
FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE relnamespace = 'imp_push'::regnamespace AND NOT relispartition
	AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
	AND obj_description(indexrelid, 'pg_class') IS NULL
UNION ALL
SELECT 'function', p.oid::regprocedure::text
FROM pg_proc p
WHERE pronamespace = 'imp_push'::regnamespace
	AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'extension', extname FROM pg_extension e
WHERE extname = 'imp_push' AND obj_description(e.oid, 'pg_extension') IS NULL;

-- Everything in the schema belongs to the extension, and so goes with it.
SELECT c.oid::regclass AS left_alone
FROM pg_class c
WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
	AND NOT EXISTS (
		SELECT FROM pg_depend d
		WHERE d.objid = c.oid AND d.deptype IN ('e', 'i'));

-- PL/pgSQL and SECURITY DEFINER functions do not depend on anybody's search_path.
SELECT p.oid::regprocedure AS without_search_path
FROM pg_proc p JOIN pg_language l ON l.oid = prolang
WHERE pronamespace = 'imp_push'::regnamespace
	AND (lanname = 'plpgsql' OR prosecdef)
	AND NOT 'search_path=pg_catalog, pg_temp' = ANY (COALESCE(proconfig, '{}'));

-- SQL functions neither: what they call was looked up when they were made.
SELECT p.oid::regprocedure AS not_bound
FROM pg_proc p JOIN pg_language l ON l.oid = prolang
WHERE pronamespace = 'imp_push'::regnamespace AND lanname = 'sql' AND prosqlbody IS NULL;
SELECT DISTINCT lanname
FROM pg_proc p JOIN pg_language l ON l.oid = prolang
WHERE pronamespace = 'imp_push'::regnamespace ORDER BY 1;

-- Gone, with what others made of it, and back again.
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('bob', 'alice', 'hello');
CREATE VIEW public.my_messages AS SELECT body FROM imp_push.offline_message;
DROP EXTENSION imp_push;
DROP EXTENSION imp_push CASCADE;
SELECT to_regclass('public.my_messages'),
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'imp_push'::regnamespace) AS relations,
	(SELECT count(*) FROM pg_proc WHERE pronamespace = 'imp_push'::regnamespace) AS functions;
CREATE EXTENSION imp_push;
SELECT count(*) FROM imp_push.offline_message;

-- What a session has prepared serves an extension that was created anew.
SELECT count(*) FROM imp_push.plan_messages('{}', now());
DROP EXTENSION imp_push;
CREATE EXTENSION imp_push;
SELECT count(*) FROM imp_push.plan_messages('{}', now());

-- Only its schema will do.
DROP EXTENSION imp_push;
CREATE EXTENSION imp_push SCHEMA public;
CREATE EXTENSION imp_push;

-- And that has to be empty: what somebody has left there could be taken for
-- ours when the script names it, and would run with the owner's rights.
DROP EXTENSION imp_push;
CREATE FUNCTION imp_push.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE sql RETURN 1;
CREATE EXTENSION imp_push;
DROP FUNCTION imp_push.unnest;

-- PUBLIC gets nothing, whatever it gets by default.
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
CREATE EXTENSION imp_push;
SELECT c.oid::regclass AS granted
FROM pg_class c, aclexplode(relacl) a
WHERE relnamespace = 'imp_push'::regnamespace AND a.grantee = 0;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
DROP EXTENSION imp_push;

-- The patterns in it mean what they say only with strings as the standard has them.
SET escape_string_warning = off;
SET standard_conforming_strings = off;
CREATE EXTENSION imp_push;
RESET standard_conforming_strings;
CREATE EXTENSION imp_push;
