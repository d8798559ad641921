/*
 * connection.c
 *		Bytes in and out of one connection, from handshake to farewell.
 *
 * The socket is watched edge-triggered: what epoll said is remembered until
 * the socket says otherwise.  While an answer cannot be sent nothing is
 * read, so a client that does not read holds a fixed amount of memory.
 * A connection is freed only in its turn to write, never in a callback.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "clock.h"
#include "connection.h"
#include "http1.h"
#include "request.h"
#include "session.h"

enum
{
	TURN_BYTES = 4 * 65536,		/* read in one turn, then others have theirs */
	HANDSHAKE_MS = 30000,
	LINGER_MS = 5000,
	GIVE_UP_MS = 60000			/* TCP_USER_TIMEOUT */
};

static void
set_deadline(struct connection *connection, int64_t deadline_ms)
{
	struct server *server = connection->server;

	server->deadlines += (deadline_ms != 0) - (connection->deadline_ms != 0);
	connection->deadline_ms = deadline_ms;
}

static void
connection_ready(struct server *server, struct watch *watch, uint32_t events)
{
	struct connection *connection = (struct connection *) watch;

	(void) server;
	/* One that is gone may have left requests: reading finds the end. */
	if (connection->frozen && (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)))
		connection->doomed = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		connection->readable = true;
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		connection->blocked = false;
	connection_activate(connection);
}

void
connection_activate(struct connection *connection)
{
	struct server *server = connection->server;

	if (connection->is_active)
		return;
	connection->is_active = true;
	connection->next_active = server->active;
	server->active = connection;
}

static void
tune_socket(int fd)
{
	int			on = 1;
	int			give_up = GIVE_UP_MS;

	/* All three are improvements only: a failure changes nothing. */
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up,
					  sizeof(give_up));
}

static bool
begin_tls(struct connection *connection)
{
	connection->ssl = SSL_new(connection->server->tls);
	if (connection->ssl == NULL ||
		SSL_set_fd(connection->ssl, connection->watch.fd) != 1)
		return false;
	SSL_set_accept_state(connection->ssl);
	return true;
}

static void
link_connection(struct connection *connection)
{
	struct server *server = connection->server;

	connection->next = server->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	server->connections = connection;
	server->counters.open++;
}

void
connection_new(struct server *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (connection == NULL)
	{
		close(fd);
		return;
	}
	memset(connection, 0, offsetof(struct connection, out));
	connection->watch.fd = fd;
	connection->watch.ready = connection_ready;
	connection->server = server;
	connection->protocol = server->tls != NULL ? PROTOCOL_TLS : PROTOCOL_GUESS;
	link_connection(connection);
	set_deadline(connection, clock_wait_ms() + HANDSHAKE_MS);
	if (server->play.hang)
		connection_freeze(connection);
	tune_socket(fd);
	if ((server->tls != NULL && !begin_tls(connection)) ||
		!server_watch(server, &connection->watch,
					  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
		connection_free(connection);
}

void
connection_free(struct connection *connection)
{
	struct server *server = connection->server;

	set_deadline(connection, 0);
	session_free(connection);
	http1_free(connection);
	while (connection->requests != NULL)
		request_free(&server->pool, connection->requests);
	SSL_free(connection->ssl);
	close(connection->watch.fd);
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	free(connection);
	server->counters.open--;
	server_has_room(server);
}

void
connection_doom(struct connection *connection)
{
	connection->doomed = true;
	connection_activate(connection);
}

void
connection_freeze(struct connection *connection)
{
	connection->frozen = true;
	set_deadline(connection, 0);
}

void
connection_sweep(struct server *server, int64_t now_ms)
{
	struct connection *connection;

	for (connection = server->connections; connection != NULL;
		 connection = connection->next)
		if (connection->deadline_ms != 0 && connection->deadline_ms <= now_ms)
			connection_doom(connection);
}

/* What OpenSSL's negative result means for us.  Always returns 0. */
static int
note_tls_result(struct connection *connection, int result)
{
	switch (SSL_get_error(connection->ssl, result))
	{
		case SSL_ERROR_WANT_READ:
			connection->readable = false;
			break;
		case SSL_ERROR_WANT_WRITE:
			connection->blocked = true;
			break;
		case SSL_ERROR_ZERO_RETURN:
			connection->ended = true;
			break;
		default:
			connection->doomed = true;
			break;
	}
	return 0;
}

/* Bytes read; 0: none now, the connection's flags say why. */
static int
receive(struct connection *connection, char *to, int room)
{
	ssize_t		n;

	if (connection->ssl != NULL && !connection->lingering)
	{
		ERR_clear_error();
		n = SSL_read(connection->ssl, to, room);
		return n > 0 ? (int) n : note_tls_result(connection, (int) n);
	}
	n = recv(connection->watch.fd, to, (size_t) room, 0);
	if (n > 0)
		return (int) n;
	if (n == 0)
		connection->ended = true;
	else if (errno == EAGAIN || errno == EINTR)
		connection->readable = errno == EINTR;
	else
		connection->doomed = true;
	return 0;
}

/* Bytes sent; 0: none now. */
static int
transmit(struct connection *connection, const char *from, int length)
{
	ssize_t		n;

	if (connection->ssl != NULL)
	{
		ERR_clear_error();
		n = SSL_write(connection->ssl, from, length);
		return n > 0 ? (int) n : note_tls_result(connection, (int) n);
	}
	n = send(connection->watch.fd, from, (size_t) length, MSG_NOSIGNAL);
	if (n >= 0)
		return (int) n;
	if (errno == EAGAIN || errno == EINTR)
		connection->blocked = true;
	else
		connection->doomed = true;
	return 0;
}

static void
begin_protocol(struct connection *connection, enum protocol protocol)
{
	bool		done;

	connection->protocol = protocol;
	connection->id = ++connection->server->counters.connections;
	set_deadline(connection, 0);
	if (protocol == PROTOCOL_HTTP2)
		done = session_new(connection);
	else
		done = http1_new(connection);
	if (!done)
		connection->doomed = true;
}

static void
shake_hands(struct connection *connection)
{
	const unsigned char *protocol;
	unsigned int length;
	int			result;

	ERR_clear_error();
	result = SSL_do_handshake(connection->ssl);
	if (result != 1)
	{
		note_tls_result(connection, result);
		return;
	}
	SSL_get0_alpn_selected(connection->ssl, &protocol, &length);
	connection->certified = SSL_get0_peer_certificate(connection->ssl) != NULL;
	if (length == 2)
		begin_protocol(connection, PROTOCOL_HTTP2);
	else if (connection->server->play.http1)
		begin_protocol(connection, PROTOCOL_HTTP1);
	else
		connection->doomed = true;	/* it did not speak ALPN at all */
}

/* Without TLS: HTTP/2 begins with "PRI * HTTP/2.0". */
static void
guess_protocol(struct connection *connection, const char *data, int length)
{
	bool		is_http2 = length >= 3 && memcmp(data, "PRI", 3) == 0;

	begin_protocol(connection, is_http2 && !connection->server->play.http1 ?
				   PROTOCOL_HTTP2 : PROTOCOL_HTTP1);
}

static void
feed(struct connection *connection, const char *data, int length)
{
	bool		good;

	if (connection->lingering)
		return;
	if (connection->protocol == PROTOCOL_GUESS)
		guess_protocol(connection, data, length);
	if (connection->doomed)
		return;
	if (connection->protocol == PROTOCOL_HTTP2)
		good = session_feed(connection, data, (size_t) length);
	else
		good = http1_feed(connection, data, (size_t) length);
	if (!good)
		connection->finishing = true;
}

/* May it read now? */
static bool
wants_to_read(const struct connection *connection)
{
	return connection->readable && !connection->doomed && !connection->ended &&
		!connection->frozen && !connection->blocked &&
		connection->out_start == connection->out_end &&
		(!connection->finishing || connection->lingering);
}

void
connection_read(struct connection *connection)
{
	struct server *server = connection->server;
	int			left = TURN_BYTES;
	int			n;

	if (connection->protocol == PROTOCOL_TLS && !connection->doomed &&
		!connection->frozen)
		shake_hands(connection);
	if (connection->protocol == PROTOCOL_TLS)
		return;
	while (left > 0 && wants_to_read(connection))
	{
		n = receive(connection, server->read_buffer,
					sizeof(server->read_buffer));
		if (n == 0)
			break;
		feed(connection, server->read_buffer, n);
		left -= n;
	}
}

/* Moves what is left to the front, so that there is room for a chunk. */
static void
make_room(struct connection *connection)
{
	if (connection->out_start == 0)
		return;
	memmove(connection->out, connection->out + connection->out_start,
			connection->out_end - connection->out_start);
	connection->out_end -= connection->out_start;
	connection->out_start = 0;
}

static void
send_all(struct connection *connection)
{
	int			n;

	while (!connection->blocked && !connection->doomed)
	{
		make_room(connection);
		if (connection->session != NULL)
			session_fill(connection);
		if (connection->out_start == connection->out_end)
			return;
		n = transmit(connection, connection->out + connection->out_start,
					 (int) (connection->out_end - connection->out_start));
		if (n == 0)
			return;
		connection->out_start += (size_t) n;
	}
}

/*
 * Closes our side only.  A socket that is closed with something unread in it
 * takes what the client has not read yet, the last answers, along with it.
 */
static void
say_goodbye(struct connection *connection)
{
	if (connection->ssl != NULL)
	{
		ERR_clear_error();
		(void) SSL_shutdown(connection->ssl);
	}
	(void) shutdown(connection->watch.fd, SHUT_WR);
	connection->lingering = true;
}

void
connection_write(struct connection *connection)
{
	bool		sent;

	connection->is_active = false;
	if (!connection->frozen && !connection->lingering &&
		connection->protocol != PROTOCOL_TLS)
		send_all(connection);
	sent = connection->out_start == connection->out_end;
	if (connection->doomed || (connection->ended && sent))
	{
		connection_free(connection);
		return;
	}
	if (connection->finishing && connection->deadline_ms == 0)
		set_deadline(connection, clock_wait_ms() + LINGER_MS);
	if (connection->finishing && sent && !connection->lingering)
		say_goodbye(connection);
	if (wants_to_read(connection))
		connection_activate(connection);
}
