-- The words of a notification, level by level ("Texts" in docs/reference.md).
--
-- Owns how a title and a body come about.  Never decides whether anybody is
-- disturbed, and never builds JSON: that is plan.sql.

CREATE FUNCTION imp_push.by_language(texts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT pg_catalog.jsonb_object_agg(imp_push.language_key(t.key), t.value)
	FROM pg_catalog.jsonb_each(texts) t
	WHERE pg_catalog.jsonb_typeof(t.value) = 'string' AND t.value <> '""');
COMMENT ON FUNCTION imp_push.by_language(jsonb) IS
	'the texts of the object that are not empty, with its keys as language_key() has them';

-- zh-Hans-CN looks under zh-hans-cn, zh-hans, zh.
CREATE FUNCTION imp_push.in_language(texts jsonb, language text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_in_language';
COMMENT ON FUNCTION imp_push.in_language(jsonb, text) IS
	'the text for a language_key(), else for its shorter forms, else NULL';

CREATE FUNCTION imp_push.builtin_word(vocabulary jsonb, language text,
									  fallback text, key text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_builtin_word';
COMMENT ON FUNCTION imp_push.builtin_word(jsonb, text, text, text) IS
	'a built-in text in the language, else in the fallback, else in English';

-- The filling in of a pattern is fill.c's: in one pass, and what was put in is
-- never looked at again.
CREATE FUNCTION imp_push.fill_summary(pattern text, sender text, said text)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_fill_summary';
COMMENT ON FUNCTION imp_push.fill_summary(text, text, text) IS
	'the built-in text summary with {sender} and {text} filled in';

-- An argument that is missing or is not a string is the empty string.  In
-- arguments the three built-in names are filled in, and nothing else.  What
-- lies behind the first 5,120 bytes is not put in (ext_shown()).
CREATE FUNCTION imp_push.fill_template(pattern text, args jsonb, sender text,
									   said text, dynamic_from text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_fill_template';
COMMENT ON FUNCTION imp_push.fill_template(text, jsonb, text, text, text) IS
	'a template filled in: {0}, {1} … with the arguments, and the three built-in names';

CREATE FUNCTION imp_push.template_warnings(part text, pattern text, args jsonb)
RETURNS text[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_template_warnings';
COMMENT ON FUNCTION imp_push.template_warnings(text, text, jsonb) IS
	'what a person who wrote the title or the content of a template or its arguments should hear of: what does not fit together';

-- A template that was asked for at a level above the one that was found.
CREATE FUNCTION imp_push.absent_template(name text, found int, level int)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN name IS NOT NULL AND level < COALESCE(found, 4)
	THEN ARRAY['no template ' || pg_catalog."left"(name, 64)] END;
COMMENT ON FUNCTION imp_push.absent_template(text, int, int) IS
	'the warning that there is no such template, found being the level of the one that is used; else NULL';

-- Title and body for one recipient.
CREATE FUNCTION imp_push.words(
	recipient text, sender text, sender_name text, is_group boolean, type text,
	body text, translations jsonb,
	apns jsonb, push jsonb, templates jsonb,	-- objects of the sender's ext
	display_style text, language text, own_template text,	-- of the recipient
	with_templates boolean, default_language text, vocabulary jsonb)
RETURNS TABLE (title text, body text, text_from text, warnings text[])
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT
		CASE WHEN found.level < 4 THEN imp_push.fill_template(
				found.title, found.title_args, sender_name, said, dynamic_from.name)
			ELSE COALESCE(here.title,
				CASE found.level WHEN 4 THEN imp_push.fill_template(
						found.title, '[]', sender_name, said, dynamic_from.name)
					ELSE imp_push.builtin_word(
						vocabulary, words.language, default_language, 'title') END)
		END,
		CASE WHEN found.level < 4 THEN imp_push.fill_template(
				found.content, found.content_args, sender_name, said, dynamic_from.name)
			ELSE COALESCE(here.content,
				CASE WHEN found.level = 4 THEN imp_push.fill_template(
						found.content, '[]', sender_name, said, dynamic_from.name)
					WHEN display_style = 'summary' THEN imp_push.fill_summary(
						imp_push.builtin_word(
							vocabulary, words.language, default_language, 'summary'),
						sender_name, said)
					ELSE imp_push.builtin_word(
						vocabulary, words.language, default_language, 'body') END)
		END,
		CASE
			WHEN found.level = 1 THEN 'directed template ' || found.name
			WHEN found.level = 2 THEN 'template of the message ' || found.name
			WHEN found.level = 3 THEN 'template of the recipient ' || found.name
			WHEN here.title IS NOT NULL OR here.content IS NOT NULL THEN 'sender'
			WHEN found.level = 4 THEN 'template ' || found.name
			ELSE 'display style ' || display_style
		END,
		-- those that were asked for in vain before that
		imp_push.absent_template(wanted.directed, found.level, 1)
			|| imp_push.absent_template(wanted.named, found.level, 2)
			|| CASE WHEN with_templates THEN
				imp_push.absent_template(own_template, found.level, 3) END
			|| CASE WHEN found.level < 4 THEN
					imp_push.template_warnings('title', found.title, found.title_args)
					|| imp_push.template_warnings('content', found.content,
						found.content_args)
				WHEN found.level = 4 THEN
					CASE WHEN here.title IS NULL THEN
						imp_push.template_warnings('title', found.title, '[]') END
					|| CASE WHEN here.content IS NULL THEN
						imp_push.template_warnings('content', found.content, '[]') END
				ELSE '{}' END
	FROM (
			-- {text}: the translation, else the body, else a word for the type
			SELECT imp_push.ext_shown(COALESCE(
				CASE WHEN translations <> '{}' THEN
					imp_push.in_language(
						imp_push.by_language(translations), words.language) END,
				NULLIF(words.body, ''),
				CASE WHEN words.type NOT IN ('title', 'body', 'summary') THEN
					imp_push.builtin_word(
						vocabulary, words.language, default_language, words.type) END,
				imp_push.builtin_word(
					vocabulary, words.language, default_language, 'custom'),
				'')) AS said,
				imp_push.ext_object(templates -> 'directed_template') AS directed,
				COALESCE(imp_push.ext_text(apns -> 'em_push_title'),
					imp_push.ext_text(push -> 'title')) AS title,
				COALESCE(imp_push.ext_text(apns -> 'em_push_content'),
					imp_push.ext_text(push -> 'content')) AS content
			OFFSET 0
		) here
		LEFT JOIN LATERAL (
			SELECT CASE WHEN is_group
					AND imp_push.ext_array(here.directed -> 'target') ? words.recipient
					THEN imp_push.ext_text(here.directed -> 'name') END AS directed,
				imp_push.ext_text(templates -> 'name') AS named,
				CASE display_style WHEN 'summary' THEN 'detail' ELSE 'default' END
					AS of_style
			WHERE with_templates
			OFFSET 0
		) wanted ON true
		-- The highest level whose template exists; 4 is below the sender's words.
		-- One after the other, each by the key: for all of them together the
		-- planner would read the whole table.
		LEFT JOIN LATERAL (
			SELECT t.name, t.title, t.content,
				CASE t.name WHEN wanted.directed THEN 1 WHEN wanted.named THEN 2
					WHEN own_template THEN 3 ELSE 4 END AS level,
				imp_push.ext_array(CASE t.name WHEN wanted.directed
					THEN here.directed ELSE templates END -> 'title_args') AS title_args,
				imp_push.ext_array(CASE t.name WHEN wanted.directed
					THEN here.directed ELSE templates END -> 'content_args') AS content_args
			FROM (
					SELECT COALESCE(
						(SELECT t FROM imp_push.template t WHERE t.name = wanted.directed),
						(SELECT t FROM imp_push.template t WHERE t.name = wanted.named),
						(SELECT t FROM imp_push.template t WHERE t.name = own_template),
						(SELECT t FROM imp_push.template t WHERE t.name = wanted.of_style))
						AS template
					WHERE with_templates
					OFFSET 0
				) highest
				CROSS JOIN LATERAL (SELECT (highest.template).*) t
			WHERE t.name IS NOT NULL
			OFFSET 0
		) found ON true
		LEFT JOIN LATERAL (
			SELECT COALESCE(
				(SELECT NULLIF(r.remark, '')
				 FROM imp_push.contact_remark r
				 WHERE r.user_id = words.recipient AND r.contact_id = words.sender),
				CASE WHEN is_group THEN
					NULLIF(imp_push.ext_shown(
						imp_push.ext_text(push -> 'group_user_nickname')), '') END,
				sender_name) AS name
			WHERE found.name IS NOT NULL
			OFFSET 0
		) dynamic_from ON true;
END;
COMMENT ON FUNCTION imp_push.words(text, text, text, boolean, text, text, jsonb, jsonb, jsonb, jsonb, text, text, text, boolean, text, jsonb) IS
	'title and body of a notification for one recipient, where they come from, and warnings';
