/*
 * listener.c
 *		Listens on a channel and does nothing with what it hears.
 *
 *	listener --conninfo DSN --channel NAME
 *
 * Prints a line when it listens, and ends when it is told to (SIGTERM) or the
 * connection ends.
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "listener: %s: %s\n", what, why);
	exit(1);
}

static void
listen_on(PGconn *conn, const char *channel)
{
	char	   *name = PQescapeIdentifier(conn, channel, 63);
	char		command[256];
	PGresult   *result;

	if (name == NULL)
		die(channel, PQerrorMessage(conn));
	snprintf(command, sizeof(command), "LISTEN %s", name);
	PQfreemem(name);
	result = PQexec(conn, command);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(command, PQerrorMessage(conn));
	PQclear(result);
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {
		{"conninfo", required_argument, NULL, 'c'},
		{"channel", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0}
	};
	const char *conninfo = "";
	const char *channel = NULL;
	PGconn	   *conn;
	int			c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
	{
		switch (c)
		{
			case 'c':
				conninfo = optarg;
				break;
			case 'n':
				channel = optarg;
				break;
			default:
				return 2;
		}
	}
	if (channel == NULL)
	{
		fprintf(stderr, "listener: --channel is needed\n");
		return 2;
	}

	conn = PQconnectdb(conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		die("connection", PQerrorMessage(conn));
	listen_on(conn, channel);
	printf("listening\n");
	fflush(stdout);

	for (;;)
	{
		struct pollfd wait = {.fd = PQsocket(conn),.events = POLLIN};
		PGnotify   *heard;

		if (poll(&wait, 1, -1) < 0)
			continue;
		if (!PQconsumeInput(conn))
			die("connection", PQerrorMessage(conn));
		while ((heard = PQnotifies(conn)) != NULL)
			PQfreemem(heard);
	}
}
