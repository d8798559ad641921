/*
 * launcher.c
 *		Keeps one worker in each database of imp_push.databases.
 *
 * Owns the decision to start a worker with the server or again.  Connected to
 * no database: it sees pg_database and nothing else, so whether a database
 * has the extension and is started is found out by its worker, which leaves
 * if not (worker_slot_leave) and is left alone until start().
 *
 * Must never wait for a worker, and never start one twice: a worker has either
 * a handle of ours that is alive, or a slot.  (Two would be harmless: the
 * second finds the ownership lock taken and goes.)
 *
 * It also brings back workers of databases that are not on the list, after a
 * statement that needed the database to itself; but it does not supervise
 * those: the postmaster restarts them.
 */
#include "postgres.h"

#include <signal.h>

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "launcher.h"
#include "worker_slot.h"
#include "worker_start.h"

/* Between two starts of a worker, doubling; and how long makes it good. */
#define DELAY_MIN_MS 1000
#define DELAY_MAX_MS 60000

/* The postmaster's delay for workers that it restarts and for us. */
#define RESTART_SECONDS 1

/* What has been logged about a database, so as to say it once. */
typedef enum Complaint
{
	COMPLAINT_NONE,
	COMPLAINT_NO_DATABASE,
	COMPLAINT_NO_CONNECTIONS,
	COMPLAINT_NO_WORKER
} Complaint;

typedef struct Supervised
{
	char		name[NAMEDATALEN];
	bool		listed;			/* used while the list is read */
	Oid			database;		/* InvalidOid: there is none */
	bool		connectable;
	BackgroundWorkerHandle *handle; /* NULL: none of ours runs */
	TimestampTz started_at;
	TimestampTz not_before;
	int			delay;			/* milliseconds */
	Complaint	complaint;
} Supervised;

static List *supervised = NIL;

void
launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	strlcpy(worker.bgw_name, "imp_push launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "imp_push launcher", sizeof(worker.bgw_type));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, WORKER_LIBRARY,
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "imp_push_launcher_main",
			sizeof(worker.bgw_function_name));
	RegisterBackgroundWorker(&worker);
}

/* Says something about a database once, until something else is the case. */
static bool
is_news(Supervised *entry, Complaint complaint)
{
	bool		news = entry->complaint != complaint;

	entry->complaint = complaint;
	return news;
}

static Supervised *
find_supervised(const char *name)
{
	ListCell   *lc;

	foreach(lc, supervised)
	{
		Supervised *entry = (Supervised *) lfirst(lc);

		if (strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

/*
 * Takes over imp_push.databases: new ones begin, and the workers of those
 * that are no longer on the list are asked to finish and leave.
 */
static void
read_list(void)
{
	List	   *names = guc_database_names();
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *lc;

	foreach(lc, supervised)
		((Supervised *) lfirst(lc))->listed = false;

	foreach(lc, names)
	{
		Supervised *entry = find_supervised((char *) lfirst(lc));

		if (entry == NULL)
		{
			entry = palloc0(sizeof(Supervised));
			strlcpy(entry->name, (char *) lfirst(lc), sizeof(entry->name));
			entry->delay = DELAY_MIN_MS;
			supervised = lappend(supervised, entry);
		}
		entry->listed = true;
	}

	foreach(lc, supervised)
	{
		Supervised *entry = (Supervised *) lfirst(lc);

		if (entry->listed)
			continue;
		if (OidIsValid(entry->database))
			database_ask_to_leave(entry->database, false);
		if (entry->handle)
			pfree(entry->handle);
		supervised = foreach_delete_current(supervised, lc);
		pfree(entry);
	}
	MemoryContextSwitchTo(context);
}

/*
 * Finds the OIDs of the names, and the names of the OIDs in strays, which
 * become NULL where there is no such database.  By a scan of the table: the
 * indexes cannot be relied upon without a database.
 */
static void
look_up_databases(const Oid *strays, char **stray_names, int stray_count)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;
	int			i;

	foreach(lc, supervised)
		((Supervised *) lfirst(lc))->database = InvalidOid;
	for (i = 0; i < stray_count; i++)
		stray_names[i] = NULL;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);
		Supervised *entry = find_supervised(NameStr(row->datname));

		if (entry != NULL)
		{
			entry->database = row->oid;
			/* A negative limit below -1 marks a drop that was cut short. */
			entry->connectable = row->datallowconn && row->datconnlimit >= -1;
		}
		for (i = 0; i < stray_count; i++)
		{
			if (strays[i] == row->oid)
				stray_names[i] = MemoryContextStrdup(context,
													 NameStr(row->datname));
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* Is the worker that we registered alive, or about to be? */
static bool
handle_is_alive(Supervised *entry, TimestampTz now)
{
	pid_t		pid;

	if (entry->handle == NULL)
		return false;
	if (GetBackgroundWorkerPid(entry->handle, &pid) != BGWH_STOPPED)
		return true;

	pfree(entry->handle);
	entry->handle = NULL;
	if (TimestampDifferenceExceeds(entry->started_at, now, DELAY_MAX_MS))
	{
		entry->delay = DELAY_MIN_MS;
		entry->not_before = TimestampTzPlusMilliseconds(now, DELAY_MIN_MS);
	}
	return false;
}

static void
start_worker(Supervised *entry, TimestampTz now)
{
	WorkerStart start = {0};
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);

	start.database = entry->database;
	start.name = entry->name;
	start.restart_time = BGW_NEVER_RESTART;
	start.after = InvalidFullTransactionId;
	start.notify_pid = MyProcPid;

	entry->started_at = now;
	entry->not_before = TimestampTzPlusMilliseconds(now, entry->delay);
	entry->delay = Min(entry->delay * 2, DELAY_MAX_MS);

	if (worker_register(&start, &entry->handle))
	{
		entry->complaint = COMPLAINT_NONE;
		database_started(entry->database);
	}
	else if (is_news(entry, COMPLAINT_NO_WORKER))
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("imp_push has no background worker left for database \"%s\"",
						entry->name),
				 errdetail("It will be tried again."),
				 errhint("Increase max_worker_processes.")));
	MemoryContextSwitchTo(context);
}

/*
 * What has to be done about a database that is there; returns when to look
 * again, in milliseconds, or -1: when something happens.
 */
static long
supervise_database(Supervised *entry, TimestampTz now)
{
	DatabaseState state = database_state(entry->database);
	bool		alive = handle_is_alive(entry, now);

	if (alive || state.running || state.paused || state.left)
		return -1;

	if (state.start)
	{
		entry->delay = DELAY_MIN_MS;
		entry->not_before = now;
	}
	if (entry->not_before <= now)
		start_worker(entry, now);
	if (entry->handle != NULL)
		return -1;
	return Max(TimestampDifferenceMilliseconds(now, entry->not_before), 1);
}

/* As supervise_database(), whether the database is there or not. */
static long
supervise(Supervised *entry, TimestampTz now)
{
	if (!OidIsValid(entry->database))
	{
		if (is_news(entry, COMPLAINT_NO_DATABASE))
			ereport(LOG,
					(errcode(ERRCODE_UNDEFINED_DATABASE),
					 errmsg("database \"%s\" in \"imp_push.databases\" does not exist",
							entry->name),
					 errdetail("Its worker will start when it does.")));
		return DELAY_MAX_MS;
	}
	if (!entry->connectable)
	{
		if (is_news(entry, COMPLAINT_NO_CONNECTIONS))
			ereport(LOG,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("database \"%s\" in \"imp_push.databases\" does not "
							"accept connections", entry->name),
					 errdetail("Its worker will start when it does.")));
		return DELAY_MAX_MS;
	}
	if (entry->complaint != COMPLAINT_NO_WORKER)
		entry->complaint = COMPLAINT_NONE;
	return supervise_database(entry, now);
}

/*
 * A database that is not on the list, and whose worker had to make way or may
 * be leaving while somebody calls start().  As long as a worker is there, the
 * wish stands; if the postmaster restarts that worker, it is void (free_slot).
 */
static void
bring_back(Oid database, const char *name)
{
	DatabaseState state = database_state(database);
	WorkerStart start = {0};

	if (name != NULL && (state.paused || (state.start && state.running)))
		return;
	if (name != NULL && state.start)
	{
		start.database = database;
		start.name = name;
		start.restart_time = RESTART_SECONDS;
		start.after = InvalidFullTransactionId;
		if (!worker_register(&start, NULL))
			ereport(LOG,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("imp_push has no background worker left for database \"%s\"",
							name),
					 errhint("Increase max_worker_processes, then call "
							 "imp_push.start() in that database.")));
	}
	database_forget(database);
}

static bool
is_supervised(Oid database)
{
	ListCell   *lc;

	foreach(lc, supervised)
	{
		if (((Supervised *) lfirst(lc))->database == database)
			return true;
	}
	return false;
}

/* One round; returns how long to sleep, -1: until something happens. */
static long
supervise_all(void)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			strays[64];
	char	   *stray_names[lengthof(strays)];
	int			stray_count = databases_to_look_at(strays, lengthof(strays));
	long		sleep = -1;
	ListCell   *lc;
	int			i;

	look_up_databases(strays, stray_names, stray_count);

	for (i = 0; i < stray_count; i++)
	{
		if (!is_supervised(strays[i]))
			bring_back(strays[i], stray_names[i]);
		if (stray_names[i] != NULL)
			pfree(stray_names[i]);
	}

	foreach(lc, supervised)
	{
		long		next = supervise((Supervised *) lfirst(lc), now);

		if (next >= 0 && (sleep < 0 || next < sleep))
			sleep = next;
	}
	return sleep;
}

void
imp_push_launcher_main(Datum main_arg)
{
	MemoryContext round_context;

	/* procsignal's SIGUSR1: the postmaster tells us of our workers with it. */
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	launcher_attach();

	round_context = AllocSetContextCreate(TopMemoryContext,
										  "imp_push launcher",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round_context);
	read_list();

	for (;;)
	{
		long		sleep;

		MemoryContextReset(round_context);

		/*
		 * die() alone would report every shutdown as FATAL.  1, so that we
		 * come back if it was not a shutdown.
		 */
		if (ProcDiePending)
			proc_exit(1);
		CHECK_FOR_INTERRUPTS();

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			read_list();
		}

		sleep = supervise_all();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (sleep >= 0 ? WL_TIMEOUT : 0),
						 sleep, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}
