/*
 * verdict.c
 *		From an answer to what it means for push, connection and certificate.
 *
 * Owns the consequences of what answer.c has classified.  It must never
 * charge an attempt for what has certainly not been processed, and never
 * answer a push twice.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "busy_token.h"
#include "verdict.h"

/* Back-off of a push after a server's error or an unknown fate (ms) */
#define RETRY_FIRST 5000
#define RETRY_MOST (15 * 60000)

/*
 * Sent again by ourselves, at once, so often: if the peer certainly has not
 * processed it; if nobody knows, once or twice.
 */
#define RESENDS_REFUSED 6
#define RESENDS_UNCERTAIN 2

/* Then it comes back, uncharged, and may go again after (microseconds) */
#define RESEND_PAUSE (INT64CONST(1) * 1000000)

#define MSECS_PER_DAY (USECS_PER_DAY / 1000)

/* No new provider token after TooManyProviderTokenUpdates (microseconds) */
#define RENEWAL_PAUSE (INT64CONST(20) * 60 * 1000000)

/* All that is at hand when a request has ended. */
typedef struct Case
{
	Sender	   *sender;
	Lane	   *lane;
	Request    *request;
	Push	   *push;
	TimestampTz now;
	Answer		answer;
} Case;

static const char *
reason_for(Case *c)
{
	if (c->answer.reason != c->answer.own_reason)
		return c->answer.reason;
	strlcpy(c->push->reason_text, c->answer.own_reason,
			sizeof(c->push->reason_text));
	return c->push->reason_text;
}

static void
give(Case *c, Verdict verdict, TimestampTz due)
{
	sender_answer(c->sender, c->push, verdict,
				  verdict == VERDICT_SENT ? NULL : reason_for(c), due,
				  c->now);
}

static void
give_free(Case *c)
{
	give(c, VERDICT_FREE_RETRY, c->now);
}

static void
give_retry(Case *c)
{
	give(c, VERDICT_RETRY,
		 backoff_due(c->now, c->push->attempts, RETRY_FIRST, RETRY_MOST));
}

/* Back to the head of the queue, or to whoever gave it if that is closed. */
static void
queue_again(Case *c)
{
	if (sender_shared.stopping ||
		(c->sender->circuit.open && !c->push->probe))
		give_free(c);
	else
		sender_queue(c->sender, c->push, true);
}

/*
 * Once more, by ourselves: nobody is charged, and whoever waits for it does
 * not notice.  False if it has been tried often enough.
 */
static bool
send_again(Case *c, int most)
{
	if (c->push->resends >= most)
		return false;
	c->push->resends++;
	if (c->request->sent)
		c->sender->resent++;
	queue_again(c);
	return true;
}

/* The push went the way that the certificate says now, not an earlier one. */
static bool
is_current(Case *c)
{
	return c->lane->target == c->sender->target;
}

/* The circuit opens because of this push, which is not to blame. */
static void
open_circuit(Case *c, CircuitKind kind, const char *detail)
{
	if (!is_current(c))
		return;
	if (c->answer.class != ANSWER_TOKEN_DOUBTED)
		c->sender->guard.refuses = false;
	sender_open_circuit(c->sender, kind, c->answer.reason, detail, c->now);
	sender_release_held(c->sender, VERDICT_FREE_RETRY, c->now);
}

/* The certificate works as a whole: what the guard holds is dead indeed. */
static void
proved(Case *c)
{
	Sender	   *sender = c->sender;

	if (!is_current(c))
		return;
	guard_proved(&sender->guard, c->now);
	sender_release_held(sender, VERDICT_TOKEN_DEAD, c->now);
	if (circuit_succeeded(&sender->circuit, c->push->probe, c->now))
		sender_circuit_closed(sender);
}

static void
token_doubted(Case *c)
{
	Sender	   *sender = c->sender;
	Push	   *push = c->push;

	if (!is_current(c))
	{
		/* The certificate has been mended since. */
		give_free(c);
		return;
	}
	if (sender->circuit.open)
	{
		/* A probe, or what was under way when the circuit opened. */
		guard_note(&sender->guard, push);
		give_free(c);
		return;
	}
	push->reason = reason_for(c);
	switch (guard_judge(&sender->guard, push, c->now))
	{
		case GUARD_DEAD:
			guard_give_up(&sender->guard, push, sender_shared.context);
			give(c, VERDICT_TOKEN_DEAD, c->now);
			break;
		case GUARD_HELD:
			break;
		case GUARD_CONFIGURATION:
			guard_refuted(&sender->guard);
			open_circuit(c, CIRCUIT_CONFIGURATION,
						 "APNs refuses every device token: environment or "
						 "topic do not match");
			give_free(c);
			break;
	}
}

static void
provider_token_expired(Case *c)
{
	Sender	   *sender = c->sender;
	const Certificate *certificate = NULL;

	if (sender->target != NULL)
		certificate = sender->target->certificate;

	/*
	 * Only if it is the current one; else a new one is there already.  Nor on
	 * account of what was under way when the clock was found to be wrong: the
	 * probes go with the token there is, and will tell.
	 */
	if (certificate != NULL && certificate->authorization != NULL &&
		sender->refused == NULL &&
		(!sender->circuit.open || c->push->probe) &&
		strcmp(certificate->authorization, c->request->authorization) == 0)
		sender->refused = MemoryContextStrdup(sender_shared.context,
											  certificate->authorization);
	c->lane->state = LANE_DRAINING;
	if (!send_again(c, RESENDS_REFUSED))
		give_retry(c);
}

/* The server is in trouble; if that is what most answers say, all wait. */
static void
count_trouble(Case *c)
{
	if (!c->sender->circuit.open &&
		circuit_count(&c->sender->circuit, true, c->now))
		open_circuit(c, CIRCUIT_SERVER, NULL);
}

/*
 * The server wants this connection to end.  If it says so on connection after
 * connection, before anything else, it is in trouble.
 */
static void
connection_ends(Case *c)
{
	bool		fresh = c->lane->answers <= 1;

	c->lane->state = LANE_DRAINING;
	if ((fresh && c->push->resends > 0) || !send_again(c, RESENDS_REFUSED))
		give(c, VERDICT_FREE_RETRY, c->now + RESEND_PAUSE);
	if (fresh)
		count_trouble(c);
}

/* Smoothed, and with its deviation, as TCP does (RFC 6298). */
static void
note_latency(Case *c)
{
	Sender	   *sender = c->sender;
	int64		latency = lane_clock() - c->request->started_at;

	if (sender->latency == 0)
	{
		sender->latency = latency;
		sender->deviation = latency / 2;
		return;
	}
	sender->deviation += (Abs(latency - sender->latency) -
						  sender->deviation) / 4;
	sender->latency += (latency - sender->latency) / 8;
}

/* What an answer of any kind proves. */
static void
note_answer(Case *c)
{
	Sender	   *sender = c->sender;

	lane_answered(c->lane, c->request->status == 200,
				  (int) sender->first_window);
	sender_heard(sender);
	sender->cold_failures = 0;
	note_latency(c);
	c->push->apns_status = c->request->status;
	c->push->answered_at = c->now;
	if (is_current(c) && circuit_answered(&sender->circuit, c->now))
		sender_circuit_closed(sender);
	if (c->answer.class == ANSWER_SERVER ||
		c->answer.class == ANSWER_CONNECTION)
		return;
	circuit_count(&sender->circuit, false, c->now);
	if (sender->circuit.open && sender->circuit.kind == CIRCUIT_SERVER &&
		c->push->probe)
	{
		circuit_close(&sender->circuit, c->now);
		sender_circuit_closed(sender);
	}
}

/*
 * Since when APNs has not known the token (milliseconds since the epoch).
 * Where it does not say, what has been registered since the push was planned
 * is not meant.
 */
static int64
unregistered_at(Case *c)
{
	if (c->answer.timestamp != 0)
		return c->answer.timestamp;
	return (c->push->decided_at + 999) / 1000 +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * MSECS_PER_DAY;
}

static void
settle_answered(Case *c)
{
	Push	   *push = c->push;

	answer_from_status(&c->answer, c->request->status, c->request->body,
					   c->request->body_length);
	note_answer(c);
	switch (c->answer.class)
	{
		case ANSWER_SENT:
			busy_token_forget(c->sender->name, push->token);
			proved(c);
			give(c, VERDICT_SENT, c->now);
			break;
		case ANSWER_TOKEN_DEAD:
			proved(c);
			push->unregistered_at = unregistered_at(c);
			give(c, VERDICT_TOKEN_DEAD, c->now);
			break;
		case ANSWER_TOKEN_DOUBTED:
			token_doubted(c);
			break;
		case ANSWER_TOKEN_BUSY:
			give(c, VERDICT_RETRY,
				 busy_token_note(c->sender->name, push->token,
								 push->attempts, c->now));
			break;
		case ANSWER_PROVIDER_TOKEN_EXPIRED:
			provider_token_expired(c);
			break;
		case ANSWER_PROVIDER_TOKEN_UNRELATED:
			/* On a fresh connection there is no other key to blame. */
			c->lane->state = LANE_DRAINING;
			if (c->lane->answers > 1 && send_again(c, RESENDS_REFUSED))
				break;
			open_circuit(c, CIRCUIT_CONFIGURATION, NULL);
			give_free(c);
			break;
		case ANSWER_PROVIDER_TOKEN_TOO_NEW:
			if (is_current(c))
				send_pause_renewal(c->lane->target->certificate,
								   c->now + RENEWAL_PAUSE);
			open_circuit(c, CIRCUIT_CONFIGURATION, NULL);
			give_free(c);
			break;
		case ANSWER_CONFIGURATION:
			open_circuit(c, CIRCUIT_CONFIGURATION, NULL);
			give_free(c);
			break;
		case ANSWER_CONNECTION:
			connection_ends(c);
			break;
		case ANSWER_SERVER:
			give_retry(c);
			count_trouble(c);
			break;
		default:
			give(c, VERDICT_FAILED, c->now);
			break;
	}
}

/* What libcurl or nghttp2 says, unless it shows the token: then nothing. */
static const char *
error_detail(Case *c)
{
	char	   *error = c->lane->error;
	char	   *at;

	if (strstr(error, c->push->token) != NULL)
		return NULL;
	for (at = error; *at != '\0'; at++)
		if ((unsigned char) *at < 0x20)
			*at = ' ';
	return error;
}

/* Another lane of the certificate can be used. */
static bool
has_other_lane(Case *c)
{
	dlist_iter	iter;

	dlist_foreach(iter, &c->sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane != c->lane && lane->state == LANE_WARM && !lane->dead)
			return true;
	}
	return false;
}

/*
 * A connection that never brought an answer has failed.  True if so have
 * enough of them: there is nobody.
 */
static bool
is_nobody(Case *c)
{
	return c->lane->answers == 0 &&
		++c->sender->cold_failures >= COLD_FAILURES && !has_other_lane(c);
}

/*
 * It never left.  On a connection that is made: that has ended before.
 * Otherwise there is no connection to be had.
 */
static void
settle_not_sent(Case *c)
{
	c->lane->state = LANE_DRAINING;
	if (c->lane->established ? !is_nobody(c) : has_other_lane(c))
	{
		queue_again(c);
		return;
	}
	open_circuit(c, c->answer.class == ANSWER_NOT_AGREED ?
				 CIRCUIT_AGREEMENT : CIRCUIT_CONNECTION, error_detail(c));
	give_free(c);
}

/* It was sent, and the peer said that it has not looked at it. */
static void
settle_not_processed(Case *c)
{
	c->answer.class = ANSWER_NOT_PROCESSED;
	c->answer.reason = "stream_refused";
	if (c->lane->state != LANE_DRAINING)
		lane_refused(c->lane, c->request);
	if (is_nobody(c))
	{
		open_circuit(c, CIRCUIT_CONNECTION, NULL);
		give_free(c);
	}
	else if (!send_again(c, RESENDS_REFUSED))
		give(c, VERDICT_FREE_RETRY, c->now + RESEND_PAUSE);
}

/* It was sent, and no answer came. */
static void
settle_uncertain(Case *c)
{
	bool		nobody;

	/* TLS 1.3 tells a client that it is not welcome after the handshake. */
	if (c->lane->answers == 0 && strstr(c->lane->error, "alert") != NULL)
	{
		c->answer.reason = "tls_refused";
		open_circuit(c, CIRCUIT_AGREEMENT, error_detail(c));
		give_free(c);
		return;
	}

	/* A stream that is closed cleanly has lost its answer on the way. */
	nobody = is_nobody(c);
	if (c->request->clean && send_again(c, RESENDS_UNCERTAIN))
		return;
	if (c->request->code != CURLE_HTTP2_STREAM &&
		c->request->code != CURLE_OPERATION_TIMEDOUT)
	{
		if (c->lane->broken)
			sender_lost(c->sender, c->lane);
		c->lane->broken = false;
		c->lane->state = LANE_DRAINING;
		if (!nobody && send_again(c, RESENDS_UNCERTAIN))
			return;
	}
	give_retry(c);
	if (nobody)
		open_circuit(c, CIRCUIT_CONNECTION, error_detail(c));
}

/*
 * A refusal without its reason, for the body was cut off: what it would have
 * been is not known.  (A 410 and a 429 say enough; what is longer than an
 * answer of APNs we have cut off ourselves.)
 */
static bool
is_cut_off(const Request *request)
{
	return request->status >= 400 && request->status < 500 &&
		request->status != 410 && request->status != 429 &&
		!request->whole && request->body_length <= ANSWER_BODY_SIZE;
}

static void
settle(Sender *sender, Lane *lane, Request *request, TimestampTz now)
{
	Case		c;

	memset(&c, 0, sizeof(c));
	c.sender = sender;
	c.lane = lane;
	c.request = request;
	c.push = request->push;
	c.now = now;

	if (request->status != 0 && !is_cut_off(request))
	{
		settle_answered(&c);
		return;
	}
	answer_from_failure(&c.answer, request->code, request->sent);
	c.push->apns_status = 0;
	c.push->answered_at = now;
	if (request->not_processed)
		settle_not_processed(&c);
	else if (request->sent)
		settle_uncertain(&c);
	else
		settle_not_sent(&c);
}

void
verdict_collect(Sender *sender, Lane *lane, TimestampTz now)
{
	Request    *request;

	while ((request = lane_finished(lane)) != NULL)
	{
		sender->under_way--;
		sender_shared.under_way--;
		settle(sender, lane, request, now);
		request_free(request);
	}
}
