/*
 * request.c
 *		Collects a request as it comes in.
 *
 * It judges nothing: that is check.c.  It never allocates for what a client
 * sends, only whole requests.
 */
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "fault.h"
#include "request.h"

static const char *const known_names[KNOWN_HEADERS] = {
	[METHOD] = ":method",
	[SCHEME] = ":scheme",
	[PATH] = ":path",
	[AUTHORITY] = ":authority",
	[AUTHORIZATION] = "authorization",
	[APNS_TOPIC] = "apns-topic",
	[APNS_PUSH_TYPE] = "apns-push-type",
	[APNS_PRIORITY] = "apns-priority",
	[APNS_ID] = "apns-id",
	[APNS_EXPIRATION] = "apns-expiration",
	[APNS_COLLAPSE_ID] = "apns-collapse-id",
};

/* Enough for one busy connection; more are given back to malloc. */
enum
{
	POOL_LIMIT = 1024
};

struct request *
request_new(struct request_pool *pool, struct connection *connection,
			int32_t stream_id)
{
	struct request *request = pool->first;

	if (request != NULL)
	{
		pool->first = request->next;
		pool->n--;
	}
	else if ((request = malloc(sizeof(*request))) == NULL)
		return NULL;

	/* The two big arrays at the end need no clearing. */
	memset(request, 0, offsetof(struct request, fields));
	request->n_fields = 0;
	memset(&request->store_used, 0, offsetof(struct request, store) -
		   offsetof(struct request, store_used));
	request->connection = connection;
	request->stream_id = stream_id;
	request->delay_slot = -1;
	request->next = connection->requests;
	if (request->next != NULL)
		request->next->previous = request;
	connection->requests = request;
	connection->server->counters.streams++;
	return request;
}

void
request_free(struct request_pool *pool, struct request *request)
{
	struct connection *connection = request->connection;

	if (request->previous != NULL)
		request->previous->next = request->next;
	else
		connection->requests = request->next;
	if (request->next != NULL)
		request->next->previous = request->previous;
	connection->server->counters.streams--;
	delay_remove(&connection->server->delays, request);
	fault_release(request->fault);
	if (pool->n >= POOL_LIMIT)
	{
		free(request);
		return;
	}
	request->next = pool->first;
	pool->first = request;
	pool->n++;
}

void
request_pool_clear(struct request_pool *pool)
{
	struct request *request;

	while ((request = pool->first) != NULL)
	{
		pool->first = request->next;
		free(request);
	}
	pool->n = 0;
}

static struct text
store_text(struct request *request, struct text text)
{
	char	   *place = request->store + request->store_used;

	memcpy(place, text.data, text.length);
	request->store_used += text.length;
	return text_of(place, text.length);
}

void
request_add_header(struct request *request, struct text name,
				   struct text value)
{
	struct text stored;
	int			i;

	if (name.length + value.length > REQUEST_STORE - request->store_used ||
		request->n_fields == REQUEST_FIELDS)
	{
		request->too_many_headers = true;
		return;
	}
	stored = store_text(request, value);
	for (i = 0; i < KNOWN_HEADERS; i++)
	{
		if (!text_is(name, known_names[i]))
			continue;
		if (request->known[i].data != NULL)
			request->duplicate_headers = true;
		request->known[i] = stored;
		break;
	}
	if (name.length > 0 && name.data[0] == ':')
		return;
	request->fields[request->n_fields].name = store_text(request, name);
	request->fields[request->n_fields].value = stored;
	request->n_fields++;
}

void
request_add_body(struct request *request, const char *data, size_t length)
{
	size_t		kept = request->body_length;

	request->body_length += length;
	if (kept >= REQUEST_BODY)
		return;
	if (length > REQUEST_BODY - kept)
		length = REQUEST_BODY - kept;
	memcpy(request->body + kept, data, length);
}

void
request_find_token(struct request *request)
{
	static const char prefix[] = "/3/device/";
	size_t		length = sizeof(prefix) - 1;
	struct text path = request->known[PATH];

	if (path.length < length || memcmp(path.data, prefix, length) != 0)
		return;
	request->token.data = path.data + length;
	request->token.length = path.length - length;
}
