/*
 * busy_token.c
 *		TooManyRequests: one device token waits, nobody else does.
 *
 * Owns the times until which tokens are spared, so that another message to
 * the same device waits as well.  After a crash they are restored from the due
 * times of the waiting pushes.  It must never grow with the number of devices:
 * what it cannot hold it forgets.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "busy_token.h"
#include "circuit.h"

#define BUSY_TOKENS 4096
#define BUSY_FIRST 60000		/* ms */
#define BUSY_MOST (60 * 60000)

typedef struct BusyToken
{
	uint64		key;			/* of certificate and token */
	TimestampTz until;
	int			times;
} BusyToken;

static HTAB *busy_tokens = NULL;

void
busy_token_init(MemoryContext parent)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(BusyToken);
	control.hcxt = parent;
	busy_tokens = hash_create("imp_push busy tokens", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static uint64
key_of(const char *certificate, const char *token)
{
	uint64		seed;

	seed = DatumGetUInt64(hash_any_extended((const unsigned char *) certificate,
											strlen(certificate), 0));
	return DatumGetUInt64(hash_any_extended((const unsigned char *) token,
											strlen(token), seed));
}

/* Drops what has run out; all, if that does not help. */
static void
make_room(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	BusyToken  *busy;
	bool		all;

	for (all = false; hash_get_num_entries(busy_tokens) >= BUSY_TOKENS;
		 all = true)
	{
		hash_seq_init(&status, busy_tokens);
		while ((busy = hash_seq_search(&status)) != NULL)
			if (all || busy->until <= now)
				hash_search(busy_tokens, &busy->key, HASH_REMOVE, NULL);
	}
}

static BusyToken *
enter(const char *certificate, const char *token, TimestampTz now)
{
	uint64		key = key_of(certificate, token);
	BusyToken  *busy;
	bool		found;

	if (hash_get_num_entries(busy_tokens) >= BUSY_TOKENS)
		make_room(now);
	busy = hash_search(busy_tokens, &key, HASH_ENTER, &found);
	if (!found)
	{
		busy->times = 0;
		busy->until = 0;
	}
	return busy;
}

void
busy_token_restore(const char *certificate, const char *token, int attempts,
				   TimestampTz until, TimestampTz now)
{
	BusyToken  *busy = enter(certificate, token, now);

	busy->times = Max(busy->times, attempts);
	busy->until = Max(busy->until, until);
}

TimestampTz
busy_token_note(const char *certificate, const char *token, int attempts,
				TimestampTz now)
{
	BusyToken  *busy = enter(certificate, token, now);

	/* Answers to pushes that were under way together count once. */
	if (busy->until > now)
		return busy->until;

	/*
	 * "From 60 s, doubling, with jitter": the jitter comes on top, for sooner
	 * than that is no use.
	 */
	busy->times = Max(busy->times, attempts);
	busy->until = now + Min((int64) BUSY_FIRST << Min(busy->times, 6),
							BUSY_MOST) * 1000;
	busy->until = backoff_due(busy->until, 0, BUSY_FIRST / 4,
							  BUSY_FIRST / 4);
	busy->times++;
	return busy->until;
}

TimestampTz
busy_token_until(const char *certificate, const char *token,
				 TimestampTz now)
{
	BusyToken  *busy;
	uint64		key;

	if (hash_get_num_entries(busy_tokens) == 0)
		return 0;
	key = key_of(certificate, token);
	busy = hash_search(busy_tokens, &key, HASH_FIND, NULL);
	return busy != NULL && busy->until > now ? busy->until : 0;
}

void
busy_token_forget(const char *certificate, const char *token)
{
	uint64		key;

	if (hash_get_num_entries(busy_tokens) == 0)
		return;
	key = key_of(certificate, token);
	hash_search(busy_tokens, &key, HASH_REMOVE, NULL);
}
