/*
 * verifier.c
 *		apnsim's check of provider tokens.
 *
 * Must never use anything of src.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "../../apnsim/jwt.h"
#include "verifier.h"

struct verifier
{
	struct jwts *jwts;
};

/* apnsim reads its keys from files. */
static struct jwts *
read_key(EVP_PKEY *key, const char *team, const char *key_id)
{
	char		file[] = "/tmp/imp_push-fuzz.XXXXXX";
	int			fd = mkstemp(file);
	FILE	   *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct options options = {
		.keys = {{(char *) team, (char *) key_id, file}},
		.n_keys = 1
	};
	struct jwts *jwts;

	if (f == NULL || PEM_write_PUBKEY(f, key) != 1 || fclose(f) != 0)
		abort();
	jwts = jwts_new(&options);
	unlink(file);
	return jwts;
}

struct verifier *
verifier_new(EVP_PKEY *key, const char *team, const char *key_id)
{
	struct verifier *verifier = malloc(sizeof(*verifier));

	if (verifier == NULL)
		abort();
	verifier->jwts = read_key(key, team, key_id);
	if (verifier->jwts == NULL)
		abort();
	return verifier;
}

bool
verifier_accepts(struct verifier *verifier, const char *token,
				 int64_t *issued_at)
{
	struct jwt *jwt = jwt_look_up(verifier->jwts,
								  text_of(token, strlen(token)));

	if (jwt == NULL || !jwt->valid)
		return false;
	*issued_at = jwt->issued_at;
	return true;
}
