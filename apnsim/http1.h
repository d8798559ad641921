/*
 * http1.h
 *		Just enough HTTP/1.1 to show what a client would say to a server
 *		that knows nothing better.
 */
#ifndef APNSIM_HTTP1_H
#define APNSIM_HTTP1_H

#include <stdbool.h>
#include <stddef.h>

struct connection;
struct request;

/* False: out of memory. */
extern bool http1_new(struct connection *connection);
extern void http1_free(struct connection *connection);

/* Takes what the client sent.  False: it is no HTTP/1.1 that we know. */
extern bool http1_feed(struct connection *connection, const char *data,
					   size_t length);

/* Puts the answer that stands in the request into the connection's buffer. */
extern void http1_answer(struct request *request);

#endif
