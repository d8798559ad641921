/*
 * lane_socket.c
 *		The sockets of a lane, which are ours and not libcurl's.
 *
 * Owns opening, closing and the registration with the one epoll descriptor.
 * Called by libcurl: must neither allocate from PostgreSQL nor raise an error.
 */
#include "postgres.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lane.h"
#include "lane_socket.h"

/* Data that nobody acknowledges for so long kills a connection (ms). */
#define USER_TIMEOUT 15000

static int	epoll_fd = -1;

void
lane_socket_init(int fd)
{
	epoll_fd = fd;
}

LaneSocket *
lane_find_socket(Lane *lane, curl_socket_t fd)
{
	int			i;

	for (i = 0; i < lane->socket_count; i++)
		if (lane->sockets[i].fd == fd)
			return &lane->sockets[i];
	return NULL;
}

static LaneSocket *
add_socket(Lane *lane, curl_socket_t fd, bool ours)
{
	LaneSocket *s;

	if (lane->socket_count >= LANE_SOCKETS)
		return NULL;
	s = &lane->sockets[lane->socket_count++];
	s->fd = fd;
	s->events = 0;
	s->ours = ours;
	return s;
}

static void
forget_socket(Lane *lane, LaneSocket *s)
{
	*s = lane->sockets[--lane->socket_count];
}

/* Makes the epoll descriptor watch a socket for these events; 0: not. */
static bool
watch_socket(Lane *lane, LaneSocket *s, uint32 events)
{
	struct epoll_event event;
	int			op;

	if (events == s->events)
		return true;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else
		op = s->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	event.events = events;
	event.data.u64 = ((uint64) (lane->number & 0xffff) << 48) |
		((uint64) lane->slot << 32) | (uint32) s->fd;
	s->events = events;
	return epoll_ctl(epoll_fd, op, s->fd, &event) == 0;
}

/* CURLMOPT_SOCKETFUNCTION */
int
lane_on_socket(CURL *easy, curl_socket_t fd, int what, void *lane_pointer,
			   void *unused)
{
	Lane	   *lane = lane_pointer;
	LaneSocket *s = lane_find_socket(lane, fd);

	if (what == CURL_POLL_REMOVE)
	{
		if (s == NULL)
			return 0;

		/* An idle connection is watched for the peer's farewell. */
		if (s->ours && lane->established)
			return watch_socket(lane, s, EPOLLRDHUP) ? 0 : -1;
		watch_socket(lane, s, 0);
		if (!s->ours)
			forget_socket(lane, s);
		return 0;
	}

	/* The resolver's thread reports through a socket of its own. */
	if (s == NULL)
		s = add_socket(lane, fd, false);
	if (s == NULL)
		return -1;
	return watch_socket(lane, s,
						((what & CURL_POLL_IN) ? EPOLLIN : 0) |
						((what & CURL_POLL_OUT) ? EPOLLOUT : 0)) ? 0 : -1;
}

static void
set_socket_options(int fd)
{
	int			on = 1;
	int			idle = 60;
	int			interval = 10;
	int			count = 3;
	int			user_timeout = USER_TIMEOUT;

	/* What fails here makes a dead connection noticed later, no more. */
	(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
					  sizeof(interval));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
					  sizeof(user_timeout));
}

void
lane_socket_cork(Lane *lane, bool on)
{
	int			value = on;

	for (int i = 0; i < lane->socket_count; i++)
		if (lane->sockets[i].ours)
			(void) setsockopt(lane->sockets[i].fd, IPPROTO_TCP, TCP_CORK,
							  &value, sizeof(value));
}

/* CURLOPT_OPENSOCKETFUNCTION: see the head of lane.c. */
curl_socket_t
lane_on_open(void *request_pointer, curlsocktype purpose,
			 struct curl_sockaddr *address)
{
	Lane	   *lane = ((Request *) request_pointer)->lane;
	LaneSocket *stale;
	int			fd;

	if (lane->established || lane->socket_count >= LANE_SOCKETS)
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	set_socket_options(fd);

	/* What the resolver closed without a word may have had this number. */
	if ((stale = lane_find_socket(lane, fd)) != NULL)
		forget_socket(lane, stale);
	add_socket(lane, fd, true);
	return fd;
}

/* CURLOPT_CLOSESOCKETFUNCTION */
int
lane_on_close(void *lane_pointer, curl_socket_t fd)
{
	Lane	   *lane = lane_pointer;
	LaneSocket *s = lane_find_socket(lane, fd);

	if (s != NULL)
		forget_socket(lane, s);
	if (lane->established)
		lane->dead = true;
	return close(fd);
}
