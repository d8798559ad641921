/*
 * dnd.sql
 *		Push modes and do-not-disturb.
 *
 * Owns imp_push.dnd and the one rule that says what a mode and a silence are
 * at a point in time: dnd_rule().  The plan, simulate, explain and get_dnd all
 * ask it.  Must never ask for the time itself.
 */

CREATE TABLE imp_push.dnd (
	user_id text COLLATE "C" NOT NULL,
	chat_type text COLLATE "C" NOT NULL DEFAULT 'app',
	conversation_id text COLLATE "C" NOT NULL DEFAULT '',
	mode text,
	dnd_start time,
	dnd_end time,
	dnd_until timestamptz,
	PRIMARY KEY (user_id, chat_type, conversation_id)
);

COMMENT ON TABLE imp_push.dnd IS
'push modes and do-not-disturb, for the app as a whole or for one conversation';
COMMENT ON COLUMN imp_push.dnd.user_id IS
'the user';
COMMENT ON COLUMN imp_push.dnd.chat_type IS
'app: the app as a whole; chat: the conversation with a user; groupchat: a group';
COMMENT ON COLUMN imp_push.dnd.conversation_id IS
'empty for app, the peer''s user id for chat, the group id for groupchat';
COMMENT ON COLUMN imp_push.dnd.mode IS
'all, mention_only or none; NULL: a conversation has the app''s, the app has all';
COMMENT ON COLUMN imp_push.dnd.dnd_start IS
'start of the daily interval, on the wall clock of the user; app only';
COMMENT ON COLUMN imp_push.dnd.dnd_end IS
'end of the daily interval, not part of it; before the start: on the next day; equal: the whole day, but 00:00 to 00:00 is off';
COMMENT ON COLUMN imp_push.dnd.dnd_until IS
'silent until this moment';

CREATE TRIGGER dnd_check_user BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN ((NEW.user_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('user_id', 'shown', 'It must name the user.');
CREATE TRIGGER dnd_check_chat_type BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN ((NEW.chat_type IN ('app', 'chat', 'groupchat')) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('chat_type', 'shown', 'Allowed are app, chat and groupchat.');
CREATE TRIGGER dnd_check_conversation BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN (((NEW.chat_type = 'app') = (NEW.conversation_id = '')) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('conversation_id', 'shown',
		'It must be empty for app, the peer''s user id for chat, and the group id for groupchat.');
CREATE TRIGGER dnd_check_mode BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN (NEW.mode NOT IN ('all', 'mention_only', 'none'))
	EXECUTE FUNCTION imp_push.refuse('mode', 'shown', 'Allowed are all, mention_only and none, or NULL to inherit.');
CREATE TRIGGER dnd_check_start BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN (NEW.dnd_start IS NULL AND NEW.dnd_end IS NOT NULL)
	EXECUTE FUNCTION imp_push.refuse('dnd_start', 'shown', 'An interval needs both dnd_start and dnd_end.');
CREATE TRIGGER dnd_check_end BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN (NEW.dnd_start IS NOT NULL AND NEW.dnd_end IS NULL)
	EXECUTE FUNCTION imp_push.refuse('dnd_end', 'shown', 'An interval needs both dnd_start and dnd_end.');
CREATE TRIGGER dnd_check_interval_level BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW WHEN (NEW.chat_type <> 'app' AND NEW.dnd_start IS NOT NULL)
	EXECUTE FUNCTION imp_push.refuse('dnd_start', 'shown',
		'Only the app as a whole can have an interval.', 'Use dnd_until to silence a conversation.');

/*
 * For dnd and template.  A row trigger, and none for the statement: pg_restore
 * runs a COPY even where no row was dumped.  Runs as the owner: writers have
 * no rights on settings.
 */
CREATE FUNCTION imp_push.need_advanced_features() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT (SELECT advanced_features FROM imp_push.settings) THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('cannot write to imp_push.%s while the advanced features are off', TG_TABLE_NAME),
			DETAIL = 'Modes, do-not-disturb and templates are switched off for the whole app.',
			HINT = 'UPDATE imp_push.settings SET advanced_features = true switches them on.';
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION imp_push.need_advanced_features() IS
'trigger: refuses writing while settings.advanced_features is off';

CREATE TRIGGER dnd_need_advanced_features BEFORE INSERT OR UPDATE ON imp_push.dnd
	FOR EACH ROW EXECUTE FUNCTION imp_push.need_advanced_features();

/*
 * The wall clock.  In C, because only C can find the moments at which a zone
 * changes its clocks.
 */
CREATE FUNCTION imp_push.interval_end(at timestamptz, time_zone text, default_time_zone text,
		dnd_start time, dnd_end time) RETURNS timestamptz
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'imp_push_interval_end';
COMMENT ON FUNCTION imp_push.interval_end(timestamptz, text, text, time, time) IS
'when the daily interval ends that is on at this moment, infinity if it never does; NULL if none is on';

/*
 * The rule.  app and conversation are the rows of dnd of the two levels, NULL
 * where there is none; time_zone is the user's.
 *
 * own holds the end of each silence that is on.  They are a union: the
 * silence ends with the longest of them, unless the interval has begun by
 * then and goes on.  silent_by is the longest, not the one that follows it.
 *
 * OFFSET 0 has each clock read once, and not wherever its reading is used.
 */
CREATE FUNCTION imp_push.dnd_rule(at timestamptz, app imp_push.dnd, conversation imp_push.dnd,
		time_zone text, default_time_zone text)
	RETURNS TABLE (mode text, mode_from text, silent boolean, silent_by text, silent_until timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
	SELECT
		COALESCE((conversation).mode, (app).mode, 'all'),
		CASE
			WHEN (conversation).mode IS NOT NULL THEN 'conversation'
			WHEN (app).mode IS NOT NULL THEN 'app'
			ELSE 'default'
		END,
		whole.ends IS NOT NULL,
		CASE GREATEST(own.app_interval, own.app_duration, own.conversation_duration)
			WHEN own.app_interval THEN 'app interval'
			WHEN own.app_duration THEN 'app duration'
			WHEN own.conversation_duration THEN 'conversation duration'
		END,
		whole.ends
	FROM (
			SELECT
				imp_push.interval_end(at, time_zone, default_time_zone, (app).dnd_start, (app).dnd_end) AS app_interval,
				CASE WHEN (app).dnd_until > at THEN (app).dnd_until END AS app_duration,
				CASE WHEN (conversation).dnd_until > at THEN (conversation).dnd_until END AS conversation_duration
			OFFSET 0
		) AS own,
		LATERAL (
			SELECT COALESCE(
				imp_push.interval_end(GREATEST(at, own.app_duration, own.conversation_duration),
					time_zone, default_time_zone, (app).dnd_start, (app).dnd_end),
				GREATEST(own.app_duration, own.conversation_duration)) AS ends
			OFFSET 0
		) AS whole;
END;
COMMENT ON FUNCTION imp_push.dnd_rule(timestamptz, imp_push.dnd, imp_push.dnd, text, text) IS
'mode and silence that the two rows of dnd make at a point in time: the one rule for plan, simulate, explain and get_dnd';

CREATE FUNCTION imp_push.get_dnd(user_id text, chat_type text DEFAULT 'app', conversation_id text DEFAULT '',
		at timestamptz DEFAULT pg_catalog.now())
	RETURNS TABLE (mode text, mode_from text, silent boolean, silent_by text, silent_until timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT rule.mode, rule.mode_from, rule.silent, rule.silent_by, rule.silent_until
	FROM imp_push.settings
		LEFT JOIN imp_push.user_profile AS profile ON profile.user_id = get_dnd.user_id
		LEFT JOIN imp_push.dnd AS app
			ON app.user_id = get_dnd.user_id AND app.chat_type = 'app' AND settings.advanced_features
		LEFT JOIN imp_push.dnd AS conversation
			ON conversation.user_id = get_dnd.user_id
				AND conversation.chat_type = get_dnd.chat_type
				AND conversation.conversation_id = get_dnd.conversation_id
				AND conversation.chat_type <> 'app'
				AND settings.advanced_features
		CROSS JOIN LATERAL imp_push.dnd_rule(get_dnd.at, app, conversation, profile.time_zone,
			settings.default_time_zone) AS rule;
END;
COMMENT ON FUNCTION imp_push.get_dnd(text, text, text, timestamptz) IS
'effective mode of a conversation and the level it comes from; whether it is silent at that time, by what, until when';

/*
 * The conveniences leave no row that says nothing.
 */
CREATE FUNCTION imp_push.drop_empty_dnd(user_id text, chat_type text, conversation_id text) RETURNS void
	LANGUAGE sql VOLATILE
BEGIN ATOMIC
	DELETE FROM imp_push.dnd AS row
		WHERE row.user_id = drop_empty_dnd.user_id
			AND row.chat_type = drop_empty_dnd.chat_type
			AND row.conversation_id = drop_empty_dnd.conversation_id
			AND row.mode IS NULL AND row.dnd_start IS NULL AND row.dnd_until IS NULL;
END;
COMMENT ON FUNCTION imp_push.drop_empty_dnd(text, text, text) IS
'deletes a row of dnd that says nothing';

CREATE FUNCTION imp_push.set_mode(user_id text, mode text, chat_type text DEFAULT 'app',
		conversation_id text DEFAULT '') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, mode)
		VALUES (set_mode.user_id, set_mode.chat_type, set_mode.conversation_id, set_mode.mode)
	ON CONFLICT ON CONSTRAINT dnd_pkey DO UPDATE SET mode = EXCLUDED.mode;
	PERFORM imp_push.drop_empty_dnd(set_mode.user_id, set_mode.chat_type, set_mode.conversation_id);
END $$;
COMMENT ON FUNCTION imp_push.set_mode(text, text, text, text) IS
'sets the mode of the app or of a conversation; NULL clears it';

CREATE FUNCTION imp_push.set_dnd_interval(user_id text, start time, "end" time) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO imp_push.dnd (user_id, dnd_start, dnd_end)
		VALUES (set_dnd_interval.user_id, set_dnd_interval.start, set_dnd_interval."end")
	ON CONFLICT ON CONSTRAINT dnd_pkey DO UPDATE SET dnd_start = EXCLUDED.dnd_start, dnd_end = EXCLUDED.dnd_end;
	PERFORM imp_push.drop_empty_dnd(set_dnd_interval.user_id, 'app', '');
END $$;
COMMENT ON FUNCTION imp_push.set_dnd_interval(text, time, time) IS
'sets the daily interval of do-not-disturb; NULL, NULL ends it';

CREATE FUNCTION imp_push.set_dnd_duration(user_id text, minutes integer, chat_type text DEFAULT 'app',
		conversation_id text DEFAULT '') RETURNS timestamptz
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ends constant timestamptz := now() + make_interval(mins => minutes);
BEGIN
	IF (minutes BETWEEN 0 AND 10080) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid number of minutes: %s', COALESCE(minutes::text, 'null')),
			DETAIL = 'It must be from 0 to 10080 (7 days); 0 ends do-not-disturb.';
	END IF;

	INSERT INTO imp_push.dnd (user_id, chat_type, conversation_id, dnd_until)
		VALUES (set_dnd_duration.user_id, set_dnd_duration.chat_type, set_dnd_duration.conversation_id,
			CASE WHEN minutes > 0 THEN ends END)
	ON CONFLICT ON CONSTRAINT dnd_pkey DO UPDATE SET dnd_until = EXCLUDED.dnd_until;
	PERFORM imp_push.drop_empty_dnd(set_dnd_duration.user_id, set_dnd_duration.chat_type,
		set_dnd_duration.conversation_id);
	RETURN ends;
END $$;
COMMENT ON FUNCTION imp_push.set_dnd_duration(text, integer, text, text) IS
'silences the app or a conversation for 0 to 10080 minutes from now, in place of an earlier duration; 0 ends it; returns the end';

SELECT pg_catalog.pg_extension_config_dump('imp_push.dnd', '');
