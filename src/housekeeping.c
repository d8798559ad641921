/*
 * housekeeping.c
 *		What the worker tidies up in small steps.
 *
 * Owns when and how often; what is done is in src/sql/housekeeping.sql.  Must
 * never take a step while imp_push.enabled is off, nor one after the other
 * without a pause: pushes come first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "housekeeping.h"
#include "session.h"
#include "status.h"

/* Between two steps, while there is more to do and when there is not. */
#define STEP_MS 100
#define REST_MS 60000

/* After a long step so many times as long, for there is better to do. */
#define REST_TIMES 49

static TimestampTz due = DT_NOBEGIN;
static TimestampTz rested = DT_NOBEGIN; /* no sooner, but for the rest */

void
housekeeping_wanted(void)
{
	due = Min(due, rested);
}

TimestampTz
housekeeping_due(void)
{
	return imp_enabled ? due : DT_NOEND;
}

void
housekeeping(void)
{
	static SPIPlanPtr plan = NULL;
	TimestampTz now = GetCurrentTimestamp();
	Oid			types[] = {TIMESTAMPTZOID};
	TimestampTz ended;
	volatile bool more = false;

	if (!imp_enabled || now < due)
		return;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			Datum		args[] = {TimestampTzGetDatum(now)};
			bool		isnull;

			SPI_execute_plan(session_plan(&plan,
										  "SELECT imp_push.housekeeping($1)",
										  1, types),
							 args, NULL, false, 1);
			more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
			session_commit();
		}
	}
	PG_CATCH();
	{
		session_recover("tidy up");
	}
	PG_END_TRY();

	/* An idle database needs no more than the poll's attention. */
	ended = GetCurrentTimestamp();
	rested = TimestampTzPlusMilliseconds(ended, more ? STEP_MS : REST_MS);
	rested = Max(rested, ended + REST_TIMES * (ended - now));
	due = more ? rested :
		TimestampTzPlusMilliseconds(now, Max(REST_MS, imp_poll_interval));
}
