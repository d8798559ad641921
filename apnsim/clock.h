/*
 * clock.h
 *		What time it is: the wall clock in microseconds, for the log and for
 *		ages of provider tokens, and a monotonic one for waiting.
 */
#ifndef APNSIM_CLOCK_H
#define APNSIM_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since the epoch. */
static inline int64_t
clock_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Milliseconds from some point in the past, never set back. */
static inline int64_t
clock_wait_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
