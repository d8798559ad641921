/*
 * work.c
 *		From a page of work to pushes in the transport.
 *
 * Plans what plan.c has read, a slice a transaction, and hands the pushes over
 * after the commit.  A message that cannot be planned harms itself only: a
 * slice that raises an error is halved until the culprit is alone.  Never
 * looks at the network.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "session.h"
#include "status.h"
#include "work.h"

/* So often a message may run into the statement timeout. */
#define TRIALS 3

static bool planned_since = true;	/* a message was given up for its time */

static bool plan_slice(Work *work, int size, dlist_head *pushes);
static bool is_at_fault(Datum message_id, int sqlstate);
static bool fail_message(Datum message_id, int sqlstate);

bool
work_plan(Work *work, void (*submit) (Push *push))
{
	int			slice = work->count;

	while (work->next < work->count)
	{
		int			size = Min(slice, work->count - work->next);
		dlist_head	pushes;
		volatile int sqlstate = 0;

		dlist_init(&pushes);
		PG_TRY();
		{
			/* If it cannot begin, status_begin() has said why. */
			if (!plan_slice(work, size, &pushes))
				sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		}
		PG_CATCH();
		{
			sqlstate = session_recover("plan");
		}
		PG_END_TRY();

		if (sqlstate == 0)
		{
			while (!dlist_is_empty(&pushes))
			{
				Push	   *push = dlist_container(Push, node,
												   dlist_pop_head_node(&pushes));

				push_planned(push);
				submit(push);
			}
			planned_since = true;
			work->next += size;
			slice = Min(slice * 2, work->count);
			continue;
		}

		while (!dlist_is_empty(&pushes))
			push_free(dlist_container(Push, node, dlist_pop_head_node(&pushes)));
		if (session_error_is_passing(sqlstate) &&
			sqlstate != ERRCODE_QUERY_CANCELED)
			return false;
		if (size == 1)
		{
			Datum		id = work->message_ids[work->next];

			if (!is_at_fault(id, sqlstate) || !fail_message(id, sqlstate))
				return false;
			work->next++;
		}
		slice = Max(size / 2, 1);
	}
	return true;
}

/*
 * One transaction: plans size elements and makes pushes of the rows.  The
 * list is complete only if no error was raised.  False if the database is not
 * ready for it.
 */
static bool
plan_slice(Work *work, int size, dlist_head *pushes)
{
	static SPIPlanPtr new_plan = NULL;
	static SPIPlanPtr due_plan = NULL;
	TimestampTz now = GetCurrentTimestamp();
	Oid			types[] = {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID};
	Message    *message = NULL;
	SessionState state = status_begin(SESSION_WORKER);

	if (state != SESSION_READY)
		return false;

	if (work->generation != NULL)
	{
		Oid			new_types[] = {types[0], types[3]};
		Datum		args[] = {session_array(work->message_ids + work->next, NULL, size, INT8OID),
		TimestampTzGetDatum(now)};

		SPI_execute_plan(session_plan(&new_plan,
									  "SELECT * FROM imp_push.plan_messages($1, $2)",
									  2, new_types),
						 args, NULL, false, 0);
	}
	else
	{
		Datum		args[] = {session_array(work->message_ids + work->next, NULL, size, INT8OID),
			session_array(work->device_ids + work->next, NULL, size, TEXTOID),
			session_array(work->certificates + work->next, NULL, size, TEXTOID),
		TimestampTzGetDatum(now)};

		SPI_execute_plan(session_plan(&due_plan,
									  "SELECT * FROM imp_push.plan_waiting($1, $2, $3, $4)",
									  4, types),
						 args, NULL, false, 0);
	}

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		/* Pushes of one message stand together. */
		Push	   *push = push_from_row(row, desc, work->generation, message);

		message = push->message;
		push->probe |= work->probe;
		push->decided_at = now;
		dlist_push_tail(pushes, &push->node);
	}
	session_commit();
	return true;
}

/*
 * Whether an error was raised because of the one message that was planned.  If
 * its statement was cancelled, by the timeout or by hand, that may be the
 * moment: the message gets another two chances, and it is not the message if
 * nothing else can be planned either.
 */
static bool
is_at_fault(Datum message_id, int sqlstate)
{
	static int64 suspect = 0;
	static int	times = 0;

	if (sqlstate != ERRCODE_QUERY_CANCELED)
		return true;
	if (suspect != DatumGetInt64(message_id))
		times = 0;
	suspect = DatumGetInt64(message_id);
	if (++times < TRIALS || !planned_since)
		return false;
	planned_since = false;
	return true;
}

/* Writes down that a message cannot be planned; false if not even that. */
static bool
fail_message(Datum message_id, int sqlstate)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	volatile bool done = false;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			Datum		args[] = {message_id,
				CStringGetTextDatum(unpack_sql_state(sqlstate)),
			TimestampTzGetDatum(GetCurrentTimestamp())};

			SPI_execute_plan(session_plan(&plan,
										  "SELECT imp_push.fail_message($1, $2, $3)",
										  3, types),
							 args, NULL, false, 0);
			session_commit();
			done = true;
		}
	}
	PG_CATCH();
	{
		session_recover("set a message aside");
	}
	PG_END_TRY();
	return done;
}
