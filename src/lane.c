/*
 * lane.c
 *		One connection to APNs and the requests under way on it.
 *
 * Owns the multi handles, the window, and the deadlines; the sockets, which
 * we open and close ourselves so that a connection can be condemned with
 * shutdown(), are lane_socket.c's.  It must never choose what is sent next nor
 * judge an answer, and its callbacks must neither allocate from PostgreSQL nor
 * raise an error: libcurl's frames are on the stack.
 *
 * Left alone, libcurl answers a GOAWAY, a REFUSED_STREAM, a dead connection
 * and a reached stream limit alike: it opens another connection and sends
 * there, up to five times, in silence, and all at once, although a new
 * connection to APNs has to begin with one request.  So a lane gives libcurl
 * exactly one connection: once that is made, the callback that opens sockets
 * refuses.  The transfer then ends with CURLE_COULDNT_CONNECT, at once and
 * without any traffic, and the push is ours again.  If it had not been sent
 * (sent is false), the peer takes no more streams at the moment; if it had
 * been, this is what libcurl would have sent again.  The multi handle's
 * address cache never expires, so that refusing does not ask the resolver;
 * each lane is a multi handle of its own, and looks the name up afresh.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "guc.h"
#include "lane.h"
#include "lane_socket.h"

/* A reached stream limit is tried again after this time (microseconds). */
#define LIMIT_HOLD (100 * 1000)

/* So many deadlines in a row condemn a connection. */
#define TIMEOUTS_CONDEMN 3

/*
 * If the server answers before it has read the body, 7.88.1 does not notice
 * the end of some streams.  So requests are looked at every so often, and end
 * once their status has come: at once if it is 200, which has no body, others
 * when the rest has had some time to come as well (microseconds).
 */
#define LOOK_EVERY (100 * 1000)
#define BODY_GRACE (500 * 1000)

typedef struct LaneTable
{
	MemoryContext context;
	Lane	  **lanes;
	int			size;
	uint64		last_number;
} LaneTable;

static LaneTable table;

static void lane_end(Lane *lane, Request *request, CURLcode code);

void
lane_init(MemoryContext context, int epoll_fd)
{
	table.context = context;
	lane_socket_init(epoll_fd);
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

/* CURLMOPT_TIMERFUNCTION */
static int
on_timer(CURLM *multi, long timeout_ms, void *lane_pointer)
{
	Lane	   *lane = lane_pointer;

	lane->timer_at = timeout_ms < 0 ? -1 :
		lane_clock() + (int64) timeout_ms * 1000;
	return 0;
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

Lane *
lane_open(struct Sender *sender, LaneTarget *target)
{
	CURLM	   *multi;
	Lane	   *lane;
	int			slot = free_slot();

	if (slot < 0)
		return NULL;
	lane = MemoryContextAllocZero(table.context, sizeof(Lane));
	multi = curl_multi_init();

	/*
	 * The stream cap is libcurl's own, 100 by default: ours is the window.
	 * MAX_HOST_CONNECTIONS has to leave room for a second connection, or
	 * transfers would wait inside libcurl instead of being refused by
	 * lane_on_open().
	 */
	if (multi == NULL ||
		curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
						  lane_on_socket) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, lane) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
						  on_timer) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, lane) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
						  1000000L) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
						  2L) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_PIPELINING,
						  (long) CURLPIPE_MULTIPLEX) != CURLM_OK)
	{
		if (multi != NULL)
			curl_multi_cleanup(multi);
		pfree(lane);
		return NULL;
	}

	lane->number = ++table.last_number;
	lane->slot = slot;
	lane->sender = sender;
	lane->target = target;
	if (imp_ca_file[0] != '\0')
		lane->ca_file = MemoryContextStrdup(table.context, imp_ca_file);
	lane->multi = multi;
	lane->timer_at = -1;
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
	curl_multi_cleanup(lane->multi);
	table.lanes[lane->slot] = NULL;
	lane_target_release(lane->target);
	if (lane->ca_file != NULL)
		pfree(lane->ca_file);
	pfree(lane);
}

/* ---------- requests ---------- */

/* CURLOPT_PREREQFUNCTION: the connection is made, nothing has been sent. */
static int
on_connected(void *request_pointer, char *remote_ip, char *local_ip,
			 int remote_port, int local_port)
{
	Request    *request = request_pointer;

	if (!request->lane->established)
	{
		if (!request_speaks_http2(request))
		{
			request->wrong_protocol = true;
			return CURL_PREREQFUNC_ABORT;
		}
		request->lane->established = true;
	}
	request->sent = true;
	return CURL_PREREQFUNC_OK;
}

/* The options that stay the same as long as a request stays with a lane. */
static bool
adopt_request(Lane *lane, Request *request)
{
	CURL	   *easy = request->easy;

	if (!request_set_target(request, lane->ca_file,
							lane->target->certificate->client_certificate,
							lane->target->certificate->client_key))
		return false;
	if (curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION,
						 on_connected) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_PREREQDATA, request) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION,
						 lane_on_open) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA,
						 request) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
						 lane_on_close) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, lane) != CURLE_OK)
		return false;
	request->lane_number = lane->number;
	return true;
}

/* Takes the transfers that have ended out of the multi handle. */
static void
collect(Lane *lane)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(lane->multi, &left)) != NULL)
	{
		char	   *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
							  &request) == CURLE_OK && request != NULL)
			lane_end(lane, (Request *) request, message->data.result);
	}
}

/*
 * Lets libcurl work.  Until the connection is made that may start a thread,
 * the resolver's, which inherits our signal mask and must not run
 * PostgreSQL's handlers.
 */
static void
drive(Lane *lane, curl_socket_t fd, int what)
{
	sigset_t	all;
	sigset_t	before;
	int			running;
	bool		threads = !lane->established;

	if (threads)
	{
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
	}
	if (fd == CURL_SOCKET_TIMEOUT)
		lane->timer_at = -1;
	if (curl_multi_socket_action(lane->multi, fd, what,
								 &running) != CURLM_OK)
		lane->dead = true;
	if (threads)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	collect(lane);
}

/*
 * libcurl writes each frame by itself, which is a packet each, and each packet
 * is work for the kernel on both sides.  So those of a burst are collected.
 */
static void
gather(Lane *lane)
{
	if (lane->started && !lane->corked && lane->established)
	{
		lane->corked = true;
		lane_socket_cork(lane, true);
	}
	lane->started = true;
}

void
lane_flush(void)
{
	for (int i = 0; i < table.size; i++)
	{
		Lane	   *lane = table.lanes[i];

		if (lane == NULL)
			continue;
		if (lane->corked)
			lane_socket_cork(lane, false);
		lane->started = lane->corked = false;
	}
}

bool
lane_start(Lane *lane, Push *push)
{
	Certificate *certificate = lane->target->certificate;
	Request    *request = request_get(table.context);
	int64		clock = lane_clock();

	if (request == NULL)
		return false;
	request->lane = lane;
	if ((request->lane_number != lane->number &&
		 !adopt_request(lane, request)) ||
		!request_fill(request, push, certificate->origin,
					  certificate->team_id != NULL ?
					  certificate->authorization : NULL) ||
		curl_easy_setopt(request->easy, CURLOPT_CONNECTTIMEOUT_MS,
						 lane->established ? 0L :
						 (long) imp_connect_timeout) != CURLE_OK ||
		curl_multi_add_handle(lane->multi, request->easy) != CURLM_OK)
	{
		request->lane_number = 0;
		request_put(request);
		return false;
	}

	request->started_at = clock;
	lane->used_at = clock;
	if (lane->in_flight == 0)
		lane->look_at = clock + LOOK_EVERY;
	dlist_push_tail(&lane->under_way, &request->node);
	lane->in_flight++;
	gather(lane);
	drive(lane, CURL_SOCKET_TIMEOUT, 0);
	if (request->sent)
		lane->refusals = 0;
	return true;
}

/* Moves a request from those under way to those that have ended. */
static void
lane_end(Lane *lane, Request *request, CURLcode code)
{
	long		status = 0;

	if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE,
						  &status) != CURLE_OK || status < 200)
		status = 0;
	curl_multi_remove_handle(lane->multi, request->easy);
	request->code = code;
	request->status = (int) status;
	dlist_delete(&request->node);
	dlist_push_tail(&lane->finished, &request->node);
	lane->in_flight--;
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
	int			slot = (tag >> 32) & 0xffff;
	curl_socket_t fd = (int) (uint32) tag;
	Lane	   *lane = slot < table.size ? table.lanes[slot] : NULL;
	LaneSocket *s;

	if (lane == NULL || (lane->number & 0xffff) != tag >> 48)
		return NULL;
	s = lane_find_socket(lane, fd);
	if (s == NULL)
		return lane;
	if (s->events == EPOLLRDHUP)
	{
		lane->dead = true;
		return lane;
	}
	drive(lane, fd,
		  ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
		  ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
		  ((events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0));
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

/* Ends the old requests whose status has come, whatever libcurl thinks. */
static void
end_answered(Lane *lane, int64 clock)
{
	dlist_mutable_iter iter;

	lane->look_at = clock + LOOK_EVERY;
	dlist_foreach_modify(iter, &lane->under_way)
	{
		Request    *request = dlist_container(Request, node, iter.cur);
		long		status = 0;

		if (clock - request->started_at < LOOK_EVERY)
			break;
		if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE,
							  &status) != CURLE_OK || status < 200)
			continue;
		if (request->status_seen_at == 0)
			request->status_seen_at = clock;
		if (status == 200 || clock - request->status_seen_at >= BODY_GRACE)
			lane_end(lane, request, CURLE_OK);
	}
}

void
lane_tick(Lane *lane, int64 clock)
{
	int64		deadline;

	if (lane->look_at <= clock)
		end_answered(lane, clock);
	if (lane->timer_at >= 0 && lane->timer_at <= clock)
		drive(lane, CURL_SOCKET_TIMEOUT, 0);

	while ((deadline = oldest_deadline(lane)) >= 0 && deadline <= clock)
	{
		Request    *request;

		request = dlist_head_element(Request, node, &lane->under_way);
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

	if (deadline >= 0)
	{
		deadline = Min(deadline, lane->look_at);
		if (next < 0 || deadline < next)
			next = deadline;
	}
	if (lane->trust_until != 0 && (next < 0 || lane->trust_until < next))
		next = lane->trust_until;
	return next;
}

/* ---------- the window ---------- */

/*
 * After its first answer a lane may carry first_window, then one more with
 * each answer that finds the window full.
 */
void
lane_answered(Lane *lane, bool accepted, int first_window)
{
	int64		clock = lane_clock();

	lane->answers++;
	lane->heard_at = lane->used_at = clock;
	lane->timeouts = 0;
	lane->trust_until = 0;
	lane->silent = false;
	lane->blocked = false;
	if (lane->state == LANE_COLD)
	{
		lane->state = LANE_WARM;
		lane->window = first_window;
	}
	else if (accepted && lane->in_flight + 1 >= lane->window &&
			 clock >= lane->grow_at)
		lane->window++;
}

void
lane_slow_down(Lane *lane, int window)
{
	lane->window = Min(lane->window, window);
}

void
lane_refused(Lane *lane)
{
	lane->refusals++;
	lane->refused_at = lane_clock();
	if (lane->in_flight == 0 || lane->refusals > 1)
	{
		lane->state = LANE_DRAINING;
		return;
	}
	lane->blocked = true;
	lane->window = lane->in_flight;
	lane->grow_at = lane->refused_at + LIMIT_HOLD;
}

bool
lane_has_room(const Lane *lane)
{
	return lane->state != LANE_DRAINING && !lane->dead && !lane->blocked &&
		lane->in_flight < lane->window;
}

void
lane_condemn(Lane *lane)
{
	int			i;

	lane->state = LANE_DRAINING;
	lane->trust_until = 0;
	for (i = 0; i < lane->socket_count; i++)
		if (lane->sockets[i].ours)
			shutdown(lane->sockets[i].fd, SHUT_RDWR);
	while (!dlist_is_empty(&lane->under_way))
		lane_end(lane,
				 dlist_head_element(Request, node, &lane->under_way),
				 CURLE_RECV_ERROR);
	lane->dead = true;
}
