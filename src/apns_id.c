/*
 * apns_id.c
 *		imp_push.apns_id(): the id of a push, the same on every attempt.
 *
 * Owns the derivation, which must never change: a message that is tried again
 * after an upgrade must have the id it had before.  SHA-256 over each field's
 * length (four bytes, network order) and bytes; the first 16 bytes with the
 * version (8: a format of one's own, RFC 9562) and variant of a UUID put in.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/uuid.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#define APNS_ID_FIELDS	4

PG_FUNCTION_INFO_V1(imp_push_apns_id);

static bool
add_field(EVP_MD_CTX *context, text *field)
{
	uint32		length = VARSIZE_ANY_EXHDR(field);
	uint32		prefix = pg_hton32(length);

	return EVP_DigestUpdate(context, &prefix, sizeof(prefix)) == 1 &&
		EVP_DigestUpdate(context, VARDATA_ANY(field), length) == 1;
}

Datum
imp_push_apns_id(PG_FUNCTION_ARGS)
{
	/* For the life of the process: making and finding them costs the most. */
	static EVP_MD_CTX *context = NULL;
	static EVP_MD *sha256 = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));
	bool		done;
	int			i;

	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (context == NULL)
		context = EVP_MD_CTX_new();
	done = sha256 != NULL && context != NULL &&
		EVP_DigestInit_ex(context, sha256, NULL) == 1;
	for (i = 0; done && i < APNS_ID_FIELDS; i++)
		done = add_field(context, PG_GETARG_TEXT_PP(i));
	done = done && EVP_DigestFinal_ex(context, digest, NULL) == 1;
	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 digest")));

	memcpy(uuid->data, digest, UUID_LEN);
	uuid->data[6] = (uuid->data[6] & 0x0F) | 0x80;
	uuid->data[8] = (uuid->data[8] & 0x3F) | 0x80;
	PG_RETURN_UUID_P(uuid);
}
