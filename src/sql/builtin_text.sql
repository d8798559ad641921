/*
 * builtin_text.sql
 *		The texts that imp_push brings along, in Chinese and English.
 *
 * Owns imp_push.builtin_text and the way from a person's language to a text.
 * The owner edits the texts and adds languages and message types; a dump
 * takes them along.
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

/*
 * The tags that a language matches, the nearest first: zh-Hans-CN, zh-Hans,
 * zh.  In lower case and with hyphens, as tags are compared: iOS also writes
 * zh_CN.
 */
CREATE FUNCTION imp_push.language_chain(language text) RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (
		SELECT pg_catalog.array_agg(pg_catalog.array_to_string(part[1:n], '-') ORDER BY n DESC)
		FROM (SELECT pg_catalog.string_to_array(
					pg_catalog.lower(pg_catalog.translate(language_chain.language, '_', '-')), '-') AS part) AS tag,
			pg_catalog.generate_series(1, pg_catalog.cardinality(part)) AS n);
COMMENT ON FUNCTION imp_push.language_chain(text) IS
'the language tags that a language matches, the nearest first: zh-hans-cn, zh-hans, zh';

/*
 * One built-in text for a person's language, else for the default language,
 * else in English.  For a batch: ask once for each language in it.
 */
CREATE FUNCTION imp_push.builtin_text_for(language text, default_language text, key text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (
		SELECT text.value
		FROM pg_catalog.unnest(
				imp_push.language_chain(builtin_text_for.language)
				|| imp_push.language_chain(builtin_text_for.default_language)
				|| ARRAY['en']) WITH ORDINALITY AS tag(language, rank)
			JOIN imp_push.builtin_text AS text
				ON pg_catalog.lower(pg_catalog.translate(text.language, '_', '-')) = tag.language
		WHERE text.key = builtin_text_for.key
		ORDER BY tag.rank
		LIMIT 1);
COMMENT ON FUNCTION imp_push.builtin_text_for(text, text, text) IS
'the built-in text of a key for a language, else for the default language, else in English';

SELECT pg_catalog.pg_extension_config_dump('imp_push.builtin_text', '');
