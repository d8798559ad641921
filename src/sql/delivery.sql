-- delivery: what became of every message, readable at any moment.
--
-- The view calls no function of ours, since those would run with the rights of
-- whoever asks, who may see delivery and no message.
--
-- Owns the view and what a DELETE of messages leaves in it.  Writes nothing
-- that the worker writes: a deleted message's waiting pushes stay the
-- worker's to remove.

CREATE VIEW imp_push.delivery AS
	SELECT l.message_id, l.msg_id, l.recipient, l.device_id, l.certificate,
		l.status, l.reason, l.detail, l.apns_id, l.apns_status, l.attempts,
		NULL::timestamptz AS next_attempt_at, l.decided_at, l.finished_at
	FROM imp_push.delivery_log l
	WHERE NOT (
		-- what turned out otherwise is not shown: a message or push that was
		-- cancelled while it was planned or on its way, or planned again
		(l.status = 'cancelled'
			OR (l.reason = 'online' AND l.device_id IS NULL)
			OR l.reason = 'device_online')
		-- not EXISTS, which may read the whole of both (plan.sql)
		AND ((
				SELECT true
				FROM imp_push.delivery_log other
				WHERE other.recipient = l.recipient
					AND other.msg_id = l.msg_id
					AND other.message_id = l.message_id
					AND CASE WHEN l.device_id IS NULL THEN
							other.device_id IS NOT NULL
							OR (l.status = 'cancelled' AND other.status <> 'cancelled')
							OR (other.status <> 'cancelled'
								AND other.finished_at > l.finished_at)
						ELSE
							other.device_id = l.device_id
							AND other.certificate = l.certificate
							AND other.status <> 'cancelled'
							AND (l.status = 'cancelled'
								OR other.finished_at > l.finished_at)
						END
				LIMIT 1) IS TRUE
			OR (l.status <> 'cancelled' AND (
				SELECT true
				FROM imp_push.waiting w
				WHERE w.message_id = l.message_id
					AND (l.device_id IS NULL
						OR (w.device_id = l.device_id
							AND w.certificate = l.certificate))
				LIMIT 1) IS TRUE)))
	UNION ALL
	SELECT w.message_id, w.msg_id, w.recipient, w.device_id, w.certificate,
		CASE WHEN w.attempts = 0 THEN 'pending' ELSE 'retrying' END,
		w.reason, NULL, w.apns_id, w.apns_status, w.attempts,
		w.due, w.decided_at, NULL
	FROM imp_push.waiting w
	WHERE EXISTS (
		SELECT FROM imp_push.offline_message m WHERE m.id = w.message_id)
	UNION ALL
	SELECT NULL, p.msg_id, p.recipient, NULLIF(p.device_id, ''), p.certificate,
		CASE WHEN p.attempts = 0 THEN 'pending' ELSE 'retrying' END,
		p.reason, NULL, p.apns_id, p.apns_status, p.attempts,
		p.due, p.created_at, NULL
	FROM imp_push.direct_push p
	UNION ALL
	SELECT m.id, m.msg_id, m.recipient, NULL, NULL,
		'pending', NULL, NULL, NULL, NULL, 0,
		NULL, NULL, NULL
	FROM (
			SELECT COALESCE(
				(SELECT c.snapshot FROM imp_push.worker_cursor c WHERE c.worker = 0),
				'1:1:'::pg_snapshot) AS snapshot) seen
		-- what the cursor does not see, split so that each half is an index
		-- range: an OR of the two would be a sequential scan
		CROSS JOIN LATERAL (
			SELECT o.id, o.msg_id, o.recipient
			FROM imp_push.offline_message o
			WHERE o.queued_xid >= pg_catalog.pg_snapshot_xmax(seen.snapshot)
			UNION ALL
			SELECT o.id, o.msg_id, o.recipient
			FROM pg_catalog.pg_snapshot_xip(seen.snapshot) AS under_way(xid)
				JOIN imp_push.offline_message o ON o.queued_xid = under_way.xid) m
	WHERE NOT EXISTS (
			SELECT
			FROM imp_push.delivery_log l
			WHERE l.recipient = m.recipient
				AND l.msg_id = m.msg_id
				AND l.message_id = m.id)
		AND NOT EXISTS (
			SELECT FROM imp_push.waiting w WHERE w.message_id = m.id);

COMMENT ON VIEW imp_push.delivery IS
	'what became of each message and binding; finished_at > X is the feed of push results';
COMMENT ON COLUMN imp_push.delivery.message_id IS
	'offline_message.id; NULL for send_test() and push_badge()';
COMMENT ON COLUMN imp_push.delivery.msg_id IS 'message id of the IM';
COMMENT ON COLUMN imp_push.delivery.recipient IS 'recipient of the message';
COMMENT ON COLUMN imp_push.delivery.device_id IS
	'device of the binding; NULL where the whole message was decided';
COMMENT ON COLUMN imp_push.delivery.certificate IS
	'certificate of the binding; NULL where the whole message was decided';
COMMENT ON COLUMN imp_push.delivery.status IS
	'pending, retrying, sent, suppressed, failed, expired or cancelled';
COMMENT ON COLUMN imp_push.delivery.reason IS
	'rule that decided, reason of APNs, or transport error';
COMMENT ON COLUMN imp_push.delivery.detail IS
	'what a person needs to act on';
COMMENT ON COLUMN imp_push.delivery.apns_id IS
	'the same for every attempt at this message and binding';
COMMENT ON COLUMN imp_push.delivery.apns_status IS
	'HTTP status of the last attempt';
COMMENT ON COLUMN imp_push.delivery.attempts IS 'attempts that were charged';
COMMENT ON COLUMN imp_push.delivery.next_attempt_at IS
	'not before this time; NULL if settled';
COMMENT ON COLUMN imp_push.delivery.decided_at IS 'time of the last decision';
COMMENT ON COLUMN imp_push.delivery.finished_at IS
	'time of the outcome; NULL if not settled';

-- A DELETE of messages cancels what has not gone out: each waiting push, or
-- the whole message if it was never planned.  A push that is on its way at
-- this moment ends as what became of it, and the view then shows that.
--
-- By index, because an IM server's sessions live long, and keep the plan that
-- they made while the tables were small.  (A plan that has to scan after all
-- seems so dear that it would be compiled.)
CREATE FUNCTION imp_push.offline_message_after_delete() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
	cancel_reason CONSTANT text :=
		COALESCE(current_setting('imp_push.cancel_reason', true), 'acknowledged');
	current_slot CONSTANT smallint := (SELECT ring.slot FROM imp_push.log_slot() ring);
	record_whole CONSTANT boolean :=
		(SELECT s.record_suppressed FROM imp_push.settings s);
BEGIN
	INSERT INTO imp_push.delivery_log
		(slot, message_id, msg_id, recipient, device_id, certificate,
		 status, reason, apns_id, apns_status, attempts, decided_at, finished_at)
	SELECT current_slot, g.id, g.msg_id, g.recipient, w.device_id, w.certificate,
		'cancelled', cancel_reason, w.apns_id, w.apns_status,
		COALESCE(w.attempts, 0), now(), clock_timestamp()
	FROM gone g
		LEFT JOIN imp_push.waiting w ON w.message_id = g.id
	WHERE w.message_id IS NOT NULL
		OR (record_whole
			AND (SELECT true
				 FROM imp_push.delivery_log l
				 WHERE l.recipient = g.recipient
					AND l.msg_id = g.msg_id
					AND l.message_id = g.id
				 LIMIT 1) IS NULL);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION imp_push.offline_message_after_delete() IS
	'writes cancelled for the pushes of deleted messages that have not gone out';

CREATE TRIGGER after_delete
	AFTER DELETE ON imp_push.offline_message
	REFERENCING OLD TABLE AS gone
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.offline_message_after_delete();
