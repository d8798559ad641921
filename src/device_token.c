/*
 * device_token.c
 *		What writing a device token means.
 *
 * Owns the trigger that does it.  What is taken for a token is token_form.c's
 * business; who loses one that somebody else writes is decided in
 * src/sql/device_token.sql.  Must never put a token into a message.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "refuse.h"
#include "token_form.h"

#define TOKEN_FORM \
	"A device token is an even number of hexadecimal digits, at most 400. " \
	"Upper case, blanks and an enclosing <> are allowed."

PG_FUNCTION_INFO_V1(imp_push_register_token);

static int
column(Relation rel, const char *name)
{
	int			attnum = SPI_fnumber(rel->rd_att, name);

	if (attnum <= 0)
		elog(ERROR, "column \"%s\" of \"%s\" is missing", name,
			 RelationGetRelationName(rel));
	return attnum;
}

/*
 * imp_push.register_token() → trigger, BEFORE INSERT OR UPDATE OF token
 *
 * Writing a token, were it the same, is a new registration.  So an UPDATE
 * that writes it begins the columns that tell about the registration anew,
 * as an INSERT would: what the statement does not name becomes NULL, and the
 * next trigger puts in the time.  Only C can see what a statement names, and
 * the difference matters: an import that is run twice gives a registered_at
 * that equals the stored one, and it must not become now.
 */
Datum
imp_push_register_token(PG_FUNCTION_ARGS)
{
	static const char *const registration[] = {
		"registered_at", "disabled_at", "disabled_reason"
	};
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;
	HeapTuple	tuple;
	char	   *given;
	char		token[TOKEN_MAX_DIGITS + 1];
	int			columns[1 + lengthof(registration)];
	Datum		values[1 + lengthof(registration)];
	bool		nulls[1 + lengthof(registration)];
	int			count = 0;
	bool		update;
	int			i;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event))
		elog(ERROR, "imp_push.register_token() is a BEFORE row trigger");

	rel = trigger->tg_relation;
	update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	tuple = update ? trigger->tg_newtuple : trigger->tg_trigtuple;

	columns[0] = column(rel, "token");
	given = SPI_getvalue(tuple, rel->rd_att, columns[0]);
	if (given == NULL || !token_normalize(given, token))
		refuse_value(RelationGetRelationName(rel), "token", given, true,
					 TOKEN_FORM, NULL);
	if (strcmp(token, given) != 0)
	{
		values[count] = CStringGetTextDatum(token);
		nulls[count++] = false;
	}

	for (i = 0; update && i < lengthof(registration); i++)
	{
		int			attnum = column(rel, registration[i]);

		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						  trigger->tg_updatedcols))
			continue;
		columns[count] = attnum;
		values[count] = (Datum) 0;
		nulls[count++] = true;
	}

	if (count > 0)
		tuple = heap_modify_tuple_by_cols(tuple, rel->rd_att, count, columns,
										  values, nulls);
	return PointerGetDatum(tuple);
}
