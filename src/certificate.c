/*
 * certificate.c
 *		What a connection for one certificate needs: address and credentials.
 *
 * Owns the way of a certificate from its tables and files into memory, and
 * the trigger that tells workers to read it again.  Keys stay in memory for as
 * long as the Certificate and are wiped with it; they must never reach a
 * message, and whatever copy is made on the way is wiped, also after an error.
 * What is wrong with a key is the Certificate's fault, not an ERROR: other
 * certificates go on.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "certificate.h"
#include "key.h"
#include "key_file.h"
#include "wakeup.h"

#define PRODUCTION_ORIGIN	"https://api.push.apple.com:443"
#define DEVELOPMENT_ORIGIN	"https://api.sandbox.push.apple.com:443"
#define HTTPS_PREFIX		"https://"

/* What the tables say of the keys, before it is judged. */
typedef struct StoredKeys
{
	char	   *key_file;
	char	   *certificate_file;
	char	   *private_key;	/* secret */
	char	   *client_certificate;
	char	   *client_key;		/* secret */
} StoredKeys;

/* Both end, and are wiped, with the Certificate's context. */
typedef struct LoadedCertificate
{
	Certificate cert;
	StoredKeys	stored;
} LoadedCertificate;

/* In the order of LOAD_QUERY's result. */
enum
{
	COLUMN_ENABLED = 1,
	COLUMN_DEVELOPMENT,
	COLUMN_ENDPOINT,
	COLUMN_TEAM_ID,
	COLUMN_KEY_ID,
	COLUMN_KEY_FILE,
	COLUMN_CERTIFICATE_FILE,
	COLUMN_PRIVATE_KEY,
	COLUMN_CLIENT_CERTIFICATE,
	COLUMN_CLIENT_KEY
};

#define LOAD_QUERY \
	"SELECT c.enabled, c.environment OPERATOR(pg_catalog.=) 'development'," \
	" c.endpoint, c.team_id, c.key_id, c.key_file, c.client_certificate_file," \
	" k.private_key, k.client_certificate, k.client_key" \
	" FROM imp_push.certificate c LEFT JOIN imp_push.certificate_key k" \
	" ON k.certificate OPERATOR(pg_catalog.=) c.name" \
	" WHERE c.name OPERATOR(pg_catalog.=) $1"

PG_FUNCTION_INFO_V1(imp_push_certificate_changed);

/* Has the context wiped what it holds, however it comes to its end. */
static void
wipe_at_end(MemoryContext context, MemoryContextCallbackFunction wipe,
			void *what)
{
	MemoryContextCallback *callback;

	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	callback->func = wipe;
	callback->arg = what;
	MemoryContextRegisterResetCallback(context, callback);
}

static void
wipe_string(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
}

/* A reset callback. */
static void
wipe_certificate(void *arg)
{
	LoadedCertificate *loaded = arg;

	EVP_PKEY_free(loaded->cert.signing_key);
	wipe_string(loaded->cert.client_certificate);
	wipe_string(loaded->cert.client_key);
	wipe_string(loaded->cert.authorization);
	wipe_string(loaded->stored.private_key);
	wipe_string(loaded->stored.client_key);
}

/*
 * The context belongs to the transaction until the Certificate is complete,
 * so that an ERROR on the way takes the keys along.
 */
static LoadedCertificate *
new_certificate(const char *name)
{
	MemoryContext context;
	LoadedCertificate *loaded;

	context = AllocSetContextCreate(CurTransactionContext,
									"imp_push certificate",
									ALLOCSET_SMALL_SIZES);
	loaded = MemoryContextAllocZero(context, sizeof(LoadedCertificate));
	wipe_at_end(context, wipe_certificate, loaded);

	loaded->cert.context = context;
	loaded->cert.name = MemoryContextStrdup(context, name);
	loaded->cert.expires_at = DT_NOEND;
	return loaded;
}

void
certificate_free(Certificate *cert)
{
	if (cert != NULL)
		MemoryContextDelete(cert->context);
}

/* "https://host:port" for the endpoint of the table, or Apple's. */
static char *
make_origin(MemoryContext context, const char *endpoint, bool development)
{
	const char *host;
	const char *bracket;

	if (endpoint == NULL)
		return MemoryContextStrdup(context, development ?
								   DEVELOPMENT_ORIGIN : PRODUCTION_ORIGIN);

	/* The colons of an IPv6 address are inside its brackets. */
	host = endpoint + strlen(HTTPS_PREFIX);
	bracket = strchr(host, ']');
	if (strchr(bracket != NULL ? bracket : host, ':') != NULL)
		return MemoryContextStrdup(context, endpoint);
	return MemoryContextStrdup(context, psprintf("%s:443", endpoint));
}

/*
 * A text column in the given context, or NULL.  What detoasting leaves behind
 * is wiped, as it may be a key.
 */
static char *
copy_column(MemoryContext context, HeapTuple tuple, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, desc, column, &isnull);
	text	   *plain;
	char	   *copy;

	if (isnull)
		return NULL;
	plain = DatumGetTextPP(value);
	copy = MemoryContextAlloc(context, VARSIZE_ANY_EXHDR(plain) + 1);
	memcpy(copy, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
	copy[VARSIZE_ANY_EXHDR(plain)] = '\0';
	if ((Pointer) plain != DatumGetPointer(value))
	{
		OPENSSL_cleanse(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		pfree(plain);
	}
	return copy;
}

static void
read_columns(LoadedCertificate *loaded, HeapTuple tuple, TupleDesc desc)
{
	Certificate *cert = &loaded->cert;
	StoredKeys *stored = &loaded->stored;
	MemoryContext context = cert->context;
	bool		isnull;
	bool		development;

	cert->enabled = DatumGetBool(SPI_getbinval(tuple, desc, COLUMN_ENABLED,
											   &isnull));
	development = DatumGetBool(SPI_getbinval(tuple, desc, COLUMN_DEVELOPMENT,
											 &isnull));
	cert->origin = make_origin(context,
							   copy_column(context, tuple, desc,
										   COLUMN_ENDPOINT),
							   development);
	cert->team_id = copy_column(context, tuple, desc, COLUMN_TEAM_ID);
	cert->key_id = copy_column(context, tuple, desc, COLUMN_KEY_ID);

	stored->key_file = copy_column(context, tuple, desc, COLUMN_KEY_FILE);
	stored->certificate_file = copy_column(context, tuple, desc,
										   COLUMN_CERTIFICATE_FILE);
	stored->client_certificate = copy_column(context, tuple, desc,
											 COLUMN_CLIENT_CERTIFICATE);
	stored->private_key = copy_column(context, tuple, desc,
									  COLUMN_PRIVATE_KEY);
	stored->client_key = copy_column(context, tuple, desc, COLUMN_CLIENT_KEY);
}

/* A reset callback: SPI's copy of the row holds the keys as well. */
static void
wipe_tuple(void *arg)
{
	HeapTuple	tuple = arg;

	OPENSSL_cleanse((char *) tuple->t_data + tuple->t_data->t_hoff,
					tuple->t_len - tuple->t_data->t_hoff);
}

/* NULL if there is no such row. */
static LoadedCertificate *
read_row(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid			argtypes[1] = {TEXTOID};
	Datum		values[1];
	LoadedCertificate *loaded = NULL;

	values[0] = CStringGetTextDatum(name);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(LOAD_QUERY, 1, argtypes);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		plan = prepared;
	}
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read certificate \"%s\"", name);

	if (SPI_processed == 1)
	{
		wipe_at_end(SPI_tuptable->tuptabcxt, wipe_tuple, SPI_tuptable->vals[0]);
		loaded = new_certificate(name);
		read_columns(loaded, SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	}
	SPI_finish();
	return loaded;
}

/* detail is palloc'd in the Certificate's context, or a constant. */
static void
set_fault(Certificate *cert, const char *fault, const char *detail)
{
	cert->fault = fault;
	cert->fault_detail = unconstify(char *, detail);
}

static void
load_signing_key(Certificate *cert, const StoredKeys *stored)
{
	char	   *from_file = NULL;
	const char *pem = stored->private_key;
	size_t		length;
	KeyFault	fault;
	char	   *detail;

	if (stored->key_file != NULL)
	{
		cert->uses_key_file = true;
		pem = from_file = key_file_read(stored->key_file, &length, &detail);
		if (pem == NULL)
		{
			set_fault(cert, "bad_key_file", detail);
			return;
		}
	}
	else if (pem == NULL)
	{
		set_fault(cert, "no_key", "no private_key is stored");
		return;
	}

	fault = key_parse_signing(pem, strlen(pem), &cert->signing_key);
	secret_free(from_file);
	if (fault == KEY_OK)
		return;
	if (stored->key_file != NULL)
		set_fault(cert, "bad_key_file", psprintf("key file \"%s\" %s",
												 stored->key_file,
												 key_fault_text(fault)));
	else
		set_fault(cert, "bad_key", psprintf("private_key %s",
											key_fault_text(fault)));
}

/*
 * One half of client-certificate authentication, from its file or from the
 * table, for the Certificate to keep.  False, with fault set, if there is none.
 */
static bool
load_half(Certificate *cert, const char *file, const char *value,
		  const char *column, char **pem)
{
	size_t		length;
	char	   *detail;

	if (file != NULL)
	{
		cert->uses_key_file = true;
		*pem = key_file_read(file, &length, &detail);
		if (*pem == NULL)
			set_fault(cert, "bad_key_file", detail);
	}
	else if (value != NULL)
		*pem = pstrdup(value);
	else
		set_fault(cert, "no_key", psprintf("no %s is stored", column));
	return *pem != NULL;
}

static void
load_client_certificate(Certificate *cert, const StoredKeys *stored)
{
	int64		not_after;
	bool		in_key;
	KeyFault	fault;
	const char *file;
	const char *column;

	if (stored->certificate_file == NULL && stored->key_file == NULL &&
		stored->client_certificate == NULL && stored->client_key == NULL)
	{
		set_fault(cert, "no_key",
				  "neither a private_key nor a client_certificate is stored");
		return;
	}
	if (!load_half(cert, stored->certificate_file, stored->client_certificate,
				   "client_certificate", &cert->client_certificate) ||
		!load_half(cert, stored->key_file, stored->client_key,
				   "client_key", &cert->client_key))
		return;

	fault = key_check_client(cert->client_certificate,
							 strlen(cert->client_certificate),
							 cert->client_key, strlen(cert->client_key),
							 &not_after, &in_key);
	if (fault == KEY_OK)
	{
		cert->expires_at = time_t_to_timestamptz((pg_time_t) not_after);
		return;
	}
	file = in_key ? stored->key_file : stored->certificate_file;
	column = in_key ? "client_key" : "client_certificate";
	if (file != NULL)
		set_fault(cert, "bad_key_file", psprintf("key file \"%s\" %s", file,
												 key_fault_text(fault)));
	else
		set_fault(cert, "bad_key", psprintf("%s %s", column,
											key_fault_text(fault)));
}

Certificate *
certificate_load(const char *name, MemoryContext parent)
{
	LoadedCertificate *loaded;
	Certificate *cert;
	MemoryContext old_context;

	PushActiveSnapshot(GetTransactionSnapshot());
	loaded = read_row(name);
	PopActiveSnapshot();
	if (loaded == NULL)
		return NULL;

	cert = &loaded->cert;
	old_context = MemoryContextSwitchTo(cert->context);
	if (cert->team_id != NULL)
		load_signing_key(cert, &loaded->stored);
	else
		load_client_certificate(cert, &loaded->stored);
	MemoryContextSwitchTo(old_context);
	secret_free(loaded->stored.private_key);
	secret_free(loaded->stored.client_key);
	memset(&loaded->stored, 0, sizeof(StoredKeys));

	MemoryContextSetParent(cert->context, parent);
	return cert;
}

/*
 * imp_push.certificate_changed(): after any statement on imp_push.certificate
 * or imp_push.certificate_key.  A relcache invalidation of the former is what
 * workers listen for.
 */
Datum
imp_push_certificate_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Oid			relid;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("certificate_changed() must be called as a trigger")));

	relid = get_relname_relid("certificate",
							  RelationGetNamespace(trigger->tg_relation));
	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
	wakeup_request_by_notify();
	return PointerGetDatum(NULL);
}
