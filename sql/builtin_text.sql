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
ROLLBACK;

-- A wrong value is refused, and the error says what is allowed.
INSERT INTO imp_push.builtin_text VALUES ('English', 'title', 'x'), ('e', 'title', 'x');
INSERT INTO imp_push.builtin_text VALUES ('en', '', 'x');
UPDATE imp_push.builtin_text SET value = NULL WHERE (language, key) = ('en', 'title');
