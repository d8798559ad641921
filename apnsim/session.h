/*
 * session.h
 *		HTTP/2 on a connection, by nghttp2.
 */
#ifndef APNSIM_SESSION_H
#define APNSIM_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct request;

/* Begins: sends SETTINGS.  False: out of memory. */
extern bool session_new(struct connection *connection);
extern void session_free(struct connection *connection);

/* Takes what the client sent.  False: the connection is beyond help. */
extern bool session_feed(struct connection *connection, const char *data,
						 size_t length);

/*
 * Fills the connection's buffer with what is to be sent.  Marks the
 * connection as finishing when both sides have said everything.
 */
extern void session_fill(struct connection *connection);

/* Queues the answer that stands in the request. */
extern void session_answer(struct request *request);

/* Queues RST_STREAM instead. */
extern void session_reset(struct request *request, uint32_t error);

/* Queues GOAWAY, once in a connection's life. */
extern void session_goaway(struct connection *connection, int32_t last);

/* Queues SETTINGS with the number of streams that is right now. */
extern void session_set_streams(struct connection *connection);

#endif
