/*
 * lock.c
 *		Locks that no SQL command can take.
 *
 * Owns the numbers of these locks.  They are advisory locks in all but the
 * fourth field of their tag, which SQL's functions set to 1 or 2 and we to a
 * number of our own: nobody can stop the worker, or the writers of tokens,
 * with pg_advisory_lock().  pg_locks shows them, with objsubid 18768.
 *
 * Must never be taken while a request is under way, except for the one that
 * a worker holds for as long as it lives.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/resowner.h"

#include "lock.h"

/* "IP"; 1 and 2 are SQL's */
#define IMP_LOCK_NAMESPACE	0x4950

static LOCKTAG
lock_tag(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) class, key,
						 IMP_LOCK_NAMESPACE);
	return tag;
}

/*
 * A lock belongs to the resource owner under which it was taken, and only
 * there can it be let go before the transaction ends.  A statement's owner
 * ends with the statement, so both sides name the transaction's.
 */
void
imp_lock(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag = lock_tag(class, key);
	ResourceOwner owner = CurrentResourceOwner;

	/* An error on the way aborts, which sets the current owner by itself. */
	CurrentResourceOwner = TopTransactionResourceOwner;
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	CurrentResourceOwner = owner;
}

void
imp_unlock(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag = lock_tag(class, key);
	ResourceOwner owner = CurrentResourceOwner;

	CurrentResourceOwner = TopTransactionResourceOwner;
	(void) LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

bool
imp_lock_session_try(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag = lock_tag(class, key);

	return LockAcquire(&tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

void
imp_lock_session_release(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag = lock_tag(class, key);

	(void) LockRelease(&tag, ExclusiveLock, true);
}
