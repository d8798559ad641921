/*
 * render.c
 *		imp_push.render_payload(): the payload as SQL calls it.
 *
 * Owns the step from SQL values to payload.c: the arguments, and jsonb written
 * without blanks.  It must never raise an ERROR for what a message says.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "json.h"
#include "payload.h"

PG_FUNCTION_INFO_V1(imp_push_render_payload);

/* The arguments of imp_push.render_payload(), in its order. */
enum
{
	ARG_BACKGROUND,
	ARG_TITLE,
	ARG_SUBTITLE,
	ARG_BODY,
	ARG_TITLE_LOC_KEY,
	ARG_TITLE_LOC_ARGS,
	ARG_LOC_KEY,
	ARG_LOC_ARGS,
	ARG_BADGE,
	ARG_SOUND,
	ARG_THREAD_ID,
	ARG_CATEGORY,
	ARG_MUTABLE_CONTENT,
	ARG_CONTENT_AVAILABLE,
	ARG_INTERRUPTION_LEVEL,
	ARG_RELEVANCE_SCORE,
	ARG_SENDER,
	ARG_RECIPIENT,
	ARG_GROUP_ID,
	ARG_MSG_ID,
	ARG_EXTRA,
	ARG_LEFTOVER,
	ARG_BYTE_LIMIT
};

static const PayloadText absent = {NULL, 0};

static void
append_json_string(StringInfo out, const char *string, int length)
{
	size_t		escaped = json_escaped_length(string, length);

	enlargeStringInfo(out, escaped + 2);
	out->data[out->len++] = '"';
	json_write_escaped(out->data + out->len, string, length);
	out->len += escaped;
	out->data[out->len++] = '"';
	out->data[out->len] = '\0';
}

static void
append_scalar(StringInfo out, const JsonbValue *value)
{
	Datum		digits;

	switch (value->type)
	{
		case jbvString:
			append_json_string(out, value->val.string.val,
							   value->val.string.len);
			break;
		case jbvNumeric:
			digits = DirectFunctionCall1(numeric_out,
										 NumericGetDatum(value->val.numeric));
			appendStringInfoString(out, DatumGetCString(digits));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		default:
			appendStringInfoString(out, "null");
			break;
	}
}

/* Like JsonbToCString(), without its blanks. */
static PayloadText
compact(Jsonb *jsonb)
{
	StringInfoData out;
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	PayloadText result;
	bool		need_comma = false;
	bool		scalar = JB_ROOT_IS_SCALAR(jsonb);

	initStringInfo(&out);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		bool		begins;
		bool		ends;

		begins = token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT;
		ends = token == WJB_END_ARRAY || token == WJB_END_OBJECT;
		/* A scalar sits in an array that is not one. */
		if (scalar && (begins || ends))
			continue;
		if (need_comma && !ends)
			appendStringInfoCharMacro(&out, ',');
		if (begins)
			appendStringInfoCharMacro(&out,
									  token == WJB_BEGIN_ARRAY ? '[' : '{');
		else if (ends)
			appendStringInfoCharMacro(&out,
									  token == WJB_END_ARRAY ? ']' : '}');
		else
			append_scalar(&out, &value);
		if (token == WJB_KEY)
			appendStringInfoCharMacro(&out, ':');
		need_comma = !begins && token != WJB_KEY;
	}
	result.data = out.data;
	result.length = out.len;
	return result;
}

static PayloadText
text_argument(FunctionCallInfo fcinfo, int n)
{
	PayloadText result;
	text	   *value;

	if (PG_ARGISNULL(n))
		return absent;
	value = PG_GETARG_TEXT_PP(n);
	result.data = VARDATA_ANY(value);
	result.length = VARSIZE_ANY_EXHDR(value);
	return result;
}

static bool
bool_argument(FunctionCallInfo fcinfo, int n)
{
	return !PG_ARGISNULL(n) && PG_GETARG_BOOL(n);
}

/* The arguments of a localised string; anything but an array is as if absent. */
static PayloadText
array_argument(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *value = PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);

	if (value == NULL || !JB_ROOT_IS_ARRAY(value) || JB_ROOT_IS_SCALAR(value))
		return absent;
	return compact(value);
}

/* Anything but a number is as if absent. */
static PayloadText
number_argument(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *value = PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
	JsonbValue	scalar;

	if (value == NULL || !JsonbExtractScalar(&value->root, &scalar) ||
		scalar.type != jbvNumeric)
		return absent;
	return compact(value);
}

/* Any JSON but null; nothing is left over if the object is empty. */
static PayloadText
extra_argument(FunctionCallInfo fcinfo, int n, bool may_be_empty)
{
	Jsonb	   *value = PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
	JsonbValue	scalar;

	if (value == NULL ||
		(JB_ROOT_IS_SCALAR(value) &&
		 JsonbExtractScalar(&value->root, &scalar) &&
		 scalar.type == jbvNull) ||
		(!may_be_empty && JB_ROOT_IS_OBJECT(value) && JB_ROOT_COUNT(value) == 0))
		return absent;
	return compact(value);
}

/* What is shown or heard. */
static void
read_alert(FunctionCallInfo fcinfo, Payload *p)
{
	p->title = text_argument(fcinfo, ARG_TITLE);
	p->subtitle = text_argument(fcinfo, ARG_SUBTITLE);
	p->body = text_argument(fcinfo, ARG_BODY);
	p->title_loc_key = text_argument(fcinfo, ARG_TITLE_LOC_KEY);
	if (p->title_loc_key.data != NULL)
		p->title_loc_args = array_argument(fcinfo, ARG_TITLE_LOC_ARGS);
	p->loc_key = text_argument(fcinfo, ARG_LOC_KEY);
	if (p->loc_key.data != NULL)
		p->loc_args = array_argument(fcinfo, ARG_LOC_ARGS);
	p->has_badge = !PG_ARGISNULL(ARG_BADGE);
	if (p->has_badge)
		p->badge = PG_GETARG_INT32(ARG_BADGE);
	p->sound = text_argument(fcinfo, ARG_SOUND);
	if (p->sound.length == 0)
		p->sound.data = NULL;	/* the empty string means none */
}

static void
read_arguments(FunctionCallInfo fcinfo, Payload *p)
{
	if (!bool_argument(fcinfo, ARG_BACKGROUND))
		read_alert(fcinfo, p);
	p->thread_id = text_argument(fcinfo, ARG_THREAD_ID);
	p->category = text_argument(fcinfo, ARG_CATEGORY);
	p->mutable_content = bool_argument(fcinfo, ARG_MUTABLE_CONTENT);
	p->content_available = bool_argument(fcinfo, ARG_CONTENT_AVAILABLE);
	p->interruption_level = text_argument(fcinfo, ARG_INTERRUPTION_LEVEL);
	p->relevance_score = number_argument(fcinfo, ARG_RELEVANCE_SCORE);
	p->sender = text_argument(fcinfo, ARG_SENDER);
	p->recipient = text_argument(fcinfo, ARG_RECIPIENT);
	p->group_id = text_argument(fcinfo, ARG_GROUP_ID);
	p->msg_id = text_argument(fcinfo, ARG_MSG_ID);
	p->extra = extra_argument(fcinfo, ARG_EXTRA, true);
	p->extra_is_leftover = p->extra.data == NULL;
	if (p->extra_is_leftover)
		p->extra = extra_argument(fcinfo, ARG_LEFTOVER, false);
}

/* NULL if it does not fit into byte_limit. */
Datum
imp_push_render_payload(PG_FUNCTION_ARGS)
{
	Payload		payload = {0};
	int32		limit = 0;
	size_t		length;
	text	   *result;

	if (!PG_ARGISNULL(ARG_BYTE_LIMIT))
		limit = PG_GETARG_INT32(ARG_BYTE_LIMIT);
	read_arguments(fcinfo, &payload);
	length = payload_fit(&payload, Max(limit, 0));
	if (length == 0)
		PG_RETURN_NULL();
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	payload_write(&payload, VARDATA(result));
	PG_RETURN_TEXT_P(result);
}
