/*
 * processor.c
 *		Whether the processors have more to do than they can.
 *
 * Linux tells for each process how long it has run and how long it could have
 * run and had to wait (proc(5), /proc/PID/schedstat).  Must never fail: without
 * that file everybody has the processor for himself.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "processor.h"

/* Who waits for such a part of the time for which he runs is not alone. */
#define BUSY_PART 8

/* Both in nanoseconds since the process began; false if they are not told. */
static bool
read_times(uint64 *ran, uint64 *waited)
{
	static int	fd = -1;
	static bool tried = false;
	char text[	128];
	ssize_t		length;

	if (!tried)
		fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	tried = true;
	if (fd < 0)
		return false;
	length = pread(fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return false;
	text[		length] = '\0';

	return sscanf(text, UINT64_FORMAT " " UINT64_FORMAT, ran, waited) == 2;
}

int64
processor_waited(void)
{
	static uint64 last_ran = 0;
	static uint64 last_waited = 0;
	uint64		ran;
	uint64		waited;
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
