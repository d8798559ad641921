/*
 * push.h
 *		One push on its way: planned by SQL, carried by C, settled by SQL.
 */
#ifndef IMP_PUSH_PUSH_H
#define IMP_PUSH_PUSH_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "lib/ilist.h"

/* What became of an attempt. */
typedef enum Verdict
{
	VERDICT_NONE = 0,			/* no answer yet */
	VERDICT_SENT,				/* 200 */
	VERDICT_FAILED,				/* final, the token stays */
	VERDICT_TOKEN_DEAD,			/* final, the binding is disabled */
	VERDICT_RETRY,				/* costs an attempt, goes again at due */
	VERDICT_FREE_RETRY			/* costs none: not processed, circuit … */
}			Verdict;

struct Message;

typedef struct Push
{
	dlist_node	node;			/* in exactly one list: the queue of its
								 * sender, its lane, or the settle list */
	dlist_node	sibling;		/* in its message's list */
	struct Message *message;	/* owned by plan.c/settle.c */

	/* From the plan.  All strings live as long as the Push. */
	char	   *device_id;
	char	   *certificate;
	char	   *token;
	char	   *payload;
	int			payload_length; /* bytes */
	char		apns_id[37];	/* lower-case UUID */
	char	   *topic;
	char	   *push_type;		/* alert, background, voip */
	int			priority;		/* 10 or 5 */
	int64		expiration;		/* epoch seconds */
	char	   *collapse_id;	/* or NULL */
	int			attempts;		/* charged before this one */
	bool		waiting;		/* has a row in imp_push.waiting */
	bool		probe;			/* tries an open circuit */

	/* From the transport, set before the push is handed back. */
	Verdict		verdict;
	const char *reason;			/* APNs' or the transport's, static or in the
								 * push's memory; NULL if sent */
	int			apns_status;	/* HTTP status, 0: no answer */
	TimestampTz due;			/* for the two RETRYs */
	int64		unregistered_at;	/* ms since the epoch, from a 410; 0: none */
	TimestampTz answered_at;

	/* The transport's own */
	int			resends;		/* sent again on its own account */
	char		reason_text[48];	/* a reason that is not in the table */
}			Push;

#endif							/* IMP_PUSH_PUSH_H */
