/*
 * inserter.c
 *		Inserts messages at a steady rate, and says when each was committed.
 *
 *	inserter --conninfo DSN --sql 'INSERT … VALUES ($1, $2)' --rate N
 *			 --count N [--warm-up N] --users N [--clients N] --prefix TEXT
 *
 * $1 is the recipient, "u1" to "uN" in turn, $2 the msg_id.  It prints, for
 * each message but the first ones (--warm-up), its msg_id and two times in
 * microseconds since the epoch: just before COMMIT is sent, and just after its
 * answer has come.
 *
 * The clients are processes, each with a connection of its own; each message
 * has its time slot, and a place in it that is drawn by chance, so that they
 * neither come in step nor catch up.
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct
{
	const char *conninfo;
	const char *sql;
	const char *prefix;
	double		rate;
	int			count;
	int			warm_up;
	int			users;
	int			clients;
}			options = {.clients = 1};

struct times
{
	int64_t		before;
	int64_t		after;
};

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "inserter: %s: %s\n", what, why);
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
sleep_until(int64_t at)
{
	struct timespec t = {.tv_sec = at / 1000000,
	.tv_nsec = at % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

static void
run(PGconn *conn, const char *command)
{
	PGresult   *result = PQexec(conn, command);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(command, PQerrorMessage(conn));
	PQclear(result);
}

static void
insert(PGconn *conn, int number, struct times *times)
{
	char		recipient[32];
	char		msg_id[128];
	const char *values[2] = {recipient, msg_id};
	PGresult   *result;

	snprintf(recipient, sizeof(recipient), "u%d", number % options.users + 1);
	snprintf(msg_id, sizeof(msg_id), "%s%d", options.prefix, number);
	run(conn, "BEGIN");
	result = PQexecPrepared(conn, "insert", 2, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("INSERT", PQerrorMessage(conn));
	PQclear(result);
	times->before = now_us();
	run(conn, "COMMIT");
	times->after = now_us();
}

/* One client: every so manieth message. */
static void
client(int client_number, int64_t start)
{
	PGconn	   *conn = PQconnectdb(options.conninfo);
	size_t		share = (size_t) options.count / (size_t) options.clients + 1;
	struct times *times = calloc(share, sizeof(*times));
	PGresult   *result;
	int			i;

	if (times == NULL || PQstatus(conn) != CONNECTION_OK)
		die("connection", PQerrorMessage(conn));
	result = PQprepare(conn, "insert", options.sql, 2, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("PREPARE", PQerrorMessage(conn));
	PQclear(result);

	srandom((unsigned) client_number + 1);
	for (i = client_number; i < options.count; i += options.clients)
	{
		double		slot = i + (double) random() / RAND_MAX;

		sleep_until(start + (int64_t) (slot * 1e6 / options.rate));
		insert(conn, i, &times[i / options.clients]);
	}
	/* Line by line, since the clients share the pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = client_number; i < options.count; i += options.clients)
	{
		struct times *t = &times[i / options.clients];

		if (i >= options.warm_up)
			printf("%s%d %lld %lld\n", options.prefix, i,
				   (long long) t->before, (long long) t->after);
	}
	PQfinish(conn);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"conninfo", required_argument, NULL, 'd'},
		{"sql", required_argument, NULL, 's'},
		{"prefix", required_argument, NULL, 'p'},
		{"rate", required_argument, NULL, 'r'},
		{"count", required_argument, NULL, 'n'},
		{"warm-up", required_argument, NULL, 'w'},
		{"users", required_argument, NULL, 'u'},
		{"clients", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (option)
		{
			case 'd':
				options.conninfo = optarg;
				break;
			case 's':
				options.sql = optarg;
				break;
			case 'p':
				options.prefix = optarg;
				break;
			case 'r':
				options.rate = atof(optarg);
				break;
			case 'n':
				options.count = atoi(optarg);
				break;
			case 'w':
				options.warm_up = atoi(optarg);
				break;
			case 'u':
				options.users = atoi(optarg);
				break;
			case 'c':
				options.clients = atoi(optarg);
				break;
			default:
				exit(2);
		}
	if (options.conninfo == NULL || options.sql == NULL ||
		options.prefix == NULL || options.rate <= 0 || options.count < 1 ||
		options.users < 1 || options.clients < 1)
		die("usage", "an option is missing");
}

int
main(int argc, char **argv)
{
	int64_t		start;
	int			status;
	int			bad = 0;
	int			i;

	parse_options(argc, argv);
	start = now_us() + 500000;
	for (i = 0; i < options.clients; i++)
		if (fork() == 0)
		{
			client(i, start);
			exit(0);
		}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}
