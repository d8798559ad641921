/*
 * request.h
 *		One push as a connection carries it: header fields, body, answer.
 */
#ifndef IMP_REQUEST_H
#define IMP_REQUEST_H

#include "postgres.h"
#include "lib/ilist.h"

#include <curl/curl.h>
#include <nghttp2/nghttp2.h>

#include "answer.h"
#include "push.h"

struct Lane;

/* four pseudo-headers, authorization, content-length, six apns-* */
#define REQUEST_HEADERS 12

typedef struct Request
{
	dlist_node	node;			/* under way in a lane, or finished */
	struct Lane *lane;
	Push	   *push;
	int64		started_at;		/* by lane_clock() */
	int32		stream_id;		/* 0: no stream yet */
	int			body_sent;		/* bytes of the payload */

	/* What is known of its way */
	bool		sent;			/* handed to the connection, in part at least */
	bool		not_processed;	/* the peer says that it has not looked at it */
	bool		whole;			/* its answer has come to its end */
	bool		clean;			/* its stream was closed without an error */
	CURLcode	code;			/* valid once finished */
	int			status;			/* HTTP status, 0: none came */
	int			body_length;	/* may be more than was kept */
	char		body[ANSWER_BODY_SIZE];

	/* A header line, or empty: the token may be another when it is answered */
	char		authorization[FLEXIBLE_ARRAY_MEMBER];
} Request;

/* Why a push cannot be put into a request ("invalid_header" …), or NULL. */
extern const char *request_fault(const Push *push);

/*
 * A request for a push that has been found free of faults.  authorization is
 * the whole header line, or NULL.
 */
extern Request *request_create(MemoryContext context, struct Lane *lane,
							   Push *push, const char *authorization);
extern void request_free(Request *request);

/*
 * Opens a stream for it; authority is the server's host and port.  False if
 * the session takes no more.
 */
extern bool request_submit(Request *request, nghttp2_session *session,
						   const char *authority);

#endif							/* IMP_REQUEST_H */
