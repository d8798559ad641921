/*
 * control.h
 *		The port for commands: one a line, one line in answer.
 */
#ifndef APNSIM_CONTROL_H
#define APNSIM_CONTROL_H

#include <stddef.h>

struct server;

enum
{
	CONTROL_ANSWER = 4096
};

/* Takes a fresh socket. */
extern void control_new(struct server *server, int fd);

/* Carries out one command.  Changes the line.  The answer has no newline. */
extern void control_command(struct server *server, char *line, char *answer);

#endif
