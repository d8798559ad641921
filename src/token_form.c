/*
 * token_form.c
 *		The form of a device token.
 *
 * Owns what is taken for a token and how it is stored.  Must never allocate,
 * and never say anything about what it was given.
 */
#include "postgres.h"

#include "token_form.h"

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
token_normalize(const char *given, char token[TOKEN_MAX_DIGITS + 1])
{
	int			length = 0;
	const char *end = given + strlen(given);
	const char *c;

	while (given < end && is_blank(*given))
		given++;
	while (given < end && is_blank(end[-1]))
		end--;
	if (end - given >= 2 && *given == '<' && end[-1] == '>')
	{
		given++;
		end--;
	}

	for (c = given; c < end; c++)
	{
		char		digit = (*c >= 'A' && *c <= 'F') ? *c - 'A' + 'a' : *c;

		if (is_blank(digit))
			continue;
		if (!((digit >= '0' && digit <= '9') ||
			  (digit >= 'a' && digit <= 'f')) ||
			length == TOKEN_MAX_DIGITS)
			return false;
		token[length++] = digit;
	}
	token[length] = '\0';
	return length > 0 && length % 2 == 0;
}
