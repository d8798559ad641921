/*
 * cursor.c
 *		How far the worker has read: generations of snapshots.
 *
 * Owns the bookkeeping in memory, and nothing else: the statements are in
 * plan.c and settle.c.  There are never more generations than messages in
 * flight and one, because a complete one is merged into its predecessor.
 * Must never let a snapshot be stored that sees a message of which only memory
 * knows: after a crash nobody would look at it again.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "cursor.h"

struct Generation
{
	dlist_node	node;
	char	   *snapshot;		/* its upper end */
	int			outstanding;	/* messages without a row */
	bool		read;			/* to its end */
};

static MemoryContext cursor_context = NULL;
static dlist_head generations = DLIST_STATIC_INIT(generations);

static char *complete;			/* everything in it has a row */
static bool complete_is_news;	/* and it has not been stored */
static char *seen;				/* the lower end of what is being read */
static Generation *reading;
static bool recovering;
static bool found_something;	/* a message, since the cursor was stored */

uint64		cursor_after_xid;
int64		cursor_after_id;

static void settle_generations(void);
static void replace(char **snapshot, const char *with);

void
cursor_init(MemoryContext parent, const char *stored)
{
	if (cursor_context != NULL)
		MemoryContextDelete(cursor_context);
	cursor_context = AllocSetContextCreate(parent, "imp_push cursor",
										   ALLOCSET_SMALL_SIZES);
	dlist_init(&generations);
	reading = NULL;
	complete = seen = NULL;
	complete_is_news = found_something = false;
	recovering = true;
	replace(&complete, stored);
	replace(&seen, stored);
}

static void
replace(char **snapshot, const char *with)
{
	char	   *copy = MemoryContextStrdup(cursor_context, with);

	if (*snapshot != NULL)
		pfree(*snapshot);
	*snapshot = copy;
}

Generation *
cursor_begin(const char *snapshot)
{
	Assert(reading == NULL);
	reading = MemoryContextAllocZero(cursor_context, sizeof(Generation));
	reading->snapshot = MemoryContextStrdup(cursor_context, snapshot);
	dlist_push_tail(&generations, &reading->node);
	cursor_after_xid = 0;
	cursor_after_id = 0;
	return reading;
}

Generation *
cursor_reading(void)
{
	return reading;
}

void
cursor_end(void)
{
	reading->read = true;
	replace(&seen, reading->snapshot);
	reading = NULL;
	recovering = false;
	settle_generations();
}

const char *
cursor_seen(void)
{
	return seen;
}

const char *
cursor_now(void)
{
	return reading->snapshot;
}

bool
cursor_recovering(void)
{
	return recovering;
}

void
cursor_advance(uint64 xid, int64 id)
{
	cursor_after_xid = xid;
	cursor_after_id = id;
	found_something = true;
}

void
generation_add(Generation *generation)
{
	generation->outstanding++;
}

void
generation_done(Generation *generation)
{
	Assert(generation->outstanding > 0);
	if (--generation->outstanding == 0)
		settle_generations();
}

/*
 * Merges each complete generation into what comes before it: into the
 * complete part, or into a predecessor that still has messages in flight.
 */
static void
settle_generations(void)
{
	dlist_mutable_iter iter;
	Generation *before = NULL;

	dlist_foreach_modify(iter, &generations)
	{
		Generation *generation = dlist_container(Generation, node, iter.cur);

		if (!generation->read || generation->outstanding > 0)
		{
			before = generation;
			continue;
		}

		if (before == NULL)
		{
			replace(&complete, generation->snapshot);
			/* An idle system has nothing to write down. */
			complete_is_news |= found_something;
		}
		else
			replace(&before->snapshot, generation->snapshot);
		dlist_delete(&generation->node);
		pfree(generation->snapshot);
		pfree(generation);
	}
}

const char *
cursor_storable(void)
{
	return complete_is_news ? complete : NULL;
}

void
cursor_stored(void)
{
	complete_is_news = false;
	if (dlist_is_empty(&generations))
		found_something = false;
}
