/*
 * vocabulary.c
 *		A text in somebody's language (words.sql).
 *
 * Owns where a text is looked for: under the language tag and its shorter
 * forms, and for built-in texts in the default language and in English after
 * that.  Tags and keys are as language_key() has them.  It must never choose
 * which text is wanted: words() does.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

PG_FUNCTION_INFO_V1(imp_push_in_language);
PG_FUNCTION_INFO_V1(imp_push_builtin_word);

static JsonbValue *
look_up(JsonbContainer *object, const char *key, int length)
{
	if (!JsonContainerIsObject(object))
		return NULL;
	return getKeyJsonValueFromContainer(object, key, length, NULL);
}

/* zh-hans-cn, zh-hans, zh; NULL if there is none. */
static text *
in_language(JsonbContainer *texts, const char *tag, int length)
{
	while (length > 0)
	{
		JsonbValue *found = look_up(texts, tag, length);

		if (found != NULL && found->type == jbvString)
			return cstring_to_text_with_len(found->val.string.val,
											found->val.string.len);
		while (--length > 0 && tag[length] != '-')
			;
	}
	return NULL;
}

/* NULL: nobody has said which. */
static text *
in_language_argument(JsonbContainer *texts, FunctionCallInfo fcinfo, int n)
{
	text	   *tag;

	if (PG_ARGISNULL(n))
		return NULL;
	tag = PG_GETARG_TEXT_PP(n);
	return in_language(texts, VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag));
}

Datum
imp_push_in_language(PG_FUNCTION_ARGS)
{
	text	   *found = NULL;

	if (!PG_ARGISNULL(0))
		found = in_language_argument(&PG_GETARG_JSONB_P(0)->root, fcinfo, 1);
	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(found);
}

Datum
imp_push_builtin_word(PG_FUNCTION_ARGS)
{
	text	   *key;
	JsonbValue *texts;
	JsonbContainer *container;
	text	   *found;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	key = PG_GETARG_TEXT_PP(3);
	texts = look_up(&PG_GETARG_JSONB_P(0)->root, VARDATA_ANY(key),
					VARSIZE_ANY_EXHDR(key));
	if (texts == NULL || texts->type != jbvBinary)
		PG_RETURN_NULL();
	container = texts->val.binary.data;
	found = in_language_argument(container, fcinfo, 1);
	if (found == NULL)
		found = in_language_argument(container, fcinfo, 2);
	if (found == NULL)
		found = in_language(container, "en", strlen("en"));
	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(found);
}
