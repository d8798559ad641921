/*
 * bare_loop.c
 *		The upper bound of throughput: libcurl, and nothing else.
 *
 *	bare_loop --url https://localhost:PORT --ca FILE --requests FILE
 *			  [--in-flight N] [--perform] [--cork]
 *
 * Sends requests that have been made before to a sink, over one connection,
 * so many in flight, and prints how long that took:
 *
 *	seconds=… cpu=… requests=… accepted=…
 *
 * The file has a request a line: token, header lines and, last, the payload,
 * separated by the byte 0x1f.  It is read, and everything is allocated, before
 * the clock starts.  (--perform: with curl_multi_perform(); --cork: the kernel
 * gathers the frames of a turn, which libcurl writes one by one.)  Handles and
 * header lists are reused; the headers' text and the payloads are used where
 * they lie.  It must never do more than a program with nothing else to do would
 * do.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum
{
	SEPARATOR = 0x1f,
	MAX_HEADERS = 16,
	EVENTS = 16
};

/* A request of the file. */
struct request
{
	char	   *token;
	char	   *headers[MAX_HEADERS];
	int			n_headers;
	char	   *payload;
	long		payload_length;
};

/* A handle, and what it carries at the moment. */
struct slot
{
	CURL	   *easy;
	struct curl_slist headers[MAX_HEADERS + 2];
};

static struct
{
	const char *url;
	const char *ca;
	const char *file;
	int			in_flight;
	bool		perform;
	bool		cork;
}			options = {.in_flight = 100};

static struct request *requests;
static size_t n_requests;
static size_t next_request;
static size_t answered;
static size_t accepted;

static CURLM *multi;
static int	epoll_fd = -1;
static long timer_ms = -1;
static curl_socket_t connection = CURL_SOCKET_BAD;

static void
die(const char *what)
{
	fprintf(stderr, "bare_loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

#define SET(handle, option, value) \
	do { \
		if (curl_easy_setopt(handle, option, value) != CURLE_OK) \
			die(#option); \
	} while (0)

#define MULTI_SET(option, value) \
	do { \
		if (curl_multi_setopt(multi, option, value) != CURLM_OK) \
			die(#option); \
	} while (0)

/* ---------- the file ---------- */

static char *
read_file(const char *path)
{
	struct stat st;
	FILE	   *file = fopen(path, "r");
	char	   *text;

	if (file == NULL || fstat(fileno(file), &st) != 0)
		die(path);
	text = malloc((size_t) st.st_size + 1);
	if (text == NULL ||
		fread(text, 1, (size_t) st.st_size, file) != (size_t) st.st_size)
		die(path);
	text[st.st_size] = '\0';
	fclose(file);
	return text;
}

static void
parse_request(char *line, struct request *request)
{
	char	   *field;
	char	   *end;

	memset(request, 0, sizeof(*request));
	request->token = line;
	for (field = strchr(line, SEPARATOR); field != NULL; field = end)
	{
		*field++ = '\0';
		end = strchr(field, SEPARATOR);
		if (end == NULL)
			request->payload = field;
		else if (request->n_headers < MAX_HEADERS)
			request->headers[request->n_headers++] = field;
	}
	if (request->payload == NULL)
		die("a line without a payload");
	request->payload_length = (long) strlen(request->payload);
}

static void
read_requests(const char *path)
{
	char	   *line = read_file(path);
	char	   *end;
	size_t		room = 0;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
	{
		*end = '\0';
		if (n_requests == room)
		{
			room = room * 2 + 1024;
			requests = realloc(requests, room * sizeof(*requests));
			if (requests == NULL)
				die("requests");
		}
		parse_request(line, &requests[n_requests++]);
	}
}

/* ---------- libcurl ---------- */

static size_t
on_body(char *data, size_t size, size_t count, void *unused)
{
	(void) data;
	(void) unused;
	return size * count;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *unused, void *known)
{
	struct epoll_event event = {.data.fd = fd};

	(void) easy;
	(void) unused;
	if (what == CURL_POLL_REMOVE)
		return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) |
		((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
	curl_multi_assign(multi, fd, &epoll_fd);
	return epoll_ctl(epoll_fd, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
					 fd, &event);
}

static int
on_timer(CURLM *unused, long timeout_ms, void *pointer)
{
	(void) unused;
	(void) pointer;
	timer_ms = timeout_ms;
	return 0;
}

/* There is one connection, and this is its socket. */
static curl_socket_t
on_open(void *unused, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void) unused;
	(void) purpose;
	connection = socket(address->family, address->socktype, address->protocol);
	return connection;
}

static void
cork(bool on)
{
	int			value = on;

	if (options.cork && connection != CURL_SOCKET_BAD &&
		setsockopt(connection, IPPROTO_TCP, TCP_CORK, &value,
				   sizeof(value)) != 0)
		die("TCP_CORK");
}

static void
make_slot(struct slot *slot)
{
	CURL	   *easy = curl_easy_init();

	if (easy == NULL)
		die("curl_easy_init");
	slot->easy = easy;
	SET(easy, CURLOPT_PRIVATE, slot);
	SET(easy, CURLOPT_CAINFO, options.ca);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_POST, 1L);
	SET(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SET(easy, CURLOPT_PIPEWAIT, 1L);
	SET(easy, CURLOPT_BUFFERSIZE, 1024L);
	SET(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
}

static void
make_multi(void)
{
	multi = curl_multi_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (multi == NULL || epoll_fd < 0)
		die("curl_multi_init");
	MULTI_SET(CURLMOPT_MAX_CONCURRENT_STREAMS, 10000L);
	MULTI_SET(CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
	if (options.perform)
		return;
	MULTI_SET(CURLMOPT_SOCKETFUNCTION, on_socket);
	MULTI_SET(CURLMOPT_TIMERFUNCTION, on_timer);
}

/* Puts the next request into a slot that is free. */
static void
start_next(struct slot *slot)
{
	static char no_accept[] = "accept:";
	static char no_content_type[] = "content-type:";
	struct request *request = &requests[next_request++];
	char		url[1024];
	int			n;

	snprintf(url, sizeof(url), "%s/3/device/%s", options.url, request->token);
	for (n = 0; n < request->n_headers; n++)
		slot->headers[n].data = request->headers[n];
	slot->headers[n++].data = no_accept;
	slot->headers[n++].data = no_content_type;
	slot->headers[n - 1].next = NULL;
	while (--n > 0)
		slot->headers[n - 1].next = &slot->headers[n];

	SET(slot->easy, CURLOPT_URL, url);
	SET(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
	SET(slot->easy, CURLOPT_POSTFIELDSIZE, request->payload_length);
	SET(slot->easy, CURLOPT_POSTFIELDS, request->payload);
	if (curl_multi_add_handle(multi, slot->easy) != CURLM_OK)
		die("curl_multi_add_handle");
}

/* Takes what has ended, and lets the next ones follow. */
static void
collect(void)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL	   *easy = message->easy_handle;
		CURLcode	code = message->data.result;
		char	   *slot;
		long		status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
		if (code != CURLE_OK)
			fprintf(stderr, "bare_loop: %s\n", curl_easy_strerror(code));
		else if (status == 200)
			accepted++;
		answered++;
		curl_multi_remove_handle(multi, easy);
		if (next_request < n_requests)
			start_next((struct slot *) slot);
	}
}

static void
turn_with_sockets(void)
{
	struct epoll_event events[EVENTS];
	int			running;
	int			n = 0;
	int			i;

	if (timer_ms != 0)
	{
		cork(false);
		n = epoll_wait(epoll_fd, events, EVENTS, (int) timer_ms);
		cork(answered > 0);
	}
	if (n <= 0)
	{
		timer_ms = -1;
		curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	for (i = 0; i < n; i++)
		curl_multi_socket_action(multi, events[i].data.fd,
								 ((events[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
								 ((events[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
								 ((events[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0),
								 &running);
	collect();
}

static void
turn_with_perform(void)
{
	int			running;

	curl_multi_perform(multi, &running);
	collect();
	cork(false);
	if (answered < n_requests)
		curl_multi_poll(multi, NULL, 0, 1000, NULL);
}

static void
turn(void)
{
	/* Not while the connection is being made. */
	cork(answered > 0);
	if (options.perform)
		turn_with_perform();
	else
		turn_with_sockets();
}

/* ---------- the whole ---------- */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static double
cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"url", required_argument, NULL, 'u'},
		{"ca", required_argument, NULL, 'c'},
		{"requests", required_argument, NULL, 'r'},
		{"in-flight", required_argument, NULL, 'n'},
		{"perform", no_argument, NULL, 'p'},
		{"cork", no_argument, NULL, 'k'},
		{NULL, 0, NULL, 0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (option)
		{
			case 'u':
				options.url = optarg;
				break;
			case 'c':
				options.ca = optarg;
				break;
			case 'r':
				options.file = optarg;
				break;
			case 'n':
				options.in_flight = atoi(optarg);
				break;
			case 'p':
				options.perform = true;
				break;
			case 'k':
				options.cork = true;
				break;
			default:
				exit(2);
		}
	if (options.url == NULL || options.ca == NULL || options.file == NULL ||
		options.in_flight < 1)
		die("--url, --ca and --requests are needed");
}

int
main(int argc, char **argv)
{
	struct slot *slots;
	double		started;
	double		cpu_before;
	size_t		i;

	parse_options(argc, argv);
	read_requests(options.file);
	if ((size_t) options.in_flight > n_requests)
		options.in_flight = (int) n_requests;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		die("curl_global_init");
	slots = calloc((size_t) options.in_flight, sizeof(*slots));
	if (slots == NULL)
		die("slots");
	for (i = 0; i < (size_t) options.in_flight; i++)
		make_slot(&slots[i]);

	started = now();
	cpu_before = cpu();
	make_multi();

	/* A new connection begins with one request. */
	start_next(&slots[0]);
	while (answered == 0)
		turn();
	for (i = 1; i < (size_t) options.in_flight && next_request < n_requests; i++)
		start_next(&slots[i]);
	while (answered < n_requests)
		turn();

	printf("seconds=%.3f cpu=%.3f requests=%zu accepted=%zu\n",
		   now() - started, cpu() - cpu_before, n_requests, accepted);
	return accepted == n_requests ? 0 : 1;
}
