/*
 * utility_hook.h
 *		Commands that concern the worker though nobody told it.
 *
 * Never changes what a command does; see utility_hook.c.
 */
#ifndef IMP_UTILITY_HOOK_H
#define IMP_UTILITY_HOOK_H

#include "postgres.h"

/* Installs the hook; once, from _PG_init. */
extern void utility_hook_init(void);

#endif							/* IMP_UTILITY_HOOK_H */
