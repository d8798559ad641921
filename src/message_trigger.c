/*
 * message_trigger.c
 *		What happens when a message is written: checks, the stamp, the flag.
 *
 * This runs in the transaction of whoever inserts, once a row, so it must
 * stay cheap: no SQL, no catalog access.  It must never decide anything about
 * a push, and no error may show anything of a message, in the log neither: a
 * failing constraint would log the whole row, which is why everything is
 * checked here, before constraints, and refuse_value() leaves out statement
 * and context.
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

#include "refuse.h"
#include "wakeup.h"

/* Columns of imp_push.offline_message, by position. */
enum MessageColumn
{
	COLUMN_ID,
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
	COLUMN_QUEUED_XID
};

/*
 * Two ids and a number have to fit into an index entry (2,704 bytes on pages
 * of 8 kB).
 */
#define MAX_ID_BYTES 1024

/* No settings.push_ttl is longer: 100 years, with some to spare. */
#define MAX_TTL (101 * INT64CONST(366) * USECS_PER_DAY)

typedef struct MessageRow
{
	Relation	relation;
	Datum	   *values;
	bool	   *nulls;
	bool		changed;		/* not what the tuple says */
} MessageRow;

PG_FUNCTION_INFO_V1(offline_message_before_write);

static void read_row(MessageRow *row, Relation relation, HeapTuple tuple);
static HeapTuple make_tuple(const MessageRow *row, HeapTuple old);
static void set_column(MessageRow *row, int column, Datum value);
static void check_row(MessageRow *row);
static void check_number(MessageRow *row);
static void check_id(MessageRow *row, int column);
static void check_object(MessageRow *row, int column);
static void check_conversation(MessageRow *row);
static void check_created_at(MessageRow *row);
static void check_key_unchanged(MessageRow *new_row, MessageRow *old_row);
static bool text_is(Datum value, const char *word);

Datum
offline_message_before_write(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	MessageRow	row;
	Datum		queued_xid;

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

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		MessageRow	old_row;

		/* An edited message is not a new one: it keeps its place. */
		read_row(&old_row, data->tg_relation, data->tg_trigtuple);
		check_key_unchanged(&row, &old_row);
		queued_xid = old_row.values[COLUMN_QUEUED_XID];
	}
	else
	{
		/*
		 * Whatever the INSERT said: a restore brings the numbers of another
		 * cluster.  The column's default is this very number, so that there
		 * is nothing to change for those who leave it out.
		 */
		queued_xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
		wakeup_request();
	}

	if (row.nulls[COLUMN_QUEUED_XID] ||
		DatumGetInt64(row.values[COLUMN_QUEUED_XID]) != DatumGetInt64(queued_xid))
		set_column(&row, COLUMN_QUEUED_XID, queued_xid);
	return PointerGetDatum(row.changed ? make_tuple(&row, tuple) : tuple);
}

static void
read_row(MessageRow *row, Relation relation, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(relation);

	if (desc->natts <= COLUMN_QUEUED_XID)
		elog(ERROR, "unexpected columns of imp_push.offline_message");
	row->relation = relation;
	row->changed = false;
	row->values = palloc(sizeof(Datum) * desc->natts);
	row->nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(tuple, desc, row->values, row->nulls);
}

/* Like heap_modify_tuple(), of what has been read already. */
static HeapTuple
make_tuple(const MessageRow *row, HeapTuple old)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(row->relation),
										row->values, row->nulls);

	tuple->t_data->t_ctid = old->t_data->t_ctid;
	tuple->t_self = old->t_self;
	tuple->t_tableOid = old->t_tableOid;
	return tuple;
}

static void
set_column(MessageRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
	row->changed = true;
}

static const char *
column_name(MessageRow *row, int column)
{
	return NameStr(TupleDescAttr(RelationGetDescr(row->relation),
								 column)->attname);
}

/* Says what is wrong with a column, and shows nothing of the message. */
static void
refuse_column(MessageRow *row, int column, const char *detail,
			  const char *hint)
{
	refuse_value(RelationGetRelationName(row->relation),
				 column_name(row, column), row->nulls[column] ? NULL : "",
				 true, detail, hint);
}

static void
check_row(MessageRow *row)
{
	check_number(row);
	check_id(row, COLUMN_RECIPIENT);
	check_id(row, COLUMN_SENDER);
	check_id(row, COLUMN_CHAT_TYPE);
	check_conversation(row);
	check_id(row, COLUMN_MSG_ID);
	check_id(row, COLUMN_TYPE);
	check_object(row, COLUMN_EXT);
	check_object(row, COLUMN_TRANSLATIONS);
	check_created_at(row);
}

/* Numbers below 1 stand for pushes without a message (src/sql/direct.sql). */
static void
check_number(MessageRow *row)
{
	if (row->nulls[COLUMN_ID] || DatumGetInt64(row->values[COLUMN_ID]) < 1)
		refuse_column(row, COLUMN_ID, "It must be at least 1.",
					  "Leave the column out to get the next number.");
}

/* An id is there, is not empty, and fits into the indexes. */
static void
check_id(MessageRow *row, int column)
{
	Size		length;

	if (row->nulls[column])
		refuse_column(row, column, "It must be a text that is not empty.", NULL);

	length = toast_raw_datum_size(row->values[column]) - VARHDRSZ;
	if (length == 0)
		refuse_column(row, column, "It must be a text that is not empty.", NULL);
	if (length > MAX_ID_BYTES)
		refuse_column(row, column,
					  psprintf("It has %zu bytes; at most %d are allowed.",
							   length, MAX_ID_BYTES), NULL);
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
		refuse_column(row, column, "It must be a JSON object.",
					  "Leave the column out if there is nothing to say.");
}

/* chat_type is one of three, and what is not a single chat names its place. */
static void
check_conversation(MessageRow *row)
{
	Datum		chat_type = row->values[COLUMN_CHAT_TYPE];
	bool		single = text_is(chat_type, "chat");

	if (!single && !text_is(chat_type, "groupchat") &&
		!text_is(chat_type, "chatroom"))
		refuse_column(row, COLUMN_CHAT_TYPE,
					  "Allowed are chat, groupchat and chatroom.", NULL);

	if (row->nulls[COLUMN_CONVERSATION_ID] && single)
		set_column(row, COLUMN_CONVERSATION_ID, row->values[COLUMN_SENDER]);
	if (row->nulls[COLUMN_CONVERSATION_ID])
		refuse_column(row, COLUMN_CONVERSATION_ID,
					  "A message to a group or chat room must name it here.",
					  "Only a single chat leaves the column out.");
	check_id(row, COLUMN_CONVERSATION_ID);
}

/* settings.push_ttl, which is added to it, must not lead out of all time. */
static void
check_created_at(MessageRow *row)
{
	TimestampTz created_at = DatumGetTimestampTz(row->values[COLUMN_CREATED_AT]);

	if (row->nulls[COLUMN_CREATED_AT] || TIMESTAMP_NOT_FINITE(created_at) ||
		created_at >= END_TIMESTAMP - MAX_TTL)
		refuse_column(row, COLUMN_CREATED_AT,
					  "It must be a point in time, and not at the end of all times.",
					  "Leave the column out to get the present time.");
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
			refuse_column(new_row, key[i], "It cannot be changed.",
						  "Delete the message and insert another.");
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
