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
-- plan the statement).  (MATERIALIZED would do the same, and cost half as much
-- again: every stage would be written and read as a whole.)
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
WITH
-- Section 3, the checks of the message.
message AS (
	SELECT m.id, m.recipient, m.sender, m.chat_type, m.conversation_id, m.msg_id,
		m.type, m.body, m.sender_name, m.translations,
		m.expires_at AS message_expires_at, m.device_id, m.certificate,
		m.chat_type = 'groupchat' AS is_group,
		m.created_at, LEAST(m.expires_at, m.created_at + s.push_ttl) AS expires_at,
		imp_push.ext_object(m.ext -> 'em_apns_ext') AS apns,
		imp_push.ext_object(m.ext -> 'em_push_ext') AS push,
		imp_push.ext_object(m.ext -> 'em_push_template') AS templates,
		imp_push.ext_object(m.ext -> 'em_push_filter') AS filter,
		imp_push.ext_flag(m.ext -> 'em_force_notification') AS is_forced,
		COALESCE(imp_push.ext_text(m.ext -> 'em_push_ext' -> 'type') = 'call', false) AS is_call,
		CASE
			WHEN m.chat_type = 'chatroom' THEN 1
			WHEN m.sender = m.recipient THEN 2
			WHEN m.type = 'cmd' AND NOT s.push_cmd THEN 3
			WHEN imp_push.ext_flag(m.ext -> 'em_ignore_notification') THEN 4
			WHEN at > LEAST(m.expires_at, m.created_at + s.push_ttl) THEN 5
			WHEN before.message_id IS NOT NULL THEN 6
		END AS failed,
		before.message_id AS earlier_message_id,
		m.ext -> 'em_at_list' AS outer_mentions,
		s AS settings
	FROM unnest(messages, devices, certificates)
			AS m(id, recipient, sender, chat_type, conversation_id, msg_id, type,
				body, sender_name, ext, translations, created_at, expires_at,
				queued_xid, device_id, certificate)
		CROSS JOIN imp_push.settings s
		LEFT JOIN LATERAL (
			SELECT l.message_id
			FROM imp_push.delivery_log l
			WHERE l.recipient = m.recipient
				AND l.msg_id = m.msg_id
				AND l.message_id <> m.id
			LIMIT 1
		) before ON true
	OFFSET 0
),
-- The checks of the user.
person AS (
	SELECT m.*,
		p.display_style, p.language, p.template,
		imp_push.ext_shown(COALESCE(NULLIF(m.sender_name, ''),
			CASE WHEN m.failed IS NULL AND live.device_id IS NULL THEN (
				SELECT NULLIF(n.nickname, '')
				FROM imp_push.user_profile n
				WHERE n.user_id = m.sender) END,
			m.sender)) AS shown_sender,
		CASE
			WHEN m.failed IS NOT NULL THEN m.failed
			WHEN live.device_id IS NOT NULL THEN 7
			WHEN quiet.silent AND NOT m.is_forced THEN 8
			WHEN quiet.mode = 'none' AND NOT (m.is_forced AND (m.settings).force_bypasses_mode)
				THEN 9
			WHEN quiet.mode = 'mention_only'
				AND NOT (m.is_forced AND (m.settings).force_bypasses_mode)
				AND NOT imp_push.ext_mentions(
					COALESCE(imp_push.ext_mention_list(m.outer_mentions),
						imp_push.ext_mention_list(m.apns -> 'em_at_list')),
					m.recipient)
				THEN 10
		END AS user_failed,
		live.detail AS live_detail, quiet.mode, quiet.mode_from,
		quiet.silent_by, quiet.silent_until
	FROM message m
		LEFT JOIN LATERAL (
			SELECT o.device_id,
				pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
					'device_id', o.device_id, 'session', o.session,
					'node', o.node, 'since', o.changed_at)) AS detail
			FROM imp_push.live_device(at) o
			WHERE m.failed IS NULL AND (m.settings).multi_device_policy = 'all_offline'
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
					p.time_zone, (m.settings).default_time_zone) rule
			WHERE m.failed IS NULL AND live.device_id IS NULL AND (m.settings).advanced_features
				AND COALESCE(app.user_id, conversation.user_id) IS NOT NULL
			LIMIT 1
		) quiet ON true
	OFFSET 0
),
-- The checks of the binding up to 17.  A message without a verdict meets each
-- binding of its recipient, an attempt at a binding only that one; that there
-- is none at all, 11, shows here as well.
binding AS (
	SELECT m.*,
		COALESCE(b.device_id, m.device_id) AS bound_device,
		COALESCE(b.certificate, m.certificate) AS bound_certificate,
		b.token, b.bundle_id, b.push_type AS certificate_type, b.sound,
		b.mutable_content, b.enabled,
		b.push_type = 'voip' AS is_voip,
		CASE
			WHEN m.user_failed IS NOT NULL THEN m.user_failed
			WHEN b.device_id IS NULL AND m.device_id IS NULL THEN 11
			WHEN b.device_id IS NULL THEN 20
			WHEN b.status = 'kicked' THEN 12
			WHEN b.status = 'online' THEN 13
			WHEN b.push_type = 'voip' AND NOT m.is_call THEN 14
			WHEN m.is_call AND b.push_type <> 'voip' AND (
				SELECT true
				FROM imp_push.device_token v
					JOIN imp_push.certificate vc ON vc.name = v.certificate
				WHERE v.user_id = m.recipient AND v.device_id = b.device_id
					AND vc.push_type = 'voip' AND v.disabled_at IS NULL
				LIMIT 1)
				THEN 15
			WHEN m.filter <> '{}' AND (
				imp_push.ext_filter_excludes(
					imp_push.ext_array(m.filter -> 'accept_device_id'),
					imp_push.ext_array(m.filter -> 'ignore_device_id'), b.device_id)
				OR imp_push.ext_filter_excludes(
					imp_push.ext_array(m.filter -> 'accept_notifier_name'),
					imp_push.ext_array(m.filter -> 'ignore_notifier_name'), b.certificate))
				THEN 16
			WHEN b.disabled_at IS NOT NULL THEN 17
		END AS binding_failed,
		CASE WHEN b.status IN ('kicked', 'online') THEN
			pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
				'session', b.session, 'node', b.node, 'since', b.changed_at))
			END AS binding_detail,
		b.disabled_at, b.disabled_reason
	FROM person m
		LEFT JOIN LATERAL (
			SELECT t.device_id, t.certificate, t.token, t.disabled_at,
				t.disabled_reason, c.bundle_id, c.push_type, c.sound,
				c.mutable_content, c.enabled, pr.session, pr.node, pr.changed_at,
				imp_push.device_status(pr.status, pr.expires_at, n.expires_at, at)
					AS status
			FROM imp_push.device_token t
				JOIN imp_push.certificate c ON c.name = t.certificate
				LEFT JOIN imp_push.presence pr
					ON pr.user_id = t.user_id AND pr.device_id = t.device_id
				LEFT JOIN imp_push.im_node n ON n.name = pr.node
			WHERE m.user_failed IS NULL
				AND t.user_id = m.recipient
				AND (m.device_id IS NULL
					OR (t.device_id = m.device_id AND t.certificate = m.certificate))
			OFFSET 0
		) b ON true
	-- 14: no row if another binding of the device has one; 12 and 13 come first
	WHERE CASE
		WHEN b.push_type = 'voip' AND NOT m.is_call AND m.device_id IS NULL
			AND b.status NOT IN ('kicked', 'online') THEN (
				SELECT true
				FROM imp_push.device_token o
					JOIN imp_push.certificate oc ON oc.name = o.certificate
				WHERE o.user_id = m.recipient AND o.device_id = b.device_id
					AND oc.push_type <> 'voip'
				LIMIT 1) IS NULL
		ELSE true END
	OFFSET 0
),
-- Sections 5 and 6, for those who get it.
rendered AS (
	SELECT b.*, w.text_from, w.warnings,
		CASE WHEN b.binding_failed IS NULL THEN imp_push.render_payload(
			CASE WHEN NOT kind.background THEN w.title END,
			CASE WHEN NOT kind.background THEN
				imp_push.ext_text(b.apns -> 'em_alert_subTitle') END,
			CASE WHEN NOT kind.background THEN w.body END,
			CASE WHEN NOT kind.background THEN
				imp_push.ext_text(b.apns -> 'em_push_title_loc_key') END,
			imp_push.ext_array(b.apns -> 'em_push_title_loc_args'),
			CASE WHEN NOT kind.background THEN
				imp_push.ext_text(b.apns -> 'em_push_body_loc_key') END,
			imp_push.ext_array(b.apns -> 'em_push_body_loc_args'),
			CASE WHEN NOT kind.background THEN
				COALESCE(imp_push.ext_badge(b.apns -> 'em_push_badge'), (
					-- the message itself counts, stored or (in simulate) not
					SELECT GREATEST(1, pg_catalog.count(*)
						+ CASE WHEN b.type <> 'cmd' THEN 1 ELSE 0 END)::int
					FROM imp_push.offline_message o
					WHERE o.recipient = b.recipient AND o.id <> b.id
						AND imp_push.counts_for_badge(o))) END,
			CASE WHEN NOT kind.background
				AND NOT imp_push.ext_flag(b.apns -> 'em_push_ignore_sound') THEN
				NULLIF(COALESCE(imp_push.ext_text(b.apns -> 'em_push_sound'),
					b.sound, 'default'), '') END,
			COALESCE(imp_push.ext_text(b.apns -> 'thread_id'),
				b.chat_type || ':' || b.conversation_id),
			imp_push.ext_text(b.apns -> 'em_push_category'),
			b.mutable_content
				OR imp_push.ext_flag(b.apns -> 'em_push_mutable_content'),
			imp_push.ext_flag(b.apns -> 'em_push_content_available'),
			imp_push.ext_interruption_level(b.apns -> 'interruption_level'),
			imp_push.ext_relevance_score(b.apns -> 'relevance_score'),
			b.sender, b.recipient,
			CASE WHEN b.is_group THEN b.conversation_id END,
			b.msg_id,
			kind.extra, kind.extra_is_leftover,
			CASE WHEN b.is_voip THEN 5120 ELSE 4096 END)
		END AS payload,
		kind.background
	FROM binding b
		CROSS JOIN LATERAL (
			SELECT v.texts,
				imp_push.language_key(COALESCE(b.language,
					(b.settings).default_language)) AS language,
				imp_push.language_key((b.settings).default_language) AS fallback,
				COALESCE(NOT b.is_voip
					AND imp_push.ext_flag(b.apns -> 'em_push_content_available')
					AND COALESCE(imp_push.ext_text(b.apns -> 'em_push_title'),
						imp_push.ext_text(b.push -> 'title')) = ''
					AND COALESCE(imp_push.ext_text(b.apns -> 'em_push_content'),
						imp_push.ext_text(b.push -> 'content')) = '', false) AS background,
				COALESCE(
					NULLIF(b.push -> 'custom', 'null'),
					NULLIF(b.apns -> 'extern', 'null'),
					NULLIF(b.apns - '{em_push_title,em_push_content,em_push_name,em_push_channel_id,em_huawei_push_badge_class,em_at_list}'::text[],
						'{}')) AS extra,
				NULLIF(b.push -> 'custom', 'null') IS NULL
					AND NULLIF(b.apns -> 'extern', 'null') IS NULL AS extra_is_leftover
			FROM imp_push.vocabulary v
			OFFSET 0
		) kind
		LEFT JOIN LATERAL (
			SELECT x.*
			FROM imp_push.words(
				b.recipient, b.sender, b.shown_sender, b.is_group, b.type, b.body,
				b.translations, b.apns, b.push, b.templates,
				COALESCE(b.display_style, 'simple'), kind.language,
				b.template, (b.settings).advanced_features, kind.fallback,
				kind.texts) x
			WHERE b.binding_failed IS NULL
			LIMIT 1
		) w ON true
	OFFSET 0
),
verdict AS (
	SELECT r.*,
		CASE
			WHEN r.binding_failed IS NOT NULL THEN r.binding_failed
			WHEN r.payload IS NULL THEN 18
			WHEN NOT r.enabled THEN 19
		END AS final_check
	FROM rendered r
)
SELECT v.id, v.msg_id, v.recipient, v.bound_device, v.bound_certificate,
	v.final_check,
	CASE COALESCE(v.final_check, 0)
		-- the usual case says nothing, so that the log stays small
		WHEN 0 THEN
			CASE WHEN v.warnings <> '{}' THEN
					pg_catalog.jsonb_build_object('text_from', v.text_from,
						'warnings', v.warnings)
				WHEN v.text_from NOT LIKE 'display style %' THEN
					pg_catalog.jsonb_build_object('text_from', v.text_from)
			END
		WHEN 6 THEN
			pg_catalog.jsonb_build_object('message_id', v.earlier_message_id)
		WHEN 7 THEN v.live_detail
		WHEN 8 THEN
			pg_catalog.jsonb_build_object('by', v.silent_by, 'until', v.silent_until)
		WHEN 9 THEN
			pg_catalog.jsonb_build_object('mode', v.mode, 'mode_from', v.mode_from)
		WHEN 10 THEN
			pg_catalog.jsonb_build_object('mode', v.mode, 'mode_from', v.mode_from)
		WHEN 12 THEN v.binding_detail
		WHEN 13 THEN v.binding_detail
		WHEN 17 THEN
			pg_catalog.jsonb_build_object('disabled_at', v.disabled_at,
				'disabled_reason', v.disabled_reason)
	END,
	v.token, v.payload,
	CASE WHEN v.is_voip AND v.bundle_id NOT LIKE '%.voip'
		THEN v.bundle_id || '.voip' ELSE v.bundle_id END,
	CASE WHEN v.is_voip THEN 'voip' WHEN v.background THEN 'background'
		ELSE 'alert' END,
	CASE WHEN v.background THEN 5 ELSE 10 END,
	-- what has no push may have been over before all times
	CASE WHEN v.final_check IS NULL THEN pg_catalog.floor(EXTRACT(epoch FROM
		CASE WHEN v.is_voip THEN COALESCE(
				CASE WHEN pg_catalog.isfinite(v.message_expires_at)
					THEN v.message_expires_at END,
				pg_catalog.to_timestamp(0))
			ELSE v.expires_at END))::bigint END,
	CASE WHEN NOT v.is_voip THEN imp_push.collapse_id(
		COALESCE(NULLIF(imp_push.ext_text(v.apns -> 'em_push_collapse_key'), ''),
			v.msg_id)) END,
	imp_push.apns_id(v.recipient, v.msg_id, v.bound_device, v.bound_certificate),
	v.expires_at, v.created_at
FROM verdict v;
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
