/*
 * work.c
 *		From a page of work to pushes in the transport.
 *
 * Plans what plan.c has read, a slice a transaction, the first in the one that
 * read it, and hands the pushes over after the commit.  A message that cannot
 * be planned harms itself only: a slice that raises an error is halved until
 * the culprit is alone.  Never looks at the network.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "plan_messages.h"
#include "session.h"
#include "status.h"
#include "trial.h"
#include "work.h"

/* So many tries a message gets if its error may be one of the moment. */
#define TRIES 3

/* Messages that have had some of these; if there are too many, all anew. */
#define DOUBTS 1024
static struct
{
	int64		message_id;
	int			tries;
}			doubts[DOUBTS];
static int	doubt_count = 0;

static bool plan_slices(Work *work, int end, void (*submit) (Push *push));
static int	try_slice(Work *work, int size, void (*submit) (Push *push));
static bool plan_slice(Work *work, int size, dlist_head *pushes);
static bool may_be_the_message(int sqlstate);
static bool is_at_fault(Datum message_id, int sqlstate);
static void forget_doubts(const Datum *message_ids, int n);
static void move_to_end(Work *work, int end);
static bool end_message(Work *work, const char *reason);

bool
work_plan(Work *work, int max, void (*submit) (Push *push))
{
	int			end = work->next + Min(max, work->count - work->next);
	bool		done = plan_slices(work, end, submit);

	trial_over();
	return done;
}

static bool
plan_slices(Work *work, int end, void (*submit) (Push *push))
{
	int			slice = end - work->next;
	int			moved = 0;		/* to the end, since something was planned */

	while (work->next < end)
	{
		int			size = trial_size(work, Min(slice, end - work->next));
		int			sqlstate;

		if (trial_condemns(work))
		{
			if (!end_message(work, "worker_crashed"))
				return false;
			continue;
		}
		if (!trial_write(work, size))
			return false;
		sqlstate = try_slice(work, size, submit);
		if (sqlstate == 0)
		{
			work->next += size;
			slice = Min(slice * 2, work->count);
			moved = 0;
			continue;
		}
		if (session_error_is_passing(sqlstate) && !may_be_the_message(sqlstate))
			return false;
		slice = Max(size / 2, 1);
		if (size > 1)
			continue;
		if (is_at_fault(work->message_ids[work->next], sqlstate))
		{
			char		state[6];

			/* Its buffer is used for every line of a verbose log. */
			strlcpy(state, unpack_sql_state(sqlstate), sizeof(state));
			if (!end_message(work, state))
				return false;
		}
		else
		{
			move_to_end(work, end);
			if (++moved >= end - work->next)
				return false;
		}
	}
	return true;
}

/* Plans so many elements and hands over their pushes; 0 or the SQLSTATE. */
static int
try_slice(Work *work, int size, void (*submit) (Push *push))
{
	volatile int sqlstate = 0;
	dlist_head	pushes;

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

	while (!dlist_is_empty(&pushes))
	{
		Push	   *push = dlist_container(Push, node,
										   dlist_pop_head_node(&pushes));

		if (sqlstate == 0)
		{
			push_planned(push);
			submit(push);
		}
		else
			push_free(push);
	}
	if (sqlstate == 0)
		forget_doubts(work->message_ids + work->next, size);
	return sqlstate;
}

/* Makes pushes of the rows of a slice. */
typedef struct Slice
{
	const Work *work;
	TimestampTz decided_at;
	dlist_head *pushes;
	Message    *message;		/* of the last */
} Slice;

static void
take_row(const PlannedRow *row, void *arg)
{
	Slice	   *slice = (Slice *) arg;

	/* Pushes of one message stand together. */
	Push	   *push = push_from_row(row, slice->work->generation,
									 slice->message);

	slice->message = push->message;
	push->probe |= slice->work->probe;
	push->decided_at = slice->decided_at;
	dlist_push_tail(slice->pushes, &push->node);
}

static void
plan_new(int size, Slice *slice)
{
	const Work *work = slice->work;

	plan_messages(session_array(work->message_ids + work->next, NULL, size,
								INT8OID),
				  cursor_now(), slice->decided_at, take_row, slice);
}

/* Pushes that wait and are due */
static void
plan_due(int size, Slice *slice)
{
	static SPIPlanPtr plan = NULL;
	const Work *work = slice->work;
	Oid			types[] = {
		INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID
	};
	Datum		args[4];

	args[0] = session_array(work->message_ids + work->next, NULL, size,
							INT8OID);
	args[1] = session_array(work->device_ids + work->next, NULL, size,
							TEXTOID);
	args[2] = session_array(work->certificates + work->next, NULL, size,
							TEXTOID);
	args[3] = TimestampTzGetDatum(slice->decided_at);
	SPI_execute_plan(session_plan(&plan,
								  "SELECT * FROM"
								  " imp_push.plan_waiting($1, $2, $3, $4)",
								  4, types),
					 args, NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		PlannedRow	row;

		Assert(SPI_tuptable->tupdesc->natts == PLANNED_END - 1);
		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
						  row.values + 1, row.nulls + 1);
		take_row(&row, slice);
	}
}

/*
 * One transaction: plans size elements and makes pushes of the rows.  The
 * list is complete only if no error was raised.  False if the database is not
 * ready for it.
 */
static bool
plan_slice(Work *work, int size, dlist_head *pushes)
{
	Slice		slice = {work, GetCurrentTimestamp(), pushes, NULL};

	if (work->begun)
		work->begun = false;
	else if (status_begin(SESSION_WORKER) != SESSION_READY)
		return false;

	if (work->generation != NULL)
		plan_new(size, &slice);
	else
		plan_due(size, &slice);
	session_commit();
	return true;
}

/*
 * Errors that are of the moment or of one message, there is no telling: a
 * statement that takes for ever, text that has become unreadable.
 */
static bool
may_be_the_message(int sqlstate)
{
	return sqlstate == ERRCODE_QUERY_CANCELED ||
		sqlstate == ERRCODE_DATA_CORRUPTED ||
		sqlstate == ERRCODE_INDEX_CORRUPTED;
}

/* How often this one has been tried in vain, counting this time. */
static int
count_try(int64 message_id)
{
	int			i = 0;

	while (i < doubt_count && doubts[i].message_id != message_id)
		i++;
	if (i == DOUBTS)
		i = doubt_count = 0;
	if (i == doubt_count)
	{
		doubt_count++;
		doubts[i].message_id = message_id;
		doubts[i].tries = 0;
	}
	return ++doubts[i].tries;
}

/* These have been planned, or are not to be planned any more. */
static void
forget_doubts(const Datum *message_ids, int n)
{
	for (int i = doubt_count - 1; i >= 0; i--)
	{
		for (int j = 0; j < n; j++)
		{
			if (doubts[i].message_id != DatumGetInt64(message_ids[j]))
				continue;
			doubts[i] = doubts[--doubt_count];
			break;
		}
	}
}

/* Whether it is possible to plan anything at the moment. */
static bool
can_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID};
	volatile bool can = false;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			Datum		args[] = {TimestampTzGetDatum(GetCurrentTimestamp())};

			SPI_execute_plan(session_plan(&plan, "SELECT imp_push.can_plan($1)",
										  1, types),
							 args, NULL, true, 1);
			session_commit();
			can = true;
		}
	}
	PG_CATCH();
	{
		session_recover("plan anything");
	}
	PG_END_TRY();
	return can;
}

/*
 * Whether an error was raised because of the one message that was planned.  If
 * it may be the moment, the message gets another two tries, and it is not the
 * message if nothing else can be planned either.
 */
static bool
is_at_fault(Datum message_id, int sqlstate)
{
	if (!session_error_is_passing(sqlstate))
		return true;
	return count_try(DatumGetInt64(message_id)) >= TRIES && can_plan();
}

static void
rotate(Datum *values, int n)
{
	Datum		first = values[0];

	memmove(values, values + 1, sizeof(Datum) * (n - 1));
	values[n - 1] = first;
}

/* What is to be planned next is to be planned last. */
static void
move_to_end(Work *work, int end)
{
	int			left = end - work->next;

	rotate(work->message_ids + work->next, left);
	if (work->generation != NULL)
		return;
	rotate(work->device_ids + work->next, left);
	rotate(work->certificates + work->next, left);
}

/*
 * Writes down that the next message is not planned, and goes on to the one
 * after it; false if not even that is possible.
 */
static bool
end_message(Work *work, const char *reason)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum	   *message_id = work->message_ids + work->next;
	volatile bool done = false;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			Datum		args[3];

			args[0] = *message_id;
			args[1] = CStringGetTextDatum(reason);
			args[2] = TimestampTzGetDatum(GetCurrentTimestamp());
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

	if (done)
	{
		forget_doubts(message_id, 1);
		work->next++;
	}
	return done;
}
