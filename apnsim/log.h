/*
 * log.h
 *		The record of every request: one line of JSON each.
 */
#ifndef APNSIM_LOG_H
#define APNSIM_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct log;
struct request;

/* NULL: the message is on stderr.  An existing file is continued. */
extern struct log *log_open(const char *path);
extern void log_close(struct log *log);

/* Adds the line of a request that has been judged.  log may be NULL. */
extern void log_request(struct log *log, const struct request *request,
						uint64_t number);

/*
 * Hands all lines to the kernel.  To be called before any answer is sent,
 * and before the loop sleeps.  A disk that is full ends the program: a
 * record with holes would prove things that are not true.
 */
extern void log_flush(struct log *log);

/* Empties the file. */
extern void log_reset(struct log *log);

#endif
