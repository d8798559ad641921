/*
 * time_zone.c
 *		Wall clocks: which zones there are, and when a daily interval ends.
 *
 * Owns the reading of a wall clock, daylight saving included.  Must never
 * fail for a zone that is not known: rows outlive the operating system's list
 * of zones, and people whose zone has gone get the default's clock.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "refuse.h"

#define ZONE_ALLOWED \
	"It must be the IANA name of a time zone, such as Asia/Shanghai."
#define ZONE_HINT \
	"pg_timezone_names lists them. Offsets and abbreviations are no names: " \
	"they know nothing of daylight saving."

/* More changes of a zone's offset than fall into one interval of a day. */
#define MAX_BOUNDARIES 8

PG_FUNCTION_INFO_V1(imp_push_is_time_zone);
PG_FUNCTION_INFO_V1(imp_push_check_time_zone);
PG_FUNCTION_INFO_V1(imp_push_interval_end);

/*
 * The zone of that IANA name, or NULL.
 *
 * The colon makes pg_tzset() look for a file of that name and for nothing
 * else.  Without it "UTC+8" would be taken as a POSIX zone, eight hours
 * *west* of Greenwich, and "Foo5" as well.  AT TIME ZONE would moreover take
 * "CET" as an abbreviation, without daylight saving.
 */
static pg_tz *
find_zone(const char *name)
{
	char		file_name[TZ_STRLEN_MAX + 1];
	pg_tz	   *zone;

	if (name[0] == '\0' || name[0] == ':' || strlen(name) >= TZ_STRLEN_MAX)
		return NULL;
	file_name[0] = ':';
	strlcpy(file_name + 1, name, sizeof(file_name) - 1);
	zone = pg_tzset(file_name);
	/* not "right/…", whose clocks count leap seconds */
	return zone != NULL && pg_tz_acceptable(zone) ? zone : NULL;
}

/* imp_push.is_time_zone(name text) → boolean */
Datum
imp_push_is_time_zone(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(find_zone(name) != NULL);
}

/*
 * imp_push.check_time_zone(column) → trigger
 *
 * Refuses a column that is neither NULL nor the name of a zone.  A C trigger,
 * because a function in its WHEN would have to be granted to every writer.
 */
Datum
imp_push_check_time_zone(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;
	HeapTuple	tuple;
	char	   *column;
	char	   *name;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		elog(ERROR, "imp_push.check_time_zone(column) is a BEFORE row trigger");

	rel = trigger->tg_relation;
	tuple = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	column = trigger->tg_trigger->tgargs[0];
	name = SPI_getvalue(tuple, rel->rd_att,
						SPI_fnumber(rel->rd_att, column));
	if (name != NULL && find_zone(name) == NULL)
		refuse_value(RelationGetRelationName(rel), column, name, false,
					 ZONE_ALLOWED, ZONE_HINT);
	return PointerGetDatum(tuple);
}

/*
 * Does a daily interval hold this time of the day?  [start, end), across
 * midnight if end is before start, the whole day if they are equal, except
 * that 00:00 to 00:00 means off.
 */
static bool
interval_holds(TimeADT clock, TimeADT start, TimeADT end)
{
	if (start < end)
		return clock >= start && clock < end;
	if (start > end)
		return clock >= start || clock < end;
	return start != 0;
}

/* The time of the day where the wall clock is that far ahead of UTC. */
static TimeADT
clock_time(TimestampTz at, long gmtoff)
{
	TimeADT		clock = (at + gmtoff * USECS_PER_SEC) % USECS_PER_DAY;

	return clock < 0 ? clock + USECS_PER_DAY : clock;
}

/*
 * Follows the wall clock from at on, from one change of the zone's offset to
 * the next, until it is outside the interval.  Returns at itself if it is
 * outside already.
 *
 * The clock may jump over the end of the interval, or jump back before its
 * end to before its start: both end it.
 */
static TimestampTz
leave_interval(TimestampTz at, pg_tz *zone, TimeADT start, TimeADT end)
{
	int			i;

	if (start == end)
		return start != 0 ? DT_NOEND : at;

	for (i = 0; i < MAX_BOUNDARIES; i++)
	{
		pg_time_t	seconds;
		pg_time_t	boundary;
		long int	offset;
		long int	offset_after;
		int			dst;
		int			dst_after;
		int			found;
		TimeADT		clock;
		TimestampTz leaves;
		TimestampTz jumps;

		seconds = timestamptz_to_time_t(at);
		found = pg_next_dst_boundary(&seconds, &offset, &dst, &boundary,
									 &offset_after, &dst_after, zone);
		if (found < 0)
			return at;			/* outside of all that zones know */

		clock = clock_time(at, offset);
		if (!interval_holds(clock, start, end))
			return at;
		leaves = at + end - clock + (end > clock ? 0 : USECS_PER_DAY);
		if (found == 0)
			return leaves;
		jumps = time_t_to_timestamptz(boundary);
		if (leaves < jumps)
			return leaves;
		at = jumps;
	}
	return at;
}

/*
 * imp_push.interval_end(at timestamptz, time_zone text,
 *						 default_time_zone text,
 *						 dnd_start time, dnd_end time) → timestamptz
 *
 * If it is between dnd_start and dnd_end on the wall clock in time_zone: the
 * moment from which on it is not; infinity if it always is.  NULL if it is
 * not, or if there is no interval.  A zone that is NULL or not known is the
 * default one, and one that is not known there either is UTC.
 */
Datum
imp_push_interval_end(PG_FUNCTION_ARGS)
{
	TimestampTz at;
	TimestampTz leaves;
	pg_tz	   *zone = NULL;
	int			i;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		PG_RETURN_NULL();
	at = PG_GETARG_TIMESTAMPTZ(0);
	if (TIMESTAMP_NOT_FINITE(at))
		PG_RETURN_NULL();

	for (i = 1; zone == NULL && i <= 2; i++)
	{
		if (!PG_ARGISNULL(i))
			zone = find_zone(text_to_cstring(PG_GETARG_TEXT_PP(i)));
	}
	if (zone == NULL)
		zone = pg_tzset("GMT");

	leaves = leave_interval(at, zone, PG_GETARG_TIMEADT(3),
							PG_GETARG_TIMEADT(4));
	if (leaves == at)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(leaves);
}
