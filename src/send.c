/*
 * send.c
 *		The transport's door: pushes in, answers out.
 *
 * Owns the senders, one a certificate, and the private epoll descriptor in
 * which all of their connections live, so that the worker waits for one
 * descriptor whatever the number of connections.  It must never touch SQL,
 * never wait, and never raise an error for what a peer does.
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "busy_token.h"
#include "guc.h"
#include "send.h"
#include "sender.h"
#include "share.h"
#include "verdict.h"

/* A certificate that is not known yet will be soon (microseconds). */
#define UNKNOWN_PAUSE (INT64CONST(1) * 1000000)

/* Events that are taken from the kernel at a time */
#define EVENTS 64

static int	epoll_fd = -1;
static char *known_ca_file = NULL;

void
send_init(MemoryContext parent)
{
	memset(&sender_shared, 0, sizeof(sender_shared));
	sender_shared.context = AllocSetContextCreate(parent,
												  "imp_push transport",
												  ALLOCSET_DEFAULT_SIZES);
	dlist_init(&sender_shared.all);
	dlist_init(&sender_shared.answered);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not initialize libcurl")));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create epoll descriptor: %m")));
	lane_init(sender_shared.context, epoll_fd);
	busy_token_init(sender_shared.context);
	known_ca_file = MemoryContextStrdup(sender_shared.context, imp_ca_file);
}

int
send_epoll_fd(void)
{
	return epoll_fd;
}

/* ---------- certificates ---------- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_key(const EVP_PKEY *a, const EVP_PKEY *b)
{
	if (a == NULL || b == NULL)
		return a == b;
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	return EVP_PKEY_eq(a, b) == 1;
#else
	return EVP_PKEY_cmp(a, b) == 1;
#endif
}

/* Connections made with a are as good as those that b would make. */
static bool
same_connection(const Certificate *a, const Certificate *b)
{
	return same_text(a->origin, b->origin) &&
		same_text(a->team_id, b->team_id) &&
		same_text(a->key_id, b->key_id) &&
		same_key(a->signing_key, b->signing_key) &&
		same_text(a->client_certificate, b->client_certificate) &&
		same_text(a->client_key, b->client_key);
}

void
send_set_certificate(Certificate *cert)
{
	TimestampTz now = GetCurrentTimestamp();
	Sender	   *sender = sender_find(cert->name);
	Certificate *old = NULL;

	if (sender == NULL)
	{
		sender = sender_create(cert->name);
		dlist_push_head(&sender_shared.all, &sender->node);
		sender_shared.senders++;
	}
	if (sender->target != NULL)
		old = sender->target->certificate;

	if (old != NULL && same_text(old->fault, cert->fault) &&
		same_connection(old, cert))
	{
		/* A reload that changed nothing a connection depends on. */
		old->enabled = cert->enabled;
		old->expires_at = cert->expires_at;
		certificate_free(cert);
		return;
	}

	sender_retarget(sender, lane_target(cert));

	/* What was learned about the tokens was learned another way. */
	sender_release_held(sender, VERDICT_FREE_RETRY, now);
	guard_forget(&sender->guard);
	if (cert->fault != NULL)
		sender_open_circuit(sender, CIRCUIT_FAULT, cert->fault,
							cert->fault_detail, now);
	else if (sender->circuit.open && sender->circuit.kind == CIRCUIT_FAULT)
	{
		circuit_close(&sender->circuit, now);
		sender_circuit_closed(sender);
	}
	else
		circuit_probe_soon(&sender->circuit, now);
}

void
send_remove_certificate(const char *name)
{
	Sender	   *sender = sender_find(name);

	if (sender == NULL)
		return;
	sender_retarget(sender, NULL);
	sender_release_held(sender, VERDICT_FREE_RETRY, GetCurrentTimestamp());
}

/*
 * A changed imp_push.ca_file holds for new connections, and there is no
 * telling whether the old ones would still be trusted.
 */
static void
follow_ca_file(TimestampTz now)
{
	dlist_iter	iter;

	if (strcmp(known_ca_file, imp_ca_file) == 0)
		return;
	pfree(known_ca_file);
	known_ca_file = MemoryContextStrdup(sender_shared.context, imp_ca_file);
	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		sender_drain(sender);
		circuit_probe_soon(&sender->circuit, now);
	}
}

/* ---------- pushes ---------- */

static void
accept_push(Sender *sender, Push *push, TimestampTz now)
{
	const char *fault = request_fault(push);
	TimestampTz busy_until = busy_token_until(sender->name, push->token, now);

	/* Never sent, and so no probe, whatever it was meant to be */
	if (fault != NULL || busy_until != 0)
	{
		push->probe = false;
		if (fault != NULL)
			sender_answer(sender, push, VERDICT_FAILED, fault, now, now);
		else
			sender_answer(sender, push, VERDICT_FREE_RETRY,
						  "TooManyRequests", busy_until, now);
		return;
	}

	/* What comes when a probe is due, and could be one, is one. */
	if (!push->probe && sender->circuit.open &&
		!guard_has_tried(&sender->guard, push->token))
	{
		circuit_probe_has_come(&sender->circuit);
		push->probe = circuit_probe_is_due(&sender->circuit, now);
	}
	if (push->probe)
		circuit_probe_started(&sender->circuit);
	if (sender->circuit.open &&
		(!push->probe || sender->circuit.kind == CIRCUIT_FAULT))
	{
		sender_refuse(sender, push, now);
		return;
	}
	if (!push->probe && !share_takes(sender))
	{
		share_refuse(sender, push, now);
		return;
	}
	sender_queue(sender, push, false);
	sender_pump(sender, now);
}

void
send_submit(Push *push)
{
	TimestampTz now = GetCurrentTimestamp();
	Sender	   *sender = sender_find(push->certificate);

	push->verdict = VERDICT_NONE;
	push->reason = NULL;
	push->apns_status = 0;
	push->unregistered_at = 0;
	push->resends = 0;
	sender_shared.in_flight++;
	if (sender_shared.stopping)
		sender_answer(NULL, push, VERDICT_FREE_RETRY, "stopping", now, now);
	else if (sender == NULL || sender->target == NULL)
		sender_answer(NULL, push, VERDICT_FREE_RETRY, "no_certificate",
					  now + UNKNOWN_PAUSE, now);
	else
		accept_push(sender, push, now);
}

void
send_drive(TimestampTz now)
{
	struct epoll_event events[EVENTS];
	dlist_mutable_iter iter;
	int			n;
	int			i;

	follow_ca_file(now);
	n = epoll_wait(epoll_fd, events, EVENTS, 0);
	for (i = 0; i < n; i++)
	{
		Lane	   *lane = lane_event(events[i].data.u64, events[i].events);

		if (lane != NULL)
			verdict_collect(lane->sender, lane, now);
	}
	dlist_foreach_modify(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		sender_tick(sender, now, lane_clock());
		if (!sender_is_done(sender))
			continue;
		dlist_delete(&sender->node);
		sender_shared.senders--;
		sender_free(sender);
	}
	lane_flush();
}

void
send_flush(void)
{
	lane_flush();
}

long
send_timeout(TimestampTz now)
{
	int64		clock = lane_clock();
	int64		next = -1;
	dlist_iter	iter;

	if (!dlist_is_empty(&sender_shared.answered))
		return 0;
	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);
		int64		own = sender_next_tick(sender, now, clock);

		if (own >= 0 && (next < 0 || own < next))
			next = own;
	}
	if (next < 0)
		return -1;
	return next <= clock ? 0 : (long) ((next - clock + 999) / 1000);
}

Push *
send_next_answered(void)
{
	if (dlist_is_empty(&sender_shared.answered))
		return NULL;
	sender_shared.in_flight--;
	return dlist_container(Push, node,
						   dlist_pop_head_node(&sender_shared.answered));
}

int
send_in_flight(void)
{
	return sender_shared.in_flight;
}

int
send_connections(void)
{
	int			count = 0;
	dlist_iter	iter;
	dlist_iter	inner;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		dlist_foreach(inner, &sender->lanes)
		{
			Lane	   *lane = dlist_container(Lane, node, inner.cur);

			if (lane->established && !lane->dead)
				count++;
		}
	}
	return count;
}

uint64
send_resent(const char *certificate)
{
	Sender	   *sender = sender_find(certificate);

	return sender != NULL ? sender->resent : 0;
}

/* ---------- provider tokens ---------- */

/* All who send with that token heed what APNs has told one of them. */
void
send_pause_renewal(const Certificate *cert, TimestampTz until)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		if (sender->target != NULL &&
			same_text(sender->target->certificate->team_id, cert->team_id) &&
			same_text(sender->target->certificate->key_id, cert->key_id))
			sender->renew_after = until;
	}
}

Certificate *
send_needs_token(const char **refused, bool *may_make)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		if (!sender_needs_token(sender, now))
			continue;
		*refused = sender->refused;
		*may_make = now >= sender->renew_after;
		return sender->target->certificate;
	}
	return NULL;
}

void
send_authorized(Certificate *cert, bool authorized)
{
	TimestampTz now = GetCurrentTimestamp();
	Sender	   *sender = sender_find(cert->name);

	if (sender == NULL || sender->target == NULL ||
		sender->target->certificate != cert)
		return;

	/* If there is no other, the probes go with the one that was refused. */
	if (sender->refused != NULL)
		pfree(sender->refused);
	sender->refused = NULL;
	if (!authorized)
	{
		sender_open_circuit(sender, CIRCUIT_CONFIGURATION,
							cert->fault != NULL ? cert->fault :
							"no_provider_token", cert->fault_detail, now);
		sender_flush(sender, NULL, true, now, now);
	}
	sender_pump(sender, now);
}

/* ---------- the end ---------- */

void
send_stop_new(void)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	sender_shared.stopping = true;
	dlist_foreach(iter, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, iter.cur);

		sender_flush(sender, "stopping", true, now, now);
		sender_release_held(sender, VERDICT_FREE_RETRY, now);
	}
}

void
send_start_new(void)
{
	sender_shared.stopping = false;
}

void
send_finish(void)
{
	dlist_mutable_iter iter;
	dlist_iter	outer;

	dlist_foreach(outer, &sender_shared.all)
	{
		Sender	   *sender = dlist_container(Sender, node, outer.cur);

		dlist_foreach_modify(iter, &sender->lanes)
		{
			Lane	   *lane = dlist_container(Lane, node, iter.cur);
			Request    *request;

			lane_condemn(lane);
			while ((request = lane_finished(lane)) != NULL)
				request_free(request);
			dlist_delete(&lane->node);
			lane_close(lane);
		}
		sender_retarget(sender, NULL);
	}
	if (epoll_fd >= 0)
		close(epoll_fd);
	epoll_fd = -1;
	MemoryContextDelete(sender_shared.context);
	memset(&sender_shared, 0, sizeof(sender_shared));
}
