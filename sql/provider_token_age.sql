-- The one provider token of a key: when the stored one gives way.
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- Renews on 2001-01-01 and returns the token to use.
CREATE FUNCTION pg_temp.renew(new_token text, at time, refused text DEFAULT NULL, fingerprint bytea DEFAULT '\x01')
RETURNS text
RETURN (SELECT r.token || ', issued at ' || r.issued_at :: time
        FROM imp_push.renew_provider_token('RENEW67890', 'KEY4567890', fingerprint, new_token,
                                           date '2001-01-01' + at, refused) r);

-- The first one is taken; young ones stay.
SELECT pg_temp.renew('a', '12:00');
SELECT pg_temp.renew('b', '12:00');
SELECT pg_temp.renew('b', '12:49:59');
-- At 50 minutes it gives way, whoever asks first.
SELECT pg_temp.renew('b', '12:50');
SELECT pg_temp.renew('c', '12:50');

-- A refused one gives way if it is the stored one and 20 minutes old.
SELECT pg_temp.renew('c', '13:09:59', refused => 'b');
SELECT pg_temp.renew('c', '13:10', refused => 'a');
SELECT pg_temp.renew('c', '13:10', refused => 'b');
SELECT pg_temp.renew('d', '13:30', refused => 'b');

-- A clock that was set back: up to 10 minutes are borne.
SELECT pg_temp.renew('d', '13:00');
SELECT pg_temp.renew('d', '12:59:59');

-- Another key under the same id has its own token, and so has another id.
SELECT pg_temp.renew('e', '13:00', fingerprint => '\x02');
SELECT pg_temp.renew('f', '13:01');
SELECT token FROM imp_push.renew_provider_token('RENEW67890', 'KEY4567899', '\x01', 'g', '2001-01-01 13:00');
SELECT token FROM imp_push.renew_provider_token('RENEW67899', 'KEY4567890', '\x01', 'h', '2001-01-01 13:00');

-- What is a day old goes with the next renewal.
SELECT token FROM imp_push.renew_provider_token('RENEW67890', 'KEY4567890', '\x01', 'i', '2001-01-02 13:00:01');
SELECT key_id, fingerprint, token, issued_at FROM imp_push.provider_token WHERE team_id = 'RENEW67890'
ORDER BY 1, 2;

DELETE FROM imp_push.provider_token WHERE team_id IN ('RENEW67890', 'RENEW67899');
