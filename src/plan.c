/*
 * plan.c
 *		Plan: from work in the tables to pushes in the transport.
 *
 * Asks for a page of work, new messages or waiting pushes, and has it planned
 * (work.c).  SQL decides (src/sql/plan.sql).  Never looks at the network.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "utils/xid8.h"

#include "cursor.h"
#include "plan.h"
#include "send.h"
#include "session.h"
#include "status.h"
#include "trial.h"
#include "work.h"

/* The first columns of what is read with control as c. */
#define STARTED \
	"c.started, coalesce((SELECT r.at FROM imp_push.recheck r" \
	" ORDER BY r.id LIMIT 1)," \
	" (SELECT pg_catalog.min(p.due) FROM imp_push.direct_push p))"

/* look_up is a constant: the plan has no more than is wanted. */
#define PAGE(look_up) \
	"SELECT " STARTED ", look.now::text, n.id, n.queued_xid, n.settled," \
	" n.recipient" \
	" FROM imp_push.control c" \
	" CROSS JOIN LATERAL (SELECT coalesce($2::pg_snapshot," \
	"  pg_catalog.pg_current_snapshot()) AS now OFFSET 0) look" \
	" LEFT JOIN LATERAL imp_push.next_messages(" \
	"  $1::pg_snapshot, look.now, $3, $4, $5, " look_up ") n ON c.started"
enum
{
	PAGE_SNAPSHOT = 3, PAGE_ID, PAGE_XID, PAGE_SETTLED, PAGE_RECIPIENT
};

/*
 * So many new messages are read at once, and then planned by recipient, as the
 * indexes have them: neighbours are found on pages that are in the processor's
 * cache.  Measured with 100,000 people: 94 µs of the worker's time a push with
 * 256, 77 with 2,048, 74 with this.
 */
#define READ_AHEAD 4096

/* While the worker recovers: each is looked up in the log. */
#define READ_AHEAD_RECOVERING 512

/* Where reading goes on after a page. */
typedef struct PageEnd
{
	bool		is_full;		/* there may be more */
	int			rows;
	uint64		xid;
	int64		id;
} PageEnd;

static MemoryContext page_context;	/* the page of new messages */
static MemoryContext due_context;	/* the page of waiting pushes */

/* Stays until it has been planned to its end. */
static Work page;
static bool page_is_full;
static TimestampTz next_due = DT_NOBEGIN;

static PlanResult next_page(void);
static bool read_page(PageEnd *end);
static PlanResult read_due(int max, Work *work);
static PlanResult read_probes(Work *work, const char **certificates, int n);
static PlanResult run_due(int max, const char **probed,
						  void (*submit) (Push *push));

void
plan_init(MemoryContext parent)
{
	page_context = AllocSetContextCreate(parent, "imp_push page",
										 ALLOCSET_DEFAULT_SIZES);
	due_context = AllocSetContextCreate(parent, "imp_push due",
										ALLOCSET_DEFAULT_SIZES);
}

/* -------------------------------------------------------------------------
 * New messages
 * -------------------------------------------------------------------------
 */

PlanResult
plan_new(int max, void (*submit) (Push *push))
{
	PlanResult	result;
	int			before;
	bool		done;

	/* What has been read comes first. */
	result = page.next < page.count ? plan_started() : next_page();
	if (result != PLAN_NOTHING)
		return result;

	before = page.next;
	done = work_plan(&page, max, submit);
	status_planned(page.next - before);
	if (!done)
		return PLAN_FAILED;
	if (page.next < page.count || page_is_full)
		return PLAN_MORE;
	cursor_end();
	return page.count > 0 ? PLAN_SOME : PLAN_NOTHING;
}

void
plan_forget(void)
{
	MemoryContextReset(page_context);
	memset(&page, 0, sizeof(page));
	next_due = DT_NOBEGIN;
}

/* Has nobody called stop()?  From the first row that was read. */
static bool
read_started(void)
{
	HeapTuple	row;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		due;

	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	due = SPI_getbinval(row, desc, 2, &isnull);
	if (!isnull)
		plan_due_changed(DatumGetTimestampTz(due));
	return DatumGetBool(SPI_getbinval(row, desc, 1, &isnull));
}

/* In a transaction. */
static bool
is_started(void)
{
	static SPIPlanPtr plan = NULL;

	SPI_execute_plan(session_plan(&plan,
								  "SELECT " STARTED " FROM imp_push.control c",
								  0, NULL),
					 NULL, NULL, true, 1);
	return read_started();
}

PlanResult
plan_started(void)
{
	volatile PlanResult result = PLAN_NOT_STARTED;

	PG_TRY();
	{
		SessionState state = status_begin(SESSION_WORKER);

		if (state == SESSION_READY)
		{
			if (is_started())
				result = PLAN_NOTHING;
			session_commit();
		}
		else if (state != SESSION_NO_EXTENSION)
			result = PLAN_FAILED;
	}
	PG_CATCH();
	{
		session_recover("read whether the database is started");
		result = PLAN_FAILED;
	}
	PG_END_TRY();
	return result;
}

/*
 * Reads the next page, and forgets the one before.  The place in the queue
 * moves on when it is safe in memory.  Its first slice is planned in the same
 * transaction, if nothing has to be written down before: a single message waits
 * for each transaction.
 */
static PlanResult
next_page(void)
{
	volatile PlanResult result = PLAN_NOT_STARTED;
	PageEnd		end = {0};

	MemoryContextReset(page_context);
	memset(&page, 0, sizeof(page));
	PG_TRY();
	{
		SessionState state = status_begin(SESSION_WORKER);

		if (state == SESSION_READY)
		{
			if (read_page(&end))
				result = PLAN_NOTHING;
			if (page.count == 0 || trial_comes_first(&page))
				session_commit();
			else
				page.begun = true;
		}
		else if (state != SESSION_NO_EXTENSION)
			result = PLAN_FAILED;
	}
	PG_CATCH();
	{
		session_recover("read new messages");
		memset(&page, 0, sizeof(page));
		result = PLAN_FAILED;
	}
	PG_END_TRY();

	if (result == PLAN_NOTHING && end.rows > 0)
		cursor_advance(end.xid, end.id);
	page_is_full = end.is_full;
	return result;
}

/* In a transaction: does any message have an outcome, or wait? */
static bool
has_outcomes(void)
{
	bool		isnull;

	SPI_execute("SELECT imp_push.has_outcomes()", true, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull));
}

/* A message as it was read. */
typedef struct NewMessage
{
	Datum		id;
	text	   *recipient;
	int			place;
} NewMessage;

/* A recipient's messages stay in their order. */
static int
compare_messages(const void *left, const void *right)
{
	const NewMessage *a = (const NewMessage *) left;
	const NewMessage *b = (const NewMessage *) right;
	int			order = varstr_cmp(VARDATA_ANY(a->recipient),
								   VARSIZE_ANY_EXHDR(a->recipient),
								   VARDATA_ANY(b->recipient),
								   VARSIZE_ANY_EXHDR(b->recipient),
								   C_COLLATION_OID);

	return order != 0 ? order : a->place - b->place;
}

static void
fill_page(NewMessage *messages, int n)
{
	qsort(messages, n, sizeof(NewMessage), compare_messages);
	page.message_ids = MemoryContextAlloc(page_context, sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
		page.message_ids[i] = messages[i].id;
	page.count = n;
}

/*
 * Reads a page; false if the database is stopped.  It may come out empty
 * although there is more: what has an outcome already is passed over.
 */
static bool
read_page(PageEnd *end)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr look_up_plan = NULL;
	static bool look_up = true; /* while recovering: outcomes */
	Oid			types[] = {TEXTOID, TEXTOID, XID8OID, INT8OID, INT4OID};
	Datum		args[5];
	char		nulls[] = "     ";
	bool		begins = cursor_reading() == NULL;
	int			max;
	NewMessage *messages;
	int			n = 0;
	bool		isnull;

	if (begins)
	{
		look_up = cursor_recovering() && has_outcomes();
		nulls[1] = 'n';
	}
	args[0] = CStringGetTextDatum(cursor_seen());
	args[1] = begins ? (Datum) 0 : CStringGetTextDatum(cursor_now());
	args[2] = FullTransactionIdGetDatum(FullTransactionIdFromU64(begins ? 0 : cursor_after_xid));
	args[3] = Int64GetDatum(begins ? 0 : cursor_after_id);
	max = look_up ? READ_AHEAD_RECOVERING : READ_AHEAD;
	args[4] = Int32GetDatum(max);
	SPI_execute_plan(look_up ?
					 session_plan(&look_up_plan, PAGE("true"), 5, types) :
					 session_plan(&plan, PAGE("false"), 5, types),
					 args, nulls, true, 0);
	if (!read_started())
		return false;
	if (begins)
		cursor_begin(SPI_getvalue(SPI_tuptable->vals[0],
								  SPI_tuptable->tupdesc, PAGE_SNAPSHOT));

	page.generation = cursor_reading();
	messages = palloc(sizeof(NewMessage) * SPI_processed);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		id = SPI_getbinval(row, desc, PAGE_ID, &isnull);
		Datum		xid;

		if (isnull)				/* there are none */
			break;
		xid = SPI_getbinval(row, desc, PAGE_XID, &isnull);
		end->rows++;
		end->xid = U64FromFullTransactionId(DatumGetFullTransactionId(xid));
		end->id = DatumGetInt64(id);
		if (DatumGetBool(SPI_getbinval(row, desc, PAGE_SETTLED, &isnull)))
			continue;
		messages[n].id = id;
		messages[n].recipient = DatumGetTextPP(SPI_getbinval(row, desc,
															 PAGE_RECIPIENT,
															 &isnull));
		messages[n].place = n;
		n++;
	}
	end->is_full = end->rows == max;
	fill_page(messages, n);
	return true;
}

/* -------------------------------------------------------------------------
 * Waiting pushes
 * -------------------------------------------------------------------------
 */

PlanResult
plan_due(int max, void (*submit) (Push *push))
{
	return run_due(max, NULL, submit);
}

PlanResult
plan_probes(const char **certificates, int n, void (*submit) (Push *push))
{
	return run_due(n, certificates, submit);
}

TimestampTz
plan_next_due(void)
{
	return next_due;
}

void
plan_due_changed(TimestampTz due)
{
	next_due = Min(next_due, due);
}

/* Waiting pushes that are due; or, if they are named, one a certificate. */
static PlanResult
run_due(int max, const char **probed, void (*submit) (Push *push))
{
	volatile PlanResult result = PLAN_NOT_STARTED;
	Work	   *work;

	MemoryContextReset(due_context);
	work = MemoryContextAllocZero(due_context, sizeof(Work));
	work->probe = probed != NULL;
	PG_TRY();
	{
		SessionState state = status_begin(SESSION_WORKER);

		if (state == SESSION_READY)
		{
			if (is_started())
				result = work->probe ? read_probes(work, probed, max) :
					read_due(max, work);
			session_commit();
		}
		else if (state != SESSION_NO_EXTENSION)
			result = PLAN_FAILED;
	}
	PG_CATCH();
	{
		session_recover("read waiting pushes");
		result = PLAN_FAILED;
	}
	PG_END_TRY();

	if (result != PLAN_SOME && result != PLAN_MORE)
		return result;
	return work_plan(work, max, submit) ? result : PLAN_FAILED;
}

/* Circuits that are open, and what else holds back what waits for it */
static Datum
open_circuits_array(void)
{
	ArrayBuildState *state = initArrayResult(TEXTOID, CurrentMemoryContext,
											 false);
	CircuitStatus *circuits;
	int			count = send_circuits(&circuits);

	for (int i = 0; i < count; i++)
		if (circuits[i].held_back)
			accumArrayResult(state,
							 CStringGetTextDatum(circuits[i].certificate),
							 false, TEXTOID, CurrentMemoryContext);
	return makeArrayResult(state, CurrentMemoryContext);
}

static void
make_room(Work *work, int room)
{
	work->message_ids = MemoryContextAlloc(due_context,
										   sizeof(Datum) * (room + 1) * 3);
	work->device_ids = work->message_ids + room;
	work->certificates = work->device_ids + room;
}

/* A row is work to be planned. */
static void
take_key(Work *work, HeapTuple row, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(due_context);
	int			n = work->count++;
	bool		isnull;

	work->message_ids[n] = SPI_getbinval(row, desc, 1, &isnull);
	work->device_ids[n] = datumCopy(SPI_getbinval(row, desc, 2, &isnull),
									false, -1);
	work->certificates[n] = datumCopy(SPI_getbinval(row, desc, 3, &isnull),
									  false, -1);
	MemoryContextSwitchTo(old);
}

/* The rows of a query; at most max of them. */
static void
take_keys(Work *work, int max)
{
	int			room = Min((int) SPI_processed, max);

	make_room(work, room);
	for (int i = 0; i < room; i++)
		take_key(work, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
}

/* Of the rows of next_probes(), for each certificate the first that is good. */
static void
take_probes(Work *work, const char **certificates, int n)
{
	bool	   *found = palloc0(n);
	bool	   *taken = palloc0(n);
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;

	make_room(work, n);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int			place = DatumGetInt32(SPI_getbinval(row, desc, 5,
														&isnull)) - 1;
		char	   *token;

		found[place] = true;
		if (taken[place])
			continue;
		/* Without one there is nothing to send: let it end. */
		token = SPI_getvalue(row, desc, 4);
		if (token != NULL && !send_may_probe(certificates[place], token))
			continue;
		take_key(work, row, desc);
		taken[place] = true;
	}
	for (int i = 0; i < n; i++)
	{
		if (taken[i])
			continue;
		if (found[i])
			send_probe_later(certificates[i]);
		else
			send_probe_with_next(certificates[i]);
	}
}

static PlanResult
read_probes(Work *work, const char **certificates, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTARRAYOID, get_array_type(UUIDOID)};
	Datum	   *names = palloc(sizeof(Datum) * n);
	Datum		args[2];

	for (int i = 0; i < n; i++)
		names[i] = CStringGetTextDatum(certificates[i]);
	args[0] = session_array(names, NULL, n, TEXTOID);
	args[1] = pushes_with_row();
	SPI_execute_plan(session_plan(&plan,
								  "SELECT * FROM imp_push.next_probes($1, $2)",
								  2, types),
					 args, NULL, true, 0);
	take_probes(work, certificates, n);
	return work->count > 0 ? PLAN_SOME : PLAN_NOTHING;
}

/* Reads what is due, and when the next will be: at once if this is full. */
static PlanResult
read_due(int max, Work *work)
{
	static SPIPlanPtr recheck_plan = NULL;
	static SPIPlanPtr due_plan = NULL;
	static SPIPlanPtr next_plan = NULL;
	bool		recheck_more;
	Oid			due_types[] = {TIMESTAMPTZOID, TEXTARRAYOID,
	get_array_type(UUIDOID), INT4OID};
	Oid			recheck_types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		recheck_args[] = {TimestampTzGetDatum(GetCurrentTimestamp()),
	Int32GetDatum(max)};
	Datum		due_args[] = {TimestampTzGetDatum(GetCurrentTimestamp()),
	open_circuits_array(), pushes_with_row(), Int32GetDatum(max)};
	bool		isnull;

	SPI_execute_plan(session_plan(&recheck_plan,
								  "SELECT imp_push.recheck_unacknowledged($1, $2)",
								  2, recheck_types),
					 recheck_args, NULL, false, 1);
	recheck_more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));

	SPI_execute_plan(session_plan(&due_plan,
								  "SELECT * FROM imp_push.next_waiting($1, $2, $3, $4)",
								  4, due_types),
					 due_args, NULL, false, 0);
	take_keys(work, max);
	if (work->count >= max || recheck_more)
		return PLAN_MORE;

	SPI_execute_plan(session_plan(&next_plan,
								  "SELECT * FROM imp_push.next_due($1, $2)",
								  2, due_types + 1),
					 due_args + 1, NULL, true, 1);
	next_due = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 1,
												 &isnull));
	if (isnull)
		next_due = DT_NOEND;
	return work->count > 0 ? PLAN_SOME : PLAN_NOTHING;
}
