/*
 * credentials.c
 *		Keeps the transport's certificates and provider tokens up to date.
 *
 * The only place where the worker reads keys: in transactions of their own,
 * as the extension's owner, and never while anything else is done.
 *
 * A change of a certificate or its key invalidates the table's relcache
 * entry (see certificate.c), so that the worker hears of it at its next
 * transaction, without asking.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "busy_token.h"
#include "certificate.h"
#include "credentials.h"
#include "guard.h"
#include "plan.h"
#include "send.h"
#include "session.h"
#include "status.h"

#define RETRY_DELAY_MS 1000

/* A client certificate's last days, and how often they are mentioned. */
#define WARN_DAYS 30
#define WARN_EVERY_MS (24 * 3600 * 1000)
#define LOOK_EVERY_MS (3600 * 1000)
#define MAX_NAME 256
#define MAX_VERSION 64

typedef struct Known
{
	char		name[MAX_NAME]; /* hash key */
	char		version[MAX_VERSION];	/* the rows' transactions */
	bool		found;			/* in this pass */
	TimestampTz expires_at;		/* of a client certificate, or DT_NOEND; 0:
								 * not known yet */
	TimestampTz warned_at;		/* of that */
	bool		noted;			/* the former, in this transaction */
} Known;

static MemoryContext credentials_context;
static MemoryContext pass_context;
static HTAB *known;
static Oid	certificate_table = InvalidOid;
static bool changed = true;
static bool files_changed = false;
static TimestampTz retry_at;
static TimestampTz look_at;		/* for what ends soon */

static void load_changed(void);
static void warn_of_expiry(void);
static void renew_tokens(void);
static void restore_circuits(void);
static void restore_busy_tokens(void);
static void restore_doubted_tokens(void);

static void
relation_invalidated(Datum arg, Oid relation)
{
	if (relation == certificate_table || relation == InvalidOid)
		changed = true;
}

void
credentials_init(MemoryContext parent)
{
	HASHCTL		ctl = {0};

	credentials_context = AllocSetContextCreate(parent, "imp_push credentials",
												ALLOCSET_DEFAULT_SIZES);
	pass_context = AllocSetContextCreate(parent, "imp_push credentials pass",
										 ALLOCSET_SMALL_SIZES);
	ctl.keysize = MAX_NAME;
	ctl.entrysize = sizeof(Known);
	ctl.hcxt = credentials_context;
	known = hash_create("imp_push certificates", 16, &ctl,
						HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}

void
credentials_reload(void)
{
	changed = files_changed = true;
}

TimestampTz
credentials_due(void)
{
	return retry_at != 0 ? retry_at : DT_NOEND;
}

void
credentials_refresh(void)
{
	MemoryContext old;

	if (retry_at != 0 && GetCurrentTimestamp() < retry_at)
		return;
	retry_at = 0;
	old = MemoryContextSwitchTo(pass_context);

	PG_TRY();
	{
		if (changed)
			load_changed();
		warn_of_expiry();
		renew_tokens();
	}
	PG_CATCH();
	{
		session_recover("read the certificates");
		changed = true;
		retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   RETRY_DELAY_MS);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(pass_context);
}

/* The end of a client certificate, which may have come from a file. */
static void
note_expiry(Known *entry, const Certificate *cert)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[2];

	if (entry->expires_at == cert->expires_at)
		return;
	args[0] = CStringGetTextDatum(entry->name);
	args[1] = TimestampTzGetDatum(cert->expires_at);
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.record_expiry($1, $2)",
								  2, types),
					 args, NULL, false, 0);
	entry->expires_at = cert->expires_at;
	entry->warned_at = look_at = 0;
	entry->noted = true;
}

static void
warn_of_expiry(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz soon = now + WARN_DAYS * USECS_PER_DAY;
	HASH_SEQ_STATUS scan;
	Known	   *entry;

	if (now < look_at)
		return;
	look_at = TimestampTzPlusMilliseconds(now, LOOK_EVERY_MS);

	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->expires_at == 0 || entry->expires_at > soon ||
			!TimestampDifferenceExceeds(entry->warned_at, now, WARN_EVERY_MS))
			continue;
		entry->warned_at = now;
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the client certificate of \"%s\" %s at %s",
						entry->name,
						entry->expires_at > now ? "ends" : "has ended",
						timestamptz_to_str(entry->expires_at)),
				 errhint("Give it a new one with "
						 "imp_push.set_certificate().")));
	}
}

/*
 * Hands a certificate to the transport if it is new or has changed; remembers
 * that only when it is done.  Until then an error takes it along.
 */
static void
load_if_changed(HeapTuple row, TupleDesc desc)
{
	const char *name = SPI_getvalue(row, desc, 1);
	const char *version = SPI_getvalue(row, desc, 2);
	bool		isnull;
	bool		in_file = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	bool		seen;
	Known	   *entry = hash_search(known, name, HASH_ENTER, &seen);
	Certificate *cert;

	if (!seen)
	{
		entry->version[0] = '\0';
		entry->expires_at = entry->warned_at = 0;
		entry->noted = false;
	}
	entry->found = true;
	if (strcmp(entry->version, version) == 0 && !(files_changed && in_file))
		return;

	cert = certificate_load(name, CurTransactionContext);
	if (cert != NULL)
	{
		note_expiry(entry, cert);
		MemoryContextSetParent(cert->context, credentials_context);
		send_set_certificate(cert);
	}
	strlcpy(entry->version, version, sizeof(entry->version));
}

static void
forget_missing(void)
{
	HASH_SEQ_STATUS scan;
	Known	   *entry;

	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (!entry->found)
		{
			send_remove_certificate(entry->name);
			hash_search(known, entry->name, HASH_REMOVE, NULL);
		}
	}
}

/* Hands over what is new or has changed, and takes away what is gone. */
static void
load_changed(void)
{
	static SPIPlanPtr plan = NULL;
	static bool first = true;
	HASH_SEQ_STATUS scan;
	Known	   *entry;
	uint64		rows;
	SPITupleTable *table;

	if (session_begin(SESSION_OWNER) != SESSION_READY)
		return;
	certificate_table = get_relname_relid("certificate",
										  get_namespace_oid("imp_push", false));
	changed = false;

	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		entry->found = false;

		/* What the pass before wrote down has been rolled back: again. */
		if (entry->noted)
		{
			entry->version[0] = '\0';
			entry->expires_at = 0;
		}
		entry->noted = false;
	}

	SPI_execute_plan(session_plan(&plan,
								  "SELECT c.name, c.xmin::text || ' ' ||"
								  " coalesce(k.xmin::text, ''),"
								  " c.key_file IS NOT NULL"
								  " OR c.client_certificate_file IS NOT NULL"
								  " FROM imp_push.certificate c"
								  " LEFT JOIN imp_push.certificate_key k"
								  " ON k.certificate = c.name", 0, NULL),
					 NULL, NULL, true, 0);
	rows = SPI_processed;
	table = SPI_tuptable;
	for (uint64 i = 0; i < rows; i++)
		load_if_changed(table->vals[i], table->tupdesc);
	forget_missing();
	if (first)
	{
		restore_circuits();
		restore_busy_tokens();
		restore_doubted_tokens();
	}
	session_commit();
	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->noted = false;

	/* What waits for a certificate that is gone ends. */
	plan_due_changed(DT_NOBEGIN);
	first = false;
	files_changed = false;
}

/* What was broken when the worker before us ended need not be tried at once. */
static void
restore_circuits(void)
{
	SPI_execute("SELECT certificate, circuit_reason, circuit_detail,"
				" circuit_since, next_probe_at, last_success_at"
				" FROM imp_push.certificate_state"
				" WHERE circuit_reason IS NOT NULL", true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		CircuitStatus circuit = {0};

		circuit.certificate = SPI_getvalue(row, desc, 1);
		circuit.open = true;
		circuit.reason = SPI_getvalue(row, desc, 2);
		circuit.detail = SPI_getvalue(row, desc, 3);
		circuit.since =
			DatumGetTimestampTz(SPI_getbinval(row, desc, 4, &isnull));
		circuit.next_probe_at =
			DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull));
		circuit.last_success_at =
			DatumGetTimestampTz(SPI_getbinval(row, desc, 6, &isnull));
		if (isnull)
			circuit.last_success_at = 0;
		send_restore_circuit(&circuit);
	}
}

/* Devices that APNs has asked the worker before us to spare for a while */
static void
restore_busy_tokens(void)
{
	SPI_execute("SELECT w.certificate, t.token, w.attempts, w.due"
				" FROM imp_push.waiting w"
				" JOIN imp_push.device_token t ON t.user_id = w.recipient"
				" AND t.device_id = w.device_id"
				" AND t.certificate = w.certificate"
				" WHERE w.apns_status = 429"
				" AND w.due > pg_catalog.clock_timestamp()", true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		busy_token_restore(SPI_getvalue(row, desc, 1),
						   SPI_getvalue(row, desc, 2),
						   DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull)),
						   DatumGetTimestampTz(SPI_getbinval(row, desc, 4,
															 &isnull)),
						   GetCurrentTimestamp());
	}
}

/*
 * Bindings that the worker before us disabled as the guard let their tokens
 * go, and no success has come since (or none that was written down: then it
 * is soon known).  Where the guard has opened the circuit, or somebody has
 * written the certificate or its key since, they are to be live again.
 *
 * No row in certificate_state means that nothing is known, as after a restore.
 */
static void
restore_doubted_tokens(void)
{
	SPI_execute("SELECT s.certificate, d.token,"
				" s.circuit_reason IS NOT NULL AND s.circuit_reason IN"
				" ('BadDeviceToken', 'DeviceTokenNotForTopic')"
				" OR pg_catalog.age(c.xmin) < d.age"
				" OR k.certificate IS NOT NULL AND"
				" pg_catalog.age(k.xmin) < d.age"
				" FROM imp_push.certificate_state s"
				" JOIN imp_push.certificate c ON c.name = s.certificate"
				" LEFT JOIN imp_push.certificate_key k"
				" ON k.certificate = s.certificate"
				" CROSS JOIN LATERAL ("
				"SELECT t.token, pg_catalog.age(t.xmin)"
				" FROM imp_push.device_token t"
				" WHERE t.certificate = s.certificate"
				" AND t.disabled_reason IN"
				" ('BadDeviceToken', 'DeviceTokenNotForTopic')"
				" AND t.disabled_at >"
				" coalesce(s.last_success_at, '-infinity')"
				" ORDER BY t.disabled_at DESC"
				" LIMIT " CppAsString2(GUARD_VERDICTS) ") d", true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		send_restore_doubted(SPI_getvalue(row, desc, 1),
							 SPI_getvalue(row, desc, 2),
							 DatumGetBool(SPI_getbinval(row, desc, 3,
														&isnull)));
	}
}

static void
renew_tokens(void)
{
	Certificate *cert;
	const char *refused;
	bool		may_make;

	while ((cert = send_needs_token(&refused, &may_make)) != NULL)
	{
		bool		authorized;

		if (session_begin(SESSION_OWNER) != SESSION_READY)
			return;
		authorized = certificate_authorize(cert, refused, may_make);
		session_commit();
		send_authorized(cert, authorized);
	}
}
