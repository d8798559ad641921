/*
 * json.h
 *		Compact JSON strings: how long they get, how they are cut, written.
 *
 * Pure functions over buffers; the text is valid UTF-8 without U+0000.
 */
#ifndef IMP_JSON_H
#define IMP_JSON_H

#include "postgres.h"

/* Bytes of the text between the quotes. */
extern size_t json_escaped_length(const char *string, size_t length);

/*
 * The longest beginning of the text, in bytes, that has whole code points and
 * whose escaped form is at most room bytes long.  *escaped is that form's
 * length.  Looks at no more of the text than that.
 */
extern size_t json_fitting_length(const char *string, size_t length, size_t room,
								  size_t *escaped);

/* Writes the escaped form, without quotes; returns its end. */
extern char *json_write_escaped(char *out, const char *string, size_t length);

#endif							/* IMP_JSON_H */
