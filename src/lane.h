/*
 * lane.h
 *		A connection to APNs and the requests under way on it.
 *
 * A lane is one libcurl multi handle with one connection, which lives and
 * dies with it: a lane whose connection takes no more requests is replaced by
 * another lane.  See lane.c for why.
 */
#ifndef IMP_LANE_H
#define IMP_LANE_H

#include "postgres.h"
#include "lib/ilist.h"

#include <curl/curl.h>

#include "certificate.h"
#include "request.h"

/* Addresses that libcurl tries at a time, its resolver's, and some to spare */
#define LANE_SOCKETS 8

typedef enum LaneState
{
	LANE_COLD,					/* no answer yet: one request at a time */
	LANE_WARM,
	LANE_DRAINING				/* finishes what it carries, takes nothing */
} LaneState;

/* What a connection is made with: shared by the lanes of one certificate. */
typedef struct LaneTarget
{
	Certificate *certificate;	/* owned; freed with the last user */
	int			users;			/* lanes, and the sender while it is current */
} LaneTarget;

typedef struct LaneSocket
{
	curl_socket_t fd;
	uint32		events;			/* as the epoll descriptor has them */
	bool		ours;			/* opened by us, not by libcurl's resolver */
} LaneSocket;

typedef struct Lane
{
	dlist_node	node;			/* in its sender's list */
	uint64		number;			/* never used twice */
	int			slot;			/* in the table of lanes */
	struct Sender *sender;		/* whose it is */
	LaneTarget *target;
	char	   *ca_file;		/* NULL: the system's */
	CURLM	   *multi;
	LaneState	state;
	bool		established;	/* the connection is made and speaks HTTP/2 */
	bool		dead;			/* the connection is gone */
	bool		started;		/* has started a push since lane_flush() */
	bool		corked;			/* the kernel collects what is written */

	LaneSocket	sockets[LANE_SOCKETS];
	int			socket_count;
	int64		timer_at;		/* libcurl wants to be called; -1: never */
	int64		look_at;		/* old requests are looked at */

	dlist_head	under_way;		/* requests, oldest first */
	int			in_flight;
	dlist_head	finished;

	/* The window */
	int			window;			/* requests that it may carry now */
	bool		blocked;		/* the peer takes no more until it answers */
	int			refusals;		/* starts refused since one succeeded */
	int64		refused_at;		/* the last of them */
	int64		grow_at;		/* no larger window before */

	/* Trust */
	int64		opened_at;
	int64		heard_at;		/* last answer, or when it was opened */
	int64		used_at;		/* last start or answer */
	int64		trust_until;	/* must have answered by then; 0: no matter */
	int			answers;
	int			timeouts;		/* in a row, without an answer between */
	bool		silent;			/* drained for want of answers */
} Lane;

/* Once: the table of lanes, and the epoll descriptor they register with. */
extern void lane_init(MemoryContext context, int epoll_fd);

/* Microseconds that only ever grow. */
extern int64 lane_clock(void);

extern LaneTarget *lane_target(Certificate *certificate);
extern void lane_target_release(LaneTarget *target);

/* NULL if libcurl has no memory. */
extern Lane *lane_open(struct Sender *sender, LaneTarget *target);

/* Closes the connection; what was under way must have been taken out. */
extern void lane_close(Lane *lane);

/*
 * Starts a push: when this returns it has been written, if the connection is
 * made and has room.  The first is on its way at once, those that follow it
 * may leave together, at lane_flush().  False if libcurl cannot, for want of
 * memory.
 */
extern bool lane_start(Lane *lane, Push *push);
extern void lane_flush(void);	/* all lanes */

/*
 * Moves data: lane_event() for a tag from the epoll descriptor (returns the
 * lane, or NULL if it is gone), lane_tick() when libcurl's timer or a
 * deadline has come.
 */
extern Lane *lane_event(uint64 tag, uint32 events);
extern void lane_tick(Lane *lane, int64 clock);
extern int64 lane_next_tick(const Lane *lane);	/* -1: never */

/* A request that has ended, taken out of the lane, or NULL. */
extern Request *lane_finished(Lane *lane);

/* No larger window than this, for a start. */
extern void lane_slow_down(Lane *lane, int window);

/* The window: what the owner has learned from a request that ended. */
extern void lane_answered(Lane *lane, bool accepted, int first_window);
extern void lane_refused(Lane *lane);	/* the peer took no more streams */
extern bool lane_has_room(const Lane *lane);

/* Its connection is not trusted any more: what it carries ends now. */
extern void lane_condemn(Lane *lane);

#endif							/* IMP_LANE_H */
