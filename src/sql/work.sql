-- What the worker asks for: planned pushes, of new messages and of those that
-- wait.
--
-- Each call is one short transaction of the worker: it plans a batch, writes
-- down what needs no network, and hands out the rest.  A message whose every
-- binding is pushed leaves no row here; its first settle does that.

-- By the key, one at a time, also where the planner takes the table for empty
-- (message.sql) and would read the whole of it to join it with a few numbers.
CREATE FUNCTION imp_push.message_by_id(wanted bigint)
RETURNS SETOF imp_push.offline_message
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
	SELECT o.* FROM imp_push.offline_message o WHERE o.id = wanted OFFSET 0;
END;
COMMENT ON FUNCTION imp_push.message_by_id(bigint) IS
	'the stored message of this number, if it is there';

-- What needs no network: the outcome of those who get nothing.  If only some of
-- a message's bindings are pushed, each of the others has an outcome now; so
-- that a crash does not lose the pushes, they get a row in the same
-- transaction.
CREATE FUNCTION imp_push.record_decisions(decided imp_push.decision[],
										  with_outcome bigint[], at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
BEGIN
	WITH logged AS (
		INSERT INTO imp_push.delivery_log
			(slot, message_id, msg_id, recipient, device_id, certificate,
			 status, reason, detail, apns_id, attempts, decided_at, finished_at)
		SELECT current_slot, d.message_id, d.msg_id, d.recipient, d.device_id,
			d.certificate, imp_push.check_status(d.check_no),
			imp_push.check_reason(d.check_no), d.detail, d.apns_id, 0, at, at
		FROM unnest(decided) d
			CROSS JOIN imp_push.settings s
		WHERE d.check_no IS NOT NULL
			AND (s.record_suppressed
				OR d.device_id IS NOT NULL
				OR imp_push.check_status(d.check_no) <> 'suppressed'
				OR (s.push_unacknowledged
					AND imp_push.check_reason(d.check_no) = 'online'))
		RETURNING status, reason
	)
	INSERT INTO imp_push.counter AS c (name, labels, value)
	SELECT 'imp_push_decisions_total',
		jsonb_build_object('status', l.status, 'reason', l.reason), count(*)
	FROM logged l
	GROUP BY l.status, l.reason
	ON CONFLICT (name, labels) DO UPDATE SET value = c.value + EXCLUDED.value;

	INSERT INTO imp_push.waiting
		(message_id, device_id, certificate, recipient, msg_id, apns_id,
		 attempts, due, expires_at, since, decided_at)
	SELECT d.message_id, d.device_id, d.certificate, d.recipient, d.msg_id,
		d.apns_id, 0, at, d.expires_at, at, at
	FROM unnest(decided) d
	WHERE d.check_no IS NULL AND d.message_id = ANY (with_outcome);
END
$$;
COMMENT ON FUNCTION imp_push.record_decisions(imp_push.decision[], bigint[], timestamptz) IS
	'writes what needs no network: outcomes, and the rows of pushes whose message has some; with_outcome are the messages of those';

-- A first attempt.  In C, which asks decide() and has its answers written down
-- (plan_messages.c).
CREATE FUNCTION imp_push.plan_messages(ids bigint[], at timestamptz)
RETURNS SETOF imp_push.planned_push
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'imp_push_plan_messages';
COMMENT ON FUNCTION imp_push.plan_messages(bigint[], timestamptz) IS
	'plans new messages, as the statement that calls it sees them: writes the outcome of those who get nothing, returns the pushes';

-- A message that nobody has sent, to nobody: whatever is wrong if this fails, it
-- is not wrong with one message.
CREATE FUNCTION imp_push.can_plan(at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN (
	SELECT pg_catalog.count(*) > 0
	FROM imp_push.decide(
		ARRAY[ROW(0, 'nobody', 'somebody', 'chat', 'somebody', 'none', 'txt', '',
			NULL, '{}', '{}', can_plan.at, NULL, '0')::imp_push.offline_message],
		NULL, NULL, can_plan.at));
COMMENT ON FUNCTION imp_push.can_plan(timestamptz) IS
	'whether messages can be planned at all: an error is raised if not';

-- The certificates that something waits for, those that are gone included: what
-- waits for one of these has to end.  From name to name through the index.
CREATE FUNCTION imp_push.waited_for() RETURNS SETOF text
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH RECURSIVE waited_for(name) AS (
		(SELECT w.certificate
		 FROM imp_push.waiting w
		 ORDER BY w.certificate
		 LIMIT 1)
		UNION ALL
		SELECT (
			SELECT w.certificate
			FROM imp_push.waiting w
			WHERE w.certificate > f.name
			ORDER BY w.certificate
			LIMIT 1)
		FROM waited_for f
		WHERE f.name IS NOT NULL
	), pushed_to(name) AS (
		(SELECT p.certificate
		 FROM imp_push.direct_push p
		 ORDER BY p.certificate
		 LIMIT 1)
		UNION ALL
		SELECT (
			SELECT p.certificate
			FROM imp_push.direct_push p
			WHERE p.certificate > f.name
			ORDER BY p.certificate
			LIMIT 1)
		FROM pushed_to f
		WHERE f.name IS NOT NULL
	)
	SELECT f.name FROM waited_for f WHERE f.name IS NOT NULL
	UNION
	SELECT f.name FROM pushed_to f WHERE f.name IS NOT NULL;
END;
COMMENT ON FUNCTION imp_push.waited_for() IS
	'the certificates that pushes wait for, whether they are there or not';

-- What is due.  Certificates whose circuit is open are left alone until a
-- probe, but for messages whose life is over, and for tests.  in_flight are
-- the apns-ids of pushes under way.
CREATE FUNCTION imp_push.next_waiting(at timestamptz, open_circuits text[],
									  in_flight uuid[], max int)
RETURNS TABLE (message_id bigint, device_id text, certificate text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	(SELECT due.message_id, due.device_id, due.certificate
	 FROM imp_push.waited_for() c(name)
		CROSS JOIN LATERAL (
			(SELECT w.message_id, w.device_id, w.certificate, w.due
			 FROM imp_push.waiting w
			 WHERE w.certificate = c.name AND w.due <= next_waiting.at
				AND w.apns_id <> ALL (next_waiting.in_flight)
			 ORDER BY w.due
			 LIMIT next_waiting.max)
			UNION ALL
			(SELECT -p.id, p.device_id, p.certificate, p.due
			 FROM imp_push.direct_push p
			 WHERE p.certificate = c.name AND p.due <= next_waiting.at
				AND p.apns_id <> ALL (next_waiting.in_flight)
			 ORDER BY p.due
			 LIMIT next_waiting.max)) due
	 WHERE c.name <> ALL (next_waiting.open_circuits)
	 ORDER BY due.due
	 LIMIT next_waiting.max)
	UNION
	(SELECT w.message_id, w.device_id, w.certificate
	 FROM imp_push.waiting w
	 WHERE w.expires_at < next_waiting.at
		AND w.apns_id <> ALL (next_waiting.in_flight)
	 ORDER BY w.expires_at
	 LIMIT next_waiting.max)
	UNION
	(SELECT -p.id, p.device_id, p.certificate
	 FROM imp_push.direct_push p
	 WHERE p.kind = 'test' AND p.due <= next_waiting.at
		AND p.apns_id <> ALL (next_waiting.in_flight)
	 ORDER BY p.due
	 LIMIT next_waiting.max)
	UNION
	(SELECT -p.id, p.device_id, p.certificate
	 FROM imp_push.direct_push p
	 WHERE p.created_at < next_waiting.at - (SELECT s.push_ttl FROM imp_push.settings s)
		AND p.apns_id <> ALL (next_waiting.in_flight)
	 ORDER BY p.created_at
	 LIMIT next_waiting.max);
END;
COMMENT ON FUNCTION imp_push.next_waiting(timestamptz, text[], uuid[], int) IS
	'waiting pushes that are due, oldest first, without those of open circuits and those in flight';

-- Pushes to try open circuits with: of each certificate, the newest
-- registrations among those that wait longest and those that have come last.
-- The transport knows which tokens were refused of late, and so are no good for
-- it.  place is that of the certificate.
CREATE FUNCTION imp_push.next_probes(certificates text[], in_flight uuid[])
RETURNS TABLE (message_id bigint, device_id text, certificate text, token text,
			   place int)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT w.message_id, w.device_id, w.certificate, t.token, probed.place::int
	FROM unnest(certificates) WITH ORDINALITY AS probed(name, place)
		CROSS JOIN LATERAL (
			(SELECT o.message_id, o.recipient, o.device_id, o.certificate
			 FROM imp_push.waiting o
			 WHERE o.certificate = probed.name
				AND o.apns_id <> ALL (next_probes.in_flight)
			 ORDER BY o.due
			 LIMIT 100)
			UNION
			(SELECT n.message_id, n.recipient, n.device_id, n.certificate
			 FROM imp_push.waiting n
			 WHERE n.certificate = probed.name
				AND n.apns_id <> ALL (next_probes.in_flight)
			 ORDER BY n.due DESC
			 LIMIT 100)
			UNION
			(SELECT -p.id, p.recipient, p.device_id, p.certificate
			 FROM imp_push.direct_push p
			 WHERE p.certificate = probed.name AND p.kind = 'badge'
				AND p.apns_id <> ALL (next_probes.in_flight)
			 ORDER BY p.due
			 LIMIT 100)) w
		LEFT JOIN imp_push.device_token t
			ON t.user_id = w.recipient AND t.device_id = w.device_id
				AND t.certificate = w.certificate
	ORDER BY t.registered_at DESC NULLS LAST;
END;
COMMENT ON FUNCTION imp_push.next_probes(text[], uuid[]) IS
	'waiting pushes to try the open circuits of these certificates with, the best first';

-- As rows, of which there is one, for then it is inlined: see log_slot().
CREATE FUNCTION imp_push.next_due(open_circuits text[], in_flight uuid[])
RETURNS SETOF timestamptz
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
	SELECT LEAST(
		(SELECT pg_catalog.min(due.due)
		 FROM imp_push.waited_for() c(name)
			CROSS JOIN LATERAL (
				(SELECT w.due
				 FROM imp_push.waiting w
				 WHERE w.certificate = c.name
					AND w.apns_id <> ALL (next_due.in_flight)
				 ORDER BY w.due
				 LIMIT 1)
				UNION ALL
				(SELECT p.due
				 FROM imp_push.direct_push p
				 WHERE p.certificate = c.name
					AND p.apns_id <> ALL (next_due.in_flight)
				 ORDER BY p.due
				 LIMIT 1)) due
		 WHERE c.name <> ALL (next_due.open_circuits)),
		(SELECT w.expires_at
		 FROM imp_push.waiting w
		 WHERE w.apns_id <> ALL (next_due.in_flight)
		 ORDER BY w.expires_at
		 LIMIT 1),
		(SELECT p.due
		 FROM imp_push.direct_push p
		 WHERE p.kind = 'test' AND p.apns_id <> ALL (next_due.in_flight)
		 ORDER BY p.due
		 LIMIT 1),
		(SELECT p.created_at + (SELECT s.push_ttl FROM imp_push.settings s)
		 FROM imp_push.direct_push p
		 WHERE p.apns_id <> ALL (next_due.in_flight)
		 ORDER BY p.created_at
		 LIMIT 1));
END;
COMMENT ON FUNCTION imp_push.next_due(text[], uuid[]) IS
	'when the next waiting push is due or its message''s life is over; NULL: none';

-- A further attempt: decided anew, for one binding each.  What is not to be
-- pushed any more ends here, and so does what belonged to a message that has
-- been deleted.
CREATE FUNCTION imp_push.plan_waiting(message_ids bigint[], device_ids text[],
									  certificates text[], at timestamptz)
RETURNS SETOF imp_push.planned_push
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
	messages imp_push.offline_message[];
	devices text[];
	certs text[];
BEGIN
	-- Settled while a certificate got another name: planned when it is asked for
	-- under that.
	IF EXISTS (SELECT FROM imp_push.former_name) THEN
		UPDATE imp_push.waiting w
		SET certificate = imp_push.present_name(w.certificate)
		WHERE w.certificate = ANY (ARRAY(
			SELECT f.name
			FROM imp_push.former_name f
			WHERE imp_push.present_name(f.name) <> f.name));
	END IF;

	IF 0 > ANY (message_ids) THEN
		RETURN QUERY
		SELECT p.*
		FROM imp_push.plan_direct(
			ARRAY(SELECT -i FROM unnest(message_ids) i WHERE i < 0), at) p;
	END IF;

	SELECT array_agg(m), array_agg(w.device_id), array_agg(w.certificate)
	INTO messages, devices, certs
	FROM unnest(message_ids, device_ids, certificates)
			AS w(message_id, device_id, certificate)
		CROSS JOIN LATERAL imp_push.message_by_id(w.message_id) m;

	RETURN QUERY
	WITH decided AS MATERIALIZED (
		SELECT d.*
		FROM imp_push.decide(messages, devices, certs, at) d
	), ended AS (
		DELETE FROM imp_push.waiting w
		USING unnest(message_ids, device_ids, certificates)
				AS asked(message_id, device_id, certificate)
			LEFT JOIN decided d
				ON d.message_id = asked.message_id
					AND d.device_id = asked.device_id
					AND d.certificate = asked.certificate
		WHERE w.message_id = asked.message_id
			AND w.device_id = asked.device_id
			AND w.certificate = asked.certificate
			AND (d.message_id IS NULL OR d.check_no IS NOT NULL)
		RETURNING w.*, d.check_no, d.detail
	), logged AS (
		INSERT INTO imp_push.delivery_log
			(slot, message_id, msg_id, recipient, device_id, certificate, status,
			 reason, detail, apns_id, apns_status, attempts, decided_at, finished_at)
		SELECT current_slot, e.message_id, e.msg_id, e.recipient, e.device_id,
			e.certificate,
			CASE WHEN e.check_no IS NULL THEN 'cancelled'
				ELSE imp_push.check_status(e.check_no) END,
			CASE WHEN e.check_no IS NULL THEN COALESCE(cancelled.reason, 'acknowledged')
				ELSE imp_push.check_reason(e.check_no) END,
			e.detail, e.apns_id, e.apns_status, e.attempts, at, at
		FROM ended e
			LEFT JOIN LATERAL (
				SELECT l.device_id, l.reason
				FROM imp_push.delivery_log l
				WHERE e.check_no IS NULL
					AND l.recipient = e.recipient
					AND l.msg_id = e.msg_id
					AND l.message_id = e.message_id
					AND l.status = 'cancelled'
					AND (l.device_id IS NULL
						OR (l.device_id = e.device_id
							AND l.certificate = e.certificate))
				ORDER BY l.device_id NULLS LAST
				LIMIT 1
			) cancelled ON true
		-- the DELETE that took the message has said it for this binding
		WHERE cancelled.device_id IS NULL
		RETURNING status, reason
	), counted AS (
		INSERT INTO imp_push.counter AS c (name, labels, value)
		SELECT 'imp_push_decisions_total',
			jsonb_build_object('status', l.status, 'reason', l.reason), count(*)
		FROM logged l
		GROUP BY l.status, l.reason
		ON CONFLICT (name, labels) DO UPDATE SET value = c.value + EXCLUDED.value
	)
	SELECT d.message_id, d.msg_id, d.recipient, d.device_id, d.certificate,
		d.token, d.payload, d.topic, d.push_type, d.priority, d.expiration,
		d.collapse_id, w.apns_id, d.expires_at, d.detail, w.attempts, true, false,
		d.created_at
	FROM decided d
		JOIN imp_push.waiting w
			ON w.message_id = d.message_id
				AND w.device_id = d.device_id
				AND w.certificate = d.certificate
	WHERE d.check_no IS NULL;
END
$$;
COMMENT ON FUNCTION imp_push.plan_waiting(bigint[], text[], text[], timestamptz) IS
	'plans waiting pushes anew: ends those that are not to be pushed any more, returns the others';
