/*
 * text.h
 *		A piece of somebody else's memory: not terminated, not owned.
 */
#ifndef APNSIM_TEXT_H
#define APNSIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text
{
	const char *data;			/* NULL: absent */
	size_t		length;
};

static inline struct text
text_of(const char *data, size_t length)
{
	struct text text = {data, length};

	return text;
}

static inline bool
text_is(struct text text, const char *other)
{
	return text.length == strlen(other) &&
		memcmp(text.data, other, text.length) == 0;
}

static inline bool
text_ends(struct text text, const char *end)
{
	size_t		length = strlen(end);

	return text.length >= length &&
		memcmp(text.data + text.length - length, end, length) == 0;
}

#endif
