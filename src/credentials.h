/*
 * credentials.h
 *		Keeps the transport's certificates and provider tokens up to date.
 *
 * For the worker alone, between its transactions.
 */
#ifndef IMP_CREDENTIALS_H
#define IMP_CREDENTIALS_H

#include "postgres.h"
#include "datatype/timestamp.h"

extern void credentials_init(MemoryContext parent);

/*
 * Loads what is new or has changed, and renews provider tokens that the
 * transport asks for.  Cheap if there is nothing to do.  Runs transactions of
 * its own, as the owner.
 */
extern void credentials_refresh(void);

/* The configuration was reloaded: key files and directories may differ. */
extern void credentials_reload(void);

/* When credentials_refresh() has to be called again; DT_NOEND: not known. */
extern TimestampTz credentials_due(void);

#endif							/* IMP_CREDENTIALS_H */
