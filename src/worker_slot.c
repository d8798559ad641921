/*
 * worker_slot.c
 *		Shared memory: one slot a worker, and what is to become of databases.
 *
 * Owns everything that backends, workers and the launcher tell each other.
 * Must never hold a pointer to the memory of a process: slots name processes
 * by their place in the array of processes, whose latches are in shared
 * memory and may be set at any time, whoever has the place by then.
 *
 * One lock guards all but what committers touch: armed and doorbell are
 * atomics, and a committer reads database and proc_number without the lock
 * (wakeup.c says why that is enough).
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "worker_slot.h"

#define NO_PROCESS (-1)

/*
 * Databases that are paused, left or waiting to be started.  One that finds
 * no room does without: a statement that needs the database to itself then
 * says who is in the way, and a worker that leaves is started again in vain.
 */
#define DATABASE_MARKS_FREE 32

typedef struct WorkerSlot
{
	Oid			database;		/* InvalidOid: the slot is free */
	pid_t		pid;
	int			proc_number;
	pg_atomic_uint32 armed;		/* about to wait: a commit must ring */
	pg_atomic_uint32 doorbell;	/* a committer is at it with NOTIFY */
	pg_atomic_uint32 leave;		/* somebody waits for it to go */
} WorkerSlot;

typedef struct DatabaseMark
{
	Oid			database;
	int			pauses;
	bool		left;
	bool		start;
} DatabaseMark;

typedef struct WorkerSlots
{
	LWLock	   *lock;
	ConditionVariable freed;	/* a slot was */
	int			launcher;		/* proc number */
	int			slot_count;
	int			mark_count;
	DatabaseMark *marks;		/* both in the same shared memory */
	WorkerSlot *slots;
} WorkerSlots;

static WorkerSlots *shared = NULL;
static WorkerSlot *my_slot = NULL;
static WorkerSlot *my_doorbell = NULL;

#if PG_VERSION_NUM >= 150000
static shmem_request_hook_type previous_shmem_request_hook = NULL;
#endif
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

/* Every worker needs a background worker slot of the server's first. */
static int
slot_count(void)
{
	return max_worker_processes;
}

static int
mark_count(void)
{
	return max_worker_processes + DATABASE_MARKS_FREE;
}

static Size
shared_size(void)
{
	Size		size = MAXALIGN(sizeof(WorkerSlots));

	size = add_size(size, MAXALIGN(mul_size(mark_count(),
											sizeof(DatabaseMark))));
	return add_size(size, mul_size(slot_count(), sizeof(WorkerSlot)));
}

static void
request_shared_memory(void)
{
#if PG_VERSION_NUM >= 150000
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
#endif
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("imp_push", 1);
}

static void
start_shared_memory(void)
{
	bool		found;
	char	   *place;
	int			i;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("imp_push", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		shared->lock = &GetNamedLWLockTranche("imp_push")->lock;
		ConditionVariableInit(&shared->freed);
		shared->launcher = NO_PROCESS;
		shared->slot_count = slot_count();
		shared->mark_count = mark_count();

		place = (char *) shared + MAXALIGN(sizeof(WorkerSlots));
		shared->marks = (DatabaseMark *) place;
		place += MAXALIGN(mark_count() * sizeof(DatabaseMark));
		shared->slots = (WorkerSlot *) place;
		for (i = 0; i < shared->slot_count; i++)
		{
			pg_atomic_init_u32(&shared->slots[i].armed, 0);
			pg_atomic_init_u32(&shared->slots[i].doorbell, 0);
			pg_atomic_init_u32(&shared->slots[i].leave, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
worker_slots_request(void)
{
#if PG_VERSION_NUM >= 150000
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
#else
	request_shared_memory();
#endif
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
}

bool
worker_slots_present(void)
{
	return shared != NULL;
}

/*
 * Marks.  The caller holds the lock.
 */
static DatabaseMark *
find_mark(Oid database)
{
	int			i;

	for (i = 0; i < shared->mark_count; i++)
	{
		if (shared->marks[i].database == database)
			return &shared->marks[i];
	}
	return NULL;
}

/* The mark of a database, made if need be; NULL: no room. */
static DatabaseMark *
need_mark(Oid database)
{
	DatabaseMark *mark = find_mark(database);

	if (mark == NULL)
		mark = find_mark(InvalidOid);
	if (mark != NULL)
		mark->database = database;
	return mark;
}

static void
drop_idle_mark(DatabaseMark *mark)
{
	if (mark->pauses == 0 && !mark->left && !mark->start)
		mark->database = InvalidOid;
}

static bool
has_worker(Oid database)
{
	int			i;

	for (i = 0; i < shared->slot_count; i++)
	{
		if (shared->slots[i].database == database)
			return true;
	}
	return false;
}

/*
 * The worker's side
 */

/*
 * An on_shmem_exit callback, and registered before the process enters its
 * database: so it runs after the process has gone from the array of
 * processes, and whoever sees the slot free finds the database without it.
 *
 * If the postmaster restarts us, nobody else need be asked to: with two
 * registered, one would wait in vain for the other and take up a background
 * worker.
 */
static void
free_slot(int code, Datum arg)
{
	DatabaseMark *mark;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(my_slot->database);
	if (mark != NULL && code != 0 &&
		MyBgworkerEntry->bgw_restart_time != BGW_NEVER_RESTART)
	{
		mark->start = false;
		drop_idle_mark(mark);
	}
	my_slot->database = InvalidOid;
	my_slot->pid = 0;
	pg_atomic_write_u32(&my_slot->armed, 0);
	my_slot = NULL;
	LWLockRelease(shared->lock);

	ConditionVariableBroadcast(&shared->freed);
	launcher_wake();
}

bool
worker_slot_claim(Oid database)
{
	DatabaseMark *mark;
	int			i;

	if (shared == NULL)
		return true;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	if (mark != NULL && mark->pauses > 0)
	{
		mark->start = true;
		LWLockRelease(shared->lock);
		return false;
	}
	for (i = 0; i < shared->slot_count && my_slot == NULL; i++)
	{
		if (!OidIsValid(shared->slots[i].database))
			my_slot = &shared->slots[i];
	}
	if (my_slot == NULL)
	{
		LWLockRelease(shared->lock);
		elog(ERROR, "more imp_push workers than background workers");
	}
	my_slot->pid = MyProcPid;
	my_slot->proc_number = IMP_MY_PROC_NUMBER;
	pg_atomic_write_u32(&my_slot->armed, 0);
	pg_atomic_write_u32(&my_slot->leave, 0);
	my_slot->database = database;
	LWLockRelease(shared->lock);

	on_shmem_exit(free_slot, (Datum) 0);
	return true;
}

void
worker_slot_arm(void)
{
	if (my_slot != NULL)
		(void) pg_atomic_exchange_u32(&my_slot->armed, 1);
}

bool
worker_slot_disarm(void)
{
	return my_slot != NULL && pg_atomic_exchange_u32(&my_slot->armed, 0) == 0;
}

bool
worker_slot_asked_to_leave(void)
{
	return my_slot != NULL && pg_atomic_read_u32(&my_slot->leave) != 0;
}

void
worker_slot_leave(void)
{
	DatabaseMark *mark;

	if (my_slot == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = need_mark(my_slot->database);
	if (mark != NULL)
	{
		mark->left = true;
		mark->start = false;
	}
	LWLockRelease(shared->lock);
}

void
worker_slot_stay(void)
{
	DatabaseMark *mark;

	if (my_slot == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(my_slot->database);
	if (mark != NULL)
	{
		mark->left = false;
		drop_idle_mark(mark);
	}
	LWLockRelease(shared->lock);
}

/*
 * The committer's side
 */

/*
 * True if a worker is armed and nobody else is ringing for it: then the
 * caller may notify, and must return the doorbell when its transaction ends.
 */
bool
worker_slots_take_doorbell(void)
{
	int			i;

	if (shared == NULL || my_doorbell != NULL)
		return false;

	for (i = 0; i < shared->slot_count; i++)
	{
		WorkerSlot *slot = &shared->slots[i];

		if (slot->database == MyDatabaseId &&
			pg_atomic_read_u32(&slot->armed) != 0 &&
			pg_atomic_exchange_u32(&slot->doorbell, 1) == 0)
		{
			/* One NOTIFY reaches all who listen. */
			my_doorbell = slot;
			return true;
		}
	}
	return false;
}

void
worker_slots_return_doorbell(void)
{
	if (my_doorbell != NULL)
		pg_atomic_write_u32(&my_doorbell->doorbell, 0);
	my_doorbell = NULL;
}

void
worker_slots_wake(void)
{
	int			i;

	if (shared == NULL)
		return;

	pg_memory_barrier();
	for (i = 0; i < shared->slot_count; i++)
	{
		WorkerSlot *slot = &shared->slots[i];

		/* The plain read first: an exchange would take the cache line. */
		if (slot->database == MyDatabaseId &&
			pg_atomic_read_u32(&slot->armed) != 0 &&
			pg_atomic_exchange_u32(&slot->armed, 0) != 0)
			SetLatch(&GetPGProcByNumber(slot->proc_number)->procLatch);
	}
}

/*
 * Databases
 */
bool
database_pause(Oid database)
{
	DatabaseMark *mark;

	if (shared == NULL)
		return false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = need_mark(database);
	if (mark != NULL)
		mark->pauses++;
	LWLockRelease(shared->lock);
	return mark != NULL;
}

void
database_resume(Oid database)
{
	DatabaseMark *mark;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	if (mark != NULL && mark->pauses > 0)
	{
		mark->pauses--;
		drop_idle_mark(mark);
	}
	LWLockRelease(shared->lock);
	launcher_wake();
}

int
database_ask_to_leave(Oid database, bool terminate)
{
	DatabaseMark *mark;
	int			asked = 0;
	int			i;

	if (shared == NULL)
		return 0;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	for (i = 0; i < shared->slot_count; i++)
	{
		WorkerSlot *slot = &shared->slots[i];

		if (slot->database != database)
			continue;
		asked++;
		pg_atomic_write_u32(&slot->leave, 1);
		/* The lock keeps the slot, and so the pid, from changing hands. */
		if (terminate)
			(void) kill(slot->pid, SIGTERM);
		SetLatch(&GetPGProcByNumber(slot->proc_number)->procLatch);
	}
	if (asked > 0 && mark != NULL && mark->pauses > 0 && !mark->left)
		mark->start = true;
	LWLockRelease(shared->lock);
	return asked;
}

bool
database_wait_for_leaving(Oid database, int milliseconds)
{
	TimestampTz deadline;
	bool		gone = false;

	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   milliseconds);
	ConditionVariablePrepareToSleep(&shared->freed);
	for (;;)
	{
		long		left;

		LWLockAcquire(shared->lock, LW_SHARED);
		gone = !has_worker(database);
		LWLockRelease(shared->lock);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
											   deadline);
		if (gone || left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&shared->freed, left,
										   PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return gone;
}

void
database_start(Oid database)
{
	DatabaseMark *mark;

	if (shared == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = need_mark(database);
	if (mark != NULL)
	{
		mark->left = false;
		mark->start = true;
	}
	LWLockRelease(shared->lock);
	launcher_wake();
}

/*
 * The launcher's side
 */
static void
detach_launcher(int code, Datum arg)
{
	shared->launcher = NO_PROCESS;
}

void
launcher_attach(void)
{
	shared->launcher = IMP_MY_PROC_NUMBER;
	before_shmem_exit(detach_launcher, (Datum) 0);
}

void
launcher_wake(void)
{
	int			launcher = shared != NULL ? shared->launcher : NO_PROCESS;

	if (launcher != NO_PROCESS)
		SetLatch(&GetPGProcByNumber(launcher)->procLatch);
}

DatabaseState
database_state(Oid database)
{
	DatabaseState state = {0};
	DatabaseMark *mark;

	LWLockAcquire(shared->lock, LW_SHARED);
	mark = find_mark(database);
	state.database = database;
	state.running = has_worker(database);
	state.left = mark != NULL && mark->left;
	state.paused = mark != NULL && mark->pauses > 0;
	state.start = mark != NULL && mark->start;
	LWLockRelease(shared->lock);
	return state;
}

void
database_started(Oid database)
{
	DatabaseMark *mark;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	if (mark != NULL)
	{
		mark->start = false;
		drop_idle_mark(mark);
	}
	LWLockRelease(shared->lock);
}

void
database_forget(Oid database)
{
	DatabaseMark *mark;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	if (mark != NULL)
	{
		mark->left = false;
		mark->start = false;
		drop_idle_mark(mark);
	}
	LWLockRelease(shared->lock);
}

int
databases_to_look_at(Oid *databases, int max)
{
	int			count = 0;
	int			i;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (i = 0; i < shared->mark_count && count < max; i++)
	{
		DatabaseMark *mark = &shared->marks[i];

		if (OidIsValid(mark->database) && (mark->left || mark->start))
			databases[count++] = mark->database;
	}
	LWLockRelease(shared->lock);
	return count;
}
