-- simulate(): what would happen to a message.
--
-- Owns the check of its arguments.  Must never write anything, and never have
-- a rule of its own: decide() says what would happen.

CREATE FUNCTION imp_push.simulate(
	recipient text,
	sender text,
	body text,
	chat_type text DEFAULT 'chat',
	conversation_id text DEFAULT NULL,
	type text DEFAULT 'txt',
	ext jsonb DEFAULT '{}',
	translations jsonb DEFAULT '{}',
	msg_id text DEFAULT pg_catalog.gen_random_uuid()::text,
	at timestamptz DEFAULT pg_catalog.now())
RETURNS TABLE (device_id text, certificate text, status text, reason text,
	detail jsonb, headers jsonb, payload text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'	-- the worker's: its days have 24 hours
SET jit = off	-- compiling the plan takes seconds, running it a millisecond
AS $$
DECLARE
	message imp_push.offline_message;
	wrong record;
	an_id CONSTANT text := 'It must be a text of 1 to 1024 bytes.';
	an_object CONSTANT text := 'It must be a JSON object.';
BEGIN
	-- as message_trigger.c has it for rows
	SELECT p.name, p.rule INTO wrong
	FROM (VALUES
		(1, 'recipient', octet_length(recipient) BETWEEN 1 AND 1024, an_id),
		(2, 'sender', octet_length(sender) BETWEEN 1 AND 1024, an_id),
		(3, 'chat_type', chat_type IN ('chat', 'groupchat', 'chatroom'),
			'Allowed are chat, groupchat and chatroom.'),
		(4, 'conversation_id', CASE WHEN conversation_id IS NULL THEN chat_type = 'chat'
				ELSE octet_length(conversation_id) BETWEEN 1 AND 1024 END,
			'It must name the group or chat room; only a single chat leaves it out.'),
		(5, 'type', octet_length(type) BETWEEN 1 AND 1024, an_id),
		(6, 'ext', jsonb_typeof(ext) = 'object', an_object),
		(7, 'translations', jsonb_typeof(translations) = 'object', an_object),
		(8, 'msg_id', octet_length(msg_id) BETWEEN 1 AND 1024, an_id),
		(9, 'at', at > '-infinity' AND at < '294000-01-01 00:00+00',
			'It must be a point in time, and not at the end of all times.')
		) p(ordinal, name, valid, rule)
	WHERE p.valid IS NOT TRUE
	ORDER BY p.ordinal
	LIMIT 1;
	IF FOUND THEN
		PERFORM imp_push.refuse_call('22023',
			format('parameter "%s" of simulate() has a value that a message cannot have', wrong.name),
			wrong.rule);
	END IF;

	-- an id that no stored message has
	message := ROW(0, recipient, sender, chat_type, COALESCE(conversation_id, sender),
		msg_id, type, body, NULL, ext, translations, at, NULL, '0');

	RETURN QUERY
	SELECT d.device_id, d.certificate,
		CASE WHEN d.check_no IS NULL THEN 'push'
			ELSE imp_push.check_status(d.check_no) END,
		imp_push.check_reason(d.check_no),
		d.detail,
		CASE WHEN d.check_no IS NULL THEN
			jsonb_strip_nulls(jsonb_build_object(
				'apns-topic', d.topic,
				'apns-push-type', d.push_type,
				'apns-priority', d.priority::text,
				'apns-id', d.apns_id::text,
				'apns-expiration', d.expiration::text,
				'apns-collapse-id', d.collapse_id)) END,
		CASE WHEN d.check_no IS NULL THEN d.payload END
	FROM imp_push.decide(ARRAY[message], NULL, NULL, simulate.at) d
	ORDER BY d.device_id, d.certificate;
END
$$;
COMMENT ON FUNCTION imp_push.simulate(text, text, text, text, text, text, jsonb, jsonb, text, timestamptz) IS
	'what would happen to such a message at that moment: one row a binding, or one for the whole message; status push is a push, with the very headers and payload that would be sent; changes nothing';
