/*
 * template.sql
 *		The app's own texts for notifications.
 *
 * Owns imp_push.template.  How a template is filled is said in words.sql.  Must
 * never refuse a placeholder that nobody knows: it is left alone and warned of
 * when a notification is written.
 */

CREATE TABLE imp_push.template (
	name text COLLATE "C" PRIMARY KEY,
	title text NOT NULL,
	content text NOT NULL
);

COMMENT ON TABLE imp_push.template IS
'the app''s own texts for notifications';
COMMENT ON COLUMN imp_push.template.name IS
'1 to 64 of A-Z, a-z, 0-9 and _; default and detail replace the built-in texts of the styles simple and summary';
COMMENT ON COLUMN imp_push.template.title IS
'title, with {$fromNickname}, {$msg}, {$dynamicFrom} and arguments {0}, {1} ...';
COMMENT ON COLUMN imp_push.template.content IS
'body, with the same';

CREATE TRIGGER template_check_name BEFORE INSERT OR UPDATE ON imp_push.template
	FOR EACH ROW WHEN ((NEW.name ~ '^[A-Za-z0-9_]{1,64}$') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('name', 'shown', 'It must be 1 to 64 of A-Z, a-z, 0-9 and _.');
CREATE TRIGGER template_check_title BEFORE INSERT OR UPDATE ON imp_push.template
	FOR EACH ROW WHEN (NEW.title IS NULL)
	EXECUTE FUNCTION imp_push.refuse('title', 'shown', 'It must be a text, which may be empty.');
CREATE TRIGGER template_check_content BEFORE INSERT OR UPDATE ON imp_push.template
	FOR EACH ROW WHEN (NEW.content IS NULL)
	EXECUTE FUNCTION imp_push.refuse('content', 'shown', 'It must be a text, which may be empty.');
CREATE TRIGGER template_need_advanced_features BEFORE INSERT OR UPDATE ON imp_push.template
	FOR EACH ROW EXECUTE FUNCTION imp_push.need_advanced_features();

SELECT pg_catalog.pg_extension_config_dump('imp_push.template', '');
