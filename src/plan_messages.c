/*
 * plan_messages.c
 *		A first attempt: new messages decided, and what needs no network
 *		written down.
 *
 * SQL decides, and writes, in another statement, if there is anything to be
 * written: most messages are pushed to all of their bindings.  Owns the columns
 * of a decision, and must never know anything of the policy.  The worker calls
 * it, and imp_push.plan_messages() for all others.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "plan_messages.h"
#include "session.h"

PG_FUNCTION_INFO_V1(imp_push_plan_messages);

/* Columns of imp_push.decision. */
enum DecisionColumn
{
	DECISION_MESSAGE_ID,
	DECISION_MSG_ID,
	DECISION_RECIPIENT,
	DECISION_DEVICE_ID,
	DECISION_CERTIFICATE,
	DECISION_CHECK_NO,
	DECISION_DETAIL,
	DECISION_TOKEN,
	DECISION_PAYLOAD,
	DECISION_TOPIC,
	DECISION_PUSH_TYPE,
	DECISION_PRIORITY,
	DECISION_EXPIRATION,
	DECISION_COLLAPSE_ID,
	DECISION_APNS_ID,
	DECISION_EXPIRES_AT,
	DECISION_CREATED_AT,
	DECISION_END
};

typedef struct Decision
{
	Datum		values[DECISION_END];
	bool		nulls[DECISION_END];
} Decision;

/* Where the columns of a planned push come from, if from its decision. */
static const struct
{
	int			planned;
	int			decision;
}			planned_columns[] = {
	{PLANNED_MESSAGE_ID, DECISION_MESSAGE_ID},
	{PLANNED_MSG_ID, DECISION_MSG_ID},
	{PLANNED_RECIPIENT, DECISION_RECIPIENT},
	{PLANNED_DEVICE_ID, DECISION_DEVICE_ID},
	{PLANNED_CERTIFICATE, DECISION_CERTIFICATE},
	{PLANNED_TOKEN, DECISION_TOKEN},
	{PLANNED_PAYLOAD, DECISION_PAYLOAD},
	{PLANNED_TOPIC, DECISION_TOPIC},
	{PLANNED_PUSH_TYPE, DECISION_PUSH_TYPE},
	{PLANNED_PRIORITY, DECISION_PRIORITY},
	{PLANNED_EXPIRATION, DECISION_EXPIRATION},
	{PLANNED_COLLAPSE_ID, DECISION_COLLAPSE_ID},
	{PLANNED_APNS_ID, DECISION_APNS_ID},
	{PLANNED_EXPIRES_AT, DECISION_EXPIRES_AT},
	{PLANNED_DETAIL, DECISION_DETAIL},
	{PLANNED_CREATED_AT, DECISION_CREATED_AT},
};

/* The first column of SPI's table: composite values. */
static Datum
composites(const SPITupleTable *table, uint64 count)
{
	Datum	   *rows = palloc(sizeof(Datum) * Max(count, 1));
	bool		isnull;

	for (uint64 i = 0; i < count; i++)
		rows[i] = SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull);
	return session_array(rows, NULL, count, SPI_gettypeid(table->tupdesc, 1));
}

/*
 * Decisions, into SPI's table.  (Two statements: a function that is called with
 * a subquery is not inlined.)
 */
static void
decide(Datum ids, const char *snapshot, TimestampTz at)
{
	static SPIPlanPtr read_plan = NULL;
	static SPIPlanPtr decide_plan = NULL;
	Oid			read_types[] = {INT8ARRAYOID, PG_SNAPSHOTOID};
	Datum		read_args[] = {ids, (Datum) 0};
	Oid			types[] = {InvalidOid, TIMESTAMPTZOID};
	Datum		args[] = {(Datum) 0, TimestampTzGetDatum(at)};

	if (snapshot != NULL)
		read_args[1] = DirectFunctionCall1(pg_snapshot_in,
										   CStringGetDatum(snapshot));
	SPI_execute_plan(session_plan(&read_plan,
								  "SELECT m"
								  " FROM pg_catalog.unnest($1) AS wanted(id)"
								  " CROSS JOIN LATERAL"
								  "  imp_push.message_by_id(wanted.id) m"
								  " WHERE $2 IS NULL OR"
								  "  pg_catalog.pg_visible_in_snapshot("
								  "   m.queued_xid, $2)",
								  2, read_types),
					 read_args, snapshot != NULL ? NULL : " n", true, 0);
	args[0] = composites(SPI_tuptable, SPI_processed);
	types[0] = get_array_type(SPI_gettypeid(SPI_tuptable->tupdesc, 1));
	SPI_execute_plan(session_plan(&decide_plan,
								  "SELECT d"
								  " FROM imp_push.decide($1, NULL, NULL, $2) d",
								  2, types),
					 args, NULL, true, 0);
}

static Decision *
read_decisions(const SPITupleTable *table, uint64 count)
{
	Decision   *decisions = palloc(sizeof(Decision) * Max(count, 1));
	TupleDesc	desc;

	desc = lookup_rowtype_tupdesc_copy(SPI_gettypeid(table->tupdesc, 1), -1);
	if (desc->natts != DECISION_END)
		elog(ERROR, "unexpected columns of imp_push.decision");
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Datum		row = SPI_getbinval(table->vals[i], table->tupdesc, 1,
										&isnull);
		HeapTupleHeader header = DatumGetHeapTupleHeader(row);
		HeapTupleData tuple = {0};

		tuple.t_len = HeapTupleHeaderGetDatumLength(header);
		tuple.t_data = header;
		heap_deform_tuple(&tuple, desc, decisions[i].values,
						  decisions[i].nulls);
	}
	return decisions;
}

static bool
is_push(const Decision *decision)
{
	return decision->nulls[DECISION_CHECK_NO];
}

/* The messages that have an outcome now, as often as they have one. */
static Datum *
with_outcome(const Decision *decisions, uint64 count, int *n)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(count, 1));

	*n = 0;
	for (uint64 i = 0; i < count; i++)
		if (!is_push(&decisions[i]))
			ids[(*n)++] = decisions[i].values[DECISION_MESSAGE_ID];
	return ids;
}

static void
record(const SPITupleTable *table, uint64 count, Datum *ids, int n,
	   TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {
		get_array_type(SPI_gettypeid(table->tupdesc, 1)), INT8ARRAYOID,
		TIMESTAMPTZOID
	};
	Datum		args[3];

	args[0] = composites(table, count);
	args[1] = session_array(ids, NULL, n, INT8OID);
	args[2] = TimestampTzGetDatum(at);
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.record_decisions($1, $2, $3)",
								  3, types),
					 args, NULL, false, 0);
}

static bool
is_among(Datum id, const Datum *ids, int n)
{
	for (int i = 0; i < n; i++)
		if (DatumGetInt64(ids[i]) == DatumGetInt64(id))
			return true;
	return false;
}

/* A push whose message has an outcome for another binding has a row. */
static void
plan_push(const Decision *decision, bool waiting, PlannedRow *row)
{
	memset(row->nulls, false, sizeof(row->nulls));
	for (int i = 0; i < lengthof(planned_columns); i++)
	{
		int			to = planned_columns[i].planned;
		int			from = planned_columns[i].decision;

		row->values[to] = decision->values[from];
		row->nulls[to] = decision->nulls[from];
	}
	row->values[PLANNED_ATTEMPTS] = Int32GetDatum(0);
	row->values[PLANNED_WAITING] = BoolGetDatum(waiting);
	row->values[PLANNED_PROBE] = BoolGetDatum(false);
}

void
plan_messages(Datum ids, const char *snapshot, TimestampTz at,
			  PlannedPushTaker take, void *arg)
{
	SPITupleTable *table;
	uint64		count;
	Decision   *decisions;
	Datum	   *ended;
	int			n;

	decide(ids, snapshot, at);
	table = SPI_tuptable;
	count = SPI_processed;
	decisions = read_decisions(table, count);
	ended = with_outcome(decisions, count, &n);
	if (n > 0)
		record(table, count, ended, n, at);
	for (uint64 i = 0; i < count; i++)
	{
		PlannedRow	row;
		Datum		id = decisions[i].values[DECISION_MESSAGE_ID];

		if (!is_push(&decisions[i]))
			continue;
		plan_push(&decisions[i], is_among(id, ended, n), &row);
		take(&row, arg);
	}
}

/* -------------------------------------------------------------------------
 * SQL
 * -------------------------------------------------------------------------
 */

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void
put_row(const PlannedRow *row, void *arg)
{
	Rows	   *rows = (Rows *) arg;

	tuplestore_putvalues(rows->store, rows->desc, (Datum *) row->values + 1,
						 (bool *) row->nulls + 1);
}

Datum
imp_push_plan_messages(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	Rows		rows;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		!(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("plan_messages() cannot be called here"),
				 errhint("It returns a set of rows.")));
	old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rows.desc) != TYPEFUNC_COMPOSITE ||
		rows.desc->natts != PLANNED_END - 1)
		elog(ERROR, "unexpected columns of imp_push.planned_push");
	rows.store = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(old);

	SPI_connect();
	plan_messages(PG_GETARG_DATUM(0), NULL, PG_GETARG_TIMESTAMPTZ(1), put_row,
				  &rows);
	SPI_finish();

	result->returnMode = SFRM_Materialize;
	result->setResult = rows.store;
	result->setDesc = rows.desc;
	return (Datum) 0;
}
