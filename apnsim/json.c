/*
 * json.c
 *		A strict reader of JSON (RFC 8259) that builds nothing.
 *
 * It must never read past the text it was given, and never recurse deeper
 * than MAX_DEPTH, whatever a client sends.
 */
#include <ctype.h>
#include <string.h>

#include "json.h"

enum
{
	MAX_DEPTH = 64
};

struct reader
{
	const char *at;
	const char *end;
	int			depth;
};

static bool read_value(struct reader *r);

int
json_utf8_length(const unsigned char *data, size_t left)
{
	int			length;
	unsigned char second;
	int			i;

	if (data[0] < 0x80)
		return 1;
	if (data[0] < 0xC2 || data[0] > 0xF4)
		return 0;
	length = data[0] < 0xE0 ? 2 : data[0] < 0xF0 ? 3 : 4;
	if (left < (size_t) length)
		return 0;
	for (i = 1; i < length; i++)
		if ((data[i] & 0xC0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	second = data[1];
	if ((data[0] == 0xE0 && second < 0xA0) ||
		(data[0] == 0xED && second > 0x9F) ||
		(data[0] == 0xF0 && second < 0x90) ||
		(data[0] == 0xF4 && second > 0x8F))
		return 0;
	return length;
}

static void
skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' ||
							  *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

/* Skips blanks, then takes this one character if it is next. */
static bool
take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at < r->end && *r->at == c)
	{
		r->at++;
		return true;
	}
	return false;
}

static bool
read_hex4(struct reader *r)
{
	int			i;

	if (r->end - r->at < 4)
		return false;
	for (i = 0; i < 4; i++)
		if (!isxdigit((unsigned char) r->at[i]))
			return false;
	r->at += 4;
	return true;
}

static bool
read_escape(struct reader *r)
{
	char		c;

	if (r->at == r->end)
		return false;
	c = *r->at++;
	if (c == 'u')
		return read_hex4(r);
	return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

/* The text between the quotes goes to *inside, escapes as they are. */
static bool
read_string(struct reader *r, struct text *inside)
{
	const char *start;
	int			length;

	if (!take(r, '"'))
		return false;
	start = r->at;
	while (r->at < r->end)
	{
		unsigned char c = (unsigned char) *r->at;

		if (c == '"')
		{
			inside->data = start;
			inside->length = (size_t) (r->at - start);
			r->at++;
			return true;
		}
		if (c < 0x20)
			return false;
		if (c == '\\')
		{
			r->at++;
			if (!read_escape(r))
				return false;
			continue;
		}
		if (c < 0x80)
		{
			r->at++;
			continue;
		}
		length = json_utf8_length((const unsigned char *) r->at,
								  (size_t) (r->end - r->at));
		if (length == 0)
			return false;
		r->at += length;
	}
	return false;
}

static bool
read_digits(struct reader *r)
{
	const char *start = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > start;
}

static bool
read_number(struct reader *r)
{
	const char *first;

	if (*r->at == '-')
		r->at++;
	first = r->at;
	if (!read_digits(r) || (*first == '0' && r->at - first > 1))
		return false;
	if (r->at < r->end && *r->at == '.')
	{
		r->at++;
		if (!read_digits(r))
			return false;
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E'))
	{
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		return read_digits(r);
	}
	return true;
}

static bool
read_word(struct reader *r, const char *word)
{
	size_t		length = strlen(word);

	if ((size_t) (r->end - r->at) < length || memcmp(r->at, word, length) != 0)
		return false;
	r->at += length;
	return true;
}

static bool
read_array(struct reader *r)
{
	if (take(r, ']'))
		return true;
	do
	{
		if (!read_value(r))
			return false;
	} while (take(r, ','));
	return take(r, ']');
}

/* One "key": value.  Keeps the value if it is one of the members. */
static bool
read_member(struct reader *r, struct json_member *members, int n)
{
	struct text key;
	const char *start;
	int			i;

	if (!read_string(r, &key) || !take(r, ':'))
		return false;
	skip_blanks(r);
	start = r->at;
	if (!read_value(r))
		return false;
	for (i = 0; i < n; i++)
	{
		if (text_is(key, members[i].key))
		{
			members[i].value.data = start;
			members[i].value.length = (size_t) (r->at - start);
		}
	}
	return true;
}

/* After the opening brace. */
static bool
read_object(struct reader *r, struct json_member *members, int n)
{
	if (take(r, '}'))
		return true;
	do
	{
		if (!read_member(r, members, n))
			return false;
	} while (take(r, ','));
	return take(r, '}');
}

static bool
read_nested(struct reader *r, bool is_array)
{
	bool		good;

	if (++r->depth > MAX_DEPTH)
		return false;
	r->at++;
	good = is_array ? read_array(r) : read_object(r, NULL, 0);
	r->depth--;
	return good;
}

static bool
read_value(struct reader *r)
{
	struct text ignored;

	skip_blanks(r);
	if (r->at == r->end)
		return false;
	switch (*r->at)
	{
		case '{':
			return read_nested(r, false);
		case '[':
			return read_nested(r, true);
		case '"':
			return read_string(r, &ignored);
		case 't':
			return read_word(r, "true");
		case 'f':
			return read_word(r, "false");
		case 'n':
			return read_word(r, "null");
		default:
			return read_number(r);
	}
}

bool
json_object(struct text text, struct json_member *members, int n)
{
	struct reader r = {text.data, text.data + text.length, 0};
	int			i;

	for (i = 0; i < n; i++)
		members[i].value = text_of(NULL, 0);
	if (!take(&r, '{') || !read_object(&r, members, n))
		return false;
	skip_blanks(&r);
	return r.at == r.end;
}

bool
json_plain_string(struct text value, struct text *result)
{
	if (value.data == NULL || value.length < 2 || value.data[0] != '"')
		return false;
	result->data = value.data + 1;
	result->length = value.length - 2;
	return memchr(result->data, '\\', result->length) == NULL;
}

bool
json_integer(struct text value, int64_t *result)
{
	size_t		i;

	if (value.data == NULL || value.length == 0 || value.length > 15)
		return false;
	*result = 0;
	for (i = 0; i < value.length; i++)
	{
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		*result = *result * 10 + (value.data[i] - '0');
	}
	return true;
}
