/*
 * jwt.h
 *		Signs a provider token: a JSON Web Token with ES256.
 *
 * When a token may be made, and who shares it, is provider_token.c's business.
 */
#ifndef IMP_JWT_H
#define IMP_JWT_H

#include "postgres.h"

#include <openssl/evp.h>

/* Enough for ids of 10 characters and any time: 48 + 1 + 63 + 1 + 86. */
#define JWT_SIZE	256

/*
 * Writes the token, zero-terminated, to out.  issued_at is in seconds since
 * 1970.  False if the ids are not 10 letters and digits each (they are put
 * into JSON as they are) or OpenSSL cannot sign.  Raises no ERROR.
 */
extern bool jwt_sign(EVP_PKEY *key, const char *team_id, const char *key_id,
					 int64 issued_at, char out[JWT_SIZE]);

#endif							/* IMP_JWT_H */
