-- policy.sql: who of a page of messages gets a push, and what it says.
--
-- The same policy as imp_push's for what the benchmark stores: presence with
-- leases, do-not-disturb by mode, interval and duration, bindings, profile,
-- badge and built-in texts; without templates and without what a sender's ext
-- can ask for.  One set-based query a page: $1 is the last id seen, $2 the
-- size of a page.
SELECT m.id AS message_id, m.msg_id, m.recipient, m.sender,
	t.device_id, t.certificate, t.token, c.bundle_id AS topic,
	CASE
		WHEN m.sender = m.recipient THEN 'own_message'
		WHEN m.type = 'cmd' THEN 'type_not_pushed'
		WHEN now() > LEAST(m.expires_at, m.created_at + s.push_ttl) THEN 'expired'
		WHEN live.user_id IS NOT NULL THEN 'online'
		WHEN quiet.silent THEN 'dnd'
		WHEN quiet.mode = 'none' THEN 'mode_none'
		WHEN quiet.mode = 'mention_only' THEN 'not_mentioned'
		WHEN t.token IS NULL THEN 'no_device_token'
		WHEN p.status = 'kicked' THEN 'kicked'
		WHEN t.disabled_at IS NOT NULL THEN 'token_disabled'
		WHEN NOT c.enabled THEN 'certificate_disabled'
	END AS reason,
	title.value AS title,
	CASE WHEN profile.display_style = 'summary' THEN
		replace(replace(body.value, '{sender}',
				COALESCE(NULLIF(m.sender_name, ''), sender.nickname, m.sender)),
			'{text}', COALESCE(m.translations ->> profile.language, m.body, ''))
	ELSE body.value END AS body,
	(SELECT greatest(count(*), 1)::int
	 FROM bench.node_message o
	 WHERE o.recipient = m.recipient AND o.chat_type <> 'chatroom'
		AND o.type <> 'cmd' AND o.sender <> o.recipient) AS badge,
	COALESCE(c.sound, 'default') AS sound,
	m.chat_type || ':' || m.conversation_id AS thread_id,
	floor(extract(epoch FROM
		LEAST(m.expires_at, m.created_at + s.push_ttl)))::int AS expiration
FROM (
		SELECT *
		FROM bench.node_message n
		WHERE n.id > $1
		ORDER BY n.id
		LIMIT $2) m
	CROSS JOIN imp_push.settings s
	LEFT JOIN imp_push.user_profile profile ON profile.user_id = m.recipient
	LEFT JOIN imp_push.user_profile sender ON sender.user_id = m.sender
	LEFT JOIN LATERAL (
		SELECT o.user_id
		FROM imp_push.presence o
			LEFT JOIN imp_push.im_node n ON n.name = o.node
		WHERE o.user_id = m.recipient AND o.status = 'online'
			AND COALESCE(LEAST(o.expires_at, n.expires_at) > now(), true)
		LIMIT 1) live ON true
	LEFT JOIN imp_push.dnd app
		ON app.user_id = m.recipient AND app.chat_type = 'app'
			AND app.conversation_id = ''
	LEFT JOIN imp_push.dnd conversation
		ON conversation.user_id = m.recipient
			AND conversation.chat_type = m.chat_type
			AND conversation.conversation_id = m.conversation_id
	CROSS JOIN LATERAL (
		SELECT (now() AT TIME ZONE
			COALESCE(profile.time_zone, s.default_time_zone))::time AS clock) here
	CROSS JOIN LATERAL (
		SELECT COALESCE(conversation.mode, app.mode, 'all') AS mode,
			COALESCE(app.dnd_until > now(), false)
				OR COALESCE(conversation.dnd_until > now(), false)
				OR COALESCE(CASE
					WHEN app.dnd_start < app.dnd_end THEN
						here.clock >= app.dnd_start AND here.clock < app.dnd_end
					WHEN app.dnd_start > app.dnd_end THEN
						here.clock >= app.dnd_start OR here.clock < app.dnd_end
					ELSE app.dnd_start <> '00:00' END, false) AS silent) quiet
	LEFT JOIN imp_push.device_token t ON t.user_id = m.recipient
	LEFT JOIN imp_push.certificate c ON c.name = t.certificate
	LEFT JOIN imp_push.presence p
		ON p.user_id = t.user_id AND p.device_id = t.device_id
	LEFT JOIN imp_push.builtin_text title
		ON title.language = COALESCE(profile.language, s.default_language)
			AND title.key = 'title'
	LEFT JOIN imp_push.builtin_text body
		ON body.language = COALESCE(profile.language, s.default_language)
			AND body.key = CASE WHEN profile.display_style = 'summary'
				THEN 'summary' ELSE 'body' END
ORDER BY m.id
