/*
 * user_profile.sql
 *		What people say about themselves and about each other.
 *
 * Owns user_profile and contact_remark.  Must never refuse a template that
 * does not exist: it falls through when a notification is written.
 */

CREATE TABLE imp_push.user_profile (
	user_id text COLLATE "C" PRIMARY KEY,
	nickname text,
	display_style text NOT NULL DEFAULT 'simple',
	language text COLLATE "C",
	time_zone text,
	template text COLLATE "C"
);

COMMENT ON TABLE imp_push.user_profile IS
'how people are named, and how they want to be notified';
COMMENT ON COLUMN imp_push.user_profile.user_id IS
'the user';
COMMENT ON COLUMN imp_push.user_profile.nickname IS
'the name that others see, at most 100 characters; NULL: the user id';
COMMENT ON COLUMN imp_push.user_profile.display_style IS
'simple: that there is a message; summary: from whom, and what it says';
COMMENT ON COLUMN imp_push.user_profile.language IS
'language tag, such as zh-Hans-CN; NULL: settings.default_language';
COMMENT ON COLUMN imp_push.user_profile.time_zone IS
'IANA time zone for do-not-disturb; NULL: settings.default_time_zone';
COMMENT ON COLUMN imp_push.user_profile.template IS
'template that the user chose; one that does not exist is passed over';

-- What people write themselves is not shown.
CREATE TRIGGER user_profile_check_user BEFORE INSERT OR UPDATE ON imp_push.user_profile
	FOR EACH ROW WHEN ((NEW.user_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('user_id', 'hidden', 'It must name the user.');
CREATE TRIGGER user_profile_check_nickname BEFORE INSERT OR UPDATE ON imp_push.user_profile
	FOR EACH ROW WHEN (pg_catalog.length(NEW.nickname) > 100)
	EXECUTE FUNCTION imp_push.refuse('nickname', 'hidden', 'It must have at most 100 characters.');
CREATE TRIGGER user_profile_check_display_style BEFORE INSERT OR UPDATE ON imp_push.user_profile
	FOR EACH ROW WHEN ((NEW.display_style IN ('simple', 'summary')) IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('display_style', 'shown', 'Allowed are simple and summary.');
CREATE TRIGGER user_profile_check_language BEFORE INSERT OR UPDATE ON imp_push.user_profile
	FOR EACH ROW WHEN (NEW.language !~ '^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$')
	EXECUTE FUNCTION imp_push.refuse('language', 'shown',
		'It must be a language tag, such as zh, en or zh-Hans-CN, or NULL for the default.');
CREATE TRIGGER user_profile_check_time_zone BEFORE INSERT OR UPDATE OF time_zone ON imp_push.user_profile
	FOR EACH ROW WHEN (NEW.time_zone IS NOT NULL)
	EXECUTE FUNCTION imp_push.check_time_zone('time_zone');

CREATE TABLE imp_push.contact_remark (
	user_id text COLLATE "C" NOT NULL,
	contact_id text COLLATE "C" NOT NULL,
	remark text NOT NULL,
	PRIMARY KEY (user_id, contact_id)
);

COMMENT ON TABLE imp_push.contact_remark IS
'the names that people gave their contacts';
COMMENT ON COLUMN imp_push.contact_remark.user_id IS
'who gave the name';
COMMENT ON COLUMN imp_push.contact_remark.contact_id IS
'whom it is for';
COMMENT ON COLUMN imp_push.contact_remark.remark IS
'the name';

CREATE TRIGGER contact_remark_check_user BEFORE INSERT OR UPDATE ON imp_push.contact_remark
	FOR EACH ROW WHEN ((NEW.user_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('user_id', 'hidden', 'It must name the user who gave the name.');
CREATE TRIGGER contact_remark_check_contact BEFORE INSERT OR UPDATE ON imp_push.contact_remark
	FOR EACH ROW WHEN ((NEW.contact_id <> '') IS NOT TRUE)
	EXECUTE FUNCTION imp_push.refuse('contact_id', 'hidden', 'It must name the user whom the name is for.');
CREATE TRIGGER contact_remark_check_remark BEFORE INSERT OR UPDATE ON imp_push.contact_remark
	FOR EACH ROW WHEN (NEW.remark IS NULL)
	EXECUTE FUNCTION imp_push.refuse('remark', 'hidden', 'It must be a name.', 'Delete the row to end a remark.');

SELECT pg_catalog.pg_extension_config_dump('imp_push.user_profile', '');
SELECT pg_catalog.pg_extension_config_dump('imp_push.contact_remark', '');
