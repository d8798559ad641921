/*
 * status.h
 *		What the worker tells the world: imp_push.worker_state and the log.
 *
 * What stands here is shown to people and logged: never a token or a text.
 */
#ifndef IMP_STATUS_H
#define IMP_STATUS_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"
#include "session.h"

typedef enum WorkerState
{
	WORKER_IDLE,
	WORKER_WORKING,
	WORKER_STOPPED,
	WORKER_DISABLED,
	WORKER_WAITING_FOR_ROLE,
	WORKER_UNKNOWN_VERSION
} WorkerState;

extern void status_init(MemoryContext parent);

extern void status_state(WorkerState state);
extern bool status_waits_for_role(void);	/* since an error said so */
extern void status_pass(void);	/* looked for work */
extern void status_planned(uint64 messages);
extern void status_outcome(const Push *push);	/* a final one */

/*
 * Remembers and logs an error; message is NULL where it could quote data.
 * The same error is logged once a minute.
 */
extern void status_error(const char *doing, int sqlstate, const char *message);

/* Begins a transaction, or says in the status why that cannot be. */
extern SessionState status_begin(SessionRole role);

/* When status_write() has something to write; DT_NOEND: nothing. */
extern TimestampTz status_due(void);
extern bool status_write(void); /* false after an error of the moment */

#endif							/* IMP_STATUS_H */
