/*
 * refuse.h
 *		Saying what is wrong with a value that is being written.
 *
 * In place of CHECK and NOT NULL, whose errors show the whole row.
 */
#ifndef IMP_REFUSE_H
#define IMP_REFUSE_H

#include "postgres.h"

/*
 * Raises the error for a value that a column does not take.  value is NULL
 * for SQL's NULL, hint may be NULL.
 *
 * hidden: the row holds something private.  Then the error shows neither the
 * value nor its context, nor does the statement get into the server's log,
 * for all of them quote the row ("CONTEXT: COPY device_token, line 1: …").
 */
extern void refuse_value(const char *table, const char *column,
						 const char *value, bool hidden,
						 const char *detail, const char *hint)
			pg_attribute_noreturn();

#endif							/* IMP_REFUSE_H */
