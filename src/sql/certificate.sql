/*
 * certificate.sql
 *		Certificates: how to speak to APNs for one app.
 *
 * Owns imp_push.certificate, the keys beside it, and set_certificate().  Keys
 * stand in a table of their own that nobody but the owner reads and that dumps
 * leave out; nothing here may put a key, or a value that could be one by
 * mistake, into a message.
 */
CREATE TABLE imp_push.certificate (
	name                    text COLLATE "C" PRIMARY KEY,
	bundle_id               text NOT NULL,
	push_type               text NOT NULL DEFAULT 'alert',
	environment             text NOT NULL DEFAULT 'production',
	team_id                 text,
	key_id                  text,
	key_file                text,
	sound                   text,
	mutable_content         boolean NOT NULL DEFAULT false,
	endpoint                text,
	enabled                 boolean NOT NULL DEFAULT true,
	client_certificate_file text
);

SELECT pg_catalog.pg_extension_config_dump('imp_push.certificate', '');

COMMENT ON TABLE imp_push.certificate IS
	'How to speak to APNs for one app. Keys are set with set_certificate() and never stand here.';
COMMENT ON COLUMN imp_push.certificate.name IS
	'what the client calls the certificate name (notifier name)';
COMMENT ON COLUMN imp_push.certificate.bundle_id IS
	'the app; becomes apns-topic (with .voip for VoIP, unless it is there)';
COMMENT ON COLUMN imp_push.certificate.push_type IS
	'alert or voip';
COMMENT ON COLUMN imp_push.certificate.environment IS
	'production or development: picks Apple''s host';
COMMENT ON COLUMN imp_push.certificate.team_id IS
	'token authentication: the team, 10 characters; NULL with a client certificate';
COMMENT ON COLUMN imp_push.certificate.key_id IS
	'token authentication: the key, 10 characters; NULL with a client certificate';
COMMENT ON COLUMN imp_push.certificate.key_file IS
	'NULL, or the NAME of the file in imp_push.key_directory that holds the key';
COMMENT ON COLUMN imp_push.certificate.sound IS
	'default ring, or NULL; the empty string: none';
COMMENT ON COLUMN imp_push.certificate.mutable_content IS
	'every push runs the app''s service extension';
COMMENT ON COLUMN imp_push.certificate.endpoint IS
	'NULL, or https://host[:port] instead of Apple''s host: a simulator or a proxy';
COMMENT ON COLUMN imp_push.certificate.enabled IS
	'off: the policy runs, and nothing is sent';
COMMENT ON COLUMN imp_push.certificate.client_certificate_file IS
	'NULL, or the NAME of the file in imp_push.key_directory that holds the client certificate';

-- Row security without a policy keeps out pg_read_all_data as well.  It does
-- not reach the toast table, nor the planner's statistics, where that role
-- could read keys: so they never get there.  (A certificate is no secret.)
CREATE TABLE imp_push.certificate_key (
	certificate        text COLLATE "C" PRIMARY KEY
		REFERENCES imp_push.certificate (name)
		ON UPDATE CASCADE ON DELETE CASCADE,
	private_key        text,
	client_certificate text,
	client_key         text,
	expires_at         timestamptz
);

ALTER TABLE imp_push.certificate_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE imp_push.certificate_key
	ALTER COLUMN private_key SET STORAGE PLAIN,
	ALTER COLUMN private_key SET STATISTICS 0,
	ALTER COLUMN client_key SET STORAGE PLAIN,
	ALTER COLUMN client_key SET STATISTICS 0;

COMMENT ON TABLE imp_push.certificate_key IS
	'Internal, for the owner alone: the keys of certificates, written by set_certificate(). Not dumped.';
COMMENT ON COLUMN imp_push.certificate_key.certificate IS
	'whose keys';
COMMENT ON COLUMN imp_push.certificate_key.private_key IS
	'the .p8 text, or NULL: another kind of authentication, or certificate.key_file';
COMMENT ON COLUMN imp_push.certificate_key.client_certificate IS
	'PEM, or NULL: another kind of authentication, or certificate.client_certificate_file';
COMMENT ON COLUMN imp_push.certificate_key.client_key IS
	'PEM, or NULL: another kind of authentication, or certificate.key_file';
COMMENT ON COLUMN imp_push.certificate_key.expires_at IS
	'the end of the client certificate''s validity when it was set';

CREATE VIEW imp_push.certificate_key_status AS
SELECT c.name AS certificate,
	   CASE WHEN c.team_id IS NOT NULL
			THEN c.key_file IS NOT NULL OR k.private_key IS NOT NULL
			ELSE (c.client_certificate_file IS NOT NULL
				  OR k.client_certificate IS NOT NULL)
				 AND (c.key_file IS NOT NULL OR k.client_key IS NOT NULL)
	   END AS has_key,
	   k.expires_at
FROM imp_push.certificate c
LEFT JOIN imp_push.certificate_key k ON k.certificate = c.name;

COMMENT ON VIEW imp_push.certificate_key_status IS
	'Internal: which certificates have a key, and when client certificates end. Shows no key.';
COMMENT ON COLUMN imp_push.certificate_key_status.certificate IS
	'name of the certificate';
COMMENT ON COLUMN imp_push.certificate_key_status.has_key IS
	'a key is stored or named';
COMMENT ON COLUMN imp_push.certificate_key_status.expires_at IS
	'the end of the client certificate''s validity when it was set; NULL with token authentication';

-- An endpoint is https://host[:port] and nothing else.  No backslash in the
-- pattern: the caller may have switched standard_conforming_strings off.
CREATE FUNCTION imp_push.is_endpoint(endpoint text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part text[] := regexp_match(endpoint,
		'^https://([[]([0-9A-Fa-f:.]+)[]]|[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*[.]?)(:([0-9]{1,5}))?$');
BEGIN
	RETURN part IS NOT NULL
		AND length(part[1]) <= 253
		AND (part[5] IS NULL OR part[5]::integer BETWEEN 1 AND 65535)
		AND (part[2] IS NULL OR family(part[2]::inet) = 6);
EXCEPTION WHEN invalid_text_representation THEN
	RETURN false;
END
$$;

COMMENT ON FUNCTION imp_push.is_endpoint(text) IS
	'Internal: whether a text is https://host[:port].';

-- The name of a file in imp_push.key_directory; src/key_file.c has the last word.
CREATE FUNCTION imp_push.is_key_file_name(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(name) BETWEEN 1 AND 255
   AND name !~ '^\.|^file:|[/\\\u0001-\u001f\u007f]';

COMMENT ON FUNCTION imp_push.is_key_file_name(text) IS
	'Internal: whether a text is a plain file name, without the prefix file:.';

-- No message quotes a value but the name: a key that was given in the wrong
-- place must not get into the log.  Hence the name comes first.
CREATE FUNCTION imp_push.certificate_check() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fault  text;
	advice text;
BEGIN
	SELECT c.column_name || ' ' || c.rule, c.advice INTO fault, advice
	FROM (VALUES
		(1, 'name', NEW.name ~ E'^[^\u0001-\u001f\u007f]+$' AND octet_length(NEW.name) <= 250,
			'must have 1 to 250 bytes and no control characters',
			'It is what the client calls the certificate.'),
		(2, 'bundle_id', NEW.bundle_id IS NOT NULL, 'must be given',
			'It is the identifier of the app, such as com.example.app.'),
		(3, 'bundle_id', NEW.bundle_id ~ '^[A-Za-z0-9._-]{1,250}$',
			'must consist of letters, digits, dots, hyphens and underscores',
			'It is the identifier of the app, such as com.example.app.'),
		(4, 'push_type', NEW.push_type IN ('alert', 'voip'),
			'must be alert or voip',
			'Calls go over a certificate of their own, of type voip.'),
		(5, 'environment', NEW.environment IN ('production', 'development'),
			'must be production or development',
			'Apps that Xcode installs are development, all others production.'),
		(6, 'team_id', NEW.team_id IS NULL OR NEW.team_id ~ '^[A-Za-z0-9]{10}$',
			'must be 10 letters and digits',
			'Apple''s developer site shows it under Membership.'),
		(7, 'key_id', NEW.key_id IS NULL OR NEW.key_id ~ '^[A-Za-z0-9]{10}$',
			'must be 10 letters and digits',
			'It is part of the name of the .p8 file that Apple hands out.'),
		(8, 'team_id', (NEW.team_id IS NULL) = (NEW.key_id IS NULL),
			'and key_id must be given both or neither',
			'Both for token authentication, neither with a client certificate.'),
		(9, 'key_file',
			NEW.key_file IS NULL OR imp_push.is_key_file_name(NEW.key_file),
			'must be a plain file name',
			'It names a file in imp_push.key_directory: no path, no dot in front, no prefix.'),
		(10, 'client_certificate_file',
			NEW.client_certificate_file IS NULL
				OR imp_push.is_key_file_name(NEW.client_certificate_file),
			'must be a plain file name',
			'It names a file in imp_push.key_directory: no path, no dot in front, no prefix.'),
		(11, 'client_certificate_file',
			NEW.client_certificate_file IS NULL OR NEW.team_id IS NULL,
			'must be null where team_id is given',
			'A certificate has exactly one kind of authentication.'),
		(12, 'sound', NEW.sound IS NULL OR NEW.sound ~ E'^[^\u0001-\u001f\u007f]{0,250}$',
			'must have at most 250 characters and no control characters',
			'It is the name of a sound file in the app, or default.'),
		(13, 'mutable_content', NEW.mutable_content IS NOT NULL,
			'must not be null', 'It is true or false.'),
		(14, 'endpoint', NEW.endpoint IS NULL OR imp_push.is_endpoint(NEW.endpoint),
			'must be https://host or https://host:port',
			'No path, no user name and no query; NULL means Apple''s host.'),
		(15, 'enabled', NEW.enabled IS NOT NULL,
			'must not be null', 'It is true or false.')
	) AS c (ordinal, column_name, valid, rule, advice)
	WHERE c.valid IS NOT TRUE
	ORDER BY c.ordinal
	LIMIT 1;

	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'check_violation',
			MESSAGE = CASE WHEN fault LIKE 'name %' THEN 'certificate: ' || fault
						   ELSE format('certificate "%s": %s', NEW.name, fault) END,
			HINT = advice;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION imp_push.certificate_check() IS
	'Internal: checks the columns of a certificate.';

CREATE TRIGGER check_columns
	BEFORE INSERT OR UPDATE ON imp_push.certificate
	FOR EACH ROW EXECUTE FUNCTION imp_push.certificate_check();

COMMENT ON TRIGGER check_columns ON imp_push.certificate IS
	'Internal: checks the columns of a certificate.';

-- What a change of the row alone cannot do: give bindings another app, or
-- leave a stored key behind that is not the one of the ids.
CREATE FUNCTION imp_push.certificate_check_update() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stored imp_push.certificate_key;
	fault  text;
BEGIN
	IF (NEW.bundle_id, NEW.push_type) IS DISTINCT FROM (OLD.bundle_id, OLD.push_type) THEN
		-- Bindings that are being written hold this row: wait for them.
		PERFORM FROM imp_push.certificate c WHERE c.name = OLD.name FOR UPDATE;
		IF EXISTS (SELECT FROM imp_push.device_token d WHERE d.certificate = OLD.name) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_in_use',
				MESSAGE = format('certificate "%s": bundle_id and push_type cannot change while bindings use it', OLD.name),
				HINT = 'Make another certificate and bind the devices under that.';
		END IF;
	END IF;

	IF (NEW.team_id, NEW.key_id, NEW.key_file, NEW.client_certificate_file)
	   IS DISTINCT FROM
	   (OLD.team_id, OLD.key_id, OLD.key_file, OLD.client_certificate_file) THEN
		SELECT k.* INTO stored FROM imp_push.certificate_key k WHERE k.certificate = OLD.name;
		fault := CASE
			WHEN stored.private_key IS NOT NULL AND NEW.team_id IS NOT NULL
				 AND (NEW.team_id, NEW.key_id) IS DISTINCT FROM (OLD.team_id, OLD.key_id)
				THEN 'other ids need the key that belongs to them'
			WHEN NEW.team_id IS NOT NULL
				 AND (stored.client_certificate IS NOT NULL OR stored.client_key IS NOT NULL)
				THEN 'it has a client certificate, and there is one kind of authentication'
			WHEN NEW.key_file IS NOT NULL
				 AND (stored.private_key IS NOT NULL OR stored.client_key IS NOT NULL)
				THEN 'key_file must be null while a key is stored'
			WHEN NEW.client_certificate_file IS NOT NULL AND stored.client_certificate IS NOT NULL
				THEN 'client_certificate_file must be null while a client certificate is stored'
		END;
		IF fault IS NOT NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'check_violation',
				MESSAGE = format('certificate "%s": %s', OLD.name, fault),
				HINT = 'Change keys and what belongs to them with imp_push.set_certificate().';
		END IF;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION imp_push.certificate_check_update() IS
	'Internal: refuses changes that do not fit the bindings or the stored key.';

CREATE TRIGGER check_update
	BEFORE UPDATE ON imp_push.certificate
	FOR EACH ROW EXECUTE FUNCTION imp_push.certificate_check_update();

COMMENT ON TRIGGER check_update ON imp_push.certificate IS
	'Internal: refuses changes that do not fit the bindings or the stored key.';

-- A key without its ids is of no use to anybody.
CREATE FUNCTION imp_push.certificate_forget_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM imp_push.certificate_key k
	WHERE k.certificate IN (OLD.name, NEW.name) AND k.private_key IS NOT NULL;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION imp_push.certificate_forget_key() IS
	'Internal: erases the stored key of a certificate whose ids are cleared.';

CREATE TRIGGER forget_key
	AFTER UPDATE ON imp_push.certificate
	FOR EACH ROW WHEN (OLD.team_id IS NOT NULL AND NEW.team_id IS NULL)
	EXECUTE FUNCTION imp_push.certificate_forget_key();

COMMENT ON TRIGGER forget_key ON imp_push.certificate IS
	'Internal: erases the stored key of a certificate whose ids are cleared.';

CREATE FUNCTION imp_push.certificate_changed() RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'imp_push_certificate_changed';

COMMENT ON FUNCTION imp_push.certificate_changed() IS
	'Internal: tells the worker to read certificates and keys again.';

CREATE TRIGGER changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON imp_push.certificate
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.certificate_changed();
CREATE TRIGGER changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON imp_push.certificate_key
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.certificate_changed();

COMMENT ON TRIGGER changed ON imp_push.certificate IS
	'Internal: tells the worker to read certificates again.';
COMMENT ON TRIGGER changed ON imp_push.certificate_key IS
	'Internal: tells the worker to read keys again.';

-- Both take a PEM or file:NAME and raise an error that says what is wrong with
-- it and never what it is.
CREATE FUNCTION imp_push.check_signing_key(private_key text) RETURNS void
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'imp_push_check_signing_key';

COMMENT ON FUNCTION imp_push.check_signing_key(text) IS
	'Internal: raises an error unless this is a P-256 private key without a passphrase.';

CREATE FUNCTION imp_push.check_client_key(client_certificate text, client_key text)
RETURNS timestamptz
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'imp_push_check_client_key';

COMMENT ON FUNCTION imp_push.check_client_key(text, text) IS
	'Internal: raises an error unless these are a certificate and its key; returns the end of its validity.';

-- The keys that a certificate is to have from now on: sets the columns of
-- "cert" that belong to them and returns what certificate_key is to hold.
CREATE FUNCTION imp_push.choose_keys(
	INOUT cert imp_push.certificate,
	INOUT stored imp_push.certificate_key,
	set_team_id text, set_key_id text,
	private_key text, client_certificate text, client_key text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF (set_team_id IS NOT NULL OR set_key_id IS NOT NULL OR private_key IS NOT NULL)
	   AND (client_certificate IS NOT NULL OR client_key IS NOT NULL) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('certificate "%s": there must be exactly one kind of authentication', cert.name),
			HINT = 'Give team_id, key_id and private_key, or client_certificate and client_key.';
	END IF;

	IF private_key IS NOT NULL THEN
		cert.team_id := COALESCE(set_team_id, cert.team_id);
		cert.key_id := COALESCE(set_key_id, cert.key_id);
		IF cert.team_id IS NULL OR cert.key_id IS NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('certificate "%s": team_id and key_id must be given with private_key', cert.name);
		END IF;
		PERFORM imp_push.check_signing_key(private_key);
		cert.key_file := substring(private_key FROM '^file:(.*)$');
		cert.client_certificate_file := NULL;
		stored := ROW(cert.name, CASE WHEN cert.key_file IS NULL THEN private_key END,
					  NULL, NULL, NULL);
	ELSE
		-- What is not given stays, if it is of this kind.
		client_certificate := COALESCE(client_certificate, stored.client_certificate,
									   'file:' || cert.client_certificate_file);
		client_key := COALESCE(client_key, stored.client_key,
							   CASE WHEN cert.team_id IS NULL THEN 'file:' || cert.key_file END);
		IF client_certificate IS NULL OR client_key IS NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('certificate "%s": client_certificate and client_key must be given together', cert.name);
		END IF;
		stored := ROW(cert.name, NULL, NULL, NULL,
					  imp_push.check_client_key(client_certificate, client_key));
		cert.team_id := NULL;
		cert.key_id := NULL;
		cert.client_certificate_file := substring(client_certificate FROM '^file:(.*)$');
		cert.key_file := substring(client_key FROM '^file:(.*)$');
		IF cert.client_certificate_file IS NULL THEN
			stored.client_certificate := client_certificate;
		END IF;
		IF cert.key_file IS NULL THEN
			stored.client_key := client_key;
		END IF;
	END IF;

	-- It has to fit into its row (certificate_key).
	IF octet_length(COALESCE(stored.private_key, stored.client_key)) > 7500 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('certificate "%s": a stored key has at most 7500 bytes', cert.name),
			HINT = 'Give the key alone, or put it into a file of imp_push.key_directory.';
	END IF;
END
$$;

COMMENT ON FUNCTION imp_push.choose_keys(
	imp_push.certificate, imp_push.certificate_key, text, text, text, text, text) IS
	'Internal, of set_certificate(): checks the keys that are given and says where each belongs.';

CREATE FUNCTION imp_push.store_certificate(
	set_name text, set_bundle_id text, set_environment text,
	set_team_id text, set_key_id text, private_key text,
	client_certificate text, client_key text,
	set_push_type text, set_sound text, set_endpoint text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	created boolean := false;
	cert    imp_push.certificate;
	stored  imp_push.certificate_key;
	chosen  record;
	key     boolean := COALESCE(private_key, client_certificate, client_key) IS NOT NULL;
BEGIN
	IF NOT EXISTS (SELECT FROM imp_push.certificate c WHERE c.name = set_name) THEN
		INSERT INTO imp_push.certificate (name, bundle_id)
		VALUES (set_name, set_bundle_id)
		ON CONFLICT DO NOTHING;
		created := FOUND;
	END IF;
	SELECT c.* INTO STRICT cert FROM imp_push.certificate c
	WHERE c.name = set_name FOR NO KEY UPDATE;
	SELECT k.* INTO stored FROM imp_push.certificate_key k WHERE k.certificate = set_name;

	IF key THEN
		SELECT * INTO chosen
		FROM imp_push.choose_keys(cert, stored, set_team_id, set_key_id,
								  private_key, client_certificate, client_key);
		cert := chosen.cert;
		stored := chosen.stored;
		DELETE FROM imp_push.certificate_key k WHERE k.certificate = set_name;
	ELSIF created THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('certificate "%s": a new certificate needs a key', set_name),
			HINT = 'Give team_id, key_id and private_key, or client_certificate and client_key.';
	ELSIF set_team_id <> cert.team_id OR set_key_id <> cert.key_id
		  OR cert.team_id IS NULL AND COALESCE(set_team_id, set_key_id) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('certificate "%s": other ids need the key that belongs to them', set_name),
			HINT = 'Give team_id, key_id and private_key.';
	END IF;

	UPDATE imp_push.certificate c
	SET bundle_id = COALESCE(set_bundle_id, c.bundle_id),
		environment = COALESCE(set_environment, c.environment),
		push_type = COALESCE(set_push_type, c.push_type),
		sound = COALESCE(set_sound, c.sound),
		endpoint = COALESCE(set_endpoint, c.endpoint),
		team_id = cert.team_id,
		key_id = cert.key_id,
		key_file = cert.key_file,
		client_certificate_file = cert.client_certificate_file
	WHERE c.name = set_name;
	IF key THEN
		INSERT INTO imp_push.certificate_key SELECT (stored).*;
	END IF;

	IF NOT EXISTS (SELECT FROM imp_push.control c WHERE c.started) THEN
		RAISE NOTICE USING
			MESSAGE = 'imp_push is stopped in this database: nothing is sent yet',
			HINT = 'Start it with SELECT imp_push.start().';
	END IF;
END
$$;

COMMENT ON FUNCTION imp_push.store_certificate(
	text, text, text, text, text, text, text, text, text, text, text) IS
	'Internal: does the work of set_certificate().';

-- C, so that the server's log does not show the statement, with the key in it,
-- if it fails.
CREATE FUNCTION imp_push.set_certificate(
	name               text,
	bundle_id          text DEFAULT NULL,
	environment        text DEFAULT NULL,
	team_id            text DEFAULT NULL,
	key_id             text DEFAULT NULL,
	private_key        text DEFAULT NULL,
	client_certificate text DEFAULT NULL,
	client_key         text DEFAULT NULL,
	push_type          text DEFAULT NULL,
	sound              text DEFAULT NULL,
	endpoint           text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'imp_push_set_certificate';

COMMENT ON FUNCTION imp_push.set_certificate(
	text, text, text, text, text, text, text, text, text, text, text) IS
	'Creates a certificate with its key, or changes one; NULL keeps what is there. Keys are PEM, or file:NAME for a file in imp_push.key_directory. The key of one kind of authentication replaces that of the other.';
