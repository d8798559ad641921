/*
 * worker.c
 *		The worker: plan, send, settle, and wait.
 *
 * One process owns a database's queue.  Each turn of its loop plans what may
 * be sent now, moves data, and settles what has been answered; each of these
 * is short, so that none holds up the others.  Nothing is open over the
 * network: all transactions begin and end inside one call.
 *
 * Waiting is for four things at once: the latch (a commit, a signal), the
 * transport's sockets, a deadline, and the death of the postmaster.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "credentials.h"
#include "cursor.h"
#include "guc.h"
#include "housekeeping.h"
#include "lock.h"
#include "plan.h"
#include "push.h"
#include "send.h"
#include "session.h"
#include "settle.h"
#include "status.h"
#include "trial.h"
#include "worker_slot.h"
#include "worker_start.h"
#include "yield.h"

/* Messages planned in one go, and how much room makes that worth while. */
#define PAGE_SIZE 256
#define PAGE_MIN 32

/* After an error of the moment. */
#define RETRY_DELAY_MS 1000

/* Probes planned in one go: data has to move in between. */
#define PROBES_A_TURN 16

/* Longer than that nobody sleeps. */
#define WAIT_MS (3600 * 1000L)

/*
 * How long a worker that is told to go waits for its answers: nearly all of
 * them come sooner, and what has none then is repeated under the same apns-id.
 */
#define LEAVE_DELAY_MS 300

typedef enum Leaving
{
	STAY,
	LEAVE_STOPPED,				/* stop(), or no extension: until start() */
	LEAVE_ASKED,				/* somebody needs the database for himself */
	LEAVE_TERMINATED			/* SIGTERM */
} Leaving;

static MemoryContext turn_context;	/* reset at each turn */
static Leaving leaving = STAY;
static bool begun = false;		/* it is known how far the queue was read */
static TimestampTz leave_by;	/* no longer than this */
static bool look = true;		/* there may be new messages */
static bool armed = false;		/* a commit will set our latch */
static bool unread = false;		/* there are notifications */
static bool may_not_settle = false; /* for want of a right */
static TimestampTz poll_at;		/* look then, whatever happens */
static TimestampTz plan_again_at;	/* after an error */
static uint64 holds_seen;
static WaitEventSet *wait_set;

static void begin(void);
static void begin_queue(void);
static void main_loop(void);
static void handle_interrupts(void);
static bool read_notifications(void);
static void carry(void);
static void plan(void);
static void plan_waiting(TimestampTz now);
static void probe(TimestampTz now);
static void plan_look(void);
static void end_care(void);
static void planned(PlanResult result);
static void arm(void);
static void stay_if_started(void);
static void leave_if_told(void);
static bool may_go(void);
static void wait_for_something(void);
static bool started_after_all(void);

void
imp_push_worker_main(Datum main_arg)
{
	worker_connect(main_arg);
	session_pin();
	pgstat_report_appname("imp_push worker");

	turn_context = AllocSetContextCreate(TopMemoryContext, "imp_push turn",
										 ALLOCSET_DEFAULT_SIZES);
	push_init(TopMemoryContext);
	plan_init(TopMemoryContext);
	settle_init(TopMemoryContext);
	status_init(TopMemoryContext);
	credentials_init(TopMemoryContext);
	send_init(TopMemoryContext);

	wait_set = imp_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, send_epoll_fd(), NULL, NULL);

	do
	{
		if (!worker_own_queue())
			break;
		begin();
		main_loop();
	} while (started_after_all());

	send_finish();
	proc_exit(leaving == LEAVE_TERMINATED ? 1 : 0);
}

/* -------------------------------------------------------------------------
 * Beginning
 * -------------------------------------------------------------------------
 */

static void
begin(void)
{
	leaving = STAY;
	begun = false;
	look = true;
	armed = may_not_settle = false;
	poll_at = plan_again_at = DT_NOBEGIN;
	session_adopt();
	plan_forget();
	send_start_new();
}

/*
 * Listens, and reads how far the worker before us came and how it ended.  That
 * we are at work is written down before anything is planned: if nothing else
 * is written, we have crashed.
 */
static void
begin_queue(void)
{
	bool		isnull;

	switch (status_begin(SESSION_OWNER))
	{
		case SESSION_READY:
			break;
		case SESSION_NO_EXTENSION:
			planned(PLAN_NOT_STARTED);
			return;
		default:
			planned(PLAN_FAILED);
			return;
	}

	/* LISTEN is refused here, and utility.c says what to do instead. */
	Async_Listen("imp_push");
	SPI_execute("SELECT imp_push.seen_by_worker()::text", true, 1);
	cursor_init(TopMemoryContext,
				TextDatumGetCString(SPI_getbinval(SPI_tuptable->vals[0],
												  SPI_tuptable->tupdesc, 1,
												  &isnull)));
	trial_begin();
	session_commit();

	status_state(WORKER_IDLE);
	begun = status_write();
	if (!begun)
		planned(PLAN_FAILED);
}

/*
 * The end of the main loop.  A start() may have come while we were leaving,
 * and found a worker here, so look once more, now without the ownership.
 */
static bool
started_after_all(void)
{
	bool		started = false;
	bool		isnull;

	imp_lock_session_release(IMP_LOCK_WORKER, 0);
	if (leaving != LEAVE_STOPPED)
		return false;

	worker_slot_leave();
	session_adopt();
	if (session_begin(SESSION_OWNER) == SESSION_READY)
	{
		SPI_execute("SELECT started FROM imp_push.control", true, 1);
		if (SPI_processed == 1)
			started = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 1,
												 &isnull));
		session_commit();
	}
	if (started)
		worker_slot_stay();
	return started;
}

/* -------------------------------------------------------------------------
 * The loop
 * -------------------------------------------------------------------------
 */

static void
main_loop(void)
{
	for (;;)
	{
		/* What a turn leaves behind goes with it. */
		MemoryContextReset(turn_context);
		MemoryContextSwitchTo(turn_context);

		handle_interrupts();
		stay_if_started();
		leave_if_told();
		carry();
		credentials_refresh();
		plan();
		send_flush();
		/* Reading them shows what has become of certificates, too. */
		if (read_notifications())
			credentials_refresh();
		if (settle_due(send_in_flight() > 0) <= GetCurrentTimestamp())
			may_not_settle = !settle_run(send_in_flight() == 0) &&
				status_waits_for_role();
		if (leaving == STAY)
			housekeeping();
		if (status_due() <= GetCurrentTimestamp())
			(void) status_write();
		if (session_report_due() <= GetCurrentTimestamp())
			session_report();
		if (leaving != STAY && may_go())
			return;
		wait_for_something();
	}
}

static void
handle_interrupts(void)
{
	/*
	 * SIGTERM: what is under way gets a moment to be answered and written
	 * down, so that a restart repeats as little as can be.  Inside of
	 * transactions it ends us at once.
	 */
	if (ProcDiePending && leaving != LEAVE_TERMINATED)
	{
		ProcDiePending = false;
		leaving = LEAVE_TERMINATED;
		leave_by = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   LEAVE_DELAY_MS);
		send_stop_new();
	}

	/* There is no statement here that could be cancelled. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();

	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		credentials_reload();
		poll_at = plan_again_at = DT_NOBEGIN;
	}

	/* Reading the notification takes a transaction, so first things first. */
	if (notifyInterruptPending)
	{
		notifyInterruptPending = false;
		unread = look = true;
	}
}

/* A listener that does not read blocks the whole cluster's queue. */
static bool
read_notifications(void)
{
	if (notifyInterruptPending)
		unread = look = true;
	if (!unread)
		return false;
	unread = false;
	notifyInterruptPending = true;
	ProcessNotifyInterrupt(false);
	return true;
}

static void
leave_if_told(void)
{
	if (leaving == LEAVE_ASKED || leaving == LEAVE_TERMINATED ||
		!worker_slot_asked_to_leave())
		return;
	leaving = LEAVE_ASKED;
	leave_by = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   LEAVE_DELAY_MS);
	send_stop_new();
}

/*
 * A start() that comes while we leave, and so wait for answers: we stay, with
 * all that we know.
 */
static void
stay_if_started(void)
{
	if (leaving != LEAVE_STOPPED || !look)
		return;
	arm();
	look = false;
	if (plan_started() != PLAN_NOTHING)
		return;
	leaving = STAY;
	look = true;
	send_start_new();
}

/* Moves data, and takes what has been answered. */
static void
carry(void)
{
	Push	   *push;

	send_drive(GetCurrentTimestamp());
	while ((push = send_next_answered()) != NULL)
		settle_add(push);
}

static int
room(void)
{
	return imp_max_in_flight - send_in_flight() - settle_pending();
}

static bool
has_room(void)
{
	return room() >= Min(PAGE_MIN, Max(imp_max_in_flight / 4, 1));
}

/*
 * Whether it is worth while to look for work now; one that is disabled looks
 * as well, for it may be stopped.
 */
static bool
may_plan(TimestampTz now)
{
	return leaving == STAY && now >= plan_again_at && !may_not_settle &&
		(has_room() || !imp_enabled);
}

static void
plan(void)
{
	static bool new_first = false;
	TimestampTz now = GetCurrentTimestamp();

	if (now >= poll_at)
	{
		look = true;
		plan_due_changed(DT_NOBEGIN);
		/* Badges, and what is planned again, begin to wait unannounced. */
		send_look_for_probes();
		poll_at = TimestampTzPlusMilliseconds(now, imp_poll_interval);
	}
	if (!begun && may_plan(now))
		begin_queue();

	/* Whoever comes second comes first the next time: both find room. */
	new_first = !new_first;
	if (new_first)
		plan_look();
	if (imp_enabled)
		plan_waiting(now);
	send_flush();
	if (!new_first)
		plan_look();
	end_care();
	if (leaving == STAY && now >= plan_again_at && !may_not_settle)
		status_state(!imp_enabled ? WORKER_DISABLED :
					 send_in_flight() > 0 ? WORKER_WORKING : WORKER_IDLE);
}

static void
plan_waiting(TimestampTz now)
{
	if (!may_plan(now))
		return;

	/* A circuit that has closed has left pushes waiting, for one. */
	if (holds_seen != send_hold_generation())
	{
		holds_seen = send_hold_generation();
		plan_due_changed(DT_NOBEGIN);
	}
	probe(now);
	if (may_plan(now) && now >= plan_next_due())
		planned(plan_due(Min(Min(room(), PAGE_SIZE), send_page()),
						 send_submit));
}

/* A push for each open circuit whose probe is due. */
static void
probe(TimestampTz now)
{
	const char *certificates[PROBES_A_TURN];
	int			n = send_probes_due(now, certificates,
									Min(room(), PROBES_A_TURN));

	if (n > 0)
		planned(plan_probes(certificates, n, send_submit));
}

static void
arm(void)
{
	if (!armed)
		worker_slot_arm();
	armed = true;
}

static void
submit_new(Push *push)
{
	yield_planned(push);
	send_submit(push);
}

/*
 * Looks for new messages, or only whether the database has been stopped.
 *
 * Armed first, then a snapshot: whatever this one does not see will ring.  So
 * the wait can begin as soon as all that it does see has been read.  If the
 * reading of that began before we were armed, somebody may have rung since
 * then, so we look once more.
 */
static void
plan_look(void)
{
	bool		older = cursor_reading() != NULL;
	TimestampTz began = GetCurrentTimestamp();
	PlanResult	result;

	if (!look || yield_until(began) > began || !may_plan(began))
		return;
	arm();
	status_pass();
	if (imp_enabled)
		result = plan_new(Min(room(), PAGE_SIZE), submit_new);
	else
		result = plan_started();
	if (result == PLAN_SOME || result == PLAN_MORE)
		housekeeping_wanted();
	look = result == PLAN_MORE || result == PLAN_FAILED ||
		(older && imp_enabled);
	planned(result);

	/* What was there before us we catch up with at once. */
	if (!cursor_recovering())
		yield_after(result == PLAN_MORE, began, GetCurrentTimestamp());
}

/* Once everything that was there when we began has been planned. */
static void
end_care(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (begun && may_plan(now) && !cursor_recovering() &&
		plan_next_due() > now && !trial_end())
		planned(PLAN_FAILED);
}

/* What a look at the tables means for the next one. */
static void
planned(PlanResult result)
{
	switch (result)
	{
		case PLAN_NOTHING:
		case PLAN_SOME:
		case PLAN_MORE:
			return;

		case PLAN_NOT_STARTED:
			leaving = LEAVE_STOPPED;
			leave_by = DT_NOEND;
			send_stop_new();
			return;

		case PLAN_FAILED:
			plan_again_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														RETRY_DELAY_MS);
			return;
	}
}

/* Leaving: whether everything is written down, or time is up. */
static bool
may_go(void)
{
	bool		done = send_in_flight() == 0 && settle_pending() == 0;

	if (!done && GetCurrentTimestamp() < leave_by)
		return false;
	if (settle_due(false) < DT_NOEND)
		(void) settle_run(true);
	/* The next one will know from this that we have not crashed. */
	if (begun)
		status_state(WORKER_STOPPED);
	(void) status_write();
	return true;
}

/* -------------------------------------------------------------------------
 * Waiting
 * -------------------------------------------------------------------------
 */

/*
 * Whatever is due now has been done in this turn, or cannot be done yet: no
 * time of the past may stand here for ever.
 */
static long
milliseconds_to_wait(TimestampTz now)
{
	TimestampTz due = Min(settle_due(send_in_flight() > 0),
						  Min(status_due(), Min(session_report_due(),
												credentials_due())));
	long		transport = send_timeout(now);
	long		own;

	if (leaving != STAY)
		due = Min(due, leave_by);
	else
	{
		due = Min(due, Min(poll_at, housekeeping_due()));
		if (may_plan(now))
		{
			if (look)
				due = Min(due, yield_until(now));
			if (imp_enabled)
				due = Min(due, Min(plan_next_due(), send_next_probe()));
		}
		else if (now < plan_again_at)
			due = Min(due, plan_again_at);
	}

	if (TIMESTAMP_IS_NOEND(due))
		own = WAIT_MS;
	else if (due <= now)		/* DT_NOBEGIN is too far to count from */
		own = 0;
	else
		own = Min(TimestampDifferenceMilliseconds(now, due), WAIT_MS);
	return transport >= 0 && transport < own ? transport : own;
}

static void
wait_for_something(void)
{
	WaitEvent	event;

	if (WaitEventSetWait(wait_set, milliseconds_to_wait(GetCurrentTimestamp()),
						 &event, 1, PG_WAIT_EXTENSION) == 0 ||
		!(event.events & WL_LATCH_SET))
		return;

	ResetLatch(MyLatch);
	look = true;
	if (armed)
	{
		(void) worker_slot_disarm();
		armed = false;
	}
}
