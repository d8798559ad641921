/*
 * floor.c
 *		The lower bound of latency: from NOTIFY to the wire, and nothing else.
 *
 *	floor --conninfo DSN --url https://localhost:PORT --ca FILE
 *		  --authorization 'bearer …' --topic TOPIC
 *
 * LISTENs on "floor", whose payload is the id of a message.  For what has come
 * it runs one SELECT, which joins the message with its recipient's token, and
 * sends over an HTTP/2 connection that is warm.  Nothing is decided, counted
 * or written down.  It prints "ready" when the connection is warm, and ends
 * with SIGTERM.
 *
 * One curl_multi_poll() waits for both PostgreSQL and the sink.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
	SLOTS = 512,
	MAX_IDS = 1024
};

static const char query[] =
"SELECT m.msg_id, m.sender, m.recipient, t.token"
" FROM bench.floor_message m"
" JOIN imp_push.device_token t ON t.user_id = m.recipient"
" WHERE m.id = ANY ($1::bigint[])";

struct slot
{
	CURL	   *easy;
	char		payload[4096];
};

static struct
{
	const char *conninfo;
	const char *url;
	const char *ca;
	const char *authorization;
	const char *topic;
}			options;

static PGconn *conn;
static CURLM *multi;
static struct slot slots[SLOTS];
static struct slot *spares[SLOTS];
static int	n_spares;
static struct curl_slist *headers;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "floor: %s: %s\n", what, why);
	exit(1);
}

#define SET(handle, option, value) \
	do { \
		if (curl_easy_setopt(handle, option, value) != CURLE_OK) \
			die(#option, "not accepted"); \
	} while (0)

static size_t
on_body(char *data, size_t size, size_t count, void *unused)
{
	(void) data;
	(void) unused;
	return size * count;
}

static void
add_header(const char *name, const char *value)
{
	char		line[1024];

	snprintf(line, sizeof(line), "%s:%s%s", name, *value ? " " : "", value);
	headers = curl_slist_append(headers, line);
	if (headers == NULL)
		die("header", "out of memory");
}

static void
make_headers(void)
{
	add_header("authorization", options.authorization);
	add_header("apns-topic", options.topic);
	add_header("apns-push-type", "alert");
	add_header("apns-priority", "10");
	add_header("apns-expiration", "0");
	add_header("accept", "");
	add_header("content-type", "");
}

static void
make_slots(void)
{
	int			i;

	multi = curl_multi_init();
	if (multi == NULL ||
		curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
						  10000L) != CURLM_OK ||
		curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
						  1L) != CURLM_OK)
		die("curl_multi_init", "failed");
	for (i = 0; i < SLOTS; i++)
	{
		CURL	   *easy = curl_easy_init();

		if (easy == NULL)
			die("curl_easy_init", "failed");
		slots[i].easy = easy;
		spares[n_spares++] = &slots[i];
		SET(easy, CURLOPT_PRIVATE, &slots[i]);
		SET(easy, CURLOPT_CAINFO, options.ca);
		SET(easy, CURLOPT_NOSIGNAL, 1L);
		SET(easy, CURLOPT_POST, 1L);
		SET(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
		SET(easy, CURLOPT_PIPEWAIT, 1L);
		SET(easy, CURLOPT_HTTPHEADER, headers);
		SET(easy, CURLOPT_BUFFERSIZE, 1024L);
		SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	}
}

/* Starts one; at once, and not in the next turn. */
static void
post(const char *token, const char *msg_id, const char *sender,
	 const char *recipient)
{
	struct slot *slot;
	char		url[1024];
	int			length;

	if (n_spares == 0)
		die("post", "too many in flight");
	slot = spares[--n_spares];
	length = snprintf(slot->payload, sizeof(slot->payload),
					  "{\"aps\":{\"alert\":{\"title\":\"You have a new message\","
					  "\"body\":\"Tap to view\"},\"badge\":1,\"sound\":\"default\","
					  "\"thread-id\":\"chat:%s\"},"
					  "\"f\":\"%s\",\"t\":\"%s\",\"m\":\"%s\"}",
					  sender, sender, recipient, msg_id);
	snprintf(url, sizeof(url), "%s/3/device/%s", options.url, token);
	SET(slot->easy, CURLOPT_URL, url);
	SET(slot->easy, CURLOPT_POSTFIELDSIZE, (long) length);
	SET(slot->easy, CURLOPT_POSTFIELDS, slot->payload);
	if (curl_multi_add_handle(multi, slot->easy) != CURLM_OK)
		die("curl_multi_add_handle", "failed");
}

static int
turn(void)
{
	CURLMsg    *message;
	int			running;
	int			left;
	int			done = 0;

	curl_multi_perform(multi, &running);
	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL	   *easy = message->easy_handle;
		long		status = 0;
		char	   *slot;

		if (message->data.result != CURLE_OK)
			die("transfer", curl_easy_strerror(message->data.result));
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
		if (status != 200)
			fprintf(stderr, "floor: status %ld\n", status);
		curl_multi_remove_handle(multi, easy);
		spares[n_spares++] = (struct slot *) slot;
		done++;
	}
	return done;
}

static void
warm_up(void)
{
	post("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		 "warm-up", "a", "b");
	while (turn() == 0)
		curl_multi_poll(multi, NULL, 0, 100, NULL);
}

static void
connect_database(void)
{
	PGresult   *result;

	conn = PQconnectdb(options.conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		die("connection", PQerrorMessage(conn));
	result = PQexec(conn, "SET jit = off; LISTEN floor");
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("LISTEN", PQerrorMessage(conn));
	PQclear(result);
	result = PQprepare(conn, "get", query, 1, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("PREPARE", PQerrorMessage(conn));
	PQclear(result);
}

/* Asks for the messages that have been announced, and sends them. */
static void
take_notifications(void)
{
	static char ids[MAX_IDS * 24];
	const char *values[1] = {ids};
	PGnotify   *notify;
	PGresult   *result;
	size_t		length = 0;
	int			n = 0;
	int			i;

	if (!PQconsumeInput(conn))
		die("connection", PQerrorMessage(conn));
	while (n < MAX_IDS && (notify = PQnotifies(conn)) != NULL)
	{
		length += (size_t) snprintf(ids + length, sizeof(ids) - length, "%c%s",
									n++ == 0 ? '{' : ',', notify->extra);
		PQfreemem(notify);
	}
	if (n == 0)
		return;
	snprintf(ids + length, sizeof(ids) - length, "}");

	result = PQexecPrepared(conn, "get", 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die("SELECT", PQerrorMessage(conn));
	for (i = 0; i < PQntuples(result); i++)
		post(PQgetvalue(result, i, 3), PQgetvalue(result, i, 0),
			 PQgetvalue(result, i, 1), PQgetvalue(result, i, 2));
	PQclear(result);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"conninfo", required_argument, NULL, 'd'},
		{"url", required_argument, NULL, 'u'},
		{"ca", required_argument, NULL, 'c'},
		{"authorization", required_argument, NULL, 'a'},
		{"topic", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (option)
		{
			case 'd':
				options.conninfo = optarg;
				break;
			case 'u':
				options.url = optarg;
				break;
			case 'c':
				options.ca = optarg;
				break;
			case 'a':
				options.authorization = optarg;
				break;
			case 't':
				options.topic = optarg;
				break;
			default:
				exit(2);
		}
	if (options.conninfo == NULL || options.url == NULL ||
		options.ca == NULL || options.authorization == NULL ||
		options.topic == NULL)
		die("usage", "an option is missing");
}

int
main(int argc, char **argv)
{
	struct curl_waitfd database;

	parse_options(argc, argv);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		die("curl_global_init", "failed");
	make_headers();
	make_slots();
	connect_database();
	warm_up();
	puts("ready");
	fflush(stdout);

	for (;;)
	{
		take_notifications();
		turn();
		database.fd = PQsocket(conn);
		database.events = CURL_WAIT_POLLIN;
		database.revents = 0;
		curl_multi_poll(multi, &database, 1, 1000, NULL);
	}
}
