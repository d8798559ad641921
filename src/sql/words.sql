-- The words of a notification, level by level ("Texts" in docs/reference.md).
--
-- Owns how a title and a body come about.  Never decides whether anybody is
-- disturbed, and never builds JSON: that is plan.sql.

CREATE FUNCTION imp_push.language_key(tag text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.replace(pg_catalog.lower(tag), '_', '-');
COMMENT ON FUNCTION imp_push.language_key(text) IS
	'a language tag as languages are compared: zh_Hans and zh-hans are the same';

-- All built-in texts as one value, {key: {language: text}}, so that a batch
-- reads the table once.  As a table, for then it is inlined: as a value it would
-- be planned in each batch.
CREATE FUNCTION imp_push.vocabulary() RETURNS TABLE (texts jsonb)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT COALESCE(pg_catalog.jsonb_object_agg(k.key, k.texts), '{}')
	FROM (
		SELECT b.key, pg_catalog.jsonb_object_agg(
			imp_push.language_key(b.language), b.value) AS texts
		FROM imp_push.builtin_text b
		GROUP BY b.key) k;
END;
COMMENT ON FUNCTION imp_push.vocabulary() IS
	'all built-in texts as {key: {language: text}}, in one row';

CREATE FUNCTION imp_push.by_language(texts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT pg_catalog.jsonb_object_agg(imp_push.language_key(t.key), t.value)
	FROM pg_catalog.jsonb_each(texts) t
	WHERE pg_catalog.jsonb_typeof(t.value) = 'string' AND t.value <> '""');
COMMENT ON FUNCTION imp_push.by_language(jsonb) IS
	'the texts of the object that are not empty, with its keys as language_key() has them';

-- zh-Hans-CN looks under zh-hans-cn, zh-hans, zh.  No tag that a phone gives
-- has more than four parts.
CREATE FUNCTION imp_push.in_language(texts jsonb, language text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
	texts ->> language,
	texts ->> pg_catalog.regexp_replace(language, '-[^-]*$', ''),
	texts ->> pg_catalog.regexp_replace(language, '-[^-]*-[^-]*$', ''),
	texts ->> pg_catalog.split_part(language, '-', 1));
COMMENT ON FUNCTION imp_push.in_language(jsonb, text) IS
	'the text for a language_key(), else for its shorter forms, else NULL';

CREATE FUNCTION imp_push.builtin_word(vocabulary jsonb, language text,
									  fallback text, key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
	imp_push.in_language(vocabulary -> key, language),
	imp_push.in_language(vocabulary -> key, fallback),
	vocabulary -> key ->> 'en');
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
		CASE WHEN chosen.name IS NOT NULL THEN imp_push.fill_template(
				chosen.title, chosen.title_args, sender_name, said, dynamic_from.name)
			ELSE COALESCE(given.title,
				CASE WHEN made.name IS NOT NULL THEN imp_push.fill_template(
						made.title, '[]', sender_name, said, dynamic_from.name)
					ELSE imp_push.builtin_word(
						vocabulary, words.language, default_language, 'title') END)
		END,
		CASE WHEN chosen.name IS NOT NULL THEN imp_push.fill_template(
				chosen.content, chosen.content_args, sender_name, said, dynamic_from.name)
			ELSE COALESCE(given.content,
				CASE WHEN made.name IS NOT NULL THEN imp_push.fill_template(
						made.content, '[]', sender_name, said, dynamic_from.name)
					WHEN display_style = 'summary' THEN imp_push.fill_summary(
						imp_push.builtin_word(
							vocabulary, words.language, default_language, 'summary'),
						sender_name, said)
					ELSE imp_push.builtin_word(
						vocabulary, words.language, default_language, 'body') END)
		END,
		COALESCE(chosen.text_from,
			CASE WHEN given.title IS NOT NULL OR given.content IS NOT NULL
				THEN 'sender' END,
			CASE WHEN made.name IS NOT NULL THEN 'template ' || made.name END,
			'display style ' || display_style),
		-- those that were asked for in vain before that
		imp_push.absent_template(wanted.directed, chosen.level, 1)
			|| imp_push.absent_template(wanted.outer_one, chosen.level, 2)
			|| imp_push.absent_template(wanted.own, chosen.level, 3)
			|| CASE WHEN chosen.name IS NOT NULL THEN
					imp_push.template_warnings('title', chosen.title, chosen.title_args)
					|| imp_push.template_warnings('content', chosen.content,
						chosen.content_args)
				WHEN made.name IS NOT NULL THEN
					CASE WHEN given.title IS NULL THEN
						imp_push.template_warnings('title', made.title, '[]') END
					|| CASE WHEN given.content IS NULL THEN
						imp_push.template_warnings('content', made.content, '[]') END
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
				imp_push.ext_object(templates -> 'directed_template') AS directed
			OFFSET 0
		) here
		CROSS JOIN LATERAL (
			SELECT COALESCE(imp_push.ext_text(apns -> 'em_push_title'),
					imp_push.ext_text(push -> 'title')) AS title,
				COALESCE(imp_push.ext_text(apns -> 'em_push_content'),
					imp_push.ext_text(push -> 'content')) AS content
			OFFSET 0
		) given
		CROSS JOIN LATERAL (
			SELECT CASE WHEN with_templates AND is_group
					AND imp_push.ext_array(here.directed -> 'target') ? words.recipient
					THEN imp_push.ext_text(here.directed -> 'name') END AS directed,
				CASE WHEN with_templates
					THEN imp_push.ext_text(templates -> 'name') END AS outer_one,
				CASE WHEN with_templates THEN own_template END AS own
			OFFSET 0
		) wanted
		-- the highest level whose template exists
		LEFT JOIN LATERAL (
			SELECT t.name, t.title, t.content, l.level, l.text_from || t.name AS text_from,
				l.title_args, l.content_args
			FROM (VALUES
				(1, wanted.directed, 'directed template ',
					imp_push.ext_array(here.directed -> 'title_args'),
					imp_push.ext_array(here.directed -> 'content_args')),
				(2, wanted.outer_one, 'template of the message ',
					imp_push.ext_array(templates -> 'title_args'),
					imp_push.ext_array(templates -> 'content_args')),
				(3, wanted.own, 'template of the recipient ',
					imp_push.ext_array(templates -> 'title_args'),
					imp_push.ext_array(templates -> 'content_args'))
				) l(level, name, text_from, title_args, content_args)
				JOIN imp_push.template t ON t.name = l.name
			WHERE COALESCE(wanted.directed, wanted.outer_one, wanted.own) IS NOT NULL
			ORDER BY l.level
			LIMIT 1
		) chosen ON true
		LEFT JOIN LATERAL (
			SELECT t.name, t.title, t.content
			FROM imp_push.template t
			WHERE with_templates AND chosen.name IS NULL
				AND t.name = CASE display_style WHEN 'summary' THEN 'detail' ELSE 'default' END
			LIMIT 1
		) made ON true
		LEFT JOIN LATERAL (
			SELECT COALESCE(
				(SELECT NULLIF(r.remark, '')
				 FROM imp_push.contact_remark r
				 WHERE r.user_id = words.recipient AND r.contact_id = words.sender),
				CASE WHEN is_group THEN
					NULLIF(imp_push.ext_shown(
						imp_push.ext_text(push -> 'group_user_nickname')), '') END,
				sender_name) AS name
			WHERE COALESCE(chosen.name, made.name) IS NOT NULL
			OFFSET 0
		) dynamic_from ON true;
END;
COMMENT ON FUNCTION imp_push.words(text, text, text, boolean, text, text, jsonb, jsonb, jsonb, jsonb, text, text, text, boolean, text, jsonb) IS
	'title and body of a notification for one recipient, where they come from, and warnings';
