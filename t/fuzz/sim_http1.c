/*
 * sim_http1.c
 *		Fuzzes apnsim's way of a request over HTTP/1.1: http1.c, request.c,
 *		check.c, answer.c and log.c, with a fault (fault.c) if one is given.
 *
 * The input is a command to the control port up to the first 0xFF, and then
 * what a client sends, in pieces that end at each 0xFE.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../apnsim/connection.h"
#include "../../apnsim/fault.h"
#include "../../apnsim/http1.h"
#include "../../apnsim/json.h"
#include "../../apnsim/log.h"
#include "../../apnsim/options.h"
#include "fuzz.h"

static const struct options options;
static struct server server;
static struct connection connection;
static int	log_file;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char		path[64];

	(void) argc;
	(void) argv;
	log_file = memfd_create("log", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", log_file);
	server.options = &options;
	server.log = log_open(path);
	server.ids_seed = 1;
	check("there is a log", server.log != NULL);
	return 0;
}

static void
begin(void)
{
	memset(&connection, 0, sizeof(connection));
	connection.server = &server;
	connection.protocol = PROTOCOL_HTTP1;
	connection.certified = true;	/* provider tokens are sim_jwt's */
	check("there is memory", http1_new(&connection));
}

static void
end(void)
{
	while (connection.requests != NULL)
		request_free(&server.pool, connection.requests);
	http1_free(&connection);
	request_pool_clear(&server.pool);
	fault_clear(&server.faults);
}

/* Faults of HTTP/2 have no meaning here. */
static void
set_fault(struct input command)
{
	char	   *words = copy_string(command);
	const char *error = NULL;
	const struct fault *fault = fault_set(&server.faults, words, 0, &error);

	check("a fault is set, or an error says why not",
		  (fault == NULL) == (error != NULL));
	if (fault != NULL && (fault->kind == FAULT_REFUSE ||
						  fault->kind == FAULT_RESET ||
						  fault->kind == FAULT_GOAWAY || fault->early))
		fault_clear(&server.faults);
	free(words);
}

static bool
feed(struct input *input)
{
	struct input piece = *input;
	const uint8_t *stop = memchr(input->data, 0xFE, input->left);
	char	   *bytes;
	bool		good;

	if (stop != NULL)
		piece.left = (size_t) (stop - piece.data);
	bytes = copy_bytes(piece);
	good = http1_feed(&connection, bytes, piece.left);
	free(bytes);
	check("answers fit into their buffer", connection.out_end <= OUT_SIZE);
	connection.out_end = 0;
	input->data += piece.left;
	input->left -= piece.left;
	if (stop != NULL)
	{
		input->data++;
		input->left--;
	}
	return good && !connection.doomed;
}

static void
check_request_kept(const struct request *request)
{
	int			i;

	check("no more is stored than there is room",
		  request->store_used <= REQUEST_STORE);
	for (i = 0; i < KNOWN_HEADERS; i++)
		check("a header lies in the store", request->known[i].data == NULL ||
			  (request->known[i].data >= request->store &&
			   request->known[i].data + request->known[i].length <=
			   request->store + request->store_used));
}

/* Each line of the log is JSON, whatever a client has sent. */
static void
check_log(void)
{
	off_t		size;
	char	   *text;
	char	   *line;
	char	   *end;

	log_flush(server.log);
	size = lseek(log_file, 0, SEEK_END);
	text = malloc((size_t) size + 1);
	check("the log can be read",
		  pread(log_file, text, (size_t) size, 0) == size);
	text[size] = '\0';
	for (line = text; line < text + size; line = end + 1)
	{
		end = memchr(line, '\n', (size_t) (text + size - line));
		check("a line ends", end != NULL);
		check("a line is JSON",
			  json_object(text_of(line, (size_t) (end - line)), NULL, 0));
	}
	free(text);
	check("the log is emptied", ftruncate(log_file, 0) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct input command = take_part(&input);
	struct request *request;

	begin();
	if (command.left > 0)
		set_fault(command);
	while (input.left > 0 && feed(&input))
		;
	for (request = connection.requests; request != NULL;
		 request = request->next)
		check_request_kept(request);
	check_log();
	end();
	return 0;
}
