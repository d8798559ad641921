/*
 * guc.h
 *		The settings of the server: imp_push.*
 *
 * All that people set are "sighup": a reload changes them everywhere.
 */
#ifndef IMP_GUC_H
#define IMP_GUC_H

#include "postgres.h"
#include "nodes/pg_list.h"

extern char *imp_databases;		/* comma-separated database names */
extern bool imp_enabled;
extern int	imp_max_in_flight;	/* requests */
extern int	imp_connections;	/* a worker and certificate */
extern int	imp_poll_interval;	/* milliseconds */
extern int	imp_connect_timeout;	/* milliseconds */
extern int	imp_request_timeout;	/* milliseconds */
extern int	imp_yield_limit;	/* milliseconds */
extern char *imp_ca_file;		/* empty: the system's */
extern char *imp_key_directory; /* empty: file: keys are refused */
extern char *imp_role;			/* empty: the extension's owner */

/*
 * Why the messages that are being deleted go away.  The SQL functions that
 * delete set it for their own duration; nobody sets it by hand.
 */
typedef enum CancelReason
{
	CANCEL_ACKNOWLEDGED,
	CANCEL_RECALLED,
	CANCEL_EVICTED
} CancelReason;

extern int	imp_cancel_reason;	/* a CancelReason */

extern void guc_define(void);

/*
 * The names in imp_push.databases, each once, as C strings in the current
 * memory context.
 */
extern List *guc_database_names(void);
extern bool guc_lists_database(const char *name);

#endif							/* IMP_GUC_H */
