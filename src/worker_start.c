/*
 * worker_start.c
 *		How a worker is registered, and its first steps.
 *
 * Must never look at a table: what a worker does once it is connected is
 * worker.c's.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/wait_event.h"

#include "lock.h"
#include "worker_slot.h"
#include "worker_start.h"

/* How long a new worker waits for the one before it to go. */
#define OWNERSHIP_TRIES 600
#define OWNERSHIP_WAIT_MS 100

bool
worker_register(const WorkerStart *start, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name),
			 "imp_push worker of database %s", start->name);
	strlcpy(worker.bgw_type, "imp_push worker", sizeof(worker.bgw_type));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
#ifdef BGWORKER_INTERRUPTIBLE
	worker.bgw_flags |= BGWORKER_INTERRUPTIBLE;
#endif
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = start->restart_time;
	strlcpy(worker.bgw_library_name, WORKER_LIBRARY,
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, WORKER_FUNCTION,
			sizeof(worker.bgw_function_name));
	worker.bgw_main_arg = ObjectIdGetDatum(start->database);
	memcpy(worker.bgw_extra, &start->after, sizeof(start->after));
	worker.bgw_notify_pid = start->notify_pid;

	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static emit_log_hook_type others_log_hook = NULL;

/*
 * A database that was dropped is no news to anybody, and a worker that the
 * postmaster restarts would report it every second for ever.  The connection
 * fails with FATAL, which no PG_TRY catches, so we go where it would be
 * logged: exit 0 is never restarted.
 */
static void
leave_if_no_database(ErrorData *error)
{
	if (error->elevel == FATAL &&
		error->sqlerrcode == ERRCODE_UNDEFINED_DATABASE)
		proc_exit(0);
	if (others_log_hook)
		others_log_hook(error);
}

/*
 * start() registers its worker before it commits, so that the caller gets the
 * error if there is no room for one.  What it wrote is visible from its end
 * on.  After a restart by the postmaster that transaction has long ended.
 */
static void
wait_for_start(void)
{
	FullTransactionId after;

	memcpy(&after, MyBgworkerEntry->bgw_extra, sizeof(after));
	if (!FullTransactionIdIsValid(after))
		return;

	StartTransactionCommand();
	XactLockTableWait(XidFromFullTransactionId(after), NULL, NULL, XLTW_None);
	CommitTransactionCommand();
}

void
worker_connect(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	if (!worker_slot_claim(database))
		proc_exit(0);

	others_log_hook = emit_log_hook;
	emit_log_hook = leave_if_no_database;
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	emit_log_hook = others_log_hook;

	wait_for_start();
}

bool
worker_own_queue(void)
{
	for (int try = 0; try < OWNERSHIP_TRIES; try++)
	{
		if (imp_lock_session_try(IMP_LOCK_WORKER, 0))
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 OWNERSHIP_WAIT_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (worker_slot_asked_to_leave())
			break;
	}
	return false;
}
