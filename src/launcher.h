/*
 * launcher.h
 *		The process that keeps one worker in each database of
 *		imp_push.databases.
 *
 * It hears from others by shared memory alone (worker_slot.h).
 */
#ifndef IMP_LAUNCHER_H
#define IMP_LAUNCHER_H

#include "postgres.h"

/* Registers the launcher; from _PG_init, preloading. */
extern void launcher_register(void);

extern PGDLLEXPORT void imp_push_launcher_main(Datum main_arg);

#endif							/* IMP_LAUNCHER_H */
