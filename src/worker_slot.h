/*
 * worker_slot.h
 *		Shared memory: one slot a worker.
 *
 * Without shared_preload_libraries there is none: worker_slots_present() is
 * false, every inserting commit notifies, and the functions below do nothing.
 */
#ifndef IMP_WORKER_SLOT_H
#define IMP_WORKER_SLOT_H

#include "postgres.h"

/* Requests shared memory and installs the hooks; from _PG_init, preloading. */
extern void worker_slots_request(void);

extern bool worker_slots_present(void);

/* The worker's side: claim a slot for MyDatabaseId; freed at process exit. */
extern void worker_slot_claim(void);

/*
 * Arms the slot: from here on a commit of new work sets our latch.  Followed
 * by a full barrier; the caller must look for work once more, with a new
 * snapshot, before it waits.
 */
extern void worker_slot_arm(void);
extern void worker_slot_disarm(void);

/* The worker leaves because the database is stopped (see launcher.c). */
extern void worker_slot_leave(void);

#endif							/* IMP_WORKER_SLOT_H */
