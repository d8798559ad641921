/*
 * sender.c
 *		Carries the pushes of one certificate: queue, connections, circuit.
 *
 * Owns the choice of the lane for a push, the opening and closing of lanes,
 * and the handing back of what cannot go.  It must never wait, and never let
 * one certificate's trouble take the room of the others.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "sender.h"
#include "share.h"
#include "silence.h"
#include "verdict.h"

/* A connection idle for so long is not trusted any more (microseconds). */
#define IDLE_AGE (INT64CONST(600) * 1000000)

/* The first request after a silence has to prove the connection by then. */
#define TRUST_TIME (INT64CONST(1500) * 1000)

/*
 * Opening many connections is treated as an attack, so there is leave for so
 * many at once, and then so many a second; but so many answers over one pay
 * for the next.
 */
#define CONNECT_BURST 10
#define CONNECT_RATE 10
#define CONNECT_ANSWERS 16

/* Connections that only finish what they carry; the oldest has to go. */
#define DRAINING_MOST 16

/* A smaller first window grows by one in so many answers. */
#define WINDOW_ANSWERS 16

/* A provider token is refused at 60 minutes; see certificate_authorize(). */
#define TOKEN_UNUSABLE (INT64CONST(58) * 60 * 1000000)

SenderShared sender_shared;

Sender *
sender_create(const char *name)
{
	Sender	   *sender = MemoryContextAllocZero(sender_shared.context,
												sizeof(Sender));

	sender->name = MemoryContextStrdup(sender_shared.context, name);
	dlist_init(&sender->queue);
	dlist_init(&sender->lanes);
	guard_init(&sender->guard);
	sender->connect_credit = CONNECT_BURST;
	sender->first_window = LANE_FIRST_WINDOW;
	sender->credit_at = lane_clock();
	return sender;
}

/* The certificate asked for last is asked for next, more often than not. */
Sender *
sender_find(const char *name)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		if (strcmp(sender->name, name) == 0)
		{
			dlist_move_head(&sender_shared.all, &sender->node);
			return sender;
		}
	}
	return NULL;
}

bool
sender_is_done(const Sender *sender)
{
	return sender->target == NULL && sender->queued == 0 &&
		sender->guard.held_count == 0 && sender->guard.wronged_count == 0 &&
		dlist_is_empty((dlist_head *) &sender->lanes);
}

void
sender_free(Sender *sender)
{
	guard_refuted(&sender->guard);
	while (sender->guard.wronged_count > 0)
		pfree(sender->guard.wronged[--sender->guard.wronged_count]);
	pfree(sender->name);
	pfree(sender);
}

/* ---------- verdicts and the queue ---------- */

void
sender_answer(Sender *sender, Push *push, Verdict verdict,
			  const char *reason, TimestampTz due, TimestampTz now)
{
	if (push->probe && sender != NULL)
		circuit_probe_ended(&sender->circuit,
							verdict == VERDICT_FREE_RETRY ||
							verdict == VERDICT_RETRY, now);
	if (sender != NULL)
		sender->circuit.nothing_waits = false;
	push->verdict = verdict;
	push->reason = reason;
	push->due = due;

	/* Others have had an answer, and may have been held back since. */
	if (push->answered_at == 0)
		push->answered_at = now;
	dlist_push_tail(&sender_shared.answered, &push->node);
}

void
sender_queue(Sender *sender, Push *push, bool in_front)
{
	if (in_front)
		dlist_push_head(&sender->queue, &push->node);
	else
	{
		dlist_push_tail(&sender->queue, &push->node);
		push->queued_at = lane_clock();
	}
	sender->queued++;
	sender->active_at = lane_clock();
}

/*
 * The reason of an open circuit, kept with the push: the circuit changes.  If
 * it was the guard that opened it, a push that has never been tried does not
 * get the reason of those that have: by that the next probe is chosen.
 */
static const char *
circuit_reason(Sender *sender, Push *push)
{
	if (sender->guard.refuses)
		return "every_token_refused";
	strlcpy(push->reason_text, sender->circuit.reason,
			sizeof(push->reason_text));
	return push->reason_text;
}

void
sender_refuse(Sender *sender, Push *push, TimestampTz now)
{
	sender_answer(sender, push, VERDICT_FREE_RETRY,
				  circuit_reason(sender, push), now, now);
}

void
sender_flush(Sender *sender, const char *reason, bool probes_too,
			 TimestampTz due, TimestampTz now)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &sender->queue)
	{
		Push	   *push = dlist_container(Push, node, iter.cur);

		if (push->probe && !probes_too)
			continue;
		dlist_delete(&push->node);
		sender->queued--;
		if (reason != NULL)
			sender_answer(sender, push, VERDICT_FREE_RETRY, reason, due, now);
		else
			sender_refuse(sender, push, now);
	}
}

void
sender_open_circuit(Sender *sender, CircuitKind kind, const char *reason,
					const char *detail, TimestampTz now)
{
	bool		passes = kind == CIRCUIT_CONNECTION || kind == CIRCUIT_SERVER;

	if (!circuit_open(&sender->circuit, kind, reason, detail, now))
		return;
	/* A person has to mend it: loudly. */
	ereport(passes ? LOG : WARNING,
			(errcode(passes ? ERRCODE_CONNECTION_FAILURE :
					 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("nothing can be sent for certificate \"%s\": %s",
					sender->name, reason),
			 detail != NULL && detail[0] != '\0' ?
			 errdetail_internal("%s", detail) : 0,
			 errhint("Its messages wait, uncharged, until it works again.")));
	sender_flush(sender, NULL, kind == CIRCUIT_FAULT, now, now);
}

void
sender_circuit_closed(Sender *sender)
{
	dlist_iter	iter;

	/* Not everything at once to a server that has just come back. */
	sender->guard.refuses = false;
	dlist_foreach(iter, &sender->lanes)
		lane_slow_down(dlist_container(Lane, node, iter.cur),
					   (int) sender->first_window);
	ereport(LOG,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("certificate \"%s\" works again", sender->name)));
}

void
sender_release_held(Sender *sender, Verdict verdict, TimestampTz now)
{
	Push	   *push;

	while ((push = guard_release(&sender->guard)) != NULL)
		sender_answer(sender, push, verdict, push->reason, now, now);
}

/* ---------- lanes ---------- */

void
sender_drain(Sender *sender)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender->lanes)
		dlist_container(Lane, node, iter.cur)->state = LANE_DRAINING;
}

void
sender_retarget(Sender *sender, LaneTarget *target)
{
	sender_drain(sender);
	if (sender->target != NULL)
		lane_target_release(sender->target);
	sender->target = target;
	if (sender->refused != NULL)
		pfree(sender->refused);
	sender->refused = NULL;
	sender->renew_after = 0;
	sender->eager = true;
}

/* Closes the lanes that carry nothing and will carry nothing. */
static void
close_lanes(Sender *sender)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane->in_flight > 0 || !dlist_is_empty(&lane->finished) ||
			(lane->state != LANE_DRAINING && !lane->dead &&
			 lane->established))
			continue;
		dlist_delete(&lane->node);
		lane_close(lane);
	}
}

void
sender_heard(Sender *sender)
{
	sender->connect_credit = Min(sender->connect_credit +
								 1.0 / CONNECT_ANSWERS, CONNECT_BURST);
	sender->first_window = Min(sender->first_window + 1.0 / WINDOW_ANSWERS,
							   LANE_FIRST_WINDOW);
}

/*
 * What was under way on a lost connection may go out twice, so where
 * connections do not live long, less is put at stake.
 */
void
sender_lost(Sender *sender, const Lane *lane)
{
	sender->first_window = Max(Min(sender->first_window,
								   lane->answers) / 2, 1);
}

static bool
take_connect_credit(Sender *sender, int64 clock)
{
	sender->connect_credit += (double) (clock - sender->credit_at) *
		CONNECT_RATE / 1000000;
	sender->connect_credit = Min(sender->connect_credit, CONNECT_BURST);
	sender->credit_at = clock;
	if (sender->connect_credit < 1)
		return false;
	sender->connect_credit -= 1;
	return true;
}

/*
 * A lane with room: the one that carries least, or a new one.  NULL: there is
 * none, and an answer or the clock has to come first.
 */
static Lane *
choose_lane(Sender *sender, int64 clock)
{
	Lane	   *best = NULL;
	Lane	   *lane;
	int			alive = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &sender->lanes)
	{
		lane = dlist_container(Lane, node, iter.cur);
		if (lane->in_flight == 0 && clock - lane->used_at > IDLE_AGE)
			lane->state = LANE_DRAINING;
		if (lane->state == LANE_DRAINING || lane->dead)
			continue;
		if (++alive > imp_connections)
		{
			lane->state = LANE_DRAINING;
			continue;
		}
		if (lane_has_room(lane) &&
			(best == NULL || lane->in_flight < best->in_flight))
			best = lane;
	}
	if (best != NULL || alive >= imp_connections ||
		!take_connect_credit(sender, clock))
		return best;

	lane = lane_open(sender, sender->target);
	if (lane != NULL)
		dlist_push_tail(&sender->lanes, &lane->node);
	return lane;
}

/* Too many connections that wait for their last answers: that is enough. */
static void
limit_draining(Sender *sender, TimestampTz now)
{
	Lane	   *oldest = NULL;
	int			draining = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane->state != LANE_DRAINING || lane->in_flight == 0)
			continue;
		if (oldest == NULL)
			oldest = lane;
		draining++;
	}
	if (draining <= DRAINING_MOST)
		return;
	lane_condemn(oldest);
	verdict_collect(sender, oldest, now);
}

/* ---------- sending ---------- */

static const Certificate *
certificate_of(const Sender *sender)
{
	return sender->target->certificate;
}

/* No provider token that could be used: what waits has to wait for one. */
static bool
lacks_token(Sender *sender, TimestampTz now)
{
	const Certificate *certificate = certificate_of(sender);

	if (certificate->team_id == NULL)
		return false;
	return certificate->authorization == NULL || sender->refused != NULL ||
		(now - certificate->issued_at > TOKEN_UNUSABLE &&
		 now >= sender->renew_after);
}

bool
sender_needs_token(Sender *sender, TimestampTz now)
{
	const Certificate *certificate;

	if (sender->target == NULL)
		return false;
	certificate = certificate_of(sender);
	if (certificate->team_id == NULL ||
		(sender->circuit.open && sender->circuit.kind == CIRCUIT_FAULT))
		return false;
	if (lacks_token(sender, now))
		return sender->queued > 0;

	/* Renewed in good time, while the old one is still in use. */
	return now >= sender->renew_after &&
		lane_clock() - sender->active_at < INT64CONST(60) * 1000000 &&
		certificate_token_is_old(certificate);
}

static void
start_push(Sender *sender, Lane *lane, TimestampTz now)
{
	Push	   *push;

	push = dlist_container(Push, node, dlist_pop_head_node(&sender->queue));
	sender->queued--;
	if (lane->state == LANE_WARM && lane->in_flight == 0)
		lane->trust_time = silence_patience(sender, TRUST_TIME);
	sender->under_way++;
	sender_shared.under_way++;
	lane_start(lane, push);
	verdict_collect(sender, lane, now);
}

void
sender_pump(Sender *sender, TimestampTz now)
{
	while (sender->queued > 0)
	{
		int64		clock = lane_clock();
		Lane	   *lane;

		if (sender->target == NULL)
		{
			sender_flush(sender, "no_certificate", true, now + 1000000, now);
			break;
		}
		if (lacks_token(sender, now) || !share_is_left(sender) ||
			(lane = choose_lane(sender, clock)) == NULL)
			break;
		start_push(sender, lane, now);
	}
	close_lanes(sender);
}

/* ---------- time ---------- */

void
sender_tick(Sender *sender, TimestampTz now, int64 clock)
{
	dlist_iter	iter;
	TimestampTz release = guard_release_at(&sender->guard);

	sender->eager = false;
	if (release != 0 && release <= now)
	{
		Push	   *push;

		while ((push = guard_release(&sender->guard)) != NULL)
		{
			guard_give_up(&sender->guard, push, sender_shared.context);
			sender_answer(sender, push, VERDICT_TOKEN_DEAD, push->reason,
						  now, now);
		}
	}
	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);
		int64		next = lane_next_tick(lane);

		if (next >= 0 && next <= clock)
			lane_tick(lane, clock);
		verdict_collect(sender, lane, now);
	}
	silence_watch(sender, now, clock);
	limit_draining(sender, now);
	sender_pump(sender, now);
	share_watch(sender, now, clock);
}

static int64
sooner(int64 a, int64 b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

int64
sender_next_tick(Sender *sender, TimestampTz now, int64 clock)
{
	int64		next = -1;
	TimestampTz release = guard_release_at(&sender->guard);
	bool		usable = false; /* a lane, sooner or later */
	dlist_iter	iter;

	if (sender->eager)
		return clock;
	if (release != 0)
		next = sooner(next, clock + Max(release - now, 0));
	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		next = sooner(next, lane_next_tick(lane));
		if (lane->state != LANE_DRAINING)
			usable = true;
	}
	next = sooner(next, silence_next_watch(sender, clock));
	next = sooner(next, share_next_watch(sender));

	/* Waiting for leave to connect: see take_connect_credit(). */
	if (sender->queued > 0 && !usable)
		next = sooner(next, clock + 1000000 / CONNECT_RATE);
	return next;
}
