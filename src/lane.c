/*
 * lane.c
 *		One connection to APNs and the requests under way on it.
 *
 * Owns the table of lanes, the window, and the deadlines.  It must never
 * choose what is sent next nor judge an answer.
 *
 * libcurl makes the connection (lane_connection.c) and nghttp2, which libcurl
 * itself speaks HTTP/2 with, puts the requests on it (lane_http2.c).  Left to
 * libcurl alone, a GOAWAY, a REFUSED_STREAM, a dead connection and a reached
 * stream limit look alike: it sends again, up to five times and in silence, on
 * a connection of its own making, and nobody learns what has been processed.
 * Each request costs several system calls and TLS records, and 7.88.1 resets
 * each stream that has ended, which servers that count resets take for an
 * attack.  Here the requests of a moment share a record, the peer's limit is
 * known, and what it refuses is known to be refused.
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <time.h>

#include "guc.h"
#include "lane.h"
#include "lane_connection.h"
#include "lane_http2.h"

/*
 * So many refused streams in a row, and no answer: there are too many.  The
 * window then does not grow for some time (microseconds).
 */
#define REFUSALS_FEW 5
#define REFUSAL_HOLD (100 * 1000)

/* So many refused streams in a row, and no answer: it takes nothing more. */
#define REFUSALS_MOST 256

/* So many deadlines in a row condemn a connection. */
#define TIMEOUTS_CONDEMN 3

typedef struct LaneTable
{
	MemoryContext context;
	Lane	  **lanes;
	int			size;
	uint64		last_number;
} LaneTable;

static LaneTable table;

void
lane_init(MemoryContext context, int epoll_fd)
{
	table.context = context;
	lane_connection_init(epoll_fd);
	lane_http2_init();
	table.size = 16;
	table.lanes = MemoryContextAllocZero(context,
										 table.size * sizeof(Lane *));
	table.last_number = 0;
}

int64
lane_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---------- opening and closing ---------- */

LaneTarget *
lane_target(Certificate *certificate)
{
	LaneTarget *target = MemoryContextAllocZero(table.context,
												sizeof(LaneTarget));

	target->certificate = certificate;
	target->users = 1;
	return target;
}

void
lane_target_release(LaneTarget *target)
{
	if (--target->users > 0)
		return;
	certificate_free(target->certificate);
	pfree(target);
}

static int
free_slot(void)
{
	int			i;

	for (i = 0; i < table.size; i++)
		if (table.lanes[i] == NULL)
			return i;
	if (table.size * 2 > PG_UINT16_MAX)
		return -1;
	table.lanes = repalloc(table.lanes, 2 * table.size * sizeof(Lane *));
	memset(table.lanes + table.size, 0, table.size * sizeof(Lane *));
	table.size *= 2;
	return table.size / 2;
}

/* Host and port as a request names them: 443 goes without saying. */
static char *
make_authority(const char *origin)
{
	char	   *authority = MemoryContextStrdup(table.context,
												origin + strlen("https://"));
	char	   *port = strrchr(authority, ':');

	if (port != NULL && strcmp(port, ":443") == 0)
		*port = '\0';
	return authority;
}

Lane *
lane_open(struct Sender *sender, LaneTarget *target)
{
	Lane	   *lane;
	int			slot = free_slot();

	if (slot < 0)
		return NULL;
	lane = MemoryContextAllocZero(table.context, sizeof(Lane));
	lane->number = ++table.last_number;
	lane->slot = slot;
	lane->sender = sender;
	lane->target = target;
	if (!lane_connection_open(lane))
	{
		lane_connection_close(lane);
		pfree(lane);
		return NULL;
	}
	lane->authority = make_authority(target->certificate->origin);
	lane->window = 1;
	dlist_init(&lane->under_way);
	dlist_init(&lane->finished);
	lane->opened_at = lane->heard_at = lane->used_at = lane_clock();
	target->users++;
	table.lanes[slot] = lane;
	return lane;
}

void
lane_close(Lane *lane)
{
	Assert(dlist_is_empty(&lane->under_way));
	Assert(dlist_is_empty(&lane->finished));
	lane_http2_end(lane);
	lane_connection_close(lane);
	table.lanes[lane->slot] = NULL;
	lane_target_release(lane->target);
	pfree(lane->authority);
	pfree(lane);
}

/* ---------- requests ---------- */

void
lane_start(Lane *lane, Push *push)
{
	Certificate *certificate = lane->target->certificate;
	Request    *request = request_create(table.context, lane, push,
										 certificate->team_id != NULL ?
										 certificate->authorization : NULL);

	request->started_at = lane->used_at = lane_clock();
	dlist_push_tail(&lane->under_way, &request->node);
	lane->in_flight++;
	lane->full = lane->in_flight >= lane->window;
	if (lane->established)
		lane_http2_submit(lane, request);
	else
		lane_connection_drive(lane, CURL_SOCKET_TIMEOUT, 0);
}

void
lane_flush(void)
{
	for (int i = 0; i < table.size; i++)
		if (table.lanes[i] != NULL && table.lanes[i]->unflushed > 0)
			lane_http2_flush(table.lanes[i]);
}

void
lane_end(Lane *lane, Request *request, CURLcode code)
{
	Assert(lane->in_flight > 0);
	if (request->status < 200)
		request->status = 0;
	request->code = code;
	dlist_delete(&request->node);
	dlist_push_tail(&lane->finished, &request->node);
	lane->in_flight--;
}

void
lane_lost(Lane *lane, CURLcode code)
{
	lane->broken = lane->state != LANE_DRAINING;
	lane->state = LANE_DRAINING;
	lane->dead = true;
	while (!dlist_is_empty(&lane->under_way))
		lane_end(lane,
				 dlist_head_element(Request, node, &lane->under_way), code);
}

Request *
lane_finished(Lane *lane)
{
	if (dlist_is_empty(&lane->finished))
		return NULL;
	return dlist_container(Request, node,
						   dlist_pop_head_node(&lane->finished));
}

/* ---------- events and deadlines ---------- */

Lane *
lane_event(uint64 tag, uint32 events)
{
	int			slot = lane_connection_slot(tag);
	Lane	   *lane = slot < table.size ? table.lanes[slot] : NULL;
	LaneSocket *s = lane != NULL ? lane_connection_socket(lane, tag) : NULL;

	if (s == NULL || lane->dead)
		return lane;
	if (!lane->established)
	{
		lane_connection_drive(lane, s->fd,
							  ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
							  ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
							  ((events & (EPOLLERR | EPOLLHUP)) ?
							   CURL_CSELECT_ERR : 0));
		return lane;
	}
	if (events & EPOLLOUT)
		lane->unflushed++;
	if (events & ~EPOLLOUT)
		lane_http2_receive(lane);
	return lane;
}

static int64
oldest_deadline(const Lane *lane)
{
	const Request *request;

	if (dlist_is_empty((dlist_head *) &lane->under_way))
		return -1;
	request = dlist_head_element(Request, node,
								 (dlist_head *) &lane->under_way);
	return request->started_at + (int64) imp_request_timeout * 1000;
}

void
lane_tick(Lane *lane, int64 clock)
{
	int64		deadline;

	if (lane->timer_at >= 0 && lane->timer_at <= clock)
	{
		lane->timer_at = -1;
		if (lane->established)
			lane_http2_receive(lane);
		else if (!lane->dead)
			lane_connection_drive(lane, CURL_SOCKET_TIMEOUT, 0);
	}

	while ((deadline = oldest_deadline(lane)) >= 0 && deadline <= clock)
	{
		Request    *request;

		request = dlist_head_element(Request, node, &lane->under_way);
		lane_http2_cancel(lane, request);
		lane_end(lane, request, CURLE_OPERATION_TIMEDOUT);
		if (request->status == 0)
			lane->timeouts++;
	}
	if (lane->timeouts >= TIMEOUTS_CONDEMN ||
		(lane->timeouts > 0 && lane->answers == 0) ||
		(lane->trust_until != 0 && lane->trust_until <= clock))
		lane_condemn(lane);
}

int64
lane_next_tick(const Lane *lane)
{
	int64		next = lane->timer_at;
	int64		deadline = oldest_deadline(lane);

	/* Whoever flushes does not look at what has ended, or at a lost lane. */
	if (!dlist_is_empty((dlist_head *) &lane->finished) || lane->dead)
		return 0;
	if (deadline >= 0 && (next < 0 || deadline < next))
		next = deadline;
	if (lane->trust_until != 0 && (next < 0 || lane->trust_until < next))
		next = lane->trust_until;
	return next;
}

/* ---------- the window ---------- */

/*
 * After its first answer a lane may carry first_window, then, as long as it is
 * filled, one more with each answer, which doubles it in a round trip.  It
 * grows by one in a round trip where streams have been refused, or where
 * first_window says that connections do not live long.  (Whether it was filled
 * has to be known from when the last request was started: answers come
 * together, and by the first of them all of these have made room.)
 */
static void
grow(Lane *lane, bool slowly)
{
	if (slowly && ++lane->grown < lane->window)
		return;
	lane->grown = 0;
	lane->window++;
}

void
lane_answered(Lane *lane, bool accepted, int first_window)
{
	int64		clock = lane_clock();

	lane->answers++;
	lane->heard_at = lane->used_at = clock;
	lane->timeouts = 0;
	lane->trust_until = 0;
	lane->silent = false;
	lane->refusals = 0;
	if (lane->state == LANE_COLD)
	{
		lane->state = LANE_WARM;
		lane->window = first_window;
	}
	else if (accepted && lane->full &&
			 clock >= lane->shrunk_at + REFUSAL_HOLD)
		grow(lane, lane->shrunk_at != 0 || first_window < LANE_FIRST_WINDOW);
}

void
lane_slow_down(Lane *lane, int window)
{
	lane->window = Min(lane->window, window);
	lane->full = false;
}

/*
 * One stream may be refused for reasons of its own.  But if several are, the
 * peer takes no more than there are, whatever limit it has told: those that it
 * has not answered, or, where it has answered meanwhile, half of the window.
 * What was started before the window shrank says nothing new.  A peer that has
 * never answered is not worth another try.
 */
void
lane_refused(Lane *lane, const Request *request)
{
	int64		clock = lane_clock();

	if (request->started_at < lane->shrunk_at)
		return;
	if (lane->answers == 0 || ++lane->refusals > REFUSALS_MOST)
		lane->state = LANE_DRAINING;
	if (lane->refusals < REFUSALS_FEW ||
		clock < lane->shrunk_at + REFUSAL_HOLD)
		return;
	lane_slow_down(lane, Max(Max(lane->in_flight, lane->window / 2), 1));
	lane->shrunk_at = clock;
}

bool
lane_has_room(const Lane *lane)
{
	return lane->state != LANE_DRAINING && !lane->dead &&
		lane->in_flight < lane->window &&
		lane->in_flight < lane_http2_streams(lane);
}

void
lane_condemn(Lane *lane)
{
	lane_connection_cut(lane);
	lane->state = LANE_DRAINING;
	lane->trust_until = 0;
	lane_lost(lane, CURLE_RECV_ERROR);
}
