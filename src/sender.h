/*
 * sender.h
 *		All that belongs to one certificate in the transport.
 */
#ifndef IMP_SENDER_H
#define IMP_SENDER_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "circuit.h"
#include "guard.h"
#include "lane.h"
#include "push.h"

typedef struct Sender
{
	dlist_node	node;
	char	   *name;			/* of the certificate */
	LaneTarget *target;			/* NULL: the certificate has been removed */
	dlist_head	queue;			/* pushes that wait for room */
	int			queued;
	bool		slow;			/* what is queued waits for long: no more than
								 * a share of the room, see share.c */
	bool		full;			/* has that share: hold back what waits */
	bool		eager;			/* has something to do right now */
	int			under_way;		/* in all its lanes */
	int64		active_at;		/* last push, by lane_clock() */
	dlist_head	lanes;
	Circuit		circuit;
	Guard		guard;

	/* Provider token */
	char	   *refused;		/* authorization that APNs calls expired */
	TimestampTz renew_after;	/* no new token before */

	/* Connections are not opened at any rate */
	double		connect_credit;
	int64		credit_at;

	int			cold_failures;	/* in a row: requests without an answer on
								 * connections that never brought one */
	double		first_window;	/* of a lane after its first answer */
	int64		latency;		/* of answers, smoothed (microseconds) */
	int64		deviation;		/* from that, smoothed */
	uint64		resent;
} Sender;

/* Set by send.c */
typedef struct SenderShared
{
	MemoryContext context;
	dlist_head	all;			/* of the senders */
	dlist_head	answered;		/* pushes that have their verdict */
	int			in_flight;		/* submitted and not yet answered */
	int			under_way;		/* in lanes */
	int			senders;		/* so many */
	uint64		eased;			/* grows when one is not full any more */
	bool		stopping;
} SenderShared;

extern SenderShared sender_shared;

extern Sender *sender_create(const char *name);
extern Sender *sender_find(const char *name);	/* or NULL */

/* Nothing is left of a certificate that has been removed. */
extern bool sender_is_done(const Sender *sender);
extern void sender_free(Sender *sender);

/*
 * Gives a push its verdict; send_next_answered() hands it out.  sender is
 * NULL if there is none for its certificate.
 */
extern void sender_answer(Sender *sender, Push *push, Verdict verdict,
						  const char *reason, TimestampTz due,
						  TimestampTz now);

/* Hands a push back uncharged, with the reason of the open circuit. */
extern void sender_refuse(Sender *sender, Push *push, TimestampTz now);

/*
 * Hands back all that waits, uncharged, with this reason, or the circuit's if
 * it is NULL; probes only if so told.
 */
extern void sender_flush(Sender *sender, const char *reason, bool probes_too,
						 TimestampTz due, TimestampTz now);

/* Queues a push; in front if it has waited before. */
extern void sender_queue(Sender *sender, Push *push, bool in_front);

/* So many cold failures: there is nobody. */
#define COLD_FAILURES 3

/* An answer came over one of its connections; one of them was lost. */
extern void sender_heard(Sender *sender);
extern void sender_lost(Sender *sender, const Lane *lane);

/* Opens the circuit; what waits comes back uncharged. */
extern void sender_open_circuit(Sender *sender, CircuitKind kind,
								const char *reason, const char *detail,
								TimestampTz now);

/* Says that it has closed. */
extern void sender_circuit_closed(Sender *sender);

/* Ends the guard's doubts: all that is held gets this verdict. */
extern void sender_release_held(Sender *sender, Verdict verdict,
								TimestampTz now);

/* Its connections take nothing new. */
extern void sender_drain(Sender *sender);

/* Replaces what new connections are made with; NULL: none are made. */
extern void sender_retarget(Sender *sender, LaneTarget *target);

/* Sends what may be sent, over the lanes there are or new ones. */
extern void sender_pump(Sender *sender, TimestampTz now);

/* Deadlines, stalls, lanes that are done with. */
extern void sender_tick(Sender *sender, TimestampTz now, int64 clock);

/* When it wants to be called (by lane_clock()); -1: never. */
extern int64 sender_next_tick(Sender *sender, TimestampTz now, int64 clock);

/* No new provider token for this team and key before (send.c). */
extern void send_pause_renewal(const Certificate *cert, TimestampTz until);

/* Must this certificate's provider token be renewed, for what waits? */
extern bool sender_needs_token(Sender *sender, TimestampTz now);

#endif							/* IMP_SENDER_H */
