/*
 * device_token.sql
 *		Bindings: which token reaches which device of which user.
 *
 * Owns imp_push.device_token and what happens to other bindings when one is
 * written.  Must never show a token: every check is a trigger that raises
 * before any constraint does, and the one unique index on tokens holds their
 * hashes.
 *
 * A token has one holder under a certificate: the last that it was written
 * for.  And a device has one binding for each bundle id and push type.  So
 * writing a binding may delete others, in the BEFORE trigger, because
 * afterwards would be too late for the unique index.
 *
 * ON CONFLICT.  The conflict that counts is that of the primary key; a token
 * that somebody else holds is none, it moves.  A trigger cannot know how its
 * INSERT will end, and one that ends as DO NOTHING must delete nothing.  So
 * if the row's own key is there already, the INSERT deletes nothing: it will
 * end as an error, as DO NOTHING, or as an UPDATE, whose trigger then moves
 * the token.  If the key is not there, the INSERT will insert, whatever its
 * ON CONFLICT says, since with the other holder gone nothing is in its way.
 * What makes that "will" hold with two writers at once:
 *
 * - writers of the same token, or of the same device, wait for each other in
 *   lock_binding(), and then each statement of the trigger sees what has been
 *   committed;
 * - who deletes a binding does not come there, so the row with the own key is
 *   locked, which waits for such a DELETE and keeps off the next.
 *
 * In REPEATABLE READ and above, where the trigger cannot see what was
 * committed since, such a meeting ends with a serialization failure.
 *
 * CERTIFICATES.  certificate is a foreign key by triggers of our own: a
 * binding's certificate must be there, one in use cannot be deleted, and
 * renaming one takes its bindings along.  A constraint would fail in a parallel
 * restore, which knows nothing of the order among the data of an extension's
 * tables and begins with the largest.
 */

CREATE FUNCTION imp_push.lock_binding(user_id text, device_id text, certificate text, token text) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'imp_push_lock_binding';
COMMENT ON FUNCTION imp_push.lock_binding(text, text, text, text) IS
'keeps off other writers of the same token or device until the row is written; whether there are rows with that token or of that device';

CREATE FUNCTION imp_push.register_token() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'imp_push_register_token';
COMMENT ON FUNCTION imp_push.register_token() IS
'trigger: checks and normalises a token; writing one in an UPDATE begins a new registration';

CREATE TABLE imp_push.device_token (
	user_id text COLLATE "C" NOT NULL,
	device_id text COLLATE "C" NOT NULL,
	certificate text COLLATE "C" NOT NULL,
	token text COLLATE "C" NOT NULL,
	registered_at timestamptz NOT NULL,
	disabled_at timestamptz,
	disabled_reason text,
	PRIMARY KEY (user_id, device_id, certificate)
);

/*
 * Not over the token itself: the error for a duplicate would show it.  And
 * not with the certificate first: to a plan made while the table was empty
 * the few certificates would look as good a way to a binding as its key.
 */
CREATE UNIQUE INDEX device_token_holder
	ON imp_push.device_token (pg_catalog.sha256(pg_catalog.decode(token, 'hex')), certificate);

/*
 * What a worker looks up when it starts: tokens that were given up of late and
 * may yet turn out to be good.  Live bindings have no entry.
 */
CREATE INDEX device_token_doubted
	ON imp_push.device_token (certificate, disabled_at)
	WHERE disabled_reason IN ('BadDeviceToken', 'DeviceTokenNotForTopic');

COMMENT ON TABLE imp_push.device_token IS
'bindings: the token that reaches a device of a user under a certificate';
COMMENT ON COLUMN imp_push.device_token.user_id IS
'who gets the pushes';
COMMENT ON COLUMN imp_push.device_token.device_id IS
'the device, as presence names it';
COMMENT ON COLUMN imp_push.device_token.certificate IS
'the certificate that the token belongs to';
COMMENT ON COLUMN imp_push.device_token.token IS
'device token from APNs, in lower-case hexadecimal';
COMMENT ON COLUMN imp_push.device_token.registered_at IS
'when the app last registered the token; by default the time of writing, -infinity if unknown';
COMMENT ON COLUMN imp_push.device_token.disabled_at IS
'when the token was disabled after an answer from APNs; NULL while it is live';
COMMENT ON COLUMN imp_push.device_token.disabled_reason IS
'the reason that APNs gave';

/*
 * Runs as the owner: writers need no rights on certificates, and the binding
 * that goes away may be one that they cannot see.
 *
 * Without sequential scans, because plans are kept: one made while the table
 * was empty would read all of it for each row of a long import.
 */
CREATE FUNCTION imp_push.move_token() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
	others boolean;
	topic record;
BEGIN
	NEW.registered_at := coalesce(NEW.registered_at, clock_timestamp());

	IF TG_OP = 'UPDATE'
		AND (NEW.user_id, NEW.device_id, NEW.certificate, NEW.token)
			= (OLD.user_id, OLD.device_id, OLD.certificate, OLD.token) THEN
		RETURN NEW;
	END IF;

	others := imp_push.lock_binding(NEW.user_id, NEW.device_id, NEW.certificate, NEW.token);

	IF others AND TG_OP = 'INSERT' THEN
		PERFORM FROM imp_push.device_token
			WHERE user_id = NEW.user_id AND device_id = NEW.device_id AND certificate = NEW.certificate
			FOR UPDATE;
		IF FOUND THEN
			RETURN NEW;
		END IF;
	END IF;

	-- the lock that a foreign key takes: until our end nobody deletes or renames it
	SELECT bundle_id, push_type INTO topic FROM imp_push.certificate WHERE name = NEW.certificate FOR KEY SHARE;

	-- Every dump begins by switching check_function_bodies off: its certificates may come later.
	IF NOT FOUND AND current_setting('check_function_bodies')::boolean THEN
		PERFORM imp_push.refuse_value('device_token', 'certificate', NEW.certificate, true,
			format('There is no certificate of the name "%s".', NEW.certificate),
			'Create it with imp_push.set_certificate().');
	END IF;

	IF NOT others THEN
		RETURN NEW;
	END IF;

	-- the token's other holder
	DELETE FROM imp_push.device_token AS other
		WHERE other.certificate = NEW.certificate
			AND sha256(decode(other.token, 'hex')) = sha256(decode(NEW.token, 'hex'))
			AND (other.user_id, other.device_id, other.certificate)
				IS DISTINCT FROM (OLD.user_id, OLD.device_id, OLD.certificate);

	-- the device's binding under another certificate for the same topic
	DELETE FROM imp_push.device_token AS other
		USING imp_push.certificate
		WHERE other.user_id = NEW.user_id
			AND other.device_id = NEW.device_id
			AND other.certificate <> NEW.certificate
			AND (other.user_id, other.device_id, other.certificate)
				IS DISTINCT FROM (OLD.user_id, OLD.device_id, OLD.certificate)
			AND certificate.name = other.certificate
			AND certificate.bundle_id = topic.bundle_id
			AND certificate.push_type = topic.push_type;

	RETURN NEW;
END $$;
COMMENT ON FUNCTION imp_push.move_token() IS
'trigger: takes a token from its other holder, and a device''s binding from another certificate for the same topic';

/*
 * In this order: what is wrong is said first, what is right moves.  A swap of
 * two tokens in one UPDATE is refused by the server itself, which finds the
 * second row deleted by the move of the first.
 */
CREATE TRIGGER device_token_1_user BEFORE INSERT OR UPDATE ON imp_push.device_token
	FOR EACH ROW WHEN ((NEW.user_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('user_id', 'hidden', 'It must name the user.');
CREATE TRIGGER device_token_1_device BEFORE INSERT OR UPDATE ON imp_push.device_token
	FOR EACH ROW WHEN ((NEW.device_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('device_id', 'hidden', 'It must name the device.');
CREATE TRIGGER device_token_1_certificate BEFORE INSERT OR UPDATE ON imp_push.device_token
	FOR EACH ROW WHEN (NEW.certificate IS NULL)
	EXECUTE FUNCTION imp_push.refuse('certificate', 'hidden', 'It must name a row of imp_push.certificate.');
CREATE TRIGGER device_token_2_register BEFORE INSERT OR UPDATE OF token ON imp_push.device_token
	FOR EACH ROW EXECUTE FUNCTION imp_push.register_token();
CREATE TRIGGER device_token_3_move
	BEFORE INSERT OR UPDATE OF user_id, device_id, certificate, token ON imp_push.device_token
	FOR EACH ROW EXECUTE FUNCTION imp_push.move_token();
CREATE TRIGGER device_token_4_registered_at BEFORE INSERT OR UPDATE ON imp_push.device_token
	FOR EACH ROW WHEN ((NEW.registered_at < 'infinity') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('registered_at', 'hidden',
		'It must be a point in time, or -infinity if that is unknown.');

/*
 * The other side of the foreign key.  The row is locked when the trigger
 * fires, and a writer of a binding has locked it too: so the trigger sees the
 * bindings of all who came before.
 */
CREATE FUNCTION imp_push.certificate_in_use() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_use text;
BEGIN
	IF TG_OP = 'DELETE' THEN
		SELECT certificate INTO in_use FROM imp_push.device_token WHERE certificate = OLD.name LIMIT 1;
	ELSE
		SELECT certificate INTO in_use FROM imp_push.device_token LIMIT 1;
	END IF;
	IF FOUND THEN
		RAISE foreign_key_violation USING
			MESSAGE = format('certificate "%s" is in use', in_use),
			DETAIL = 'Bindings in imp_push.device_token refer to it.',
			HINT = 'UPDATE imp_push.certificate SET enabled = false switches a certificate off.';
	END IF;
	RETURN OLD;
END $$;
COMMENT ON FUNCTION imp_push.certificate_in_use() IS
'trigger: refuses to delete a certificate that has bindings';

CREATE TRIGGER certificate_in_use BEFORE DELETE ON imp_push.certificate
	FOR EACH ROW EXECUTE FUNCTION imp_push.certificate_in_use();
CREATE TRIGGER certificate_in_use_truncate BEFORE TRUNCATE ON imp_push.certificate
	FOR EACH STATEMENT EXECUTE FUNCTION imp_push.certificate_in_use();

CREATE FUNCTION imp_push.certificate_renamed() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE imp_push.device_token SET certificate = NEW.name WHERE certificate = OLD.name;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION imp_push.certificate_renamed() IS
'trigger: takes the bindings of a certificate along to its new name';

CREATE TRIGGER certificate_renamed AFTER UPDATE OF name ON imp_push.certificate
	FOR EACH ROW WHEN (NEW.name <> OLD.name)
	EXECUTE FUNCTION imp_push.certificate_renamed();

SELECT pg_catalog.pg_extension_config_dump('imp_push.device_token', '');
