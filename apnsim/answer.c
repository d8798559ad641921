/*
 * answer.c
 *		Decides what a request gets, records it, and lets session.c or
 *		http1.c say it.
 *
 * The order is a promise: a request is in the log's buffer before its
 * answer is in the connection's, and the loop writes the log first.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "answer.h"
#include "check.h"
#include "clock.h"
#include "connection.h"
#include "fault.h"
#include "http1.h"
#include "log.h"
#include "request.h"
#include "session.h"

/* splitmix64: for ids, which must differ and need not be secret. */
static uint64_t
next_random(uint64_t *seed)
{
	uint64_t	z;

	if (*seed == 0 && RAND_bytes((unsigned char *) seed, sizeof(*seed)) != 1)
		*seed = (uint64_t) clock_wall_us();
	z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* The client's own id if it is a good one, else a new one. */
static void
set_apns_id(struct request *request)
{
	struct text given = request->known[APNS_ID];
	uint64_t   *seed = &request->connection->server->ids_seed;
	uint64_t	a;
	uint64_t	b;

	if (check_is_uuid(given))
	{
		memcpy(request->apns_id, given.data, APNS_ID_SIZE - 1);
		request->apns_id[APNS_ID_SIZE - 1] = '\0';
		return;
	}
	a = next_random(seed);
	b = next_random(seed);
	snprintf(request->apns_id, APNS_ID_SIZE, "%08x-%04x-4%03x-%04x-%012llx",
			 (unsigned) (a >> 32), (unsigned) (a >> 16 & 0xFFFF),
			 (unsigned) (a & 0xFFF), (unsigned) (0x8000 | (b >> 50 & 0x3FFF)),
			 (unsigned long long) (b & UINT64_C(0xFFFFFFFFFFFF)));
}

/* Beyond the last stream of a GOAWAY a request counts as not processed. */
static bool
is_unanswered(const struct request *request)
{
	const struct fault *fault = request->fault;

	if (fault->kind == FAULT_GOAWAY)
		return fault->last >= 0 && request->stream_id > fault->last;
	return fault->kind == FAULT_REFUSE || fault->kind == FAULT_RESET ||
		fault->kind == FAULT_SILENT || fault->kind == FAULT_CLOSE;
}

/* Puts what the fault says about the answer over the verdict. */
static void
apply_fault(struct request *request)
{
	const struct fault *fault = request->fault;

	if (fault->status != 0)
	{
		request->status = fault->status;
		request->reason = fault->status == 200 ? NULL : fault_reason(fault);
	}
	if (fault->kind == FAULT_GARBAGE || fault->kind == FAULT_REDIRECT)
		request->reason = NULL;
	request->timestamp = fault->timestamp;
	if (is_unanswered(request))
	{
		request->status = 0;
		request->reason = NULL;
	}
}

static void
prepare_body(struct request *request)
{
	enum fault_kind kind = fault_kind_of(request->fault);

	if (request->status == 410 && request->timestamp == 0)
		request->timestamp = clock_wall_us() / 1000;
	if (kind == FAULT_HUGE)
	{
		request->answer_left = (uint64_t) request->fault->bytes;
		return;
	}
	if (kind == FAULT_GARBAGE)
		snprintf(request->answer, ANSWER_BODY,
				 "<html>\xff\xfe{\"reason\":\"this is not JSON\"</html>");
	else if (request->reason == NULL)
		request->answer[0] = '\0';
	else if (request->timestamp != 0)
		snprintf(request->answer, ANSWER_BODY,
				 "{\"reason\":\"%s\",\"timestamp\":%lld}", request->reason,
				 (long long) request->timestamp);
	else
		snprintf(request->answer, ANSWER_BODY, "{\"reason\":\"%s\"}",
				 request->reason);
	request->answer_length = strlen(request->answer);
	request->answer_left = request->answer_length;
}

uint64_t
answer_body(struct request *request, char *to, uint64_t room)
{
	uint64_t	n = request->answer_left < room ? request->answer_left : room;

	if (request->answer_length == 0)
		memset(to, 'x', n);
	else
		memcpy(to, request->answer + request->answer_length -
			   request->answer_left, n);
	request->answer_left -= n;
	return n;
}

static void
count_request(struct request *request)
{
	struct counters *counters = &request->connection->server->counters;

	if (request->status == 0)
		counters->unanswered++;
	else if (request->status == 200)
		counters->accepted++;
	else
		counters->refused++;
}

/* Judges and records.  From here on it is only a matter of saying it. */
static void
settle(struct request *request)
{
	struct server *server = request->connection->server;

	request->arrived_us = clock_wall_us();
	set_apns_id(request);
	check_request(request);
	if (request->fault != NULL)
		apply_fault(request);
	prepare_body(request);
	request->connection->judged++;
	if (request->stream_id > request->connection->last_judged)
		request->connection->last_judged = request->stream_id;
	count_request(request);
	log_request(server->log, request, ++server->counters.requests);
}

static void
send_answer(struct request *request)
{
	request->state = REQUEST_DONE;
	if (request->connection->protocol == PROTOCOL_HTTP1)
		http1_answer(request);
	else
		session_answer(request);
}

/* What the fault does to the stream or connection instead of an answer. */
static void
play_instead(struct request *request)
{
	struct connection *connection = request->connection;

	request->state = REQUEST_DONE;
	switch (request->fault->kind)
	{
		case FAULT_CLOSE:
			connection->doomed = true;
			break;
		case FAULT_REFUSE:
			session_reset(request, NGHTTP2_REFUSED_STREAM);
			break;
		case FAULT_RESET:
			session_reset(request, NGHTTP2_INTERNAL_ERROR);
			break;
		case FAULT_GOAWAY:
			session_goaway(connection, (int32_t) request->fault->last);
			break;
		default:
			break;
	}
}

static void
answer_now(struct request *request)
{
	struct connection *connection = request->connection;
	struct server *server = connection->server;
	struct fault *fault = request->fault;

	settle(request);
	if (request->status == 0)
	{
		play_instead(request);
		return;
	}
	if (fault != NULL && fault->kind == FAULT_GOAWAY && fault->last >= 0)
		session_goaway(connection, (int32_t) fault->last);
	else if ((fault != NULL && fault->kind == FAULT_GOAWAY) ||
			 (server->play.goaway_every > 0 &&
			  connection->judged >= server->play.goaway_every))
		session_goaway(connection, connection->last_judged);
	if (fault != NULL && fault->delay_ms > 0)
	{
		request->state = REQUEST_DELAYED;
		request->due_ms = clock_wait_ms() + fault->delay_ms;
		if (delay_add(&server->delays, request))
			return;
	}
	send_answer(request);
}

/* GOAWAY may still be queued, but what it says holds already. */
static bool
is_beyond_goaway(const struct request *request)
{
	return request->connection->went_away &&
		request->stream_id > request->connection->goaway_last;
}

void
answer_headers(struct request *request)
{
	struct server *server = request->connection->server;

	request_find_token(request);
	if (server->faults.first == NULL || is_beyond_goaway(request))
		return;
	request->fault = fault_match(&server->faults, request->token,
								 request->known[APNS_TOPIC], clock_wait_ms());
	if (request->fault != NULL &&
		(request->fault->early || request->fault->kind == FAULT_REFUSE))
		answer_now(request);
}

void
answer_complete(struct request *request)
{
	request->complete = true;
	if (request->state == REQUEST_READING && !is_beyond_goaway(request))
		answer_now(request);
}

void
answer_delayed(struct server *server, int64_t now_ms)
{
	struct request *request;

	while ((request = delay_first(&server->delays)) != NULL &&
		   request->due_ms <= now_ms)
	{
		delay_remove(&server->delays, request);
		connection_activate(request->connection);
		send_answer(request);
	}
}
