/*
 * breaker.c
 *		Fuzzes src/guard.c and src/circuit.c: any order of events.
 *
 * Each byte is an event of one certificate.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "circuit.h"
#include "fuzz.h"
#include "guard.h"

#define SECOND INT64CONST(1000000)
#define PUSHES 64

/* The little of the server that these two units use. */

int			MyProcPid = 1;

TimestampTz
GetCurrentTimestamp(void)
{
	return 1;
}

char *
MemoryContextStrdup(MemoryContext context, const char *string)
{
	return pstrdup(string);
}

static Push pushes[PUSHES];
static bool held[PUSHES];
static Guard guard;
static Circuit circuit;
static TimestampTz now;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int			i;

	for (i = 0; i < PUSHES; i++)
		pushes[i].token = psprintf("%02x", i);
	return 0;
}

static void
judge(int i)
{
	int			before = guard.held_count + guard.doubtful_count;
	GuardVerdict verdict;

	if (held[i])
		return;
	verdict = guard_judge(&guard, &pushes[i], now);
	check("a refused token is no good for a probe",
		  guard_has_tried(&guard, pushes[i].token));
	switch (verdict)
	{
		case GUARD_HELD:
			held[i] = true;
			break;
		case GUARD_DEAD:
			check("a token dies only close to a success",
				  guard.proved_at != 0 && now - guard.proved_at <= 60 * SECOND);
			guard_give_up(&guard, &pushes[i], NULL);
			check("a token that dies can be brought back",
				  guard.doubtful_count > 0);
			break;
		case GUARD_CONFIGURATION:
			check("twenty without a success are the configuration",
				  before + 1 >= GUARD_VERDICTS);
			break;
	}
	check("the guard never holds twenty",
		  guard.held_count + guard.doubtful_count < GUARD_VERDICTS);
}

static void
release(void)
{
	int			count = guard.held_count;
	Push	   *push = guard_release(&guard);

	check("what is held comes out", (push != NULL) == (count > 0));
	if (push == NULL)
		return;
	check("only what is held comes out", held[push - pushes]);
	held[push - pushes] = false;
}

static void
check_guard(void)
{
	int			count = 0;
	int			i;

	for (i = 0; i < PUSHES; i++)
		count += held[i];
	check("no push is lost in the guard", count == guard.held_count);
	check("who is held is released in time",
		  (guard_release_at(&guard) != 0) == (count > 0));
	check("the wronged are few",
		  guard.wronged_count >= 0 && guard.wronged_count <= GUARD_VERDICTS);
}

static void
check_circuit(void)
{
	TimestampTz next = circuit_next_probe(&circuit);
	TimestampTz later = Max(circuit.since, now) + 61 * SECOND;

	check("an open circuit has a reason, a closed one has none",
		  circuit.open == (circuit.reason[0] != '\0'));
	check("a closed circuit is not probed",
		  circuit.open || !circuit_probe_is_due(&circuit, now + 3600 * SECOND));
	if (circuit.open && circuit.kind != CIRCUIT_FAULT &&
		circuit.probes == 0 && !circuit.nothing_waits)
		check("a probe comes within a minute", next <= later);
	if (circuit.probes > 0)
		check("one probe at a time", !circuit_probe_is_due(&circuit, now));
}

static void
circuit_event(int what)
{
	bool		was_open = circuit.open;
	CircuitKind kind = circuit.kind;

	switch (what)
	{
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
			check("who opens it is told",
				  circuit_open(&circuit, (CircuitKind) what, "reason", NULL,
							   now) == !was_open);
			check("it is open then", circuit.open);
			break;
		case 5:
			circuit_close(&circuit, now);
			check("it is closed then", !circuit.open);
			break;
		case 6:
			check("a success closes it unless the server's trouble is over "
				  "or the key is missing",
				  circuit_succeeded(&circuit, false, now) ==
				  (was_open && kind != CIRCUIT_SERVER && kind != CIRCUIT_FAULT));
			break;
		case 7:
			check("a probe's success closes it",
				  circuit_succeeded(&circuit, true, now) ==
				  (was_open && kind != CIRCUIT_FAULT));
			break;
		case 8:
			check("any answer closes what kept answers out",
				  circuit_answered(&circuit, now) ==
				  (was_open && (kind == CIRCUIT_CONNECTION ||
								kind == CIRCUIT_AGREEMENT)));
			break;
		case 9:
		case 10:
			circuit_count(&circuit, what == 10, now);
			break;
		case 11:
			if (circuit_probe_is_due(&circuit, now))
				circuit_probe_started(&circuit);
			break;
		case 12:
		case 13:
			circuit_probe_ended(&circuit, what == 13, now);
			break;
		case 14:
			circuit_probe_later(&circuit, now);
			break;
		default:
			circuit_probe_soon(&circuit, now);
			break;
	}
	check_circuit();
}

static void
guard_event(int what, int i)
{
	switch (what)
	{
		case 0:
		case 1:
			judge(i);
			break;
		case 2:
			release();
			break;
		case 3:
			guard_proved(&guard, now);
			break;
		case 4:
			guard_refuted(&guard);
			check("nothing is proved then", guard.proved_at == 0);
			break;
		case 5:
			while (guard.held_count > 0)
				release();
			guard_forget(&guard);
			break;
		default:
			guard_note(&guard, &pushes[i]);
			break;
	}
	check_guard();
}

static void
check_backoff(int attempts)
{
	TimestampTz due = backoff_due(now, attempts, 5000, 900000);
	int64		most = attempts > 8 ? 900000 : Min(5000 << attempts, 900000);

	check("one never goes back in time", due >= now);
	check("one waits no longer than the attempts allow",
		  due <= now + most * 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		i;

	memset(&circuit, 0, sizeof(circuit));
	memset(held, 0, sizeof(held));
	guard_init(&guard);
	now = 1000 * SECOND;
	for (i = 0; i < size; i++)
	{
		if (data[i] < 128)
			circuit_event(data[i] & 15);
		else if (data[i] < 240)
			guard_event((data[i] >> 4) & 7, i % PUSHES);
		else
			now += (INT64CONST(1) << (data[i] & 15)) * SECOND / 100;
		check_backoff(i % 40);
	}
	guard_refuted(&guard);
	while (guard.wronged_count > 0)
		pfree(guard.wronged[--guard.wronged_count]);
	return 0;
}
