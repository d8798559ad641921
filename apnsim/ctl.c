/*
 * ctl.c
 *		Sends commands to the control port and prints the answers.
 *
 * It knows no command: each argument is one line, sent as it is.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complain.h"
#include "ctl.h"
#include "number.h"

enum
{
	ANSWER = 8192
};

static FILE *
connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t) port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 &&
		connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
		return fdopen(fd, "r+");
	complain("could not connect to control port %d: %m", port);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static int
send_command(FILE *server, const char *command)
{
	char		answer[ANSWER];

	if (strchr(command, '\n') != NULL)
	{
		complain("a command is one line");
		return 1;
	}
	fprintf(server, "%s\n", command);
	fflush(server);
	if (fgets(answer, sizeof(answer), server) == NULL)
	{
		complain("no answer from the control port");
		return 1;
	}
	fputs(answer, stdout);
	return strncmp(answer, "ok", 2) == 0 ? 0 : 1;
}

int
ctl_run(int argc, char **argv)
{
	FILE	   *server;
	int			port;
	int			status = 0;
	int			i;

	if (argc < 4 || strcmp(argv[1], "--port") != 0 ||
		!number_read_int(argv[2], 1, 65535, &port))
	{
		fprintf(stderr, "usage: apnsim ctl --port CONTROL_PORT COMMAND...\n");
		return 2;
	}
	server = connect_to(port);
	if (server == NULL)
		return 1;
	for (i = 3; i < argc && status == 0; i++)
		status = send_command(server, argv[i]);
	fclose(server);
	return status;
}
