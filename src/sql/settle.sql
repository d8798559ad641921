-- Settle: what became of what was sent.
--
-- Owns the writes of the worker after the network: outcomes, waiting pushes,
-- dead tokens, the cursor.  Never decides anything.  Everything comes in
-- arrays, a batch a statement.

-- status is sent or failed, which are final, or retry: then the push has, or
-- gets, a row in waiting.  A sibling that is still in flight when its message
-- settles first is a retry that is due now.
CREATE FUNCTION imp_push.settle(
	message_ids bigint[], msg_ids text[], recipients text[], device_ids text[],
	certificates text[], apns_ids uuid[], statuses text[], reasons text[],
	details jsonb[], apns_statuses int[], attempts int[], has_row boolean[],
	due timestamptz[], expires_at timestamptz[], decided_at timestamptz[],
	finished_at timestamptz[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
BEGIN
	-- Some may have been under way when their certificate got another name.
	IF EXISTS (SELECT FROM imp_push.former_name) THEN
		certificates := ARRAY(
			SELECT imp_push.present_name(c.name)
			FROM unnest(certificates) WITH ORDINALITY AS c(name, place)
			ORDER BY c.place);
	END IF;

	INSERT INTO imp_push.delivery_log
		(slot, message_id, msg_id, recipient, device_id, certificate, status,
		 reason, detail, apns_id, apns_status, attempts, decided_at, finished_at)
	SELECT current_slot, o.message_id, o.msg_id, o.recipient, o.device_id,
		o.certificate, o.status, o.reason, o.detail, o.apns_id, o.apns_status,
		o.attempts, o.decided_at, o.finished_at
	FROM (
		-- in FROM each would be stored, row by row, before it is read
		SELECT unnest(message_ids) AS message_id, unnest(msg_ids) AS msg_id,
			unnest(recipients) AS recipient, unnest(device_ids) AS device_id,
			unnest(certificates) AS certificate, unnest(apns_ids) AS apns_id,
			unnest(statuses) AS status, unnest(reasons) AS reason,
			unnest(details) AS detail, unnest(apns_statuses) AS apns_status,
			unnest(settle.attempts) AS attempts,
			unnest(settle.decided_at) AS decided_at,
			unnest(settle.finished_at) AS finished_at) o
	WHERE o.status <> 'retry' AND o.message_id > 0;

	IF 0 > ANY (message_ids) THEN
		PERFORM imp_push.settle_direct(message_ids, statuses, reasons,
			apns_statuses, attempts, due, decided_at, finished_at);
	END IF;

	IF true = ANY (has_row) THEN
		DELETE FROM imp_push.waiting w
		USING unnest(message_ids, device_ids, certificates, statuses, has_row)
			AS o(message_id, device_id, certificate, status, has_row)
		WHERE o.has_row AND o.status <> 'retry'
			AND w.message_id = o.message_id
			AND w.device_id = o.device_id
			AND w.certificate = o.certificate;
	END IF;

	IF 'retry' = ANY (statuses) THEN
		INSERT INTO imp_push.waiting AS w
			(message_id, device_id, certificate, recipient, msg_id, apns_id,
			 attempts, due, expires_at, reason, apns_status, since, decided_at)
		SELECT o.message_id, o.device_id, o.certificate, o.recipient, o.msg_id,
			o.apns_id, o.attempts, o.due, o.expires_at, o.reason, o.apns_status,
			o.decided_at, o.decided_at
		FROM unnest(message_ids, msg_ids, recipients, device_ids, certificates,
				apns_ids, statuses, reasons, apns_statuses, attempts, due,
				expires_at, decided_at)
			AS o(message_id, msg_id, recipient, device_id, certificate, apns_id,
				status, reason, apns_status, attempts, due, expires_at, decided_at)
		WHERE o.status = 'retry' AND o.message_id > 0
		ON CONFLICT (message_id, device_id, certificate) DO UPDATE
			SET attempts = EXCLUDED.attempts, due = EXCLUDED.due,
				expires_at = EXCLUDED.expires_at, reason = EXCLUDED.reason,
				apns_status = COALESCE(EXCLUDED.apns_status, w.apns_status),
				decided_at = EXCLUDED.decided_at;
	END IF;
END
$$;
COMMENT ON FUNCTION imp_push.settle(bigint[], text[], text[], text[], text[], uuid[], text[], text[], jsonb[], int[], int[], boolean[], timestamptz[], timestamptz[], timestamptz[], timestamptz[]) IS
	'records what became of a batch of pushes; all arguments are arrays of one length, one element a push';

-- A message that cannot be planned harms itself only: it ends, or what waits
-- of it does; if it has ended already, for it was asked for with several of its
-- devices, nothing more is said.  A negative id is that of a direct push.
CREATE FUNCTION imp_push.fail_message(id bigint, reason text, at timestamptz)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	WITH ended AS (
		DELETE FROM imp_push.waiting w
		WHERE w.message_id = fail_message.id
		RETURNING w.*
	), ended_direct AS (
		DELETE FROM imp_push.direct_push p
		WHERE p.id = - fail_message.id
		RETURNING p.*
	)
	INSERT INTO imp_push.delivery_log
		(slot, message_id, msg_id, recipient, device_id, certificate, status,
		 reason, apns_id, apns_status, attempts, decided_at, finished_at)
	SELECT (SELECT ring.slot FROM imp_push.log_slot() ring), f.message_id, f.msg_id, f.recipient, f.device_id,
		f.certificate, 'failed', fail_message.reason, f.apns_id, f.apns_status,
		COALESCE(f.attempts, 0), fail_message.at, fail_message.at
	FROM (
		SELECT m.id AS message_id, m.msg_id, m.recipient, e.device_id,
			e.certificate, e.apns_id, e.apns_status, e.attempts
		FROM imp_push.offline_message m
			LEFT JOIN ended e ON e.message_id = m.id
		WHERE m.id = fail_message.id
			AND (e.message_id IS NOT NULL OR NOT EXISTS (
				SELECT FROM imp_push.delivery_log l
				WHERE l.recipient = m.recipient
					AND l.msg_id = m.msg_id
					AND l.message_id = m.id))
		UNION ALL
		SELECT NULL, p.msg_id, p.recipient, NULLIF(p.device_id, ''),
			p.certificate, p.apns_id, p.apns_status, p.attempts
		FROM ended_direct p) f;
END;
COMMENT ON FUNCTION imp_push.fail_message(bigint, text, timestamptz) IS
	'ends a message that cannot be planned; reason is the SQLSTATE, or worker_crashed';

-- Disables the bindings that still hold the token that was sent and were not
-- registered after APNs lost sight of it.  unregistered_ms: milliseconds since
-- the epoch, 0 where APNs gave no time.  Skips rows that a user has locked and
-- returns their places in the arrays, to be tried again.
CREATE FUNCTION imp_push.disable_tokens(
	user_ids text[], device_ids text[], certificates text[], tokens text[],
	reasons text[], unregistered_ms bigint[], at timestamptz)
RETURNS SETOF int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	WITH dead AS MATERIALIZED (
		SELECT d.*
		FROM unnest(user_ids, device_ids, certificates, tokens, reasons, unregistered_ms)
			WITH ORDINALITY
			AS d(user_id, device_id, certificate, token, reason, ms, place)
	), matching AS MATERIALIZED (
		SELECT t.user_id, t.device_id, t.certificate, d.token, d.reason, d.ms,
			d.place
		FROM dead d
			JOIN imp_push.device_token t
				ON t.user_id = d.user_id
					AND t.device_id = d.device_id
					AND t.certificate = d.certificate
		WHERE t.token = d.token
			AND t.disabled_at IS NULL
			AND (d.ms = 0 OR t.registered_at <= to_timestamp(d.ms / 1000.0))
	), free AS MATERIALIZED (
		SELECT t.user_id, t.device_id, t.certificate
		FROM imp_push.device_token t
		WHERE (t.user_id, t.device_id, t.certificate) IN (
			SELECT m.user_id, m.device_id, m.certificate FROM matching m)
		FOR NO KEY UPDATE SKIP LOCKED
	), disabled AS (
		UPDATE imp_push.device_token t
		SET disabled_at = disable_tokens.at, disabled_reason = m.reason
		FROM matching m
			JOIN free f
				ON f.user_id = m.user_id
					AND f.device_id = m.device_id
					AND f.certificate = m.certificate
		WHERE t.user_id = m.user_id
			AND t.device_id = m.device_id
			AND t.certificate = m.certificate
			-- once more: somebody may have written it since we looked
			AND t.token = m.token
			AND t.disabled_at IS NULL
			AND (m.ms = 0 OR t.registered_at <= to_timestamp(m.ms / 1000.0))
		RETURNING m.place
	)
	SELECT m.place::int
	FROM matching m
	WHERE NOT EXISTS (SELECT FROM disabled d WHERE d.place = m.place);
END
$$;
COMMENT ON FUNCTION imp_push.disable_tokens(text[], text[], text[], text[], text[], bigint[], timestamptz) IS
	'disables bindings whose token APNs has declared dead; returns the places of those that are locked now';

-- It turned out that the certificate was to blame, and not these tokens.
-- Skips rows that a user has locked and returns their tokens, to be tried
-- again.
CREATE FUNCTION imp_push.revive_tokens(of_certificate text, tokens text[])
RETURNS SETOF text
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	WITH wronged AS MATERIALIZED (
		SELECT t.user_id, t.device_id, t.certificate, t.token
		FROM imp_push.device_token t
		WHERE t.certificate = of_certificate
			AND pg_catalog.sha256(pg_catalog.decode(t.token, 'hex')) = ANY (ARRAY(
				SELECT pg_catalog.sha256(pg_catalog.decode(wanted.token, 'hex'))
				FROM pg_catalog.unnest(tokens) wanted(token)))
			AND t.disabled_reason IN ('BadDeviceToken', 'DeviceTokenNotForTopic')
	), free AS MATERIALIZED (
		SELECT t.user_id, t.device_id, t.certificate
		FROM imp_push.device_token t
		WHERE (t.user_id, t.device_id, t.certificate) IN (
			SELECT w.user_id, w.device_id, w.certificate FROM wronged w)
		FOR NO KEY UPDATE SKIP LOCKED
	), revived AS (
		UPDATE imp_push.device_token t
		SET disabled_at = NULL, disabled_reason = NULL
		FROM free f
		WHERE t.user_id = f.user_id
			AND t.device_id = f.device_id
			AND t.certificate = f.certificate
	)
	SELECT w.token
	FROM wronged w
	WHERE NOT EXISTS (
		SELECT FROM free f
		WHERE f.user_id = w.user_id
			AND f.device_id = w.device_id
			AND f.certificate = w.certificate);
END;
COMMENT ON FUNCTION imp_push.revive_tokens(text, text[]) IS
	'brings bindings to life again that were disabled although the certificate was to blame; returns the tokens of those that are locked now';

CREATE FUNCTION imp_push.store_cursor(worker smallint, snapshot pg_snapshot)
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.worker_cursor AS c (worker, snapshot)
	VALUES (store_cursor.worker, store_cursor.snapshot)
	ON CONFLICT (worker) DO UPDATE SET snapshot = EXCLUDED.snapshot;
END;
COMMENT ON FUNCTION imp_push.store_cursor(smallint, pg_snapshot) IS
	'remembers how far a worker has read: all that the snapshot sees has an outcome or waits';
