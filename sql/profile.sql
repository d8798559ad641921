\set SHOW_CONTEXT never

INSERT INTO imp_push.user_profile (user_id) VALUES ('alice');
INSERT INTO imp_push.user_profile VALUES
	('bob', repeat('好', 100), 'summary', 'zh-Hans-CN', 'Asia/Shanghai', 'no_such_template'),
	('carol', 'Carol', 'simple', 'pt_BR', 'America/Sao_Paulo', NULL);
SELECT user_id, left(nickname, 5) AS nickname, display_style, language, time_zone, template
	FROM imp_push.user_profile ORDER BY 1;

-- A wrong value is refused, and the error says what is allowed.
UPDATE imp_push.user_profile SET nickname = repeat('好', 101) WHERE user_id = 'bob';
INSERT INTO imp_push.user_profile (user_id, nickname) VALUES (NULL, 'Dave');
INSERT INTO imp_push.user_profile (user_id, nickname) VALUES ('', 'Dave');
UPDATE imp_push.user_profile SET display_style = 'full' WHERE user_id = 'bob';
UPDATE imp_push.user_profile SET display_style = NULL WHERE user_id = 'bob';
UPDATE imp_push.user_profile SET language = 'zh Hans' WHERE user_id = 'bob';
UPDATE imp_push.user_profile SET time_zone = 'Beijing' WHERE user_id = 'bob';
UPDATE imp_push.user_profile SET time_zone = 'UTC+8' WHERE user_id = 'bob';
INSERT INTO imp_push.user_profile (user_id, time_zone) VALUES ('dave', '');

INSERT INTO imp_push.contact_remark VALUES ('alice', 'bob', 'Bobby'), ('bob', 'alice', 'Al');
UPDATE imp_push.contact_remark SET remark = NULL WHERE user_id = 'alice';
-- No error shows what people have written.
INSERT INTO imp_push.contact_remark VALUES (NULL, 'bob', 'Bobby');
INSERT INTO imp_push.contact_remark VALUES ('alice', NULL, 'Bobby');
INSERT INTO imp_push.contact_remark VALUES ('alice', '', 'Bobby');
INSERT INTO imp_push.contact_remark VALUES ('alice', 'bob', 'Rob')
	ON CONFLICT (user_id, contact_id) DO UPDATE SET remark = EXCLUDED.remark;
SELECT * FROM imp_push.contact_remark ORDER BY 1;

-- A zone that this server does not know any more stays as it is when other
-- columns change.
ALTER TABLE imp_push.user_profile DISABLE TRIGGER USER;
UPDATE imp_push.user_profile SET time_zone = 'Mars/Olympus' WHERE user_id = 'bob';
ALTER TABLE imp_push.user_profile ENABLE TRIGGER USER;
UPDATE imp_push.user_profile SET nickname = 'Bob' WHERE user_id = 'bob';
SELECT nickname, time_zone FROM imp_push.user_profile WHERE user_id = 'bob';

DELETE FROM imp_push.user_profile;
DELETE FROM imp_push.contact_remark;
