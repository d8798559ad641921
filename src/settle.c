/*
 * settle.c
 *		Settle: from answers in memory to outcomes in the tables.
 *
 * Answers are settled as they come, in small batches, each one transaction:
 * outcomes, pushes that go later, dead tokens, the cursor.  What is settled
 * here is forgotten only after its commit.  This file never decides what an
 * answer means (answer.c does) and never looks at the network.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "counters.h"
#include "cursor.h"
#include "dead_token.h"
#include "plan.h"
#include "send.h"
#include "session.h"
#include "settle.h"
#include "status.h"

/*
 * A batch is settled when it has this many answers, or when its first one is
 * this old: long enough to share a commit, too short for anybody to notice.
 * What only goes later can wait for the answers of its siblings.
 */
#define BATCH_SIZE 256
#define BATCH_DELAY_MS 10
#define LATER_DELAY_MS 200

/*
 * So long an answer waits for those of its siblings.  Those that are missing
 * when the first is settled have to get a row, which goes with their answer.
 */
#define SIBLINGS_DELAY_MS 50

/* After an error of the moment. */
#define RETRY_DELAY_MS 1000

/* How often the cursor is stored (04: at most once a second). */
#define CURSOR_INTERVAL_MS 1000

/* Parameters of imp_push.settle(), in order. */
enum SettleColumn
{
	SETTLE_MESSAGE_ID,
	SETTLE_MSG_ID,
	SETTLE_RECIPIENT,
	SETTLE_DEVICE_ID,
	SETTLE_CERTIFICATE,
	SETTLE_APNS_ID,
	SETTLE_STATUS,
	SETTLE_REASON,
	SETTLE_DETAIL,
	SETTLE_APNS_STATUS,
	SETTLE_ATTEMPTS,
	SETTLE_HAS_ROW,
	SETTLE_DUE,
	SETTLE_EXPIRES_AT,
	SETTLE_DECIDED_AT,
	SETTLE_FINISHED_AT,
	SETTLE_COLUMNS
};

static const Oid column_types[SETTLE_COLUMNS] = {
	INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID,
	JSONBOID, INT4OID, INT4OID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID
};

/* Rows for imp_push.settle(), column by column. */
typedef struct Rows
{
	int			count;
	int			allocated;
	Datum	   *values[SETTLE_COLUMNS];
	bool	   *nulls[SETTLE_COLUMNS];
} Rows;

static MemoryContext batch_context; /* reset after each transaction */

static dlist_head answered = DLIST_STATIC_INIT(answered);
static int	answered_count;
static dlist_head held = DLIST_STATIC_INIT(held);	/* for their siblings */
static int	held_count;
static TimestampTz settle_by;	/* if something has been answered */
static TimestampTz retry_at;
static TimestampTz cursor_stored_at;

static bool lighten(int *size, int sqlstate);
static int	settle_batch(int size);
static bool settle_transaction(int size);
static void write_rows(int size);
static void add_row(Rows *rows, Push *push, bool in_flight);
static void store_cursor(void);
static void forget_batch(int size);

void
settle_init(MemoryContext parent)
{
	batch_context = AllocSetContextCreate(parent, "imp_push settle",
										  ALLOCSET_DEFAULT_SIZES);
	dead_tokens_init(parent);
}

/* It is to be settled, together with what else is answered by then. */
static void
take(Push *push)
{
	TimestampTz by;

	by = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									 push_goes_later(push) ?
									 LATER_DELAY_MS : BATCH_DELAY_MS);
	if (answered_count++ == 0 || by < settle_by)
		settle_by = by;
	dlist_push_tail(&answered, &push->node);
}

/* Takes what is held of a message. */
static void
take_held(Message *message)
{
	dlist_iter	iter;

	dlist_foreach(iter, &message->pushes)
	{
		Push	   *push = dlist_container(Push, sibling, iter.cur);

		if (!push->held)
			continue;
		push->held = false;
		held_count--;
		dlist_delete(&push->node);
		take(push);
	}
}

static TimestampTz
held_until(void)
{
	Push	   *push = dlist_head_element(Push, node, &held);

	return TimestampTzPlusMilliseconds(push->answered_at, SIBLINGS_DELAY_MS);
}

void
settle_add(Push *push)
{
	Message    *message = push->message;

	count_answer(push);
	if (push->verdict == VERDICT_TOKEN_DEAD)
		dead_tokens_add(push);

	message->under_way--;
	if (message->under_way > 0 && !push->waiting)
	{
		push->held = true;
		held_count++;
		dlist_push_tail(&held, &push->node);
		return;
	}
	take_held(message);
	take(push);
}

int
settle_pending(void)
{
	return answered_count + held_count;
}

TimestampTz
settle_due(bool more_to_come)
{
	TimestampTz due = DT_NOEND;

	if (answered_count >= BATCH_SIZE ||
		(settle_pending() > 0 && !more_to_come))
		due = DT_NOBEGIN;
	else if (settle_pending() > 0)
	{
		if (answered_count > 0)
			due = settle_by;
		if (held_count > 0)
			due = Min(due, held_until());
	}
	else
	{
		if (cursor_storable() != NULL)
			due = TimestampTzPlusMilliseconds(cursor_stored_at,
											  CURSOR_INTERVAL_MS);
		due = Min(due, dead_tokens_due());
	}
	return Max(due, retry_at);
}

bool
settle_run(bool all)
{
	int			size;
	int			stuck = 0;		/* the last ones, which cannot be stored */

	while (held_count > 0 && (all || held_until() <= GetCurrentTimestamp()))
		take_held(dlist_head_element(Push, node, &held)->message);
	size = answered_count;
	do
	{
		int			sqlstate = settle_batch(size);

		if (sqlstate == 0)
			size = Min(Max(size * 2, 1), answered_count - stuck);
		else if (session_error_is_passing(sqlstate))
			break;
		else if (!lighten(&size, sqlstate))
		{
			if (size == 0)
				break;
			dlist_push_tail(&answered, dlist_pop_head_node(&answered));
			stuck++;
		}
		if (answered_count == 0)
			return true;
	} while (answered_count > stuck);

	retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   RETRY_DELAY_MS);
	return false;
}

/*
 * Something in a batch of this size cannot be stored: makes the next try an
 * easier one.  False if there is nothing left that could be left out.
 */
static bool
lighten(int *size, int sqlstate)
{
	Push	   *push;

	/* The bindings are the users', with triggers of their own perhaps. */
	if (dead_tokens_one_by_one())
		return true;
	if (*size > 1)
	{
		*size /= 2;
		return true;
	}
	if (*size == 0)
		return false;

	/* What it brought along: then it is known at least that it is over. */
	push = dlist_head_element(Push, node, &answered);
	if (push->bare)
		return false;
	push->bare = true;
	push->verdict = VERDICT_FAILED;
	strlcpy(push->reason_text, unpack_sql_state(sqlstate),
			sizeof(push->reason_text));
	push->reason = push->reason_text;
	push->detail = NULL;
	return true;
}

/* Settles the first so many answers; returns 0 or the SQLSTATE. */
static int
settle_batch(int size)
{
	volatile int sqlstate = 0;
	MemoryContext old = MemoryContextSwitchTo(batch_context);

	PG_TRY();
	{
		/* If it cannot begin, status_begin() has said why. */
		if (!settle_transaction(size))
			sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	}
	PG_CATCH();
	{
		sqlstate = session_recover("settle");
	}
	PG_END_TRY();

	if (sqlstate == 0)
		forget_batch(size);
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch_context);
	return sqlstate;
}

/* False if the database is not ready for it. */
static bool
settle_transaction(int size)
{
	SessionState state = status_begin(SESSION_WORKER);
	bool		with_cursor;

	if (state == SESSION_NO_EXTENSION)
	{
		/* There is nobody left to be told. */
		dead_tokens_forget();
		cursor_stored();
		return true;
	}
	if (state != SESSION_READY)
		return false;
	if (size > 0)
		write_rows(size);
	dead_tokens_write();
	with_cursor = cursor_storable() != NULL &&
		GetCurrentTimestamp() >= TimestampTzPlusMilliseconds(cursor_stored_at,
															 CURSOR_INTERVAL_MS);
	if (with_cursor)
		store_cursor();
	session_commit();

	dead_tokens_written();
	if (with_cursor)
	{
		cursor_stored();
		cursor_stored_at = GetCurrentTimestamp();
	}
	return true;
}

/* -------------------------------------------------------------------------
 * Outcomes
 * -------------------------------------------------------------------------
 */

static void
write_rows(int size)
{
	static SPIPlanPtr plan = NULL;
	Rows		rows = {0};
	Datum		args[SETTLE_COLUMNS];
	Oid			types[SETTLE_COLUMNS];
	dlist_iter	iter;
	int			left = size;

	/* Another batch may have been tried before. */
	dlist_foreach(iter, &answered)
		dlist_container(Push, node, iter.cur)->settling = left-- > 0;

	left = size;
	dlist_foreach(iter, &answered)
	{
		Push	   *push = dlist_container(Push, node, iter.cur);
		dlist_iter	sibling;

		if (left-- == 0)
			break;
		add_row(&rows, push, false);

		/*
		 * The first settle of a message writes a row for each of its pushes,
		 * so that a crash between two devices loses neither.
		 */
		dlist_foreach(sibling, &push->message->pushes)
		{
			Push	   *other = dlist_container(Push, sibling, sibling.cur);

			if (!other->settling && !other->waiting)
				add_row(&rows, other, true);
		}
	}

	for (int column = 0; column < SETTLE_COLUMNS; column++)
	{
		types[column] = get_array_type(column_types[column]);
		args[column] = session_array(rows.values[column], rows.nulls[column],
									 rows.count, column_types[column]);
	}
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.settle($1, $2, $3, $4, $5,"
								  " $6, $7, $8, $9, $10, $11, $12, $13, $14,"
								  " $15, $16)", SETTLE_COLUMNS, types),
					 args, NULL, false, 0);
}

static void
set_value(Rows *rows, int column, Datum value)
{
	rows->values[column][rows->count] = value;
	rows->nulls[column][rows->count] = false;
}

static void
set_text(Rows *rows, int column, const char *value)
{
	if (value != NULL)
		set_value(rows, column, CStringGetTextDatum(value));
}

static const char *
outcome(const Push *push)
{
	if (push->verdict == VERDICT_SENT)
		return "sent";
	return push_goes_later(push) ? "retry" : "failed";
}

static void
reserve_row(Rows *rows)
{
	if (rows->count < rows->allocated)
		return;
	rows->allocated = Max(rows->allocated * 2, BATCH_SIZE);
	for (int column = 0; column < SETTLE_COLUMNS; column++)
	{
		Size		values = sizeof(Datum) * rows->allocated;
		Size		nulls = sizeof(bool) * rows->allocated;

		rows->values[column] = rows->count == 0 ? palloc(values) :
			repalloc(rows->values[column], values);
		rows->nulls[column] = rows->count == 0 ? palloc(nulls) :
			repalloc(rows->nulls[column], nulls);
	}
}

/* A push that is still in flight waits as if it were due now. */
static void
add_row(Rows *rows, Push *push, bool in_flight)
{
	Message    *message = push->message;
	bool		charged = !in_flight && push->verdict != VERDICT_FREE_RETRY;

	reserve_row(rows);
	for (int column = 0; column < SETTLE_COLUMNS; column++)
		rows->nulls[column][rows->count] = true;

	set_value(rows, SETTLE_MESSAGE_ID, Int64GetDatum(message->id));
	set_text(rows, SETTLE_MSG_ID, message->msg_id);
	set_text(rows, SETTLE_RECIPIENT, message->recipient);
	set_text(rows, SETTLE_DEVICE_ID, push->device_id);
	set_text(rows, SETTLE_CERTIFICATE, push->certificate);
	set_value(rows, SETTLE_APNS_ID, UUIDPGetDatum(&push->uuid));
	set_value(rows, SETTLE_ATTEMPTS, Int32GetDatum(push->attempts + charged));
	set_value(rows, SETTLE_HAS_ROW, BoolGetDatum(push->waiting));
	set_value(rows, SETTLE_EXPIRES_AT, TimestampTzGetDatum(push->expires_at));
	set_value(rows, SETTLE_DECIDED_AT, TimestampTzGetDatum(push->decided_at));
	set_text(rows, SETTLE_STATUS, in_flight ? "retry" : outcome(push));
	set_value(rows, SETTLE_DUE,
			  TimestampTzGetDatum(in_flight ? push->decided_at : push->due));
	if (!in_flight)
	{
		set_text(rows, SETTLE_REASON, push->reason);
		if (push->detail != NULL)
			set_value(rows, SETTLE_DETAIL,
					  DirectFunctionCall1(jsonb_in, CStringGetDatum(push->detail)));
		if (push->apns_status != 0)
			set_value(rows, SETTLE_APNS_STATUS, Int32GetDatum(push->apns_status));
		set_value(rows, SETTLE_FINISHED_AT, TimestampTzGetDatum(push->answered_at));
	}
	rows->count++;
}

/* After the commit: what is settled is done with. */
static void
forget_batch(int size)
{
	while (size-- > 0)
	{
		Push	   *push = dlist_container(Push, node,
										   dlist_pop_head_node(&answered));
		dlist_iter	iter;

		answered_count--;
		push->settling = false;
		dlist_foreach(iter, &push->message->pushes)
		{
			Push	   *other = dlist_container(Push, sibling, iter.cur);

			if (other != push && !other->settling)
				push_has_row(other);
		}
		message_has_rows(push->message);

		if (push_goes_later(push))
		{
			/* What is held back is not read before that ends. */
			plan_due_changed(send_holds_back(push->certificate) ?
							 push->expires_at :
							 Min(push->due, push->expires_at));
			send_waits(push->certificate);
		}
		else
			status_outcome(push);
		push_free(push);
	}
}

/* -------------------------------------------------------------------------
 * The cursor
 * -------------------------------------------------------------------------
 */

static void
store_cursor(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	Datum		args[] = {CStringGetTextDatum(cursor_storable())};

	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.store_cursor(0::smallint,"
								  " $1::pg_snapshot)", 1, types),
					 args, NULL, false, 0);
}
