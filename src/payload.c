/*
 * payload.c
 *		The payload of a push: put in order, made to fit, written.
 *
 * Owns the order of the keys and the cut.  It must never write more than the
 * limit, never split a code point or an escape, never cut off a character that
 * would have fitted, and never allocate.  Measuring and writing are the same
 * code, with and without a place to write to, so that they cannot disagree.
 */
#include "postgres.h"

#include "json.h"
#include "payload.h"

#define ELLIPSIS	"\xE2\x80\xA6"	/* U+2026 */

/* Where the JSON goes: at is NULL while only the length is asked for. */
typedef struct Sink
{
	char	   *at;
	size_t		length;
	bool		need_comma;
} Sink;

static void
put(Sink *sink, const char *data, size_t length)
{
	if (sink->at != NULL)
	{
		memcpy(sink->at, data, length);
		sink->at += length;
	}
	sink->length += length;
}

#define put_literal(sink, literal) put(sink, literal, sizeof(literal) - 1)

static void
put_key(Sink *sink, const char *key)
{
	if (sink->need_comma)
		put_literal(sink, ",");
	put_literal(sink, "\"");
	put(sink, key, strlen(key));
	put_literal(sink, "\":");
	sink->need_comma = true;
}

static void
put_escaped(Sink *sink, PayloadText text)
{
	char	   *end;

	if (sink->at == NULL)
		sink->length += json_escaped_length(text.data, text.length);
	else
	{
		end = json_write_escaped(sink->at, text.data, text.length);
		sink->length += end - sink->at;
		sink->at = end;
	}
}

/* "key":"text", or nothing; ending stands behind the text. */
static void
put_text(Sink *sink, const char *key, PayloadText text, const char *ending)
{
	if (text.data == NULL)
		return;
	put_key(sink, key);
	put_literal(sink, "\"");
	put_escaped(sink, text);
	put(sink, ending, strlen(ending));
	put_literal(sink, "\"");
}

static void
put_json(Sink *sink, const char *key, PayloadText json)
{
	if (json.data == NULL)
		return;
	put_key(sink, key);
	put(sink, json.data, json.length);
}

static void
put_number(Sink *sink, const char *key, int32 number)
{
	char		digits[16];

	put_key(sink, key);
	put(sink, digits, snprintf(digits, sizeof(digits), "%d", number));
}

static void
open_object(Sink *sink)
{
	put_literal(sink, "{");
	sink->need_comma = false;
}

static void
close_object(Sink *sink)
{
	put_literal(sink, "}");
	sink->need_comma = true;
}

static bool
has_alert(const Payload *p)
{
	return p->title.data != NULL || p->subtitle.data != NULL ||
		p->body.data != NULL || p->title_loc_key.data != NULL ||
		p->loc_key.data != NULL;
}

static void
put_alert(Sink *sink, const Payload *p)
{
	put_key(sink, "alert");
	open_object(sink);
	put_text(sink, "title", p->title, "");
	put_text(sink, "subtitle", p->subtitle, "");
	put_text(sink, "body", p->body, p->body_is_cut ? ELLIPSIS : "");
	put_text(sink, "title-loc-key", p->title_loc_key, "");
	if (p->title_loc_key.data != NULL)
		put_json(sink, "title-loc-args", p->title_loc_args);
	put_text(sink, "loc-key", p->loc_key, "");
	if (p->loc_key.data != NULL)
		put_json(sink, "loc-args", p->loc_args);
	close_object(sink);
}

static void
put_payload(Sink *sink, const Payload *p)
{
	open_object(sink);
	put_key(sink, "aps");
	open_object(sink);
	if (has_alert(p))
		put_alert(sink, p);
	if (p->has_badge)
		put_number(sink, "badge", p->badge);
	put_text(sink, "sound", p->sound, "");
	put_text(sink, "thread-id", p->thread_id, "");
	put_text(sink, "category", p->category, "");
	if (p->mutable_content)
		put_number(sink, "mutable-content", 1);
	if (p->content_available)
		put_number(sink, "content-available", 1);
	put_text(sink, "interruption-level", p->interruption_level, "");
	put_json(sink, "relevance-score", p->relevance_score);
	close_object(sink);
	put_text(sink, "f", p->sender, "");
	put_text(sink, "t", p->recipient, "");
	put_text(sink, "g", p->group_id, "");
	put_text(sink, "m", p->msg_id, "");
	put_json(sink, "e", p->extra);
	close_object(sink);
}

static size_t
measure(const Payload *payload)
{
	Sink		sink = {NULL, 0, false};

	put_payload(&sink, payload);
	return sink.length;
}

/*
 * Cuts the body so that the rest, which has rest bytes with an empty one, and
 * the body with its ellipsis are at most limit bytes long.  If there is no
 * room for the ellipsis, the body goes, with its key.
 */
static size_t
cut_body(Payload *payload, size_t rest, size_t limit)
{
	size_t		ellipsis = strlen(ELLIPSIS);
	size_t		escaped;
	size_t		length;

	if (rest + ellipsis <= limit)
	{
		payload->body.length =
			json_fitting_length(payload->body.data, payload->body.length,
								limit - rest - ellipsis, &escaped);
		payload->body_is_cut = true;
		return rest + escaped + ellipsis;
	}
	payload->body.data = NULL;
	length = measure(payload);
	return length <= limit ? length : 0;
}

size_t
payload_fit(Payload *payload, size_t limit)
{
	PayloadText body = payload->body;
	size_t		rest;
	size_t		escaped = 0;
	bool		whole = true;

	/* A body of megabytes is looked at no further than it can fit. */
	payload->body.length = 0;
	payload->body_is_cut = false;
	if (body.data != NULL)
		whole = json_fitting_length(body.data, body.length, limit,
									&escaped) == body.length;

	rest = measure(payload);
	if (payload->extra_is_leftover && payload->extra.data != NULL &&
		(!whole || rest + escaped > limit))
	{
		payload->extra.data = NULL;
		rest = measure(payload);
	}
	payload->body = body;
	if (whole && rest + escaped <= limit)
		return rest + escaped;
	if (body.data == NULL)
		return 0;
	return cut_body(payload, rest, limit);
}

void
payload_write(const Payload *payload, char *out)
{
	Sink		sink = {out, 0, false};

	put_payload(&sink, payload);
}
