/*
 * plan.h
 *		From work in the tables to pushes in the transport.
 */
#ifndef IMP_PLAN_H
#define IMP_PLAN_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "push.h"

/* What a look at the tables found. */
typedef enum PlanResult
{
	PLAN_NOTHING,				/* no work that could be done now */
	PLAN_SOME,					/* all there was */
	PLAN_MORE,					/* there may be more: look again */
	PLAN_NOT_STARTED,			/* the database is stopped */
	PLAN_FAILED					/* an error of the moment; try again later */
} PlanResult;

extern void plan_init(MemoryContext parent);

/* Begins anew: what was being planned is forgotten. */
extern void plan_forget(void);

/* PLAN_NOTHING, or PLAN_NOT_STARTED, or PLAN_FAILED. */
extern PlanResult plan_started(void);

/*
 * Plans at most max (> 0) new messages, of those that it has read ahead, and
 * hands the pushes to submit().  Runs transactions of its own.
 */
extern PlanResult plan_new(int max, void (*submit) (Push *push));

/* The same for waiting pushes that are due. */
extern PlanResult plan_due(int max, void (*submit) (Push *push));

/*
 * For each of these certificates one waiting push to try its open circuit with;
 * where none waits that could be it, the transport knows then.
 */
extern PlanResult plan_probes(const char **certificates, int n,
							  void (*submit) (Push *push));

/* When plan_due() will have something to do; DT_NOEND: not foreseeable. */
extern TimestampTz plan_next_due(void);
extern void plan_due_changed(TimestampTz due);	/* something waits until */

#endif							/* IMP_PLAN_H */
