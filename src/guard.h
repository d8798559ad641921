/*
 * guard.h
 *		Are these tokens dead, or is everything refused?
 *
 * A Guard belongs to one sender.  A push that it holds is in no other list.
 */
#ifndef IMP_GUARD_H
#define IMP_GUARD_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "push.h"

#define GUARD_VERDICTS 20		/* without a success: the configuration */
#define GUARD_TRIED 256			/* refused tokens that are remembered */

typedef struct Guard
{
	bool		refuses;		/* the circuit is open on its account */
	dlist_head	held;			/* pushes whose verdict is held back */
	int			held_count;
	TimestampTz held_since;
	TimestampTz proved_at;		/* last 200 or 410 */

	/* Tokens given up since the last proof, to be revived if need be */
	char	   *doubtful[GUARD_VERDICTS];
	int			doubtful_count;

	/* Those of them that turned out to be alive */
	char	   *wronged[GUARD_VERDICTS];
	int			wronged_count;

	/* Tokens refused of late (their hashes): no good for a probe */
	uint64		tried[GUARD_TRIED];
} Guard;

typedef enum GuardVerdict
{
	GUARD_DEAD,					/* the token is dead */
	GUARD_HELD,					/* the guard has the push now */
	GUARD_CONFIGURATION			/* it is not the token */
} GuardVerdict;

extern void guard_init(Guard *guard);

/* A token was refused as bad. */
extern GuardVerdict guard_judge(Guard *guard, Push *push, TimestampTz now);

/* The same while the circuit is open: the token is remembered, no more. */
extern void guard_note(Guard *guard, const Push *push);

/* A 200 or a 410: what is held is dead indeed. */
extern void guard_proved(Guard *guard, TimestampTz now);

/* It is the configuration: those given up are to be revived. */
extern void guard_refuted(Guard *guard);

/* Takes out a held push, or NULL. */
extern Push *guard_release(Guard *guard);

/* When those held so far are dead for want of more; 0: none is held. */
extern TimestampTz guard_release_at(const Guard *guard);

/* Writes down a token that is given up without a proof since. */
extern void guard_give_up(Guard *guard, const Push *push,
						  MemoryContext context);

/*
 * The same of one that was given up before the process started; or one that
 * is known by now to be alive.
 */
extern void guard_restore(Guard *guard, const char *token, bool wronged,
						  MemoryContext context);

/*
 * The certificate is another now: all that was learned is void, and those
 * given up are to be revived.
 */
extern void guard_forget(Guard *guard);

/* Tokens that were refused are good for a probe again. */
extern void guard_forget_tried(Guard *guard);

/* Was this token refused of late? */
extern bool guard_has_tried(const Guard *guard, const char *token);

#endif							/* IMP_GUARD_H */
