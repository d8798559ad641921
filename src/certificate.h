/*
 * certificate.h
 *		What a connection for one certificate needs: address and credentials.
 */
#ifndef IMP_CERTIFICATE_H
#define IMP_CERTIFICATE_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include <openssl/evp.h>

typedef struct Certificate
{
	MemoryContext context;		/* holds all of this; certificate_free() */
	char	   *name;
	char	   *origin;			/* "https://host:port", no slash at the end */
	bool		enabled;

	/* Why it cannot be used now ("no_key", "bad_key_file" …), or NULL. */
	const char *fault;
	char	   *fault_detail;	/* for people: never a secret */

	/* Token authentication, if team_id is not NULL */
	char	   *team_id;
	char	   *key_id;
	EVP_PKEY   *signing_key;
	char	   *authorization;	/* "authorization: bearer <jwt>", or NULL */
	TimestampTz issued_at;		/* of that token */

	/* Client-certificate authentication: PEM, wiped by certificate_free() */
	char	   *client_certificate;
	char	   *client_key;
	TimestampTz expires_at;		/* notAfter, or DT_NOEND */
}			Certificate;

/*
 * Reads a certificate and its keys.  Inside a transaction; the caller acts as
 * the extension's owner.  Returns NULL if there is no such row; otherwise a
 * Certificate in a context of its own below parent, with fault set if it
 * cannot be used.
 */
extern Certificate *certificate_load(const char *name, MemoryContext parent);
extern void certificate_free(Certificate *cert);

/*
 * Sees to it that cert->authorization is a token young enough to be used:
 * reads the shared one, or renews it.  Inside a transaction, as the owner.
 * Does nothing for client-certificate authentication.  refused is the
 * authorization line that APNs has just refused as expired, or NULL: then the
 * shared token is replaced if it is still that one and at least 20 minutes
 * old.  Returns false, with fault set, where no new token may be had
 * ("clock_is_wrong": the refused one is younger than 20 minutes).
 */
extern bool certificate_authorize(Certificate *cert, const char *refused);

/* True if certificate_authorize() has something to do. */
extern bool certificate_token_is_old(const Certificate *cert);

#endif							/* IMP_CERTIFICATE_H */
