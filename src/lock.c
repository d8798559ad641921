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

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"

#include "lock.h"

/* "IP"; 1 and 2 are SQL's */
#define IMP_LOCK_NAMESPACE	0x4950

#define TOKEN_SLOTS			256

PG_FUNCTION_INFO_V1(imp_push_lock_slots);

static LOCKTAG
lock_tag(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) class, key,
						 IMP_LOCK_NAMESPACE);
	return tag;
}

void
imp_lock(ImpLockClass class, uint32 key)
{
	LOCKTAG		tag = lock_tag(class, key);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
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

static int
compare_slots(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return (x > y) - (x < y);
}

/*
 * imp_push.lock_slots(VARIADIC slots integer[])
 *
 * Takes hash slots of tokens until the end of the transaction, the lower ones
 * first, so that two writers of one row each never wait for each other.
 */
Datum
imp_push_lock_slots(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int32		slots[TOKEN_SLOTS];
	int			count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			i;

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a hash slot must not be null")));
	if (count > TOKEN_SLOTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are only %d hash slots", TOKEN_SLOTS)));

	memcpy(slots, ARR_DATA_PTR(array), count * sizeof(int32));
	for (i = 0; i < count; i++)
	{
		if (slots[i] < 0 || slots[i] >= TOKEN_SLOTS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("hash slot %d is not between 0 and %d",
							slots[i], TOKEN_SLOTS - 1)));
	}

	qsort(slots, count, sizeof(int32), compare_slots);
	for (i = 0; i < count; i++)
		imp_lock(IMP_LOCK_TOKEN_SLOT, (uint32) slots[i]);

	PG_RETURN_VOID();
}
