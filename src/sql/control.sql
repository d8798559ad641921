-- Whether this database's workers are to run: imp_push.control, start(), stop().
-- The server's side (who starts a worker, and when) is in control.c and launcher.c.
--
-- Must never be dumped: a restored database is stopped.

-- Not dumped: after a restore nothing is planned until start().
CREATE TABLE imp_push.control (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	started boolean NOT NULL DEFAULT false,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE imp_push.control IS
	'whether the workers of this database are to run: written by start() and stop()';
COMMENT ON COLUMN imp_push.control.only_row IS
	'keeps the table at one row';
COMMENT ON COLUMN imp_push.control.started IS
	'false: nothing is planned, sent, expired or cleaned up';
COMMENT ON COLUMN imp_push.control.changed_at IS
	'when start() or stop() last changed it';
INSERT INTO imp_push.control DEFAULT VALUES;

CREATE FUNCTION imp_push.worker_mode() RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'imp_push_worker_mode';
COMMENT ON FUNCTION imp_push.worker_mode() IS
	'who starts the workers of this database: supervised (the server, always), not_listed (start(), until the next restart: imp_push.databases does not name the database), not_preloaded (start(), until the next restart: the library is not in shared_preload_libraries)';

CREATE FUNCTION imp_push.wake_worker() RETURNS void
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'imp_push_wake_worker';
COMMENT ON FUNCTION imp_push.wake_worker() IS
	'internal: the commit of this transaction wakes the worker';

CREATE FUNCTION imp_push.start_worker() RETURNS void
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'imp_push_start_worker';
COMMENT ON FUNCTION imp_push.start_worker() IS
	'internal: sees to it that this database has a worker after the commit';

-- SECURITY DEFINER, so that the owner can let others operate it by a grant of
-- EXECUTE alone.
CREATE FUNCTION imp_push.start() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	mode text := imp_push.worker_mode();
BEGIN
	INSERT INTO imp_push.control AS control (started)
	VALUES (true)
	ON CONFLICT (only_row) DO UPDATE
	SET started = true, changed_at = now()
	WHERE NOT control.started;

	PERFORM imp_push.start_worker();
	-- one that is leaving may stay
	PERFORM imp_push.wake_worker();

	IF mode <> 'supervised' THEN
		RAISE WARNING 'imp_push works in this database until the next restart of the server'
			USING HINT = CASE mode
				WHEN 'not_listed' THEN
					format('Add %I to imp_push.databases to have its worker start with the server.',
						current_database())
				ELSE 'Add imp_push to shared_preload_libraries, and this database to imp_push.databases, to have its worker start with the server.'
			END;
	END IF;
END
$$;
COMMENT ON FUNCTION imp_push.start() IS
	'starts planning and sending in this database; lasts over restarts and failover where the server starts the workers by itself, and warns where it does not';

CREATE FUNCTION imp_push.stop() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE imp_push.control
	SET started = false, changed_at = now()
	WHERE started;

	PERFORM imp_push.wake_worker();
END
$$;
COMMENT ON FUNCTION imp_push.stop() IS
	'stops planning and sending in this database: returns at once; after the commit the workers finish what is in flight and leave';

-- CREATE EXTENSION raises client_min_messages to warning while it runs its
-- script, and lowers it again afterwards; an error that was set stays.
DO $$
DECLARE
	mode text := imp_push.worker_mode();
BEGIN
	IF pg_catalog.current_setting('client_min_messages') = 'warning' THEN
		SET LOCAL client_min_messages = notice;
	END IF;
	RAISE NOTICE 'imp_push is stopped in this database until imp_push.start() is called'
		USING DETAIL = CASE mode
			WHEN 'supervised' THEN
				'From then on its worker starts with the server.'
			WHEN 'not_listed' THEN
				'Its worker then runs until the next restart of the server, because imp_push.databases does not name this database.'
			ELSE
				'Its worker then runs until the next restart of the server, because imp_push is not in shared_preload_libraries. Call imp_push.stop() before DROP DATABASE, RENAME or use as a TEMPLATE.'
		END;
	IF pg_catalog.current_setting('client_min_messages') = 'notice' THEN
		SET LOCAL client_min_messages = warning;
	END IF;
END
$$;
