/*
 * certificate.h
 *		What a connection for one certificate needs: address and credentials.
 *
 * Holds secrets: keys and the authorization line must never be shown.
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

	/*
	 * Why it cannot be used now, or NULL: "no_key" (none is stored, as after
	 * a restore), "bad_key_file", "bad_key" (what is stored is no usable
	 * key), "clock_is_wrong" or "TooManyProviderTokenUpdates" (see
	 * certificate_authorize).
	 */
	const char *fault;
	char	   *fault_detail;	/* for people: never a secret */
	bool		uses_key_file;	/* a reload may bring another key */

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
} Certificate;

/*
 * Reads a certificate and its keys.  Inside a transaction, with or without an
 * active snapshot or SPI; the caller acts as the extension's owner.
 * Returns NULL if there is no such row; otherwise a Certificate in a context
 * of its own below parent, with fault set if it cannot be used.  Keys are
 * wiped when that context goes, by certificate_free() or with its parent.
 * A signing key in signing_key, with authorization still NULL: call
 * certificate_authorize() before the first request.
 */
extern Certificate *certificate_load(const char *name, MemoryContext parent);
extern void certificate_free(Certificate *cert);

/*
 * Sees to it that cert->authorization is a token young enough to be used:
 * reads the shared one, or renews it.  Inside a READ COMMITTED transaction,
 * with or without an active snapshot or SPI, as the owner.  The caller commits
 * BEFORE it sends with the token, or else a crash may cost a second token
 * within 20 minutes; if the transaction aborts, it calls again.  May wait for
 * another session that renews (lock_timeout applies).
 *
 * Does nothing for client-certificate authentication.  refused is the
 * authorization line that APNs has just refused as expired, or NULL: then the
 * shared token is replaced if it is still that one and at least 20 minutes
 * old.  refused may be cert->authorization itself, which is then no longer
 * valid memory after the call.  Returns false, with fault set, where no token
 * may be had: "clock_is_wrong" if the refused one is younger than 20 minutes
 * (the next call tries again), else a fault of certificate_load().
 *
 * may_make is false for 20 minutes after TooManyProviderTokenUpdates, which is
 * then the fault where the shared token is of no use.
 */
extern bool certificate_authorize(Certificate *cert, const char *refused,
								  bool may_make);

/* True if certificate_authorize() has something to do.  Any time, anywhere. */
extern bool certificate_token_is_old(const Certificate *cert);

#endif							/* IMP_CERTIFICATE_H */
