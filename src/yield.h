/*
 * yield.h
 *		When others are to have the processors first.
 */
#ifndef IMP_YIELD_H
#define IMP_YIELD_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"

/* A new message's push has been planned. */
extern void yield_planned(const Push *push);

/*
 * After each look for new messages, which began and ended then: begins a rest,
 * or none.  more: it has not found all there is.
 */
extern void yield_after(bool more, TimestampTz began, TimestampTz ended);

/* The end of the rest, or now. */
extern TimestampTz yield_until(TimestampTz now);

#endif							/* IMP_YIELD_H */
