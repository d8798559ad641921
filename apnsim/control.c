/*
 * control.c
 *		Reads commands from the control port and carries them out.
 *
 * The commands are one table; what they switch lives in struct play, in the
 * rules of fault.c, or in the connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "control.h"
#include "log.h"
#include "number.h"
#include "options.h"
#include "session.h"

enum
{
	LINE = 4096,
	CLIENTS = 20				/* at a time */
};

struct client
{
	struct watch watch;
	size_t		used;
	char		line[LINE];
};

/* Returns NULL and writes the answer's text, or returns what is wrong. */
typedef const char *(*command_function) (struct server *server, char *words,
										 char *answer);

static const char *
do_ping(struct server *server, char *words, char *answer)
{
	(void) server;
	(void) words;
	(void) answer;
	return NULL;
}

static const char *
do_fault(struct server *server, char *words, char *answer)
{
	const char *error = NULL;
	const struct fault *fault;

	fault = fault_set(&server->faults, words, clock_wait_ms(), &error);
	if (fault != NULL)
		snprintf(answer, CONTROL_ANSWER, "%s", fault->name);
	return error;
}

static const char *
do_faults(struct server *server, char *words, char *answer)
{
	const struct fault *fault;
	size_t		used = 0;

	(void) words;
	for (fault = server->faults.first; fault != NULL; fault = fault->next)
	{
		/* What does not fit is left out: only very many rules do not. */
		if (used > CONTROL_ANSWER - 128)
			break;
		used += (size_t) snprintf(answer + used, CONTROL_ANSWER - used,
								  "%s%s:%lld/%lld", used > 0 ? " " : "",
								  fault->name, (long long) fault->fired,
								  (long long) fault->seen);
	}
	return NULL;
}

static const char *
do_clear(struct server *server, char *words, char *answer)
{
	(void) words;
	(void) answer;
	fault_clear(&server->faults);
	return NULL;
}

static const char *
read_number(const char *word, int64_t low, int64_t high, int64_t *result)
{
	if (!number_read(word, low, high, result))
		return "a number is missing or out of range";
	return NULL;
}

static const char *
read_switch(const char *word, bool *result)
{
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
		return "on or off is missing";
	*result = word[1] == 'n';
	return NULL;
}

static const char *
do_goaway_every(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_number(words, 0, INT64_MAX, &server->play.goaway_every);
}

static const char *
do_one_stream(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_switch(words, &server->play.one_stream);
}

static const char *
do_jwt_strict(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_switch(words, &server->play.jwt_strict);
}

static const char *
do_h1(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_switch(words, &server->play.http1);
}

static const char *
do_hang(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_switch(words, &server->play.hang);
}

static const char *
do_now(struct server *server, char *words, char *answer)
{
	(void) answer;
	return read_number(words, -INT32_MAX, INT32_MAX,
					   &server->play.clock_shift);
}

static void
announce_streams(struct server *server)
{
	struct connection *connection;

	for (connection = server->connections; connection != NULL;
		 connection = connection->next)
	{
		session_set_streams(connection);
		connection_activate(connection);
	}
}

static const char *
do_max_streams(struct server *server, char *words, char *answer)
{
	int64_t		n;
	const char *error = read_number(words, 0, 1000000, &n);

	(void) answer;
	if (error != NULL)
		return error;
	server->play.max_streams = (int) n;
	announce_streams(server);
	return NULL;
}

static const char *
do_goaway(struct server *server, char *words, char *answer)
{
	struct connection *connection;
	int64_t		last = -1;
	const char *error = NULL;

	(void) answer;
	if (*words != '\0')
		error = strncmp(words, "last=", 5) == 0 ?
			read_number(words + 5, 0, INT32_MAX, &last) : "unknown word";
	if (error != NULL)
		return error;
	for (connection = server->connections; connection != NULL;
		 connection = connection->next)
	{
		session_goaway(connection, last >= 0 ? (int32_t) last :
					   connection->last_judged);
		connection_activate(connection);
	}
	return NULL;
}

static const char *
do_close(struct server *server, char *words, char *answer)
{
	struct connection *connection;

	(void) words;
	(void) answer;
	for (connection = server->connections; connection != NULL;
		 connection = connection->next)
		connection_doom(connection);
	return NULL;
}

static const char *
do_freeze(struct server *server, char *words, char *answer)
{
	struct connection *connection;

	(void) words;
	(void) answer;
	for (connection = server->connections; connection != NULL;
		 connection = connection->next)
		connection_freeze(connection);
	return NULL;
}

static const char *
do_listen(struct server *server, char *words, char *answer)
{
	bool		on;
	const char *error = read_switch(words, &on);

	(void) answer;
	if (error != NULL)
		return error;
	if (!on)
		server_deafen(server);
	else if (!server_listen(server))
		return "the port cannot be opened";
	return NULL;
}

static const char *
do_reset(struct server *server, char *words, char *answer)
{
	do_clear(server, words, answer);
	server_reset_play(server);
	announce_streams(server);
	return server_listen(server) ? NULL : "the port cannot be opened";
}

static const char *
do_stats(struct server *server, char *words, char *answer)
{
	const struct counters *c = &server->counters;

	(void) words;
	snprintf(answer, CONTROL_ANSWER,
			 "requests=%llu accepted=%llu refused=%llu unanswered=%llu "
			 "resets=%llu connections=%llu open=%llu streams=%llu jwts=%llu",
			 (unsigned long long) c->requests,
			 (unsigned long long) c->accepted,
			 (unsigned long long) c->refused,
			 (unsigned long long) c->unanswered,
			 (unsigned long long) c->resets,
			 (unsigned long long) c->connections,
			 (unsigned long long) c->open,
			 (unsigned long long) c->streams,
			 (unsigned long long) c->jwts);
	return NULL;
}

static const char *
do_reset_log(struct server *server, char *words, char *answer)
{
	(void) words;
	(void) answer;
	log_reset(server->log);
	return NULL;
}

struct command
{
	const char *name;
	command_function run;
};

static const struct command commands[] = {
	{"ping", do_ping},
	{"fault", do_fault},
	{"faults", do_faults},
	{"clear", do_clear},
	{"reset", do_reset},
	{"stats", do_stats},
	{"reset-log", do_reset_log},
	{"goaway-every", do_goaway_every},
	{"goaway", do_goaway},
	{"one-stream", do_one_stream},
	{"max-streams", do_max_streams},
	{"jwt-strict", do_jwt_strict},
	{"h1", do_h1},
	{"hang", do_hang},
	{"now", do_now},
	{"close", do_close},
	{"freeze", do_freeze},
	{"listen", do_listen},
};

/* Drops blanks at the end; returns the first word's rest. */
static char *
split_line(char *line)
{
	size_t		length = strlen(line);
	char	   *words;

	while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL)
		line[--length] = '\0';
	words = line + strcspn(line, " \t");
	if (*words != '\0')
		*words++ = '\0';
	return words + strspn(words, " \t");
}

void
control_command(struct server *server, char *line, char *answer)
{
	char		text[CONTROL_ANSWER] = "";
	char	   *words = split_line(line);
	const char *error = "unknown command";
	size_t		i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(line, commands[i].name) == 0)
			error = commands[i].run(server, words, text);
	if (error != NULL)
		snprintf(answer, CONTROL_ANSWER, "error %s", error);
	else
		snprintf(answer, CONTROL_ANSWER, "ok%s%.*s",
				 text[0] != '\0' ? " " : "", CONTROL_ANSWER - 4, text);
}

/* False: the client does not read what it asked for. */
static bool
run_lines(struct server *server, struct client *client)
{
	char		answer[CONTROL_ANSWER + 1];
	char	   *end;
	size_t		length;

	while ((end = memchr(client->line, '\n', client->used)) != NULL)
	{
		*end = '\0';
		control_command(server, client->line, answer);
		length = strlen(answer);
		answer[length++] = '\n';
		if (send(client->watch.fd, answer, length,
				 MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) length)
			return false;
		client->used -= (size_t) (end + 1 - client->line);
		memmove(client->line, end + 1, client->used);
	}
	return client->used < LINE;
}

static void
client_ready(struct server *server, struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *) watch;
	ssize_t		n = recv(watch->fd, client->line + client->used,
						 LINE - client->used, MSG_DONTWAIT);

	(void) events;
	if (n > 0)
		client->used += (size_t) n;
	else if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !run_lines(server, client))
	{
		close(watch->fd);
		free(client);
		server->clients--;
	}
}

void
control_new(struct server *server, int fd)
{
	struct client *client = NULL;

	if (server->clients < CLIENTS)
		client = calloc(1, sizeof(*client));
	if (client != NULL)
	{
		client->watch.fd = fd;
		client->watch.ready = client_ready;
		server->clients++;
		if (server_watch(server, &client->watch, EPOLLIN))
			return;
		server->clients--;
	}
	free(client);
	close(fd);
}
