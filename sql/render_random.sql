-- Whatever JSON a message brings along: it comes out without blanks, and says the same.
\set SHOW_CONTEXT never
\pset format unaligned

-- JSON by chance, always the same: n is where the next number comes from.
CREATE FUNCTION pg_temp.dice(n text, sides int) RETURNS int
RETURN (('x' || substr(md5(n), 1, 7)) :: bit(28) :: int) % sides;

CREATE FUNCTION pg_temp.word(n text) RETURNS text
RETURN (
    SELECT string_agg(chr((ARRAY[1, 8, 9, 10, 13, 31, 32, 34, 44, 47, 58, 92, 97, 127, 233, 8232, 20013, 128512])
                          [1 + pg_temp.dice(n || '.' || i, 18)]), '')
    FROM generate_series(1, pg_temp.dice(n, 8)) i);

CREATE FUNCTION pg_temp.json(n text, depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    CASE pg_temp.dice('kind' || n, CASE WHEN depth > 0 THEN 8 ELSE 5 END)
        WHEN 0 THEN RETURN 'null';
        WHEN 1 THEN RETURN to_jsonb(pg_temp.dice(n, 2) = 0);
        WHEN 2 THEN RETURN (pg_temp.dice(n, 2000000) - 1000000) || 'e' || pg_temp.dice(n || 'e', 40) - 20;
        WHEN 3, 4 THEN RETURN to_jsonb(COALESCE(pg_temp.word(n), ''));
        WHEN 5 THEN RETURN (
            SELECT COALESCE(jsonb_agg(pg_temp.json(n || '[' || i, depth - 1)), '[]')
            FROM generate_series(1, pg_temp.dice(n, 4)) i);
        ELSE RETURN (
            SELECT COALESCE(jsonb_object_agg(COALESCE(pg_temp.word(n || '"' || i), ''), pg_temp.json(n || '{' || i, depth - 1)), '{}')
            FROM generate_series(1, pg_temp.dice(n, 4)) i);
    END CASE;
END
$$;

-- Blanks inside of strings stay, those outside go.
SELECT count(*) AS documents, count(DISTINCT e) > 1000 AS differ,
       bool_and((p :: jsonb) -> 'e' IS NOT DISTINCT FROM NULLIF(e, 'null')) AS same,
       bool_and(regexp_replace(p, '"([^"\\]|\\.)*"', '', 'g') !~ '\s') AS compact
FROM generate_series(1, 2000) i,
     LATERAL (SELECT pg_temp.json(i :: text, 4) AS e OFFSET 0) j,
     LATERAL (SELECT imp_push.render_payload(
                  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                  'alice', 'bob', NULL, 'm1', e, NULL, 1000000) AS p) r;
