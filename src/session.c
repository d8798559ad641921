/*
 * session.c
 *		The worker's SQL session: what it is pinned to, and as whom it acts.
 *
 * The worker connects as the bootstrap superuser, and must never run a
 * statement as one: first thing inside every transaction it becomes the
 * extension's owner or imp_push.role, under restrictions that keep what that
 * role owns (triggers, functions) from acting with more.  Settings that such
 * code makes end with the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "guc.h"
#include "session.h"
#include "status.h"

/* Versions of the SQL side that this library can work with. */
static const char *const known_versions[] = {"1.0"};

/*
 * Nothing that the worker runs is long; a statement that takes this long is
 * stuck (milliseconds).
 */
#define STATEMENT_TIMEOUT_MS 30000

/* As often as sessions report them. */
#define REPORT_INTERVAL_MS 1000

static bool in_transaction = false;
static bool unreported = false;
static TimestampTz reported_at;
static int	guc_level;			/* settings made since end with it */
static MemoryContext outer_context; /* of whoever began the transaction */
static Oid	adopted = InvalidOid;	/* the extension that we work for */

void
session_pin(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"session_replication_role", "origin"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"row_security", "off"},
		{"synchronous_commit", "local"},
		{"lock_timeout", "1s"},
		{"statement_timeout", "0"},
#if PG_VERSION_NUM >= 170000
		{"transaction_timeout", "0"},
#endif
		{"TimeZone", "UTC"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"bytea_output", "hex"},
		{"jit", "off"},
		{"exit_on_error", "off"},
		{"max_parallel_workers_per_gather", "0"},
		{"plan_cache_mode", "force_generic_plan"},

		/*
		 * Plans are made once, perhaps while the tables are empty, and have
		 * to be right when they are big: by index, row by row, and in the
		 * order of the index, so that a page of a backlog is not found by
		 * reading and sorting the whole of it.
		 */
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		{"enable_hashjoin", "off"},
		{"enable_mergejoin", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1],
						PGC_SUSET, PGC_S_OVERRIDE);
}

void
session_adopt(void)
{
	adopted = InvalidOid;
}

/*
 * Finds the row of the extension that we work for; false if there is none.
 * One that was dropped and created anew is another: what is in memory does
 * not belong to it.
 */
static bool
read_extension(Oid *owner, bool *version_known)
{
	Oid			found = InvalidOid;
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("imp_push"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL,
							  1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		char	   *version =
		TextDatumGetCString(heap_getattr(tuple,
										 Anum_pg_extension_extversion,
										 RelationGetDescr(relation),
										 &isnull));

		found = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		*owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		*version_known = false;
		for (int i = 0; i < lengthof(known_versions); i++)
			if (strcmp(version, known_versions[i]) == 0)
				*version_known = true;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (!OidIsValid(adopted))
		adopted = found;
	return OidIsValid(found) && found == adopted;
}

SessionState
session_begin(SessionRole role)
{
	Oid			acting_as = InvalidOid;
	bool		version_known = false;
	SessionState state = SESSION_READY;

	outer_context = CurrentMemoryContext;

	/* What was meant for an earlier statement. */
	QueryCancelPending = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	in_transaction = unreported = true;
	PushActiveSnapshot(GetTransactionSnapshot());

	if (!read_extension(&acting_as, &version_known))
		state = SESSION_NO_EXTENSION;
	else if (!version_known && role != SESSION_STATUS)
		state = SESSION_UNKNOWN_VERSION;
	else if (role == SESSION_WORKER && imp_role[0] != '\0')
	{
		acting_as = get_role_oid(imp_role, true);
		if (!OidIsValid(acting_as))
			state = SESSION_NO_ROLE;
	}

	if (state != SESSION_READY)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		in_transaction = false;
		MemoryContextSwitchTo(outer_context);
		return state;
	}

	SetUserIdAndSecContext(acting_as, SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	guc_level = NewGUCNestLevel();
	enable_timeout_after(STATEMENT_TIMEOUT, STATEMENT_TIMEOUT_MS);
	SPI_connect();
	return SESSION_READY;
}

void
session_commit(void)
{
	SPI_finish();
	PopActiveSnapshot();

	/*
	 * Whoever's trigger has run in here may have set anything, and the next
	 * transaction may be one of the owner's, in which a search_path would
	 * lead to what others have made.  (Deferred triggers are refused in such
	 * a restricted operation, so nothing of the kind follows.)
	 */
	AtEOXact_GUC(false, guc_level);

	/* Still as that role, whatever is called at a commit. */
	CommitTransactionCommand();
	in_transaction = false;
	disable_timeout(STATEMENT_TIMEOUT, false);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
	MemoryContextSwitchTo(outer_context);
}

static void
session_abort(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	if (!in_transaction)
		return;
	in_transaction = false;

	/* This also ends SPI and brings back the user. */
	AbortCurrentTransaction();
	MemoryContextSwitchTo(outer_context);
}

/* Types of the extension are others once it has been created anew. */
static bool
is_prepared_for(SPIPlanPtr plan, int nargs, const Oid *types)
{
	for (int i = 0; i < nargs; i++)
		if (SPI_getargtypeid(plan, i) != types[i])
			return false;
	return true;
}

SPIPlanPtr
session_plan(SPIPlanPtr *slot, const char *sql, int nargs, Oid *types)
{
	if (*slot != NULL && !is_prepared_for(*slot, nargs, types))
	{
		SPI_freeplan(*slot);
		*slot = NULL;
	}
	if (*slot == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

		if (plan == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not prepare a statement: %s",
							SPI_result_code_string(SPI_result))));
		SPI_keepplan(plan);
		*slot = plan;
	}
	return *slot;
}

Datum
session_array(Datum *values, bool *nulls, int n, Oid type)
{
	int			lower = 1;
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, type,
											  length, by_value, alignment));
}

int
session_recover(const char *doing)
{
	ErrorData  *error;
	int			sqlstate;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(outer_context);
	error = CopyErrorData();
	FlushErrorState();
	session_abort();

	sqlstate = error->sqlerrcode;
	status_error(doing, sqlstate,
				 session_error_is_passing(sqlstate) ? error->message : NULL);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
	return sqlstate;
}

bool
session_error_is_passing(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('0', '8', '0', '0', '0'):	/* connection */
		case MAKE_SQLSTATE('2', '5', '0', '0', '0'):	/* transaction state */
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* rollback */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* resources */
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'):	/* object state */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* intervention */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system */
			return true;
	}

	/* Not about the data: the schema, the program or the rights. */
	return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE ||
		sqlstate == ERRCODE_UNDEFINED_TABLE ||
		sqlstate == ERRCODE_UNDEFINED_FUNCTION ||
		sqlstate == ERRCODE_UNDEFINED_COLUMN ||
		sqlstate == ERRCODE_UNDEFINED_OBJECT ||
		sqlstate == ERRCODE_UNDEFINED_SCHEMA ||
		sqlstate == ERRCODE_DATA_CORRUPTED ||
		sqlstate == ERRCODE_INDEX_CORRUPTED;
}

TimestampTz
session_report_due(void)
{
	if (!unreported)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(reported_at, REPORT_INTERVAL_MS);
}

void
session_report(void)
{
	unreported = false;
	reported_at = GetCurrentTimestamp();
	pgstat_report_stat(true);
}
