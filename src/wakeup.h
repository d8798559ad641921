/*
 * wakeup.h
 *		From a committing backend to a sleeping worker.
 *
 * wakeup_request() marks the current transaction as one that has work for the
 * worker; the transaction callbacks do the rest (see wakeup.c for the
 * protocol and its proof).
 */
#ifndef IMP_WAKEUP_H
#define IMP_WAKEUP_H

#include "postgres.h"

/* Any backend, inside a transaction: the commit wakes the worker. */
extern void wakeup_request(void);

/*
 * The same for what the worker hears of by an invalidation: these are sent
 * after XACT_EVENT_COMMIT, so that the latch alone may come too early, and
 * before the notification is signalled.
 */
extern void wakeup_request_by_notify(void);

/* Registers the transaction callbacks; once, from _PG_init. */
extern void wakeup_init(void);

#endif							/* IMP_WAKEUP_H */
