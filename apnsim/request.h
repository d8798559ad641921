/*
 * request.h
 *		One request of a client: what it said, and what is answered.
 *
 * Its size is fixed, so what a client sends can never make it grow: headers
 * beyond the store are counted as too large, and of a longer body only the
 * beginning is kept.
 */
#ifndef APNSIM_REQUEST_H
#define APNSIM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum
{
	REQUEST_STORE = 8192,		/* bytes of header names and values */
	REQUEST_FIELDS = 40,
	REQUEST_BODY = 6144,		/* bytes of the body that are kept */
	ANSWER_BODY = 256,
	APNS_ID_SIZE = 37
};

/* The headers that mean something here. */
enum known_header
{
	METHOD, SCHEME, PATH, AUTHORITY, AUTHORIZATION, APNS_TOPIC,
	APNS_PUSH_TYPE, APNS_PRIORITY, APNS_ID, APNS_EXPIRATION,
	APNS_COLLAPSE_ID,
	KNOWN_HEADERS
};

struct field
{
	struct text name;
	struct text value;
};

enum request_state
{
	REQUEST_READING,			/* still coming in, not judged */
	REQUEST_DELAYED,			/* judged; the answer waits for its time */
	REQUEST_DONE				/* answered, or never will be */
};

struct connection;
struct fault;

struct request
{
	struct request *next;		/* in its connection, or among the unused */
	struct request *previous;	/* in its connection */
	struct connection *connection;
	int32_t		stream_id;
	enum request_state state;
	bool		complete;		/* the body is all there */
	int64_t		arrived_us;

	struct text known[KNOWN_HEADERS];
	struct text token;			/* what follows /3/device/ in the path */
	struct field fields[REQUEST_FIELDS];	/* without the pseudo-headers */
	int			n_fields;
	size_t		store_used;
	bool		too_many_headers;
	bool		duplicate_headers;
	size_t		body_length;	/* as sent; the first REQUEST_BODY are kept */

	struct fault *fault;		/* a reference, or NULL */
	int64_t		due_ms;			/* when a delayed one is answered */
	int			delay_slot;		/* its place among the delayed, or -1 */

	int			status;			/* 0: no answer */
	const char *reason;			/* NULL: none */
	int64_t		timestamp;		/* 0: none */
	char		status_text[4];
	char		apns_id[APNS_ID_SIZE];
	char		answer[ANSWER_BODY];
	uint64_t	answer_left;	/* bytes of the answer's body yet to send */
	size_t		answer_length;

	char		store[REQUEST_STORE];
	char		body[REQUEST_BODY];
};

/* Unused requests, kept for the next ones. */
struct request_pool
{
	struct request *first;
	int			n;
};

/* NULL: out of memory. */
extern struct request *request_new(struct request_pool *pool,
								   struct connection *connection,
								   int32_t stream_id);
extern void request_free(struct request_pool *pool, struct request *request);
extern void request_pool_clear(struct request_pool *pool);

extern void request_add_header(struct request *request, struct text name,
							   struct text value);
extern void request_add_body(struct request *request, const char *data,
							 size_t length);

/* After the last header: finds the device token in the path. */
extern void request_find_token(struct request *request);

#endif
