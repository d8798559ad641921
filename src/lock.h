/*
 * lock.h
 *		Locks that no SQL command can take.
 *
 * SQL's advisory locks carry 1 or 2 in the fourth field of their tag; ours
 * carry a number of their own, so that nobody can stop the worker or a writer
 * of tokens with pg_advisory_lock().
 */
#ifndef IMP_LOCK_H
#define IMP_LOCK_H

#include "postgres.h"

typedef enum ImpLockClass
{
	IMP_LOCK_WORKER = 1,		/* key: worker number; held for a session */
	IMP_LOCK_TOKEN = 2			/* key: hash of a token or of a device */
} ImpLockClass;

/*
 * Until the end of the transaction, or imp_unlock(); waits.  In whatever
 * subtransaction or statement: both belong to the whole transaction.
 */
extern void imp_lock(ImpLockClass class, uint32 key);
extern void imp_unlock(ImpLockClass class, uint32 key);

/* Until the session ends or lets go; false at once if somebody has it. */
extern bool imp_lock_session_try(ImpLockClass class, uint32 key);
extern void imp_lock_session_release(ImpLockClass class, uint32 key);

#endif							/* IMP_LOCK_H */
