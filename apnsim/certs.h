/*
 * certs.h
 *		The simulator's own certification authority and its certificate.
 */
#ifndef APNSIM_CERTS_H
#define APNSIM_CERTS_H

#include <stdbool.h>

#include "options.h"

/*
 * Makes ca.pem, ca.key, server.pem and server.key in the directory, or
 * leaves what is there.  False: the message is on stderr.
 */
extern bool certs_make(const struct options *options);

#endif
