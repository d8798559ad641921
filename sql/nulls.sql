-- Where there must be a value, NULL is refused, and the error says what is
-- allowed: in every column of every table that people write.  (What PostgreSQL
-- itself says of a NOT NULL shows and logs the whole row.)
BEGIN;
INSERT INTO imp_push.certificate (name, bundle_id) VALUES ('chat', 'com.example.chat');
INSERT INTO imp_push.device_token (user_id, device_id, certificate, token) VALUES ('bob', 'phone', 'chat', 'aa');
INSERT INTO imp_push.presence (user_id, device_id, status) VALUES ('bob', 'phone', 'offline');
INSERT INTO imp_push.im_node (name, expires_at) VALUES ('node1', now());
INSERT INTO imp_push.user_profile (user_id) VALUES ('bob');
INSERT INTO imp_push.contact_remark (user_id, contact_id, remark) VALUES ('bob', 'alice', 'Al');
INSERT INTO imp_push.dnd (user_id, mode) VALUES ('bob', 'all');
INSERT INTO imp_push.template (name, title, content) VALUES ('sale', 'Sale', '{0}');
INSERT INTO imp_push.offline_message (recipient, sender, body) VALUES ('bob', 'alice', 'hello');

CREATE FUNCTION pg_temp.write_null(relation regclass, column_name name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE format('UPDATE %s SET %I = NULL', relation, column_name);
	RETURN 'a value is put in its place';
EXCEPTION WHEN not_null_violation OR check_violation THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', message, NULLIF(detail, ''), NULLIF(hint, ''));
END $$;

\a
\t
SELECT relation, attname, pg_temp.write_null('imp_push.' || relation, attname)
FROM unnest(ARRAY['settings', 'certificate', 'device_token', 'presence', 'im_node', 'user_profile',
		'contact_remark', 'dnd', 'template', 'builtin_text', 'offline_message']) WITH ORDINALITY AS r(relation, place)
	JOIN pg_attribute ON attrelid = ('imp_push.' || relation)::regclass AND attnotnull AND attnum > 0
ORDER BY place, attnum;
ROLLBACK;
