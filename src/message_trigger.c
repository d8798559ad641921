/*
 * message_trigger.c
 *		What happens when a message is written: checks, the stamp, the flag.
 *
 * This runs in the transaction of whoever inserts, once a row, so it must
 * stay cheap: no SQL, no catalog access.  It must never decide anything about
 * a push, and no error may quote a message: a failing constraint would log
 * the whole row, which is why everything is checked here, before constraints.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "wakeup.h"

/* Columns of imp_push.offline_message, by position. */
enum MessageColumn
{
	COLUMN_ID = 1,
	COLUMN_RECIPIENT,
	COLUMN_SENDER,
	COLUMN_CHAT_TYPE,
	COLUMN_CONVERSATION_ID,
	COLUMN_MSG_ID,
	COLUMN_TYPE,
	COLUMN_BODY,
	COLUMN_SENDER_NAME,
	COLUMN_EXT,
	COLUMN_TRANSLATIONS,
	COLUMN_CREATED_AT,
	COLUMN_EXPIRES_AT,
	COLUMN_QUEUED_XID,
	COLUMN_END
};

/*
 * Two ids and a number have to fit into an index entry (2,704 bytes on pages
 * of 8 kB).
 */
#define MAX_ID_BYTES 1024

typedef struct MessageRow
{
	Relation	relation;
	Datum		values[COLUMN_END];
	bool		nulls[COLUMN_END];
} MessageRow;

PG_FUNCTION_INFO_V1(offline_message_before_write);

static void read_row(MessageRow *row, Relation relation, HeapTuple tuple);
static void check_row(MessageRow *row);
static void check_id(MessageRow *row, int column);
static void check_object(MessageRow *row, int column);
static void check_conversation(MessageRow *row);
static void check_key_unchanged(MessageRow *new_row, MessageRow *old_row);
static bool text_is(Datum value, const char *word);

Datum
offline_message_before_write(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	MessageRow	row;
	int			columns[] = {COLUMN_CONVERSATION_ID, COLUMN_QUEUED_XID};
	Datum		values[2];
	bool		nulls[] = {false, false};

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("offline_message_before_write() must be fired before each row")));

	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
		data->tg_newtuple : data->tg_trigtuple;
	read_row(&row, data->tg_relation, tuple);
	check_row(&row);

	values[0] = row.values[COLUMN_CONVERSATION_ID];
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		MessageRow	old_row;

		/* An edited message is not a new one: it keeps its place. */
		read_row(&old_row, data->tg_relation, data->tg_trigtuple);
		check_key_unchanged(&row, &old_row);
		values[1] = old_row.values[COLUMN_QUEUED_XID];
	}
	else
	{
		/*
		 * Whatever the INSERT said: a restore brings the numbers of another
		 * cluster.
		 */
		values[1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
		wakeup_request();
	}

	tuple = heap_modify_tuple_by_cols(tuple,
									  RelationGetDescr(data->tg_relation),
									  2, columns, values, nulls);
	return PointerGetDatum(tuple);
}

static void
read_row(MessageRow *row, Relation relation, HeapTuple tuple)
{
	row->relation = relation;
	for (int column = COLUMN_ID; column < COLUMN_END; column++)
		row->values[column] = heap_getattr(tuple, column,
										   RelationGetDescr(relation),
										   &row->nulls[column]);
}

static const char *
column_name(MessageRow *row, int column)
{
	return NameStr(TupleDescAttr(RelationGetDescr(row->relation),
								 column - 1)->attname);
}

static void
check_row(MessageRow *row)
{
	check_id(row, COLUMN_RECIPIENT);
	check_id(row, COLUMN_SENDER);
	check_id(row, COLUMN_CHAT_TYPE);
	check_conversation(row);
	check_id(row, COLUMN_MSG_ID);
	check_id(row, COLUMN_TYPE);
	check_object(row, COLUMN_EXT);
	check_object(row, COLUMN_TRANSLATIONS);
	if (row->nulls[COLUMN_CREATED_AT] ||
		TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(row->values[COLUMN_CREATED_AT])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"created_at\" of a message must be a point in time"),
				 errhint("Leave the column out to get the present time.")));
}

/* An id is there, is not empty, and fits into the indexes. */
static void
check_id(MessageRow *row, int column)
{
	Size		length;

	if (row->nulls[column])
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of a message must not be null",
						column_name(row, column))));

	length = toast_raw_datum_size(row->values[column]) - VARHDRSZ;
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of a message must not be empty",
						column_name(row, column))));
	if (length > MAX_ID_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("column \"%s\" of a message is too long",
						column_name(row, column)),
				 errdetail("It has %zu bytes; %d are allowed.",
						   length, MAX_ID_BYTES)));
}

/* ext and translations are JSON objects. */
static void
check_object(MessageRow *row, int column)
{
	bool		is_object = false;

	if (!row->nulls[column])
	{
		/*
		 * The root's header is in the first bytes, but a value that comes
		 * from another table may be compressed.
		 */
		struct varlena *head = PG_DETOAST_DATUM_SLICE(row->values[column],
													  0, sizeof(uint32));
		uint32		header;

		memcpy(&header, VARDATA_ANY(head), sizeof(header));
		is_object = (header & JB_FOBJECT) != 0;
	}

	if (!is_object)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of a message must be a JSON object",
						column_name(row, column)),
				 errhint("Leave the column out if there is nothing to say.")));
}

/* chat_type is one of three, and what is not a single chat names its place. */
static void
check_conversation(MessageRow *row)
{
	Datum		chat_type = row->values[COLUMN_CHAT_TYPE];
	bool		single = text_is(chat_type, "chat");

	if (!single && !text_is(chat_type, "groupchat") &&
		!text_is(chat_type, "chatroom"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"chat_type\" of a message has a value that is not known"),
				 errdetail("Allowed are \"chat\", \"groupchat\" and \"chatroom\".")));

	if (row->nulls[COLUMN_CONVERSATION_ID] && single)
	{
		row->values[COLUMN_CONVERSATION_ID] = row->values[COLUMN_SENDER];
		row->nulls[COLUMN_CONVERSATION_ID] = false;
	}
	if (row->nulls[COLUMN_CONVERSATION_ID])
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"conversation_id\" of a message to a group or chat room must not be null"),
				 errhint("Give the id of the group or chat room.")));
	check_id(row, COLUMN_CONVERSATION_ID);
}

/* What delivery remembers of a message goes by these. */
static void
check_key_unchanged(MessageRow *new_row, MessageRow *old_row)
{
	static const int key[] = {COLUMN_ID, COLUMN_RECIPIENT, COLUMN_MSG_ID};

	for (int i = 0; i < lengthof(key); i++)
	{
		Datum		new_value = new_row->values[key[i]];
		Datum		old_value = old_row->values[key[i]];
		bool		same;

		if (key[i] == COLUMN_ID)
			same = DatumGetInt64(new_value) == DatumGetInt64(old_value);
		else
			same = DatumGetBool(DirectFunctionCall2Coll(texteq,
														C_COLLATION_OID,
														new_value, old_value));
		if (!same)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of a message cannot be changed",
							column_name(new_row, key[i])),
					 errhint("Delete the message and insert another.")));
	}
}

static bool
text_is(Datum value, const char *word)
{
	text	   *given = DatumGetTextPP(value);
	Size		length = VARSIZE_ANY_EXHDR(given);

	return length == strlen(word) &&
		memcmp(VARDATA_ANY(given), word, length) == 0;
}
