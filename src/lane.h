/*
 * lane.h
 *		A connection to APNs and the requests under way on it.
 *
 * A lane is one connection and lives and dies with it: a lane that takes no
 * more requests is replaced by another lane.  See lane.c for why it is made
 * of libcurl and nghttp2.
 */
#ifndef IMP_LANE_H
#define IMP_LANE_H

#include "postgres.h"
#include "lib/ilist.h"

#include <curl/curl.h>
#include <nghttp2/nghttp2.h>

#include "certificate.h"
#include "request.h"

/* Bytes that libcurl hands over at a time: a TLS record */
#define LANE_READ_SIZE 16384

/* Addresses that libcurl tries at a time, its resolver's, and some to spare */
#define LANE_SOCKETS 8

/* The window after the first answer, where nothing speaks against it */
#define LANE_FIRST_WINDOW 64

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
	LaneState	state;
	bool		established;	/* the connection is made and speaks HTTP/2 */
	bool		dead;			/* the connection is gone */
	bool		broken;			/* and it took requests until then */

	/* The connection (lane_connection.c) */
	CURLM	   *multi;
	CURL	   *easy;
	LaneSocket	sockets[LANE_SOCKETS];
	int			socket_count;
	int64		timer_at;		/* wants to be called; -1: never */
	char		error[CURL_ERROR_SIZE];

	/* What is spoken over it (lane_http2.c) */
	nghttp2_session *session;	/* NULL before the connection is made */
	char	   *authority;
	char	   *out;			/* frames to be written */
	size_t		out_begin;
	size_t		out_end;
	int			unflushed;		/* submitted, or read, since lane_flush() */

	dlist_head	under_way;		/* requests, oldest first */
	int			in_flight;
	dlist_head	finished;

	/* The window */
	int			window;			/* requests that it may carry now */
	bool		full;			/* the last one that was started filled it */
	int			grown;			/* answers towards one more, if slowly */
	int			refusals;		/* streams refused since the last answer */
	int64		shrunk_at;		/* for too many refusals; 0: never */

	/* Trust */
	int64		opened_at;
	int64		heard_at;		/* last answer, or when it was made */
	int64		used_at;		/* last start or answer */
	int64		trust_time;		/* must answer what is to be written within */
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
 * Starts a push.  Once the connection is made it is written at lane_flush(),
 * or before that if there are many.
 */
extern void lane_start(Lane *lane, Push *push);
extern void lane_flush(void);	/* all lanes */

/*
 * Moves data: lane_event() for a tag from the epoll descriptor (returns the
 * lane, or NULL if it is gone), lane_tick() when a deadline has come.
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
extern void lane_refused(Lane *lane, const Request *request);	/* by the peer */
extern bool lane_has_room(const Lane *lane);

/* Its connection is not trusted any more: what it carries ends now. */
extern void lane_condemn(Lane *lane);

/* ---------- between the lane's own files ---------- */

/* A request has ended: from those under way to those that are finished. */
extern void lane_end(Lane *lane, Request *request, CURLcode code);

/* The connection is gone, and with it all that is under way. */
extern void lane_lost(Lane *lane, CURLcode code);

#endif							/* IMP_LANE_H */
