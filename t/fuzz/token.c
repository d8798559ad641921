/*
 * token.c
 *		Fuzzes src/token_form.c: what people write as a device token.
 */
#include "postgres.h"

#include "fuzz.h"
#include "token_form.h"

/*
 * The rule, as the specification has it and in another way than the code:
 * blanks fall away, then <> around the rest, then all must be digits.
 */
static bool
expected_token(const char *given, char *token)
{
	char	   *rest = malloc(strlen(given) + 1);
	size_t		n = 0;
	size_t		from = 0;
	size_t		i;
	bool		valid;

	if (rest == NULL)
		abort();
	for (; *given != '\0'; given++)
		if (strchr(" \t\n\v\f\r", *given) == NULL)
			rest[n++] = *given;
	if (n >= 2 && rest[0] == '<' && rest[n - 1] == '>')
	{
		from++;
		n--;
	}
	valid = n > from && n - from <= TOKEN_MAX_DIGITS && (n - from) % 2 == 0;
	for (i = from; valid && i < n; i++)
	{
		valid = strchr("0123456789abcdefABCDEF", rest[i]) != NULL;
		token[i - from] = pg_tolower((unsigned char) rest[i]);
	}
	if (valid)
		token[n - from] = '\0';
	free(rest);
	return valid;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char	   *given = copy_string(input);
	char	   *token = malloc(TOKEN_MAX_DIGITS + 1);
	char		expected[TOKEN_MAX_DIGITS + 1];
	char		again[TOKEN_MAX_DIGITS + 1];
	bool		valid = token_normalize(given, token);

	check("a token is what the specification calls one",
		  valid == expected_token(given, expected));
	if (valid)
	{
		check("a token is stored as its digits in lower case",
			  strcmp(token, expected) == 0);
		check("what is stored is taken, and stays as it is",
			  token_normalize(token, again) && strcmp(token, again) == 0);
	}
	free(given);
	free(token);
	return 0;
}
