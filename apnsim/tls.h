/*
 * tls.h
 *		TLS as APNs speaks it: 1.2 or later, and h2 by ALPN or nothing.
 */
#ifndef APNSIM_TLS_H
#define APNSIM_TLS_H

#include <openssl/ssl.h>

struct server;

/* NULL: the message is on stderr. */
extern SSL_CTX *tls_new(struct server *server);

#endif
