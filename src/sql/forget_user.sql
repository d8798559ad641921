-- forget_user(): erases a person.
--
-- Owns the list of tables in which people stand: a table that names a person
-- belongs on it.  Must never touch what is about others alone.
--
-- A push that is on its way at that moment leaves one row in delivery when it
-- is answered; nothing else comes back.

CREATE FUNCTION imp_push.forget_user(user_id text, sent boolean DEFAULT false)
RETURNS TABLE (table_name text, rows bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	person CONSTANT text := forget_user.user_id;
	statement record;
BEGIN
	IF person IS NULL OR sent IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'user_id and sent of forget_user() must not be null';
	END IF;

	-- Bindings first: from here on nothing is planned for them.  Messages
	-- before the log, where their deletion writes that they are cancelled.
	FOR statement IN
		SELECT *
		FROM (VALUES
			('device_token', 't.user_id = $1'),
			('presence', 't.user_id = $1'),
			('user_profile', 't.user_id = $1'),
			('contact_remark', 't.user_id = $1 OR t.contact_id = $1'),
			('dnd', 't.user_id = $1 OR (t.chat_type = ''chat'' AND t.conversation_id = $1)'),
			('offline_message', 't.recipient = $1 OR ($2 AND t.sender = $1)'),
			('waiting', 't.recipient = $1'),
			('direct_push', 't.recipient = $1'),
			('recheck', 't.user_id = $1'),
			('delivery_log', 't.recipient = $1')
			) AS erased(name, condition)
	LOOP
		EXECUTE format('DELETE FROM imp_push.%I t WHERE %s',
				statement.name, statement.condition)
			USING person, sent;
		GET DIAGNOSTICS rows = ROW_COUNT;
		table_name := CASE statement.name WHEN 'delivery_log' THEN 'delivery'
			ELSE statement.name END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION imp_push.forget_user(text, boolean) IS
	'erases everything about and to a person, and with sent the stored messages by them; cancels their pushes; returns how many rows went, by table';
