/*
 * work.h
 *		From a page of work to pushes in the transport.
 */
#ifndef IMP_WORK_H
#define IMP_WORK_H

#include "postgres.h"

#include "cursor.h"
#include "push.h"

/*
 * What is to be planned: new messages by id, or waiting pushes by their key.
 * Everything before next is done.
 */
typedef struct Work
{
	Generation *generation;		/* of new messages; NULL: waiting pushes */
	bool		probe;			/* tries an open circuit */
	bool		begun;			/* the transaction that read it is open */
	int			count;
	int			next;
	Datum	   *message_ids;
	Datum	   *device_ids;
	Datum	   *certificates;
} Work;

/*
 * Plans the next max (> 0) elements, a slice a transaction, and hands over the
 * pushes of each slice after its commit.  A slice that raises an error is
 * halved, down to the one that is at fault, which ends as failed.  work->next
 * says how far it came; false: no further, for an error was of the moment.
 */
extern bool work_plan(Work *work, int max, void (*submit) (Push *push));

#endif							/* IMP_WORK_H */
