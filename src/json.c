/*
 * json.c
 *		Compact JSON strings: how long they get, how they are cut, written.
 *
 * Owns the escapes: the shortest form of each, so that as much text as
 * possible fits into a payload.  Only what JSON demands is escaped: the quote,
 * the backslash and everything below U+0020; U+007F and all above stand as
 * they are.  It must never allocate, and never write more than
 * json_escaped_length() has announced.
 */
#include "postgres.h"

#include "json.h"

/* Length of the escaped form of a byte below 0x20. */
static const uint8 control_length[32] = {
	6, 6, 6, 6, 6, 6, 6, 6, 2, 2, 2, 6, 2, 2, 6, 6,
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6
};

/* The letter after the backslash, where there is one. */
static const char control_letter[32] = {
	['\b'] = 'b',['\t'] = 't',['\n'] = 'n',['\f'] = 'f',['\r'] = 'r'
};

static inline bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static inline size_t
byte_length(unsigned char c)
{
	if (c < 0x20)
		return control_length[c];
	return c == '"' || c == '\\' ? 2 : 1;
}

static inline bool
is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

size_t
json_escaped_length(const char *string, size_t length)
{
	size_t		escaped = 0;
	size_t		i;

	for (i = 0; i < length; i++)
		escaped += byte_length((unsigned char) string[i]);
	return escaped;
}

size_t
json_fitting_length(const char *string, size_t length, size_t room,
					size_t *escaped)
{
	size_t		taken = 0;

	*escaped = 0;
	while (taken < length)
	{
		size_t		next = taken + 1;
		size_t		width = byte_length((unsigned char) string[taken]);

		while (next < length && is_continuation((unsigned char) string[next]))
		{
			next++;
			width++;
		}
		if (*escaped + width > room)
			break;
		*escaped += width;
		taken = next;
	}
	return taken;
}

static char *
write_special(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	*out++ = '\\';
	if (c >= 0x20)
		*out++ = c;
	else if (control_letter[c] != 0)
		*out++ = control_letter[c];
	else
	{
		*out++ = 'u';
		*out++ = '0';
		*out++ = '0';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return out;
}

char *
json_write_escaped(char *out, const char *string, size_t length)
{
	const char *end = string + length;

	while (string < end)
	{
		const char *run = string;

		while (string < end && is_plain((unsigned char) *string))
			string++;
		memcpy(out, run, string - run);
		out += string - run;
		if (string < end)
			out = write_special(out, (unsigned char) *string++);
	}
	return out;
}
