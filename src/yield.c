/*
 * yield.c
 *		When others are to have the processors first.
 *
 * Under a stream of messages the worker rests between its looks, so that it
 * takes half a processor at most and finds more at a time.  And where the
 * processors have more to do than they can, it would take from those who insert
 * what it needs itself: so it rests for longer, the longer it has had to wait
 * for a processor, until the oldest message that it has just seen is older than
 * imp_push.yield_limit.  Must never rest where there is no stream: a single
 * message is planned at once, however busy the machine.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "utils/timestamp.h"

#include "guc.h"
#include "yield.h"

/*
 * A stream: so many pushes in such a time (microseconds), or more than can be
 * kept up with
 */
#define STREAM 100
#define STREAM_TIME (INT64CONST(100) * 1000)

/* Who waits for such a part of the time for which he runs is not alone. */
#define BUSY_PART 8

/* Rests as long as the look took, up to so long; so it finds more at a time. */
#define LOOK_MOST_MS 10

/* Or so many times as long as it has waited for a processor, up to so long. */
#define WAITED_TIMES 100
#define WAITED_MOST_MS 1000

static TimestampTz counted_from = 0;
static int	count = 0;			/* pushes since then */
static bool stream = false;		/* the one before it was of a stream */
static TimestampTz oldest = DT_NOEND;	/* message, since the last look */
static TimestampTz rest_until = DT_NOBEGIN;

void
yield_planned(const Push *push)
{
	count++;
	oldest = Min(oldest, push->created_at);
}

/*
 * Linux tells for each process how long it has run and how long it could have
 * run and had to wait (proc(5), /proc/PID/schedstat), both in nanoseconds.
 * False where it does not.
 */
static bool
read_times(uint64 *ran, uint64 *waited)
{
	static int	fd = -1;
	static bool tried = false;
	char		line[128];
	ssize_t		length;

	if (!tried)
		fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	tried = true;
	if (fd < 0)
		return false;
	length = pread(fd, line, sizeof(line) - 1, 0);
	if (length <= 0)
		return false;
	line[length] = '\0';

	return sscanf(line, UINT64_FORMAT " " UINT64_FORMAT, ran, waited) == 2;
}

/*
 * For how long this process has waited for a processor since the last call
 * (microseconds); 0 if that was little beside the time for which it had one.
 */
static int64
waited_for_processor(void)
{
	static uint64 last_ran = 0;
	static uint64 last_waited = 0;
	uint64		ran = 0;
	uint64		waited = 0;
	uint64		ran_since;
	uint64		waited_since;

	if (!read_times(&ran, &waited))
		return 0;
	ran_since = ran - last_ran;
	waited_since = waited - last_waited;
	last_ran = ran;
	last_waited = waited;
	return waited_since < ran_since / BUSY_PART ? 0 :
		(int64) (waited_since / 1000);
}

void
yield_after(bool more, TimestampTz began, TimestampTz ended)
{
	int64		waited = waited_for_processor();
	int64		rest = 0;
	TimestampTz since = Min(oldest, ended);

	oldest = DT_NOEND;
	if (ended - counted_from >= STREAM_TIME)
	{
		stream = (stream && more) ||
			count * STREAM_TIME >= STREAM * (ended - counted_from);
		counted_from = ended;
		count = 0;
	}
	if (stream && !more)
		rest = Min(ended - began, LOOK_MOST_MS * INT64CONST(1000));
	if (stream && ended < TimestampTzPlusMilliseconds(since, imp_yield_limit))
		rest = Max(rest, Min(WAITED_TIMES * waited,
							 WAITED_MOST_MS * INT64CONST(1000)));
	rest_until = ended + rest;
}

/* One that is too long for a rest is what a clock that was set back leaves. */
TimestampTz
yield_until(TimestampTz now)
{
	return rest_until > TimestampTzPlusMilliseconds(now, WAITED_MOST_MS) ?
		now : Max(rest_until, now);
}
