-- Pushes without a message: the certificate test and the badge's update.
--
-- Owns what is in imp_push.direct_push.  For the worker these are waiting
-- pushes whose message has the negative of their id: read, planned and settled
-- by the same statements, so that nothing in C knows of them.

CREATE FUNCTION imp_push.send_test(certificate text, token text, title text,
								   body text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hex CONSTANT text := lower(btrim(token, E' <>\t\r\n'));
	test_id CONSTANT uuid := gen_random_uuid();
BEGIN
	IF NOT EXISTS (
		SELECT FROM imp_push.certificate c WHERE c.name = send_test.certificate) THEN
		PERFORM imp_push.refuse_call('42704', 'there is no certificate of that name',
			'SELECT name FROM imp_push.certificate shows those there are.');
	END IF;
	IF (hex ~ '^([0-9a-f]{2}){1,200}$') IS NOT TRUE THEN
		PERFORM imp_push.refuse_value('send_test', 'token', token, true,
			'A device token has an even number of hexadecimal digits, at most 400.');
	END IF;

	INSERT INTO imp_push.direct_push
		(kind, msg_id, recipient, device_id, certificate, token, title, body,
		 apns_id, due, created_at)
	VALUES ('test', test_id, '', '', send_test.certificate, hex, send_test.title,
		send_test.body, test_id, now(), now());
	PERFORM imp_push.wake_worker();
	RETURN test_id;
END
$$;
COMMENT ON FUNCTION imp_push.send_test(text, text, text, text) IS
	'pushes to one token, past all policy, past an open circuit and certificate.enabled, once; returns the apns_id under which delivery tells what became of it';

CREATE FUNCTION imp_push.push_badge(user_id text, except_device text DEFAULT NULL,
									badge int DEFAULT NULL)
RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	number CONSTANT int :=
		COALESCE(badge, imp_push.offline_message_count(user_id)::int);
	batch CONSTANT text := gen_random_uuid();
	bindings int;
BEGIN
	IF number < 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid badge: %s', number),
			DETAIL = 'It must be from 0 to 2147483647; NULL means the number of stored messages.';
	END IF;

	INSERT INTO imp_push.direct_push
		(kind, msg_id, recipient, device_id, certificate, badge, apns_id, due,
		 created_at)
	SELECT 'badge', batch, t.user_id, t.device_id, t.certificate, number,
		imp_push.apns_id(t.user_id, batch, t.device_id, t.certificate),
		now(), now()
	FROM imp_push.device_token t
		JOIN imp_push.certificate c ON c.name = t.certificate
		LEFT JOIN imp_push.presence p
			ON p.user_id = t.user_id AND p.device_id = t.device_id
		LEFT JOIN imp_push.im_node n ON n.name = p.node
	WHERE t.user_id = push_badge.user_id
		AND t.device_id IS DISTINCT FROM push_badge.except_device
		AND t.disabled_at IS NULL
		AND c.enabled AND c.push_type = 'alert'
		AND imp_push.device_status(p.status, p.expires_at, n.expires_at, now())
			IN ('offline', 'logged_out');
	GET DIAGNOSTICS bindings = ROW_COUNT;
	IF bindings > 0 THEN
		PERFORM imp_push.wake_worker();
	END IF;
	RETURN bindings;
END
$$;
COMMENT ON FUNCTION imp_push.push_badge(text, text, int) IS
	'sends the badge alone to the devices of a user that are not online, but for one; badge defaults to offline_message_count(); returns how many bindings';

-- What a direct push says, decided anew at each attempt.  check_no as in
-- decide(): NULL is a push.
CREATE FUNCTION imp_push.decide_direct(ids bigint[], at timestamptz)
RETURNS TABLE (id bigint, msg_id text, recipient text, device_id text,
	certificate text, check_no int, token text, payload text, topic text,
	priority int, expires_at timestamptz, apns_id uuid, attempts int,
	is_test boolean, created_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT d.id, d.msg_id, d.recipient, d.device_id, d.certificate,
		CASE
			WHEN c.name IS NULL THEN 20
			WHEN words.payload IS NULL THEN 18
			WHEN d.kind = 'test' THEN NULL
			WHEN at > d.created_at + s.push_ttl THEN 5
			WHEN t.user_id IS NULL THEN 20
			WHEN device.status = 'kicked' THEN 12
			WHEN device.status = 'online' THEN 13
			WHEN t.disabled_at IS NOT NULL THEN 17
			WHEN NOT c.enabled THEN 19
		END,
		CASE WHEN d.kind = 'test' THEN d.token ELSE t.token END,
		words.payload,
		CASE WHEN c.push_type = 'voip' AND c.bundle_id NOT LIKE '%.voip'
			THEN c.bundle_id || '.voip' ELSE c.bundle_id END,
		CASE d.kind WHEN 'test' THEN 10 ELSE 5 END,
		d.created_at + s.push_ttl, d.apns_id, d.attempts, d.kind = 'test', d.created_at
	FROM imp_push.direct_push d
		CROSS JOIN imp_push.settings s
		LEFT JOIN imp_push.certificate c ON c.name = d.certificate
		CROSS JOIN LATERAL (
			SELECT CASE WHEN d.kind = 'test' THEN
				imp_push.render_payload(false, d.title, NULL, d.body, NULL, NULL, NULL,
					NULL, NULL, 'default', NULL, NULL, false, false, NULL, NULL,
					NULL, NULL, NULL, NULL, NULL, NULL,
					CASE c.push_type WHEN 'voip' THEN 5120 ELSE 4096 END)
			ELSE
				imp_push.render_payload(false, NULL, NULL, NULL, NULL, NULL, NULL,
					NULL, d.badge, NULL, NULL, NULL, false, false, NULL, NULL,
					NULL, NULL, NULL, NULL, NULL, NULL, 4096)
			END AS payload
			OFFSET 0
		) words
		LEFT JOIN imp_push.device_token t
			ON t.user_id = d.recipient AND t.device_id = d.device_id
				AND t.certificate = d.certificate
		LEFT JOIN imp_push.presence p
			ON p.user_id = d.recipient AND p.device_id = d.device_id
		LEFT JOIN imp_push.im_node n ON n.name = p.node
		CROSS JOIN LATERAL (
			SELECT imp_push.device_status(p.status, p.expires_at, n.expires_at, at)
				AS status
		) device
	WHERE d.id = ANY (ids);
END;
COMMENT ON FUNCTION imp_push.decide_direct(bigint[], timestamptz) IS
	'what becomes of pushes without a message: check_no NULL is a push';

-- The worker's side: plan_waiting() for those.
CREATE FUNCTION imp_push.plan_direct(ids bigint[], at timestamptz)
RETURNS SETOF imp_push.planned_push
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
BEGIN
	RETURN QUERY
	WITH decided AS MATERIALIZED (
		SELECT * FROM imp_push.decide_direct(ids, at)
	), ended AS (
		DELETE FROM imp_push.direct_push p
		USING decided d
		WHERE p.id = d.id AND d.check_no IS NOT NULL
	), logged AS (
		INSERT INTO imp_push.delivery_log
			(slot, msg_id, recipient, device_id, certificate, status, reason,
			 apns_id, attempts, decided_at, finished_at)
		SELECT current_slot, d.msg_id, d.recipient, NULLIF(d.device_id, ''),
			d.certificate, imp_push.check_status(d.check_no), imp_push.check_reason(d.check_no),
			d.apns_id, d.attempts, at, at
		FROM decided d
		WHERE d.check_no IS NOT NULL
	)
	SELECT -d.id, d.msg_id, d.recipient, d.device_id, d.certificate, d.token,
		d.payload, d.topic, CASE WHEN d.topic LIKE '%.voip' THEN 'voip' ELSE 'alert' END,
		d.priority, floor(EXTRACT(epoch FROM d.expires_at))::bigint, NULL::text,
		d.apns_id, d.expires_at, NULL::jsonb, d.attempts, true, d.is_test,
		d.created_at
	FROM decided d
	WHERE d.check_no IS NULL;
END
$$;
COMMENT ON FUNCTION imp_push.plan_direct(bigint[], timestamptz) IS
	'plans pushes without a message: ends those that are not to be pushed any more, returns the others';

-- And settle() for those.  A test is tried once, whatever comes of it.
CREATE FUNCTION imp_push.settle_direct(
	message_ids bigint[], statuses text[], reasons text[], apns_statuses int[],
	attempts int[], due timestamptz[], decided_at timestamptz[],
	finished_at timestamptz[])
RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	WITH outcome AS (
		SELECT -o.message_id AS id,
			CASE WHEN d.kind = 'test' AND o.status = 'retry' THEN 'failed'
				ELSE o.status END AS status,
			o.reason, o.apns_status, o.attempts, o.due, o.decided_at, o.finished_at
		FROM unnest(message_ids, statuses, reasons, apns_statuses, attempts,
				due, decided_at, finished_at)
				AS o(message_id, status, reason, apns_status, attempts, due,
					decided_at, finished_at)
			JOIN imp_push.direct_push d ON d.id = -o.message_id
		WHERE o.message_id < 0
	), ended AS (
		DELETE FROM imp_push.direct_push d
		USING outcome o
		WHERE d.id = o.id AND o.status <> 'retry'
		RETURNING d.msg_id, d.recipient, d.device_id, d.certificate, d.apns_id,
			o.status, o.reason, o.apns_status, o.attempts, o.decided_at,
			o.finished_at
	), waits AS (
		UPDATE imp_push.direct_push d
		SET attempts = o.attempts, due = o.due, reason = o.reason,
			apns_status = COALESCE(o.apns_status, d.apns_status)
		FROM outcome o
		WHERE d.id = o.id AND o.status = 'retry'
	)
	INSERT INTO imp_push.delivery_log
		(slot, msg_id, recipient, device_id, certificate, status, reason,
		 apns_id, apns_status, attempts, decided_at, finished_at)
	SELECT (SELECT ring.slot FROM imp_push.log_slot() ring), e.msg_id, e.recipient,
		NULLIF(e.device_id, ''), e.certificate, e.status, e.reason, e.apns_id,
		e.apns_status, e.attempts, e.decided_at, COALESCE(e.finished_at, e.decided_at)
	FROM ended e;
END;
COMMENT ON FUNCTION imp_push.settle_direct(bigint[], text[], text[], int[], int[], timestamptz[], timestamptz[], timestamptz[]) IS
	'records what became of pushes without a message; arrays as in settle()';
