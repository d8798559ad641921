-- Two languages, each with the same keys.
SELECT key, zh.value, en.value
	FROM (SELECT * FROM imp_push.builtin_text WHERE language = 'zh') AS zh
		FULL JOIN (SELECT * FROM imp_push.builtin_text WHERE language = 'en') AS en USING (key)
	ORDER BY key COLLATE "C";

-- The owner edits texts and adds languages and types.
BEGIN;
UPDATE imp_push.builtin_text SET value = 'New message' WHERE (language, key) = ('en', 'title');
INSERT INTO imp_push.builtin_text VALUES ('en', 'red_packet', '[Red packet]'), ('zh-Hant', 'title', '您有一則新訊息');

-- Inserting an existing key is an update, whatever ON CONFLICT says: a
-- restore does that.
INSERT INTO imp_push.builtin_text VALUES ('en', 'body', 'Tap here');
INSERT INTO imp_push.builtin_text VALUES ('en', 'img', '[Picture]') ON CONFLICT DO NOTHING;
SELECT key, value FROM imp_push.builtin_text
	WHERE language = 'en' AND key IN ('title', 'body', 'img', 'red_packet') ORDER BY key COLLATE "C";

-- A language matches zh-Hant-TW, then zh-Hant, then zh; else the default
-- language does; else English.
SELECT imp_push.language_chain('zh-Hant-TW'), imp_push.language_chain('zh_CN'), imp_push.language_chain(NULL);
SELECT language, default_language, imp_push.builtin_text_for(language, default_language, 'title'),
		imp_push.builtin_text_for(language, default_language, 'red_packet')
	FROM (VALUES ('zh-Hant-TW', 'en'), ('zh-Hans-CN', 'en'), ('ZH_cn', 'en'), ('fr', 'zh'), (NULL, 'zh'), ('fr', 'de-AT'))
		AS asked (language, default_language);
SELECT imp_push.builtin_text_for('en', 'zh', 'no such key');
ROLLBACK;

-- A wrong value is refused, and the error says what is allowed.
INSERT INTO imp_push.builtin_text VALUES ('English', 'title', 'x'), ('e', 'title', 'x');
INSERT INTO imp_push.builtin_text VALUES ('en', '', 'x');
UPDATE imp_push.builtin_text SET value = NULL WHERE (language, key) = ('en', 'title');
