-- What the worker is doing, for people and for monitoring.
--
-- Owns the rows that the worker writes about itself, at most once a second
-- and only when they have changed, and the views that show them.  They are
-- logged tables, so that a standby shows them too.  They have no foreign key
-- to the certificate, for its check would have the worker wait for whoever is
-- changing one.  No token and no text of a message ever stands here.

CREATE TABLE imp_push.worker_state (
	worker			smallint PRIMARY KEY,
	pid				int NOT NULL,
	state			text NOT NULL,
	state_since		timestamptz NOT NULL,
	last_pass_at	timestamptz,
	preloaded		boolean NOT NULL,
	in_flight		int NOT NULL,
	connections		int NOT NULL,
	planned			bigint NOT NULL,
	sent			bigint NOT NULL,
	last_error		text,
	last_error_at	timestamptz
);
COMMENT ON TABLE imp_push.worker_state IS
	'what each worker last said of itself; view worker_status shows it; not dumped';
COMMENT ON COLUMN imp_push.worker_state.worker IS 'number of the worker';
COMMENT ON COLUMN imp_push.worker_state.pid IS 'its process';
COMMENT ON COLUMN imp_push.worker_state.state IS
	'idle, working, stopped, disabled, waiting_for_role or unknown_version';
COMMENT ON COLUMN imp_push.worker_state.state_since IS 'since when';
COMMENT ON COLUMN imp_push.worker_state.last_pass_at IS
	'when it last looked for work';
COMMENT ON COLUMN imp_push.worker_state.preloaded IS
	'whether the library was in shared_preload_libraries';
COMMENT ON COLUMN imp_push.worker_state.in_flight IS
	'pushes handed to the transport and not answered';
COMMENT ON COLUMN imp_push.worker_state.connections IS 'open connections';
COMMENT ON COLUMN imp_push.worker_state.planned IS
	'messages planned since the worker started';
COMMENT ON COLUMN imp_push.worker_state.sent IS
	'pushes accepted by APNs since the worker started';
COMMENT ON COLUMN imp_push.worker_state.last_error IS
	'what last went wrong in the database';
COMMENT ON COLUMN imp_push.worker_state.last_error_at IS 'when';

CREATE TABLE imp_push.certificate_state (
	certificate		text COLLATE "C" PRIMARY KEY,
	circuit_reason	text,
	circuit_detail	text,
	circuit_since	timestamptz,
	next_probe_at	timestamptz,
	last_success_at	timestamptz,
	expires_at		timestamptz
);
COMMENT ON TABLE imp_push.certificate_state IS
	'the worker''s circuits; view certificate_status shows them; not dumped';
COMMENT ON COLUMN imp_push.certificate_state.certificate IS 'the certificate';
COMMENT ON COLUMN imp_push.certificate_state.circuit_reason IS
	'why nothing is sent with it; NULL: the circuit is closed';
COMMENT ON COLUMN imp_push.certificate_state.circuit_detail IS
	'the same, for people';
COMMENT ON COLUMN imp_push.certificate_state.circuit_since IS
	'since when the circuit is open, or closed';
COMMENT ON COLUMN imp_push.certificate_state.next_probe_at IS
	'when the next push is tried';
COMMENT ON COLUMN imp_push.certificate_state.last_success_at IS
	'when APNs last accepted a push';
COMMENT ON COLUMN imp_push.certificate_state.expires_at IS
	'end of the client certificate that the worker has loaded; NULL: none';

CREATE TABLE imp_push.certificate_traffic (
	certificate	text COLLATE "C" NOT NULL,
	minute		timestamptz NOT NULL,
	sent		bigint NOT NULL,
	failed		bigint NOT NULL,
	PRIMARY KEY (certificate, minute)
);
COMMENT ON TABLE imp_push.certificate_traffic IS
	'outcomes by certificate and minute, of the last two hours; not dumped';
COMMENT ON COLUMN imp_push.certificate_traffic.certificate IS 'the certificate';
COMMENT ON COLUMN imp_push.certificate_traffic.minute IS 'start of the minute';
COMMENT ON COLUMN imp_push.certificate_traffic.sent IS 'accepted by APNs';
COMMENT ON COLUMN imp_push.certificate_traffic.failed IS 'ended as failed';

CREATE FUNCTION imp_push.record_worker(
	worker smallint, pid int, state text, state_since timestamptz,
	last_pass_at timestamptz, preloaded boolean, in_flight int,
	connections int, planned bigint, sent bigint, last_error text,
	last_error_at timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.worker_state AS w
	VALUES (worker, pid, state, state_since, last_pass_at, preloaded, in_flight,
		connections, planned, sent, last_error, last_error_at)
	ON CONFLICT (worker) DO UPDATE
		SET pid = EXCLUDED.pid, state = EXCLUDED.state,
			state_since = EXCLUDED.state_since,
			last_pass_at = EXCLUDED.last_pass_at,
			preloaded = EXCLUDED.preloaded, in_flight = EXCLUDED.in_flight,
			connections = EXCLUDED.connections, planned = EXCLUDED.planned,
			sent = EXCLUDED.sent,
			-- an error outlives the worker that met it
			last_error = COALESCE(EXCLUDED.last_error, w.last_error),
			last_error_at = COALESCE(EXCLUDED.last_error_at, w.last_error_at);
END;
COMMENT ON FUNCTION imp_push.record_worker(smallint, int, text, timestamptz, timestamptz, boolean, int, int, bigint, bigint, text, timestamptz) IS
	'writes down what a worker says of itself';

CREATE FUNCTION imp_push.record_circuits(
	certificates text[], reasons text[], details text[],
	since timestamptz[], next_probes timestamptz[], successes timestamptz[])
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.certificate_state AS s
	SELECT c.*
	FROM unnest(certificates, reasons, details, since, next_probes, successes)
			AS c(certificate, reason, detail, since, next_probe, success)
		JOIN imp_push.certificate known ON known.name = c.certificate
		LEFT JOIN imp_push.certificate_state b ON b.certificate = c.certificate
	WHERE (b.certificate, b.circuit_reason, b.circuit_detail, b.circuit_since,
			b.next_probe_at, b.last_success_at)
		IS DISTINCT FROM (c.certificate, c.reason, c.detail, c.since,
			c.next_probe, COALESCE(c.success, b.last_success_at))
	ON CONFLICT (certificate) DO UPDATE
		SET circuit_reason = EXCLUDED.circuit_reason,
			circuit_detail = EXCLUDED.circuit_detail,
			circuit_since = EXCLUDED.circuit_since,
			next_probe_at = EXCLUDED.next_probe_at,
			last_success_at = COALESCE(EXCLUDED.last_success_at, s.last_success_at);
END;
COMMENT ON FUNCTION imp_push.record_circuits(text[], text[], text[], timestamptz[], timestamptz[], timestamptz[]) IS
	'writes down the circuits of certificates that have changed; arrays of one length';

CREATE FUNCTION imp_push.record_expiry(certificate text, ends timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.certificate_state AS s (certificate, expires_at)
	VALUES (record_expiry.certificate,
		CASE WHEN pg_catalog.isfinite(ends) THEN ends END)
	ON CONFLICT (certificate) DO UPDATE SET expires_at = EXCLUDED.expires_at
		WHERE s.expires_at IS DISTINCT FROM EXCLUDED.expires_at;
END;
COMMENT ON FUNCTION imp_push.record_expiry(text, timestamptz) IS
	'writes down when the client certificate ends that the worker has loaded';

CREATE FUNCTION imp_push.record_traffic(
	certificates text[], sent bigint[], failed bigint[], at timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.certificate_traffic AS t
	SELECT c.certificate, pg_catalog.date_trunc('minute', record_traffic.at),
		c.sent, c.failed
	FROM unnest(certificates, sent, failed)
			AS c(certificate, sent, failed)
		JOIN imp_push.certificate known ON known.name = c.certificate
	ON CONFLICT (certificate, minute) DO UPDATE
		SET sent = t.sent + EXCLUDED.sent,
			failed = t.failed + EXCLUDED.failed;
	DELETE FROM imp_push.certificate_traffic t
	WHERE t.minute < record_traffic.at - interval '2 hours';
END;
COMMENT ON FUNCTION imp_push.record_traffic(text[], bigint[], bigint[], timestamptz) IS
	'adds outcomes to the minute''s count; arrays of one length';

CREATE VIEW imp_push.worker_status AS
	SELECT COALESCE(w.worker, 0)::int AS worker,
		alive.pid,
		CASE
			WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'
			WHEN alive.pid IS NULL THEN 'stopped'
			ELSE w.state
		END AS state,
		w.state_since, w.last_pass_at,
		COALESCE(w.preloaded, false) AS preloaded,
		CASE WHEN alive.pid IS NULL THEN 0 ELSE w.in_flight END AS in_flight,
		CASE WHEN alive.pid IS NULL THEN 0 ELSE w.connections END AS connections,
		COALESCE(w.planned, 0) AS planned,
		COALESCE(w.sent, 0) AS sent,
		w.last_error, w.last_error_at
	FROM imp_push.control c
		LEFT JOIN imp_push.worker_state w ON true
		LEFT JOIN LATERAL (
			SELECT a.pid
			-- which shows everybody if it is asked for NULL
			FROM pg_catalog.pg_stat_get_activity(w.pid) a
			WHERE a.pid = w.pid
				AND a.datid = (
					SELECT d.oid FROM pg_catalog.pg_database d
					WHERE d.datname = pg_catalog.current_database())
				AND NOT pg_catalog.pg_is_in_recovery()
		) alive ON true;
COMMENT ON VIEW imp_push.worker_status IS
	'the workers of this database, one row each';
COMMENT ON COLUMN imp_push.worker_status.worker IS 'number of the worker';
COMMENT ON COLUMN imp_push.worker_status.pid IS
	'its process; NULL: none is running';
COMMENT ON COLUMN imp_push.worker_status.state IS
	'idle, working, stopped, disabled (imp_push.enabled is off), waiting_for_role (imp_push.role is not there or lacks rights), unknown_version (the library does not know the version of the extension), standby';
COMMENT ON COLUMN imp_push.worker_status.state_since IS 'since when';
COMMENT ON COLUMN imp_push.worker_status.last_pass_at IS
	'when it last looked for work';
COMMENT ON COLUMN imp_push.worker_status.preloaded IS
	'whether the library was in shared_preload_libraries';
COMMENT ON COLUMN imp_push.worker_status.in_flight IS
	'pushes handed to the transport and not answered';
COMMENT ON COLUMN imp_push.worker_status.connections IS 'open connections';
COMMENT ON COLUMN imp_push.worker_status.planned IS
	'messages planned since the worker started';
COMMENT ON COLUMN imp_push.worker_status.sent IS
	'pushes accepted by APNs since the worker started';
COMMENT ON COLUMN imp_push.worker_status.last_error IS
	'what last went wrong in the database';
COMMENT ON COLUMN imp_push.worker_status.last_error_at IS 'when';

CREATE VIEW imp_push.certificate_status AS
	SELECT c.name AS certificate, c.enabled,
		k.has_key, COALESCE(s.expires_at, k.expires_at) AS expires_at,
		CASE WHEN s.circuit_reason IS NULL THEN 'closed' ELSE 'open' END AS circuit,
		s.circuit_reason, s.circuit_detail, s.circuit_since, s.next_probe_at,
		s.last_success_at,
		waits.number AS waiting, waits.since AS oldest_waiting_at,
		COALESCE(traffic.sent, 0) AS sent_last_hour,
		COALESCE(traffic.failed, 0) AS failed_last_hour
	FROM imp_push.certificate c
		JOIN imp_push.certificate_key_status k ON k.certificate = c.name
		LEFT JOIN imp_push.certificate_state s ON s.certificate = c.name
		CROSS JOIN LATERAL (
			SELECT pg_catalog.count(*) AS number, pg_catalog.min(w.since) AS since
			FROM imp_push.waiting w
			WHERE w.certificate = c.name
				AND EXISTS (
					SELECT FROM imp_push.offline_message m WHERE m.id = w.message_id)
		) waits
		CROSS JOIN LATERAL (
			SELECT pg_catalog.sum(t.sent)::bigint AS sent,
				pg_catalog.sum(t.failed)::bigint AS failed
			FROM imp_push.certificate_traffic t
			WHERE t.certificate = c.name
				AND t.minute > pg_catalog.now() - interval '1 hour'
		) traffic;
COMMENT ON VIEW imp_push.certificate_status IS
	'whether each certificate works, and if not, why';
COMMENT ON COLUMN imp_push.certificate_status.certificate IS 'its name';
COMMENT ON COLUMN imp_push.certificate_status.enabled IS
	'certificate.enabled';
COMMENT ON COLUMN imp_push.certificate_status.has_key IS
	'whether there is a key to sign or authenticate with';
COMMENT ON COLUMN imp_push.certificate_status.expires_at IS
	'end of a client certificate';
COMMENT ON COLUMN imp_push.certificate_status.circuit IS
	'closed: it sends; open: its pushes wait';
COMMENT ON COLUMN imp_push.certificate_status.circuit_reason IS
	'why the circuit is open';
COMMENT ON COLUMN imp_push.certificate_status.circuit_detail IS
	'the same, for people';
COMMENT ON COLUMN imp_push.certificate_status.circuit_since IS
	'since when the circuit is as it is';
COMMENT ON COLUMN imp_push.certificate_status.next_probe_at IS
	'when the next push is tried';
COMMENT ON COLUMN imp_push.certificate_status.last_success_at IS
	'when APNs last accepted a push';
COMMENT ON COLUMN imp_push.certificate_status.waiting IS
	'pushes that wait';
COMMENT ON COLUMN imp_push.certificate_status.oldest_waiting_at IS
	'since when the oldest of them waits';
COMMENT ON COLUMN imp_push.certificate_status.sent_last_hour IS
	'pushes accepted by APNs in the last hour';
COMMENT ON COLUMN imp_push.certificate_status.failed_last_hour IS
	'pushes that ended as failed in the last hour';
