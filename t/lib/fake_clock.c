/*
 * fake_clock.c
 *		Time that a test can let pass: preloaded into a server, the clock that
 *		only ever grows is ahead by the seconds in the file FAKE_CLOCK.
 *
 * The file holds one int64 of this machine.  Every other clock is right, that
 * of the timestamps among them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_reader) (clockid_t, struct timespec *);

static clock_reader real;
static const volatile int64_t *ahead;

/* A program that the file is not meant for does without. */
__attribute__((constructor))
static void
init(void)
{
	const char *path = getenv("FAKE_CLOCK");
	int			fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void	   *file;

	real = (clock_reader) dlsym(RTLD_NEXT, "clock_gettime");
	if (fd < 0)
		return;
	file = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
	if (file != MAP_FAILED)
		ahead = file;
	close(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result;

	/* Somebody else's constructor may come first. */
	if (real == NULL)
		real = (clock_reader) dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, now);
	if (result == 0 && ahead != NULL && clock == CLOCK_MONOTONIC)
		now->tv_sec += *ahead;
	return result;
}
