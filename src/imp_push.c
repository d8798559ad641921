/*
 * imp_push.c
 *		Where the library begins: what happens when it is loaded.
 *
 * Must never open a file, a connection or a transaction: with
 * shared_preload_libraries this runs in the postmaster.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "control.h"
#include "guc.h"
#include "launcher.h"
#include "utility_hook.h"
#include "wakeup.h"
#include "worker_slot.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	guc_define();

	/* pg_upgrade moves the tables and must not meet a worker in them. */
	if (IsBinaryUpgrade)
		return;

	if (process_shared_preload_libraries_in_progress)
	{
		worker_slots_request();
		launcher_register();
	}

	wakeup_init();
	control_init();
	utility_hook_init();
}
