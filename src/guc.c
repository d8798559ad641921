/*
 * guc.c
 *		The settings of the server: names, units, ranges, descriptions.
 *
 * Owns the variables that hold them.  Checks only what can be judged from the
 * value alone: whether a file or a role exists may change after a reload, so
 * those who use it find out.  Must never read a file or a table.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "compat.h"
#include "guc.h"

char	   *imp_databases = NULL;
bool		imp_enabled = true;
int			imp_max_in_flight = 1000;
int			imp_connections = 1;
int			imp_poll_interval = 30000;
int			imp_connect_timeout = 10000;
int			imp_request_timeout = 30000;
int			imp_yield_limit = 30000;
char	   *imp_ca_file = NULL;
char	   *imp_key_directory = NULL;
char	   *imp_role = NULL;
int			imp_cancel_reason = CANCEL_ACKNOWLEDGED;

static const struct config_enum_entry cancel_reasons[] = {
	{"acknowledged", CANCEL_ACKNOWLEDGED, false},
	{"recalled", CANCEL_RECALLED, false},
	{"evicted", CANCEL_EVICTED, false},
	{NULL, 0, false}
};

/*
 * Names are written as in SQL: folded to lower case unless in double quotes.
 */
static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *names = pstrdup(*newval);
	List	   *list = NIL;
	bool		valid = SplitIdentifierString(names, ',', &list);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(list);
	pfree(names);
	return valid;
}

List *
guc_database_names(void)
{
	List	   *names = NIL;
	List	   *all = NIL;
	ListCell   *lc;

	/* The check hook has seen it, so this cannot fail. */
	if (!SplitIdentifierString(pstrdup(imp_databases), ',', &all))
		return NIL;

	foreach(lc, all)
	{
		char	   *name = (char *) lfirst(lc);
		ListCell   *seen;
		bool		twice = false;

		foreach(seen, names)
			twice |= strcmp((char *) lfirst(seen), name) == 0;
		if (!twice)
			names = lappend(names, name);
	}
	return names;
}

bool
guc_lists_database(const char *name)
{
	ListCell   *lc;

	foreach(lc, guc_database_names())
	{
		if (strcmp((char *) lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static void
define_time(const char *name, const char *description, int *variable,
			int minimum, int maximum)
{
	DefineCustomIntVariable(name, description, NULL, variable, *variable,
							minimum, maximum, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static void
define_text(const char *name, const char *description, const char *detail,
			char **variable, int flags, GucStringCheckHook check_hook)
{
	DefineCustomStringVariable(name, description, detail, variable, "",
							   PGC_SIGHUP, flags, check_hook, NULL, NULL);
}

static void
define_transport(void)
{
	DefineCustomIntVariable("imp_push.max_in_flight",
							"Sets how many requests a worker keeps under way at once.",
							"The memory of a worker depends on it.",
							&imp_max_in_flight, 1000, 1, 10000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("imp_push.connections",
							"Sets how many connections a worker keeps for each certificate.",
							NULL,
							&imp_connections, 1, 1, 64,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_time("imp_push.connect_timeout",
				"Sets how long a connection to APNs may take to come up.",
				&imp_connect_timeout, 100, 10 * 60 * 1000);
	define_time("imp_push.request_timeout",
				"Sets how long to wait for the answer to a request.",
				&imp_request_timeout, 100, 10 * 60 * 1000);
	define_text("imp_push.ca_file",
				"Sets the file of certificate authorities that APNs is checked against.",
				"Empty means those of the operating system.",
				&imp_ca_file, 0, NULL);
	define_text("imp_push.key_directory",
				"Sets the directory in which keys given as \"file:NAME\" live.",
				"Empty means that such keys are refused.",
				&imp_key_directory, GUC_SUPERUSER_ONLY, NULL);
}

void
guc_define(void)
{
	define_text("imp_push.databases",
				"Lists the databases whose workers start with the server.",
				"Needs imp_push in shared_preload_libraries.",
				&imp_databases, GUC_LIST_INPUT, check_databases);
	DefineCustomBoolVariable("imp_push.enabled",
							 "Lets the workers plan and send.",
							 "Off: they run, and send, expire and clean up nothing.",
							 &imp_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_time("imp_push.poll_interval",
				"Sets how often a worker looks for work that nobody told it of.",
				&imp_poll_interval, 100, 60 * 60 * 1000);
	define_time("imp_push.yield_limit",
				"Sets for how long a worker lets others have the processors first.",
				&imp_yield_limit, 0, 60 * 60 * 1000);
	define_text("imp_push.role",
				"Sets the role that the workers act as.",
				"Empty means the owner of the extension.",
				&imp_role, 0, NULL);
	define_transport();

	DefineCustomEnumVariable("imp_push.cancel_reason",
							 "Set by functions of imp_push while they delete messages.",
							 NULL,
							 &imp_cancel_reason, CANCEL_ACKNOWLEDGED,
							 cancel_reasons,
							 PGC_USERSET,
							 GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved("imp_push");
}
