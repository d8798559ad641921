/*
 * trial.c
 *		Planning with care after a crash.
 *
 * A message may bring down the process that plans it, and with it the whole
 * server, again and again.  So after an unclean end, whatever its cause, the
 * worker plans in small groups, each written down (imp_push.trial) and
 * committed before it is planned.  What is on trial when the worker goes down
 * is suspect: the next worker plans these one by one, and one that was on trial
 * alone and brought the worker down three times is not planned again.
 *
 * Others cause crashes, too: a kill -9 finds no message alone on trial three
 * times, because each trial lasts for one short planning, and one that is
 * survived is forgotten.
 *
 * After a clean end nothing is written, and nothing here costs anything.  Must
 * never end a message: work.c does.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "session.h"
#include "status.h"
#include "trial.h"

/* How many are on trial together at most. */
#define GROUP_SIZE 16

/* So often one may bring the worker down, alone. */
#define TRIALS 3

static bool crashed = false;	/* the worker before this one */
static bool careful = false;	/* until all that it left has been planned */
static bool on_trial = false;	/* the last row names something */

/* What was on trial when it crashed, and how often if it was alone. */
static int64 suspects[GROUP_SIZE];
static int	suspect_count = 0;
static int	suspect_times = 0;
static bool condemned = false;	/* and the log says so */

static void read_suspects(void);

void
trial_begin(void)
{
	bool		isnull;

	SPI_execute("SELECT imp_push.worker_crashed(0::smallint)", true, 1);
	crashed = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
										 SPI_tuptable->tupdesc, 1, &isnull));
	careful = crashed;
	on_trial = condemned = false;
	suspect_count = 0;
	if (!crashed)
		return;
	read_suspects();
	ereport(LOG,
			(errcode(ERRCODE_CRASH_SHUTDOWN),
			 errmsg("imp_push plans with care, because its last worker in "
					"this database ended without notice"),
			 errdetail_plural("%d message was being planned.",
							  "%d messages were being planned.",
							  suspect_count, suspect_count)));
}

static void
read_suspects(void)
{
	HeapTuple	row;
	TupleDesc	desc;
	Datum		ids;
	Datum	   *elements;
	int			count;
	bool		isnull;

	SPI_execute("SELECT * FROM imp_push.last_trial()", true, 1);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	ids = SPI_getbinval(row, desc, 1, &isnull);
	if (isnull)
		return;
	suspect_times = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
	deconstruct_array(DatumGetArrayTypeP(ids), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL, &count);
	suspect_count = Min(count, GROUP_SIZE);
	for (int i = 0; i < suspect_count; i++)
		suspects[i] = DatumGetInt64(elements[i]);
}

static bool
is_suspect(Datum message_id)
{
	for (int i = 0; i < suspect_count; i++)
		if (suspects[i] == DatumGetInt64(message_id))
			return true;
	return false;
}

/*
 * A probe is planned whenever its time comes, so care is taken with it for as
 * long as the worker lives.
 */
static bool
takes_care(const Work *work)
{
	return careful || (crashed && work->probe);
}

bool
trial_comes_first(const Work *work)
{
	return takes_care(work) || trial_condemns(work);
}

bool
trial_condemns(const Work *work)
{
	Datum		message_id = work->message_ids[work->next];

	if (suspect_times < TRIALS || !is_suspect(message_id))
		return false;
	/* It may have several pushes waiting. */
	if (!condemned)
		ereport(LOG,
				(errcode(ERRCODE_CRASH_SHUTDOWN),
				 errmsg("imp_push sets aside message " INT64_FORMAT
						", which has brought its worker down %d times",
						DatumGetInt64(message_id), suspect_times)));
	condemned = true;
	return true;
}

int
trial_size(const Work *work, int size)
{
	const Datum *ids = work->message_ids + work->next;
	int			together = 1;

	if (!takes_care(work))
		return size;
	if (is_suspect(ids[0]))
		return 1;
	while (together < Min(size, GROUP_SIZE) && !is_suspect(ids[together]))
		together++;
	return together;
}

/* How often this one has been on trial alone, counting this time. */
static int
times_alone(const Datum *ids, int size)
{
	for (int i = 1; i < size; i++)
		if (ids[i] != ids[0])
			return 0;
	return is_suspect(ids[0]) ? suspect_times + 1 : 1;
}

/* Adds a row; NULL: nothing is on trial. */
static bool
write_trial(const Datum *ids, int size)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, INT4OID};
	volatile bool done = false;

	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			Datum		args[] = {
				session_array((Datum *) ids, NULL, size, INT8OID),
				Int32GetDatum(size > 0 ? times_alone(ids, size) : 0)
			};

			SPI_execute_plan(session_plan(&plan,
										  "SELECT imp_push.put_on_trial($1, $2)",
										  2, types),
							 args, NULL, false, 0);
			session_commit();
			done = true;
		}
	}
	PG_CATCH();
	{
		session_recover("write down what it plans");
	}
	PG_END_TRY();
	return done;
}

bool
trial_write(const Work *work, int size)
{
	if (!takes_care(work))
		return true;
	if (!write_trial(work->message_ids + work->next, size))
		return false;
	on_trial = true;
	return true;
}

void
trial_over(void)
{
	if (on_trial)
		on_trial = !write_trial(NULL, 0);
}

bool
trial_end(void)
{
	static SPIPlanPtr plan = NULL;
	volatile bool done = false;

	if (!careful)
		return true;
	PG_TRY();
	{
		if (status_begin(SESSION_WORKER) == SESSION_READY)
		{
			SPI_execute_plan(session_plan(&plan, "SELECT imp_push.end_trials()",
										  0, NULL),
							 NULL, NULL, false, 0);
			session_commit();
			done = true;
		}
	}
	PG_CATCH();
	{
		session_recover("end its care");
	}
	PG_END_TRY();
	careful = !done;
	return done;
}
