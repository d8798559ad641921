/*
 * circuit.h
 *		Whether anything can be sent for a certificate, and when to try again.
 *
 * A Circuit belongs to one sender.  Whoever opens or closes it acts on what
 * these functions return.
 */
#ifndef IMP_CIRCUIT_H
#define IMP_CIRCUIT_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "answer.h"

/* Who mends it decides how often it is tried. */
typedef enum CircuitKind
{
	CIRCUIT_CONNECTION,			/* network or server gone: every few seconds */
	CIRCUIT_SERVER,				/* the server answers with errors: likewise */
	CIRCUIT_AGREEMENT,			/* TLS, protocol: a person; ever more seldom */
	CIRCUIT_CONFIGURATION,		/* APNs refuses us: a person; likewise */
	CIRCUIT_FAULT				/* no key: not tried until there is one */
} CircuitKind;

/* Answers of the last moments that are looked at for "most are 5xx". */
#define CIRCUIT_RECENT 20

typedef struct Circuit
{
	bool		open;
	CircuitKind kind;
	char		reason[ANSWER_REASON_SIZE];
	char		detail[256];	/* empty: none */
	TimestampTz since;
	TimestampTz next_probe_at;
	TimestampTz postponed_until;	/* what waits is no good before; 0: it may
									 * be */
	TimestampTz last_success_at;
	TimestampTz shown_success_at;	/* as of the last change that was told */
	int			failed_probes;
	int			probes;			/* under way */
	bool		nothing_waits;	/* that could be a probe */

	/* The last answers: a bit each, 1 for a 5xx */
	uint32		recent;
	int			recent_count;
	TimestampTz recent_at;
} Circuit;

/*
 * Opens it, or renews the reason of one that is open.  True if it was closed:
 * then all that waits for it must be handed back.
 */
extern bool circuit_open(Circuit *circuit, CircuitKind kind,
						 const char *reason, const char *detail,
						 TimestampTz now);
extern void circuit_close(Circuit *circuit, TimestampTz now);

/*
 * A 200, or a 410: the whole way works.  True if that closed it.  An outage
 * of the server is over only when a probe says so, for some answers are good
 * all the time.
 */
extern bool circuit_succeeded(Circuit *circuit, bool probe, TimestampTz now);

/* Any answer at all: the connection works.  True if that closed it. */
extern bool circuit_answered(Circuit *circuit, TimestampTz now);

/*
 * Counts an answer, server_error telling whether it was a 5xx.  True if most
 * of the last ones were.
 */
extern bool circuit_count(Circuit *circuit, bool server_error,
						  TimestampTz now);

/* A probe goes out; one has come back without closing the circuit. */
extern void circuit_probe_started(Circuit *circuit);
extern void circuit_probe_ended(Circuit *circuit, bool failed,
								TimestampTz now);

/* Open, and the next probe is due, and none is under way. */
extern bool circuit_probe_is_due(const Circuit *circuit, TimestampTz now);

/* When that will be; DT_NOEND: not before something else happens. */
extern TimestampTz circuit_next_probe(const Circuit *circuit);

/* As it was before the process started; tried at once. */
extern void circuit_restore(Circuit *circuit, bool open, const char *reason,
							const char *detail, TimestampTz since,
							TimestampTz last_success_at, TimestampTz now);

/*
 * There is no good probe among what waits: it is not looked at again for a
 * while, unless something comes that could be one.
 */
extern void circuit_probe_later(Circuit *circuit, TimestampTz now);
extern void circuit_probe_has_come(Circuit *circuit);

/* Something has changed: the next probe is due now. */
extern void circuit_probe_soon(Circuit *circuit, TimestampTz now);

/* Grows with every change of any circuit that people should see. */
extern uint64 circuit_generation(void);

/* Grows with each one that closes. */
extern uint64 circuit_closings(void);

/*
 * When to try again after so many attempts: full jitter over a time that
 * starts at base and doubles up to most (milliseconds).
 */
extern TimestampTz backoff_due(TimestampTz now, int attempts,
							   int64 base, int64 most);

#endif							/* IMP_CIRCUIT_H */
