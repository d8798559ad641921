/*
 * key.h
 *		Private keys and certificates in PEM: parsed, and checked for use.
 *
 * Pure OpenSSL: nothing here raises an ERROR, allocates PostgreSQL memory or
 * keeps a copy of what it was given.  What is wrong comes back as a KeyFault,
 * whose texts never contain anything of the key.
 */
#ifndef IMP_KEY_H
#define IMP_KEY_H

#include "postgres.h"

#include <openssl/evp.h>

/* No key, certificate chain or key file is longer than this. */
#define KEY_MAX_LENGTH		65536

/* SHA-256 of a public key: which key signed a provider token. */
#define KEY_FINGERPRINT_LENGTH	32

typedef enum KeyFault
{
	KEY_OK = 0,
	KEY_TOO_LONG,
	KEY_NOT_PRIVATE,			/* no private key in PEM in it */
	KEY_PASSPHRASE,
	KEY_NOT_P256,
	KEY_INCONSISTENT,			/* parses, but is no valid key pair */
	KEY_NOT_CERTIFICATE,		/* no certificate in PEM, or a broken chain */
	KEY_MISMATCH				/* the key of another certificate */
} KeyFault;

/* The rest of a sentence that begins with the name of the faulty thing. */
extern const char *key_fault_text(KeyFault fault);

/* A sentence on what to do about it, for people. */
extern const char *key_fault_hint(KeyFault fault);

/* The key of Apple's .p8 file.  *key is the caller's to free if KEY_OK. */
extern KeyFault key_parse_signing(const char *pem, size_t length,
								  EVP_PKEY **key);

/*
 * A client certificate (its chain may follow it) and the key that belongs to
 * it.  *not_after is in seconds since 1970.  *in_key says, of a fault, whether
 * it is the key's and not the certificate's.
 */
extern KeyFault key_check_client(const char *certificate,
								 size_t certificate_length,
								 const char *key, size_t key_length,
								 int64 *not_after, bool *in_key);

/* False only if OpenSSL has no memory. */
extern bool key_fingerprint(EVP_PKEY *key,
							unsigned char fingerprint[KEY_FINGERPRINT_LENGTH]);

#endif							/* IMP_KEY_H */
