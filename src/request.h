/*
 * request.h
 *		One push as libcurl carries it: easy handle, header list, answer.
 *
 * Requests are reused: a spare one keeps its handle and, as long as it stays
 * with the same lane, all options that do not change from push to push.
 */
#ifndef IMP_REQUEST_H
#define IMP_REQUEST_H

#include "postgres.h"
#include "lib/ilist.h"

#include <curl/curl.h>

#include "answer.h"
#include "push.h"

struct Lane;

/* authorization, six apns-*, and two that silence libcurl's own */
#define REQUEST_HEADERS 9
#define REQUEST_HEADER_SPACE 1024
#define REQUEST_AUTHORIZATION_SIZE 1024

typedef struct Request
{
	dlist_node	node;			/* spare, under way in a lane, or finished */
	CURL	   *easy;
	uint64		lane_number;	/* the lane whose options easy has; 0: none */
	struct Lane *lane;			/* NULL while spare */
	Push	   *push;
	int64		started_at;		/* by lane_clock() */
	int64		status_seen_at; /* 0: not before it ended */

	/* What is known of its way */
	bool		sent;			/* handed to the connection */
	bool		wrong_protocol; /* the server does not speak HTTP/2 */
	CURLcode	code;			/* valid once finished */
	int			status;			/* HTTP status, 0: none came */
	int			body_length;	/* may be more than was kept */
	char		body[ANSWER_BODY_SIZE];
	char		error[CURL_ERROR_SIZE];

	/* What is sent */
	struct curl_slist headers[REQUEST_HEADERS];
	char		header_space[REQUEST_HEADER_SPACE];
	char		authorization[REQUEST_AUTHORIZATION_SIZE];
} Request;

/* Why a push cannot be put into a request ("invalid_header" …), or NULL. */
extern const char *request_fault(const Push *push);

/* A spare request, or a new one; NULL if libcurl has no memory. */
extern Request *request_get(MemoryContext context);

/* Back to the spares; not while its handle is in a multi handle. */
extern void request_put(Request *request);
extern int	request_spares(void);

/*
 * The options of a certificate: CA bundle (NULL: the system's) and, or NULL,
 * a client certificate and its key in PEM, which must outlive the request's
 * stay with these options.
 */
extern bool request_set_target(Request *request, const char *ca_file,
							   char *client_certificate, char *client_key);

/* On a connection that is made: was HTTP/2 agreed upon (ALPN)? */
extern bool request_speaks_http2(Request *request);

/*
 * Puts a push into the request: address, headers, body.  authorization is the
 * whole header line, or NULL.  The push has been found free of faults.
 */
extern bool request_fill(Request *request, Push *push, const char *origin,
						 const char *authorization);

/* At the end of the process. */
extern void request_free_spares(void);

#endif							/* IMP_REQUEST_H */
