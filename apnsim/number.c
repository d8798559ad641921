/*
 * number.c
 *		Reads numbers that people write on command lines.
 *
 * Nothing but a whole number is taken; the caller says what was wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "number.h"

bool
number_read(const char *text, int64_t low, int64_t high, int64_t *result)
{
	char	   *end;

	errno = 0;
	*result = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' &&
		*result >= low && *result <= high;
}

bool
number_read_int(const char *text, int low, int high, int *result)
{
	int64_t		value;

	if (!number_read(text, low, high, &value))
		return false;
	*result = (int) value;
	return true;
}
