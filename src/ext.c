/*
 * ext.c
 *		What the sender's ext says, field by field (ext.sql).
 *
 * Owns which JSON is taken for a text, a flag, a number.  All of it is
 * untrusted: it must never raise an ERROR for what a message says.
 *
 * (In SQL these are a dozen expressions each, and the worker's statement has
 * dozens of them, which are made ready anew for each page: measured, with those
 * of vocabulary.c, a sixth of the time that planning a single message takes.)
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Digits of a relevance score that are repeated: 1e-16000 has 16,000. */
#define SCORE_DIGITS 64

#define BADGE_MOST PG_INT32_MAX
#define BADGE_DIGITS 10

PG_FUNCTION_INFO_V1(imp_push_ext_object);
PG_FUNCTION_INFO_V1(imp_push_ext_array);
PG_FUNCTION_INFO_V1(imp_push_ext_text);
PG_FUNCTION_INFO_V1(imp_push_ext_flag);
PG_FUNCTION_INFO_V1(imp_push_ext_badge);
PG_FUNCTION_INFO_V1(imp_push_ext_mentions);
PG_FUNCTION_INFO_V1(imp_push_ext_filter_excludes);
PG_FUNCTION_INFO_V1(imp_push_ext_mention_list);
PG_FUNCTION_INFO_V1(imp_push_ext_interruption_level);
PG_FUNCTION_INFO_V1(imp_push_ext_relevance_score);

static Jsonb *
argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
}

static text *
name_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n);
}

/* The field of an object; false if there is none.  Its inside is jbvBinary. */
static bool
read_member(Jsonb *object, const char *key, int length, JsonbValue *value)
{
	return object != NULL && JB_ROOT_IS_OBJECT(object) &&
		getKeyJsonValueFromContainer(&object->root, key, length, value) != NULL;
}

/* The first two arguments are an object and a key. */
static bool
read_field(FunctionCallInfo fcinfo, JsonbValue *value)
{
	text	   *key = name_argument(fcinfo, 1);

	return key != NULL &&
		read_member(argument(fcinfo, 0), VARDATA_ANY(key),
					VARSIZE_ANY_EXHDR(key), value);
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data);
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

/* Like a word of ASCII in any case? */
static bool
is_word(const JsonbValue *string, const char *word)
{
	int			length = strlen(word);

	return string->val.string.len == length &&
		pg_strncasecmp(string->val.string.val, word, length) == 0;
}

static int
compare(Numeric a, int64 b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(int64_to_numeric(b))));
}

Datum
imp_push_ext_object(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	JsonbValue	empty = {.type = jbvObject};

	if (!read_field(fcinfo, &value) || !is_object(&value))
		value = empty;
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&value));
}

Datum
imp_push_ext_array(PG_FUNCTION_ARGS)
{
	JsonbValue	value;

	if (!read_field(fcinfo, &value) || !is_array(&value))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&value));
}

Datum
imp_push_ext_text(PG_FUNCTION_ARGS)
{
	JsonbValue	value;

	if (!read_field(fcinfo, &value) || value.type != jbvString)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(value.val.string.val,
											  value.val.string.len));
}

Datum
imp_push_ext_flag(PG_FUNCTION_ARGS)
{
	JsonbValue	flag;

	if (!read_field(fcinfo, &flag))
		PG_RETURN_BOOL(false);
	switch (flag.type)
	{
		case jbvBool:
			PG_RETURN_BOOL(flag.val.boolean);
		case jbvNumeric:
			PG_RETURN_BOOL(compare(flag.val.numeric, 1) == 0);
		case jbvString:
			PG_RETURN_BOOL(is_word(&flag, "true") || is_word(&flag, "yes") ||
						   is_word(&flag, "1"));
		default:
			PG_RETURN_BOOL(false);
	}
}

/* A string of digits; false if it is none or too long for a badge. */
static bool
read_digits(const JsonbValue *string, int64 *number)
{
	int			length = string->val.string.len;

	*number = 0;
	if (length == 0 || length > BADGE_DIGITS)
		return false;
	for (int i = 0; i < length; i++)
	{
		char		c = string->val.string.val[i];

		if (c < '0' || c > '9')
			return false;
		*number = *number * 10 + (c - '0');
	}
	return *number <= BADGE_MOST;
}

Datum
imp_push_ext_badge(PG_FUNCTION_ARGS)
{
	JsonbValue	badge;
	int64		number;

	if (!read_field(fcinfo, &badge))
		PG_RETURN_NULL();
	if (badge.type == jbvString)
	{
		if (!read_digits(&badge, &number))
			PG_RETURN_NULL();
		PG_RETURN_INT32((int32) number);
	}
	if (badge.type != jbvNumeric ||
		compare(badge.val.numeric, 0) < 0 ||
		compare(badge.val.numeric, BADGE_MOST) > 0)
		PG_RETURN_NULL();
	number = DatumGetInt32(DirectFunctionCall1(numeric_int4,
											   NumericGetDatum(badge.val.numeric)));
	if (compare(badge.val.numeric, number) != 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) number);
}

/* Is this string, of an array, the name? */
static bool
is_name(const JsonbValue *string, const text *name)
{
	return name != NULL &&
		string->val.string.len == VARSIZE_ANY_EXHDR(name) &&
		memcmp(string->val.string.val, VARDATA_ANY(name),
			   string->val.string.len) == 0;
}

/* Does an array hold this name, or, if that counts as well, "all"? */
static bool
holds(JsonbContainer *array, const text *name, bool or_all)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	element;

	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM && element.type == jbvString &&
			(is_name(&element, name) || (or_all && is_word(&element, "all"))))
			return true;
	}
	return false;
}

/* The list is an array of names, or a string. */
Datum
imp_push_ext_mentions(PG_FUNCTION_ARGS)
{
	Jsonb	   *list = argument(fcinfo, 0);
	JsonbValue	string;

	if (list == NULL)
		PG_RETURN_BOOL(false);
	if (JsonbExtractScalar(&list->root, &string))
		PG_RETURN_BOOL(string.type == jbvString && is_word(&string, "all"));
	PG_RETURN_BOOL(JB_ROOT_IS_ARRAY(list) &&
				   holds(&list->root, name_argument(fcinfo, 1), true));
}

/* One of the two lists of em_push_filter, if it is there and not empty. */
static JsonbContainer *
filter_list(FunctionCallInfo fcinfo, const char *kind)
{
	text	   *by = name_argument(fcinfo, 1);
	char	   *key;
	JsonbValue	list;

	if (by == NULL)
		return NULL;
	key = psprintf("%s_%s", kind, text_to_cstring(by));
	if (!read_member(argument(fcinfo, 0), key, strlen(key), &list) ||
		!is_array(&list) || JsonContainerSize(list.val.binary.data) == 0)
		return NULL;
	return list.val.binary.data;
}

Datum
imp_push_ext_filter_excludes(PG_FUNCTION_ARGS)
{
	text	   *name = name_argument(fcinfo, 2);
	JsonbContainer *list;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	list = filter_list(fcinfo, "ignore");
	if (list != NULL && holds(list, name, false))
		PG_RETURN_BOOL(true);
	list = filter_list(fcinfo, "accept");
	PG_RETURN_BOOL(list != NULL && !holds(list, name, false));
}

Datum
imp_push_ext_mention_list(PG_FUNCTION_ARGS)
{
	JsonbValue	value;

	if (!read_field(fcinfo, &value) ||
		(value.type != jbvString && !is_array(&value)))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&value));
}

Datum
imp_push_ext_interruption_level(PG_FUNCTION_ARGS)
{
	static const char *const levels[] = {
		"passive", "active", "time-sensitive", "critical"
	};
	JsonbValue	value;

	if (!read_field(fcinfo, &value) || value.type != jbvString)
		PG_RETURN_NULL();
	for (int i = 0; i < lengthof(levels); i++)
		if (value.val.string.len == strlen(levels[i]) &&
			memcmp(value.val.string.val, levels[i], strlen(levels[i])) == 0)
			PG_RETURN_TEXT_P(cstring_to_text(levels[i]));
	PG_RETURN_NULL();
}

Datum
imp_push_ext_relevance_score(PG_FUNCTION_ARGS)
{
	JsonbValue	score;
	Datum		digits;

	if (!read_field(fcinfo, &score) || score.type != jbvNumeric ||
		compare(score.val.numeric, 0) < 0 || compare(score.val.numeric, 1) > 0)
		PG_RETURN_NULL();
	digits = DirectFunctionCall1(numeric_out,
								 NumericGetDatum(score.val.numeric));
	if (strlen(DatumGetCString(digits)) > SCORE_DIGITS)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&score));
}
