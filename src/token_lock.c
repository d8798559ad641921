/*
 * token_lock.c
 *		Two who write the same token, or a binding of the same device.
 *
 * Owns the meeting of writers of imp_push.device_token.  Must never decide
 * which binding goes away: that is src/sql/device_token.sql.
 *
 * A trigger that is to take a token from its other holder must see that
 * holder, and if somebody else is just writing it, SQL sees nothing, until the
 * unique index raises its error.  So this does what that index would do, only
 * earlier: it looks with a dirty snapshot, and waits for a transaction that
 * has written such a row and not ended.
 *
 * Between the look and the entry in the index nobody else may look.  That is
 * what the locks are for, and they are needed no longer: each row lets go of
 * those of the row before.  So a transaction holds two at most, however many
 * rows it writes, two long imports do not meet at all unless they write the
 * same tokens, and none blocks the devices of people it has not come to.
 * (Locks of hash slots held to the end of the transaction were tried: two
 * imports of different tokens deadlocked within twenty rows.)
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "lock.h"

PG_FUNCTION_INFO_V1(imp_push_lock_binding);

/* The locks of the row that this transaction wrote last. */
static uint32 held[2];
static int	held_count = 0;

/* The transaction's end lets go of all locks. */
static void
forget_held(XactEvent event, void *arg)
{
	held_count = 0;
}

/* Swaps the locks of the last row for those of this one, the lower first. */
static void
lock_row(uint32 key1, uint32 key2)
{
	static bool registered = false;
	uint32		keys[2];
	int			count = key1 == key2 ? 1 : 2;

	keys[0] = Min(key1, key2);
	keys[1] = Max(key1, key2);

	/* INSERT … ON CONFLICT DO UPDATE comes here twice for one row. */
	if (held_count == count && memcmp(held, keys, count * sizeof(uint32)) == 0)
		return;

	if (!registered)
	{
		RegisterXactCallback(forget_held, NULL);
		registered = true;
	}

	while (held_count > 0)
		imp_unlock(IMP_LOCK_TOKEN, held[--held_count]);
	while (held_count < count)
	{
		imp_lock(IMP_LOCK_TOKEN, keys[held_count]);
		held[held_count] = keys[held_count];
		held_count++;
	}
}

static void
init_key(ScanKey key, Relation index, AttrNumber column, RegProcedure equal,
		 Datum value)
{
	ScanKeyEntryInitialize(key, 0, column, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[column - 1], equal, value);
}

/*
 * In REPEATABLE READ and above SQL does not see what has been committed since
 * the transaction's snapshot, and the unique index would raise its error.
 */
static void
require_visible(Relation rel, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber,
									   &isnull);

	if (!TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)) &&
		!table_tuple_satisfies_snapshot(rel, slot, GetTransactionSnapshot()))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Looks for rows with these first columns of an index, whether committed or
 * not.  *writer is set to a transaction that has inserted one and not ended.
 */
static bool
find_row(Relation rel, Relation index, ScanKey keys, int nkeys,
		 TransactionId *writer, uint32 *speculative)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	SnapshotData dirty;
	IndexScanDesc scan;
	bool		found = false;

	*writer = InvalidTransactionId;
	InitDirtySnapshot(dirty);
#if PG_VERSION_NUM >= 180000
	scan = index_beginscan(rel, index, &dirty, NULL, nkeys, 0);
#else
	scan = index_beginscan(rel, index, &dirty, nkeys, 0);
#endif
	index_rescan(scan, keys, nkeys, NULL, 0);
	while (!TransactionIdIsValid(*writer) &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		found = true;
		*writer = dirty.xmin;
		*speculative = dirty.speculativeToken;
		if (!TransactionIdIsValid(*writer) && IsolationUsesXactSnapshot())
			require_visible(rel, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * The same, having waited for all who are writing such rows.  Who is deleting
 * one is not waited for: the row counts as there.
 */
static bool
row_exists(Relation rel, const char *index_name, Datum value1, Datum value2,
		   RegProcedure equal1)
{
	Oid			index_oid = get_relname_relid(index_name,
											  RelationGetNamespace(rel));
	Relation	index = index_open(index_oid, AccessShareLock);
	ScanKeyData keys[2];
	TransactionId writer;
	uint32		speculative;
	bool		found;

	init_key(&keys[0], index, 1, equal1, value1);
	init_key(&keys[1], index, 2, F_TEXTEQ, value2);
	for (;;)
	{
		found = find_row(rel, index, keys, 2, &writer, &speculative);
		if (!TransactionIdIsValid(writer))
			break;
		if (speculative != 0)
			SpeculativeInsertionWait(writer, speculative);
		else
			XactLockTableWait(writer, NULL, NULL, XLTW_None);
	}
	index_close(index, AccessShareLock);
	return found;
}

static uint32
hash_text(text *value)
{
	return DatumGetUInt32(hash_any((unsigned char *) VARDATA_ANY(value),
								   (int) VARSIZE_ANY_EXHDR(value)));
}

/*
 * imp_push.lock_binding(user_id text, device_id text, certificate text,
 *						 token text) → boolean
 *
 * From here until the row is in the table nobody else comes past this
 * function with the same token or the same device.  Returns whether there are
 * rows with that token under that certificate, or of that device; whoever was
 * writing them has ended.
 */
Datum
imp_push_lock_binding(PG_FUNCTION_ARGS)
{
	text	   *user_id = PG_GETARG_TEXT_PP(0);
	text	   *device_id = PG_GETARG_TEXT_PP(1);
	text	   *token = PG_GETARG_TEXT_PP(3);
	ErrorContextCallback *context = error_context_stack;
	Datum		hash;
	Relation	rel;
	bool		found;

	/*
	 * A deadlock's error would tell where it happened: "COPY device_token,
	 * line 1: …".  An error leaves by a longjmp, which restores the stack.
	 */
	error_context_stack = NULL;

	lock_row(hash_combine(hash_text(user_id), hash_text(device_id)),
			 hash_text(token));

	hash = DirectFunctionCall2(binary_decode, PointerGetDatum(token),
							   CStringGetTextDatum("hex"));
	hash = DirectFunctionCall1(sha256_bytea, hash);
	rel = table_open(get_relname_relid("device_token",
									   get_namespace_oid("imp_push", false)),
					 AccessShareLock);
	found = row_exists(rel, "device_token_pkey", PointerGetDatum(user_id),
					   PointerGetDatum(device_id), F_TEXTEQ);
	if (row_exists(rel, "device_token_holder", hash, PG_GETARG_DATUM(2),
				   F_BYTEAEQ))
		found = true;
	table_close(rel, AccessShareLock);

	error_context_stack = context;
	PG_RETURN_BOOL(found);
}
