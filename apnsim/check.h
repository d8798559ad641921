/*
 * check.h
 *		What Apple checks in a request.
 */
#ifndef APNSIM_CHECK_H
#define APNSIM_CHECK_H

#include <stdbool.h>

#include "text.h"

struct request;

/*
 * Sets status and reason of the request to what Apple would answer: 200, or
 * the first thing that is wrong.  The body is looked at if it is complete.
 * Notes the provider token as used.
 */
extern void check_request(struct request *request);

/* In the form that Apple documents: 8-4-4-4-12 digits, lower case. */
extern bool check_is_uuid(struct text id);

#endif
