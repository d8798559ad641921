/*
 * verdict.h
 *		From an answer to what it means for push, connection and certificate.
 */
#ifndef IMP_VERDICT_H
#define IMP_VERDICT_H

#include "sender.h"

/* Settles the requests of a lane that have ended. */
extern void verdict_collect(Sender *sender, Lane *lane, TimestampTz now);

#endif							/* IMP_VERDICT_H */
