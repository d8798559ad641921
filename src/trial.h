/*
 * trial.h
 *		Planning with care after a crash.
 *
 * For work.c, around each planning, and for the worker's begin and end.
 */
#ifndef IMP_TRIAL_H
#define IMP_TRIAL_H

#include "postgres.h"

#include "work.h"

/*
 * In a transaction, when the worker begins: care is taken if the worker before
 * it ended uncleanly.
 */
extern void trial_begin(void);

/* Whether the next message of the work has brought the worker down too often. */
extern bool trial_condemns(const Work *work);

/* Whether something is to be written down before the work is planned. */
extern bool trial_comes_first(const Work *work);

/* How many of the next size elements are to be planned together. */
extern int	trial_size(const Work *work, int size);

/*
 * Before the next size elements are planned: writes down that they are, if
 * care is taken.  Runs a transaction of its own.  False after an error of the
 * moment: then they must not be planned now.
 */
extern bool trial_write(const Work *work, int size);

/* After that: nothing is being planned any more. */
extern void trial_over(void);

/*
 * All that was there when the worker began has been planned: no more care.
 * False after an error of the moment.
 */
extern bool trial_end(void);

#endif							/* IMP_TRIAL_H */
