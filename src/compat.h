/*
 * compat.h
 *		What differs between PostgreSQL 14 and 18.
 *
 * Only names live here.  Code that must behave differently says so where it
 * stands.
 */
#ifndef IMP_COMPAT_H
#define IMP_COMPAT_H

#include "postgres.h"

#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#if PG_VERSION_NUM < 160000
#define imp_owns_database(database, role) pg_database_ownercheck(database, role)
#define imp_owns_extension(extension, role) \
	pg_extension_ownercheck(extension, role)
#else
#define imp_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#define imp_owns_extension(extension, role) \
	object_ownercheck(ExtensionRelationId, extension, role)
#endif

/* Our place in the array of processes; stays ours until we exit. */
#if PG_VERSION_NUM < 170000
#define IMP_MY_PROC_NUMBER (MyProc->pgprocno)
#else
#define IMP_MY_PROC_NUMBER MyProcNumber
#endif

#if PG_VERSION_NUM < 170000
#define imp_create_wait_event_set(events) \
	CreateWaitEventSet(TopMemoryContext, events)
#else
#define imp_create_wait_event_set(events) CreateWaitEventSet(NULL, events)
#endif

#endif							/* IMP_COMPAT_H */
