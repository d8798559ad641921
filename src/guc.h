/*
 * guc.h
 *		The settings of the server: imp_push.*
 *
 * All are "sighup": a reload changes them everywhere.
 */
#ifndef IMP_GUC_H
#define IMP_GUC_H

#include "postgres.h"

extern char *imp_databases;		/* comma-separated database names */
extern bool imp_enabled;
extern int	imp_max_in_flight;	/* requests */
extern int	imp_connections;	/* a worker and certificate */
extern int	imp_poll_interval;	/* milliseconds */
extern int	imp_connect_timeout;	/* milliseconds */
extern int	imp_request_timeout;	/* milliseconds */
extern char *imp_ca_file;		/* empty: the system's */
extern char *imp_key_directory; /* empty: file: keys are refused */
extern char *imp_role;			/* empty: the extension's owner */

extern void guc_define(void);

#endif							/* IMP_GUC_H */
