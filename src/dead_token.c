/*
 * dead_token.c
 *		Tokens that APNs has declared dead, and those it was wrong about.
 *
 * device_token is the one table that the worker shares with users, so a row
 * that a user has locked is skipped and tried again later: neither waits for
 * the other.  Never decides that a token is dead: verdict.c does.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "dead_token.h"
#include "send.h"
#include "session.h"
#include "status.h"

/* Locked rows are tried again after this. */
#define RETRY_DELAY_MS 1000

/* So many of them are kept in mind: APNs will tell again of any others. */
#define LOCKED_MOST 4096

typedef struct DeadToken
{
	dlist_node	node;
	char	   *user_id;
	char	   *device_id;
	char	   *certificate;
	char	   *token;
	char	   *reason;
	int64		unregistered_at;
	bool		locked;			/* by a user's transaction */
} DeadToken;

/* Tokens of a certificate that are to be live again. */
typedef struct Wronged
{
	dlist_node	node;
	char	   *certificate;
	char	  **tokens;
	int			count;
	int			locked;			/* so many, the first ones, by users */
} Wronged;

static MemoryContext dead_context;
static dlist_head dead_tokens = DLIST_STATIC_INIT(dead_tokens);
static dlist_head wronged = DLIST_STATIC_INIT(wronged);
static TimestampTz retry_at;	/* those that are locked */
static bool retrying;			/* they are among what is written now */

static void disable_tokens(DeadToken *only);
static void revive_tokens(Wronged *tokens);
static bool write_alone(DeadToken *dead, Wronged *entry);
static void forget_dead(DeadToken *dead);
static void forget_wronged(Wronged *entry);

void
dead_tokens_init(MemoryContext parent)
{
	dead_context = AllocSetContextCreate(parent, "imp_push dead tokens",
										 ALLOCSET_SMALL_SIZES);
}

static DeadToken *
find_dead(const Push *push)
{
	dlist_iter	iter;

	dlist_foreach(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);

		if (strcmp(dead->token, push->token) == 0 &&
			strcmp(dead->certificate, push->certificate) == 0 &&
			strcmp(dead->device_id, push->device_id) == 0 &&
			strcmp(dead->user_id, push->message->recipient) == 0)
			return dead;
	}
	return NULL;
}

void
dead_tokens_add(const Push *push)
{
	MemoryContext old;
	DeadToken  *dead = find_dead(push);

	if (dead != NULL)
	{
		dead->unregistered_at = Max(dead->unregistered_at,
									push->unregistered_at);
		return;
	}
	old = MemoryContextSwitchTo(dead_context);
	dead = palloc0(sizeof(DeadToken));
	dead->user_id = pstrdup(push->message->recipient);
	dead->device_id = pstrdup(push->device_id);
	dead->certificate = pstrdup(push->certificate);
	dead->token = pstrdup(push->token);
	dead->reason = pstrdup(push->reason);
	dead->unregistered_at = push->unregistered_at;
	dlist_push_tail(&dead_tokens, &dead->node);
	MemoryContextSwitchTo(old);
}

/* A row may stay locked for long, so each is freed by itself. */
static void
forget_dead(DeadToken *dead)
{
	dlist_delete(&dead->node);
	pfree(dead->user_id);
	pfree(dead->device_id);
	pfree(dead->certificate);
	pfree(dead->token);
	pfree(dead->reason);
	pfree(dead);
}

static void
forget_wronged(Wronged *entry)
{
	dlist_delete(&entry->node);
	for (int i = 0; i < entry->count; i++)
		pfree(entry->tokens[i]);
	pfree(entry->tokens);
	pfree(entry->certificate);
	pfree(entry);
}

/* What has not been disabled yet, for somebody has locked it, never will be. */
static void
spare_wronged(const Wronged *entry)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);
		int			i = entry->count;

		if (!dead->locked || strcmp(dead->certificate, entry->certificate) != 0)
			continue;
		while (i > 0 && strcmp(entry->tokens[i - 1], dead->token) != 0)
			i--;
		if (i > 0)
			forget_dead(dead);
	}
}

/* The transport hands each of these out once.  True if there are any. */
static bool
take_wronged(void)
{
	MemoryContext old = MemoryContextSwitchTo(dead_context);
	char	   *certificate;
	char	  **tokens;
	int			count;
	bool		taken = false;

	while ((count = send_wronged_tokens(&certificate, &tokens)) > 0)
	{
		Wronged    *entry = palloc0(sizeof(Wronged));

		entry->certificate = certificate;
		entry->tokens = tokens;
		entry->count = count;
		spare_wronged(entry);
		dlist_push_tail(&wronged, &entry->node);
		taken = true;
	}
	MemoryContextSwitchTo(old);
	return taken;
}

TimestampTz
dead_tokens_due(void)
{
	if (take_wronged())
		retry_at = DT_NOBEGIN;
	if (dlist_is_empty(&wronged) && dlist_is_empty(&dead_tokens))
		return DT_NOEND;
	return retry_at;
}

void
dead_tokens_write(void)
{
	dlist_iter	iter;

	retrying = GetCurrentTimestamp() >= retry_at;
	if (!dlist_is_empty(&dead_tokens))
		disable_tokens(NULL);
	dlist_foreach(iter, &wronged)
	{
		Wronged    *entry = dlist_container(Wronged, node, iter.cur);

		if (entry->locked == 0 || retrying)
			revive_tokens(entry);
	}
}

static bool
is_meant(const DeadToken *dead, const DeadToken *only)
{
	return only != NULL ? dead == only : !dead->locked || retrying;
}

/* All whose turn it is, or one. */
static void
disable_tokens(DeadToken *only)
{
	static SPIPlanPtr plan = NULL;
	enum
	{
		USER, DEVICE, CERTIFICATE, TOKEN, REASON, TEXTS
	};
	MemoryContext context = CurrentMemoryContext;
	ArrayBuildState *texts[TEXTS];
	ArrayBuildState *times = initArrayResult(INT8OID, context, false);
	Datum		args[TEXTS + 2];
	Oid			types[] = {
		TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		INT8ARRAYOID, TIMESTAMPTZOID
	};
	dlist_iter	iter;
	uint64		next = 0;
	int			place = 0;

	for (int i = 0; i < TEXTS; i++)
		texts[i] = initArrayResult(TEXTOID, context, false);
	dlist_foreach(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);
		const char *values[] = {
			dead->user_id, dead->device_id, dead->certificate, dead->token,
			dead->reason
		};

		if (!is_meant(dead, only))
			continue;
		place++;
		for (int i = 0; i < TEXTS; i++)
			accumArrayResult(texts[i], CStringGetTextDatum(values[i]), false,
							 TEXTOID, context);
		accumArrayResult(times, Int64GetDatum(dead->unregistered_at), false,
						 INT8OID, context);
	}
	if (place == 0)
		return;
	for (int i = 0; i < TEXTS; i++)
		args[i] = makeArrayResult(texts[i], context);
	args[TEXTS] = makeArrayResult(times, context);
	args[TEXTS + 1] = TimestampTzGetDatum(GetCurrentTimestamp());

	SPI_execute_plan(session_plan(&plan,
								  "SELECT d FROM imp_push.disable_tokens("
								  "$1, $2, $3, $4, $5, $6, $7) d ORDER BY d",
								  TEXTS + 2, types),
					 args, NULL, false, 0);

	/* The places of those that are locked come back, in order. */
	place = 0;
	dlist_foreach(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);
		bool		isnull;

		if (!is_meant(dead, only))
			continue;
		place++;
		dead->locked = next < SPI_processed &&
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[next],
										SPI_tuptable->tupdesc, 1,
										&isnull)) == place;
		if (dead->locked)
			next++;
	}
}

static void
revive_tokens(Wronged *entry)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum	   *tokens = palloc(sizeof(Datum) * entry->count);
	Datum		args[2];

	for (int i = 0; i < entry->count; i++)
		tokens[i] = CStringGetTextDatum(entry->tokens[i]);
	args[0] = CStringGetTextDatum(entry->certificate);
	args[1] = session_array(tokens, NULL, entry->count, TEXTOID);
	SPI_execute_plan(session_plan(&plan, "SELECT imp_push.revive_tokens($1, $2)",
								  2, types),
					 args, NULL, false, 0);

	/* Those that are locked go to the front. */
	entry->locked = 0;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *token = SPI_getvalue(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1);

		for (int j = entry->locked; j < entry->count; j++)
		{
			char	   *other = entry->tokens[entry->locked];

			if (strcmp(entry->tokens[j], token) != 0)
				continue;
			entry->tokens[entry->locked++] = entry->tokens[j];
			entry->tokens[j] = other;
			break;
		}
	}
}

/* All but those that are locked are done with. */
static void
forget_revived(Wronged *entry)
{
	if (entry->locked == 0)
	{
		forget_wronged(entry);
		return;
	}
	while (entry->count > entry->locked)
		pfree(entry->tokens[--entry->count]);
}

/* What is locked still is tried again later, all of it together. */
static void
retry_later(void)
{
	retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   RETRY_DELAY_MS);
}

void
dead_tokens_written(void)
{
	dlist_mutable_iter iter;
	int			locked = 0;

	dlist_foreach_modify(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);

		if (!dead->locked || ++locked > LOCKED_MOST)
			forget_dead(dead);
	}
	dlist_foreach_modify(iter, &wronged)
		forget_revived(dlist_container(Wronged, node, iter.cur));
	if (retrying)
		retry_later();
}

void
dead_tokens_forget(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &dead_tokens)
		forget_dead(dlist_container(DeadToken, node, iter.cur));
	dlist_foreach_modify(iter, &wronged)
		forget_wronged(dlist_container(Wronged, node, iter.cur));
}

bool
dead_tokens_one_by_one(void)
{
	bool		fewer = false;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &dead_tokens)
	{
		DeadToken  *dead = dlist_container(DeadToken, node, iter.cur);

		if (!write_alone(dead, NULL))
			return fewer;
		if (dead->locked)
			continue;
		forget_dead(dead);
		fewer = true;
	}
	dlist_foreach_modify(iter, &wronged)
	{
		Wronged    *entry = dlist_container(Wronged, node, iter.cur);

		if (!write_alone(NULL, entry))
			return fewer;
		if (entry->locked < entry->count)
			fewer = true;
		forget_revived(entry);
	}
	retry_later();
	return fewer;
}

/* One transaction; false if an error of the moment has come between. */
static bool
write_alone(DeadToken *dead, Wronged *entry)
{
	volatile bool done = false;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			if (dead != NULL)
				disable_tokens(dead);
			else
				revive_tokens(entry);
			session_commit();
			done = true;
		}
	}
	PG_CATCH();
	{
		int			sqlstate = session_recover("disable a device token");

		done = !session_error_is_passing(sqlstate);
		if (dead != NULL)
			dead->locked = false;
		else
			entry->locked = 0;
	}
	PG_END_TRY();
	return done;
}
