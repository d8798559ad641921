/*
 * counters.h
 *		What is counted: answers, outcomes, latencies.
 *
 * The caller says what has happened, once; what is made of it is seen in the
 * view imp_push.metrics.
 */
#ifndef IMP_COUNTERS_H
#define IMP_COUNTERS_H

#include "postgres.h"

#include "push.h"

extern void counters_init(MemoryContext parent);

/* A push has come back, final or not; an outcome is final. */
extern void count_answer(const Push *push);
extern void count_outcome(const Push *push);

/*
 * Adds what has been counted to the tables, in the caller's transaction, as
 * the owner.  If that is rolled back, a second is missing in a statistic.
 */
extern void counters_write(void);

#endif							/* IMP_COUNTERS_H */
