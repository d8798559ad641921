/*
 * push.h
 *		One push on its way: planned by SQL, carried by C, settled by SQL.
 */
#ifndef IMP_PUSH_H
#define IMP_PUSH_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "utils/uuid.h"

#include "cursor.h"

/* Columns of imp_push.planned_push. */
enum PlannedColumn
{
	PLANNED_MESSAGE_ID = 1,
	PLANNED_MSG_ID,
	PLANNED_RECIPIENT,
	PLANNED_DEVICE_ID,
	PLANNED_CERTIFICATE,
	PLANNED_TOKEN,
	PLANNED_PAYLOAD,
	PLANNED_TOPIC,
	PLANNED_PUSH_TYPE,
	PLANNED_PRIORITY,
	PLANNED_EXPIRATION,
	PLANNED_COLLAPSE_ID,
	PLANNED_APNS_ID,
	PLANNED_EXPIRES_AT,
	PLANNED_DETAIL,
	PLANNED_ATTEMPTS,
	PLANNED_WAITING,
	PLANNED_PROBE,
	PLANNED_CREATED_AT,
	PLANNED_END
};

/* A row of imp_push.planned_push, by column. */
typedef struct PlannedRow
{
	Datum		values[PLANNED_END];
	bool		nulls[PLANNED_END];
} PlannedRow;

/* What became of an attempt. */
typedef enum Verdict
{
	VERDICT_NONE = 0,			/* no answer yet */
	VERDICT_SENT,				/* 200 */
	VERDICT_FAILED,				/* final, the token stays */
	VERDICT_TOKEN_DEAD,			/* final, the binding is disabled */
	VERDICT_RETRY,				/* costs an attempt, goes again at due */
	VERDICT_FREE_RETRY			/* costs none: not processed, circuit … */
} Verdict;

/* A message with pushes in flight. */
typedef struct Message
{
	int64		id;
	char	   *msg_id;
	char	   *recipient;
	dlist_head	pushes;			/* those that are not settled */
	int			under_way;		/* of these, those that have no answer */
	Generation *generation;		/* that waits for it; NULL: it has its rows */
	bool		counted;		/* by that generation */
} Message;

typedef struct Push
{
	dlist_node	node;			/* in exactly one list: the queue of its
								 * sender, its lane, or one of settle.c */
	dlist_node	sibling;		/* in its message's list */
	dlist_node	row_node;		/* if waiting: in the list of such */
	Message    *message;

	/* From the plan.  All strings live as long as the Push. */
	char	   *device_id;
	char	   *certificate;
	char	   *token;
	char	   *payload;
	int			payload_length; /* bytes */
	pg_uuid_t	uuid;			/* the apns-id */
	char		apns_id[37];	/* the same, in lower case */
	char	   *topic;
	char	   *push_type;		/* alert, background, voip */
	int			priority;		/* 10 or 5 */
	int64		expiration;		/* epoch seconds */
	char	   *collapse_id;	/* or NULL */
	TimestampTz created_at;		/* of the message */
	TimestampTz expires_at;		/* end of its life */
	TimestampTz decided_at;
	char	   *detail;			/* JSON for the log, or NULL */
	int			attempts;		/* charged before this one */
	bool		waiting;		/* has a row in imp_push.waiting */
	bool		held;			/* has its answer, awaits its siblings' */
	bool		settling;		/* in the batch being settled */
	bool		bare;			/* its outcome could not be stored whole */
	bool		probe;			/* tries an open circuit */

	/* From the transport, set before the push is handed back. */
	Verdict		verdict;
	const char *reason;			/* APNs' or the transport's, static or in the
								 * push's memory; NULL if sent */
	int			apns_status;	/* HTTP status, 0: no answer */
	TimestampTz due;			/* for the two RETRYs */
	int64		unregistered_at;	/* ms since the epoch, from a 410; 0: none */
	TimestampTz answered_at;	/* or ended without an answer */

	/* The transport's own */
	int			resends;		/* sent again on its own account */
	int64		queued_at;		/* by lane_clock() */
	char		reason_text[48];	/* a reason that is not a constant */
} Push;

extern void push_init(MemoryContext parent);

/*
 * Makes a push of a planned row; it belongs to the message of the push before
 * it, if that has the same id.
 */
extern Push *push_from_row(const PlannedRow *row, Generation *generation,
						   Message *previous);

/* The transaction that planned it has been committed. */
extern void push_planned(Push *push);

/* It has a row in imp_push.waiting now. */
extern void push_has_row(Push *push);

/* Each push of the message has a row of some kind: the cursor may pass. */
extern void message_has_rows(Message *message);

/* It will be tried again. */
extern bool push_goes_later(const Push *push);

/* Ends a push, and its message with the last one. */
extern void push_free(Push *push);

/* uuid[]: the apns-ids of those in flight that have a row in waiting. */
extern Datum pushes_with_row(void);

#endif							/* IMP_PUSH_H */
