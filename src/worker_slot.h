/*
 * worker_slot.h
 *		Shared memory: one slot a worker, and what is to become of databases.
 *
 * Without shared_preload_libraries there is none: worker_slots_present() is
 * false, every inserting commit notifies, and the functions below do nothing.
 */
#ifndef IMP_WORKER_SLOT_H
#define IMP_WORKER_SLOT_H

#include "postgres.h"

/* Requests shared memory; from _PG_init, preloading. */
extern void worker_slots_request(void);

extern bool worker_slots_present(void);

/*
 * The worker's side.
 *
 * A slot is claimed by worker_connect() before there is a connection, and is
 * free again when the process has left its database for good.  false: the
 * database is paused, the worker has to exit with 0.
 */
extern bool worker_slot_claim(Oid database);

/*
 * Arms the slot: from here on a commit of new work sets our latch.  Followed
 * by a full barrier; the caller must look for work once more, with a new
 * snapshot, before it waits.
 */
extern void worker_slot_arm(void);

/* True if a commit has rung since the slot was armed: look for work. */
extern bool worker_slot_disarm(void);

/*
 * True if somebody waits for us to go (a RENAME, a change of the settings):
 * plan nothing more, finish what is under way, exit with 0.
 */
extern bool worker_slot_asked_to_leave(void);

/*
 * The worker leaves because the database is stopped: the launcher leaves it
 * alone until start().  A start() may commit while the worker is leaving, so
 * this is the order: worker_slot_leave(), give up the ownership lock, look at
 * imp_push.control once more with a new snapshot; if it says started after
 * all, worker_slot_stay() and begin again with the ownership lock, else exit
 * with 0.
 */
extern void worker_slot_leave(void);
extern void worker_slot_stay(void);

/*
 * The committer's side, used by wakeup.c, which explains it.  All concern the
 * workers of MyDatabaseId.  None throws or allocates.
 */
extern bool worker_slots_take_doorbell(void);
extern void worker_slots_return_doorbell(void);
extern void worker_slots_wake(void);

/*
 * Databases.  A paused database gets no worker until it is resumed as often
 * as it was paused.
 */
extern bool database_pause(Oid database);	/* false: no room, not paused */
extern void database_resume(Oid database);

/*
 * Asks the workers of a database to leave, by SIGTERM if terminate, and
 * returns how many are there.  They come back after database_resume().
 */
extern int	database_ask_to_leave(Oid database, bool terminate);

/* Waits until the database has no worker; false if that took too long. */
extern bool database_wait_for_leaving(Oid database, int milliseconds);

/* The launcher starts the database's worker, even one that has left. */
extern void database_start(Oid database);

/* What the launcher, or start(), finds. */
typedef struct DatabaseState
{
	Oid			database;
	bool		running;		/* has a worker */
	bool		left;			/* its worker found it stopped */
	bool		paused;
	bool		start;			/* somebody wants it started now */
} DatabaseState;

extern void launcher_attach(void);	/* sets whose latch is set */
extern void launcher_wake(void);	/* any process; never throws */
extern DatabaseState database_state(Oid database);
extern void database_started(Oid database); /* the wish was granted */
extern void database_forget(Oid database);	/* left and start are void */

/* Those that somebody wants started: at most max; returns how many. */
extern int	databases_to_look_at(Oid *databases, int max);

#endif							/* IMP_WORKER_SLOT_H */
