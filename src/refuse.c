/*
 * refuse.c
 *		Saying what is wrong with a value that is being written, or a call.
 *
 * Owns the form of these errors.  They stand in for CHECK and NOT NULL, which
 * say neither what is allowed nor how to mend it, and which log the whole row
 * ("Failing row contains …"): a table with something private in it must be
 * checked by triggers that fire before any constraint does.
 *
 *	CREATE TRIGGER … BEFORE INSERT OR UPDATE … FOR EACH ROW
 *		WHEN (what is wrong)
 *		EXECUTE FUNCTION imp_push.refuse(column, 'shown' | 'hidden',
 *										 what is allowed [, hint]);
 *
 * Must never show a value that a caller calls hidden.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "refuse.h"

/* Longer values are cut in messages. */
#define SHOWN_BYTES 80

PG_FUNCTION_INFO_V1(imp_push_refuse);
PG_FUNCTION_INFO_V1(imp_push_refuse_value);
PG_FUNCTION_INFO_V1(imp_push_refuse_call);

/* ': "value"', or nothing */
static const char *
shown_value(const char *value, bool hidden)
{
	int			length;

	if (value == NULL || hidden)
		return "";
	length = (int) strlen(value);
	if (length <= SHOWN_BYTES)
		return psprintf(": \"%s\"", value);
	length = pg_mbcliplen(value, length, SHOWN_BYTES);
	return psprintf(": \"%.*s...\"", length, value);
}

void
refuse_value(const char *table, const char *column, const char *value,
			 bool hidden, const char *detail, const char *hint)
{
	/*
	 * Without callbacks there is no context, neither in the log nor for the
	 * client.  Whoever catches the error finds the stack restored (PG_TRY).
	 */
	if (hidden)
		error_context_stack = NULL;

	ereport(ERROR,
			(errcode(value == NULL ? ERRCODE_NOT_NULL_VIOLATION :
					 ERRCODE_CHECK_VIOLATION),
			 value == NULL ?
			 errmsg("column \"%s\" of \"%s\" must not be null",
					column, table) :
			 errmsg("invalid value for column \"%s\" of \"%s\"%s",
					column, table, shown_value(value, hidden)),
			 errdetail("%s", detail),
			 hint ? errhint("%s", hint) : 0,
			 err_generic_string(PG_DIAG_SCHEMA_NAME, "imp_push"),
			 err_generic_string(PG_DIAG_TABLE_NAME, table),
			 err_generic_string(PG_DIAG_COLUMN_NAME, column),
			 errhidestmt(hidden)));
}

/* imp_push.refuse() → trigger: see the head of this file. */
Datum
imp_push_refuse(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;
	char	  **args;
	HeapTuple	tuple;
	int			attnum;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		elog(ERROR, "imp_push.refuse() is for row triggers");

	rel = trigger->tg_relation;
	args = trigger->tg_trigger->tgargs;
	if (trigger->tg_trigger->tgnargs < 3)
		elog(ERROR, "imp_push.refuse() needs three arguments");
	tuple = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	attnum = SPI_fnumber(rel->rd_att, args[0]);
	if (attnum <= 0)
		elog(ERROR, "imp_push.refuse() does not know the column it is for");

	refuse_value(RelationGetRelationName(rel), args[0],
				 SPI_getvalue(tuple, rel->rd_att, attnum),
				 strcmp(args[1], "hidden") == 0, args[2],
				 trigger->tg_trigger->tgnargs > 3 ? args[3] : NULL);
	PG_RETURN_NULL();			/* not reached */
}

/*
 * imp_push.refuse_value(table_name text, column_name text, value text,
 *						 hidden boolean, detail text, hint text)
 *
 * The same for checks that need more than a look at the row.
 */
Datum
imp_push_refuse_value(PG_FUNCTION_ARGS)
{
	char	   *value = NULL;
	char	   *hint = NULL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3) ||
		PG_ARGISNULL(4))
		elog(ERROR, "imp_push.refuse_value() takes no such nulls");
	if (!PG_ARGISNULL(2))
		value = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(5))
		hint = text_to_cstring(PG_GETARG_TEXT_PP(5));
	refuse_value(text_to_cstring(PG_GETARG_TEXT_PP(0)),
				 text_to_cstring(PG_GETARG_TEXT_PP(1)), value,
				 PG_GETARG_BOOL(3), text_to_cstring(PG_GETARG_TEXT_PP(4)),
				 hint);
	PG_RETURN_VOID();			/* not reached */
}

/*
 * imp_push.refuse_call(sqlstate text, message text, hint text)
 *
 * For calls of functions that are given something private: neither the log nor
 * the client gets the statement or the context.
 */
Datum
imp_push_refuse_call(PG_FUNCTION_ARGS)
{
	char	   *sqlstate = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *message = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *hint = text_to_cstring(PG_GETARG_TEXT_PP(2));

	if (strlen(sqlstate) != 5)
		elog(ERROR, "imp_push.refuse_call() needs an SQLSTATE");
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2],
								   sqlstate[3], sqlstate[4])),
			 errmsg_internal("%s", message),
			 errhint("%s", hint),
			 errhidestmt(true)));
	PG_RETURN_VOID();			/* not reached */
}
