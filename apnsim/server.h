/*
 * server.h
 *		The one process: its sockets, its loop, and what a test has ordered.
 */
#ifndef APNSIM_SERVER_H
#define APNSIM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "delay.h"
#include "fault.h"
#include "request.h"

struct connection;
struct jwts;
struct log;
struct options;
struct server;

/* Something epoll watches.  It is the first member of what it stands for. */
struct watch
{
	void		(*ready) (struct server *server, struct watch *watch,
						  uint32_t events);
	int			fd;				/* -1: closed */
};

/* What can be switched while it runs. */
struct play
{
	bool		http1;			/* new connections get HTTP/1.1 only */
	bool		one_stream;		/* until the first accepted request */
	bool		jwt_strict;
	bool		hang;			/* new connections are taken and left alone */
	int			max_streams;
	int64_t		goaway_every;	/* requests on a connection, 0: never */
	int64_t		clock_shift;	/* seconds, for ages of provider tokens */
};

struct counters
{
	uint64_t	requests;		/* judged, whatever became of them */
	uint64_t	accepted;		/* answered with 200 */
	uint64_t	refused;		/* answered otherwise */
	uint64_t	unanswered;		/* refused streams, resets, silence, closes */
	uint64_t	resets;			/* RST_STREAM frames of clients */
	uint64_t	connections;	/* ever, after the handshake */
	uint64_t	open;			/* now, in any state */
	uint64_t	streams;		/* now */
	uint64_t	jwts;			/* different provider tokens accepted */
};

struct server
{
	const struct options *options;
	struct play play;
	struct counters counters;
	struct faults faults;
	struct delays delays;
	struct request_pool pool;
	struct log *log;
	struct jwts *jwts;
	SSL_CTX    *tls;

	int			epoll;
	struct watch signals;
	struct watch listener;
	struct watch control;
	int			port;
	int			control_port;
	bool		stopping;
	bool		full;			/* no more connections for now */
	int			max_connections;
	int			deadlines;		/* connections that have one */
	int			clients;		/* of the control port */

	struct connection *connections; /* all */
	struct connection *active;	/* with work to do in this round */
	uint64_t	ids_seed;		/* for apns-ids the client did not give */
	char		read_buffer[65536];
};

/* The exit status. */
extern int	server_run(const struct options *options);

/* False: errno says why. */
extern bool server_watch(struct server *server, struct watch *watch,
						 uint32_t events);

/* Puts everything that can be switched back to the command line's. */
extern void server_reset_play(struct server *server);

/* Opens and closes the port of APNs while connections stay. */
extern bool server_listen(struct server *server);
extern void server_deafen(struct server *server);

/* Called when a connection is gone: there may be room again. */
extern void server_has_room(struct server *server);

#endif
