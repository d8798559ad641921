/*
 * control.c
 *		start() and stop(): the part that SQL cannot do.
 *
 * Owns the way from start() to a worker.  Whether the database is started is
 * said by the table imp_push.control alone, which only SQL writes.  Must never
 * start a worker for anybody but the extension's owner, nor have one look at
 * anything before the commit that wants it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "control.h"
#include "guc.h"
#include "wakeup.h"
#include "worker_slot.h"
#include "worker_start.h"

PG_FUNCTION_INFO_V1(imp_push_start_worker);
PG_FUNCTION_INFO_V1(imp_push_wake_worker);
PG_FUNCTION_INFO_V1(imp_push_worker_mode);

/*
 * The transaction has called start() and leaves the rest to the launcher.  If
 * it is prepared, that is forgotten: call start() again after COMMIT PREPARED.
 */
static bool start_at_commit = false;

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (start_at_commit)
				database_start(MyDatabaseId);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			start_at_commit = false;
			break;

		default:
			break;
	}
}

void
control_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
}

static bool
launcher_supervises_us(void)
{
	return worker_slots_present() &&
		guc_lists_database(get_database_name(MyDatabaseId));
}

/*
 * With a worker there that may be leaving, the launcher sees to it that there
 * is one afterwards.
 */
static bool
launcher_knows_us(void)
{
	return worker_slots_present() && database_state(MyDatabaseId).running;
}

/*
 * A worker that the server does not start by itself.  The postmaster restarts
 * it after a crash, so it lasts until the server stops.
 */
static void
start_own_worker(void)
{
	WorkerStart start = {0};

	start.database = MyDatabaseId;
	start.name = get_database_name(MyDatabaseId);
	start.restart_time = 1;
	start.after = GetTopFullTransactionId();

	if (!worker_register(&start, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("imp_push has no background worker left for this database"),
				 errhint("Increase max_worker_processes.")));
}

/*
 * imp_push.start_worker(): sees to it that the database has a worker once the
 * transaction has committed.  What it starts runs as a superuser, so EXECUTE
 * on it is not enough.
 */
Datum
imp_push_start_worker(PG_FUNCTION_ARGS)
{
	Oid			extension = get_extension_oid("imp_push", false);

	if (!imp_owns_extension(extension, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of extension %s", "imp_push")));

	if (launcher_supervises_us() || launcher_knows_us())
		start_at_commit = true;
	else
		start_own_worker();
	PG_RETURN_VOID();
}

/* imp_push.wake_worker(): the commit of this transaction wakes the worker. */
Datum
imp_push_wake_worker(PG_FUNCTION_ARGS)
{
	wakeup_request();
	PG_RETURN_VOID();
}

/*
 * imp_push.worker_mode(): who starts the workers of this database.
 */
Datum
imp_push_worker_mode(PG_FUNCTION_ARGS)
{
	const char *mode;

	if (!worker_slots_present())
		mode = "not_preloaded";
	else if (!launcher_supervises_us())
		mode = "not_listed";
	else
		mode = "supervised";
	PG_RETURN_TEXT_P(cstring_to_text(mode));
}
