/*
 * silence.c
 *		What is done about connections that bring no answer.
 *
 * Owns the judgement that a certificate's connections are silent, and what
 * follows from it: another one is tried, they take nothing new, the circuit
 * opens, and at last they are given up.  It must never wait, and never end
 * what is under way on a connection that has been answered before it is known
 * to be dead: that may have been processed.
 */
#include "postgres.h"

#include "guc.h"
#include "silence.h"
#include "verdict.h"

/* Requests under way and no answer to any of them. */
#define SLOW_TIME (INT64CONST(1) * 1000000)
#define STALL_TIME (INT64CONST(5) * 1000000)

int64
silence_patience(const Sender *sender, int64 least)
{
	return Min(Max(least, sender->latency + 4 * sender->deviation),
			   (int64) imp_request_timeout * 1000);
}

/*
 * When the silence began: no answer to anything since.  0 if nothing is under
 * way, but for what is left on connections that take nothing new.
 */
static int64
silent_since(Sender *sender, bool *established)
{
	int64		oldest = 0;
	int64		heard = 0;
	dlist_iter	iter;

	*established = false;
	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);
		Request    *request;

		heard = Max(heard, lane->heard_at);
		if (lane->in_flight == 0 || lane->state == LANE_DRAINING)
			continue;
		if (lane->established)
			*established = true;
		request = dlist_head_element(Request, node, &lane->under_way);
		if (oldest == 0 || request->started_at < oldest)
			oldest = request->started_at;
	}
	return oldest == 0 ? 0 : Max(oldest, heard);
}

/* A new connection may take some time to bring its first answer. */
static int64
cold_patience(const Sender *sender)
{
	if (sender->latency == 0)
		return STALL_TIME;
	return Min(Max(20 * sender->latency, SLOW_TIME), STALL_TIME);
}

/* A first request that gets no answer is tried on another connection. */
static bool
try_another(Sender *sender, TimestampTz now)
{
	bool		tried = false;
	dlist_iter	iter;

	if (sender->cold_failures + 1 >= COLD_FAILURES)
		return false;
	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane->in_flight == 0 || lane->state == LANE_DRAINING)
			continue;
		if (lane->answers > 0 || !lane->established)
			return false;
		lane_condemn(lane);
		verdict_collect(sender, lane, now);
		tried = true;
	}
	return tried;
}

/*
 * Its connections are silent: they take nothing new.  Deadlines end what is
 * under way, or an answer over a newer connection, see give_up_silent().  A
 * probe that is among it holds up no other.
 */
static void
mark_silent(Sender *sender, TimestampTz now)
{
	dlist_iter	iter;
	dlist_iter	inner;

	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane->state == LANE_DRAINING)
			continue;
		lane->state = LANE_DRAINING;
		lane->silent = true;
		dlist_foreach(inner, &lane->under_way)
		{
			Push	   *push = dlist_container(Request, node, inner.cur)->push;

			if (push->probe)
				circuit_probe_ended(&sender->circuit, true, now);
			push->probe = false;
		}
	}
}

/* A newer connection is answered: those that fell silent are dead. */
static void
give_up_silent(Sender *sender, TimestampTz now)
{
	uint64		answered = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (lane->answers > 0 && !lane->silent)
			answered = Max(answered, lane->number);
	}
	dlist_foreach(iter, &sender->lanes)
	{
		Lane	   *lane = dlist_container(Lane, node, iter.cur);

		if (!lane->silent || lane->number > answered)
			continue;
		lane->silent = false;
		lane_condemn(lane);
		verdict_collect(sender, lane, now);
	}
}

/*
 * A host that does not answer must not keep others' room: what waits for it
 * goes back, and its connections get nothing new.  If much waits for it and
 * there are others, that is soon, and its connections may yet answer, which
 * closes the circuit again.
 */
static void
check_silence(Sender *sender, TimestampTz now, int64 clock)
{
	bool		established;
	int64		since = silent_since(sender, &established);

	if (since == 0)
		return;
	if (sender->circuit.open)
	{
		if (clock - since > silence_patience(sender, STALL_TIME))
			mark_silent(sender, now);
		return;
	}
	if (clock - since > cold_patience(sender) && try_another(sender, now))
		return;
	if (clock - since > silence_patience(sender, STALL_TIME))
	{
		mark_silent(sender, now);
		sender_open_circuit(sender, CIRCUIT_CONNECTION,
							established ? "no_answer" : "connect_timeout",
							NULL, now);
	}
	else if (clock - since > silence_patience(sender, SLOW_TIME) &&
			 sender_shared.senders > 1 &&
			 sender->queued > imp_max_in_flight / 8)
		sender_open_circuit(sender, CIRCUIT_CONNECTION, "no_answer", NULL,
							now);
}

void
silence_watch(Sender *sender, TimestampTz now, int64 clock)
{
	check_silence(sender, now, clock);
	give_up_silent(sender, now);
}

int64
silence_next_watch(Sender *sender, int64 clock)
{
	bool		established;
	int64		since = silent_since(sender, &established);

	if (since == 0)
		return -1;
	return Max(since + silence_patience(sender, SLOW_TIME), clock + 500000);
}
