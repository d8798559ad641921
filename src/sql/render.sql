/*
 * render.sql
 *		The two things of a push that C computes for the plan: the payload and
 *		the apns-id.
 *
 * Owns how C is called; SQL decides what goes in.  Both are pure functions of
 * their arguments and must stay so: each attempt computes them anew.
 */
CREATE FUNCTION imp_push.render_payload(
	background         boolean,
	title              text,
	subtitle           text,
	body               text,
	title_loc_key      text,
	title_loc_args     jsonb,
	loc_key            text,
	loc_args           jsonb,
	badge              integer,
	sound              text,
	thread_id          text,
	category           text,
	mutable_content    boolean,
	content_available  boolean,
	interruption_level text,
	relevance_score    jsonb,
	sender             text,
	recipient          text,
	group_id           text,
	msg_id             text,
	extra              jsonb,
	leftover           jsonb,
	byte_limit         integer)
RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_render_payload';

COMMENT ON FUNCTION imp_push.render_payload(
	boolean, text, text, text, text, jsonb, text, jsonb, integer, text, text, text,
	boolean, boolean, text, jsonb, text, text, text, text, jsonb, jsonb, integer) IS
	'Internal: the payload as compact JSON; NULL leaves a key out, and background all that is shown or heard. leftover stands in for an absent extra; over byte_limit it goes first, then the end of the body; NULL if it does not fit even so.';

CREATE FUNCTION imp_push.apns_id(
	recipient   text,
	msg_id      text,
	device_id   text,
	certificate text)
RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'imp_push_apns_id';

COMMENT ON FUNCTION imp_push.apns_id(text, text, text, text) IS
	'Internal: the apns-id of a push, the same on every attempt.';
