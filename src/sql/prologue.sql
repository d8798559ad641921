-- Complain if the script is fed to psql instead of CREATE EXTENSION.
\echo Use "CREATE EXTENSION imp_push" to load this file. \quit

-- What stands in the schema already could be taken for something of ours, and
-- would then run with the owner's rights; and patterns are written for strings
-- in which a backslash is nothing special.
DO $$
BEGIN
	IF EXISTS (
		SELECT FROM pg_catalog.pg_depend
		WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
			AND refobjid OPERATOR(pg_catalog.=) 'imp_push'::pg_catalog.regnamespace
			AND classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass) THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'schema "imp_push" is not empty',
			HINT = 'Drop or move what is in it before you create the extension.';
	END IF;
	IF pg_catalog.current_setting('standard_conforming_strings') OPERATOR(pg_catalog.=) 'off' THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'imp_push cannot be created while standard_conforming_strings is off',
			HINT = 'SET standard_conforming_strings = on.';
	END IF;
END
$$;

