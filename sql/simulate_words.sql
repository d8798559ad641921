-- What a notification says: styles, languages, names, templates, as simulate()
-- tells.
\set ECHO none
\i sql/include/cases.sql
\set ECHO all
UPDATE imp_push.settings SET default_language = 'en';

-- People, by style and language; each has a phone.
INSERT INTO imp_push.user_profile (user_id, display_style, language) VALUES
	('simple en', 'simple', 'en'), ('summary en', 'summary', 'en'), ('simple zh', 'simple', 'zh'), ('summary zh', 'summary', 'zh'),
	('zh-Hans-CN', 'summary', 'zh-Hans-CN'), ('zh_CN', 'summary', 'zh_CN'), ('ZH-HANT', 'summary', 'ZH-HANT'), ('en-GB', 'summary', 'en-GB'),
	('fr', 'summary', 'fr'), ('none', 'summary', NULL), ('pt-BR', 'summary', 'pt-BR'), ('pt-PT', 'summary', 'pt-PT'), ('four', 'summary', 'zh-Hans-CN-x');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) SELECT user_id, 'iphone', 'app', md5(user_id) FROM imp_push.user_profile;

-- Styles in both languages.
INSERT INTO c (name, recipient, expected) VALUES
	('no profile', 'bob', '{"title": "You have a new message", "body": "Tap to view"}'),
	('simple en', 'simple en', '{"title": "You have a new message", "body": "Tap to view", "detail": null}'),
	('simple zh', 'simple zh', '{"title": "您有一条新消息", "body": "请点击查看"}'),
	('summary en', 'summary en', '{"title": "You have a new message", "body": "alice: hello", "detail": null}'),
	('summary zh', 'summary zh', '{"title": "您有一条新消息", "body": "alice：hello"}'),
	('zh-Hans-CN is zh', 'zh-Hans-CN', '{"body": "alice：hello"}'),
	('zh_CN is zh', 'zh_CN', '{"body": "alice：hello"}'),
	('ZH-HANT is zh', 'ZH-HANT', '{"body": "alice：hello"}'),
	('en-GB is en', 'en-GB', '{"body": "alice: hello"}'),
	('no French: the default', 'fr', '{"title": "You have a new message", "body": "alice: hello"}'),
	('no language: the default', 'none', '{"body": "alice: hello"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET default_language = 'zh-Hans-CN';
INSERT INTO c (name, recipient, expected) VALUES
	('the default is matched, too', 'fr', '{"title": "您有一条新消息", "body": "alice：hello"}'),
	('no profile', 'bob', '{"title": "您有一条新消息", "body": "请点击查看"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET default_language = 'de';
INSERT INTO c (name, recipient, expected) VALUES
	('neither: English', 'fr', '{"title": "You have a new message", "body": "alice: hello"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET default_language = 'en';

-- The owner adds languages and types, and edits texts.
INSERT INTO imp_push.builtin_text (language, key, value) VALUES
	('pt', 'title', 'Nova mensagem'), ('pt', 'summary', '{sender}: {text}'), ('pt-BR', 'title', 'Chegou mensagem'), ('zh-Hans', 'img', '[照片]'),
	('en', 'red_packet', '[Red packet]'), ('zh', 'red_packet', '[红包]');
INSERT INTO c (name, recipient, type, body, expected) VALUES
	('pt-BR', 'pt-BR', 'txt', 'oi', '{"title": "Chegou mensagem", "body": "alice: oi"}'),
	('pt-PT is pt', 'pt-PT', 'txt', 'oi', '{"title": "Nova mensagem"}'),
	('what pt has not is in English', 'pt-PT', 'img', '', '{"body": "alice: [Image]"}'),
	('zh-Hans before zh', 'zh-Hans-CN', 'img', '', '{"title": "您有一条新消息", "body": "alice：[照片]"}'),
	('a tag of four parts', 'four', 'img', '', '{"title": "您有一条新消息", "body": "alice：[照片]"}'),
	('one''s own type', 'summary zh', 'red_packet', '', '{"body": "alice：[红包]"}');
INSERT INTO c (name, recipient, type, body, expected)
SELECT l || ' ' || t || CASE WHEN b IS NULL THEN ' without' ELSE ' with an empty' END || ' body', 'summary ' || l, t, b,
	jsonb_build_object('body', CASE l WHEN 'zh' THEN 'alice：' || zh ELSE 'alice: ' || en END)
FROM unnest(ARRAY['en', 'zh']) l, unnest(ARRAY['', NULL]) b,
	(VALUES ('img', '[Image]', '[图片]'), ('audio', '[Audio]', '[语音]'), ('video', '[Video]', '[视频]'), ('loc', '[Location]', '[位置]'), ('file', '[File]', '[文件]'),
		('custom', '[Custom message]', '[自定义消息]'), ('combine', '[Chat history]', '[聊天记录]'), ('txt', '[Custom message]', '[自定义消息]'),
		('sticker', '[Custom message]', '[自定义消息]'),
		-- names of texts that are no types
		('title', '[Custom message]', '[自定义消息]'), ('body', '[Custom message]', '[自定义消息]'), ('summary', '[Custom message]', '[自定义消息]')) v(t, en, zh);
INSERT INTO c (name, recipient, type, body, expected) VALUES
	('a picture with words', 'summary en', 'img', 'look', '{"body": "alice: look"}'), ('a blank is no empty body', 'summary en', 'img', ' ', '{"body": "alice:  "}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.builtin_text SET value = '{text} ({sender}, {text}) {other}' WHERE language = 'pt' AND key = 'summary';
INSERT INTO c (name, recipient, sender, body, expected) VALUES
	('one pass', 'pt-PT', '{text}', '{sender} and {text}', '{"body": "{sender} and {text} ({text}, {sender} and {text}) {other}"}'),
	('no template in it', 'summary en', '{$msg}', '{0}{$fromNickname}', '{"body": "{$msg}: {0}{$fromNickname}"}');
SELECT * FROM pg_temp.check_cases();
DELETE FROM imp_push.builtin_text WHERE language LIKE 'pt%' OR language = 'zh-Hans' OR key = 'red_packet';

-- Translations, in the recipient's language, else the body.
INSERT INTO c (name, recipient, translations, type, body, expected)
SELECT r || ' ' || t, r, t::jsonb, 'txt', 'hello', jsonb_build_object('body', b)
FROM (VALUES
	('summary zh', '{"zh": "你好"}', 'alice：你好'), ('zh-Hans-CN', '{"zh": "你好"}', 'alice：你好'), ('zh-Hans-CN', '{"zh": "你好", "zh-Hans": "您好"}', 'alice：您好'),
	('zh-Hans-CN', '{"zh_hans_cn": "嗨", "zh-Hans": "您好"}', 'alice：嗨'), ('summary zh', '{"zh-Hans": "您好"}', 'alice：hello'), ('summary zh', '{"en": "hi"}', 'alice：hello'),
	('none', '{"en": "hi"}', 'alice: hi'), ('fr', '{"fr": "salut"}', 'alice: salut'), ('fr', '{"en": "hi"}', 'alice: hello'),
	('summary zh', '{"zh": 5}', 'alice：hello'), ('summary zh', '{"zh": null}', 'alice：hello'), ('summary zh', '{"zh": {"zh": "x"}}', 'alice：hello'),
	('zh-Hans-CN', '{"zh-Hans": [], "zh": "你好"}', 'alice：你好'), ('summary zh', '{"zh": ""}', 'alice：hello'), ('summary zh', '{}', 'alice：hello'),
	('summary zh', '{"ZH": "你好"}', 'alice：你好')) v(r, t, b);
INSERT INTO c (name, recipient, translations, type, body, expected) VALUES
	('a translation and no body', 'summary zh', '{"zh": "你好"}', 'img', '', '{"body": "alice：你好"}'),
	('simple shows none', 'simple zh', '{"zh": "你好"}', 'txt', 'hello', '{"body": "请点击查看"}');
SELECT * FROM pg_temp.check_cases();

-- The sender's name: the nickname, else the id.
INSERT INTO imp_push.user_profile (user_id, nickname) VALUES ('alice', 'Alice A.'), ('anna', ''), ('amy', NULL);
INSERT INTO c (name, sender, recipient, expected) VALUES
	('nickname', 'alice', 'summary en', '{"body": "Alice A.: hello", "f": "alice"}'),
	('empty nickname', 'anna', 'summary en', '{"body": "anna: hello"}'), ('no nickname', 'amy', 'summary en', '{"body": "amy: hello"}'),
	('no profile', 'axel', 'summary en', '{"body": "axel: hello"}');
SELECT * FROM pg_temp.check_cases();

-- Level 3: what the sender gives.  If one of the two is missing, it comes from the level below.
INSERT INTO c (name, recipient, ext, expected)
SELECT e, r, e::jsonb, jsonb_build_object('title', t, 'body', b, 'status', 'push')
FROM (VALUES
	('summary en', '{"em_apns_ext": {"em_push_title": "T", "em_push_content": "C"}}', 'T', 'C'),
	('summary en', '{"em_apns_ext": {"em_push_title": "T"}}', 'T', 'Alice A.: hello'),
	('summary en', '{"em_apns_ext": {"em_push_content": "C"}}', 'You have a new message', 'C'),
	('simple en', '{"em_apns_ext": {"em_push_content": "C"}}', 'You have a new message', 'C'),
	('simple en', '{"em_push_ext": {"title": "t", "content": "c"}}', 't', 'c'),
	('simple en', '{"em_push_ext": {"title": "t"}}', 't', 'Tap to view'),
	('simple en', '{"em_apns_ext": {"em_push_title": "T"}, "em_push_ext": {"title": "t", "content": "c"}}', 'T', 'c'),
	('simple en', '{"em_apns_ext": {"em_push_title": ""}, "em_push_ext": {"title": "t"}}', '', 'Tap to view'),
	('simple en', '{"em_apns_ext": {"em_push_title": "", "em_push_content": ""}}', '', ''),
	('simple en', '{"em_apns_ext": {"em_push_title": 5, "em_push_content": ["C"]}}', 'You have a new message', 'Tap to view'),
	('simple en', '{"em_apns_ext": {"em_push_title": null}, "em_push_ext": {"title": "t"}}', 't', 'Tap to view'),
	('simple en', '{"em_apns_ext": ["em_push_title"], "em_push_ext": "x"}', 'You have a new message', 'Tap to view'),
	('simple en', '{"em_apns_ext": {"em_push_title": "{$msg}", "em_push_content": "{0}{sender}"}}', '{$msg}', '{0}{sender}')) v(r, e, t, b);
INSERT INTO c (name, recipient, ext, expected) VALUES ('the level is told', 'bob', '{"em_apns_ext": {"em_push_title": "T"}}', '{"detail": {"text_from": "sender"}}');
SELECT * FROM pg_temp.check_cases();

-- Level 2: the owner's templates detail and default.
INSERT INTO imp_push.template (name, title, content) VALUES
	('detail', 'From {$fromNickname}', '{$dynamicFrom} says {$msg}'), ('default', 'News', 'Open the app');
INSERT INTO c (name, recipient, ext, expected) VALUES
	('default', 'simple en', '{}', '{"title": "News", "body": "Open the app", "detail": {"text_from": "template default"}}'),
	('default, without a profile', 'bob', '{}', '{"title": "News"}'),
	('detail', 'summary zh', '{}', '{"title": "From Alice A.", "body": "Alice A. says hello", "detail": {"text_from": "template detail"}}'),
	('3 beats 2', 'simple en', '{"em_apns_ext": {"em_push_title": "T"}}', '{"title": "T", "body": "Open the app", "detail": {"text_from": "sender"}}'),
	('3 beats 2, all of it', 'summary en', '{"em_apns_ext": {"em_push_title": "T", "em_push_content": "C"}}', '{"title": "T", "body": "C"}');
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.template SET title = '{0}', content = '{$who} {1} {$msg' WHERE name = 'default';
INSERT INTO c (name, recipient, ext, expected) VALUES
	('no arguments there', 'simple en', '{"em_push_template": {"title_args": ["x"]}}', '{"title": "", "body": "{$who}  {$msg",
		"detail": {"text_from": "template default", "warnings": ["title: missing argument {0}", "content: missing argument {1}", "content: unknown name {$who}"]}}'),
	('warned only of what is shown', 'simple en', '{"em_apns_ext": {"em_push_content": "C"}}', '{"title": "", "body": "C", "detail": {"text_from": "sender", "warnings": ["title: missing argument {0}"]}}');
SELECT * FROM pg_temp.check_cases();
DELETE FROM imp_push.template WHERE name = 'default';

-- Levels 4 and 5: the recipient's own, the sender's, the directed one.
INSERT INTO imp_push.template (name, title, content) VALUES
	('own', 'own {0}', 'own {$msg} {0}'), ('outer', 'outer {0}', 'outer {$msg} {0}'), ('direct', 'direct {0}', 'direct {$msg} {0}');
INSERT INTO imp_push.user_profile (user_id, display_style, language, template) VALUES
	('owner', 'summary', 'en', 'own'), ('other owner', 'summary', 'en', 'own'), ('lost', 'summary', 'en', 'no_such');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) SELECT u, 'iphone', 'app', md5(u) FROM unnest(ARRAY['owner', 'other owner', 'lost']) u;
INSERT INTO c (name, recipient, chat_type, conversation_id, ext, expected)
SELECT r || ' ' || g || ' ' || e, r, g, 'alice', e::jsonb, jsonb_strip_nulls(jsonb_build_object('title', t, 'body', b))
	|| jsonb_build_object('detail', jsonb_strip_nulls(jsonb_build_object('text_from', f, 'warnings', w)))
FROM (VALUES
	('owner', 'chat', '{"em_push_template": {"title_args": ["t"], "content_args": ["c"]}}', 'own t', 'own hello c', 'template of the recipient own', NULL),
	('owner', 'chat', '{"em_apns_ext": {"em_push_title": "T", "em_push_content": "C"}, "em_push_template": {"title_args": ["t"], "content_args": ["c"]}}', 'own t', 'own hello c', 'template of the recipient own', NULL),
	('owner', 'chat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"]}}', 'outer t', 'outer hello c', 'template of the message outer', NULL),
	('summary en', 'chat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"]}}', 'outer t', 'outer hello c', 'template of the message outer', NULL),
	-- directed: in groups, for those listed
	('owner', 'groupchat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "direct", "target": ["owner"], "title_args": ["dt"], "content_args": ["dc"]}}}',
		'direct dt', 'direct hello dc', 'directed template direct', NULL),
	('other owner', 'groupchat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "direct", "target": ["owner"], "title_args": ["dt"], "content_args": ["dc"]}}}',
		'outer t', 'outer hello c', 'template of the message outer', NULL),
	('owner', 'chat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "direct", "target": ["owner"], "title_args": ["dt"], "content_args": ["dc"]}}}',
		'outer t', 'outer hello c', 'template of the message outer', NULL),
	('owner', 'groupchat', '{"em_push_template": {"title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "direct", "target": ["x", "owner"], "title_args": ["dt"], "content_args": ["dc"]}}}',
		'direct dt', 'direct hello dc', 'directed template direct', NULL),
	-- what does not exist falls through, with a warning for each that was asked for in vain
	('owner', 'groupchat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "gone", "target": ["owner"]}}}',
		'outer t', 'outer hello c', 'template of the message outer', '["no template gone"]'::jsonb),
	('owner', 'groupchat', '{"em_push_template": {"name": "gone", "title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "gone_too", "target": ["owner"]}}}',
		'own t', 'own hello c', 'template of the recipient own', '["no template gone_too", "no template gone"]'),
	('lost', 'chat', '{"em_push_template": {"name": "gone"}, "em_apns_ext": {"em_push_title": "T", "em_push_content": "C"}}', 'T', 'C', 'sender', '["no template gone", "no template no_such"]'),
	('lost', 'chat', '{"em_apns_ext": {"em_push_title": "T"}}', 'T', 'Alice A. says hello', 'sender', '["no template no_such"]'),
	('lost', 'chat', '{}', 'From Alice A.', 'Alice A. says hello', 'template detail', '["no template no_such"]'),
	('lost', 'chat', '{"em_push_template": {"name": "outer", "title_args": ["t"], "content_args": ["c"]}}', 'outer t', 'outer hello c', 'template of the message outer', NULL),
	-- wrong types are as if absent
	('owner', 'chat', '{"em_push_template": "outer"}', 'own ', 'own hello ', 'template of the recipient own', '["title: missing argument {0}", "content: missing argument {0}"]'),
	('owner', 'chat', '{"em_push_template": {"name": ["outer"], "title_args": "t", "content_args": {"0": "c"}}}', 'own ', 'own hello ', 'template of the recipient own', '["title: missing argument {0}", "content: missing argument {0}"]'),
	('owner', 'groupchat', '{"em_push_template": {"title_args": ["t"], "content_args": ["c"], "directed_template": {"name": "direct", "target": "owner"}}}', 'own t', 'own hello c', 'template of the recipient own', NULL),
	('owner', 'groupchat', '{"em_push_template": {"title_args": ["t"], "content_args": ["c"], "directed_template": {"name": 5, "target": ["owner"]}}}', 'own t', 'own hello c', 'template of the recipient own', NULL),
	('owner', 'groupchat', '{"em_push_template": {"title_args": ["t"], "content_args": ["c"], "directed_template": ["direct"]}}', 'own t', 'own hello c', 'template of the recipient own', NULL),
	-- a name that no template can have
	('summary en', 'chat', '{"em_push_template": {"name": ""}}', 'From Alice A.', 'Alice A. says hello', 'template detail', '["no template "]')) v(r, g, e, t, b, f, w);
SELECT * FROM pg_temp.check_cases();

-- Arguments.
INSERT INTO imp_push.template (name, title, content) VALUES ('args', '{0}{1}', '{2}-{0}-{10}-{00}'),
	('odd', '{}{ 0}{-1}{1.0}{$}{{0}}', '{$fromNickname}}{$FROMNICKNAME}{$msg}{$ msg}{99999999999999999999}'), ('names', '{$fromNickname}', '{$msg}/{$dynamicFrom}'), ('empty', '', '');
INSERT INTO c (name, recipient, ext, expected)
SELECT a, 'summary en', jsonb_build_object('em_push_template', jsonb_build_object('name', t, 'title_args', a::jsonb, 'content_args', a::jsonb)),
	jsonb_strip_nulls(jsonb_build_object('title', title, 'body', b)) || jsonb_build_object('detail', jsonb_strip_nulls(jsonb_build_object('text_from', 'template of the message ' || t, 'warnings', w::jsonb)))
FROM (VALUES
	('args', '["a", "b", "c", "", "", "", "", "", "", "", "k"]', 'ab', 'c-a-k-a', '["title: surplus arguments"]'),
	('args', '["a", "b", "c"]', 'ab', 'c-a--a', '["title: surplus arguments", "content: missing argument {10}"]'),
	('args', '[]', '', '---', '["title: missing argument {0}", "title: missing argument {1}", "content: missing argument {00}", "content: missing argument {0}", "content: missing argument {10}", "content: missing argument {2}"]'),
	('args', '["a", 5, true]', 'a', '-a--a', '["title: missing argument {1}", "title: surplus arguments", "content: missing argument {10}", "content: missing argument {2}"]'),
	('args', '["{$fromNickname}", "{$msg}", "{0}{1}{$dynamicFrom}"]', 'Alice A.hello', '{0}{1}Alice A.-Alice A.--Alice A.', '["title: surplus arguments", "content: missing argument {10}"]'),
	('args', '["{$unknown}", "x{$msg}y{$msg}", "{"]', '{$unknown}xhelloyhello', '{-{$unknown}--{$unknown}', '["title: surplus arguments", "content: missing argument {10}"]'),
	('odd', '["a"]', '{}{ 0}{-1}{1.0}{$}{a}', 'Alice A.}{$FROMNICKNAME}hello{$ msg}', '["content: missing argument {999999999", "content: unknown name {$FROMNICKNAME}"]'),
	('names', '[]', 'Alice A.', 'hello/Alice A.', NULL),
	('names', '["a"]', 'Alice A.', 'hello/Alice A.', '["title: surplus arguments", "content: surplus arguments"]'),
	('empty', '[]', '', '', NULL)) v(t, a, title, b, w);
SELECT * FROM pg_temp.check_cases();
-- One pass: what was put in is never expanded again.
INSERT INTO c (name, recipient, sender, body, ext, expected) VALUES
	('in the message', 'summary en', 'zoe', '{0}{$msg}{$fromNickname}', '{"em_push_template": {"name": "names"}}', '{"title": "zoe", "body": "{0}{$msg}{$fromNickname}/zoe"}'),
	('in the name', 'summary en', '{$msg}{0}', 'hello', '{"em_push_template": {"name": "names"}}', '{"title": "{$msg}{0}", "body": "hello/{$msg}{0}"}'),
	('in an argument', 'summary en', 'zoe', '{0}{$msg}', '{"em_push_template": {"name": "args", "title_args": ["{$msg}", "{0}"]}}', '{"title": "{0}{$msg}{0}"}');
SELECT * FROM pg_temp.check_cases();

-- {$dynamicFrom}: the recipient's remark, in groups the nickname there, the sender's name.
INSERT INTO imp_push.contact_remark (user_id, contact_id, remark) VALUES ('owner', 'alice', 'My Alice'), ('lost', 'alice', ''), ('alice', 'summary en', 'wrong way round');
INSERT INTO c (name, recipient, chat_type, conversation_id, ext, expected)
SELECT r || ' ' || g || ' ' || p, r, g, 'g1', jsonb_build_object('em_push_template', '{"name": "names"}'::jsonb, 'em_push_ext', p::jsonb), jsonb_build_object('title', 'Alice A.', 'body', 'hello/' || n)
FROM (VALUES
	('owner', 'chat', '{}', 'My Alice'), ('owner', 'groupchat', '{"group_user_nickname": "In G"}', 'My Alice'),
	('summary en', 'groupchat', '{"group_user_nickname": "In G"}', 'In G'), ('summary en', 'chat', '{"group_user_nickname": "In G"}', 'Alice A.'),
	('summary en', 'groupchat', '{}', 'Alice A.'), ('summary en', 'groupchat', '{"group_user_nickname": ""}', 'Alice A.'), ('summary en', 'groupchat', '{"group_user_nickname": 5}', 'Alice A.'),
	('lost', 'chat', '{}', 'Alice A.')) v(r, g, p, n);
SELECT * FROM pg_temp.check_cases();

-- sender_name, which simulate() has no parameter for, comes before the nickname.
INSERT INTO imp_push.offline_message (recipient, sender, msg_id, body, sender_name, ext, created_at) VALUES
	('fr', 'alice', 'given', 'hello', 'Given', '{"em_push_template": {"name": "names"}}', '2024-06-03 04:00+00'),
	('fr', 'alice', 'empty', 'hello', '', '{"em_push_template": {"name": "names"}}', '2024-06-03 04:00+00'),
	('fr', 'alice', 'summary', 'hello', 'Given', '{}', '2024-06-03 04:00+00');
SELECT msg_id, payload::jsonb -> 'aps' -> 'alert' AS alert FROM imp_push.plan_messages(ARRAY(SELECT id FROM imp_push.offline_message), '2024-06-03 04:00+00') ORDER BY msg_id;

-- Without the advanced features there are no templates, and nobody is warned of them.
INSERT INTO c (name, recipient, ext, expected) VALUES
	('nobody''s', 'owner', '{"em_push_template": {"name": "outer", "directed_template": {"name": "direct", "target": ["owner"]}}}', '{"title": "You have a new message", "body": "Alice A.: hello", "detail": null}'),
	('the sender''s words remain', 'owner', '{"em_push_template": {"name": "outer"}, "em_apns_ext": {"em_push_title": "T"}}', '{"title": "T", "body": "Alice A.: hello"}');
SELECT imp_push.disable_advanced_features(confirm => true);
SELECT * FROM pg_temp.check_cases();
UPDATE imp_push.settings SET advanced_features = true, default_language = 'zh';

DELETE FROM imp_push.offline_message;
DELETE FROM imp_push.waiting;
DELETE FROM imp_push.delivery_log;
DELETE FROM imp_push.device_token;
DELETE FROM imp_push.presence;
DELETE FROM imp_push.im_node;
DELETE FROM imp_push.user_profile;
DELETE FROM imp_push.contact_remark;
DELETE FROM imp_push.dnd;
DELETE FROM imp_push.template;
DELETE FROM imp_push.certificate;
UPDATE imp_push.settings SET default_time_zone = :'zone_before';
