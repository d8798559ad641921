/*
 * presence.sql
 *		Who is online.
 *
 * Owns presence, the leases of connections and nodes, and the list of users
 * whose unacknowledged messages the worker looks at again.  Must never make a
 * device that was kicked reachable because of late news.
 */

CREATE TABLE imp_push.presence (
	user_id text COLLATE "C" NOT NULL,
	device_id text COLLATE "C" NOT NULL,
	status text NOT NULL,
	session text COLLATE "C",
	node text COLLATE "C",
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	expires_at timestamptz,
	PRIMARY KEY (user_id, device_id)
);

-- For leases that run out, and for a node that is gone.
CREATE INDEX presence_lease ON imp_push.presence (expires_at)
	WHERE status = 'online' AND expires_at IS NOT NULL;
CREATE INDEX presence_node ON imp_push.presence (node)
	WHERE status = 'online' AND node IS NOT NULL;

COMMENT ON TABLE imp_push.presence IS
'the state of each device of each user; a device without a row is offline';
COMMENT ON COLUMN imp_push.presence.user_id IS
'the user';
COMMENT ON COLUMN imp_push.presence.device_id IS
'the device, as device_token names it; one without a binding (Web, desktop) is a device like any other';
COMMENT ON COLUMN imp_push.presence.status IS
'online, offline, logged_out or kicked';
COMMENT ON COLUMN imp_push.presence.session IS
'the connection that the row tells about: offline or logged_out news of another one is late';
COMMENT ON COLUMN imp_push.presence.node IS
'the IM node that holds the connection: its lease in im_node counts too';
COMMENT ON COLUMN imp_push.presence.changed_at IS
'when status or session last changed';
COMMENT ON COLUMN imp_push.presence.expires_at IS
'from this moment on an online device counts as offline; NULL: never';

CREATE TABLE imp_push.im_node (
	name text COLLATE "C" PRIMARY KEY,
	expires_at timestamptz NOT NULL
);

CREATE INDEX im_node_lease ON imp_push.im_node (expires_at);

COMMENT ON TABLE imp_push.im_node IS
'the leases of the IM server''s nodes: a crashed node leaves nobody online';
COMMENT ON COLUMN imp_push.im_node.name IS
'the node, as presence names it; deleting its row turns its connections offline';
COMMENT ON COLUMN imp_push.im_node.expires_at IS
'from this moment on the node''s connections count as offline';

CREATE TRIGGER im_node_check_name BEFORE INSERT OR UPDATE ON imp_push.im_node
	FOR EACH ROW WHEN ((NEW.name <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('name', 'shown', 'It must name the node.');
CREATE TRIGGER im_node_check_expires_at BEFORE INSERT OR UPDATE ON imp_push.im_node
	FOR EACH ROW WHEN (NEW.expires_at IS NULL)
	EXECUTE FUNCTION imp_push.refuse('expires_at', 'shown', 'It must be the end of the node''s lease.',
		'imp_push.node_heartbeat() sets it.');
CREATE TRIGGER presence_check_user BEFORE INSERT OR UPDATE ON imp_push.presence
	FOR EACH ROW WHEN ((NEW.user_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('user_id', 'shown', 'It must name the user.');
CREATE TRIGGER presence_check_device BEFORE INSERT OR UPDATE ON imp_push.presence
	FOR EACH ROW WHEN ((NEW.device_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('device_id', 'shown', 'It must name the device.');
CREATE TRIGGER presence_check_status BEFORE INSERT OR UPDATE ON imp_push.presence
	FOR EACH ROW WHEN ((NEW.status IN ('online', 'offline', 'logged_out', 'kicked')) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('status', 'shown', 'Allowed are online, offline, logged_out and kicked.');
CREATE TRIGGER presence_check_changed_at BEFORE INSERT OR UPDATE ON imp_push.presence
	FOR EACH ROW WHEN (NEW.changed_at IS NULL)
	EXECUTE FUNCTION imp_push.refuse('changed_at', 'shown', 'It must be a point in time.',
		'Leave the column out: it is kept by itself.');

/*
 * Whoever writes it: the kicked stay so until they are online again.  It runs
 * before presence_changed, for which nothing has changed then.
 */
CREATE FUNCTION imp_push.presence_stay_kicked() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	NEW.status := OLD.status;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION imp_push.presence_stay_kicked() IS
'trigger: a device that was kicked stays so until it is online again';

CREATE TRIGGER presence_1_stay_kicked BEFORE UPDATE ON imp_push.presence
	FOR EACH ROW
	WHEN (OLD.status = 'kicked' AND NEW.status IN ('offline', 'logged_out'))
	EXECUTE FUNCTION imp_push.presence_stay_kicked();

CREATE FUNCTION imp_push.presence_changed() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	NEW.changed_at := now();
	RETURN NEW;
END $$;
COMMENT ON FUNCTION imp_push.presence_changed() IS
'trigger: keeps changed_at, unless the statement sets it';

CREATE TRIGGER presence_changed BEFORE UPDATE ON imp_push.presence
	FOR EACH ROW
	WHEN ((OLD.status, OLD.session) IS DISTINCT FROM (NEW.status, NEW.session)
		AND NEW.changed_at IS NOT DISTINCT FROM OLD.changed_at)
	EXECUTE FUNCTION imp_push.presence_changed();

CREATE FUNCTION imp_push.im_node_gone() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE imp_push.presence SET status = 'offline'
		WHERE node = OLD.name AND status = 'online';
	RETURN OLD;
END $$;
COMMENT ON FUNCTION imp_push.im_node_gone() IS
'trigger: without its row a node has no lease, so its connections end with it';

CREATE TRIGGER im_node_gone BEFORE DELETE ON imp_push.im_node
	FOR EACH ROW EXECUTE FUNCTION imp_push.im_node_gone();

/*
 * What a device counts as at a point in time.  Every reader of presence asks
 * here: node_expires_at is that of its row in im_node, NULL without one, and
 * all of it is NULL for a device without a row.
 */
CREATE FUNCTION imp_push.device_status(status text, expires_at timestamptz, node_expires_at timestamptz,
		at timestamptz) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN status = 'online' AND LEAST(expires_at, node_expires_at) <= at THEN 'offline'
		ELSE COALESCE(status, 'offline')
	END;
COMMENT ON FUNCTION imp_push.device_status(text, timestamptz, timestamptz, timestamptz) IS
'what a device counts as at a point in time: its status, or offline once its lease or its node''s has run out';

/*
 * The devices that are online at a point in time.  Inlined: a query pays for
 * the users that it asks about.  The columns of a function's result have no
 * collation of their own, so who compares user_id with anything but a column
 * has to say COLLATE "C", or else no index serves.
 */
CREATE FUNCTION imp_push.live_device(at timestamptz)
	RETURNS TABLE (user_id text, device_id text, session text, node text, changed_at timestamptz, expires_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT device.user_id, device.device_id, device.session, device.node, device.changed_at,
		LEAST(device.expires_at, node.expires_at)
	FROM imp_push.presence AS device
		LEFT JOIN imp_push.im_node AS node ON node.name = device.node
	WHERE device.status = 'online'
		AND imp_push.device_status(device.status, device.expires_at, node.expires_at, live_device.at) = 'online';
END;
COMMENT ON FUNCTION imp_push.live_device(timestamptz) IS
'the devices that are online at a point in time, and until when without another sign of life';

CREATE VIEW imp_push.online_user AS
	SELECT DISTINCT live.user_id COLLATE "C" AS user_id
	FROM imp_push.live_device(pg_catalog.now()) AS live;
COMMENT ON VIEW imp_push.online_user IS
'users with a device online: presence with leases';
COMMENT ON COLUMN imp_push.online_user.user_id IS
'the user';

CREATE FUNCTION imp_push.is_online(user_id text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (
		SELECT FROM imp_push.live_device(pg_catalog.now()) AS live
		WHERE live.user_id = is_online.user_id COLLATE "C");
COMMENT ON FUNCTION imp_push.is_online(text) IS
'whether a device of the user is online: presence with leases';

/*
 * One statement, so that two pieces of news about one device meet at its row.
 */
CREATE FUNCTION imp_push.set_presence(user_id text, device_id text, status text, session text DEFAULT NULL,
		node text DEFAULT NULL, ttl interval DEFAULT NULL) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF ttl <= '0' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid ttl: %s', ttl),
			DETAIL = 'It must be longer than 0, or NULL for a connection without a lease of its own.',
			HINT = 'To end a connection set its status to offline.';
	END IF;

	INSERT INTO imp_push.presence AS device (user_id, device_id, status, session, node, expires_at)
		VALUES (set_presence.user_id, set_presence.device_id, set_presence.status, set_presence.session,
			set_presence.node, now() + set_presence.ttl)
	ON CONFLICT ON CONSTRAINT presence_pkey DO UPDATE SET
		status = EXCLUDED.status,
		-- only a new connection is another session on another node
		session = CASE WHEN EXCLUDED.status = 'online' THEN EXCLUDED.session ELSE COALESCE(EXCLUDED.session, device.session) END,
		node = CASE WHEN EXCLUDED.status = 'online' THEN EXCLUDED.node ELSE COALESCE(EXCLUDED.node, device.node) END,
		expires_at = EXCLUDED.expires_at
	-- late news
	WHERE NOT (EXCLUDED.status IN ('offline', 'logged_out')
		AND EXCLUDED.session IS NOT NULL
		AND EXCLUDED.session IS DISTINCT FROM device.session);
	RETURN FOUND;
END $$;
COMMENT ON FUNCTION imp_push.set_presence(text, text, text, text, text, interval) IS
'sets the state of a device; false if it was late news of another session, which changes nothing';

CREATE FUNCTION imp_push.node_heartbeat(name text, ttl interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (ttl > '0') IS NOT TRUE THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid ttl: %s', COALESCE(ttl::text, 'null')),
			DETAIL = 'It must be longer than 0, and longer than the time to the next heartbeat.';
	END IF;

	INSERT INTO imp_push.im_node (name, expires_at)
		VALUES (node_heartbeat.name, now() + node_heartbeat.ttl)
	ON CONFLICT ON CONSTRAINT im_node_pkey DO UPDATE SET expires_at = EXCLUDED.expires_at;
END $$;
COMMENT ON FUNCTION imp_push.node_heartbeat(text, interval) IS
'keeps a node''s connections online for that long';

/*
 * Messages the live connection swallowed (settings.push_unacknowledged).
 *
 * Users whose device has turned offline go into an insert-only list, which
 * the worker empties.  Whether it was their last one is for the worker to
 * find out, at its own time: two devices that turn offline in two transactions
 * at once do not see each other do so, and neither would be the last.
 */
CREATE TABLE imp_push.recheck (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL,
	at timestamptz NOT NULL
);

COMMENT ON TABLE imp_push.recheck IS
'users whose unacknowledged messages the worker looks at again, because a device of theirs has turned offline';
COMMENT ON COLUMN imp_push.recheck.id IS
'order of arrival';
COMMENT ON COLUMN imp_push.recheck.user_id IS
'the user, who may have another device online';
COMMENT ON COLUMN imp_push.recheck.at IS
'when the device turned offline';

/*
 * Runs as the owner: writers of presence have no rights on settings and on
 * the list.
 */
CREATE FUNCTION imp_push.presence_recheck() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT push_unacknowledged FROM imp_push.settings) THEN
		INSERT INTO imp_push.recheck (user_id, at) VALUES (OLD.user_id, clock_timestamp());
		PERFORM imp_push.wake_worker();
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION imp_push.presence_recheck() IS
'trigger: notes a user whose device has turned offline, if push_unacknowledged is on';

CREATE TRIGGER presence_recheck_update AFTER UPDATE ON imp_push.presence
	FOR EACH ROW
	WHEN (OLD.status = 'online'
		AND (NEW.status <> 'online'
			OR NEW.user_id <> OLD.user_id
			OR (NEW.expires_at IS DISTINCT FROM OLD.expires_at AND NEW.expires_at <= pg_catalog.now())))
	EXECUTE FUNCTION imp_push.presence_recheck();
CREATE TRIGGER presence_recheck_delete AFTER DELETE ON imp_push.presence
	FOR EACH ROW WHEN (OLD.status = 'online')
	EXECUTE FUNCTION imp_push.presence_recheck();

/*
 * A lease that is moved into the past ends at a time that leases_ended() has
 * gone by.
 */
CREATE FUNCTION imp_push.im_node_recheck() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT push_unacknowledged FROM imp_push.settings) THEN
		INSERT INTO imp_push.recheck (user_id, at)
			SELECT DISTINCT device.user_id, clock_timestamp()
			FROM imp_push.presence AS device
			WHERE device.node = NEW.name AND device.status = 'online';
		PERFORM imp_push.wake_worker();
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION imp_push.im_node_recheck() IS
'trigger: notes the users of a node whose lease was ended by hand, if push_unacknowledged is on';

CREATE TRIGGER im_node_recheck AFTER UPDATE OF expires_at ON imp_push.im_node
	FOR EACH ROW
	WHEN (NEW.expires_at IS DISTINCT FROM OLD.expires_at AND NEW.expires_at <= pg_catalog.now())
	EXECUTE FUNCTION imp_push.im_node_recheck();

/*
 * The same for leases that end by themselves: users with a lease that ran out
 * after since and not after until, and with no device online at that time.  Two
 * scans of an index: leases of connections, and of nodes.
 */
CREATE FUNCTION imp_push.leases_ended(since timestamptz, until timestamptz) RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT ended.user_id
	FROM (
		SELECT device.user_id
		FROM imp_push.presence AS device
		WHERE device.status = 'online'
			AND device.expires_at > leases_ended.since
			AND device.expires_at <= leases_ended.until
		UNION
		SELECT device.user_id
		FROM imp_push.im_node AS node
			JOIN imp_push.presence AS device ON device.node = node.name AND device.status = 'online'
		WHERE node.expires_at > leases_ended.since
			AND node.expires_at <= leases_ended.until
	) AS ended
	WHERE NOT EXISTS (
		SELECT FROM imp_push.live_device(leases_ended.until) AS live WHERE live.user_id = ended.user_id);
END;
COMMENT ON FUNCTION imp_push.leases_ended(timestamptz, timestamptz) IS
'users whose last online device went with a lease, their own or their node''s, that ended in (since, until]';

SELECT pg_catalog.pg_extension_config_dump('imp_push.presence', '');
SELECT pg_catalog.pg_extension_config_dump('imp_push.im_node', '');
SELECT pg_catalog.pg_extension_config_dump('imp_push.recheck', '');
SELECT pg_catalog.pg_extension_config_dump('imp_push.recheck_id_seq', '');
