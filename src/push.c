/*
 * push.c
 *		Pushes in the worker's memory: from a planned row, until settled.
 *
 * Each push and each message is one piece of memory, so that a push that is
 * answered late holds up nothing but itself.  Nothing here knows about SQL's
 * tables or the network.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "push.h"

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

/* NULL for NULL; jsonb comes out as text, too. */
static char *
text_of(const PlannedRow *row, int column)
{
	if (row->nulls[column])
		return NULL;
	if (column == PLANNED_DETAIL)
		return DatumGetCString(DirectFunctionCall1(jsonb_out,
												   row->values[column]));
	return TextDatumGetCString(row->values[column]);
}

static Message *
message_from_row(const PlannedRow *row, Generation *generation)
{
	char	   *msg_id = text_of(row, PLANNED_MSG_ID);
	char	   *recipient = text_of(row, PLANNED_RECIPIENT);
	Size		msg_id_size = strlen(msg_id) + 1;
	Size		recipient_size = strlen(recipient) + 1;
	Message    *message;

	message = MemoryContextAllocZero(push_context, sizeof(Message) +
									 msg_id_size + recipient_size);
	message->id = DatumGetInt64(row->values[PLANNED_MESSAGE_ID]);
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
allocate_push(const PlannedRow *row)
{
	char	   *texts[lengthof(push_texts)];
	Size		size = sizeof(Push);
	Push	   *push;
	char	   *place;

	for (int i = 0; i < lengthof(push_texts); i++)
	{
		texts[i] = text_of(row, push_texts[i].column);
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
push_from_row(const PlannedRow *row, Generation *generation, Message *previous)
{
	Push	   *push;

	if (row->nulls[PLANNED_PAYLOAD] || row->nulls[PLANNED_TOKEN])
		elog(ERROR, "a push was planned without token or payload");

	push = allocate_push(row);
	push->payload_length = strlen(push->payload);
	push->priority = DatumGetInt32(row->values[PLANNED_PRIORITY]);
	push->expiration = DatumGetInt64(row->values[PLANNED_EXPIRATION]);
	push->expires_at = DatumGetTimestampTz(row->values[PLANNED_EXPIRES_AT]);
	push->created_at = DatumGetTimestampTz(row->values[PLANNED_CREATED_AT]);
	push->attempts = DatumGetInt32(row->values[PLANNED_ATTEMPTS]);
	push->waiting = DatumGetBool(row->values[PLANNED_WAITING]);
	push->probe = DatumGetBool(row->values[PLANNED_PROBE]);
	push->uuid = *DatumGetUUIDP(row->values[PLANNED_APNS_ID]);
	strlcpy(push->apns_id,
			DatumGetCString(DirectFunctionCall1(uuid_out,
												row->values[PLANNED_APNS_ID])),
			sizeof(push->apns_id));

	if (previous != NULL &&
		previous->id == DatumGetInt64(row->values[PLANNED_MESSAGE_ID]))
		push->message = previous;
	else
		push->message = message_from_row(row, generation);
	dlist_push_tail(&push->message->pushes, &push->sibling);
	push->message->under_way++;
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

		accumArrayResult(state, UUIDPGetDatum(&push->uuid), false, UUIDOID,
						 CurrentMemoryContext);
	}
	return makeArrayResult(state, CurrentMemoryContext);
}
