/*
 * plan_messages.h
 *		A first attempt: new messages decided, and what needs no network
 *		written down.
 */
#ifndef IMP_PLAN_MESSAGES_H
#define IMP_PLAN_MESSAGES_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"

/* Is handed the planned pushes, those of a message one after the other. */
typedef void (*PlannedPushTaker) (const PlannedRow *row, void *arg);

/*
 * Plans the messages of a bigint[], in a transaction and connected to SPI.
 * The rows live until SPI_finish().
 */
extern void plan_messages(Datum ids, TimestampTz at, PlannedPushTaker take,
						  void *arg);

#endif							/* IMP_PLAN_MESSAGES_H */
