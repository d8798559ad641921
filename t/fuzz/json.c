/*
 * json.c
 *		Fuzzes src/json.c: texts in JSON, and how they are cut.
 */
#include "postgres.h"

#include "fuzz.h"
#include "json.h"
#include "oracle.h"

static void
check_written(const char *text, size_t length)
{
	static const char before[] = "{\"k\":\"";
	static const char after[] = "\"}";
	size_t		head = sizeof(before) - 1;
	size_t		tail = sizeof(after) - 1;
	size_t		size = head + json_escaped_length(text, length) + tail;
	char	   *out = malloc(size);
	struct json object = {out, size};
	char	   *end;

	memcpy(out, before, head);
	end = json_write_escaped(out + head, text, length);
	check("as much is written as was announced", end == out + size - tail);
	memcpy(end, after, tail);
	check("what is written is JSON", json_is_object(object));
	check("what is written says the same",
		  json_is_string(json_get(object, "k"), text, length));
	free(out);
}

static void
check_cut(const char *text, size_t length, size_t room)
{
	size_t		escaped;
	size_t		taken = json_fitting_length(text, length, room, &escaped);
	size_t		next;

	check("no more is taken than there is", taken <= length);
	check("what is taken fits", escaped <= room);
	check("its length is told",
		  escaped == json_escaped_length(text, taken));
	for (next = 0; next < taken;)
		next += first_code_point(text + next, length - next);
	check("no code point is split", next == taken);
	if (taken < length)
	{
		next = first_code_point(text + taken, length - taken);
		check("one more code point would not fit",
			  json_escaped_length(text, taken + next) > room);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	size_t		room = take_number(&input, size * 7 + 1);
	size_t		length;
	char	   *text = copy_utf8(input, &length);

	check_written(text, length);
	check_cut(text, length, room);
	free(text);
	return 0;
}
