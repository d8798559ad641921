/*
 * answer.h
 *		What an answer, or the lack of one, means.
 *
 * Pure functions: for verdict.c, and for tests that run without a server.
 */
#ifndef IMP_ANSWER_H
#define IMP_ANSWER_H

#include "postgres.h"

/* The longest reason that is believed; Apple's longest has 28 characters. */
#define ANSWER_REASON_SIZE 48

/* Apple's answers have some sixty bytes.  Longer ones are judged by status. */
#define ANSWER_BODY_SIZE 1024

typedef enum AnswerClass
{
	ANSWER_SENT,				/* accepted */
	ANSWER_TOKEN_DEAD,			/* disable the binding */
	ANSWER_TOKEN_DOUBTED,		/* dead token or wrong configuration */
	ANSWER_TOKEN_BUSY,			/* this device token waits, nobody else */
	ANSWER_CONFIGURATION,		/* nothing of this certificate can go */
	ANSWER_PROVIDER_TOKEN_EXPIRED,
	ANSWER_PROVIDER_TOKEN_UNRELATED,	/* this connection has another key */
	ANSWER_PROVIDER_TOKEN_TOO_NEW,	/* renewed too often: keep it */
	ANSWER_CONNECTION,			/* connect again, send again */
	ANSWER_SERVER,				/* the server's trouble: back off */
	ANSWER_MESSAGE,				/* this push is refused for good */
	ANSWER_NOT_CONNECTED,		/* never sent; the network or the server */
	ANSWER_NOT_AGREED,			/* never sent; wrong TLS, wrong protocol */
	ANSWER_NOT_PROCESSED,		/* sent, and certainly not looked at */
	ANSWER_UNCERTAIN			/* sent, and nobody knows */
} AnswerClass;

typedef struct Answer
{
	AnswerClass class;
	const char *reason;			/* static, or own_reason; NULL if accepted */
	char		own_reason[ANSWER_REASON_SIZE];
	int64		timestamp;		/* of a 410: milliseconds since the epoch */
} Answer;

/* A final status arrived, with as much of the body as there was. */
extern void answer_from_status(Answer *answer, int status,
							   const char *body, size_t length);

/*
 * No status arrived.  code is libcurl's; sent tells whether the request was
 * handed to a connection.
 */
extern void answer_from_failure(Answer *answer, int code, bool sent);

#endif							/* IMP_ANSWER_H */
