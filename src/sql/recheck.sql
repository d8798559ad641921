-- Messages the live connection swallowed: settings.push_unacknowledged.
--
-- Whoever has turned offline, by status (presence.sql keeps the list recheck)
-- or because a lease has run out, may have unacknowledged messages that were
-- kept silent because a device was online.  They are planned again here, in
-- one transaction with the end of their stay on the list, and what is to be
-- pushed joins the waiting pushes.
--
-- Owns the second decision, and how far leases have been looked after.  Must
-- never decide twice on what has been pushed, and never hold up the others for
-- a message that cannot be planned.

-- Up to when leases that ran out have been looked after.
CREATE TABLE imp_push.recheck_state (
	one_row			boolean PRIMARY KEY DEFAULT true CHECK (one_row),
	leases_until	timestamptz NOT NULL
);
COMMENT ON TABLE imp_push.recheck_state IS
	'how far the worker has looked for leases that ran out; not dumped';
COMMENT ON COLUMN imp_push.recheck_state.one_row IS 'there is at most one row';
COMMENT ON COLUMN imp_push.recheck_state.leases_until IS
	'leases that ended up to then have been looked after';

-- Plans messages of people again whose last row says that a device was online.
CREATE FUNCTION imp_push.plan_swallowed(users text[], at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
	messages imp_push.offline_message[];
	devices text[];
	certificates text[];
BEGIN
	SELECT array_agg(m), array_agg(silent.device_id), array_agg(silent.certificate)
	INTO messages, devices, certificates
	FROM unnest(users) u(user_id)
		CROSS JOIN imp_push.settings s
		JOIN imp_push.offline_message m
			ON m.recipient = u.user_id AND m.created_at > at - s.push_ttl
		CROSS JOIN LATERAL (
			-- the last row of the message, or of each binding
			SELECT DISTINCT ON (l.device_id, l.certificate)
				l.device_id, l.certificate, l.reason,
				bool_or(l.device_id IS NOT NULL) OVER () AS has_bindings
			FROM imp_push.delivery_log l
			WHERE l.recipient = m.recipient
				AND l.msg_id = m.msg_id
				AND l.message_id = m.id
			ORDER BY l.device_id, l.certificate, l.finished_at DESC
		) silent
	WHERE CASE WHEN silent.device_id IS NULL
			THEN silent.reason = 'online' AND NOT silent.has_bindings
			ELSE silent.reason = 'device_online' END
		AND NOT EXISTS (
			SELECT
			FROM imp_push.waiting w
			WHERE w.message_id = m.id
				AND (silent.device_id IS NULL
					OR (w.device_id = silent.device_id
						AND w.certificate = silent.certificate)));
	IF messages IS NULL THEN
		RETURN;
	END IF;

	WITH decided AS MATERIALIZED (
		SELECT * FROM imp_push.decide(messages, devices, certificates, at)
	), logged AS (
		INSERT INTO imp_push.delivery_log
			(slot, message_id, msg_id, recipient, device_id, certificate,
			 status, reason, detail, apns_id, attempts, decided_at, finished_at)
		SELECT current_slot, d.message_id, d.msg_id, d.recipient, d.device_id,
			d.certificate, imp_push.check_status(d.check_no),
			imp_push.check_reason(d.check_no), d.detail, d.apns_id, 0, at, at
		FROM decided d
		WHERE d.check_no IS NOT NULL
	)
	INSERT INTO imp_push.waiting
		(message_id, device_id, certificate, recipient, msg_id, apns_id,
		 attempts, due, expires_at, since, decided_at)
	SELECT d.message_id, d.device_id, d.certificate, d.recipient, d.msg_id,
		d.apns_id, 0, at, d.expires_at, at, at
	FROM decided d
	WHERE d.check_no IS NULL;
END
$$;
COMMENT ON FUNCTION imp_push.plan_swallowed(text[], timestamptz) IS
	'plans the stored messages of these users again whose last row is online or device_online';

CREATE FUNCTION imp_push.recheck_unacknowledged(at timestamptz, max int)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	since timestamptz;
	listed text[];
	ended text[];
	users text[];
	one text;
BEGIN
	IF NOT (SELECT s.push_unacknowledged FROM imp_push.settings s) THEN
		DELETE FROM imp_push.recheck_state;
		RETURN false;
	END IF;

	WITH taken AS (
		DELETE FROM imp_push.recheck r
		WHERE r.id IN (
			SELECT o.id FROM imp_push.recheck o
			ORDER BY o.id LIMIT recheck_unacknowledged.max)
		RETURNING r.user_id
	)
	SELECT array_agg(DISTINCT t.user_id) INTO listed
	FROM taken t
	WHERE NOT EXISTS (
		SELECT FROM imp_push.live_device(at) live WHERE live.user_id = t.user_id);

	SELECT r.leases_until INTO since FROM imp_push.recheck_state r;
	SELECT array_agg(e) INTO ended FROM imp_push.leases_ended(since, at) e;
	INSERT INTO imp_push.recheck_state AS r (leases_until) VALUES (at)
	ON CONFLICT (one_row) DO UPDATE SET leases_until = EXCLUDED.leases_until;

	-- Somebody's message that cannot be planned stays silent, and harms nobody
	-- else.  What is of the moment (as in session.c) is tried again.
	users := ARRAY(SELECT DISTINCT u FROM unnest(listed || ended) u);
	BEGIN
		PERFORM imp_push.plan_swallowed(users, at);
	EXCEPTION WHEN OTHERS THEN
		IF SQLSTATE ~ '^(08|25|40|42|53|55|57|58)' THEN
			RAISE;
		END IF;
		FOREACH one IN ARRAY users LOOP
			BEGIN
				PERFORM imp_push.plan_swallowed(ARRAY[one], at);
			EXCEPTION WHEN OTHERS THEN
				IF SQLSTATE ~ '^(08|25|40|42|53|55|57|58)' THEN
					RAISE;
				END IF;
			END;
		END LOOP;
	END;
	RETURN EXISTS (SELECT FROM imp_push.recheck);
END
$$;
COMMENT ON FUNCTION imp_push.recheck_unacknowledged(timestamptz, int) IS
	'plans again what a live connection has swallowed, for at most max users of the list and for those whose lease has run out; true if there are more; nothing if settings.push_unacknowledged is off';
