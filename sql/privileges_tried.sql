-- What each kind of role really can do: every object of the schema, read from
-- the catalogue, is tried with the role itself, and the attempt is undone.
-- An object that is new shows up here, with what was granted on it.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
SET jit = off;
\set VERBOSITY terse
CREATE ROLE regress_imp_app;
CREATE ROLE regress_imp_monitor;
CREATE ROLE regress_imp_worker;
CREATE ROLE regress_imp_stranger; -- has found the schema open, and no more
CREATE ROLE regress_imp_nobody;
GRANT USAGE ON SCHEMA imp_push TO regress_imp_stranger;
SELECT imp_push.grant_app('regress_imp_app'), imp_push.grant_monitor('regress_imp_monitor'), imp_push.grant_worker('regress_imp_worker');

-- The error of a statement that a role runs, '' if there is none.
CREATE FUNCTION pg_temp.attempt(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE statement;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN RETURN '';
	WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- A letter if the statement is not refused for lack of rights, with the error
-- if it fails for another reason: there should be none.  Views that cannot be
-- written at all say so first.
CREATE FUNCTION pg_temp.may(role text, letter text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	error text := pg_temp.attempt(role, statement);
BEGIN
	RETURN CASE
		WHEN error = '' THEN letter
		WHEN error ~ '^42501 (permission denied|must be)|^55000 cannot .* view|^42809 .* is not a table' THEN ''
		ELSE letter || ' (' || error || ')'
	END;
END $$;

-- The same for each column of a table: the letter if all may, with a list if only some may.
CREATE FUNCTION pg_temp.may_columns(role text, letter text, relation regclass, statement text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE count(*) FILTER (WHERE may <> '') WHEN count(*) THEN letter WHEN 0 THEN ''
		ELSE letter || '(' || string_agg(attname, ',' ORDER BY attnum) FILTER (WHERE may <> '') || ')' END
	FROM (
		SELECT attname, attnum, pg_temp.may(role, letter, format(statement, relation, attname)) AS may
		FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) c $$;

-- r: SELECT, a: INSERT, w: UPDATE, d: DELETE, D: TRUNCATE, and the strongest
-- lock: s: ACCESS SHARE, e: ROW EXCLUSIVE, X: ACCESS EXCLUSIVE.
CREATE FUNCTION pg_temp.on_table(role text, relation regclass) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.may_columns(role, 'r', relation, 'SELECT %2$I FROM %1$s')
		|| pg_temp.may_columns(role, 'a', relation, 'INSERT INTO %1$s (%2$I) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false')
		|| pg_temp.may_columns(role, 'w', relation, 'UPDATE %1$s SET %2$I = DEFAULT WHERE false')
		|| pg_temp.may(role, 'd', format('DELETE FROM %s WHERE false', relation))
		|| pg_temp.may(role, 'D', format('TRUNCATE %s', relation))
		|| COALESCE((
			SELECT ' ' || letter
			FROM (VALUES (1, 'X', 'ACCESS EXCLUSIVE'), (2, 'e', 'ROW EXCLUSIVE'), (3, 's', 'ACCESS SHARE')) m(n, letter, mode)
			WHERE pg_temp.may(role, letter, format('LOCK TABLE %s IN %s MODE', relation, mode)) <> ''
			ORDER BY n LIMIT 1), '') $$;

SELECT c.oid::regclass AS relation, pg_temp.on_table('regress_imp_app', c.oid) AS app, pg_temp.on_table('regress_imp_monitor', c.oid) AS monitor,
	pg_temp.on_table('regress_imp_worker', c.oid) AS worker, pg_temp.on_table('regress_imp_stranger', c.oid) AS stranger, pg_temp.on_table('regress_imp_nobody', c.oid) AS nobody
FROM pg_class c WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname COLLATE "C";

-- The toast tables hold the long values of these, and row security does not reach them.
SELECT c.oid::regclass AS of_table
FROM pg_class c, unnest('{regress_imp_app,regress_imp_monitor,regress_imp_worker,regress_imp_stranger,regress_imp_nobody}'::text[]) role
WHERE relnamespace = 'imp_push'::regnamespace AND reltoastrelid <> 0 AND pg_temp.on_table(role, reltoastrelid) <> '';

SELECT c.oid::regclass AS view, pg_temp.on_table('regress_imp_app', c.oid) AS app, pg_temp.on_table('regress_imp_monitor', c.oid) AS monitor,
	pg_temp.on_table('regress_imp_worker', c.oid) AS worker, pg_temp.on_table('regress_imp_stranger', c.oid) AS stranger, pg_temp.on_table('regress_imp_nobody', c.oid) AS nobody
FROM pg_class c WHERE relnamespace = 'imp_push'::regnamespace AND relkind IN ('v', 'm', 'f') ORDER BY relname COLLATE "C";

-- r: its state, u: nextval(), w: setval()
CREATE FUNCTION pg_temp.on_sequence(role text, sequence regclass) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.may(role, 'r', format('SELECT last_value FROM %s', sequence))
		|| pg_temp.may(role, 'u', format('SELECT nextval(%L::regclass)', sequence::oid))
		|| pg_temp.may(role, 'w', format('SELECT setval(%L::regclass, 1)', sequence::oid)) $$;
SELECT c.oid::regclass AS sequence, pg_temp.on_sequence('regress_imp_app', c.oid) AS app, pg_temp.on_sequence('regress_imp_monitor', c.oid) AS monitor,
	pg_temp.on_sequence('regress_imp_worker', c.oid) AS worker, pg_temp.on_sequence('regress_imp_stranger', c.oid) AS stranger, pg_temp.on_sequence('regress_imp_nobody', c.oid) AS nobody
FROM pg_class c WHERE relnamespace = 'imp_push'::regnamespace AND relkind = 'S' ORDER BY relname COLLATE "C";

-- Each function is called, with NULLs that the planner cannot see.  x: it could
-- be, whatever it then said of them; x!: it could, and lacked a right inside.
CREATE FUNCTION pg_temp.call_of(function oid) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT %s(%s) FROM (SELECT %s OFFSET 0) given', pronamespace::regnamespace || '.' || quote_ident(proname),
		COALESCE(string_agg('a' || n, ', ' ORDER BY n), ''),
		COALESCE(string_agg(format('NULL::%s AS a%s', format_type(type, NULL), n), ', ' ORDER BY n) FILTER (WHERE n IS NOT NULL), 'true AS a0'))
	FROM pg_proc LEFT JOIN LATERAL unnest(proargtypes) WITH ORDINALITY args(type, n) ON true
	WHERE pg_proc.oid = function GROUP BY pg_proc.oid $$;
CREATE FUNCTION pg_temp.on_function(role text, function oid) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN error IN ('42501 permission denied for schema imp_push', '42501 permission denied for function ' || proname) THEN ''
		WHEN error ~ '^42501' THEN 'x!'
		WHEN error ~ '^42(601|703|883|P|804)' THEN error
		ELSE 'x' END
	FROM pg_proc, pg_temp.attempt(role, pg_temp.call_of(function)) error
	WHERE oid = function $$;
\pset format unaligned
SELECT p.oid::regprocedure AS function, pg_temp.on_function('regress_imp_app', p.oid) AS app, pg_temp.on_function('regress_imp_monitor', p.oid) AS monitor,
	pg_temp.on_function('regress_imp_worker', p.oid) AS worker, pg_temp.on_function('regress_imp_stranger', p.oid) AS stranger, pg_temp.on_function('regress_imp_nobody', p.oid) AS nobody
FROM pg_proc p WHERE pronamespace = 'imp_push'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";
\pset format aligned
-- With what is called here everything that is there was meant.
SELECT prokind, count(*) > 0 AS some FROM pg_proc WHERE pronamespace = 'imp_push'::regnamespace GROUP BY 1;
SELECT typtype, typname FROM pg_type WHERE typnamespace = 'imp_push'::regnamespace AND typcategory <> 'A' AND typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind <> 'c');

-- Nobody may make anything in the schema, or what fires there, or has the type of a planned push.
SELECT role, statement
FROM unnest('{regress_imp_app,regress_imp_monitor,regress_imp_worker,regress_imp_stranger,regress_imp_nobody}'::text[]) role,
	unnest(ARRAY['CREATE TABLE imp_push.x ()', 'CREATE FUNCTION imp_push.x() RETURNS int LANGUAGE sql RETURN 1', 'CREATE VIEW imp_push.x AS SELECT 1', 'CREATE TYPE imp_push.x AS ENUM ()',
		'CREATE OPERATOR imp_push.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)',
		'CREATE TRIGGER x BEFORE INSERT ON imp_push.offline_message FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
		'CREATE RULE x AS ON INSERT TO imp_push.offline_message DO ALSO SELECT 1', 'CREATE POLICY x ON imp_push.certificate_key', 'CREATE INDEX ON imp_push.device_token (token)',
		'CREATE TEMP TABLE x () INHERITS (imp_push.device_token)', 'CREATE TEMP TABLE x (c imp_push.planned_push)', 'CREATE TEMP TABLE x (c imp_push.decision)',
		'ALTER TABLE imp_push.certificate_key DISABLE ROW LEVEL SECURITY', 'ALTER TABLE imp_push.offline_message DISABLE TRIGGER ALL', 'ALTER FUNCTION imp_push.explain(text, text) RESET ALL',
		'CREATE STATISTICS x ON user_id, token FROM imp_push.device_token', 'DROP EXTENSION imp_push', 'ALTER EXTENSION imp_push UPDATE']) statement
WHERE pg_temp.may(role, 'x', statement) <> '' ORDER BY role, statement COLLATE "C";

DROP OWNED BY regress_imp_app, regress_imp_monitor, regress_imp_worker, regress_imp_stranger, regress_imp_nobody;
DROP ROLE regress_imp_app, regress_imp_monitor, regress_imp_worker, regress_imp_stranger, regress_imp_nobody;
