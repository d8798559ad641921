/*
 * send_circuit.c
 *		The transport's door, for those whose pushes have to wait.
 *
 * Owns what the worker is told of circuits and what it tells of them: which
 * certificates are to be left alone, when and with what they are tried, which
 * tokens were given up wrongly.  It must never send anything, and never touch
 * SQL.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "busy_token.h"
#include "send.h"
#include "sender.h"
#include "share.h"

/* What is due so soon is tried with what is due (microseconds). */
#define PROBES_TOGETHER (INT64CONST(500) * 1000)

uint64
send_circuit_generation(void)
{
	return circuit_generation();
}

static bool
holds_back(const Sender *sender)
{
	return sender->target != NULL && (sender->circuit.open || sender->full);
}

bool
send_holds_back(const char *certificate)
{
	Sender	   *sender = sender_find(certificate);

	return sender != NULL && holds_back(sender);
}

uint64
send_hold_generation(void)
{
	return circuit_closings() + sender_shared.eased;
}

int
send_page(void)
{
	int			room = PG_INT32_MAX;
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
		room = Min(room, share_room(dlist_container(Sender, node, iter.cur)));
	return room;
}

int
send_circuits(CircuitStatus **statuses)
{
	int			n = 0;
	dlist_iter	iter;

	*statuses = palloc0(Max(sender_shared.senders, 1) *
						sizeof(CircuitStatus));
	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);
		Circuit    *circuit = &sender->circuit;
		CircuitStatus *status = &(*statuses)[n];

		if (sender->target == NULL)
			continue;
		n++;
		status->certificate = pstrdup(sender->name);
		status->open = circuit->open;
		status->held_back = holds_back(sender);
		status->reason = circuit->open ? pstrdup(circuit->reason) : NULL;
		status->detail = circuit->detail[0] != '\0' ?
			pstrdup(circuit->detail) : NULL;
		status->since = circuit->since;
		status->next_probe_at = Max(circuit->next_probe_at,
									circuit->postponed_until);
		status->last_success_at = circuit->last_success_at;
	}
	return n;
}

void
send_restore_circuit(const CircuitStatus *status)
{
	Sender	   *sender = sender_find(status->certificate);

	if (sender == NULL)
		return;
	circuit_restore(&sender->circuit, status->open, status->reason,
					status->detail, status->since, status->last_success_at,
					GetCurrentTimestamp());
	if (status->last_success_at > sender->guard.proved_at)
		sender->guard.proved_at = status->last_success_at;
}

void
send_restore_doubted(const char *certificate, const char *token, bool wronged)
{
	Sender	   *sender = sender_find(certificate);

	if (sender != NULL)
		guard_restore(&sender->guard, token, wronged, sender_shared.context);
}

TimestampTz
send_next_probe(void)
{
	TimestampTz next = DT_NOEND;
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		if (sender->target != NULL)
			next = Min(next, circuit_next_probe(&sender->circuit));
	}
	return next;
}

int
send_probes_due(TimestampTz now, const char **certificates, int max)
{
	int			n = 0;
	dlist_iter	iter;

	if (send_next_probe() > now)
		return 0;
	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		if (n == max)
			break;
		if (sender->target == NULL ||
			circuit_next_probe(&sender->circuit) > now + PROBES_TOGETHER)
			continue;

		/* What was no good for a probe has waited long enough. */
		if (sender->circuit.postponed_until != 0)
			guard_forget_tried(&sender->guard);
		circuit_probe_has_come(&sender->circuit);
		certificates[n++] = sender->name;
	}
	return n;
}

void
send_probe_with_next(const char *certificate)
{
	Sender	   *sender = sender_find(certificate);

	if (sender != NULL)
		sender->circuit.nothing_waits = true;
}

void
send_probe_later(const char *certificate)
{
	Sender	   *sender = sender_find(certificate);

	if (sender != NULL)
		circuit_probe_later(&sender->circuit, GetCurrentTimestamp());
}

void
send_waits(const char *certificate)
{
	Sender	   *sender = sender_find(certificate);

	if (sender != NULL)
		sender->circuit.nothing_waits = false;
}

void
send_look_for_probes(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
		dlist_container(Sender, node, iter.cur)->circuit.nothing_waits = false;
}

bool
send_may_probe(const char *certificate, const char *token)
{
	Sender	   *sender = sender_find(certificate);

	return sender == NULL ||
		(!guard_has_tried(&sender->guard, token) &&
		 busy_token_until(certificate, token, GetCurrentTimestamp()) == 0);
}

int
send_wronged_tokens(char **certificate, char ***tokens)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);
		Guard	   *guard = &sender->guard;
		int			n = guard->wronged_count;
		int			i;

		if (n == 0)
			continue;
		*certificate = pstrdup(sender->name);
		*tokens = palloc(n * sizeof(char *));
		for (i = 0; i < n; i++)
		{
			(*tokens)[i] = pstrdup(guard->wronged[i]);
			pfree(guard->wronged[i]);
		}
		guard->wronged_count = 0;
		return n;
	}
	return 0;
}
