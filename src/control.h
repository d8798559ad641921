/*
 * control.h
 *		start() and stop(): the part that SQL cannot do.
 *
 * The rest is called by SQL: see control.c.
 */
#ifndef IMP_CONTROL_H
#define IMP_CONTROL_H

#include "postgres.h"

/* Registers the transaction callback; once, from _PG_init. */
extern void control_init(void);

#endif							/* IMP_CONTROL_H */
