/*
 * wakeup.c
 *		From a committing backend to a sleeping worker.
 *
 * Owns the flag "this transaction has work for the worker" and what the end
 * of the transaction does about it.  Must never throw or allocate after the
 * commit: an error there is a PANIC.
 *
 * The protocol, and why no wake-up is lost
 *
 *		worker						committer
 *		1 armed := 1				A rows become visible
 *		2 full barrier				B full barrier
 *		3 look for rows, with		C if exchange(armed, 0) was 1:
 *		  a new snapshot			  set the worker's latch
 *		4 wait for the latch
 *
 * Either 1 comes before C, or C comes before 1.  In the first case the
 * committer finds armed set and sets the latch (or another committer has
 * found it set after 1, and its latch is the one that ends the wait at 4: the
 * worker then looks again, with a snapshot newer than A, because A came before
 * C).  In the second case A, B, C, 1, 2, 3 is the order, and the worker sees
 * the rows at 3.  The barriers keep the processors from turning it round.
 *
 * The slot's database is written before 1 and read after B, so the same
 * argument holds for a worker that has just come: a committer that still
 * reads the old value does so before 1.  If the worker goes, its latch may be
 * somebody else's by then; latches may be set in vain.
 *
 * So A is XACT_EVENT_COMMIT, which comes after the transaction has left the
 * array of running ones.  XACT_EVENT_PRE_COMMIT would be too early, for
 * the rows are not visible yet and the transaction may still abort: therefore
 * armed is only read there.
 *
 * What PRE_COMMIT does is the public doorbell, NOTIFY imp_push.  Those who
 * notify queue behind a lock of the whole cluster until they have
 * committed; therefore one committer at a time does it, and nobody while the
 * worker is busy.  Nothing depends on it, if there is shared memory.  Without
 * shared memory NOTIFY is all there is, and every transaction with work does
 * it: the worker listens before it looks, so that is safe as well.
 *
 * NOTIFY from the trigger itself would forbid PREPARE TRANSACTION to whoever
 * inserts.  A prepared transaction's rows become visible with COMMIT PREPARED,
 * in whatever session: utility_hook.c asks for the wake-up there.
 *
 * A subtransaction that raised the flag and was rolled back leaves it up: the
 * worker then looks once for nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "wakeup.h"
#include "worker_slot.h"

#define CHANNEL "imp_push"

/* How full the notification queue may be, and how often we look. */
#define QUEUE_USAGE_MAX 0.5
#define QUEUE_LOOK_MS 1000

static bool wakeup_wanted = false;
static bool notify_wanted = false;	/* whether the worker is armed or not */

void
wakeup_request(void)
{
	wakeup_wanted = true;
}

void
wakeup_request_by_notify(void)
{
	wakeup_wanted = true;
	notify_wanted = true;
}

/*
 * NOTIFY fails, and with it the transaction, if some listener has not read
 * for so long that the queue is full.  That must not cost anybody a message:
 * at half of it we stop, and the worker finds its work by the latch or the
 * poll.  Looking costs as much as notifying, hence not each time.
 */
static bool
queue_has_room(void)
{
	static TimestampTz looked_at = 0;
	static bool has_room = true;
	TimestampTz now = GetCurrentTimestamp();

	if (TimestampDifferenceExceeds(looked_at, now, QUEUE_LOOK_MS))
	{
		Datum		usage;

		/* It takes no argument, and there is no call with none. */
		usage = DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0);
		has_room = DatumGetFloat8(usage) < QUEUE_USAGE_MAX;
		looked_at = now;
	}
	return has_room;
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (wakeup_wanted &&
				(!worker_slots_present() || worker_slots_take_doorbell() ||
				 notify_wanted) &&
				queue_has_room())
				Async_Notify(CHANNEL, "");
			break;

		case XACT_EVENT_COMMIT:
			if (wakeup_wanted)
				worker_slots_wake();
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wakeup_wanted = notify_wanted = false;
			worker_slots_return_doorbell();
			break;

		default:
			break;
	}
}

void
wakeup_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
}
