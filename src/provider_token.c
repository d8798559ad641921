/*
 * provider_token.c
 *		The one provider token of a signing key, shared by all who send.
 *
 * Owns the decision when a token is read and when a new one is made.  It must
 * never make one where the table has one that will do: Apple counts new
 * tokens, and an ES256 signature cannot be computed a second time.  So the
 * table has the last word: the new token is offered to
 * imp_push.renew_provider_token(), and what that returns is used, be it ours
 * or the one of somebody who was faster.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "certificate.h"
#include "jwt.h"
#include "key.h"
#include "provider_token.h"

/* A row of imp_push.provider_token, or no token. */
typedef struct SharedToken
{
	char	   *token;			/* palloc'd, or NULL */
	TimestampTz issued_at;
} SharedToken;

#define READ_QUERY \
	"SELECT p.token, p.issued_at FROM imp_push.provider_token p" \
	" WHERE p.team_id OPERATOR(pg_catalog.=) $1" \
	" AND p.key_id OPERATOR(pg_catalog.=) $2" \
	" AND p.fingerprint OPERATOR(pg_catalog.=) $3"

#define RENEW_QUERY \
	"SELECT p.token, p.issued_at" \
	" FROM imp_push.renew_provider_token($1, $2, $3, $4, $5, $6) p"

#define READ_ARGUMENTS	3
#define RENEW_ARGUMENTS 6

static const Oid query_arguments[RENEW_ARGUMENTS] = {
	TEXTOID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID, TEXTOID
};

static bool
is_usable(TimestampTz issued_at, TimestampTz now)
{
	return now - issued_at < PROVIDER_TOKEN_RENEW_AGE &&
		issued_at - now <= PROVIDER_TOKEN_MAX_SKEW;
}

bool
certificate_token_is_old(const Certificate *cert)
{
	if (cert->signing_key == NULL)
		return false;
	return cert->authorization == NULL ||
		!is_usable(cert->issued_at, GetCurrentTimestamp());
}

static SPIPlanPtr
prepare(const char *query, int nargs)
{
	Oid			argtypes[RENEW_ARGUMENTS];
	SPIPlanPtr	plan;

	memcpy(argtypes, query_arguments, sizeof(argtypes));
	plan = SPI_prepare(query, nargs, argtypes);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

/* Runs one of the two queries; the result is in the caller's context. */
static SharedToken
query_token(SPIPlanPtr *plan, const char *query, int nargs, Datum *values,
			const char *nulls, bool read_only)
{
	SharedToken shared = {0};

	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (*plan == NULL)
		*plan = prepare(query, nargs);
	if (SPI_execute_plan(*plan, values, nulls, read_only, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the provider token");
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		text	   *token;

		token = DatumGetTextPP(SPI_getbinval(tuple, desc, 1, &isnull));
		shared.token = SPI_palloc(VARSIZE_ANY_EXHDR(token) + 1);
		text_to_cstring_buffer(token, shared.token,
							   VARSIZE_ANY_EXHDR(token) + 1);
		shared.issued_at =
			DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
	}
	SPI_finish();
	PopActiveSnapshot();
	return shared;
}

static SharedToken
read_token(const Certificate *cert, bytea *fingerprint)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[READ_ARGUMENTS];

	values[0] = CStringGetTextDatum(cert->team_id);
	values[1] = CStringGetTextDatum(cert->key_id);
	values[2] = PointerGetDatum(fingerprint);
	return query_token(&plan, READ_QUERY, READ_ARGUMENTS, values, NULL, true);
}

/* The token that everybody uses from now on. */
static SharedToken
offer_token(const Certificate *cert, bytea *fingerprint, const char *token,
			TimestampTz issued_at, const char *refused)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[RENEW_ARGUMENTS];
	const char *nulls = refused == NULL ? "     n" : NULL;

	values[0] = CStringGetTextDatum(cert->team_id);
	values[1] = CStringGetTextDatum(cert->key_id);
	values[2] = PointerGetDatum(fingerprint);
	values[3] = CStringGetTextDatum(token);
	values[4] = TimestampTzGetDatum(issued_at);
	values[5] = refused == NULL ? (Datum) 0 : CStringGetTextDatum(refused);
	return query_token(&plan, RENEW_QUERY, RENEW_ARGUMENTS, values, nulls,
					   false);
}

static bytea *
make_fingerprint(EVP_PKEY *key)
{
	bytea	   *fingerprint = palloc(VARHDRSZ + KEY_FINGERPRINT_LENGTH);

	SET_VARSIZE(fingerprint, VARHDRSZ + KEY_FINGERPRINT_LENGTH);
	if (!key_fingerprint(key, (unsigned char *) VARDATA(fingerprint)))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	return fingerprint;
}

static void
adopt(Certificate *cert, const SharedToken *shared)
{
	size_t		size = strlen(AUTHORIZATION_PREFIX) + strlen(shared->token) + 1;
	char	   *line = MemoryContextAlloc(cert->context, size);

	snprintf(line, size, "%s%s", AUTHORIZATION_PREFIX, shared->token);
	if (cert->authorization != NULL)
	{
		OPENSSL_cleanse(cert->authorization, strlen(cert->authorization));
		pfree(cert->authorization);
	}
	cert->authorization = line;
	cert->issued_at = shared->issued_at;
}

/* iat counts seconds: the time that the table shall hold is that of the token. */
static bool
make_token(Certificate *cert, TimestampTz now, char jwt[JWT_SIZE],
		   TimestampTz *issued_at)
{
	pg_time_t	seconds = timestamptz_to_time_t(now);

	*issued_at = time_t_to_timestamptz(seconds);
	if (jwt_sign(cert->signing_key, cert->team_id, cert->key_id,
				 (int64) seconds, jwt))
		return true;
	cert->fault = "bad_key";
	cert->fault_detail = "no provider token could be signed with the key";
	return false;
}

/* The refused line's token if it is still the shared one, or NULL. */
static const char *
still_refused(const char *refused, const SharedToken *shared)
{
	size_t		prefix = strlen(AUTHORIZATION_PREFIX);

	if (refused == NULL || shared->token == NULL ||
		strncmp(refused, AUTHORIZATION_PREFIX, prefix) != 0 ||
		strcmp(refused + prefix, shared->token) != 0)
		return NULL;
	return refused + prefix;
}

bool
certificate_authorize(Certificate *cert, const char *refused, bool may_make)
{
	SharedToken shared;
	bytea	   *fingerprint;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz issued_at;
	char		jwt[JWT_SIZE];

	if (cert->signing_key == NULL)
		return cert->fault == NULL;
	cert->fault = NULL;
	cert->fault_detail = NULL;

	fingerprint = make_fingerprint(cert->signing_key);
	shared = read_token(cert, fingerprint);
	refused = still_refused(refused, &shared);
	if (shared.token != NULL && is_usable(shared.issued_at, now))
	{
		if (refused == NULL)
		{
			adopt(cert, &shared);
			return true;
		}
		if (now - shared.issued_at < PROVIDER_TOKEN_MIN_AGE)
		{
			cert->fault = "clock_is_wrong";
			cert->fault_detail = "APNs refuses as expired a provider token "
				"that is younger than 20 minutes by this server's clock";
			return false;
		}
	}

	if (!may_make)
	{
		cert->fault = "TooManyProviderTokenUpdates";
		cert->fault_detail = "the provider token has come to its end, and "
			"APNs has just refused a new one";
		return false;
	}
	if (!make_token(cert, now, jwt, &issued_at))
		return false;
	shared = offer_token(cert, fingerprint, jwt, issued_at, refused);
	if (shared.token == NULL)
		elog(ERROR, "imp_push.renew_provider_token() returned no token");
	adopt(cert, &shared);
	return true;
}
