/*
 * sim_jwt.c
 *		Fuzzes apnsim/jwt.c: provider tokens of whoever connects.
 */
#include <stdlib.h>
#include <string.h>

#include "../../apnsim/jwt.h"
#include "fuzz.h"

/* Without a key every well-formed token is taken. */
static const struct options options = {.trust_any_key = true};
static struct jwts *jwts;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int	runs = 0;
	struct input input = {data, size};
	char	   *bytes = copy_bytes(input);
	struct jwt *jwt;
	struct jwt	first;

	/* There are places for so many signers only. */
	if (runs++ % 4096 == 0)
	{
		jwts_free(jwts);
		jwts = jwts_new(&options);
		check("there is memory", jwts != NULL);
	}
	jwt = jwt_look_up(jwts, text_of(bytes, size));
	if (jwt != NULL)
	{
		first = *jwt;
		check("a token that is taken has a signer",
			  jwt->valid == (jwt->signer != NULL));
		if (jwt->valid)
			check("ids are terminated",
				  memchr(jwt->signer->team, 0, JWT_ID) != NULL &&
				  memchr(jwt->signer->key_id, 0, JWT_ID) != NULL);
		jwt_look_up(jwts, text_of("x", 1));
		jwt = jwt_look_up(jwts, text_of(bytes, size));
		check("the same token gets the same verdict",
			  jwt->valid == first.valid && jwt->accepted == first.accepted &&
			  jwt->issued_at == first.issued_at && jwt->signer == first.signer);
	}
	free(bytes);
	return 0;
}
