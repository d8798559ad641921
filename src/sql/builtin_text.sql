/*
 * builtin_text.sql
 *		The texts that imp_push brings along, in Chinese and English.
 *
 * Owns imp_push.builtin_text.  The owner edits the texts and adds languages and
 * message types; a dump takes them along.  Which of them a person gets is said
 * in words.sql.  Must never lose an edited text to a restore.
 */

CREATE TABLE imp_push.builtin_text (
	language text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	value text NOT NULL,
	PRIMARY KEY (language, key)
);

COMMENT ON TABLE imp_push.builtin_text IS
'texts of notifications: edit them, or add languages and message types';
COMMENT ON COLUMN imp_push.builtin_text.language IS
'language tag, such as zh, en or pt-BR';
COMMENT ON COLUMN imp_push.builtin_text.key IS
'title, body, summary (with {sender} and {text}), or a message type: what stands for a message without a body';
COMMENT ON COLUMN imp_push.builtin_text.value IS
'the text';

/*
 * A restore inserts the dumped texts into a table that CREATE EXTENSION has
 * filled.  So inserting an existing key is updating, whatever ON CONFLICT
 * says.
 */
CREATE FUNCTION imp_push.builtin_text_insert_is_update() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE imp_push.builtin_text SET value = NEW.value
		WHERE language = NEW.language AND key = NEW.key;
	RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END $$;
COMMENT ON FUNCTION imp_push.builtin_text_insert_is_update() IS
'trigger: makes an INSERT of an existing key an UPDATE';

CREATE TRIGGER builtin_text_1_insert_is_update BEFORE INSERT ON imp_push.builtin_text
	FOR EACH ROW EXECUTE FUNCTION imp_push.builtin_text_insert_is_update();

CREATE TRIGGER builtin_text_check_language BEFORE INSERT OR UPDATE ON imp_push.builtin_text
	FOR EACH ROW WHEN ((NEW.language ~ '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('language', 'shown', 'It must be a language tag, such as zh, en or pt-BR.');
CREATE TRIGGER builtin_text_check_key BEFORE INSERT OR UPDATE ON imp_push.builtin_text
	FOR EACH ROW WHEN ((NEW.key <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('key', 'shown', 'It must be title, body, summary or a message type.');
CREATE TRIGGER builtin_text_check_value BEFORE INSERT OR UPDATE ON imp_push.builtin_text
	FOR EACH ROW WHEN (NEW.value IS NULL)
	EXECUTE FUNCTION imp_push.refuse('value', 'shown', 'It must be a text.',
		'Delete the row to fall back to the default language.');

CREATE FUNCTION imp_push.language_key(tag text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.replace(pg_catalog.lower(tag), '_', '-');
COMMENT ON FUNCTION imp_push.language_key(text) IS
	'a language tag as languages are compared: zh_Hans and zh-hans are the same';

-- What a plan reads: all texts in one row, for it would take longer to gather
-- them for a message than to decide about it.
CREATE TABLE imp_push.vocabulary (
	one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
	texts jsonb NOT NULL
);
COMMENT ON TABLE imp_push.vocabulary IS
'builtin_text as one value, written by a trigger; not dumped';
COMMENT ON COLUMN imp_push.vocabulary.one_row IS 'there is one row';
COMMENT ON COLUMN imp_push.vocabulary.texts IS
'key → language, as language_key() has it → text';
INSERT INTO imp_push.vocabulary (texts) VALUES ('{}');

CREATE FUNCTION imp_push.builtin_text_to_vocabulary() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- one writer after the other, so that each sees what the one before wrote
	PERFORM FROM imp_push.vocabulary FOR UPDATE;
	UPDATE imp_push.vocabulary SET texts = COALESCE((
		SELECT jsonb_object_agg(k.key, k.texts)
		FROM (
			SELECT b.key,
				jsonb_object_agg(imp_push.language_key(b.language), b.value) AS texts
			FROM imp_push.builtin_text b
			GROUP BY b.key) k), '{}');
	RETURN NULL;
END $$;
COMMENT ON FUNCTION imp_push.builtin_text_to_vocabulary() IS
'trigger: keeps vocabulary';

CREATE TRIGGER builtin_text_to_vocabulary
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON imp_push.builtin_text
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.builtin_text_to_vocabulary();

INSERT INTO imp_push.builtin_text (language, key, value) VALUES
	('zh', 'title', '您有一条新消息'),
	('zh', 'body', '请点击查看'),
	('zh', 'summary', '{sender}：{text}'),
	('zh', 'img', '[图片]'),
	('zh', 'audio', '[语音]'),
	('zh', 'video', '[视频]'),
	('zh', 'loc', '[位置]'),
	('zh', 'file', '[文件]'),
	('zh', 'custom', '[自定义消息]'),
	('zh', 'combine', '[聊天记录]'),
	('en', 'title', 'You have a new message'),
	('en', 'body', 'Tap to view'),
	('en', 'summary', '{sender}: {text}'),
	('en', 'img', '[Image]'),
	('en', 'audio', '[Audio]'),
	('en', 'video', '[Video]'),
	('en', 'loc', '[Location]'),
	('en', 'file', '[File]'),
	('en', 'custom', '[Custom message]'),
	('en', 'combine', '[Chat history]');

SELECT pg_catalog.pg_extension_config_dump('imp_push.builtin_text', '');
