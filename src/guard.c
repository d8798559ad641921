/*
 * guard.c
 *		Keeps a wrong configuration from costing people their tokens.
 *
 * Owns the verdicts BadDeviceToken and DeviceTokenNotForTopic from their
 * arrival until it is known what they mean.  One by one they mean a dead
 * token; all tokens refused means the wrong environment or topic.  It must
 * never let a token go without either a success of the same certificate close
 * by, or the means to bring the binding back to life.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "guard.h"

/* A success so long ago is still a proof, if not too many verdicts follow. */
#define PROOF_TIME (60 * INT64CONST(1000000))

/* Verdicts are held back for so long. */
#define HOLD_TIME (2 * INT64CONST(1000000))

void
guard_init(Guard *guard)
{
	memset(guard, 0, sizeof(*guard));
	dlist_init(&guard->held);
}

static uint64
token_hash(const char *token)
{
	uint64		hash;

	hash = DatumGetUInt64(hash_any_extended((const unsigned char *) token,
											strlen(token), 0));
	return hash != 0 ? hash : 1;
}

static void
note(Guard *guard, const char *token)
{
	uint64		hash = token_hash(token);

	guard->tried[hash % GUARD_TRIED] = hash;
}

bool
guard_has_tried(const Guard *guard, const char *token)
{
	uint64		hash = token_hash(token);

	return guard->tried[hash % GUARD_TRIED] == hash;
}

void
guard_note(Guard *guard, const Push *push)
{
	note(guard, push->token);
}

GuardVerdict
guard_judge(Guard *guard, Push *push, TimestampTz now)
{
	note(guard, push->token);

	/*
	 * Counted since the last success, however close by that is: what was true
	 * a minute ago need not be true any more.
	 */
	if (guard->held_count + guard->doubtful_count + 1 >= GUARD_VERDICTS)
		return GUARD_CONFIGURATION;
	if (guard->proved_at != 0 && now - guard->proved_at <= PROOF_TIME)
		return GUARD_DEAD;

	if (guard->held_count == 0)
		guard->held_since = now;
	dlist_push_tail(&guard->held, &push->node);
	guard->held_count++;
	return GUARD_HELD;
}

static void
forget_doubtful(Guard *guard)
{
	while (guard->doubtful_count > 0)
		pfree(guard->doubtful[--guard->doubtful_count]);
}

void
guard_forget_tried(Guard *guard)
{
	memset(guard->tried, 0, sizeof(guard->tried));
}


void
guard_proved(Guard *guard, TimestampTz now)
{
	guard->proved_at = now;
	forget_doubtful(guard);
}

void
guard_refuted(Guard *guard)
{
	guard->refuses = true;
	guard->proved_at = 0;
	while (guard->doubtful_count > 0)
	{
		char	   *token = guard->doubtful[--guard->doubtful_count];

		if (guard->wronged_count < GUARD_VERDICTS)
			guard->wronged[guard->wronged_count++] = token;
		else
			pfree(token);
	}
}

/*
 * Tokens that were given up without a proof since are not to suffer for how
 * the certificate was before somebody changed it.
 */
void
guard_forget(Guard *guard)
{
	Assert(guard->held_count == 0);
	guard_refuted(guard);
	guard->refuses = false;
	guard_forget_tried(guard);
}

Push *
guard_release(Guard *guard)
{
	if (guard->held_count == 0)
		return NULL;
	guard->held_count--;
	return dlist_container(Push, node, dlist_pop_head_node(&guard->held));
}

TimestampTz
guard_release_at(const Guard *guard)
{
	return guard->held_count > 0 ? guard->held_since + HOLD_TIME : 0;
}

void
guard_give_up(Guard *guard, const Push *push, MemoryContext context)
{
	if (guard->doubtful_count < GUARD_VERDICTS)
		guard->doubtful[guard->doubtful_count++] =
			MemoryContextStrdup(context, push->token);
}

void
guard_restore(Guard *guard, const char *token, bool wronged,
			  MemoryContext context)
{
	char	  **tokens = guard->doubtful;
	int		   *count = &guard->doubtful_count;

	if (wronged)
	{
		tokens = guard->wronged;
		count = &guard->wronged_count;
	}
	if (*count >= GUARD_VERDICTS)
		return;
	tokens[(*count)++] = MemoryContextStrdup(context, token);
	if (!wronged)
		note(guard, token);
}
