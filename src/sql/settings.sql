/*
 * settings.sql
 *		The policy of the app: one row.
 *
 * Ids are COLLATE "C" in all tables: they are compared exactly, and an index
 * on them costs a memcmp and not the locale's rules.
 *
 * Owns imp_push.settings, and the functions by which every table says what is
 * wrong with a value.  There must always be exactly one row, and it must never
 * take a value that could have a message pushed twice.
 */

/*
 * Checks are triggers whose WHEN says what is wrong:
 *
 *	CREATE TRIGGER … BEFORE INSERT OR UPDATE … FOR EACH ROW
 *		WHEN (what is wrong)
 *		EXECUTE FUNCTION imp_push.refuse(column, 'shown' | 'hidden', what is allowed [, hint])
 *
 * They cost nothing but the WHEN, their errors say what is allowed, and they
 * fire before any constraint, whose error would log the whole row.
 */
CREATE FUNCTION imp_push.refuse() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'imp_push_refuse';
COMMENT ON FUNCTION imp_push.refuse() IS
'trigger: raises the error for a value that its WHEN found wrong; arguments: column, shown or hidden, what is allowed, hint';

CREATE FUNCTION imp_push.refuse_value(table_name text, column_name text, value text, hidden boolean, detail text,
		hint text DEFAULT NULL) RETURNS void
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'imp_push_refuse_value';
COMMENT ON FUNCTION imp_push.refuse_value(text, text, text, boolean, text, text) IS
'raises the error for a value that a column does not take; hidden keeps value, statement and context out of the log';

CREATE FUNCTION imp_push.refuse_call(sqlstate text, message text, hint text) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imp_push_refuse_call';
COMMENT ON FUNCTION imp_push.refuse_call(text, text, text) IS
'raises the error for a call that was given something private; keeps statement and context out of the log';

CREATE FUNCTION imp_push.is_time_zone(name text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'imp_push_is_time_zone';
COMMENT ON FUNCTION imp_push.is_time_zone(text) IS
'whether this server knows a time zone of that IANA name';

CREATE FUNCTION imp_push.check_time_zone() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'imp_push_check_time_zone';
COMMENT ON FUNCTION imp_push.check_time_zone() IS
'trigger: refuses a column that is neither NULL nor the IANA name of a time zone; argument: the column';

CREATE TABLE imp_push.settings (
	multi_device_policy text NOT NULL DEFAULT 'all_offline',
	advanced_features boolean NOT NULL DEFAULT true,
	default_language text NOT NULL DEFAULT 'zh',
	default_time_zone text NOT NULL,
	push_cmd boolean NOT NULL DEFAULT false,
	force_bypasses_mode boolean NOT NULL DEFAULT false,
	push_unacknowledged boolean NOT NULL DEFAULT false,
	record_suppressed boolean NOT NULL DEFAULT true,
	push_ttl interval NOT NULL DEFAULT '1 day',
	offline_retention interval NOT NULL DEFAULT '7 days',
	single_chat_limit integer NOT NULL DEFAULT 500,
	group_chat_limit integer NOT NULL DEFAULT 200,
	delivery_retention interval NOT NULL DEFAULT '7 days'
);

CREATE UNIQUE INDEX settings_one_row ON imp_push.settings ((true));

-- There is no column to identify the one row by.
ALTER TABLE imp_push.settings REPLICA IDENTITY FULL;

COMMENT ON TABLE imp_push.settings IS
'the policy of the app: exactly one row; change it with UPDATE';
COMMENT ON COLUMN imp_push.settings.multi_device_policy IS
'all_offline: push only while no device of the user is online; any_offline: push to every device that is not online';
COMMENT ON COLUMN imp_push.settings.advanced_features IS
'modes, do-not-disturb and templates; imp_push.disable_advanced_features() switches them off';
COMMENT ON COLUMN imp_push.settings.default_language IS
'language of the texts for people whose own has none';
COMMENT ON COLUMN imp_push.settings.default_time_zone IS
'IANA time zone of people who have none of their own';
COMMENT ON COLUMN imp_push.settings.push_cmd IS
'whether messages of type cmd are pushed';
COMMENT ON COLUMN imp_push.settings.force_bypasses_mode IS
'whether ext.em_force_notification overrides the mode too, and not do-not-disturb alone';
COMMENT ON COLUMN imp_push.settings.push_unacknowledged IS
'whether messages that nobody acknowledged are pushed when the user''s last online device turns offline';
COMMENT ON COLUMN imp_push.settings.record_suppressed IS
'whether messages suppressed as a whole leave a row in delivery';
COMMENT ON COLUMN imp_push.settings.push_ttl IS
'how late a push may still go out';
COMMENT ON COLUMN imp_push.settings.offline_retention IS
'how long messages are stored';
COMMENT ON COLUMN imp_push.settings.single_chat_limit IS
'stored single-chat messages a recipient, about';
COMMENT ON COLUMN imp_push.settings.group_chat_limit IS
'stored group messages a recipient, about';
COMMENT ON COLUMN imp_push.settings.delivery_retention IS
'how long delivery remembers, at least; not below push_ttl';

/*
 * A restore inserts the dumped row into a table that CREATE EXTENSION has
 * filled.  So inserting is updating, whatever ON CONFLICT says.
 */
CREATE FUNCTION imp_push.settings_insert_is_update() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE imp_push.settings SET
		multi_device_policy = NEW.multi_device_policy,
		advanced_features = NEW.advanced_features,
		default_language = NEW.default_language,
		default_time_zone = coalesce(NEW.default_time_zone, settings.default_time_zone),
		push_cmd = NEW.push_cmd,
		force_bypasses_mode = NEW.force_bypasses_mode,
		push_unacknowledged = NEW.push_unacknowledged,
		record_suppressed = NEW.record_suppressed,
		push_ttl = NEW.push_ttl,
		offline_retention = NEW.offline_retention,
		single_chat_limit = NEW.single_chat_limit,
		group_chat_limit = NEW.group_chat_limit,
		delivery_retention = NEW.delivery_retention;
	RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END $$;
COMMENT ON FUNCTION imp_push.settings_insert_is_update() IS
'trigger: makes an INSERT into settings an UPDATE of its one row';

CREATE TRIGGER settings_1_insert_is_update BEFORE INSERT ON imp_push.settings
	FOR EACH ROW EXECUTE FUNCTION imp_push.settings_insert_is_update();

CREATE FUNCTION imp_push.settings_stay() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE object_not_in_prerequisite_state USING
		MESSAGE = 'the row of imp_push.settings cannot be deleted',
		HINT = 'Use UPDATE to change settings.';
END $$;
COMMENT ON FUNCTION imp_push.settings_stay() IS
'trigger: keeps the one row of settings';

CREATE TRIGGER settings_stay_row BEFORE DELETE ON imp_push.settings
	FOR EACH ROW EXECUTE FUNCTION imp_push.settings_stay();
CREATE TRIGGER settings_stay_table BEFORE TRUNCATE ON imp_push.settings
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.settings_stay();

/*
 * The advanced features go off by disable_advanced_features(), which asks
 * first, since it deletes what people have configured.  It does so with an
 * INSERT, which a restore may do as well: with nothing configured, nothing is
 * lost by it.
 */
CREATE FUNCTION imp_push.settings_keep_advanced() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF pg_trigger_depth() > 1
		AND NOT EXISTS (SELECT FROM imp_push.dnd)
		AND NOT EXISTS (SELECT FROM imp_push.template) THEN
		RETURN NEW;
	END IF;
	RAISE object_not_in_prerequisite_state USING
		MESSAGE = 'advanced_features cannot be switched off by writing to imp_push.settings',
		DETAIL = 'Switching them off deletes all modes, do-not-disturb and templates.',
		HINT = 'Use imp_push.disable_advanced_features(confirm => true).';
END $$;
COMMENT ON FUNCTION imp_push.settings_keep_advanced() IS
'trigger: advanced_features is switched off by its function alone';

CREATE TRIGGER settings_keep_advanced BEFORE UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (OLD.advanced_features AND NOT NEW.advanced_features)
	EXECUTE FUNCTION imp_push.settings_keep_advanced();

CREATE TRIGGER settings_check_policy BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.multi_device_policy IN ('all_offline', 'any_offline')) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('multi_device_policy', 'shown', 'Allowed are all_offline and any_offline.');
CREATE TRIGGER settings_check_language BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.default_language ~ '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('default_language', 'shown', 'It must be a language tag, such as zh, en or zh-Hans-CN.');
CREATE TRIGGER settings_check_time_zone BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW EXECUTE FUNCTION imp_push.check_time_zone('default_time_zone');
CREATE TRIGGER settings_check_time_zone_given BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.default_time_zone IS NULL)
	EXECUTE FUNCTION imp_push.refuse('default_time_zone', 'shown',
		'It must be the IANA name of a time zone, such as Asia/Shanghai.');
CREATE TRIGGER settings_check_advanced_features BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.advanced_features IS NULL)
	EXECUTE FUNCTION imp_push.refuse('advanced_features', 'shown', 'It is true or false.');
CREATE TRIGGER settings_check_push_cmd BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.push_cmd IS NULL)
	EXECUTE FUNCTION imp_push.refuse('push_cmd', 'shown', 'It is true or false.');
CREATE TRIGGER settings_check_force_bypasses_mode BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.force_bypasses_mode IS NULL)
	EXECUTE FUNCTION imp_push.refuse('force_bypasses_mode', 'shown', 'It is true or false.');
CREATE TRIGGER settings_check_push_unacknowledged BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.push_unacknowledged IS NULL)
	EXECUTE FUNCTION imp_push.refuse('push_unacknowledged', 'shown', 'It is true or false.');
CREATE TRIGGER settings_check_record_suppressed BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN (NEW.record_suppressed IS NULL)
	EXECUTE FUNCTION imp_push.refuse('record_suppressed', 'shown', 'It is true or false.');
CREATE TRIGGER settings_check_push_ttl BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.push_ttl > '0' AND NEW.push_ttl <= '100 years') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('push_ttl', 'shown', 'It must be longer than 0 and at most 100 years.');
CREATE TRIGGER settings_check_offline_retention BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.offline_retention > '0' AND NEW.offline_retention <= '100 years') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('offline_retention', 'shown', 'It must be longer than 0 and at most 100 years.');
CREATE TRIGGER settings_check_single_chat_limit BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.single_chat_limit > 0) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('single_chat_limit', 'shown', 'It must be greater than 0.');
CREATE TRIGGER settings_check_group_chat_limit BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW WHEN ((NEW.group_chat_limit > 0) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('group_chat_limit', 'shown', 'It must be greater than 0.');
CREATE TRIGGER settings_check_delivery_retention BEFORE INSERT OR UPDATE ON imp_push.settings
	FOR EACH ROW
	WHEN (NEW.delivery_retention IS NULL
		OR NOT (NEW.delivery_retention >= NEW.push_ttl AND NEW.delivery_retention <= '100 years'))
	EXECUTE FUNCTION imp_push.refuse('delivery_retention', 'shown',
		'It must be at least push_ttl and at most 100 years: what delivery has forgotten could be pushed again.',
		'Raise delivery_retention before or together with push_ttl.');

/*
 * The server's TimeZone, and not what this session has set.  A server may
 * have one that is no IANA name.
 */
INSERT INTO imp_push.settings (default_time_zone)
	SELECT CASE WHEN imp_push.is_time_zone(reset_val) THEN reset_val ELSE 'UTC' END
	FROM pg_catalog.pg_settings
	WHERE name = 'TimeZone';

SELECT pg_catalog.pg_extension_config_dump('imp_push.settings', '');
