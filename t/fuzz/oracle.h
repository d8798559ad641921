/*
 * oracle.h
 *		A second opinion on JSON, from apnsim's strict reader.
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json
{
	const char *data;			/* NULL: there is none */
	size_t		length;
};

/* One well-formed object in UTF-8 and nothing else? */
extern bool json_is_object(struct json json);

/* The value of a key of an object; data NULL if there is none. */
extern struct json json_get(struct json object, const char *key);

/*
 * Is this value that string?  Unescapes it, and does not mind how it was
 * escaped.
 */
extern bool json_is_string(struct json value, const char *text, size_t length);

#endif
