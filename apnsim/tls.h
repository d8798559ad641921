/*
 * tls.h
 *		TLS as APNs speaks it: 1.2 or later, and h2 by ALPN or nothing.
 */
#ifndef APNSIM_TLS_H
#define APNSIM_TLS_H

#include <stdbool.h>

struct server;

/* Makes the server's context.  False: the message is on stderr. */
extern bool tls_set_up(struct server *server);

#endif
