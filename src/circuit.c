/*
 * circuit.c
 *		The circuit of a certificate: closed, or open with a reason.
 *
 * Owns the state, the times of the probes and the arithmetic of backing off.
 * It must never know about queues or connections: sender.c acts on what these
 * functions return.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "circuit.h"

#define PROBE_FIRST 1000		/* ms */
#define PROBE_MOST 5000
#define PROBE_MOST_PATIENT 60000

/*
 * A fault that a person has to mend is tried every few seconds for so long,
 * for somebody is likely to be at it, and then ever more seldom: APNs slows
 * down and disconnects senders that keep making mistakes.
 */
#define PATIENT_AFTER (2 * 60 * 1000)	/* ms */

/* Answers older than that say nothing about now. */
#define RECENT_TIME 10000		/* ms */
#define RECENT_ENOUGH 10

/* Not every success is worth telling: once in so many ms. */
#define SUCCESS_SHOWN_EVERY 10000

static uint64 generation = 1;
static uint64 closings = 0;

uint64
circuit_generation(void)
{
	return generation;
}

uint64
circuit_closings(void)
{
	return closings;
}

/*
 * A number in [0, 1).  Nothing secret depends on it, and PostgreSQL's own
 * generator changes its name between 14 and 15.
 */
static double
random_fraction(void)
{
	static uint64 state = 0;

	if (state == 0)
		state = (uint64) GetCurrentTimestamp() ^ ((uint64) MyProcPid << 32) ^
			UINT64CONST(0x9e3779b97f4a7c15);
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double) (state >> 11) / (double) (UINT64CONST(1) << 53);
}

static int64
doubled(int64 base, int times, int64 most)
{
	while (times-- > 0 && base < most)
		base *= 2;
	return Min(base, most);
}

TimestampTz
backoff_due(TimestampTz now, int attempts, int64 base, int64 most)
{
	int64		limit = doubled(base, attempts, most);

	return now + (int64) (random_fraction() * limit * 1000);
}

/* The next probe: a doubling delay, of which a quarter is left to chance. */
static void
schedule_probe(Circuit *circuit, TimestampTz now)
{
	int64		most = PROBE_MOST;
	int64		delay;

	if ((circuit->kind == CIRCUIT_AGREEMENT ||
		 circuit->kind == CIRCUIT_CONFIGURATION) &&
		now - circuit->since > (int64) PATIENT_AFTER * 1000)
		most = PROBE_MOST_PATIENT;
	delay = doubled(PROBE_FIRST, circuit->failed_probes, most);
	circuit->next_probe_at = now +
		(int64) (delay * (0.75 + 0.25 * random_fraction()) * 1000);
}

bool
circuit_open(Circuit *circuit, CircuitKind kind, const char *reason,
			 const char *detail, TimestampTz now)
{
	bool		was_closed = !circuit->open;

	if (was_closed)
	{
		circuit->open = true;
		circuit->postponed_until = 0;
		circuit->since = now;
		circuit->failed_probes = 0;
		circuit->recent_count = 0;
	}
	else if ((circuit->kind == kind && strcmp(circuit->reason, reason) == 0) ||
			 (circuit->kind == CIRCUIT_FAULT && kind != CIRCUIT_FAULT))
		return false;
	circuit->kind = kind;
	strlcpy(circuit->reason, reason, sizeof(circuit->reason));
	strlcpy(circuit->detail, detail != NULL ? detail : "",
			sizeof(circuit->detail));
	if (kind == CIRCUIT_FAULT)
		circuit->next_probe_at = DT_NOEND;
	else
		schedule_probe(circuit, now);
	generation++;
	return was_closed;
}

void
circuit_close(Circuit *circuit, TimestampTz now)
{
	if (!circuit->open)
		return;
	circuit->open = false;
	circuit->reason[0] = '\0';
	circuit->detail[0] = '\0';
	circuit->since = now;
	circuit->next_probe_at = 0;
	circuit->recent_count = 0;
	generation++;
	closings++;
}

bool
circuit_succeeded(Circuit *circuit, bool probe, TimestampTz now)
{
	bool		closes = circuit->open &&
	(probe || circuit->kind != CIRCUIT_SERVER) &&
	circuit->kind != CIRCUIT_FAULT;

	circuit->last_success_at = now;
	if (now - circuit->shown_success_at >
		(int64) SUCCESS_SHOWN_EVERY * 1000 || closes)
	{
		circuit->shown_success_at = now;
		generation++;
	}
	if (closes)
		circuit_close(circuit, now);
	return closes;
}

bool
circuit_answered(Circuit *circuit, TimestampTz now)
{
	if (!circuit->open || (circuit->kind != CIRCUIT_CONNECTION &&
						   circuit->kind != CIRCUIT_AGREEMENT))
		return false;
	circuit_close(circuit, now);
	return true;
}

bool
circuit_count(Circuit *circuit, bool server_error, TimestampTz now)
{
	int			errors = 0;
	uint32		bits;

	if (now - circuit->recent_at > (int64) RECENT_TIME * 1000)
		circuit->recent_count = 0;
	circuit->recent_at = now;
	circuit->recent = (circuit->recent << 1) | (server_error ? 1 : 0);
	if (circuit->recent_count < CIRCUIT_RECENT)
		circuit->recent_count++;

	bits = circuit->recent & ((1U << circuit->recent_count) - 1);
	for (; bits != 0; bits &= bits - 1)
		errors++;
	return circuit->recent_count >= RECENT_ENOUGH &&
		errors * 2 > circuit->recent_count;
}

void
circuit_probe_started(Circuit *circuit)
{
	circuit->probes++;
	circuit->nothing_waits = false;
}

void
circuit_probe_ended(Circuit *circuit, bool failed, TimestampTz now)
{
	if (circuit->probes > 0)
		circuit->probes--;
	if (!circuit->open || circuit->kind == CIRCUIT_FAULT)
		return;
	if (failed)
		circuit->failed_probes++;
	schedule_probe(circuit, now);
	generation++;
}

TimestampTz
circuit_next_probe(const Circuit *circuit)
{
	if (!circuit->open || circuit->kind == CIRCUIT_FAULT ||
		circuit->probes > 0 || circuit->nothing_waits)
		return DT_NOEND;
	return Max(circuit->next_probe_at, circuit->postponed_until);
}

bool
circuit_probe_is_due(const Circuit *circuit, TimestampTz now)
{
	return circuit->open && circuit->kind != CIRCUIT_FAULT &&
		circuit->probes == 0 && circuit->next_probe_at <= now;
}

void
circuit_restore(Circuit *circuit, bool open, const char *reason,
				const char *detail, TimestampTz since,
				TimestampTz last_success_at, TimestampTz now)
{
	circuit->last_success_at = last_success_at;
	circuit->shown_success_at = last_success_at;

	/* A fault is found again by whoever loads the certificate. */
	if (circuit->open)
	{
		if (open && strcmp(circuit->reason, reason) == 0)
			circuit->since = since;
		return;
	}
	if (!open || reason == NULL)
		return;
	circuit_open(circuit, CIRCUIT_CONFIGURATION, reason, detail, now);
	circuit->since = since;
	circuit->next_probe_at = now;
}

void
circuit_probe_later(Circuit *circuit, TimestampTz now)
{
	if (!circuit->open || circuit->kind == CIRCUIT_FAULT)
		return;
	circuit->postponed_until = now + (int64) PROBE_MOST_PATIENT * 1000;
	generation++;
}

void
circuit_probe_has_come(Circuit *circuit)
{
	if (circuit->postponed_until == 0)
		return;
	circuit->postponed_until = 0;
	generation++;
}

void
circuit_probe_soon(Circuit *circuit, TimestampTz now)
{
	if (!circuit->open || circuit->kind == CIRCUIT_FAULT)
		return;
	circuit->nothing_waits = false;
	circuit->failed_probes = 0;
	circuit->next_probe_at = now;
	circuit->postponed_until = Min(circuit->postponed_until, now);
	generation++;
}
