/*
 * provider_token.sql
 *		The one provider token of a signing key.
 *
 * Owns the table in which it lives and the rule by which it is replaced.
 * Logged, because a crash must not cost a new token: Apple refuses tokens that
 * come sooner than 20 minutes after the last.  Not dumped, and for nobody but
 * the owner: it is kept as imp_push.certificate_key keeps keys.
 */
CREATE TABLE imp_push.provider_token (
	team_id     text NOT NULL,
	key_id      text NOT NULL,
	fingerprint bytea NOT NULL,
	token       text COLLATE "C" NOT NULL,
	issued_at   timestamptz NOT NULL,
	PRIMARY KEY (team_id, key_id, fingerprint)
);

ALTER TABLE imp_push.provider_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE imp_push.provider_token
	ALTER COLUMN token SET STORAGE PLAIN,
	ALTER COLUMN token SET STATISTICS 0;

COMMENT ON TABLE imp_push.provider_token IS
	'Internal, for the owner alone: the provider token that all workers and connections use for a signing key. Not dumped.';
COMMENT ON COLUMN imp_push.provider_token.team_id IS
	'the team, as in certificate.team_id';
COMMENT ON COLUMN imp_push.provider_token.key_id IS
	'the key, as in certificate.key_id';
COMMENT ON COLUMN imp_push.provider_token.fingerprint IS
	'SHA-256 of the public key: a token that another key signed under the same id is of no use';
COMMENT ON COLUMN imp_push.provider_token.token IS
	'the JSON Web Token';
COMMENT ON COLUMN imp_push.provider_token.issued_at IS
	'its iat: used for 50 minutes, accepted by Apple for 60';

-- Two who renew at the same time: the second one waits for the first at the
-- row, finds it young, and reads what the first has written.  The limits are
-- those of src/provider_token.h.
CREATE FUNCTION imp_push.renew_provider_token(
	team_id       text,
	key_id        text,
	fingerprint   bytea,
	new_token     text,
	new_issued_at timestamptz,
	refused       text DEFAULT NULL,
	OUT token     text,
	OUT issued_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO imp_push.provider_token AS p
		(team_id, key_id, fingerprint, token, issued_at)
	VALUES ($1, $2, $3, new_token, new_issued_at)
	ON CONFLICT ON CONSTRAINT provider_token_pkey DO UPDATE
	SET token = EXCLUDED.token, issued_at = EXCLUDED.issued_at
	WHERE p.issued_at <= new_issued_at - interval '50 minutes'
	   OR p.issued_at > new_issued_at + interval '10 minutes'
	   OR (p.token = refused
		   AND p.issued_at <= new_issued_at - interval '20 minutes');

	-- Keys that are no longer used, and what the clock has left behind.
	DELETE FROM imp_push.provider_token p
	WHERE p.issued_at < new_issued_at - interval '1 day';

	SELECT p.token, p.issued_at
	INTO STRICT renew_provider_token.token, renew_provider_token.issued_at
	FROM imp_push.provider_token p
	WHERE p.team_id = $1 AND p.key_id = $2 AND p.fingerprint = $3;
END
$$;

COMMENT ON FUNCTION imp_push.renew_provider_token(
	text, text, bytea, text, timestamptz, text) IS
	'Internal: offers a new provider token and returns the one to use. The stored one gives way if it is 50 minutes older, lies in the future, or is the refused one and 20 minutes older.';
