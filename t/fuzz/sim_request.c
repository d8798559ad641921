/*
 * sim_request.c
 *		Fuzzes apnsim/request.c and check.c: the headers and the body of a
 *		request, as HTTP/2 would bring them.
 *
 * Parts between 0xFF: the body, then name and value in turn.
 */
#include <stdlib.h>
#include <string.h>

#include "../../apnsim/check.h"
#include "../../apnsim/connection.h"
#include "../../apnsim/options.h"
#include "fuzz.h"

static const struct options options = {.trust_any_key = true};
static struct server server = {.options = &options};
static struct connection connection = {.server = &server};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	server.jwts = jwts_new(&options);
	check("there is memory", server.jwts != NULL);
	return 0;
}

/* A byte below 11 is the name of a header that means something. */
static struct text
take_name(struct input *input)
{
	static const char *const names[] = {
		":method", ":scheme", ":path", ":authority", "authorization",
		"apns-topic", "apns-push-type", "apns-priority", "apns-id",
		"apns-expiration", "apns-collapse-id"
	};
	struct input part = take_part(input);

	if (part.left == 1 && part.data[0] < sizeof(names) / sizeof(names[0]))
		return text_of(names[part.data[0]], strlen(names[part.data[0]]));
	return text_of((const char *) part.data, part.left);
}

static void
add_header(struct request *request, struct input *input)
{
	struct text name = take_name(input);
	struct input value = take_part(input);
	char	   *bytes = copy_bytes(value);

	request_add_header(request, name, text_of(bytes, value.left));
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct request *request;
	struct input body;
	size_t		length = 0;

	connection.signer = NULL;
	connection.certified = take_number(&input, 2) == 0;
	body = take_part(&input);
	request = request_new(&server.pool, &connection, 1);
	check("there is memory", request != NULL);
	while (input.left > 0)
		add_header(request, &input);
	request_find_token(request);
	while (length < body.left)
	{
		size_t		n = body.left - length < 100 ? body.left - length : 100;

		request_add_body(request, (const char *) body.data + length, n);
		length += n;
	}
	request->complete = true;
	check_request(request);
	check("a body counts as it was sent", request->body_length == body.left);
	check("what is refused has a reason, what is accepted has none",
		  (request->status == 200) == (request->reason == NULL));
	check("a status is one of HTTP",
		  request->status >= 200 && request->status < 600);
	request_free(&server.pool, request);
	request_pool_clear(&server.pool);
	return 0;
}
