/*
 * status.c
 *		What the worker tells the world: imp_push.worker_state and the log.
 *
 * Collects in memory and writes at most once a second, and nothing if nothing
 * has changed, so that an idle system stays idle.  Written as the owner, for
 * imp_push.role may be what is missing.  Never shows a token or a text.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "counters.h"
#include "guc.h"
#include "send.h"
#include "status.h"
#include "worker_slot.h"

#define WRITE_INTERVAL_MS 1000
#define REPEAT_ERROR_MS 60000
#define RECENT_ERRORS 8

static MemoryContext status_context;
static MemoryContext write_context;

static WorkerState state = WORKER_IDLE;
static TimestampTz state_since;
static TimestampTz last_pass_at;
static int64 planned;
static int64 sent;
static char *last_error;
static TimestampTz last_error_at;

/* What has been logged of late: several may come in turn, each second. */
static struct
{
	uint32		hash;			/* of its text */
	TimestampTz at;
}			recent_errors[RECENT_ERRORS];

static bool changed = true;
static uint64 circuits_written;
static TimestampTz written_at;

static const char *const state_names[] = {
	[WORKER_IDLE] = "idle",
	[WORKER_WORKING] = "working",
	[WORKER_STOPPED] = "stopped",
	[WORKER_DISABLED] = "disabled",
	[WORKER_WAITING_FOR_ROLE] = "waiting_for_role",
	[WORKER_UNKNOWN_VERSION] = "unknown_version",
};

static void write_worker(void);
static void write_circuits(void);

void
status_init(MemoryContext parent)
{
	status_context = AllocSetContextCreate(parent, "imp_push status",
										   ALLOCSET_SMALL_SIZES);
	write_context = AllocSetContextCreate(parent, "imp_push status write",
										  ALLOCSET_SMALL_SIZES);
	state_since = GetCurrentTimestamp();
	counters_init(parent);
}

void
status_state(WorkerState new_state)
{
	if (state == new_state)
		return;
	state = new_state;
	state_since = GetCurrentTimestamp();
	changed = true;
	pgstat_report_activity(state == WORKER_WORKING ? STATE_RUNNING : STATE_IDLE,
						   state_names[state]);
}

bool
status_waits_for_role(void)
{
	return state == WORKER_WAITING_FOR_ROLE;
}

void
status_pass(void)
{
	/*
	 * Not by itself worth a write, but for the first: an idle worker looks,
	 * too.
	 */
	changed |= last_pass_at == 0;
	last_pass_at = GetCurrentTimestamp();
}

void
status_planned(uint64 messages)
{
	planned += messages;
	changed |= messages > 0;
}

void
status_outcome(const Push *push)
{
	count_outcome(push);
	sent += push->verdict == VERDICT_SENT;
	changed = true;
}

/* Has this error been logged a short time ago?  If not, it will be now. */
static bool
is_repeated(const char *text, TimestampTz now)
{
	uint32		hash = hash_bytes((const unsigned char *) text, strlen(text));
	int			oldest = 0;

	for (int i = 0; i < RECENT_ERRORS; i++)
	{
		if (recent_errors[i].hash == hash &&
			!TimestampDifferenceExceeds(recent_errors[i].at, now,
										REPEAT_ERROR_MS))
			return true;
		if (recent_errors[i].at < recent_errors[oldest].at)
			oldest = i;
	}
	recent_errors[oldest].hash = hash;
	recent_errors[oldest].at = now;
	return false;
}

void
status_error(const char *doing, int sqlstate, const char *message)
{
	TimestampTz now = GetCurrentTimestamp();
	char	   *complaint;
	bool		repeated;

	if (message == NULL)
		complaint = psprintf("could not %s: SQLSTATE %s", doing,
							 unpack_sql_state(sqlstate));
	else
		complaint = psprintf("could not %s: %s (SQLSTATE %s)", doing, message,
							 unpack_sql_state(sqlstate));

	repeated = is_repeated(complaint, now);
	if (!repeated)
		ereport(LOG, (errcode(sqlstate), errmsg("imp_push %s", complaint)));
	if (!repeated || strcmp(last_error, complaint) != 0)
	{
		if (last_error != NULL)
			pfree(last_error);
		last_error = MemoryContextStrdup(status_context, complaint);
		last_error_at = now;
		changed = true;
	}
	pfree(complaint);

	if (sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE && imp_role[0] != '\0')
		status_state(WORKER_WAITING_FOR_ROLE);
}

SessionState
status_begin(SessionRole role)
{
	SessionState session = session_begin(role);

	if (session == SESSION_NO_ROLE)
	{
		status_error("act as imp_push.role", ERRCODE_UNDEFINED_OBJECT,
					 psprintf("role \"%s\" does not exist", imp_role));
		status_state(WORKER_WAITING_FOR_ROLE);
	}
	else if (session == SESSION_UNKNOWN_VERSION)
	{
		if (state != WORKER_UNKNOWN_VERSION)
			ereport(LOG,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("imp_push is waiting: the installed library "
							"does not know this version of the extension"),
					 errhint("Run ALTER EXTENSION imp_push UPDATE, or "
							 "install the library of that version.")));
		status_state(WORKER_UNKNOWN_VERSION);
	}
	return session;
}

TimestampTz
status_due(void)
{
	if (!changed && circuits_written == send_circuit_generation())
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(written_at, WRITE_INTERVAL_MS);
}

bool
status_write(void)
{
	MemoryContext old = MemoryContextSwitchTo(write_context);
	volatile bool done = false;

	/* Whatever happens: not again before the interval is over. */
	written_at = GetCurrentTimestamp();
	PG_TRY();
	{
		if (session_begin(SESSION_STATUS) == SESSION_READY)
		{
			uint64		generation = send_circuit_generation();

			write_worker();
			counters_write();
			if (circuits_written != generation)
				write_circuits();
			session_commit();
			circuits_written = generation;
			changed = false;
			done = true;
		}
	}
	PG_CATCH();
	{
		session_recover("write its status");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(write_context);
	return done;
}

static void
write_worker(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {
		INT4OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, INT4OID,
		INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID
	};
	Datum		args[] = {
		Int32GetDatum(MyProcPid),
		CStringGetTextDatum(state_names[state]),
		TimestampTzGetDatum(state_since),
		TimestampTzGetDatum(last_pass_at),
		BoolGetDatum(worker_slots_present()),
		Int32GetDatum(send_in_flight()),
		Int32GetDatum(send_connections()),
		Int64GetDatum(planned),
		Int64GetDatum(sent),
		last_error == NULL ? (Datum) 0 : CStringGetTextDatum(last_error),
		TimestampTzGetDatum(last_error_at)
	};
	char		nulls[] = "           ";

	if (last_error == NULL)
		nulls[9] = nulls[10] = 'n';
	if (last_pass_at == 0)
		nulls[3] = 'n';
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.record_worker(0::smallint,"
								  " $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
								  lengthof(types), types),
					 args, nulls, false, 0);
}

static void
write_circuits(void)
{
	static SPIPlanPtr plan = NULL;
	enum
	{
		NAME, REASON, DETAIL, SINCE, PROBE, SUCCESS, COLUMNS
	};
	static const Oid columns[COLUMNS] = {
		TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID
	};
	CircuitStatus *circuits;
	int			n = send_circuits(&circuits);
	Datum		args[COLUMNS];
	Oid			types[COLUMNS];
	Datum	   *values[COLUMNS];
	bool	   *nulls[COLUMNS];

	for (int i = 0; i < COLUMNS; i++)
	{
		values[i] = palloc0(sizeof(Datum) * (n + 1));
		nulls[i] = palloc0(sizeof(bool) * (n + 1));
	}
	for (int i = 0; i < n; i++)
	{
		CircuitStatus *circuit = &circuits[i];

		values[NAME][i] = CStringGetTextDatum(circuit->certificate);
		nulls[REASON][i] = !circuit->open || circuit->reason == NULL;
		if (!nulls[REASON][i])
			values[REASON][i] = CStringGetTextDatum(circuit->reason);
		nulls[DETAIL][i] = !circuit->open || circuit->detail == NULL;
		if (!nulls[DETAIL][i])
			values[DETAIL][i] = CStringGetTextDatum(circuit->detail);
		values[SINCE][i] = TimestampTzGetDatum(circuit->since);
		nulls[SINCE][i] = circuit->since == 0;
		values[PROBE][i] = TimestampTzGetDatum(circuit->next_probe_at);
		nulls[PROBE][i] = !circuit->open;
		values[SUCCESS][i] = TimestampTzGetDatum(circuit->last_success_at);
		nulls[SUCCESS][i] = circuit->last_success_at == 0;
	}
	for (int i = 0; i < COLUMNS; i++)
	{
		args[i] = session_array(values[i], nulls[i], n, columns[i]);
		types[i] = get_array_type(columns[i]);
	}
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.record_circuits("
								  "$1, $2, $3, $4, $5, $6)",
								  COLUMNS, types),
					 args, NULL, false, 0);
}
