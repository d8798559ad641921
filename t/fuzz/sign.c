/*
 * sign.c
 *		Fuzzes src/jwt.c: whatever it signs, apnsim verifies.
 */
#include "postgres.h"

#include <openssl/pem.h>

#include "fuzz.h"
#include "jwt.h"
#include "verifier.h"

/*
 * apnsim remembers tokens.  libFuzzer takes each for a leak, and looks for it,
 * which takes a hundred times as long as all the rest.
 */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static EVP_PKEY *key;
static struct verifier *verifier;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	key = EVP_EC_gen("P-256");
	verifier = verifier_new(key, "TEAM000001", "KEY0000001");
	return 0;
}

static bool
is_id(const char *id)
{
	return strlen(id) == 10 &&
		strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 10;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	int64		issued_at = take_number(&input, 0xFFFFFFFF);
	bool		known = take_number(&input, 2) == 0;
	char	   *team = copy_string(take_part(&input));
	char	   *key_id = copy_string(take_part(&input));
	char	   *token = malloc(JWT_SIZE);
	bool		expected = is_id(team) && is_id(key_id);
	int64_t		said = 0;

	if (known)
	{
		check("good ids are signed", jwt_sign(key, "TEAM000001", "KEY0000001",
											  issued_at, token));
		check("apnsim verifies it", verifier_accepts(verifier, token, &said));
		check("it says when it was issued", said == issued_at);
	}
	else
		check("ids are ten letters and digits, or nothing is signed",
			  jwt_sign(key, team, key_id, issued_at, token) == expected);
	free(team);
	free(key_id);
	free(token);
	return 0;
}
