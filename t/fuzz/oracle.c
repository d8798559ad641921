/*
 * oracle.c
 *		A second opinion on JSON, from apnsim's strict reader.
 *
 * Must never use anything of src.
 */
#include <stdlib.h>
#include <string.h>

#include "../../apnsim/json.h"
#include "oracle.h"

bool
json_is_object(struct json json)
{
	return json_object(text_of(json.data, json.length), NULL, 0);
}

struct json
json_get(struct json object, const char *key)
{
	struct json_member member = {key, {NULL, 0}};
	struct json value = {NULL, 0};

	if (object.data != NULL &&
		json_object(text_of(object.data, object.length), &member, 1))
	{
		value.data = member.value.data;
		value.length = member.value.length;
	}
	return value;
}

static size_t
put_code_point(char *to, unsigned long c)
{
	if (c < 0x80)
	{
		to[0] = (char) c;
		return 1;
	}
	if (c < 0x800)
	{
		to[0] = (char) (0xC0 | c >> 6);
		to[1] = (char) (0x80 | (c & 0x3F));
		return 2;
	}
	to[0] = (char) (0xE0 | c >> 12);
	to[1] = (char) (0x80 | (c >> 6 & 0x3F));
	to[2] = (char) (0x80 | (c & 0x3F));
	return 3;
}

/* Of valid JSON; surrogates do not occur in what is looked at here. */
static size_t
unescape(const char *from, const char *end, char *to)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *start = to;
	char		digits[5] = "";

	while (from < end)
	{
		if (*from != '\\')
		{
			*to++ = *from++;
			continue;
		}
		from++;
		if (*from == 'u')
		{
			memcpy(digits, from + 1, 4);
			to += put_code_point(to, strtoul(digits, NULL, 16));
			from += 5;
		}
		else
			*to++ = meant[strchr(letters, *from++) - letters];
	}
	return (size_t) (to - start);
}

bool
json_is_string(struct json value, const char *text, size_t length)
{
	char	   *plain;
	bool		same;

	if (value.data == NULL || value.length < 2 || value.data[0] != '"')
		return false;
	plain = malloc(value.length);
	if (plain == NULL)
		abort();
	same = unescape(value.data + 1, value.data + value.length - 1,
					plain) == length &&
		memcmp(plain, text, length) == 0;
	free(plain);
	return same;
}
