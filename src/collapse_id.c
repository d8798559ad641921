/*
 * collapse_id.c
 *		imp_push.collapse_id(): the apns-collapse-id for a key.
 *
 * Owns what fits into that header as it is: at most 64 bytes, no control
 * characters, no blank at either end, which a header's value would lose.  Of
 * anything else the hash is sent.  It must never raise an ERROR for a key.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Apple's limit (03) */
#define COLLAPSE_ID_MOST 64

PG_FUNCTION_INFO_V1(imp_push_collapse_id);

/* The text is valid UTF-8: U+0080 to U+009F are C2 80 to C2 9F. */
static bool
fits_into_header(const unsigned char *key, int length)
{
	if (length > COLLAPSE_ID_MOST)
		return false;
	if (length > 0 && (key[0] == ' ' || key[length - 1] == ' '))
		return false;
	for (int i = 0; i < length; i++)
	{
		if (key[i] < 0x20 || key[i] == 0x7f)
			return false;
		if (key[i] == 0xc2 && i + 1 < length && key[i + 1] < 0xa0)
			return false;
	}
	return true;
}

Datum
imp_push_collapse_id(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);
	Datum		digest;

	if (fits_into_header((unsigned char *) VARDATA_ANY(key),
						 VARSIZE_ANY_EXHDR(key)))
		PG_RETURN_TEXT_P(key);

	/* text and bytea are the same bytes */
	digest = DirectFunctionCall1(sha256_bytea, PointerGetDatum(key));
	return DirectFunctionCall2(binary_encode, digest,
							   CStringGetTextDatum("hex"));
}
