/*
 * provider_token.h
 *		How old a provider token may be, and how it is sent.
 *
 * The functions are in certificate.h, for those who speak to APNs.  The SQL
 * function imp_push.renew_provider_token() holds the same limits.
 */
#ifndef IMP_PROVIDER_TOKEN_H
#define IMP_PROVIDER_TOKEN_H

#include "postgres.h"
#include "datatype/timestamp.h"

/* Apple refuses tokens of 60 minutes. */
#define PROVIDER_TOKEN_RENEW_AGE	(50 * USECS_PER_MINUTE)

/* Apple refuses new tokens that come sooner than this after the last. */
#define PROVIDER_TOKEN_MIN_AGE		(20 * USECS_PER_MINUTE)

/* From further in the future than this: made while the clock was wrong. */
#define PROVIDER_TOKEN_MAX_SKEW		(10 * USECS_PER_MINUTE)

#define AUTHORIZATION_PREFIX		"authorization: bearer "

#endif							/* IMP_PROVIDER_TOKEN_H */
