/*
 * people.sql
 *		Conveniences for the IM server: people and their devices.
 *
 * Owns no table.  Must never do what plain SQL on the tables would not do:
 * the rules are in the tables' triggers.
 */

CREATE FUNCTION imp_push.bind_device(user_id text, device_id text, certificate text, token text) RETURNS void
	LANGUAGE sql VOLATILE
BEGIN ATOMIC
	INSERT INTO imp_push.device_token AS binding (user_id, device_id, certificate, token)
		VALUES (bind_device.user_id, bind_device.device_id, bind_device.certificate, bind_device.token)
	ON CONFLICT ON CONSTRAINT device_token_pkey DO UPDATE SET token = EXCLUDED.token;
END;
COMMENT ON FUNCTION imp_push.bind_device(text, text, text, text) IS
'binds a device to a token, or registers its token anew';

CREATE FUNCTION imp_push.unbind_device(user_id text, device_id text, certificate text DEFAULT NULL) RETURNS void
	LANGUAGE sql VOLATILE
BEGIN ATOMIC
	DELETE FROM imp_push.device_token AS binding
		WHERE binding.user_id = unbind_device.user_id
			AND binding.device_id = unbind_device.device_id
			AND (unbind_device.certificate IS NULL OR binding.certificate = unbind_device.certificate);
END;
COMMENT ON FUNCTION imp_push.unbind_device(text, text, text) IS
'ends one binding of a device, or all of them';

CREATE FUNCTION imp_push.logout(user_id text, device_id text, unbind boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF unbind IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'unbind must not be null',
			DETAIL = 'Allowed are true, which ends the device''s bindings, and false, which lets pushes go on.';
	END IF;
	PERFORM imp_push.set_presence(logout.user_id, logout.device_id, 'logged_out');
	IF unbind THEN
		PERFORM imp_push.unbind_device(logout.user_id, logout.device_id);
	END IF;
END $$;
COMMENT ON FUNCTION imp_push.logout(text, text, boolean) IS
'logs a device out; unless its bindings end too, pushes go on';

/*
 * The tables are locked against writers first, who would otherwise not see
 * the switch and leave rows behind it.
 */
CREATE FUNCTION imp_push.disable_advanced_features(confirm boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	dnd_rows bigint;
	templates bigint;
	choices bigint;
	now_in_force imp_push.settings;
BEGIN
	LOCK TABLE imp_push.dnd, imp_push.template, imp_push.user_profile IN SHARE ROW EXCLUSIVE MODE;

	IF confirm IS NOT TRUE THEN
		SELECT count(*) INTO dnd_rows FROM imp_push.dnd;
		SELECT count(*) INTO templates FROM imp_push.template;
		SELECT count(*) INTO choices FROM imp_push.user_profile WHERE template IS NOT NULL;
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'disabling the advanced features deletes all of their configuration',
			DETAIL = format('Rows of imp_push.dnd: %s; rows of imp_push.template: %s; users with a chosen template: %s.',
				dnd_rows, templates, choices),
			HINT = 'Call imp_push.disable_advanced_features(confirm => true) if that is what you want.';
	END IF;

	DELETE FROM imp_push.dnd;
	DELETE FROM imp_push.template;
	UPDATE imp_push.user_profile SET template = NULL WHERE template IS NOT NULL;

	-- by INSERT, because an UPDATE is refused: see settings_keep_advanced()
	SELECT * INTO STRICT now_in_force FROM imp_push.settings;
	now_in_force.advanced_features := false;
	INSERT INTO imp_push.settings SELECT now_in_force.*;
END $$;
COMMENT ON FUNCTION imp_push.disable_advanced_features(boolean) IS
'switches modes, do-not-disturb and templates off and deletes all of their configuration; without confirm it fails and says how much that is';
