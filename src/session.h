/*
 * session.h
 *		The worker's SQL session: what it is pinned to, and as whom it acts.
 *
 * Every transaction of the worker goes through here; none may be open while it
 * waits for the network.
 */
#ifndef IMP_SESSION_H
#define IMP_SESSION_H

#include "postgres.h"
#include "executor/spi.h"

/* As whom a transaction runs. */
typedef enum SessionRole
{
	SESSION_WORKER,				/* imp_push.role, or the owner */
	SESSION_OWNER,				/* keys, provider tokens, the worker's state */
	SESSION_STATUS				/* the owner, to say that the version is not
								 * known */
} SessionRole;

/* What the database looks like from inside a transaction. */
typedef enum SessionState
{
	SESSION_READY,
	SESSION_NO_EXTENSION,		/* dropped, also if created anew; or not there
								 * yet */
	SESSION_UNKNOWN_VERSION,	/* SQL of a version that this library does not
								 * know */
	SESSION_NO_ROLE				/* imp_push.role does not exist */
} SessionState;

/* Once, after connecting: settings of databases and roles reach a worker. */
extern void session_pin(void);

/*
 * The extension that is there at the next session_begin() is the one to work
 * for, until this is called again.
 */
extern void session_adopt(void);

/*
 * Begins a transaction with SPI connected and a snapshot, acting as role.  If
 * the answer is not SESSION_READY, nothing has begun.  session_commit() or,
 * after an error, session_recover() ends it.  Either way the memory context is
 * then the one from before.
 */
extern SessionState session_begin(SessionRole role);
extern void session_commit(void);

/*
 * The plan of a statement, prepared at its first use and kept.  The slot is
 * the caller's static variable, NULL at first.
 */
extern SPIPlanPtr session_plan(SPIPlanPtr *slot, const char *sql,
							   int nargs, Oid *types);

/* An array of n values for a parameter; nulls may be NULL. */
extern Datum session_array(Datum *values, bool *nulls, int n, Oid type);

/*
 * For PG_CATCH: takes the error, ends the transaction and returns the
 * SQLSTATE.  The error's text is kept only if it is about the moment, for
 * what is about data quotes it.
 */
extern int	session_recover(const char *doing);

/* Whether an error says more about the moment than about the data. */
extern bool session_error_is_passing(int sqlstate);

/*
 * The server's statistics of what the transactions have done, which autovacuum
 * goes by: when they are to be reported; DT_NOEND: there are none.
 */
extern TimestampTz session_report_due(void);
extern void session_report(void);

#endif							/* IMP_SESSION_H */
