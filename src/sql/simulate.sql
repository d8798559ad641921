-- simulate(): what would happen to a message.

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
SET jit = off	-- compiling the plan takes seconds, running it a millisecond
AS $$
DECLARE
	message imp_push.offline_message;
	wrong text;
BEGIN
	wrong := CASE
		WHEN (octet_length(recipient) BETWEEN 1 AND 1024) IS NOT TRUE THEN 'recipient'
		WHEN (octet_length(sender) BETWEEN 1 AND 1024) IS NOT TRUE THEN 'sender'
		WHEN (chat_type IN ('chat', 'groupchat', 'chatroom')) IS NOT TRUE
			THEN 'chat_type'
		WHEN conversation_id IS NULL AND chat_type <> 'chat'
			OR octet_length(conversation_id) NOT BETWEEN 1 AND 1024
			THEN 'conversation_id'
		WHEN (octet_length(type) BETWEEN 1 AND 1024) IS NOT TRUE THEN 'type'
		WHEN (jsonb_typeof(ext) = 'object') IS NOT TRUE THEN 'ext'
		WHEN (jsonb_typeof(translations) = 'object') IS NOT TRUE THEN 'translations'
		WHEN (octet_length(msg_id) BETWEEN 1 AND 1024) IS NOT TRUE THEN 'msg_id'
		WHEN (at > '-infinity' AND at < '294000-01-01 00:00+00') IS NOT TRUE THEN 'at'
		END;
	IF wrong IS NOT NULL THEN
		PERFORM imp_push.refuse_call('22023',
			format('parameter "%s" of simulate() has a value that a message cannot have', wrong),
			'The same rules hold as for a row of imp_push.offline_message.');
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
