/*
 * delay.h
 *		Answers that wait for their time: a heap, soonest first.
 */
#ifndef APNSIM_DELAY_H
#define APNSIM_DELAY_H

#include <stdbool.h>
#include <stdint.h>

struct request;

struct delays
{
	struct request **heap;
	int			n;
	int			size;
};

/* False: out of memory. */
extern bool delay_add(struct delays *delays, struct request *request);
extern void delay_remove(struct delays *delays, struct request *request);

/* The soonest one, or NULL. */
extern struct request *delay_first(const struct delays *delays);
extern void delay_free(struct delays *delays);

#endif
