/*
 * delay.c
 *		A binary heap of requests by due_ms.
 *
 * Each request knows its slot, so that one whose client has gone can leave
 * at once: the heap never holds a request that is no more.
 */
#include <stdlib.h>

#include "delay.h"
#include "request.h"

static void
place(struct delays *delays, int slot, struct request *request)
{
	delays->heap[slot] = request;
	request->delay_slot = slot;
}

static void
sift_up(struct delays *delays, int slot)
{
	struct request *request = delays->heap[slot];

	while (slot > 0)
	{
		int			parent = (slot - 1) / 2;

		if (delays->heap[parent]->due_ms <= request->due_ms)
			break;
		place(delays, slot, delays->heap[parent]);
		slot = parent;
	}
	place(delays, slot, request);
}

static void
sift_down(struct delays *delays, int slot)
{
	struct request *request = delays->heap[slot];

	for (;;)
	{
		int			child = 2 * slot + 1;

		if (child >= delays->n)
			break;
		if (child + 1 < delays->n &&
			delays->heap[child + 1]->due_ms < delays->heap[child]->due_ms)
			child++;
		if (request->due_ms <= delays->heap[child]->due_ms)
			break;
		place(delays, slot, delays->heap[child]);
		slot = child;
	}
	place(delays, slot, request);
}

bool
delay_add(struct delays *delays, struct request *request)
{
	if (delays->n == delays->size)
	{
		int			size = delays->size == 0 ? 256 : delays->size * 2;
		struct request **heap = realloc(delays->heap,
										(size_t) size * sizeof(struct request *));

		if (heap == NULL)
			return false;
		delays->heap = heap;
		delays->size = size;
	}
	place(delays, delays->n++, request);
	sift_up(delays, delays->n - 1);
	return true;
}

void
delay_remove(struct delays *delays, struct request *request)
{
	int			slot = request->delay_slot;
	struct request *last;

	if (slot < 0)
		return;
	request->delay_slot = -1;
	last = delays->heap[--delays->n];
	if (last == request)
		return;
	place(delays, slot, last);
	sift_up(delays, slot);
	sift_down(delays, last->delay_slot);
}

struct request *
delay_first(const struct delays *delays)
{
	return delays->n > 0 ? delays->heap[0] : NULL;
}

void
delay_free(struct delays *delays)
{
	free(delays->heap);
}
