/*
 * send.h
 *		The transport: pushes in, answers out.  Never touches SQL.
 *
 * Everything here runs outside of transactions (invariant 1), and nothing
 * here raises an ERROR for what a peer does: that ends in a verdict.
 */
#ifndef IMP_SEND_H
#define IMP_SEND_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "certificate.h"
#include "push.h"

/* Once, in the worker: curl_global_init and the private epoll descriptor. */
extern void send_init(MemoryContext parent);
extern int	send_epoll_fd(void);	/* readable: call send_drive() */

/*
 * Sets or replaces the configuration of a certificate; the transport owns it
 * from here on, and frees it at once if it is what it has already.  Connections
 * made with an earlier one finish what they carry and take nothing new.  No
 * network traffic: may be called inside a transaction.
 */
extern void send_set_certificate(Certificate *cert);
extern void send_remove_certificate(const char *name);

/*
 * Takes a push.  It comes back from send_next_answered(), exactly once: soon,
 * with VERDICT_FREE_RETRY, if the circuit of its certificate is open.
 */
extern void send_submit(Push *push);

/* After a number of them: what the kernel has collected leaves now. */
extern void send_flush(void);

/* Moves data: call when the epoll descriptor is readable or time has come. */
extern void send_drive(TimestampTz now);

/*
 * Milliseconds until send_drive() must be called; -1: not before data comes.
 * Probes are not its business, see send_next_probe().
 */
extern long send_timeout(TimestampTz now);

/* Pops a push that has its verdict, or NULL. */
extern Push *send_next_answered(void);

extern int	send_in_flight(void);	/* submitted and not handed back */
extern int	send_connections(void); /* open now */
extern uint64 send_resent(const char *certificate); /* requests, of one push */

/*
 * Certificates whose provider token must be renewed before they send on:
 * returns one such, or NULL; the caller calls certificate_authorize() in a
 * transaction and then send_authorized().  refused, may_make: see
 * certificate.h.
 */
extern Certificate *send_needs_token(const char **refused, bool *may_make);
extern void send_authorized(Certificate *cert, bool authorized);

/* Shutting down: hands back what was never sent as VERDICT_FREE_RETRY. */
extern void send_stop_new(void);
extern void send_start_new(void);	/* staying after all */
extern void send_finish(void);	/* closes all; what is left is forgotten */

/*
 * From here on send_circuit.c.
 *
 * Circuits.  The worker asks which are open, so as not to plan for them, and
 * mirrors them to imp_push.certificate_state when the generation changes.
 */
typedef struct CircuitStatus
{
	const char *certificate;
	bool		open;
	bool		held_back;		/* as by send_holds_back() */
	const char *reason;			/* NULL while closed */
	char	   *detail;			/* for people: what libcurl or APNs said,
								 * never a secret; or NULL */
	TimestampTz since;
	TimestampTz next_probe_at;	/* while open */
	TimestampTz last_success_at;	/* 0: none yet */
} CircuitStatus;

/*
 * What waits for this certificate is to be left alone, for its circuit is
 * open, or it is slow and has as much as it may have.  The generation grows
 * when that ends.
 */
extern bool send_holds_back(const char *certificate);
extern uint64 send_hold_generation(void);

/* So many waiting pushes may be submitted at once, whosever they are. */
extern int	send_page(void);

extern uint64 send_circuit_generation(void);	/* grows with each change */
extern int	send_circuits(CircuitStatus **statuses);	/* palloc'd array */
extern void send_restore_circuit(const CircuitStatus *status);	/* at start */

/*
 * A token that was given up before the process started, without a proof since;
 * wronged: it is known by now that the certificate was to blame.
 */
extern void send_restore_doubted(const char *certificate, const char *token,
								 bool wronged);

/*
 * Certificates whose circuit is open and whose probe is due, and if there is
 * one, those whose probe is due soon: the worker submits one waiting push of
 * each with probe = true.  Returns how many.
 */
extern int	send_probes_due(TimestampTz now, const char **certificates,
							int max);

/* When send_probes_due() will have some; DT_NOEND: not foreseeable. */
extern TimestampTz send_next_probe(void);

/*
 * Nothing waits that could be the probe: the next push submitted is it.  (As
 * is any push submitted while a probe is due.)
 */
extern void send_probe_with_next(const char *certificate);

/*
 * What waits is no good for a probe, for its tokens have just been refused or
 * are to be spared: after a while they are tried again.
 */
extern void send_probe_later(const char *certificate);

/* Something waits again that could be the probe, or may do so anywhere. */
extern void send_waits(const char *certificate);
extern void send_look_for_probes(void);

/*
 * False if APNs has refused this token as bad a short time ago, or has asked
 * to spare it: then it is no good for a probe, whatever the answer.
 */
extern bool send_may_probe(const char *certificate, const char *token);

/*
 * Tokens whose bindings were disabled before it turned out that the
 * certificate is to blame: they are to be live again.  Returns how many (0:
 * none), of one certificate; all palloc'd.  Each is handed out once.
 */
extern int	send_wronged_tokens(char **certificate, char ***tokens);

#endif							/* IMP_SEND_H */
