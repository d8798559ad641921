/*
 * token_form.h
 *		The form of a device token.
 *
 * A pure function over buffers, for the trigger and for tests that run
 * without a server.
 */
#ifndef IMP_TOKEN_FORM_H
#define IMP_TOKEN_FORM_H

#include "postgres.h"

/* APNs promises no length; 100 bytes is the longest that it has hinted at. */
#define TOKEN_MAX_DIGITS 400

/*
 * Lower-case digits without blanks and without the <> that the description of
 * an NSData has around it, zero-terminated.  False if that leaves anything but
 * a token; then the buffer holds nothing of use.
 */
extern bool token_normalize(const char *given,
							char token[TOKEN_MAX_DIGITS + 1]);

#endif							/* IMP_TOKEN_FORM_H */
