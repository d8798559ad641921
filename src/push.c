/*
 * push.c
 *		Pushes in the worker's memory: from a planned row, until settled.
 *
 * Each push and each message is one piece of memory, so that a push that is
 * answered late holds up nothing but itself.  Nothing here knows about SQL's
 * tables or the network.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "push.h"

/* Columns of imp_push.planned_push. */
enum PlannedColumn
{
	PLANNED_MESSAGE_ID = 1,
	PLANNED_MSG_ID,
	PLANNED_RECIPIENT,
	PLANNED_DEVICE_ID,
	PLANNED_CERTIFICATE,
	PLANNED_TOKEN,
	PLANNED_PAYLOAD,
	PLANNED_TOPIC,
	PLANNED_PUSH_TYPE,
	PLANNED_PRIORITY,
	PLANNED_EXPIRATION,
	PLANNED_COLLAPSE_ID,
	PLANNED_APNS_ID,
	PLANNED_EXPIRES_AT,
	PLANNED_DETAIL,
	PLANNED_ATTEMPTS,
	PLANNED_WAITING,
	PLANNED_PROBE,
	PLANNED_CREATED_AT,
	PLANNED_END
};

/* The texts of a push, and where they go. */
static const struct
{
	int			column;
	size_t		field;
}			push_texts[] = {
	{PLANNED_DEVICE_ID, offsetof(Push, device_id)},
	{PLANNED_CERTIFICATE, offsetof(Push, certificate)},
	{PLANNED_TOKEN, offsetof(Push, token)},
	{PLANNED_PAYLOAD, offsetof(Push, payload)},
	{PLANNED_TOPIC, offsetof(Push, topic)},
	{PLANNED_PUSH_TYPE, offsetof(Push, push_type)},
	{PLANNED_COLLAPSE_ID, offsetof(Push, collapse_id)},
	{PLANNED_DETAIL, offsetof(Push, detail)},
};

static MemoryContext push_context;

/* Pushes that have a row in imp_push.waiting, which must not be read again. */
static dlist_head with_row = DLIST_STATIC_INIT(with_row);

void
push_init(MemoryContext parent)
{
	push_context = AllocSetContextCreate(parent, "imp_push pushes",
										 ALLOCSET_DEFAULT_SIZES);
}

static Message *
message_from_row(HeapTuple row, TupleDesc desc, Generation *generation)
{
	char	   *msg_id = SPI_getvalue(row, desc, PLANNED_MSG_ID);
	char	   *recipient = SPI_getvalue(row, desc, PLANNED_RECIPIENT);
	Size		msg_id_size = strlen(msg_id) + 1;
	Size		recipient_size = strlen(recipient) + 1;
	Message    *message;
	bool		isnull;

	message = MemoryContextAllocZero(push_context, sizeof(Message) +
									 msg_id_size + recipient_size);
	message->id = DatumGetInt64(SPI_getbinval(row, desc, PLANNED_MESSAGE_ID,
											  &isnull));
	message->msg_id = (char *) (message + 1);
	memcpy(message->msg_id, msg_id, msg_id_size);
	message->recipient = message->msg_id + msg_id_size;
	memcpy(message->recipient, recipient, recipient_size);
	message->generation = generation;
	dlist_init(&message->pushes);
	return message;
}

/* Allocates a push with its texts behind it. */
static Push *
allocate_push(HeapTuple row, TupleDesc desc)
{
	char	   *texts[lengthof(push_texts)];
	Size		size = sizeof(Push);
	Push	   *push;
	char	   *place;

	for (int i = 0; i < lengthof(push_texts); i++)
	{
		/* jsonb comes out as text, too */
		texts[i] = SPI_getvalue(row, desc, push_texts[i].column);
		if (texts[i] != NULL)
			size += strlen(texts[i]) + 1;
	}

	push = MemoryContextAllocZero(push_context, size);
	place = (char *) (push + 1);
	for (int i = 0; i < lengthof(push_texts); i++)
	{
		Size		length;

		if (texts[i] == NULL)
			continue;
		length = strlen(texts[i]) + 1;
		*(char **) ((char *) push + push_texts[i].field) = place;
		memcpy(place, texts[i], length);
		place += length;
	}
	return push;
}

Push *
push_from_row(HeapTuple row, TupleDesc desc, Generation *generation,
			  Message *previous)
{
	int64		message_id;
	Push	   *push;
	bool		isnull;

	push = allocate_push(row, desc);
	if (push->payload == NULL || push->token == NULL)
	{
		pfree(push);
		elog(ERROR, "a push was planned without token or payload");
	}
	push->payload_length = strlen(push->payload);
	push->priority = DatumGetInt32(SPI_getbinval(row, desc, PLANNED_PRIORITY,
												 &isnull));
	push->expiration = DatumGetInt64(SPI_getbinval(row, desc,
												   PLANNED_EXPIRATION, &isnull));
	push->expires_at = DatumGetTimestampTz(SPI_getbinval(row, desc,
														 PLANNED_EXPIRES_AT, &isnull));
	push->created_at = DatumGetTimestampTz(SPI_getbinval(row, desc,
														 PLANNED_CREATED_AT, &isnull));
	push->attempts = DatumGetInt32(SPI_getbinval(row, desc, PLANNED_ATTEMPTS,
												 &isnull));
	strlcpy(push->apns_id, SPI_getvalue(row, desc, PLANNED_APNS_ID),
			sizeof(push->apns_id));
	push->waiting = DatumGetBool(SPI_getbinval(row, desc, PLANNED_WAITING,
											   &isnull));

	push->probe = DatumGetBool(SPI_getbinval(row, desc, PLANNED_PROBE,
											 &isnull));

	message_id = DatumGetInt64(SPI_getbinval(row, desc, PLANNED_MESSAGE_ID,
											 &isnull));
	if (previous != NULL && previous->id == message_id)
		push->message = previous;
	else
		push->message = message_from_row(row, desc, generation);
	dlist_push_tail(&push->message->pushes, &push->sibling);
	if (push->waiting)
	{
		dlist_push_tail(&with_row, &push->row_node);
		/* It has its rows, so the cursor need not wait for it. */
		push->message->generation = NULL;
	}
	return push;
}

void
push_planned(Push *push)
{
	Message    *message = push->message;

	if (message->generation != NULL && !message->counted)
	{
		generation_add(message->generation);
		message->counted = true;
	}
}

void
push_has_row(Push *push)
{
	if (!push->waiting)
	{
		push->waiting = true;
		dlist_push_tail(&with_row, &push->row_node);
	}
}

void
message_has_rows(Message *message)
{
	if (message->counted)
		generation_done(message->generation);
	message->generation = NULL;
	message->counted = false;
}

bool
push_goes_later(const Push *push)
{
	return push->verdict == VERDICT_RETRY ||
		push->verdict == VERDICT_FREE_RETRY;
}

void
push_free(Push *push)
{
	Message    *message = push->message;

	if (push->waiting)
		dlist_delete(&push->row_node);
	dlist_delete(&push->sibling);
	if (dlist_is_empty(&message->pushes))
	{
		message_has_rows(message);
		pfree(message);
	}
	pfree(push);
}

Datum
pushes_with_row(void)
{
	ArrayBuildState *state = initArrayResult(UUIDOID, CurrentMemoryContext,
											 false);
	dlist_iter	iter;

	dlist_foreach(iter, &with_row)
	{
		Push	   *push = dlist_container(Push, row_node, iter.cur);

		accumArrayResult(state,
						 DirectFunctionCall1(uuid_in,
											 CStringGetDatum(push->apns_id)),
						 false, UUIDOID, CurrentMemoryContext);
	}
	return makeArrayResult(state, CurrentMemoryContext);
}
