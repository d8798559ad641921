-- Reading what the sender's ext says.  All of it is untrusted: a field of the
-- wrong JSON type is as if absent, and nothing here can raise an error.
--
-- In C: an expression costs the worker's statement each time that it is made
-- ready, whether the field is there or not.

-- A field is read by its object and its key: what is no object has none.

CREATE FUNCTION imp_push.ext_object(object jsonb, key text) RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_object';
COMMENT ON FUNCTION imp_push.ext_object(jsonb, text) IS
	'the field if it is a JSON object, else the empty object';

CREATE FUNCTION imp_push.ext_text(object jsonb, key text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_text';
COMMENT ON FUNCTION imp_push.ext_text(jsonb, text) IS
	'the field if it is a JSON string, else NULL';

CREATE FUNCTION imp_push.ext_array(object jsonb, key text) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_array';
COMMENT ON FUNCTION imp_push.ext_array(jsonb, text) IS
	'the field if it is a JSON array, else NULL';

CREATE FUNCTION imp_push.ext_flag(object jsonb, key text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_flag';
COMMENT ON FUNCTION imp_push.ext_flag(jsonb, text) IS
	'a flag: true for JSON true, the number 1, and the strings true, yes and 1 in any case';

CREATE FUNCTION imp_push.ext_badge(object jsonb, key text) RETURNS int
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_badge';
COMMENT ON FUNCTION imp_push.ext_badge(jsonb, text) IS
	'an integer from 0 to 2147483647, also as a string, else NULL';

CREATE FUNCTION imp_push.ext_mention_list(object jsonb, key text) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_mention_list';
COMMENT ON FUNCTION imp_push.ext_mention_list(jsonb, text) IS
	'the field if it can be a list of mentions, else NULL';

-- Everybody is meant by the string all, or by an array that holds it, in any
-- case.
CREATE FUNCTION imp_push.ext_mentions(list jsonb, user_id text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_mentions';
COMMENT ON FUNCTION imp_push.ext_mentions(jsonb, text) IS
	'whether a list of mentions means the user';

-- The lists accept_… and ignore_… of what is filtered by: device_id or
-- notifier_name.  An empty or absent list restricts nothing; ignore beats accept.
CREATE FUNCTION imp_push.ext_filter_excludes(filter jsonb, by text, name text)
RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_filter_excludes';
COMMENT ON FUNCTION imp_push.ext_filter_excludes(jsonb, text, text) IS
	'whether em_push_filter keeps a push from this name';

-- A header of at most 64 bytes without control characters or outer blanks;
-- what is not fit for one is represented by its hash.
CREATE FUNCTION imp_push.collapse_id(key text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_collapse_id';
COMMENT ON FUNCTION imp_push.collapse_id(text) IS
	'apns-collapse-id for a key: itself, or its SHA-256 in hex where it does not fit into the header';

CREATE FUNCTION imp_push.ext_interruption_level(object jsonb, key text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_interruption_level';
COMMENT ON FUNCTION imp_push.ext_interruption_level(jsonb, text) IS
	'one of the four interruption levels of APNs, else NULL';

-- 1e-16000 is one, too, and 16,000 digits long.
CREATE FUNCTION imp_push.ext_relevance_score(object jsonb, key text) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_ext_relevance_score';
COMMENT ON FUNCTION imp_push.ext_relevance_score(jsonb, text) IS
	'a number from 0 to 1 that is no longer than 64 digits, else NULL';

-- Whoever sends 200 kB, and has them repeated by a template, makes nobody
-- work for more than a payload can show.
CREATE FUNCTION imp_push.ext_shown(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog."left"(said, 5121);
COMMENT ON FUNCTION imp_push.ext_shown(text) IS
	'the beginning of a text, one character longer than any payload';
