/*
 * busy_token.h
 *		Device tokens that APNs has asked us to spare for a while (429).
 *
 * To be asked before a push is queued, and told of every 429 and every success.
 */
#ifndef IMP_BUSY_TOKEN_H
#define IMP_BUSY_TOKEN_H

#include "postgres.h"
#include "datatype/timestamp.h"

extern void busy_token_init(MemoryContext parent);

/*
 * A 429 has come for a token, whose push had been charged this many attempts:
 * when it may be tried again.
 */
extern TimestampTz busy_token_note(const char *certificate, const char *token,
								   int attempts, TimestampTz now);

/* The same of a push that has been waiting for its token since a crash. */
extern void busy_token_restore(const char *certificate, const char *token,
							   int attempts, TimestampTz until,
							   TimestampTz now);

/* Until when the token is to be spared; 0: it is not. */
extern TimestampTz busy_token_until(const char *certificate,
									const char *token, TimestampTz now);

/* It was accepted again. */
extern void busy_token_forget(const char *certificate, const char *token);

#endif							/* IMP_BUSY_TOKEN_H */
