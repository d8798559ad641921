/*
 * verifier.h
 *		apnsim's check of provider tokens, for drivers that cannot see its
 *		jwt.h, whose name is that of another file in src.
 */
#ifndef FUZZ_VERIFIER_H
#define FUZZ_VERIFIER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

struct verifier;

/* Knows the public half of this key under these ids. */
extern struct verifier *verifier_new(EVP_PKEY *key, const char *team,
									 const char *key_id);

/* Is this zero-terminated token one of that key's? */
extern bool verifier_accepts(struct verifier *verifier, const char *token,
							 int64_t *issued_at);

#endif
