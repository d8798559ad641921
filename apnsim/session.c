/*
 * session.c
 *		nghttp2's callbacks, and what is said through nghttp2.
 *
 * It turns frames into requests and answers into frames, and decides
 * nothing: that is answer.c.  Inside a callback it must never free the
 * connection; it marks it as doomed and the loop does the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "connection.h"
#include "fault.h"
#include "options.h"
#include "request.h"
#include "session.h"

enum
{
	/* So many streams with a full payload each are never held up. */
	WINDOW = 8 * 1024 * 1024,

	/*
	 * How often a client may give up on a request before nghttp2 takes it for
	 * an attack.  Tests of deadlines do that all the time.
	 */
	RESET_BURST = 1000000,
	RESET_RATE = 100000
};

static struct connection *
to_connection(void *data)
{
	return data;
}

static struct request *
find_request(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
				 void *data)
{
	struct connection *connection = to_connection(data);
	struct server *server = connection->server;
	struct request *request;

	if (frame->hd.type != NGHTTP2_HEADERS ||
		frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	request = request_new(&server->pool, connection, frame->hd.stream_id);
	if (request == NULL)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, request->stream_id, request);
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame,
		  const uint8_t *name, size_t name_length,
		  const uint8_t *value, size_t value_length,
		  uint8_t flags, void *data)
{
	struct request *request;

	(void) flags;
	(void) data;
	if (frame->hd.type != NGHTTP2_HEADERS ||
		frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	request = find_request(session, frame->hd.stream_id);
	if (request != NULL)
		request_add_header(request,
						   text_of((const char *) name, name_length),
						   text_of((const char *) value, value_length));
	return 0;
}

static int
on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
			  const uint8_t *bytes, size_t length, void *data)
{
	struct request *request = find_request(session, stream_id);

	(void) flags;
	(void) data;
	if (request != NULL)
		request_add_body(request, (const char *) bytes, length);
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct request *request;

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		to_connection(data)->server->counters.resets++;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	request = find_request(session, frame->hd.stream_id);
	if (request == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS &&
		frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		answer_headers(request);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		answer_complete(request);
	return 0;
}

/*
 * After the end of an answer, and not sooner: nghttp2 drops what is queued
 * behind a RST_STREAM.
 */
static int
on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct request *request;

	if (!to_connection(data)->stops_bodies ||
		(frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	request = find_request(session, frame->hd.stream_id);
	if (request != NULL && request->fault != NULL && request->fault->stop)
		session_reset(request, NGHTTP2_NO_ERROR);
	return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error,
				void *data)
{
	struct server *server = to_connection(data)->server;
	struct request *request = find_request(session, stream_id);

	(void) error;
	if (request == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream_id, NULL);
	request_free(&server->pool, request);
	return 0;
}

static nghttp2_session_callbacks *
make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	return c;
}

static nghttp2_option *
make_options(int max_resets)
{
	nghttp2_option *option;

	if (nghttp2_option_new(&option) != 0)
		return NULL;
	nghttp2_option_set_no_closed_streams(option, 1);
	if (max_resets > 0)
		nghttp2_option_set_stream_reset_rate_limit(option, max_resets, 0);
	else
		nghttp2_option_set_stream_reset_rate_limit(option, RESET_BURST,
												   RESET_RATE);
	return option;
}

static nghttp2_settings_entry
streams_setting(const struct connection *connection)
{
	nghttp2_settings_entry setting;
	int			n = connection->server->play.max_streams;

	if (connection->warming && n > 1)
		n = 1;
	setting.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS;
	setting.value = (uint32_t) n;
	return setting;
}

static bool
begin(struct connection *connection)
{
	nghttp2_settings_entry setting = streams_setting(connection);

	return nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE,
								   &setting, 1) == 0 &&
		nghttp2_session_set_local_window_size(connection->session,
											  NGHTTP2_FLAG_NONE, 0,
											  WINDOW) == 0;
}

bool
session_new(struct connection *connection)
{
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *option =
	make_options(connection->server->options->max_resets);
	bool		done = false;

	if (callbacks != NULL && option != NULL)
		done = nghttp2_session_server_new2(&connection->session, callbacks,
										   connection, option) == 0;
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	/* Apple's rule of one stream is for provider tokens. */
	connection->warming = connection->server->play.one_stream &&
		!connection->certified;
	return done && begin(connection);
}

/* nghttp2_session_del calls nobody back: connection.c frees the requests. */
void
session_free(struct connection *connection)
{
	nghttp2_session_del(connection->session);
	connection->session = NULL;
}

bool
session_feed(struct connection *connection, const char *data, size_t length)
{
	return nghttp2_session_mem_recv(connection->session,
									(const uint8_t *) data,
									length) == (ssize_t) length;
}

void
session_fill(struct connection *connection)
{
	const uint8_t *data;
	ssize_t		n;

	while (connection->out_end - connection->out_start < OUT_CHUNK)
	{
		n = nghttp2_session_mem_send(connection->session, &data);
		if (n < 0 || (size_t) n > OUT_SIZE - connection->out_end)
			connection->doomed = true;
		if (n <= 0 || connection->doomed)
			break;
		memcpy(connection->out + connection->out_end, data, (size_t) n);
		connection->out_end += (size_t) n;
	}
	if (!nghttp2_session_want_read(connection->session) &&
		!nghttp2_session_want_write(connection->session))
		connection->finishing = true;
}

static ssize_t
read_body(nghttp2_session *session, int32_t stream_id, uint8_t *to,
		  size_t room, uint32_t *flags, nghttp2_data_source *source, void *data)
{
	struct request *request = source->ptr;
	uint64_t	n;

	(void) session;
	(void) stream_id;
	(void) data;

	/* nghttp2 then resets the stream. */
	if (fault_kind_of(request->fault) == FAULT_CUT)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = answer_body(request, (char *) to, room);
	if (request->answer_left == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t) n;
}

static nghttp2_nv
make_header(const char *name, const char *value, uint8_t flags)
{
	nghttp2_nv	header;

	header.name = (uint8_t *) name;
	header.value = (uint8_t *) value;
	header.namelen = strlen(name);
	header.valuelen = strlen(value);
	header.flags = (uint8_t) (flags | NGHTTP2_NV_FLAG_NO_COPY_NAME);
	return header;
}

/* The headers of the answer, at most five.  Returns how many. */
static size_t
make_headers(struct request *request, nghttp2_nv *headers, char *location,
			 size_t size)
{
	/* Ids never come back: not worth a place in the table of headers. */
	const uint8_t once = NGHTTP2_NV_FLAG_NO_INDEX;
	struct server *server = request->connection->server;
	size_t		n = 0;

	snprintf(request->status_text, sizeof(request->status_text), "%d",
			 request->status);
	headers[n++] = make_header(":status", request->status_text, 0);
	headers[n++] = make_header("apns-id", request->apns_id, once);
	if (server->options->development)
		headers[n++] = make_header("apns-unique-id", request->apns_id, once);
	if (request->reason != NULL)
		headers[n++] = make_header("content-type", "application/json", 0);
	if (fault_kind_of(request->fault) == FAULT_REDIRECT)
	{
		if (request->fault->location[0] != '\0')
			snprintf(location, size, "%s", request->fault->location);
		else
			snprintf(location, size, "https://127.0.0.1:%d/redirected",
					 server->port);
		headers[n++] = make_header("location", location, 0);
	}
	return n;
}

void
session_answer(struct request *request)
{
	struct connection *connection = request->connection;
	nghttp2_session *session = connection->session;
	nghttp2_data_provider body;
	nghttp2_nv	headers[5];
	char		location[FAULT_LOCATION];
	size_t		n = make_headers(request, headers, location, sizeof(location));

	body.source.ptr = request;
	body.read_callback = read_body;
	if (nghttp2_submit_response(session, request->stream_id, headers, n,
								request->answer_left > 0 ? &body : NULL) != 0)
		connection->doomed = true;
	if (request->fault != NULL && request->fault->stop)
		connection->stops_bodies = true;
	if (connection->warming && request->status == 200)
	{
		connection->warming = false;
		session_set_streams(connection);
	}
}

void
session_reset(struct request *request, uint32_t error)
{
	if (request->connection->session == NULL ||
		nghttp2_submit_rst_stream(request->connection->session,
								  NGHTTP2_FLAG_NONE, request->stream_id,
								  error) != 0)
		request->connection->doomed = true;
}

void
session_goaway(struct connection *connection, int32_t last)
{
	if (connection->session == NULL || connection->went_away)
		return;
	/* A last stream of ours, an even one, would be no client's. */
	if (last > 0 && last % 2 == 0)
		last--;
	connection->went_away = true;
	connection->goaway_last = last;
	if (nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last,
							  NGHTTP2_NO_ERROR, NULL, 0) != 0)
		connection->doomed = true;
}

void
session_set_streams(struct connection *connection)
{
	nghttp2_settings_entry setting = streams_setting(connection);

	if (connection->session == NULL)
		return;
	if (nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE,
								&setting, 1) != 0)
		connection->doomed = true;
}
