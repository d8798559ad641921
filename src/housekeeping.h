/*
 * housekeeping.h
 *		What the worker tidies up in small steps.
 *
 * For the worker alone, between its transactions; never raises an error.
 */
#ifndef IMP_HOUSEKEEPING_H
#define IMP_HOUSEKEEPING_H

#include "postgres.h"
#include "datatype/timestamp.h"

/* Takes one small step, if it is time; runs a transaction of its own. */
extern void housekeeping(void);

/* There was something to do: the next step need not wait for the poll. */
extern void housekeeping_wanted(void);
extern TimestampTz housekeeping_due(void);

#endif							/* IMP_HOUSEKEEPING_H */
