/*
 * settle.h
 *		From answers in memory to outcomes in the tables.
 */
#ifndef IMP_SETTLE_H
#define IMP_SETTLE_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"

extern void settle_init(MemoryContext parent);

/* Takes a push that has its verdict. */
extern void settle_add(Push *push);

extern int	settle_pending(void);

/*
 * When settle_run() should be called; DT_NOEND: not before settle_add().
 * more_to_come: answers are awaited, which may share the commit.
 */
extern TimestampTz settle_due(bool more_to_come);

/*
 * Writes down what has been added, and the cursor if it has moved.  What might
 * wait for its siblings' answers is left out, unless all is to go.  Runs
 * transactions of its own.  Returns false after an error of the moment: then
 * everything is still there, and settle_due() says when to try again.  If the
 * extension is gone, so is what has been added.
 */
extern bool settle_run(bool all);

#endif							/* IMP_SETTLE_H */
