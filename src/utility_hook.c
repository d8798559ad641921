/*
 * utility_hook.c
 *		Commands that concern the worker though nobody told it.
 *
 * COMMIT PREPARED makes messages visible that another session has inserted.
 * DROP DATABASE and its like want the database to themselves: its worker makes
 * way until the transaction ends, however it ends, and the launcher then
 * brings it back if the database and the extension are still there.
 *
 * Must never change what a command does, nor fail instead of it: whether it is
 * allowed is the command's own business.  We only make sure that nobody can
 * drive out a worker with a command that he may not run.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "tcop/utility.h"

#include "compat.h"
#include "utility_hook.h"
#include "wakeup.h"
#include "worker_slot.h"

/*
 * How long we wait for a worker: that may finish what is in flight; that has
 * got SIGTERM, and takes a moment to write down its answers; that has got it
 * again, and goes at once.  Then the command runs anyhow, and says who is in
 * the way.
 */
#define FINISH_MS 2000
#define TERMINATE_MS 250
#define LEAVE_MS 10000

/* Databases that this transaction has paused; more are not helped. */
#define PAUSED_MAX 8

static ProcessUtility_hook_type previous_hook = NULL;

static Oid	paused[PAUSED_MAX];
static int	paused_count = 0;

/* A database may have come, or come back, under a name on the list. */
static bool wake_launcher_at_commit = false;

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (wake_launcher_at_commit)
				launcher_wake();
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wake_launcher_at_commit = false;
			while (paused_count > 0)
				database_resume(paused[--paused_count]);
			break;

		default:
			break;
	}
}

/*
 * Asks the workers of a database to make way until our transaction ends, and
 * waits for them, for a while, interruptibly.  What is in flight is finished
 * first if finish: a push that was cut off is sent again later.
 */
static void
make_way(Oid database, bool finish)
{
	if (paused_count == PAUSED_MAX || !database_pause(database))
		return;
	paused[paused_count++] = database;

	if (finish && (database_ask_to_leave(database, false) == 0 ||
				   database_wait_for_leaving(database, FINISH_MS)))
		return;
	if (database_ask_to_leave(database, true) == 0 ||
		database_wait_for_leaving(database, TERMINATE_MS))
		return;
	if (database_ask_to_leave(database, true) > 0)
		(void) database_wait_for_leaving(database, LEAVE_MS);
}

static void
make_way_in(const char *name, bool finish)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(database) && imp_owns_database(database, GetUserId()))
		make_way(database, finish);
}

/* The database that CREATE DATABASE copies. */
static const char *
template_of(CreatedbStmt *stmt)
{
	const char *name = "template1";
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			name = defGetString(option);
	}
	return name;
}

static bool
moves_database(AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

/* DROP EXTENSION imp_push, by somebody who may? */
static bool
drops_us(DropStmt *stmt)
{
	Oid			extension;
	ListCell   *lc;

	if (stmt->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, stmt->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "imp_push") != 0)
			continue;
		extension = get_extension_oid("imp_push", true);
		return OidIsValid(extension) &&
			imp_owns_extension(extension, GetUserId());
	}
	return false;
}

/* What has to happen before the command; only with shared memory. */
static void
before(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			/* Nothing is sent again from a database that is gone. */
			make_way_in(((DropdbStmt *) stmt)->dbname, false);
			break;
		case T_CreatedbStmt:
			make_way_in(template_of((CreatedbStmt *) stmt), true);
			wake_launcher_at_commit = true;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType != OBJECT_DATABASE)
				break;
			make_way_in(((RenameStmt *) stmt)->subname, true);
			wake_launcher_at_commit = true;
			break;
		case T_AlterDatabaseStmt:
			if (moves_database((AlterDatabaseStmt *) stmt))
				make_way_in(((AlterDatabaseStmt *) stmt)->dbname, true);
			wake_launcher_at_commit = true;
			break;
		case T_DropStmt:
			if (drops_us((DropStmt *) stmt))
				make_way(MyDatabaseId, false);
			break;
		default:
			break;
	}
}

static bool
is_commit_prepared(Node *stmt)
{
	return IsA(stmt, TransactionStmt) &&
		((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED;
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;

	if (worker_slots_present())
		before(stmt);

	if (previous_hook)
		previous_hook(pstmt, queryString, readOnlyTree, context, params,
					  queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);

	/*
	 * The rows are visible by now.  Whether there were messages among them is
	 * not known here, so the worker may look in vain.
	 */
	if (is_commit_prepared(stmt))
		wakeup_request();
}

void
utility_hook_init(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
