/*
 * share.c
 *		How much of the worker's room one certificate may take.
 *
 * A host that answers, but slowly, would fill the room with what waits for it,
 * and nobody else's messages would be read until it had taken them.  So what
 * is queued for long is cut to a share, and the rest waits in the table: it
 * goes back uncharged, once, and is read again when there is room for it here.
 * Where the queue moves nothing goes back, however long it is: that would cost
 * more than it brings.
 *
 * Owns that share.  It must never take back what is under way, nor charge
 * anybody for having waited.
 */
#include "postgres.h"

#include "guc.h"
#include "share.h"

/* A queue moves if its first has waited no longer than that (microseconds) */
#define SLOW_WAIT (INT64CONST(1) * 1000000)

/*
 * A certificate may take half of the room that the others leave: however
 * slow its host is, everybody else finds room.
 */
bool
share_is_left(const Sender *sender)
{
	int			others = sender_shared.under_way - sender->under_way;
	int			room = imp_max_in_flight - others;

	if (sender_shared.senders > 1)
		room = Max(room / 2, 1);
	return sender->under_way < room;
}

/* The same for what is queued, beside all that is under way. */
static int
queue_share(const Sender *sender)
{
	int			others = sender_shared.in_flight - sender->queued;

	return Max((imp_max_in_flight - others) / 2, 1);
}

/* May be queued for longer than its share: since when. */
static bool
may_be_slow(const Sender *sender, int64 *since)
{
	if (sender->slow || sender_shared.senders == 1 ||
		sender->queued <= queue_share(sender))
		return false;
	*since = dlist_head_element(Push, node,
								unconstify(dlist_head *, &sender->queue))->queued_at;
	return true;
}

/* The last ones go back until it has no more than its share. */
static void
cut_queue(Sender *sender, TimestampTz now)
{
	int			left = queue_share(sender);
	dlist_node *node;
	dlist_node *before;

	for (node = dlist_tail_node(&sender->queue); sender->queued > left;
		 node = before)
	{
		Push	   *push = dlist_container(Push, node, node);
		bool		first = !dlist_has_prev(&sender->queue, node);

		before = first ? NULL : dlist_prev_node(&sender->queue, node);
		if (!push->probe)
		{
			dlist_delete(node);
			sender->queued--;
			share_refuse(sender, push, now);
		}
		if (first)
			break;
	}
}

void
share_watch(Sender *sender, TimestampTz now, int64 clock)
{
	int64		since;

	if (may_be_slow(sender, &since) && clock - since > SLOW_WAIT)
	{
		sender->slow = sender->full = true;
		cut_queue(sender, now);
	}
	else if (sender->full && sender->queued <= queue_share(sender) / 2)
	{
		sender->full = false;
		sender_shared.eased++;
	}
	if (sender->queued == 0)
		sender->slow = false;
}

int64
share_next_watch(const Sender *sender)
{
	int64		since;

	return may_be_slow(sender, &since) ? since + SLOW_WAIT : -1;
}

bool
share_takes(Sender *sender)
{
	if (sender->slow && sender->queued >= queue_share(sender))
		sender->full = true;
	return !sender->full;
}

void
share_refuse(Sender *sender, Push *push, TimestampTz now)
{
	sender_answer(sender, push, VERDICT_FREE_RETRY, "queue_full", now, now);
}

int
share_room(const Sender *sender)
{
	return sender->slow && !sender->full ?
		Max(queue_share(sender) - sender->queued, 1) : PG_INT32_MAX;
}
