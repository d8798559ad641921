/*
 * lane_connection.c
 *		The connection of a lane: name, TCP and TLS, by libcurl.
 *
 * Owns the easy and the multi handle, and the sockets, which we open and close
 * ourselves so that a connection can be cut with shutdown().  libcurl resolves,
 * connects, and verifies the server (CURLOPT_CONNECT_ONLY); then its handle
 * moves bytes, and nothing else.  Must never know what they mean, and its
 * callbacks must neither allocate from PostgreSQL nor raise an error: libcurl's
 * frames are on the stack.
 */
#include "postgres.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guc.h"
#include "lane_connection.h"
#include "lane_http2.h"

/* Data that nobody acknowledges for so long kills a connection (ms). */
#define USER_TIMEOUT 15000

static int	epoll_fd = -1;

void
lane_connection_init(int fd)
{
	epoll_fd = fd;
}

/* ---------- sockets ---------- */

static LaneSocket *
find_socket(Lane *lane, curl_socket_t fd)
{
	for (int i = 0; i < lane->socket_count; i++)
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

int
lane_connection_slot(uint64 tag)
{
	return (tag >> 32) & 0xffff;
}

LaneSocket *
lane_connection_socket(Lane *lane, uint64 tag)
{
	return (lane->number & 0xffff) == tag >> 48 ?
		find_socket(lane, (int) (uint32) tag) : NULL;
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

/* ---------- libcurl's callbacks ---------- */

/* CURLMOPT_SOCKETFUNCTION */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *lane_pointer,
		  void *unused)
{
	Lane	   *lane = lane_pointer;
	LaneSocket *s = find_socket(lane, fd);

	if (what == CURL_POLL_REMOVE)
	{
		/* One that is made is watched by lane_connection_watch(). */
		if (s == NULL || (s->ours && lane->established))
			return 0;
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

/* CURLMOPT_TIMERFUNCTION */
static int
on_timer(CURLM *multi, long timeout_ms, void *lane_pointer)
{
	Lane	   *lane = lane_pointer;

	lane->timer_at = timeout_ms < 0 ? -1 :
		lane_clock() + (int64) timeout_ms * 1000;
	return 0;
}

/* CURLOPT_OPENSOCKETFUNCTION */
static curl_socket_t
on_open(void *lane_pointer, curlsocktype purpose,
		struct curl_sockaddr *address)
{
	Lane	   *lane = lane_pointer;
	LaneSocket *stale;
	int			fd;

	if (lane->socket_count >= LANE_SOCKETS)
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	set_socket_options(fd);

	/* What the resolver closed without a word may have had this number. */
	if ((stale = find_socket(lane, fd)) != NULL)
		forget_socket(lane, stale);
	add_socket(lane, fd, true);
	return fd;
}

/* CURLOPT_CLOSESOCKETFUNCTION */
static int
on_close(void *lane_pointer, curl_socket_t fd)
{
	Lane	   *lane = lane_pointer;
	LaneSocket *s = find_socket(lane, fd);

	if (s != NULL)
		forget_socket(lane, s);
	if (lane->established)
		lane->dead = true;
	return close(fd);
}

/*
 * CURLOPT_SSL_CTX_FUNCTION: offers HTTP/2, which libcurl must not know of, for
 * it would begin to speak it.  HTTP/1.1 is offered so that a server that knows
 * nothing else says so, instead of ending the handshake with an alert.
 */
static CURLcode
on_tls(CURL *easy, void *context, void *lane_pointer)
{
	static const unsigned char protocols[] = "\x02h2\x08http/1.1";

	/* One system call for as many records as have come */
	SSL_CTX_set_read_ahead(context, 1);
	return SSL_CTX_set_alpn_protos(context, protocols,
								   sizeof(protocols) - 1) == 0 ?
		CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* CURLOPT_PREREQFUNCTION: the connection is made.  Was HTTP/2 agreed upon? */
static int
on_connected(void *lane_pointer, char *remote_ip, char *local_ip,
			 int remote_port, int local_port)
{
	Lane	   *lane = lane_pointer;
	struct curl_tlssessioninfo *tls = NULL;
	const unsigned char *protocol = NULL;
	unsigned int length = 0;

	if (curl_easy_getinfo(lane->easy, CURLINFO_TLS_SSL_PTR,
						  &tls) == CURLE_OK &&
		tls != NULL && tls->internals != NULL &&
		tls->backend == CURLSSLBACKEND_OPENSSL)
		SSL_get0_alpn_selected(tls->internals, &protocol, &length);
	return length == 2 && memcmp(protocol, "h2", 2) == 0 ?
		CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* ---------- opening and closing ---------- */

static bool
set_credentials(CURL *easy, const Certificate *certificate)
{
	struct curl_blob blob = {.flags = CURL_BLOB_NOCOPY};

	if (certificate->client_certificate == NULL)
		return true;
	if (curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM") != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM") != CURLE_OK)
		return false;
	blob.data = certificate->client_certificate;
	blob.len = strlen(certificate->client_certificate);
	if (curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &blob) != CURLE_OK)
		return false;
	blob.data = certificate->client_key;
	blob.len = strlen(certificate->client_key);
	return curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &blob) == CURLE_OK;
}

static bool
set_options(Lane *lane)
{
	const Certificate *certificate = lane->target->certificate;
	CURL	   *easy = lane->easy;
	CURLcode	bad = CURLE_OK;

#define SET(option, value) \
	do { \
		if (bad == CURLE_OK) \
			bad = curl_easy_setopt(easy, option, value); \
	} while (0)

	SET(CURLOPT_URL, certificate->origin);
	SET(CURLOPT_CONNECT_ONLY, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) imp_connect_timeout);
	SET(CURLOPT_ERRORBUFFER, lane->error);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_BUFFERSIZE, (long) LANE_READ_SIZE);

	/* Nothing but TLS to that very server */
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "https");
#else
	SET(CURLOPT_PROTOCOLS, (long) CURLPROTO_HTTPS);
#endif
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, lane);

	/* With a CA file of our own, the system's directory is not to be used. */
	if (imp_ca_file[0] != '\0')
	{
		SET(CURLOPT_CAINFO, imp_ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}

	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, lane);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, lane);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A resolver that hangs must not be waited for. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
#undef SET
	return bad == CURLE_OK && set_credentials(easy, certificate);
}

bool
lane_connection_open(Lane *lane)
{
	lane->timer_at = -1;
	lane->multi = curl_multi_init();
	lane->easy = curl_easy_init();
	return lane->multi != NULL && lane->easy != NULL && set_options(lane) &&
		curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION,
						  on_socket) == CURLM_OK &&
		curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA,
						  lane) == CURLM_OK &&
		curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION,
						  on_timer) == CURLM_OK &&
		curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA,
						  lane) == CURLM_OK &&
		curl_multi_add_handle(lane->multi, lane->easy) == CURLM_OK;
}

void
lane_connection_close(Lane *lane)
{
	if (lane->multi != NULL && lane->easy != NULL)
		curl_multi_remove_handle(lane->multi, lane->easy);
	if (lane->easy != NULL)
		curl_easy_cleanup(lane->easy);
	if (lane->multi != NULL)
		curl_multi_cleanup(lane->multi);
}

void
lane_connection_cut(Lane *lane)
{
	for (int i = 0; i < lane->socket_count; i++)
		if (lane->sockets[i].ours)
			shutdown(lane->sockets[i].fd, SHUT_RDWR);
}

/* ---------- the connection ---------- */

/* Has libcurl made the connection, or given it up? */
static void
note_connected(Lane *lane)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(lane->multi, &left)) != NULL)
	{
		if (message->msg != CURLMSG_DONE || lane->dead)
			continue;
		/* on_connected() has ended it, and libcurl says no more than that. */
		if (message->data.result == CURLE_ABORTED_BY_CALLBACK)
			strlcpy(lane->error,
					"the server does not agree to speak HTTP/2 (ALPN h2)",
					sizeof(lane->error));
		if (message->data.result != CURLE_OK)
			lane_lost(lane, message->data.result);
		else if (!lane_http2_begin(lane))
			lane_lost(lane, CURLE_OUT_OF_MEMORY);
	}
}

/*
 * Until the connection is made libcurl may start a thread, the resolver's,
 * which inherits our signal mask and must not run PostgreSQL's handlers.
 */
void
lane_connection_drive(Lane *lane, curl_socket_t fd, int what)
{
	sigset_t	all;
	sigset_t	before;
	CURLMcode	code;
	int			running;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (fd == CURL_SOCKET_TIMEOUT)
		lane->timer_at = -1;
	code = curl_multi_socket_action(lane->multi, fd, what, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != CURLM_OK)
		lane_lost(lane, CURLE_FAILED_INIT);
	else
		note_connected(lane);
}

CURLcode
lane_connection_send(Lane *lane, const char *data, size_t length, size_t *sent)
{
	CURLcode	code = curl_easy_send(lane->easy, data, length, sent);

	return code == CURLE_OK && *sent == 0 ? CURLE_AGAIN : code;
}

CURLcode
lane_connection_receive(Lane *lane, char *data, size_t size, size_t *received)
{
	return curl_easy_recv(lane->easy, data, size, received);
}

void
lane_connection_watch(Lane *lane, bool writable)
{
	for (int i = 0; i < lane->socket_count; i++)
		if (lane->sockets[i].ours &&
			!watch_socket(lane, &lane->sockets[i],
						  EPOLLIN | (writable ? EPOLLOUT : 0)))
			lane_lost(lane, CURLE_RECV_ERROR);
}
