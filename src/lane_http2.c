/*
 * lane_http2.c
 *		HTTP/2 over the connection of a lane, by nghttp2.
 *
 * Owns the session, the buffer of what is to be written, and what the peer's
 * frames say about a request: its answer, or that it has not been processed.
 * Must never choose what is sent nor judge an answer, and its callbacks must
 * neither allocate from PostgreSQL nor raise an error: nghttp2's frames are on
 * the stack.
 */
#include "postgres.h"

#include "lane_connection.h"
#include "lane_http2.h"

/* A TLS record holds 16 kB; the rest is for the frame that crosses that. */
#define OUT_FULL 16384
#define OUT_SIZE (2 * OUT_FULL + 1024)

/* Requests that are written together at most */
#define BURST 32

/* Bytes taken at a time, and before others have their turn */
#define IN_SIZE LANE_READ_SIZE
#define IN_MOST (16 * IN_SIZE)

static nghttp2_session_callbacks *callbacks = NULL;
static nghttp2_option *options = NULL;

/* ---------- nghttp2's callbacks ---------- */

static Request *
request_of(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* A request is about to be written. */
static int
before_frame(nghttp2_session *session, const nghttp2_frame *frame,
			 void *lane)
{
	Request    *request;

	if (frame->hd.type == NGHTTP2_HEADERS &&
		(request = request_of(session, frame->hd.stream_id)) != NULL)
		request->sent = true;
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame,
		  const uint8_t *name, size_t name_length, const uint8_t *value,
		  size_t value_length, uint8_t flags, void *lane)
{
	Request    *request;

	/* nghttp2 has seen to it that there are three digits. */
	if (name_length == strlen(":status") &&
		memcmp(name, ":status", name_length) == 0 &&
		(request = request_of(session, frame->hd.stream_id)) != NULL)
		request->status = atoi((const char *) value);
	return 0;
}

/* Keeps the beginning of a body, and ends a stream that goes on and on. */
static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id,
		const uint8_t *data, size_t length, void *lane)
{
	Request    *request = request_of(session, stream_id);
	size_t		room;

	if (request == NULL)
		return 0;
	room = ANSWER_BODY_SIZE - Min(request->body_length, ANSWER_BODY_SIZE);
	memcpy(request->body + ANSWER_BODY_SIZE - room, data, Min(length, room));
	if (length <= room)
		request->body_length += length;
	else if (request->body_length <= ANSWER_BODY_SIZE)
	{
		request->body_length = ANSWER_BODY_SIZE + 1;
		return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id,
										 NGHTTP2_CANCEL);
	}
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		 void *lane_pointer)
{
	Lane	   *lane = lane_pointer;
	Request    *request;

	/* Whoever says anything is there. */
	lane->trust_until = 0;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		lane->state = LANE_DRAINING;
	if ((frame->hd.type == NGHTTP2_HEADERS ||
		 frame->hd.type == NGHTTP2_DATA) &&
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
		(request = request_of(session, frame->hd.stream_id)) != NULL)
		request->whole = true;
	return 0;
}

/*
 * A stream has ended, by an answer, a reset, or a GOAWAY, which nghttp2 reports
 * for the streams that it excludes, and those that cannot be opened any more,
 * as REFUSED_STREAM.
 */
static int
on_stream_close(nghttp2_session *session, int32_t stream_id,
				uint32_t error_code, void *lane)
{
	Request    *request = request_of(session, stream_id);

	if (request == NULL)
		return 0;
	request->not_processed = error_code == NGHTTP2_REFUSED_STREAM;
	request->clean = error_code == NGHTTP2_NO_ERROR;
	lane_end(lane, request, request->status >= 200 && request->whole ?
			 CURLE_OK : CURLE_HTTP2_STREAM);
	return 0;
}

/* ---------- the session ---------- */

void
lane_http2_init(void)
{
	if (callbacks != NULL)
		return;
	if (nghttp2_option_new(&options) != 0 ||
		nghttp2_session_callbacks_new(&callbacks) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not initialize nghttp2")));
	nghttp2_option_set_no_closed_streams(options, 1);
	nghttp2_session_callbacks_set_before_frame_send_callback(callbacks,
															 before_frame);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
															  on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
														   on_stream_close);
}

bool
lane_http2_begin(Lane *lane)
{
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}
	};
	dlist_mutable_iter iter;

	lane->out = malloc(OUT_SIZE);
	if (lane->out == NULL ||
		nghttp2_session_client_new2(&lane->session, callbacks, lane,
									options) != 0 ||
		nghttp2_submit_settings(lane->session, NGHTTP2_FLAG_NONE, settings,
								lengthof(settings)) != 0)
		return false;
	lane->established = true;

	/* Making the connection took its time: that is no silence. */
	lane->heard_at = lane_clock();
	lane_connection_watch(lane, false);
	dlist_foreach_modify(iter, &lane->under_way)
		lane_http2_submit(lane, dlist_container(Request, node, iter.cur));
	lane_http2_flush(lane);
	return true;
}

void
lane_http2_end(Lane *lane)
{
	if (lane->session != NULL)
		nghttp2_session_del(lane->session);
	free(lane->out);
}

void
lane_http2_submit(Lane *lane, Request *request)
{
	if (lane->dead || !request_submit(request, lane->session, lane->authority))
	{
		lane->state = LANE_DRAINING;
		lane_end(lane, request, CURLE_SEND_ERROR);
		return;
	}
	if (++lane->unflushed >= BURST)
		lane_http2_flush(lane);
}

void
lane_http2_cancel(Lane *lane, Request *request)
{
	if (lane->dead || request->stream_id <= 0)
		return;
	nghttp2_session_set_stream_user_data(lane->session, request->stream_id,
										 NULL);
	nghttp2_submit_rst_stream(lane->session, NGHTTP2_FLAG_NONE,
							  request->stream_id, NGHTTP2_CANCEL);
	lane->unflushed++;
}

int
lane_http2_streams(const Lane *lane)
{
	uint32		most;

	if (lane->session == NULL)
		return 1;
	most = nghttp2_session_get_remote_settings(lane->session,
											   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	/* With none allowed one has to wait, or nobody would notice. */
	return Min(Max(most, 1), PG_INT32_MAX);
}

/* The connection is gone; why, unless libcurl has said so already. */
static void
lose(Lane *lane, CURLcode code, const char *why)
{
	if (lane->error[0] == '\0')
		strlcpy(lane->error, why, sizeof(lane->error));
	lane_lost(lane, code);
}

/* Writes what is in the buffer; false if not all of it could be. */
static bool
write_out(Lane *lane)
{
	while (lane->out_begin < lane->out_end)
	{
		size_t		sent = 0;
		CURLcode	code = lane_connection_send(lane,
												lane->out + lane->out_begin,
												lane->out_end - lane->out_begin,
												&sent);

		if (code == CURLE_AGAIN)
		{
			lane_connection_watch(lane, true);
			return false;
		}
		if (code != CURLE_OK)
		{
			lose(lane, code, "cannot write");
			return false;
		}
		lane->out_begin += sent;
	}
	lane->out_begin = lane->out_end = 0;
	return true;
}

/* Fills the buffer with frames, as long as nghttp2 has some. */
static bool
fill_out(Lane *lane)
{
	const uint8_t *data;
	ssize_t		length = 0;

	while (lane->out_end < OUT_FULL &&
		   (length = nghttp2_session_mem_send(lane->session, &data)) > 0)
	{
		Assert(lane->out_end + length <= OUT_SIZE);
		memcpy(lane->out + lane->out_end, data, length);
		lane->out_end += length;
	}
	if (length >= 0)
		return lane->out_end > 0;
	lose(lane, CURLE_SEND_ERROR, nghttp2_strerror((int) length));
	return false;
}

void
lane_http2_flush(Lane *lane)
{
	lane->unflushed = 0;
	if (lane->trust_time != 0)
		lane->trust_until = lane_clock() + lane->trust_time;
	lane->trust_time = 0;
	if (lane->dead || !write_out(lane))
		return;
	while (fill_out(lane))
		if (!write_out(lane))
			return;
	if (lane->dead)
		return;
	if (!nghttp2_session_want_read(lane->session) &&
		!nghttp2_session_want_write(lane->session))
		lose(lane, CURLE_RECV_ERROR, "the HTTP/2 session has ended");
	else
		lane_connection_watch(lane, false);
}

void
lane_http2_receive(Lane *lane)
{
	static uint8_t data[IN_SIZE];
	size_t		received = 0;
	CURLcode	code = CURLE_OK;
	int			taken;

	if (lane->dead)
		return;
	for (taken = 0; taken < IN_MOST; taken += received)
	{
		ssize_t		understood;

		code = lane_connection_receive(lane, (char *) data, sizeof(data),
									   &received);
		if (code == CURLE_AGAIN)
			break;
		if (code != CURLE_OK || received == 0)
		{
			lose(lane, code != CURLE_OK ? code : CURLE_RECV_ERROR,
				 "the server has closed the connection");
			return;
		}
		understood = nghttp2_session_mem_recv(lane->session, data, received);
		if (understood < 0)
		{
			lose(lane, CURLE_RECV_ERROR, nghttp2_strerror((int) understood));
			return;
		}
	}

	/* There may be more, of which epoll does not know, and answers to give. */
	if (code != CURLE_AGAIN)
		lane->timer_at = lane_clock();
	lane->unflushed++;
}
