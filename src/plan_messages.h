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
 * Those that the snapshot does not see are left out: what has got the id of a
 * message that is gone will be read again.  NULL: none is left out.  The rows
 * live until SPI_finish().
 */
extern void plan_messages(Datum ids, const char *snapshot, TimestampTz at,
						  PlannedPushTaker take, void *arg);

#endif							/* IMP_PLAN_MESSAGES_H */
