/*
 * connection.h
 *		One client's TCP connection, with or without TLS.
 */
#ifndef APNSIM_CONNECTION_H
#define APNSIM_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "jwt.h"
#include "server.h"

enum
{
	OUT_CHUNK = 16384,			/* a full TLS record */
	OUT_SIZE = 3 * OUT_CHUNK	/* less than a chunk, and the longest frame */
};

enum protocol
{
	PROTOCOL_TLS,				/* in the handshake */
	PROTOCOL_GUESS,				/* no TLS: the first bytes will tell */
	PROTOCOL_HTTP2,
	PROTOCOL_HTTP1
};

struct connection
{
	struct watch watch;
	struct server *server;
	uint64_t	id;
	struct connection *previous;	/* in the list of all */
	struct connection *next;
	struct connection *next_active;

	enum protocol protocol;
	SSL		   *ssl;			/* NULL: --plain */
	nghttp2_session *session;
	struct http1 *http1;
	int64_t		deadline_ms;	/* of handshake or farewell, 0: none */

	bool		is_active;		/* in the list of active ones */
	bool		readable;		/* there may be more to read */
	bool		blocked;		/* the socket takes no more for now */
	bool		ended;			/* the client has said its last word */
	bool		doomed;			/* to be closed without another word */
	bool		finishing;		/* to be closed when all is sent */
	bool		lingering;		/* our side is closed, theirs is awaited */
	bool		frozen;			/* plays dead: neither reads nor writes */
	bool		certified;		/* the client showed a certificate */
	bool		warming;		/* one stream, nothing accepted yet */
	bool		went_away;		/* GOAWAY was sent */
	bool		stops_bodies;	/* there was an early-stop among the answers */

	struct request *requests;	/* that are not over */
	int64_t		judged;			/* how many requests so far */
	int32_t		last_judged;	/* the highest stream among them */
	int32_t		goaway_last;	/* after GOAWAY: no stream beyond it */
	struct signer *signer;		/* of the first push, NULL: none yet */

	size_t		out_start;
	size_t		out_end;
	char		out[OUT_SIZE];
};

/* Takes a fresh socket.  On failure it is closed. */
extern void connection_new(struct server *server, int fd);

/* Asks for a turn in this round of the loop. */
extern void connection_activate(struct connection *connection);

/* The two halves of a turn; between them the log is flushed. */
extern void connection_read(struct connection *connection);
extern void connection_write(struct connection *connection);

/* Called once a second: ends those that are past their deadline. */
extern void connection_sweep(struct server *server, int64_t now_ms);

/* What a test may order for all connections that are open. */
extern void connection_freeze(struct connection *connection);
extern void connection_doom(struct connection *connection);

/* Ends it and frees it. */
extern void connection_free(struct connection *connection);

#endif
