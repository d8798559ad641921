/*
 * server.c
 *		Sets everything up, runs the loop, takes everything down.
 *
 * A round of the loop: take what epoll reports, read from every connection
 * that has something, write the log, then send the answers.  Nothing in a
 * round may block.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "certs.h"
#include "clock.h"
#include "complain.h"
#include "connection.h"
#include "control.h"
#include "jwt.h"
#include "log.h"
#include "options.h"
#include "server.h"
#include "tls.h"

enum
{
	EVENTS = 128,
	BACKLOG = 1024,
	MAX_DESCRIPTORS = 10240,
	SPARE_DESCRIPTORS = 32,		/* for the log, control clients and so on */
	SWEEP_MS = 1000,
	PATH_SIZE = 4096
};

bool
server_watch(struct server *server, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events,.data.ptr = watch};

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

/* A port of 127.0.0.1.  Fills in the number if it was 0. */
static bool
open_port(struct watch *watch, int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	length = sizeof(address);
	int			on = 1;

	watch->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (watch->fd < 0)
		return false;
	address.sin_port = htons((uint16_t) *port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (setsockopt(watch->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(watch->fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(watch->fd, BACKLOG) != 0 ||
		getsockname(watch->fd, (struct sockaddr *) &address, &length) != 0)
	{
		close(watch->fd);
		watch->fd = -1;
		return false;
	}
	*port = ntohs(address.sin_port);
	return true;
}

static void
close_watch(struct watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

/* Accepts until there is nobody left or no room. */
static void
listener_ready(struct server *server, struct watch *watch, uint32_t events)
{
	int			fd;

	(void) events;
	while (!server->full)
	{
		fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		connection_new(server, fd);
		if (server->counters.open < (uint64_t) server->max_connections)
			continue;
		/* The rest waits in the kernel. */
		server->full = true;
		epoll_ctl(server->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	}
}

void
server_has_room(struct server *server)
{
	if (!server->full)
		return;
	server->full = false;
	if (server->listener.fd >= 0)
		server_watch(server, &server->listener, EPOLLIN);
}

static void
control_ready(struct server *server, struct watch *watch, uint32_t events)
{
	int			fd = accept4(watch->fd, NULL, NULL,
							 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void) events;
	if (fd >= 0)
		control_new(server, fd);
}

static void
signal_ready(struct server *server, struct watch *watch, uint32_t events)
{
	(void) watch;
	(void) events;
	server->stopping = true;
}

bool
server_listen(struct server *server)
{
	if (server->listener.fd >= 0)
		return true;
	if (!open_port(&server->listener, &server->port))
		return false;
	return server->full || server_watch(server, &server->listener, EPOLLIN);
}

void
server_deafen(struct server *server)
{
	close_watch(&server->listener);
}

void
server_reset_play(struct server *server)
{
	memset(&server->play, 0, sizeof(server->play));
	server->play.http1 = server->options->http1;
	server->play.max_streams = server->options->max_streams;
}

static bool
open_signals(struct server *server)
{
	sigset_t	signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	server->signals.fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	return server->signals.fd >= 0 &&
		server_watch(server, &server->signals, EPOLLIN);
}

/* As many connections as the system allows descriptors. */
static void
raise_limits(struct server *server)
{
	struct rlimit limit;

	server->max_connections = 512;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_cur > MAX_DESCRIPTORS)
		limit.rlim_cur = MAX_DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		limit.rlim_cur > SPARE_DESCRIPTORS)
		server->max_connections = (int) limit.rlim_cur - SPARE_DESCRIPTORS;
}

static bool
open_sockets(struct server *server)
{
	server->signals.ready = signal_ready;
	server->listener.ready = listener_ready;
	server->control.ready = control_ready;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0 || !open_signals(server) || !server_listen(server) ||
		!open_port(&server->control, &server->control_port) ||
		!server_watch(server, &server->control, EPOLLIN))
		return complain("could not open its ports: %m");
	return true;
}

static bool
open_log(struct server *server)
{
	const struct options *options = server->options;
	char		path[PATH_SIZE];

	if (options->no_log)
		return true;
	snprintf(path, sizeof(path), "%s/requests.log", options->dir);
	server->log = log_open(options->log != NULL ? options->log : path);
	return server->log != NULL;
}

static bool
make_dir(const char *dir)
{
	if (mkdir(dir, 0755) == 0 || errno == EEXIST)
		return true;
	return complain("could not make \"%s\": %m", dir);
}

/* "port control_port pid", there from one moment to the next. */
static bool
write_ready(const struct server *server)
{
	char		path[PATH_SIZE];
	char		temporary[PATH_SIZE + 4];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/ready", server->options->dir);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	file = fopen(temporary, "w");
	if (file != NULL)
	{
		fprintf(file, "%d %d %d\n", server->port, server->control_port,
				(int) getpid());
		if (fclose(file) == 0 && rename(temporary, path) == 0)
			return true;
	}
	return complain("could not write \"%s\": %m", path);
}

static void
remove_ready(const struct server *server)
{
	char		path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/ready", server->options->dir);
	unlink(path);
}

static bool
set_up(struct server *server)
{
	const struct options *options = server->options;

	server->listener.fd = server->control.fd = server->signals.fd = -1;
	server->epoll = -1;
	server->port = options->port;
	server->control_port = options->control_port;
	server_reset_play(server);
	raise_limits(server);
	if (!make_dir(options->dir))
		return false;
	remove_ready(server);
	if (!certs_make(options) || !open_log(server) ||
		(server->jwts = jwts_new(options)) == NULL)
		return false;
	if (!options->plain && !tls_set_up(server))
		return false;
	return open_sockets(server) && write_ready(server);
}

static void
tear_down(struct server *server)
{
	while (server->connections != NULL)
		connection_free(server->connections);
	fault_clear(&server->faults);
	request_pool_clear(&server->pool);
	delay_free(&server->delays);
	close_watch(&server->listener);
	close_watch(&server->control);
	close_watch(&server->signals);
	if (server->epoll >= 0)
		close(server->epoll);
	SSL_CTX_free(server->tls);
	jwts_free(server->jwts);
	log_close(server->log);
}

/* The turns of all active connections. */
static void
run_active(struct server *server)
{
	struct connection *list = server->active;
	struct connection *connection;

	server->active = NULL;
	for (connection = list; connection != NULL;
		 connection = connection->next_active)
		connection_read(connection);
	log_flush(server->log);
	while ((connection = list) != NULL)
	{
		list = connection->next_active;
		connection_write(connection);
	}
}

/* Milliseconds until something is due; -1: nothing is. */
static int
time_to_wait(const struct server *server, int64_t now_ms, int64_t end_ms)
{
	const struct request *delayed = delay_first(&server->delays);
	int64_t		until = end_ms;

	if (server->active != NULL)
		return 0;
	if (delayed != NULL && delayed->due_ms < until)
		until = delayed->due_ms;
	if (server->deadlines > 0 && now_ms + SWEEP_MS < until)
		until = now_ms + SWEEP_MS;
	if (until == INT64_MAX)
		return -1;
	if (until <= now_ms)
		return 0;
	return until - now_ms > INT32_MAX ? INT32_MAX : (int) (until - now_ms);
}

static void
run_loop(struct server *server)
{
	struct epoll_event events[EVENTS];
	int64_t		now_ms = clock_wait_ms();
	int64_t		end_ms = INT64_MAX;
	int64_t		sweep_ms = now_ms;
	int			n;
	int			i;

	if (server->options->run_seconds > 0)
		end_ms = now_ms + server->options->run_seconds * INT64_C(1000);
	while (!server->stopping && now_ms < end_ms)
	{
		n = epoll_wait(server->epoll, events, EVENTS,
					   time_to_wait(server, now_ms, end_ms));
		for (i = 0; i < n; i++)
		{
			struct watch *watch = events[i].data.ptr;

			watch->ready(server, watch, events[i].events);
		}
		now_ms = clock_wait_ms();
		answer_delayed(server, now_ms);
		if (server->deadlines > 0 && now_ms >= sweep_ms)
		{
			connection_sweep(server, now_ms);
			sweep_ms = now_ms + SWEEP_MS;
		}
		run_active(server);
	}
}

int
server_run(const struct options *options)
{
	struct server *server = calloc(1, sizeof(*server));
	int			status = 1;

	if (server == NULL)
		return 1;
	server->options = options;
	if (set_up(server))
	{
		run_loop(server);
		remove_ready(server);
		status = 0;
	}
	tear_down(server);
	free(server);
	return status;
}
