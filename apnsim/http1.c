/*
 * http1.c
 *		HTTP/1.1, one request at a time: for tests of clients that must
 *		never fall back to it.
 *
 * Each request goes the same way as one over HTTP/2 and into the same log.
 * It knows Content-Length and no other kind of body.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "connection.h"
#include "http1.h"
#include "request.h"

enum
{
	HEAD = 16384				/* bytes of a request's head */
};

struct http1
{
	char		head[HEAD];
	size_t		head_length;
	struct request *request;	/* whose body is coming in, or NULL */
	size_t		body_left;
};

bool
http1_new(struct connection *connection)
{
	connection->http1 = calloc(1, sizeof(struct http1));
	return connection->http1 != NULL;
}

void
http1_free(struct connection *connection)
{
	free(connection->http1);
	connection->http1 = NULL;
}

/* Cuts off the next line, without its end. */
static struct text
next_line(struct text *rest)
{
	const char *end = memchr(rest->data, '\n', rest->length);
	struct text line = *rest;

	line.length = (size_t) (end - line.data);
	rest->data = end + 1;
	rest->length -= line.length + 1;
	if (line.length > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

static struct text
to_text(const char *string)
{
	return text_of(string, strlen(string));
}

/* METHOD PATH HTTP/1.1 */
static bool
take_request_line(struct request *request, struct text line)
{
	const char *path = memchr(line.data, ' ', line.length);
	const char *end = line.data + line.length;
	const char *version;

	if (path == NULL || path + 1 == end)
		return false;
	version = memchr(path + 1, ' ', (size_t) (end - path - 1));
	if (version == NULL || end - version < 8 ||
		memcmp(version, " HTTP/1.", 8) != 0)
		return false;
	request_add_header(request, to_text(":method"),
					   text_of(line.data, (size_t) (path - line.data)));
	request_add_header(request, to_text(":path"),
					   text_of(path + 1, (size_t) (version - path - 1)));
	request_add_header(request, to_text(":scheme"), to_text("https"));
	return true;
}

/* Name: value.  Notes the length of the body. */
static bool
take_field(struct request *request, struct text line, size_t *body)
{
	const char *colon = memchr(line.data, ':', line.length);
	char		name[64];
	struct text value;
	size_t		length;
	size_t		i;

	if (colon == NULL)
		return false;
	length = (size_t) (colon - line.data);
	value.data = colon + 1;
	value.length = line.length - length - 1;
	while (value.length > 0 && *value.data == ' ')
	{
		value.data++;
		value.length--;
	}
	if (length >= sizeof(name))
		return true;
	for (i = 0; i < length; i++)
		name[i] = (char) tolower((unsigned char) line.data[i]);
	request_add_header(request, text_of(name, length), value);
	if (length != 14 || memcmp(name, "content-length", 14) != 0)
		return true;
	*body = 0;
	for (i = 0; i < value.length; i++)
	{
		if (!isdigit((unsigned char) value.data[i]) || *body > 1 << 24)
			return false;
		*body = *body * 10 + (size_t) (value.data[i] - '0');
	}
	return true;
}

/* The whole head is there: makes the request. */
static bool
take_head(struct connection *connection)
{
	struct http1 *http1 = connection->http1;
	struct text rest = {http1->head, http1->head_length};
	struct request *request;
	struct text line;

	while (connection->requests != NULL &&
		   connection->requests->state == REQUEST_DONE)
		request_free(&connection->server->pool, connection->requests);
	request = request_new(&connection->server->pool, connection, 0);
	if (request == NULL || !take_request_line(request, next_line(&rest)))
		return false;			/* it is freed with the connection */
	http1->body_left = 0;
	while ((line = next_line(&rest)).length > 0)
		if (!take_field(request, line, &http1->body_left))
			return false;
	http1->head_length = 0;
	http1->request = request;
	answer_headers(request);
	return true;
}

static void
finish_request(struct connection *connection)
{
	struct request *request = connection->http1->request;

	connection->http1->request = NULL;
	answer_complete(request);
}

/* True: the head is complete with this byte. */
static bool
add_to_head(struct http1 *http1, char c)
{
	size_t		n = http1->head_length;

	http1->head[n++] = c;
	http1->head_length = n;
	return c == '\n' && n >= 2 &&
		(http1->head[n - 2] == '\n' ||
		 (n >= 4 && memcmp(http1->head + n - 4, "\r\n\r\n", 4) == 0));
}

/* Somebody else's protocol, TLS for instance, is recognised at once. */
static bool
take_byte(struct connection *connection, char c)
{
	struct http1 *http1 = connection->http1;

	if (http1->head_length == 0 && !isupper((unsigned char) c))
		return false;
	if (add_to_head(http1, c))
		return take_head(connection);
	return http1->head_length < HEAD;
}

static void
refuse(struct connection *connection)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
	"Content-Length: 0\r\nConnection: close\r\n\r\n";
	size_t		length = sizeof(answer) - 1;

	if (length > OUT_SIZE - connection->out_end)
		return;
	memcpy(connection->out + connection->out_end, answer, length);
	connection->out_end += length;
}

bool
http1_feed(struct connection *connection, const char *data, size_t length)
{
	struct http1 *http1 = connection->http1;
	size_t		n;

	while (length > 0)
	{
		if (http1->request != NULL)
		{
			n = length < http1->body_left ? length : http1->body_left;
			request_add_body(http1->request, data, n);
			http1->body_left -= n;
			data += n;
			length -= n;
		}
		else
		{
			length--;
			if (!take_byte(connection, *data++))
			{
				refuse(connection);
				return false;
			}
		}
		if (http1->request != NULL && http1->body_left == 0)
			finish_request(connection);
	}
	return true;
}

void
http1_answer(struct request *request)
{
	struct connection *connection = request->connection;
	char	   *to = connection->out + connection->out_end;
	size_t		room = OUT_SIZE - connection->out_end;
	int			n;

	n = snprintf(to, room, "HTTP/1.1 %d %s\r\napns-id: %s\r\n"
				 "Content-Length: %zu\r\n\r\n%s",
				 request->status, request->status == 200 ? "OK" : "Refused",
				 request->apns_id, request->answer_length, request->answer);
	if (n < 0 || (size_t) n >= room)
		connection->doomed = true;
	else
		connection->out_end += (size_t) n;
}
