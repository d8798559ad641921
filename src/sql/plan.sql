-- Plan: who gets a push, and what it says.
--
-- decide() is the policy, 01 sections 2 to 6 from top to bottom, for a whole
-- batch of messages at a point in time.  The worker, simulate() and explain()
-- all call it, so it reads and never writes, and it never looks at the clock:
-- time is an argument.
--
-- It is inlined into the statements of its callers (one SELECT, no SET), so
-- that they are planned once.  A row goes through all stages before the next
-- one is read.  OFFSET 0, or LIMIT, keeps a subquery from being pulled up.  So
-- a condition on the outer row in it is tested before anything is read: who
-- gets nothing costs nothing.  And what it computes is computed once, and not
-- wherever it is used, which multiplies from stage to stage (without: 20 s to
-- plan the statement).
--
-- A message that comes alone waits for the statement to be made ready, which
-- takes longer than running it: for each index, column and expression, whether
-- it is needed or not.  So each stage is joined with all that follow, which
-- stand in the parentheses behind it: what it has found is handed in as
-- parameters, and no join copies more columns than the decision shows.
--
-- Whether a row exists is asked with SELECT true … LIMIT 1: for EXISTS in an
-- expression the planner may read the whole table into a hash, and does so for
-- good if the table was small when the worker planned its statements.

-- 01 section 3: what each check says when it fails.
CREATE FUNCTION imp_push.check_reasons() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['chat_room', 'own_message', 'type_not_pushed',
	'ignored_by_sender', 'expired', 'duplicate', 'online', 'dnd', 'mode_none',
	'not_mentioned', 'no_device_token', 'kicked', 'device_online', 'not_a_call',
	'sent_as_call', 'filtered', 'token_disabled', 'payload_too_large',
	'certificate_disabled', 'unbound'];
COMMENT ON FUNCTION imp_push.check_reasons() IS
	'reasons of the checks: 1 to 6 are about the message, 7 to 11 about the user, 12 to 19 about the binding; 20 stands for a binding that is gone';

CREATE FUNCTION imp_push.check_reason(check_no int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (imp_push.check_reasons())[check_no];
COMMENT ON FUNCTION imp_push.check_reason(int) IS 'reason of a check';

CREATE FUNCTION imp_push.check_number(reason text) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.array_position(imp_push.check_reasons(), reason);
COMMENT ON FUNCTION imp_push.check_number(text) IS
	'check of a reason; NULL if it is APNs'' or the transport''s';

CREATE FUNCTION imp_push.check_status(check_no int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE check_no WHEN 5 THEN 'expired' WHEN 18 THEN 'failed'
	ELSE 'suppressed' END;
COMMENT ON FUNCTION imp_push.check_status(int) IS
	'status of a message or push that fails a check';

CREATE TYPE imp_push.decision AS (
	message_id	bigint,
	msg_id		text,
	recipient	text,
	device_id	text,
	certificate	text,
	check_no	int,
	detail		jsonb,
	token		text,
	payload		text,
	topic		text,
	push_type	text,
	priority	int,
	expiration	bigint,
	collapse_id	text,
	apns_id		uuid,
	expires_at	timestamptz,
	created_at	timestamptz
);
COMMENT ON TYPE imp_push.decision IS
	'what becomes of a message, or of one of its bindings; check_no NULL is a push, otherwise the first check that fails';

CREATE FUNCTION imp_push.decide(
	messages imp_push.offline_message[],
	devices text[], certificates text[],
	at timestamptz)
RETURNS SETOF imp_push.decision
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT m.id, m.msg_id, m.recipient, d.device_id, d.certificate,
	d.check_no,
	CASE
		-- the usual case says nothing, so that the log stays small
		WHEN d.check_no IS NULL THEN
			CASE WHEN d.warnings <> '{}' THEN
					pg_catalog.jsonb_build_object('text_from', d.text_from,
						'warnings', d.warnings)
				WHEN d.text_from NOT LIKE 'display style %' THEN
					pg_catalog.jsonb_build_object('text_from', d.text_from)
			END
		WHEN d.check_no = 6 THEN
			pg_catalog.jsonb_build_object('message_id', d.earlier_message_id)
		WHEN d.check_no = 7 THEN d.live_detail
		WHEN d.check_no = 8 THEN
			pg_catalog.jsonb_build_object('by', d.silent_by,
				'until', d.silent_until)
		WHEN d.check_no IN (9, 10) THEN
			pg_catalog.jsonb_build_object('mode', d.mode,
				'mode_from', d.mode_from)
		WHEN d.check_no IN (12, 13) THEN d.status_detail
		WHEN d.check_no = 17 THEN
			pg_catalog.jsonb_build_object('disabled_at', d.disabled_at,
				'disabled_reason', d.disabled_reason)
	END,
	d.token, d.payload,
	CASE WHEN d.is_voip AND d.bundle_id NOT LIKE '%.voip'
		THEN d.bundle_id || '.voip' ELSE d.bundle_id END,
	CASE WHEN d.is_voip THEN 'voip' WHEN d.background THEN 'background'
		ELSE 'alert' END,
	CASE WHEN d.background THEN 5 ELSE 10 END,
	-- what has no push may have been over before all times
	CASE WHEN d.check_no IS NULL THEN pg_catalog.floor(EXTRACT(epoch FROM
		CASE WHEN d.is_voip THEN COALESCE(
				CASE WHEN pg_catalog.isfinite(m.expires_at) THEN m.expires_at END,
				pg_catalog.to_timestamp(0))
			ELSE d.expires_at END))::bigint END,
	CASE WHEN NOT d.is_voip THEN imp_push.collapse_id(
		COALESCE(NULLIF(imp_push.ext_text(d.apns, 'em_push_collapse_key'), ''),
			m.msg_id)) END,
	imp_push.apns_id(m.recipient, m.msg_id, d.device_id, d.certificate),
	d.expires_at, m.created_at
FROM (
		-- read once, the texts without compression
		SELECT o.push_ttl, o.push_cmd, o.multi_device_policy,
			o.advanced_features, o.force_bypasses_mode, o.default_time_zone,
			imp_push.language_key(o.default_language) AS fallback,
			o.default_language, v.texts || '{}' AS texts
		FROM imp_push.settings o, imp_push.vocabulary v
		OFFSET 0
	) s
	CROSS JOIN unnest(messages, devices, certificates)
		AS m(id, recipient, sender, chat_type, conversation_id, msg_id, type,
			body, sender_name, ext, translations, created_at, expires_at,
			queued_xid, device_id, certificate)
-- Section 3, the checks of the message.
CROSS JOIN LATERAL (
SELECT message.apns, message.expires_at, message.earlier_message_id, of_person.*
FROM (
	SELECT LEAST(m.expires_at, m.created_at + s.push_ttl) AS expires_at,
		imp_push.ext_object(m.ext, 'em_apns_ext') AS apns,
		imp_push.ext_object(m.ext, 'em_push_ext') AS push,
		imp_push.ext_object(m.ext, 'em_push_template') AS templates,
		imp_push.ext_flag(m.ext, 'em_force_notification') AS is_forced,
		COALESCE(imp_push.ext_text(m.ext -> 'em_push_ext', 'type') = 'call', false)
			AS is_call,
		m.chat_type = 'groupchat' AS is_group,
		CASE
			WHEN m.chat_type = 'chatroom' THEN 1
			WHEN m.sender = m.recipient THEN 2
			WHEN m.type = 'cmd' AND NOT s.push_cmd THEN 3
			WHEN imp_push.ext_flag(m.ext, 'em_ignore_notification') THEN 4
			WHEN at > LEAST(m.expires_at, m.created_at + s.push_ttl) THEN 5
			WHEN before.message_id IS NOT NULL THEN 6
		END AS failed,
		before.message_id AS earlier_message_id
	FROM (VALUES (true)) always
		LEFT JOIN LATERAL (
			SELECT l.message_id
			FROM imp_push.delivery_log l
			WHERE l.recipient = m.recipient
				AND l.msg_id = m.msg_id
				AND l.message_id <> m.id
			LIMIT 1
		) before ON true
	OFFSET 0
) message
-- The checks of the user.
CROSS JOIN LATERAL (
SELECT person.live_detail, person.mode, person.mode_from, person.silent_by,
	person.silent_until, of_binding.*
FROM (
	SELECT COALESCE(p.display_style, 'simple') AS display_style,
		COALESCE(p.language, s.default_language) AS language, p.template,
		CASE
			WHEN message.failed IS NOT NULL THEN message.failed
			WHEN live.device_id IS NOT NULL THEN 7
			WHEN quiet.silent AND NOT message.is_forced THEN 8
			WHEN message.is_forced AND s.force_bypasses_mode THEN NULL
			WHEN quiet.mode = 'none' THEN 9
			WHEN quiet.mode = 'mention_only' AND NOT imp_push.ext_mentions(
					COALESCE(imp_push.ext_mention_list(m.ext, 'em_at_list'),
						imp_push.ext_mention_list(message.apns, 'em_at_list')),
					m.recipient)
				THEN 10
		END AS failed,
		live.detail AS live_detail, quiet.mode, quiet.mode_from,
		quiet.silent_by, quiet.silent_until
	FROM (VALUES (true)) always
		LEFT JOIN LATERAL (
			SELECT o.device_id,
				pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
					'device_id', o.device_id, 'session', o.session,
					'node', o.node, 'since', o.changed_at)) AS detail
			FROM imp_push.live_device(at) o
			WHERE message.failed IS NULL
				AND s.multi_device_policy = 'all_offline'
				AND o.user_id = m.recipient
			ORDER BY o.device_id
			LIMIT 1
		) live ON true
		LEFT JOIN imp_push.user_profile p ON p.user_id = m.recipient
		LEFT JOIN LATERAL (
			SELECT rule.*
			FROM (VALUES (true)) always
				LEFT JOIN imp_push.dnd app
					ON app.user_id = m.recipient AND app.chat_type = 'app'
						AND app.conversation_id = ''
				LEFT JOIN imp_push.dnd conversation
					ON conversation.user_id = m.recipient
						AND conversation.chat_type = m.chat_type
						AND conversation.conversation_id =
							CASE m.chat_type WHEN 'chat' THEN m.sender
								ELSE m.conversation_id END
				CROSS JOIN LATERAL imp_push.dnd_rule(at, app, conversation,
					p.time_zone, s.default_time_zone) rule
			WHERE message.failed IS NULL AND live.device_id IS NULL
				AND s.advanced_features
				AND COALESCE(app.user_id, conversation.user_id) IS NOT NULL
			LIMIT 1
		) quiet ON true
	OFFSET 0
) person
-- The checks of the binding up to 17.  A message without a verdict meets each
-- binding of its recipient, an attempt at a binding only that one; that there
-- is none at all, 11, shows here as well.
CROSS JOIN LATERAL (
SELECT binding.device_id, binding.certificate, binding.token, binding.bundle_id,
	binding.is_voip, binding.status_detail, binding.disabled_at,
	binding.disabled_reason, push.*
FROM (
	SELECT COALESCE(b.device_id, m.device_id) AS device_id,
		COALESCE(b.certificate, m.certificate) AS certificate,
		b.token, b.bundle_id, b.sound, b.mutable_content, b.enabled, b.is_voip,
		CASE
			WHEN person.failed IS NOT NULL THEN person.failed
			WHEN b.device_id IS NULL AND m.device_id IS NULL THEN 11
			WHEN b.device_id IS NULL THEN 20
			WHEN b.status = 'kicked' THEN 12
			WHEN b.status = 'online' THEN 13
			WHEN b.is_voip AND NOT message.is_call THEN 14
			WHEN NOT b.is_voip AND b.other_is_meant THEN 15
			WHEN imp_push.ext_filter_excludes(m.ext -> 'em_push_filter',
					'device_id', b.device_id)
				OR imp_push.ext_filter_excludes(m.ext -> 'em_push_filter',
					'notifier_name', b.certificate)
				THEN 16
			WHEN b.disabled_at IS NOT NULL THEN 17
		END AS failed,
		CASE WHEN b.status IN ('kicked', 'online') THEN
			pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
				'session', b.session, 'node', b.node, 'since', b.changed_at))
			END AS status_detail,
		b.disabled_at, b.disabled_reason
	FROM (VALUES (true)) always
		LEFT JOIN LATERAL (
			SELECT t.device_id, t.certificate, t.token, t.disabled_at,
				t.disabled_reason, c.bundle_id, c.is_voip, c.sound,
				c.mutable_content, c.enabled, pr.session, pr.node, pr.changed_at,
				imp_push.device_status(pr.status, pr.expires_at, (
					SELECT n.expires_at
					FROM imp_push.im_node n
					WHERE n.name = pr.node), at) AS status,
				-- a call is for voip, and all else for the others
				CASE WHEN c.is_voip <> message.is_call THEN (
					SELECT true
					FROM imp_push.device_token o
					WHERE o.user_id = m.recipient AND o.device_id = t.device_id
						AND (o.disabled_at IS NULL OR NOT message.is_call)
						AND message.is_call = (
							SELECT oc.push_type = 'voip'
							FROM imp_push.certificate oc
							WHERE oc.name = o.certificate)
					LIMIT 1) END AS other_is_meant
			FROM imp_push.device_token t
				CROSS JOIN LATERAL (
					SELECT bound.bundle_id, bound.push_type = 'voip' AS is_voip,
						bound.sound, bound.mutable_content, bound.enabled
					FROM imp_push.certificate bound
					WHERE bound.name = t.certificate
					OFFSET 0
				) c
				LEFT JOIN imp_push.presence pr
					ON pr.user_id = t.user_id AND pr.device_id = t.device_id
			WHERE person.failed IS NULL
				AND t.user_id = m.recipient
				AND (m.device_id IS NULL
					OR (t.device_id = m.device_id AND t.certificate = m.certificate))
			OFFSET 0
		) b ON true
	-- 14: no row if another binding of the device has one; 12 and 13 come first
	WHERE NOT (b.is_voip AND b.other_is_meant AND m.device_id IS NULL
		AND b.status NOT IN ('kicked', 'online')) IS TRUE
	OFFSET 0
) binding
-- Sections 5 and 6, for those who get it.
CROSS JOIN LATERAL (
	SELECT rendered.payload, rendered.text_from, rendered.warnings,
		rendered.background,
		CASE
			WHEN binding.failed IS NOT NULL THEN binding.failed
			WHEN rendered.payload IS NULL THEN 18
			WHEN NOT binding.enabled THEN 19
		END AS check_no
	FROM (
		SELECT w.text_from, w.warnings, kind.background,
			CASE WHEN binding.failed IS NULL THEN imp_push.render_payload(
				kind.background,
				w.title,
				imp_push.ext_text(message.apns, 'em_alert_subTitle'),
				w.body,
				imp_push.ext_text(message.apns, 'em_push_title_loc_key'),
				imp_push.ext_array(message.apns, 'em_push_title_loc_args'),
				imp_push.ext_text(message.apns, 'em_push_body_loc_key'),
				imp_push.ext_array(message.apns, 'em_push_body_loc_args'),
				CASE WHEN NOT kind.background THEN
					COALESCE(imp_push.ext_badge(message.apns, 'em_push_badge'), (
						-- the message itself counts, stored or (in simulate) not
						SELECT GREATEST(1, pg_catalog.count(*)
							+ CASE WHEN m.type <> 'cmd' THEN 1 ELSE 0 END)::int
						FROM imp_push.offline_message o
						WHERE o.recipient = m.recipient AND o.id <> m.id
							AND imp_push.counts_for_badge(o))) END,
				CASE WHEN NOT imp_push.ext_flag(message.apns, 'em_push_ignore_sound') THEN
					COALESCE(imp_push.ext_text(message.apns, 'em_push_sound'),
						binding.sound, 'default') END,
				COALESCE(imp_push.ext_text(message.apns, 'thread_id'),
					m.chat_type || ':' || m.conversation_id),
				imp_push.ext_text(message.apns, 'em_push_category'),
				binding.mutable_content
					OR imp_push.ext_flag(message.apns, 'em_push_mutable_content'),
				imp_push.ext_flag(message.apns, 'em_push_content_available'),
				imp_push.ext_interruption_level(message.apns, 'interruption_level'),
				imp_push.ext_relevance_score(message.apns, 'relevance_score'),
				m.sender, m.recipient,
				CASE WHEN message.is_group THEN m.conversation_id END,
				m.msg_id,
				COALESCE(NULLIF(message.push -> 'custom', 'null'),
					message.apns -> 'extern'),
				message.apns - '{em_push_title,em_push_content,em_push_name,em_push_channel_id,em_huawei_push_badge_class,em_at_list}'::text[],
				CASE WHEN binding.is_voip THEN 5120 ELSE 4096 END)
			END AS payload
		FROM (
				SELECT imp_push.language_key(person.language) AS language,
					COALESCE(NOT binding.is_voip
						AND imp_push.ext_flag(message.apns, 'em_push_content_available')
						AND COALESCE(imp_push.ext_text(message.apns, 'em_push_title'),
							imp_push.ext_text(message.push, 'title')) = ''
						AND COALESCE(imp_push.ext_text(message.apns, 'em_push_content'),
							imp_push.ext_text(message.push, 'content')) = '', false) AS background
				OFFSET 0
			) kind
			LEFT JOIN LATERAL (
				SELECT x.*
				FROM imp_push.words(
					m.recipient, m.sender, m.sender_name, message.is_group,
					m.type, m.body, m.translations, message.apns, message.push,
					message.templates, person.display_style, kind.language,
					person.template, s.advanced_features, s.fallback,
					s.texts) x
				WHERE binding.failed IS NULL
				LIMIT 1
			) w ON true
		OFFSET 0
	) rendered
	OFFSET 0
) push
OFFSET 0) of_binding
OFFSET 0) of_person
OFFSET 0) d;
END;
COMMENT ON FUNCTION imp_push.decide(imp_push.offline_message[], text[], text[], timestamptz) IS
	'the policy: for each message one row, or one for each binding; check_no NULL is a push, otherwise the first check that fails.  devices and certificates name for each message the one binding to attempt, or are NULL for a first attempt at all of them';

-- What the worker gets of a decision.
CREATE TYPE imp_push.planned_push AS (
	message_id	bigint,
	msg_id		text,
	recipient	text,
	device_id	text,
	certificate	text,
	token		text,
	payload		text,
	topic		text,
	push_type	text,
	priority	int,
	expiration	bigint,
	collapse_id	text,
	apns_id		uuid,
	expires_at	timestamptz,
	detail		jsonb,
	attempts	int,
	waiting		boolean,
	probe		boolean,
	created_at	timestamptz
);
COMMENT ON TYPE imp_push.planned_push IS
	'a push for the worker to send; waiting: it has a row in waiting or direct_push; probe: it goes even if the circuit is open';
