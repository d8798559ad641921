/*
 * worker_start.h
 *		How a worker is registered, and its first steps.
 *
 * A worker's main argument is the OID of its database, and its bgw_extra may
 * hold the transaction that has to end before it looks at anything: the one
 * that called start().
 */
#ifndef IMP_WORKER_START_H
#define IMP_WORKER_START_H

#include "postgres.h"
#include "access/transam.h"
#include "postmaster/bgworker.h"

#define WORKER_LIBRARY "imp_push"
#define WORKER_FUNCTION "imp_push_worker_main"

typedef struct WorkerStart
{
	Oid			database;
	const char *name;			/* of the database, for people */
	int			restart_time;	/* seconds, or BGW_NEVER_RESTART */
	FullTransactionId after;	/* or InvalidFullTransactionId */
	pid_t		notify_pid;		/* or 0 */
} WorkerStart;

/*
 * Registers a dynamic worker.  false: the server has no background worker
 * left (max_worker_processes).  handle may be NULL.
 */
extern bool worker_register(const WorkerStart *start,
							BackgroundWorkerHandle **handle);

/*
 * The first thing in imp_push_worker_main(): installs the signal handlers,
 * claims the slot, connects as the bootstrap superuser, and waits for the
 * transaction that called start().  Returns with signals unblocked, connected,
 * outside of any transaction.  Does not return if the database is gone or
 * paused: then the process exits with 0, quietly.
 */
extern void worker_connect(Datum main_arg);

/*
 * One worker owns the queue.  Another may still be on its way out; false: it
 * stays, and we are not needed.
 */
extern bool worker_own_queue(void);

/* In worker.c */
extern PGDLLEXPORT void imp_push_worker_main(Datum main_arg);

#endif							/* IMP_WORKER_START_H */
