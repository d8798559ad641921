/*
 * set_certificate.c
 *		imp_push.set_certificate() and the checks of the keys it is given.
 *
 * Owns what happens to a key between the user's statement and the table.  No
 * message may contain anything of it; and since the server logs the statement
 * that failed, which does contain it, set_certificate() hides its own.  The
 * upsert itself is SQL: imp_push.store_certificate().
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "key.h"
#include "key_file.h"

#define SET_CERTIFICATE_ARGUMENTS	11

PG_FUNCTION_INFO_V1(imp_push_set_certificate);
PG_FUNCTION_INFO_V1(imp_push_check_signing_key);
PG_FUNCTION_INFO_V1(imp_push_check_client_key);

/* One key or certificate as it was given. */
typedef struct GivenKey
{
	const char *parameter;		/* its name, for messages */
	const char *file;			/* NAME if it was given as file:NAME, or NULL */
	char	   *file_fault;		/* why that file may not be used, or NULL */
	char	   *pem;			/* secret; NULL with a file_fault */
} GivenKey;

/*
 * An error context callback, and so called for every message raised below
 * set_certificate(): the server's log gets neither the statement nor, in the
 * context, its parameters.
 */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

Datum
imp_push_set_certificate(PG_FUNCTION_ARGS)
{
	ErrorContextCallback hide;
	Oid			argtypes[SET_CERTIFICATE_ARGUMENTS];
	Datum		values[SET_CERTIFICATE_ARGUMENTS];
	char		nulls[SET_CERTIFICATE_ARGUMENTS];
	int			i;

	for (i = 0; i < SET_CERTIFICATE_ARGUMENTS; i++)
	{
		argtypes[i] = TEXTOID;
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
	}

	hide.callback = hide_statement;
	hide.arg = NULL;
	hide.previous = error_context_stack;
	error_context_stack = &hide;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT imp_push.store_certificate("
							  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
							  SET_CERTIFICATE_ARGUMENTS, argtypes, values,
							  nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not call imp_push.store_certificate()");
	SPI_finish();

	error_context_stack = hide.previous;
	PG_RETURN_VOID();
}

/* Raises the error for a key that is no good; the caller has wiped it. */
static void
report_fault(const GivenKey *given, KeyFault fault)
{
	if (given->file_fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: %s", given->parameter, given->file_fault)));
	if (given->file != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: key file \"%s\" %s", given->parameter,
						given->file, key_fault_text(fault)),
				 errhint("%s", key_fault_hint(fault))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s", given->parameter, key_fault_text(fault)),
			 errhint("%s", key_fault_hint(fault))));
}

/* Takes a PEM as it is, and reads file:NAME. */
static GivenKey
get_key(const char *parameter, text *argument)
{
	GivenKey	given = {parameter, NULL, NULL, NULL};
	char	   *value = text_to_cstring(argument);
	size_t		length;

	given.file = key_file_name(value);
	if (given.file == NULL)
		given.pem = value;
	else
		given.pem = key_file_read(given.file, &length, &given.file_fault);
	return given;
}

/* imp_push.check_signing_key(private_key text) */
Datum
imp_push_check_signing_key(PG_FUNCTION_ARGS)
{
	GivenKey	given = get_key("private_key", PG_GETARG_TEXT_PP(0));
	EVP_PKEY   *key = NULL;
	KeyFault	fault = KEY_NOT_PRIVATE;

	if (given.pem != NULL)
		fault = key_parse_signing(given.pem, strlen(given.pem), &key);
	EVP_PKEY_free(key);
	secret_free(given.pem);
	if (fault != KEY_OK)
		report_fault(&given, fault);
	PG_RETURN_VOID();
}

/* imp_push.check_client_key(client_certificate text, client_key text) */
Datum
imp_push_check_client_key(PG_FUNCTION_ARGS)
{
	GivenKey	certificate = get_key("client_certificate",
									  PG_GETARG_TEXT_PP(0));
	GivenKey	key = get_key("client_key", PG_GETARG_TEXT_PP(1));
	int64		not_after = 0;
	bool		in_key = certificate.pem != NULL;
	KeyFault	fault = KEY_NOT_PRIVATE;
	TimestampTz expires_at;

	if (certificate.pem != NULL && key.pem != NULL)
		fault = key_check_client(certificate.pem, strlen(certificate.pem),
								 key.pem, strlen(key.pem),
								 &not_after, &in_key);
	/* The first as well: one file may hold both. */
	secret_free(certificate.pem);
	secret_free(key.pem);
	if (fault != KEY_OK)
		report_fault(in_key ? &key : &certificate, fault);

	expires_at = time_t_to_timestamptz((pg_time_t) not_after);
	if (expires_at <= GetCurrentTimestamp())
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the client certificate expired on %s",
						timestamptz_to_str(expires_at)),
				 errhint("APNs will refuse it.")));
	PG_RETURN_TIMESTAMPTZ(expires_at);
}
