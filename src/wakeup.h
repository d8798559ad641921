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

/* Registers the transaction callbacks; once, from _PG_init. */
extern void wakeup_init(void);

#endif							/* IMP_WAKEUP_H */
