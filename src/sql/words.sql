-- The words of a notification: 01 section 5, level by level.
--
-- Owns how a title and a body come about.  Never decides whether anybody is
-- disturbed, and never builds JSON: that is plan.sql.

CREATE FUNCTION imp_push.language_key(tag text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.replace(pg_catalog.lower(tag), '_', '-');
COMMENT ON FUNCTION imp_push.language_key(text) IS
	'a language tag as languages are compared: zh_Hans and zh-hans are the same';

-- All built-in texts as one value, {language: {key: text}}, so that a batch
-- reads the table once.
CREATE FUNCTION imp_push.vocabulary() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
	SELECT COALESCE(pg_catalog.jsonb_object_agg(l.language, l.texts), '{}')
	FROM (
		SELECT imp_push.language_key(b.language) AS language,
			pg_catalog.jsonb_object_agg(b.key, b.value) AS texts
		FROM imp_push.builtin_text b
		GROUP BY imp_push.language_key(b.language)) l);
COMMENT ON FUNCTION imp_push.vocabulary() IS
	'all built-in texts as {language: {key: text}}';

CREATE FUNCTION imp_push.by_language(texts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT pg_catalog.jsonb_object_agg(imp_push.language_key(t.key), t.value)
	FROM pg_catalog.jsonb_each(texts) t);
COMMENT ON FUNCTION imp_push.by_language(jsonb) IS
	'the object with its keys as language_key() has them';

-- zh-Hans-CN looks under zh-hans-cn, zh-hans, zh.
CREATE FUNCTION imp_push.in_language(texts jsonb, language text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
	texts -> language,
	texts -> pg_catalog.regexp_replace(language, '-[^-]*$', ''),
	texts -> pg_catalog.split_part(language, '-', 1));
COMMENT ON FUNCTION imp_push.in_language(jsonb, text) IS
	'the entry for a language_key(), else for its shorter forms, else NULL';

CREATE FUNCTION imp_push.builtin_word(vocabulary jsonb, language text,
									  fallback text, key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(
	vocabulary -> language ->> key,
	vocabulary -> pg_catalog.regexp_replace(language, '-[^-]*$', '') ->> key,
	vocabulary -> pg_catalog.split_part(language, '-', 1) ->> key,
	imp_push.in_language(vocabulary, fallback) ->> key,
	vocabulary -> 'en' ->> key);
COMMENT ON FUNCTION imp_push.builtin_word(jsonb, text, text, text) IS
	'a built-in text in the language, else in the fallback, else in English';

-- One pass over the pattern: it is cut at {text}, {sender} is put into the
-- pieces, and what was put in is never looked at again.
CREATE FUNCTION imp_push.fill_summary(pattern text, sender text, said text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT pg_catalog.string_agg(
		pg_catalog.replace(piece, '{sender}', sender), said ORDER BY place)
	FROM pg_catalog.string_to_table(pattern, '{text}')
		WITH ORDINALITY AS pieces(piece, place));
COMMENT ON FUNCTION imp_push.fill_summary(text, text, text) IS
	'the built-in text summary with {sender} and {text} filled in';

-- Templates, too, are filled in one pass: the pattern is cut into
-- placeholders and what lies between them.
CREATE FUNCTION imp_push.template_pieces(pattern text)
RETURNS TABLE (piece text, place bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT found.match[1], found.place
	FROM pg_catalog.regexp_matches(pattern,
			'(\{\$\w+\}|\{[0-9]+\}|[^{]+|\{)', 'g')
		WITH ORDINALITY AS found(match, place);
END;
COMMENT ON FUNCTION imp_push.template_pieces(text) IS
	'a template cut into {$names}, {numbers} and the text between them';

CREATE FUNCTION imp_push.fill_name(piece text, sender text, said text,
								   dynamic_from text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE piece
	WHEN '{$fromNickname}' THEN sender
	WHEN '{$msg}' THEN said
	WHEN '{$dynamicFrom}' THEN dynamic_from
	ELSE piece END;
COMMENT ON FUNCTION imp_push.fill_name(text, text, text, text) IS
	'what stands for a piece of a template: the three built-in names, anything else as it is';

-- An argument that is not a string is as if missing: the empty string.
CREATE FUNCTION imp_push.fill_argument(args jsonb, placeholder text,
									   sender text, said text,
									   dynamic_from text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE((
	SELECT pg_catalog.string_agg(
		imp_push.fill_name(p.piece, sender, said, dynamic_from), '' ORDER BY p.place)
	FROM imp_push.template_pieces(
		CASE WHEN pg_catalog.length(placeholder) < 8 THEN
			imp_push.ext_text(args -> pg_catalog.btrim(placeholder, '{}')::int)
		END) p), '');
COMMENT ON FUNCTION imp_push.fill_argument(jsonb, text, text, text, text) IS
	'the argument that {0}, {1} … stands for, with the three built-in names in it filled in';

CREATE FUNCTION imp_push.fill_template(pattern text, args jsonb, sender text,
									   said text, dynamic_from text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE((
	SELECT pg_catalog.string_agg(
		CASE WHEN p.piece ~ '^\{[0-9]+\}$' THEN
			imp_push.fill_argument(args, p.piece, sender, said, dynamic_from)
		ELSE
			imp_push.fill_name(p.piece, sender, said, dynamic_from)
		END, '' ORDER BY p.place)
	FROM imp_push.template_pieces(pattern) p), '');
COMMENT ON FUNCTION imp_push.fill_template(text, jsonb, text, text, text) IS
	'a template filled in, in one pass: what was put in is never expanded again';

-- What a person who wrote the template or the arguments should hear of.
CREATE FUNCTION imp_push.template_warnings(pattern text, args jsonb)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
	SELECT pg_catalog.array_remove(ARRAY[
		CASE WHEN used.highest >= given.number THEN 'missing argument' END,
		CASE WHEN used.highest < given.number - 1 THEN 'surplus argument' END,
		CASE WHEN used.unknown THEN 'unknown name' END], NULL)
	FROM (
		SELECT COALESCE(pg_catalog.max(pg_catalog.btrim(p.piece, '{}')::numeric)
					FILTER (WHERE p.piece ~ '^\{[0-9]+\}$'), -1) AS highest,
			COALESCE(pg_catalog.bool_or(p.piece ~ '^\{\$\w+\}$'
				AND p.piece NOT IN ('{$fromNickname}', '{$msg}', '{$dynamicFrom}')),
				false) AS unknown
		FROM imp_push.template_pieces(pattern) p) used,
		(SELECT COALESCE(pg_catalog.jsonb_array_length(args), 0) AS number) given);
COMMENT ON FUNCTION imp_push.template_warnings(text, jsonb) IS
	'what does not fit together between a template and its arguments';

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
		absent.warnings
			|| CASE WHEN chosen.name IS NOT NULL THEN
				imp_push.template_warnings(chosen.title, chosen.title_args)
				|| imp_push.template_warnings(chosen.content, chosen.content_args)
			ELSE '{}' END
	FROM (
			-- {text}: the translation, else the body, else a word for the type
			SELECT COALESCE(
				CASE WHEN translations <> '{}' THEN
					imp_push.ext_text(imp_push.in_language(
						imp_push.by_language(translations), words.language)) END,
				NULLIF(words.body, ''),
				imp_push.builtin_word(
					vocabulary, words.language, default_language, words.type),
				imp_push.builtin_word(
					vocabulary, words.language, default_language, 'custom'),
				'') AS said,
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
			SELECT t.name, t.title, t.content, l.text_from, l.title_args, l.content_args
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
			SELECT pg_catalog.array_agg('no template ' || n.name) AS warnings
			FROM (VALUES (wanted.directed), (wanted.outer_one), (wanted.own)) n(name)
			WHERE n.name IS NOT NULL
				AND COALESCE(wanted.directed, wanted.outer_one, wanted.own) IS NOT NULL
				AND NOT EXISTS (SELECT FROM imp_push.template t WHERE t.name = n.name)
		) absent ON true
		LEFT JOIN LATERAL (
			SELECT t.name, t.title, t.content
			FROM imp_push.template t
			WHERE with_templates AND chosen.name IS NULL
				AND t.name = CASE display_style WHEN 'summary' THEN 'detail' ELSE 'default' END
			LIMIT 1
		) made ON true
		LEFT JOIN LATERAL (
			SELECT COALESCE(
				(SELECT r.remark
				 FROM imp_push.contact_remark r
				 WHERE r.user_id = words.recipient AND r.contact_id = words.sender),
				CASE WHEN is_group THEN imp_push.ext_text(push -> 'group_user_nickname') END,
				sender_name) AS name
			WHERE COALESCE(chosen.name, made.name) IS NOT NULL
		) dynamic_from ON true;
END;
COMMENT ON FUNCTION imp_push.words(text, text, text, boolean, text, text, jsonb, jsonb, jsonb, jsonb, text, text, text, boolean, text, jsonb) IS
	'title and body of a notification for one recipient, where they come from, and warnings';
