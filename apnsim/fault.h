/*
 * fault.h
 *		Faults that a test has ordered: to which requests, and what happens.
 */
#ifndef APNSIM_FAULT_H
#define APNSIM_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum fault_kind
{
	FAULT_NONE,					/* none but delay, early or status */
	FAULT_REFUSE,				/* REFUSED_STREAM, nothing was processed */
	FAULT_RESET,				/* RST_STREAM after the body */
	FAULT_SILENT,				/* no answer */
	FAULT_GOAWAY,				/* GOAWAY beside the answer */
	FAULT_CLOSE,				/* the TCP connection is closed */
	FAULT_CUT,					/* RST_STREAM instead of the answer's body */
	FAULT_HUGE,					/* a very long answer */
	FAULT_GARBAGE,				/* an answer that is not JSON */
	FAULT_REDIRECT				/* an answer with a location */
};

enum
{
	FAULT_WORD = 64,
	FAULT_PREFIX = 400,
	FAULT_LOCATION = 256,
	FAULT_RULES = 256			/* so many may stand at a time */
};

struct fault
{
	struct fault *next;
	int			references;		/* the list's, and each request's */
	char		name[FAULT_WORD];

	/* To which requests. */
	char		prefix[FAULT_PREFIX + 1];	/* of the token, lower case */
	char		topic[FAULT_LOCATION];	/* "": any */
	int64_t		count;			/* so many times, 0: no limit */
	int64_t		every;			/* to each every-th, 1: to all */
	int64_t		until_ms;		/* 0: no end */
	int64_t		seen;			/* requests that matched */
	int64_t		fired;			/* of these, so many met the fault */

	/* What happens. */
	enum fault_kind kind;
	int			status;			/* 0: as without the fault */
	char		reason[FAULT_WORD]; /* "": the status' own; "none": no body */
	int64_t		timestamp;		/* milliseconds, 0: now, for a 410 */
	int64_t		delay_ms;
	bool		early;			/* answered when the headers are there */
	bool		stop;			/* and the body is refused: RST NO_ERROR */
	int64_t		last;			/* last stream id of a GOAWAY, -1: this one */
	int64_t		bytes;			/* of a huge answer */
	char		location[FAULT_LOCATION];
};

struct faults
{
	struct fault *first;		/* in the order in which they were set */
	int			n;
	uint64_t	set;			/* ever, for names */
};

/*
 * Reads "prefix=ab every=10 status=503" and adds it.  NULL: the reason is in
 * *error.  now_ms is the clock for seconds=N.
 */
extern const struct fault *fault_set(struct faults *faults, char *words,
									 int64_t now_ms, const char **error);
extern void fault_clear(struct faults *faults);

/*
 * The fault that this request meets, as a new reference, or NULL.  Counts
 * the request in every rule that it matches up to there.
 */
extern struct fault *fault_match(struct faults *faults, struct text token,
								 struct text topic, int64_t now_ms);
extern void fault_release(struct fault *fault);

static inline enum fault_kind
fault_kind_of(const struct fault *fault)
{
	return fault != NULL ? fault->kind : FAULT_NONE;
}

/* The reason that goes with the status of a fault, NULL: none. */
extern const char *fault_reason(const struct fault *fault);

#endif
