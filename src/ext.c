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

static bool
is_array(Jsonb *value)
{
	return JB_ROOT_IS_ARRAY(value) && !JB_ROOT_IS_SCALAR(value);
}

static bool
read_scalar(Jsonb *value, enum jbvType type, JsonbValue *scalar)
{
	return JB_ROOT_IS_SCALAR(value) &&
		JsonbExtractScalar(&value->root, scalar) && scalar->type == type;
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
	Jsonb	   *value = argument(fcinfo, 0);
	JsonbValue	empty = {.type = jbvObject};

	if (value != NULL && JB_ROOT_IS_OBJECT(value))
		PG_RETURN_JSONB_P(value);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&empty));
}

Datum
imp_push_ext_array(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);

	if (!is_array(value))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value);
}

Datum
imp_push_ext_text(PG_FUNCTION_ARGS)
{
	JsonbValue	string;

	if (!read_scalar(PG_GETARG_JSONB_P(0), jbvString, &string))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(string.val.string.val,
											  string.val.string.len));
}

Datum
imp_push_ext_flag(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = argument(fcinfo, 0);
	JsonbValue	flag;

	if (value == NULL)
		PG_RETURN_BOOL(false);
	if (read_scalar(value, jbvBool, &flag))
		PG_RETURN_BOOL(flag.val.boolean);
	if (read_scalar(value, jbvNumeric, &flag))
		PG_RETURN_BOOL(compare(flag.val.numeric, 1) == 0);
	if (read_scalar(value, jbvString, &flag))
		PG_RETURN_BOOL(is_word(&flag, "true") || is_word(&flag, "yes") ||
					   is_word(&flag, "1"));
	PG_RETURN_BOOL(false);
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
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	JsonbValue	badge;
	int64		number;

	if (read_scalar(value, jbvString, &badge))
	{
		if (!read_digits(&badge, &number))
			PG_RETURN_NULL();
		PG_RETURN_INT32((int32) number);
	}
	if (!read_scalar(value, jbvNumeric, &badge) ||
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
holds(Jsonb *array, const text *name, bool or_all)
{
	JsonbIterator *iterator = JsonbIteratorInit(&array->root);
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

Datum
imp_push_ext_mentions(PG_FUNCTION_ARGS)
{
	Jsonb	   *list = argument(fcinfo, 0);
	JsonbValue	string;

	if (list == NULL)
		PG_RETURN_BOOL(false);
	if (read_scalar(list, jbvString, &string))
		PG_RETURN_BOOL(is_word(&string, "all"));
	PG_RETURN_BOOL(is_array(list) && holds(list, name_argument(fcinfo, 1), true));
}

Datum
imp_push_ext_filter_excludes(PG_FUNCTION_ARGS)
{
	Jsonb	   *accepted = argument(fcinfo, 0);
	Jsonb	   *ignored = argument(fcinfo, 1);
	text	   *name = name_argument(fcinfo, 2);

	if (ignored != NULL && holds(ignored, name, false))
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(accepted != NULL && JB_ROOT_COUNT(accepted) > 0 &&
				   !holds(accepted, name, false));
}

Datum
imp_push_ext_mention_list(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	JsonbValue	string;

	if (!is_array(value) && !read_scalar(value, jbvString, &string))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value);
}

Datum
imp_push_ext_interruption_level(PG_FUNCTION_ARGS)
{
	static const char *const levels[] = {
		"passive", "active", "time-sensitive", "critical"
	};
	JsonbValue	string;

	if (!read_scalar(PG_GETARG_JSONB_P(0), jbvString, &string))
		PG_RETURN_NULL();
	for (int i = 0; i < lengthof(levels); i++)
		if (string.val.string.len == strlen(levels[i]) &&
			memcmp(string.val.string.val, levels[i], strlen(levels[i])) == 0)
			PG_RETURN_TEXT_P(cstring_to_text(levels[i]));
	PG_RETURN_NULL();
}

Datum
imp_push_ext_relevance_score(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	JsonbValue	score;
	Datum		digits;

	if (!read_scalar(value, jbvNumeric, &score) ||
		compare(score.val.numeric, 0) < 0 || compare(score.val.numeric, 1) > 0)
		PG_RETURN_NULL();
	digits = DirectFunctionCall1(numeric_out,
								 NumericGetDatum(score.val.numeric));
	if (strlen(DatumGetCString(digits)) > SCORE_DIGITS)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value);
}
