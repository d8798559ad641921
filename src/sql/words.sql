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

-- Templates that were asked for at a level above the one that was found.
CREATE FUNCTION imp_push.absent_templates(names text[], found int)
RETURNS text[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_absent_templates';
COMMENT ON FUNCTION imp_push.absent_templates(text[], int) IS
	'warnings that there are no such templates: those of the first three names that stand before the one that was found';

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
		CASE WHEN found.title IS NOT NULL THEN imp_push.fill_template(
				found.title, found.title_args, who.name, said,
				COALESCE(found.dynamic_from, who.name))
			ELSE COALESCE(here.title, imp_push.builtin_word(
				vocabulary, words.language, default_language, 'title'))
		END,
		CASE WHEN found.content IS NOT NULL THEN imp_push.fill_template(
				found.content, found.content_args, who.name, said,
				COALESCE(found.dynamic_from, who.name))
			WHEN here.content IS NOT NULL THEN here.content
			WHEN display_style = 'summary' THEN imp_push.fill_summary(
				imp_push.builtin_word(
					vocabulary, words.language, default_language, 'summary'),
				who.name, said)
			ELSE imp_push.builtin_word(
				vocabulary, words.language, default_language, 'body')
		END,
		COALESCE(
			('{"directed template ","template of the message ","template of the recipient "}'::text[])
				[found.level] || found.name,
			CASE WHEN here.title IS NOT NULL OR here.content IS NOT NULL THEN 'sender' END,
			'template ' || found.name,
			'display style ' || display_style),
		-- those that were asked for in vain before that
		imp_push.absent_templates(here.names, found.level)
			|| CASE WHEN found.title IS NOT NULL THEN
				imp_push.template_warnings('title', found.title, found.title_args) END
			|| CASE WHEN found.content IS NOT NULL THEN
				imp_push.template_warnings('content', found.content,
					found.content_args) END
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
				COALESCE(imp_push.ext_text(apns, 'em_push_title'),
					imp_push.ext_text(push, 'title')) AS title,
				COALESCE(imp_push.ext_text(apns, 'em_push_content'),
					imp_push.ext_text(push, 'content')) AS content,
				CASE WHEN with_templates THEN ARRAY[
					CASE WHEN is_group
						AND imp_push.ext_array(
							templates -> 'directed_template', 'target') ? words.recipient
						THEN imp_push.ext_text(templates -> 'directed_template', 'name') END,
					imp_push.ext_text(templates, 'name'),
					own_template,
					CASE display_style WHEN 'summary' THEN 'detail' ELSE 'default' END]
					END AS names
			OFFSET 0
		) here
		-- The highest level whose template exists; 4 is below the sender's words,
		-- and has no arguments.  One after the other, each by the key: for all of
		-- them together the planner would read the whole table.  Those of level 4
		-- are named by constants, and so are read once a statement.
		LEFT JOIN LATERAL (
			SELECT t.name, t.level,
				CASE WHEN t.level < 4 OR here.title IS NULL THEN t.title END AS title,
				CASE WHEN t.level < 4 OR here.content IS NULL THEN t.content END AS content,
				imp_push.ext_array(t.args, 'title_args') AS title_args,
				imp_push.ext_array(t.args, 'content_args') AS content_args,
				COALESCE(
					(SELECT NULLIF(r.remark, '')
					 FROM imp_push.contact_remark r
					 WHERE r.user_id = words.recipient AND r.contact_id = words.sender),
					CASE WHEN is_group THEN
						NULLIF(imp_push.ext_shown(
							imp_push.ext_text(push, 'group_user_nickname')), '') END)
					AS dynamic_from
			FROM (
				SELECT leveled.*, CASE WHEN leveled.level = 1
						THEN templates -> 'directed_template'
					WHEN leveled.level < 4 THEN templates END AS args
				FROM (
					SELECT (highest.template).name, (highest.template).title,
						(highest.template).content,
						pg_catalog.array_position(here.names,
							(highest.template).name) AS level
					FROM (
						SELECT COALESCE(
							CASE WHEN here.names[1] IS NOT NULL THEN
								(SELECT t FROM imp_push.template t WHERE t.name = here.names[1]) END,
							CASE WHEN here.names[2] IS NOT NULL THEN
								(SELECT t FROM imp_push.template t WHERE t.name = here.names[2]) END,
							CASE WHEN here.names[3] IS NOT NULL THEN
								(SELECT t FROM imp_push.template t WHERE t.name = here.names[3]) END,
							CASE display_style WHEN 'summary' THEN
								(SELECT t FROM imp_push.template t WHERE t.name = 'detail')
							ELSE
								(SELECT t FROM imp_push.template t WHERE t.name = 'default') END)
							AS template
						WHERE with_templates
						OFFSET 0
					) highest
					OFFSET 0
				) leveled
			) t
			WHERE t.name IS NOT NULL
			OFFSET 0
		) found ON true
		-- looked up only where it is shown
		CROSS JOIN LATERAL (
			SELECT CASE WHEN found.name IS NOT NULL OR display_style = 'summary'
				THEN imp_push.ext_shown(COALESCE(
					NULLIF(words.sender_name, ''),
					(SELECT NULLIF(n.nickname, '')
					 FROM imp_push.user_profile n
					 WHERE n.user_id = words.sender),
					words.sender)) END AS name
			OFFSET 0
		) who;
END;
COMMENT ON FUNCTION imp_push.words(text, text, text, boolean, text, text, jsonb, jsonb, jsonb, jsonb, text, text, text, boolean, text, jsonb) IS
	'title and body of a notification for one recipient, where they come from, and warnings';
