-- cases.sql: what the tests of simulate() have in common: a table of cases, the
-- comparison, four certificates, and Bob, who has a phone.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS imp_push;
RESET client_min_messages;
SET jit = off;
-- A case is a message and what becomes of it: an object for a single row, an
-- array for several, each with those parts that matter.  null: is not there.
-- Parts are the columns of simulate(), the headers, the keys of the payload,
-- of aps and of alert, and bytes, the length of the payload.
CREATE TEMP TABLE c (
	n serial, name text, expected jsonb, ext jsonb DEFAULT '{}',
	recipient text DEFAULT 'bob', sender text DEFAULT 'alice',
	body text DEFAULT 'hello', chat_type text DEFAULT 'chat', conversation_id text,
	type text DEFAULT 'txt', translations jsonb DEFAULT '{}',
	msg_id text DEFAULT 'm1', at timestamptz DEFAULT '2024-06-03 04:00+00');
CREATE FUNCTION pg_temp.happened(c) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
			'device_id', device_id, 'certificate', certificate, 'status', status,
			'reason', reason, 'bytes', octet_length(payload)))
		|| COALESCE(jsonb_build_object('detail', detail), '{}')
		|| COALESCE(headers, '{}')
		|| COALESCE(payload::jsonb, '{}')
		|| COALESCE(payload::jsonb -> 'aps', '{}')
		|| COALESCE(payload::jsonb -> 'aps' -> 'alert', '{}'))
	FROM imp_push.simulate($1.recipient, $1.sender, $1.body, $1.chat_type,
		$1.conversation_id, $1.type, $1.ext, $1.translations, $1.msg_id, $1.at)
$$;
CREATE FUNCTION pg_temp.differs(expected jsonb, happened jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(expected)
		WHEN 'array' THEN jsonb_array_length(expected) <> jsonb_array_length(happened)
			OR EXISTS (
				SELECT FROM jsonb_array_elements(expected) WITH ORDINALITY e(o, i),
					jsonb_each(o) k
				WHERE NULLIF(k.value, 'null') IS DISTINCT FROM NULLIF(happened -> (i::int - 1) -> k.key, 'null'))
		ELSE jsonb_array_length(happened) <> 1
			OR EXISTS (
				SELECT FROM jsonb_each(expected) k
				WHERE NULLIF(k.value, 'null') IS DISTINCT FROM NULLIF(happened -> 0 -> k.key, 'null'))
		END
$$;
-- Shows the cases that went wrong, and forgets them all.
CREATE FUNCTION pg_temp.check_cases() RETURNS TABLE (name text, expected text, happened text)
LANGUAGE plpgsql AS $$
DECLARE
	number int;
BEGIN
	SELECT count(*) INTO number FROM c;
	RETURN QUERY
	SELECT c.name, left(c.expected::text, 600), left(h::text, 1500)
	FROM c, LATERAL (SELECT pg_temp.happened(c) OFFSET 0) x(h)
	WHERE pg_temp.differs(c.expected, h)
	ORDER BY c.n;
	IF NOT FOUND THEN
		RETURN QUERY SELECT number || ' cases', 'as expected', NULL;
	END IF;
	DELETE FROM c;
END
$$;
SELECT default_time_zone AS zone_before FROM imp_push.settings \gset
UPDATE imp_push.settings SET default_time_zone = 'Asia/Shanghai';

INSERT INTO imp_push.certificate (name, bundle_id, push_type, team_id, key_id, sound, mutable_content, enabled) VALUES
	('app', 'com.example.app', 'alert', 'TEAM567890', 'KEY4567890', NULL, false, true),
	('calls', 'com.example.app', 'voip', 'TEAM567890', 'KEY4567890', NULL, false, true),
	('pro', 'com.example.pro', 'alert', 'TEAM567890', 'KEY4567890', 'ring.caf', true, true),
	('off', 'com.example.off', 'alert', 'TEAM567890', 'KEY4567890', NULL, false, false);
-- Bob has a phone.
SELECT imp_push.bind_device('bob', 'iphone', 'app', 'b0b0');
