-- The queue that is not there: a message is its own work item.
--
-- Owns what the worker remembers between two passes: how far it has read
-- (worker_cursor), which pushes go later (waiting), what became of each
-- (delivery_log), and what is pushed without a message (direct_push).  Holds
-- no mark for what is in flight: that lives in the worker's memory alone, and
-- after a crash what is not settled is planned again.

-- Everything that is visible in the snapshot has an outcome or waits.  An
-- accelerator: without it the worker starts at the beginning.
CREATE TABLE imp_push.worker_cursor (
	worker		smallint PRIMARY KEY,
	snapshot	pg_snapshot NOT NULL
);
COMMENT ON TABLE imp_push.worker_cursor IS
	'how far each worker has read: all that its snapshot sees has an outcome or waits; not dumped';
COMMENT ON COLUMN imp_push.worker_cursor.worker IS 'number of the worker';
COMMENT ON COLUMN imp_push.worker_cursor.snapshot IS
	'the snapshot; new work is what it does not see';

CREATE TABLE imp_push.waiting (
	message_id	bigint NOT NULL,
	device_id	text COLLATE "C" NOT NULL,
	certificate	text COLLATE "C" NOT NULL,
	recipient	text COLLATE "C" NOT NULL,
	msg_id		text COLLATE "C" NOT NULL,
	apns_id		uuid NOT NULL,
	attempts	int NOT NULL,
	due			timestamptz NOT NULL,
	expires_at	timestamptz NOT NULL,
	reason		text,
	apns_status	int,
	since		timestamptz NOT NULL,
	decided_at	timestamptz NOT NULL,
	PRIMARY KEY (message_id, device_id, certificate)
);
CREATE INDEX waiting_due_idx ON imp_push.waiting (certificate, due);
CREATE INDEX waiting_expires_idx ON imp_push.waiting (expires_at);
CREATE INDEX waiting_recipient_idx ON imp_push.waiting (recipient, msg_id);

COMMENT ON TABLE imp_push.waiting IS
	'pushes that go later; each attempt reads token and text anew';
COMMENT ON COLUMN imp_push.waiting.message_id IS 'the message';
COMMENT ON COLUMN imp_push.waiting.device_id IS 'device of the binding';
COMMENT ON COLUMN imp_push.waiting.certificate IS 'certificate of the binding';
COMMENT ON COLUMN imp_push.waiting.recipient IS 'recipient of the message';
COMMENT ON COLUMN imp_push.waiting.msg_id IS 'message id of the IM';
COMMENT ON COLUMN imp_push.waiting.apns_id IS
	'the same for every attempt at this message and binding';
COMMENT ON COLUMN imp_push.waiting.attempts IS 'attempts that were charged';
COMMENT ON COLUMN imp_push.waiting.due IS 'not before this time';
COMMENT ON COLUMN imp_push.waiting.expires_at IS
	'end of the message''s life: looked at then, circuit open or not';
COMMENT ON COLUMN imp_push.waiting.reason IS
	'why it waits: answer of APNs, transport error or circuit; NULL for none';
COMMENT ON COLUMN imp_push.waiting.apns_status IS
	'HTTP status of the last attempt, NULL if there was no answer';
COMMENT ON COLUMN imp_push.waiting.since IS 'time of the first decision';
COMMENT ON COLUMN imp_push.waiting.decided_at IS 'time of the last decision';

SELECT pg_catalog.pg_extension_config_dump('imp_push.waiting', '');

-- What became of each push.  Four tables written in turn, so that the oldest
-- is emptied by TRUNCATE; made here, because what a worker creates could not
-- be marked for dumps.
CREATE TABLE imp_push.delivery_log (
	slot		smallint NOT NULL,
	message_id	bigint,
	msg_id		text COLLATE "C" NOT NULL,
	recipient	text COLLATE "C" NOT NULL,
	device_id	text COLLATE "C",
	certificate	text COLLATE "C",
	status		text NOT NULL,
	reason		text,
	detail		jsonb,
	apns_id		uuid,
	apns_status	int,
	attempts	int NOT NULL,
	decided_at	timestamptz NOT NULL,
	finished_at	timestamptz NOT NULL
) PARTITION BY LIST (slot);
CREATE INDEX delivery_log_recipient_idx
	ON imp_push.delivery_log (recipient, msg_id, message_id);
CREATE INDEX delivery_log_finished_idx
	ON imp_push.delivery_log (finished_at);

COMMENT ON TABLE imp_push.delivery_log IS
	'what became of each message and binding: a ring of four tables; view delivery shows it';
COMMENT ON COLUMN imp_push.delivery_log.slot IS 'table of the ring, 0 to 3';
COMMENT ON COLUMN imp_push.delivery_log.message_id IS
	'the message; NULL for send_test() and push_badge()';
COMMENT ON COLUMN imp_push.delivery_log.msg_id IS 'message id of the IM';
COMMENT ON COLUMN imp_push.delivery_log.recipient IS 'recipient of the message';
COMMENT ON COLUMN imp_push.delivery_log.device_id IS
	'device of the binding; NULL where the whole message was decided';
COMMENT ON COLUMN imp_push.delivery_log.certificate IS
	'certificate of the binding; NULL where the whole message was decided';
COMMENT ON COLUMN imp_push.delivery_log.status IS
	'sent, suppressed, failed, expired or cancelled';
COMMENT ON COLUMN imp_push.delivery_log.reason IS
	'rule that decided, or the reason of APNs; NULL for sent';
COMMENT ON COLUMN imp_push.delivery_log.detail IS
	'what a person needs to act on';
COMMENT ON COLUMN imp_push.delivery_log.apns_id IS
	'the same for every attempt at this message and binding';
COMMENT ON COLUMN imp_push.delivery_log.apns_status IS
	'HTTP status of the last attempt';
COMMENT ON COLUMN imp_push.delivery_log.attempts IS 'attempts that were charged';
COMMENT ON COLUMN imp_push.delivery_log.decided_at IS 'time of the last decision';
COMMENT ON COLUMN imp_push.delivery_log.finished_at IS 'time of the outcome';

DO $$
BEGIN
	FOR slot IN 0..3 LOOP
		EXECUTE pg_catalog.format(
			'CREATE TABLE imp_push.delivery_log_%1$s
				PARTITION OF imp_push.delivery_log FOR VALUES IN (%1$s)', slot);
		EXECUTE pg_catalog.format(
			'COMMENT ON TABLE imp_push.delivery_log_%1$s
				IS ''table %1$s of the ring delivery_log''', slot);
		PERFORM pg_catalog.pg_extension_config_dump(
			pg_catalog.format('imp_push.delivery_log_%s', slot), '');
	END LOOP;
END
$$;

-- No row means slot 0, since always: a restore then inserts without conflict.
CREATE TABLE imp_push.delivery_ring (
	one_row		boolean PRIMARY KEY DEFAULT true CHECK (one_row),
	slot		smallint NOT NULL,
	since		timestamptz NOT NULL
);
COMMENT ON TABLE imp_push.delivery_ring IS
	'which table of the ring is written now; no row: table 0';
COMMENT ON COLUMN imp_push.delivery_ring.one_row IS 'there is at most one row';
COMMENT ON COLUMN imp_push.delivery_ring.slot IS 'the table written now';
COMMENT ON COLUMN imp_push.delivery_ring.since IS 'since when';
SELECT pg_catalog.pg_extension_config_dump('imp_push.delivery_ring', '');

-- As a table, for then it is inlined: as a value it would be planned anew in
-- each statement (measured: 70 µs).
CREATE FUNCTION imp_push.log_slot() RETURNS TABLE (slot smallint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
	SELECT COALESCE((SELECT r.slot FROM imp_push.delivery_ring r), 0::smallint);
END;
COMMENT ON FUNCTION imp_push.log_slot() IS
	'the table of the ring delivery_log that is written now';

-- Pushes without a message (direct.sql).
CREATE TABLE imp_push.direct_push (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind		text NOT NULL,
	msg_id		text COLLATE "C" NOT NULL,
	recipient	text COLLATE "C" NOT NULL,
	device_id	text COLLATE "C" NOT NULL,
	certificate	text COLLATE "C" NOT NULL,
	token		text COLLATE "C",
	title		text,
	body		text,
	badge		int,
	apns_id		uuid NOT NULL,
	attempts	int NOT NULL DEFAULT 0,
	due			timestamptz NOT NULL,
	reason		text,
	apns_status	int,
	created_at	timestamptz NOT NULL
);
CREATE INDEX direct_push_due_idx ON imp_push.direct_push (certificate, due);
CREATE INDEX direct_push_test_idx ON imp_push.direct_push (due) WHERE kind = 'test';
CREATE INDEX direct_push_created_idx ON imp_push.direct_push (created_at);
CREATE INDEX direct_push_recipient_idx ON imp_push.direct_push (recipient);

COMMENT ON TABLE imp_push.direct_push IS
	'pushes without a message: send_test() and push_badge(); a row goes when its push settles; not dumped';
COMMENT ON COLUMN imp_push.direct_push.id IS 'order of arrival';
COMMENT ON COLUMN imp_push.direct_push.kind IS 'test or badge';
COMMENT ON COLUMN imp_push.direct_push.msg_id IS 'shown in delivery';
COMMENT ON COLUMN imp_push.direct_push.recipient IS
	'the user; empty for a test';
COMMENT ON COLUMN imp_push.direct_push.device_id IS
	'device of the binding; empty for a test';
COMMENT ON COLUMN imp_push.direct_push.certificate IS 'certificate to send with';
COMMENT ON COLUMN imp_push.direct_push.token IS
	'device token of a test; a badge goes to the token that the binding has then';
COMMENT ON COLUMN imp_push.direct_push.title IS 'title of a test';
COMMENT ON COLUMN imp_push.direct_push.body IS 'body of a test';
COMMENT ON COLUMN imp_push.direct_push.badge IS 'number to show';
COMMENT ON COLUMN imp_push.direct_push.apns_id IS 'the same for every attempt';
COMMENT ON COLUMN imp_push.direct_push.attempts IS 'attempts that were charged';
COMMENT ON COLUMN imp_push.direct_push.due IS 'not before this time';
COMMENT ON COLUMN imp_push.direct_push.reason IS 'why it waits';
COMMENT ON COLUMN imp_push.direct_push.apns_status IS
	'HTTP status of the last attempt';
COMMENT ON COLUMN imp_push.direct_push.created_at IS 'time of the call';

-- What is under way when its certificate gets another name comes back under the
-- old one.
CREATE TABLE imp_push.former_name (
	name		text COLLATE "C" PRIMARY KEY,
	certificate	text COLLATE "C" NOT NULL
		REFERENCES imp_push.certificate (name)
		ON UPDATE CASCADE ON DELETE CASCADE,
	since		timestamptz NOT NULL
);
COMMENT ON TABLE imp_push.former_name IS
	'names that certificates had during the last day, for pushes that were under way; not dumped';
COMMENT ON COLUMN imp_push.former_name.name IS 'the name it had';
COMMENT ON COLUMN imp_push.former_name.certificate IS 'the name it has now';
COMMENT ON COLUMN imp_push.former_name.since IS 'when it was renamed';

CREATE FUNCTION imp_push.present_name(certificate text) RETURNS text
LANGUAGE sql STABLE
RETURN COALESCE(
	(SELECT f.certificate
	 FROM imp_push.former_name f
	 WHERE f.name = present_name.certificate
		AND NOT EXISTS (
			SELECT FROM imp_push.certificate c
			WHERE c.name = present_name.certificate)),
	certificate);
COMMENT ON FUNCTION imp_push.present_name(text) IS
	'the name that a certificate of this name has now';

-- A certificate that gets another name takes along what waits for it.
CREATE FUNCTION imp_push.waiting_renamed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM imp_push.former_name f
	WHERE f.name = NEW.name OR f.since < now() - interval '1 day';
	INSERT INTO imp_push.former_name AS f (name, certificate, since)
	VALUES (OLD.name, NEW.name, now())
	ON CONFLICT (name) DO UPDATE
		SET certificate = EXCLUDED.certificate, since = EXCLUDED.since;

	UPDATE imp_push.waiting w SET certificate = NEW.name
	WHERE w.certificate = OLD.name;
	UPDATE imp_push.direct_push p SET certificate = NEW.name
	WHERE p.certificate = OLD.name;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION imp_push.waiting_renamed() IS
	'trigger: waiting pushes follow their certificate';

CREATE TRIGGER waiting_renamed
	AFTER UPDATE OF name ON imp_push.certificate
	FOR EACH ROW WHEN (OLD.name <> NEW.name)
	EXECUTE FUNCTION imp_push.waiting_renamed();
COMMENT ON TRIGGER waiting_renamed ON imp_push.certificate IS
	'Internal: waiting pushes follow their certificate.';

CREATE FUNCTION imp_push.seen_by_worker() RETURNS pg_snapshot
LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE((SELECT c.snapshot FROM imp_push.worker_cursor c WHERE c.worker = 0),
				'1:1:'::pg_snapshot);
COMMENT ON FUNCTION imp_push.seen_by_worker() IS
	'the stored cursor; where there is none, a snapshot that sees nothing';

-- Until the first outcome of the database nothing has to be left out.
CREATE FUNCTION imp_push.has_outcomes() RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM imp_push.delivery_log)
	OR EXISTS (SELECT FROM imp_push.waiting);
COMMENT ON FUNCTION imp_push.has_outcomes() IS
	'whether any message has an outcome or waits';

-- One page of new work for the worker: what now sees and seen does not, in
-- the order (queued_xid, id), after a given place: what was under way when
-- seen was taken, then what began later (an OR of the two would be a
-- sequential scan).  Each has one lower bound, made of both the place and seen:
-- of two the index would take the first, and read on from there, past all
-- messages that are stored.  settled is looked up only while the worker
-- recovers, and there are outcomes: in later passes nothing can have been
-- planned.
CREATE FUNCTION imp_push.next_messages(seen pg_snapshot, now pg_snapshot,
									   after_xid xid8, after_id bigint,
									   max int, look_up boolean)
RETURNS TABLE (id bigint, queued_xid xid8, settled boolean, recipient text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT page.id, page.queued_xid,
		-- not EXISTS, which may read the whole of both (plan.sql)
		look_up AND COALESCE(
			(SELECT true FROM imp_push.delivery_log l
			 WHERE l.recipient = page.recipient
				AND l.msg_id = page.msg_id
				AND l.message_id = page.id
			 LIMIT 1),
			(SELECT true FROM imp_push.waiting w
			 WHERE w.message_id = page.id
			 LIMIT 1),
			false),
		page.recipient
	FROM (
		(SELECT m.id, m.queued_xid, m.recipient, m.msg_id
		 FROM pg_catalog.pg_snapshot_xip(seen) AS under_way(xid)
			CROSS JOIN LATERAL (
				SELECT o.id, o.queued_xid, o.recipient, o.msg_id
				FROM imp_push.offline_message o
				WHERE o.queued_xid = under_way.xid
					AND o.id > CASE WHEN under_way.xid = after_xid THEN after_id
						ELSE -9223372036854775808 END
				ORDER BY o.id
				LIMIT next_messages.max) m
		 WHERE under_way.xid >= after_xid
			AND pg_catalog.pg_visible_in_snapshot(m.queued_xid, next_messages.now)
		 ORDER BY m.queued_xid, m.id
		 LIMIT next_messages.max)
		UNION ALL
		(SELECT m.id, m.queued_xid, m.recipient, m.msg_id
		 FROM imp_push.offline_message m
		 WHERE (m.queued_xid, m.id) > (
				GREATEST(pg_catalog.pg_snapshot_xmax(seen), after_xid),
				CASE WHEN after_xid >= pg_catalog.pg_snapshot_xmax(seen) THEN after_id
					ELSE -9223372036854775808 END)
			AND pg_catalog.pg_visible_in_snapshot(m.queued_xid, next_messages.now)
		 ORDER BY m.queued_xid, m.id
		 LIMIT next_messages.max)
	) page
	ORDER BY page.queued_xid, page.id
	LIMIT next_messages.max;
END;
COMMENT ON FUNCTION imp_push.next_messages(pg_snapshot, pg_snapshot, xid8, bigint, int, boolean) IS
	'a page of the messages that the snapshot now sees and seen does not; settled says whether one has an outcome or waits, looked up if so told';
