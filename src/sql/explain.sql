-- explain(): why a message was pushed, or not.
--
-- For what is settled it tells the recorded decision, and never judges by
-- today's state; for what is stored and not settled it asks the plan, now.
--
-- Owns nothing and writes nothing.  Must never show a token or a text.

-- What is known of a message: a row for each binding, or one for the whole.
-- check_no is the check that failed; NULL: all passed, or none was made.
CREATE FUNCTION imp_push.known_outcomes(recipient text, msg_id text)
RETURNS TABLE (device_id text, certificate text, check_no int, checked boolean,
	check_detail jsonb, outcome text, outcome_detail jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'	-- the worker's: its days have 24 hours
SET jit = off	-- compiling the plan takes seconds, running it a millisecond
AS $$
DECLARE
	message imp_push.offline_message;
	last_id bigint;
	settled boolean;
	-- decide() does not say so each time
	usual_text CONSTANT jsonb := '{"text_from": "display style"}';
BEGIN
	SELECT * INTO message
	FROM imp_push.offline_message m
	WHERE m.msg_id = known_outcomes.msg_id
		AND m.recipient = known_outcomes.recipient;
	last_id := COALESCE(message.id,
		(SELECT max(d.message_id)
		 FROM imp_push.delivery d
		 WHERE d.recipient = known_outcomes.recipient
			AND d.msg_id = known_outcomes.msg_id));

	RETURN QUERY
	SELECT d.device_id, d.certificate,
		imp_push.check_number(d.reason),
		-- nor one that was deleted before it was planned, or could not be
		NOT (d.status IN ('cancelled', 'failed') AND d.device_id IS NULL),
		d.detail, d.status,
		jsonb_strip_nulls(jsonb_build_object(
			'status', d.status, 'reason', d.reason,
			'apns_id', d.apns_id, 'apns_status', d.apns_status,
			'attempts', d.attempts, 'next_attempt_at', d.next_attempt_at,
			'decided_at', d.decided_at, 'finished_at', d.finished_at,
			'token_disabled_at', t.disabled_at,
			'token_disabled_reason', t.disabled_reason)
			|| CASE WHEN d.status = 'sent' THEN usual_text ELSE '{}' END
			|| COALESCE(d.detail, '{}'))
	FROM imp_push.delivery d
		LEFT JOIN imp_push.device_token t
			ON t.user_id = d.recipient AND t.device_id = d.device_id
				AND t.certificate = d.certificate
	WHERE d.recipient = known_outcomes.recipient
		AND d.msg_id = known_outcomes.msg_id
		AND d.message_id = last_id
		AND d.finished_at IS NOT NULL;
	settled := FOUND;

	-- bindings that wait are judged one by one
	RETURN QUERY
	SELECT j.device_id, j.certificate, j.check_no, true, j.detail, w.status,
		jsonb_strip_nulls(jsonb_build_object(
			'status', w.status, 'reason', w.reason,
			'apns_id', w.apns_id, 'apns_status', w.apns_status,
			'attempts', w.attempts, 'next_attempt_at', w.next_attempt_at,
			'decided_at', w.decided_at))
			|| CASE WHEN j.check_no IS NULL THEN usual_text || COALESCE(j.detail, '{}')
				ELSE '{}' END
	FROM imp_push.delivery w
		CROSS JOIN LATERAL imp_push.decide(ARRAY[message], ARRAY[w.device_id],
			ARRAY[w.certificate], now()) j
	WHERE w.recipient = known_outcomes.recipient
		AND w.msg_id = known_outcomes.msg_id
		AND w.message_id = message.id
		AND w.finished_at IS NULL AND w.device_id IS NOT NULL;
	settled := settled OR FOUND;
	IF settled OR message.id IS NULL THEN
		RETURN;
	END IF;

	-- what the cursor sees has been decided: suppressed while record_suppressed
	-- was off, or so long ago that delivery has forgotten it
	IF pg_visible_in_snapshot(message.queued_xid, imp_push.seen_by_worker()) THEN
		RETURN QUERY
		SELECT NULL::text, NULL::text, NULL::int, false, NULL::jsonb,
			'not_recorded', '{"status": "not_recorded"}'::jsonb;
		RETURN;
	END IF;

	RETURN QUERY
	SELECT j.device_id, j.certificate, j.check_no, true, j.detail, 'pending',
		'{"status": "pending"}'
			|| CASE WHEN j.check_no IS NULL THEN usual_text || COALESCE(j.detail, '{}')
				ELSE '{}' END
	FROM imp_push.decide(ARRAY[message], NULL, NULL, now()) j;
END
$$;
COMMENT ON FUNCTION imp_push.known_outcomes(text, text) IS
	'what is recorded of a message, or would be decided now: a row for each binding, or one for the whole message';

CREATE FUNCTION imp_push.explain(recipient text, msg_id text)
RETURNS TABLE (check_no int, reason text, device_id text, certificate text,
	result text, detail jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT steps.check_no,
		CASE WHEN steps.check_no IS NULL THEN 'outcome'
			ELSE imp_push.check_reason(steps.check_no) END,
		o.device_id, o.certificate,
		CASE
			WHEN steps.check_no IS NULL THEN CASE
				WHEN o.outcome = 'sent' THEN 'passed'
				WHEN o.outcome IN ('pending', 'retrying', 'not_recorded') THEN 'not_reached'
				ELSE 'failed' END
			WHEN NOT o.checked THEN 'not_reached'
			WHEN steps.check_no = o.check_no THEN 'failed'
			-- a binding that is gone met no check of its own
			WHEN o.check_no = 20 AND steps.check_no >= 12 THEN 'not_reached'
			WHEN steps.check_no > o.check_no THEN 'not_reached'
			ELSE 'passed'
		END,
		CASE
			WHEN steps.check_no IS NULL THEN o.outcome_detail
			WHEN steps.check_no = o.check_no THEN o.check_detail
		END
	FROM imp_push.known_outcomes(recipient, msg_id) o
		CROSS JOIN (
			SELECT pg_catalog.generate_series(1, 19)
			UNION ALL
			SELECT NULL) steps(check_no)
	ORDER BY o.device_id NULLS FIRST, o.certificate, steps.check_no NULLS LAST;
END;
COMMENT ON FUNCTION imp_push.explain(text, text) IS
	'why a message was pushed or not: every check in order, for every binding, passed, failed or not_reached; the row with reason outcome says what became of it';
