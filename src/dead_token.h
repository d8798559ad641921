/*
 * dead_token.h
 *		Tokens that APNs has declared dead, and those it was wrong about.
 *
 * Takes the transport's word that a token is dead; whether a binding loses it is
 * found out in SQL (disable_tokens).
 */
#ifndef IMP_DEAD_TOKEN_H
#define IMP_DEAD_TOKEN_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"

extern void dead_tokens_init(MemoryContext parent);

/* The token of this push is dead. */
extern void dead_tokens_add(const Push *push);

/*
 * Disables the bindings, and brings those to life again that the transport
 * was wrong about; inside the caller's transaction.  Whatever a user has
 * locked is left for later.  dead_tokens_written() after the commit.
 */
extern void dead_tokens_write(void);
extern void dead_tokens_written(void);

/*
 * After an error of such a transaction that was not of the moment: writes each
 * alone, in transactions of its own, and gives up those that still raise one.
 * True if fewer are left.
 */
extern bool dead_tokens_one_by_one(void);

/* There is nobody left to be told. */
extern void dead_tokens_forget(void);

/* When to write without anything else to settle; DT_NOEND: no need. */
extern TimestampTz dead_tokens_due(void);

#endif							/* IMP_DEAD_TOKEN_H */
