-- Housekeeping: what the worker tidies up, a small step at a time.
--
-- Owns the retention of messages and of delivery's memory.  Never waits for
-- anybody: what is locked is left for the next step.

-- Up to which message the limits of the store have been looked after.
CREATE TABLE imp_push.housekeeping_state (
	one_row		boolean PRIMARY KEY DEFAULT true CHECK (one_row),
	trimmed_to	bigint NOT NULL
);
COMMENT ON TABLE imp_push.housekeeping_state IS
	'how far housekeeping has come; not dumped';
COMMENT ON COLUMN imp_push.housekeeping_state.one_row IS 'there is at most one row';
COMMENT ON COLUMN imp_push.housekeeping_state.trimmed_to IS
	'offline_message.id up to which the limits of the store have been looked after';

-- The ring delivery_log: three tables hold delivery_retention, the fourth is
-- the one that is emptied and written next.  (More tables would keep less
-- beyond the retention, and each of them is looked into for each message.)
CREATE FUNCTION imp_push.turn_delivery_ring(at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $$
DECLARE
	ring imp_push.delivery_ring;
	retention CONSTANT interval :=
		(SELECT s.delivery_retention FROM imp_push.settings s);
	next_slot smallint;
BEGIN
	SELECT * INTO ring FROM imp_push.delivery_ring;
	IF NOT FOUND THEN
		INSERT INTO imp_push.delivery_ring (slot, since) VALUES (0, at);
		RETURN;
	END IF;
	next_slot := (ring.slot + 1) % 4;
	IF at < ring.since + retention / 3
		-- after the retention was raised, or the clock was set
		OR EXISTS (
			SELECT
			FROM imp_push.delivery_log l
			WHERE l.slot = next_slot AND l.finished_at > at - retention) THEN
		RETURN;
	END IF;

	BEGIN
		-- somebody reads or dumps it: the current table is written on
		EXECUTE format('TRUNCATE imp_push.delivery_log_%s', next_slot);
		UPDATE imp_push.delivery_ring SET slot = next_slot, since = at;
	EXCEPTION WHEN lock_not_available THEN
		NULL;
	END;
END
$$;
COMMENT ON FUNCTION imp_push.turn_delivery_ring(timestamptz) IS
	'empties the oldest table of delivery_log and writes there from now on, if it is time';

CREATE FUNCTION imp_push.evict_messages(ids bigint[]) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET imp_push.cancel_reason = 'evicted'
AS $$
DECLARE
	evicted int;
BEGIN
	DELETE FROM imp_push.offline_message m
	WHERE m.id IN (
		SELECT o.id
		FROM imp_push.offline_message o
		WHERE o.id = ANY (ids)
		FOR UPDATE SKIP LOCKED);
	GET DIAGNOSTICS evicted = ROW_COUNT;
	RETURN evicted;
END
$$;
COMMENT ON FUNCTION imp_push.evict_messages(bigint[]) IS
	'deletes messages that are not locked, as evicted; returns how many';

CREATE FUNCTION imp_push.evict_old_messages(at timestamptz, max int) RETURNS int
LANGUAGE sql VOLATILE
RETURN imp_push.evict_messages(ARRAY(
	SELECT m.id
	FROM (
		SELECT o.id, o.created_at
		FROM imp_push.offline_message o
		ORDER BY o.id
		LIMIT evict_old_messages.max) m
		CROSS JOIN imp_push.settings s
	WHERE m.created_at < evict_old_messages.at - s.offline_retention));
COMMENT ON FUNCTION imp_push.evict_old_messages(timestamptz, int) IS
	'evicts messages older than settings.offline_retention, among the max oldest; returns how many';

-- The limits are looked after for the recipients of the next max messages: so
-- the cost goes with what is inserted, not with what is stored.  At most max
-- messages go in one step; if that is not all, the next step stays here.
CREATE FUNCTION imp_push.evict_surplus_messages(max int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	from_id bigint :=
		COALESCE((SELECT h.trimmed_to FROM imp_push.housekeeping_state h), 0);
	to_id bigint;
	looked_at int;
	surplus bigint[];
BEGIN
	SELECT max(m.id), count(*) INTO to_id, looked_at
	FROM (
		SELECT o.id
		FROM imp_push.offline_message o
		WHERE o.id > from_id
		ORDER BY o.id
		LIMIT evict_surplus_messages.max) m;
	IF looked_at = 0 THEN
		RETURN 0;
	END IF;

	surplus := ARRAY(
		SELECT r.id
		FROM (
			SELECT DISTINCT o.recipient
			FROM imp_push.offline_message o
			WHERE o.id > from_id AND o.id <= to_id
				AND o.chat_type IN ('chat', 'groupchat')) new
			CROSS JOIN imp_push.settings s
			CROSS JOIN (VALUES ('chat'), ('groupchat')) t(chat_type)
			CROSS JOIN LATERAL (
				SELECT m.id
				FROM imp_push.offline_message m
				WHERE m.recipient = new.recipient AND m.chat_type = t.chat_type
				ORDER BY m.id DESC
				OFFSET CASE t.chat_type WHEN 'chat' THEN s.single_chat_limit
					ELSE s.group_chat_limit END) r
		ORDER BY r.id
		LIMIT evict_surplus_messages.max);
	IF imp_push.evict_messages(surplus) = evict_surplus_messages.max THEN
		RETURN evict_surplus_messages.max;
	END IF;

	INSERT INTO imp_push.housekeeping_state AS h (trimmed_to) VALUES (to_id)
	ON CONFLICT (one_row) DO UPDATE SET trimmed_to = EXCLUDED.trimmed_to;
	RETURN looked_at;
END
$$;
COMMENT ON FUNCTION imp_push.evict_surplus_messages(int) IS
	'evicts at most max messages over settings.single_chat_limit and group_chat_limit, oldest first, for the recipients of the next max messages; returns max if there may be more';

CREATE FUNCTION imp_push.housekeeping(at timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	step CONSTANT int := 500;
	old int;
	looked_at int;
BEGIN
	PERFORM imp_push.turn_delivery_ring(at);
	old := imp_push.evict_old_messages(at, step);
	looked_at := imp_push.evict_surplus_messages(step);
	RETURN old = step OR looked_at = step;
END
$$;
COMMENT ON FUNCTION imp_push.housekeeping(timestamptz) IS
	'one small step of tidying up; true if there is more to do now';
