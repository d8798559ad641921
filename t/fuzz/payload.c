/*
 * payload.c
 *		Fuzzes src/payload.c: the payload, and what is cut of it.
 */
#include "postgres.h"

#include "fuzz.h"
#include "json.h"
#include "oracle.h"
#include "payload.h"

#define ELLIPSIS "\xE2\x80\xA6"
#define ELLIPSIS_LENGTH (sizeof(ELLIPSIS) - 1)

/* The texts of a payload that are not JSON, and where they are found. */
typedef struct Place
{
	size_t		offset;
	const char *object;			/* in aps, or NULL for the top */
	const char *key;
} Place;

static const Place places[] = {
	{offsetof(Payload, title), "alert", "title"},
	{offsetof(Payload, subtitle), "alert", "subtitle"},
	{offsetof(Payload, title_loc_key), "alert", "title-loc-key"},
	{offsetof(Payload, loc_key), "alert", "loc-key"},
	{offsetof(Payload, sound), "aps", "sound"},
	{offsetof(Payload, thread_id), "aps", "thread-id"},
	{offsetof(Payload, category), "aps", "category"},
	{offsetof(Payload, interruption_level), "aps", "interruption-level"},
	{offsetof(Payload, sender), NULL, "f"},
	{offsetof(Payload, recipient), NULL, "t"},
	{offsetof(Payload, group_id), NULL, "g"},
	{offsetof(Payload, msg_id), NULL, "m"}
};

#define MAX_BLOCKS 20

static char *blocks[MAX_BLOCKS];
static int	n_blocks;

static char *
keep(char *block)
{
	blocks[n_blocks++] = block;
	return block;
}

static PayloadText
take_text(struct input *input)
{
	PayloadText text = {NULL, 0};
	struct input part = take_part(input);

	/* An absent one differs from an empty one. */
	if (part.left > 0 && part.data[0] == '-')
		return text;
	text.data = keep(copy_utf8(part, &text.length));
	return text;
}

/* Some JSON: a string, or an array with one. */
static PayloadText
take_json(struct input *input, bool array)
{
	PayloadText text = take_text(input);
	PayloadText json = {NULL, 0};
	char	   *at;

	if (text.data == NULL)
		return json;
	json.length = json_escaped_length(text.data, text.length) + 2 + 2 * array;
	at = keep(malloc(json.length));
	json.data = at;
	if (array)
		*at++ = '[';
	*at++ = '"';
	at = json_write_escaped(at, text.data, text.length);
	*at++ = '"';
	if (array)
		*at = ']';
	return json;
}

static void
take_payload(struct input *input, Payload *p)
{
	uint32_t	flags = take_number(input, 64);
	int			i;

	memset(p, 0, sizeof(*p));
	p->has_badge = (flags & 1) != 0;
	p->mutable_content = (flags & 2) != 0;
	p->content_available = (flags & 4) != 0;
	p->extra_is_leftover = (flags & 8) != 0;
	p->badge = (int32) take_number(input, 0x7FFFFFFF);
	p->body = take_text(input);
	p->extra = take_json(input, (flags & 16) != 0);
	p->title_loc_args = take_json(input, true);
	p->loc_args = take_json(input, true);
	for (i = 0; i < lengthof(places); i++)
		*(PayloadText *) ((char *) p + places[i].offset) = take_text(input);
	if (flags & 32)
	{
		p->relevance_score.data = "0.5";
		p->relevance_score.length = 3;
	}
}

static bool
is_same(PayloadText a, struct json b)
{
	return b.data != NULL && a.length == b.length &&
		memcmp(a.data, b.data, b.length) == 0;
}

static void
check_texts(const Payload *p, struct json json, struct json aps,
			struct json alert)
{
	int			i;

	for (i = 0; i < lengthof(places); i++)
	{
		PayloadText text = *(const PayloadText *)
		((const char *) p + places[i].offset);
		struct json object = places[i].object == NULL ? json :
		strcmp(places[i].object, "aps") == 0 ? aps : alert;
		struct json value = json_get(object, places[i].key);

		if (text.data == NULL)
			check("what is absent has no key", value.data == NULL);
		else
			check("a text comes whole",
				  json_is_string(value, text.data, text.length));
	}
}

/* What is written, against what was given and what was left of it. */
static void
check_written(const Payload *given, const Payload *p, struct json json)
{
	struct json aps = json_get(json, "aps");
	struct json alert = json_get(aps, "alert");
	struct json body = json_get(alert, "body");
	struct json extra = json_get(json, "e");

	check("a payload is JSON in UTF-8", json_is_object(json));
	check("there is an aps", aps.data != NULL);
	check_texts(given, json, aps, alert);
	check("there is a badge or none",
		  (json_get(aps, "badge").data != NULL) == given->has_badge);
	if (p->extra.data != NULL)
		check("the extra comes as it is", is_same(p->extra, extra));
	else
		check("without an extra there is none", extra.data == NULL);
	if (given->loc_key.data != NULL && given->loc_args.data != NULL)
		check("arguments come as they are",
			  is_same(given->loc_args, json_get(alert, "loc-args")));
	else
		check("arguments need a key", json_get(alert, "loc-args").data == NULL);

	if (p->body.data == NULL)
		check("without a body there is none", body.data == NULL);
	else if (!p->body_is_cut)
		check("a body comes whole",
			  json_is_string(body, given->body.data, given->body.length));
	else
	{
		char	   *text = malloc(p->body.length + ELLIPSIS_LENGTH);

		memcpy(text, given->body.data, p->body.length);
		memcpy(text + p->body.length, ELLIPSIS, ELLIPSIS_LENGTH);
		check("a cut body is a beginning with an ellipsis",
			  json_is_string(body, text, p->body.length + ELLIPSIS_LENGTH));
		free(text);
	}
}

/* Its length if there were no limit */
static size_t
length_of(Payload payload)
{
	return payload_fit(&payload, SIZE_MAX / 2);
}

static Payload
without_leftovers(Payload payload)
{
	if (payload.extra_is_leftover)
		payload.extra.data = NULL;
	return payload;
}

/* Nothing goes that would have fitted. */
static void
check_cut(const Payload *given, const Payload *p, size_t length, size_t limit)
{
	Payload		least = without_leftovers(*given);
	size_t		rest;

	if (length_of(*given) <= limit)
	{
		check("what fits is not cut", length == length_of(*given));
		return;
	}
	if (least.extra.data != given->extra.data)
		check("leftovers go first", p->extra.data == NULL || length == 0);
	if (length_of(least) <= limit)
	{
		check("without leftovers it fits", length == length_of(least));
		return;
	}
	if (length > 0 && p->body_is_cut)
	{
		rest = p->body.length;
		check("something was cut", rest < given->body.length);
		least.body.length = rest + first_code_point(given->body.data + rest,
													given->body.length - rest);
		check("one more character would not have fitted",
			  length_of(least) + ELLIPSIS_LENGTH > limit);
		return;
	}
	if (given->body.data != NULL)
	{
		least.body.data = ELLIPSIS;
		least.body.length = ELLIPSIS_LENGTH;
		check("not even the ellipsis would have fitted",
			  length_of(least) > limit);
		least.body.data = NULL;
	}
	check("it fits or it does not",
		  length == (length_of(least) <= limit ? length_of(least) : 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	size_t		limit = take_number(&input, size < 200 ? 512 : 6000);
	Payload		given;
	Payload		payload;
	size_t		length;

	take_payload(&input, &given);
	payload = given;
	length = payload_fit(&payload, limit);
	check("a payload is no longer than the limit", length <= limit);
	check_cut(&given, &payload, length, limit);
	if (length > 0)
	{
		struct json json = {malloc(length), length};

		payload_write(&payload, (char *) json.data);
		check_written(&given, &payload, json);
		free((char *) json.data);
	}
	while (n_blocks > 0)
		free(blocks[--n_blocks]);
	return 0;
}
