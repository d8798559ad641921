/*
 * json.h
 *		As much JSON as an APNs server needs: is this an object, and what is
 *		the value of a key at its top level?
 */
#ifndef APNSIM_JSON_H
#define APNSIM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* A key to look for.  value is the raw text of the last such member. */
struct json_member
{
	const char *key;
	struct text value;			/* data NULL: there is none */
};

/*
 * True if the text is one well-formed JSON object in UTF-8, and nothing
 * else.  Fills in the members asked for.
 */
extern bool json_object(struct text text, struct json_member *members, int n);

/* A string without escapes, unquoted; an integer; an object.  By raw text. */
extern bool json_plain_string(struct text value, struct text *result);
extern bool json_integer(struct text value, int64_t *result);

/*
 * How many bytes the valid UTF-8 sequence at data has (1 to 4), 0 if there
 * is none.
 */
extern int	json_utf8_length(const unsigned char *data, size_t left);

#endif
