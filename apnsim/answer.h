/*
 * answer.h
 *		From a request to its answer: judge, play the fault, record, send.
 */
#ifndef APNSIM_ANSWER_H
#define APNSIM_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

struct request;
struct server;

/* All headers are there.  The body may still come. */
extern void answer_headers(struct request *request);

/* The whole request is there. */
extern void answer_complete(struct request *request);

/* Sends the delayed answers whose time has come. */
extern void answer_delayed(struct server *server, int64_t now_ms);

/* The body's next bytes; 0: that was all. */
extern uint64_t answer_body(struct request *request, char *to, uint64_t room);

#endif
