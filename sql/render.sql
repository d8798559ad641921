-- The payload: order of its keys, escapes, and the cut.
\set SHOW_CONTEXT never
\pset format unaligned

-- Calls render_payload() with named arguments, all of them NULL unless given.
CREATE FUNCTION pg_temp.render(
    background boolean DEFAULT NULL, title text DEFAULT NULL, subtitle text DEFAULT NULL, body text DEFAULT NULL,
    title_loc_key text DEFAULT NULL, title_loc_args jsonb DEFAULT NULL,
    loc_key text DEFAULT NULL, loc_args jsonb DEFAULT NULL,
    badge integer DEFAULT NULL, sound text DEFAULT NULL, thread_id text DEFAULT NULL,
    category text DEFAULT NULL, mutable_content boolean DEFAULT NULL,
    content_available boolean DEFAULT NULL, interruption_level text DEFAULT NULL,
    relevance_score jsonb DEFAULT NULL, sender text DEFAULT NULL, recipient text DEFAULT NULL,
    group_id text DEFAULT NULL, msg_id text DEFAULT NULL, extra jsonb DEFAULT NULL,
    leftover jsonb DEFAULT NULL, byte_limit integer DEFAULT 4096) RETURNS text
RETURN imp_push.render_payload(
    background, title, subtitle, body, title_loc_key, title_loc_args, loc_key, loc_args, badge, sound,
    thread_id, category, mutable_content, content_available, interruption_level,
    relevance_score, sender, recipient, group_id, msg_id, extra, leftover, byte_limit);

-- Everything at once, in the order of the specification.
SELECT pg_temp.render(false, 'title', 'subtitle', 'body', 'TK', '["a", "b"]', 'K', '["c"]', 3, 'ring.caf',
                      'groupchat:g1', 'cat', true, true, 'time-sensitive', '0.5', 'alice', 'bob',
                      'g1', 'm1', '{"x": [1, {"y": null}]}');
-- What is NULL has no key; what is empty has one, a sound excepted.
SELECT pg_temp.render();
SELECT pg_temp.render(badge => 0);
SELECT pg_temp.render(title => '', body => '', sound => '', sender => 'alice', recipient => 'bob', msg_id => 'm1');
SELECT pg_temp.render(content_available => true, mutable_content => false, sender => 'alice');
-- In the background nothing is shown or heard.
SELECT pg_temp.render(true, 'title', 'subtitle', 'body', 'TK', '["a", "b"]', 'K', '["c"]', 3, 'ring.caf',
                      'groupchat:g1', 'cat', true, true, 'time-sensitive', '0.5', 'alice', 'bob',
                      'g1', 'm1', '{"x": [1, {"y": null}]}');

-- Arguments without their key, or that are no array, are dropped.
SELECT pg_temp.render(body => 'b', title_loc_args => '["a"]', loc_args => '["a"]');
SELECT pg_temp.render(title_loc_key => 'TK', title_loc_args => '{"a": 1}', loc_key => 'K', loc_args => '"a"');
SELECT pg_temp.render(loc_key => 'K', loc_args => '[]');
-- A relevance score is a number.
SELECT pg_temp.render(relevance_score => '"1"'), pg_temp.render(relevance_score => 'null'),
       pg_temp.render(relevance_score => '[1]'), pg_temp.render(relevance_score => '1');

-- JSON stands without blanks and keeps its numbers.
SELECT pg_temp.render(extra => '{"b": {"c": [true, false, null, "x, y: z", 1.50, -1e3]}, "a": [[], {}, [[1], 2]]}');
SELECT pg_temp.render(extra => '"text"'), pg_temp.render(extra => '[]'), pg_temp.render(extra => '0'),
       pg_temp.render(extra => 'false');
SELECT octet_length(pg_temp.render(extra => '1e300'));
SELECT (pg_temp.render(extra => e) :: jsonb) -> 'e' = e AS same
FROM (SELECT (repeat('[', 1000) || repeat(']', 1000)) :: jsonb AS e) s;
-- Null is no extra; an empty object is one, unless it is what was left over.
SELECT pg_temp.render(extra => 'null'), pg_temp.render(extra => '{}'),
       pg_temp.render(leftover => '{}');
-- What is left over stands in for what is absent or null.
SELECT pg_temp.render(extra => '{}', leftover => '{"a": 1}'), pg_temp.render(extra => 'null', leftover => '{"a": 1}'),
       pg_temp.render(leftover => '{"a": 1}');

-- Only what must be escaped is, in the shortest form.
SELECT pg_temp.render(body => E'"quote" \\ / \b\f\n\r\t \x01\x1f \x7f', sender => U&'\00e9\4e2d\+01F600\2028');
SELECT pg_temp.render(extra => jsonb_build_object(E'"\n', E'"\n'));
SELECT count(*) AS control_characters,
       bool_and((pg_temp.render(body => chr(i)) :: jsonb) #>> '{aps,alert,body}' = chr(i)) AS all_come_back
FROM generate_series(1, 160) i;

-- The cut: as many code points as fit, and an ellipsis; where that does not fit, no body.
SELECT n, pg_temp.render(body => 'abcdefghij', byte_limit => n) AS payload
FROM generate_series(30, 40) n;
-- The longest payload is as long as the limit; one byte more and the body is cut.
SELECT n, octet_length(p), right(p, 10)
FROM (SELECT n, pg_temp.render(body => repeat('x', n), sender => 'alice') AS p
      FROM unnest(ARRAY[4054, 4055, 4056]) n) s;
-- No code point is split: the loss is less than the width of one.
SELECT name, octet_length(p) AS length, 4096 - octet_length(p) AS free,
       char_length(b) - 1 AS kept, starts_with(t, left(b, -1)) AND right(b, 1) = '…' AS is_beginning
FROM (VALUES ('ascii', 'x'), ('chinese', '中'), ('arabic', 'مرحبا '), ('hindi', 'नमस्ते '),
             ('thai', 'สวัสดี'), ('family', U&'\+01F468\200D\+01F469\200D\+01F467'),
             ('quotes', '"'), ('backslashes', '\'), ('newlines', E'\n'), ('controls', E'\x01'),
             ('mixed', E'a"中\x01\+')) v (name, unit),
     LATERAL (SELECT repeat(unit, 4096) AS t) a,
     LATERAL (SELECT pg_temp.render(title => 'title', body => t, sender => 'alice') AS p) r,
     LATERAL (SELECT (p :: jsonb) #>> '{aps,alert,body}' AS b) j
ORDER BY name;

-- What was left over goes first, whole, and then the body is cut; a given extra stays.
SELECT pg_temp.render(body => 'body', leftover => '{"a": "0123456789"}', byte_limit => n)
FROM unnest(ARRAY[56, 55, 33, 32]) n;
SELECT pg_temp.render(body => 'body', extra => '{"a": "0123456789"}', byte_limit => n)
FROM unnest(ARRAY[56, 55]) n;
-- Too long even without a body.
SELECT pg_temp.render(title => repeat('t', 4096), body => 'body');
SELECT pg_temp.render(body => 'body', byte_limit => 9), pg_temp.render(body => 'body', byte_limit => 10),
       pg_temp.render(byte_limit => 0), pg_temp.render(byte_limit => -1), pg_temp.render(byte_limit => NULL);

-- The id of a push: of all four, in this order, always the same.
SELECT imp_push.apns_id('bob', 'm1', 'phone', 'app');
SELECT count(DISTINCT imp_push.apns_id(r, m, d, c))
FROM (VALUES ('bob', 'm1', 'phone', 'app'), ('bob', 'm1', 'phon', 'eapp'), ('bobm', '1', 'phone', 'app'),
             ('m1', 'bob', 'phone', 'app'), ('bob', 'm1', '', 'phoneapp'), ('', '', '', ''), ('中', 'm1', 'phone', 'app')) v (r, m, d, c);
-- It is computed from SHA-256, so that anybody can recompute it.
SELECT bool_and(imp_push.apns_id(f[1], f[2], f[3], f[4]) = encode(set_byte(set_byte(
           h, 6, get_byte(h, 6) & 15 | 128), 8, get_byte(h, 8) & 63 | 128), 'hex') :: uuid) AS as_documented
FROM (SELECT ARRAY['user' || i, 'msg-' || i, '设备' || i, repeat('c', i)] AS f FROM generate_series(0, 200) i) s,
     LATERAL (SELECT substr(sha256(string_agg(int4send(octet_length(x)) || convert_to(x, 'UTF8'), '' ORDER BY o)), 1, 16) AS h
              FROM unnest(f) WITH ORDINALITY u (x, o)) l;
SELECT imp_push.apns_id('bob', NULL, 'phone', 'app') IS NULL AS null_gives_null;
