/*
 * request.c
 *		The header fields and the body of a push.
 *
 * Owns the order and spelling of the headers, and the last line of defence
 * against header and URL injection.  Must never touch a connection: that is
 * the lane's.
 */
#include "postgres.h"

#include "request.h"

/* Longest path: its constant part, and a token of 400 digits (02) */
#define PATH_SIZE 512
#define TOKEN_MOST 400

/* topic, push type and collapse id together; no server takes much more */
#define VALUES_MOST 768

/*
 * No control characters in a header's value: a line break would end the
 * header.  What people can write is checked where they write it; this is for
 * what was overlooked.
 */
static bool
is_header_value(const char *value)
{
	const unsigned char *c;

	for (c = (const unsigned char *) value; *c != '\0'; c++)
		if (*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

static bool
is_token(const char *token)
{
	size_t		length = strlen(token);

	return length > 0 && length <= TOKEN_MOST &&
		strspn(token, "0123456789abcdefABCDEF") == length;
}

const char *
request_fault(const Push *push)
{
	size_t		length;

	if (!is_token(push->token))
		return "invalid_token";
	if (!is_header_value(push->topic) || !is_header_value(push->push_type) ||
		!is_header_value(push->apns_id) ||
		(push->collapse_id != NULL && !is_header_value(push->collapse_id)))
		return "invalid_header";
	length = strlen(push->topic) + strlen(push->push_type) +
		(push->collapse_id != NULL ? strlen(push->collapse_id) : 0);
	return length > VALUES_MOST ? "invalid_header" : NULL;
}

Request *
request_create(MemoryContext context, struct Lane *lane, Push *push,
			   const char *authorization)
{
	Size		length = authorization != NULL ? strlen(authorization) : 0;
	Request    *request;

	request = MemoryContextAlloc(context, offsetof(Request, authorization) +
								 length + 1);
	memset(request, 0, offsetof(Request, body));	/* which is large */
	request->lane = lane;
	request->push = push;
	if (length > 0)
		memcpy(request->authorization, authorization, length);
	request->authorization[length] = '\0';
	return request;
}

void
request_free(Request *request)
{
	explicit_bzero(request->authorization, strlen(request->authorization));
	pfree(request);
}

/* ---------- submission ---------- */

typedef struct FieldList
{
	nghttp2_nv	fields[REQUEST_HEADERS];
	int			count;
} FieldList;

/* nghttp2 copies name and value, and reads them only. */
static void
add_field(FieldList *list, const char *name, const char *value, uint8_t flags)
{
	nghttp2_nv *field = &list->fields[list->count++];

	Assert(list->count <= REQUEST_HEADERS);
	field->name = (uint8_t *) name;
	field->namelen = strlen(name);
	field->value = (uint8_t *) value;
	field->valuelen = strlen(value);
	field->flags = flags;
}

/*
 * Gives nghttp2 the next part of the body.  The request is the stream's user
 * data: NULL after it has ended.
 */
static ssize_t
read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
		  size_t size, uint32_t *flags, nghttp2_data_source *source,
		  void *lane)
{
	Request    *request = nghttp2_session_get_stream_user_data(session,
															   stream_id);
	size_t		length;

	if (request == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	length = Min(size, request->push->payload_length - request->body_sent);
	memcpy(buffer, request->push->payload + request->body_sent, length);
	request->body_sent += length;
	if (request->body_sent == request->push->payload_length)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return length;
}

bool
request_submit(Request *request, nghttp2_session *session,
			   const char *authority)
{
	const Push *push = request->push;
	FieldList	list = {.count = 0};
	nghttp2_data_provider body = {.read_callback = read_body};
	char		path[PATH_SIZE];
	char		length[16];
	char		priority[16];
	char		expiration[32];

	/* What is another with each push is not worth a place in HPACK's table. */
	const uint8_t alike = NGHTTP2_NV_FLAG_NONE;
	const uint8_t unlike = NGHTTP2_NV_FLAG_NO_INDEX;

	if (snprintf(path, sizeof(path), "/3/device/%s",
				 push->token) >= sizeof(path))
		return false;
	snprintf(length, sizeof(length), "%d", push->payload_length);
	snprintf(priority, sizeof(priority), "%d", push->priority);
	snprintf(expiration, sizeof(expiration), INT64_FORMAT, push->expiration);

	add_field(&list, ":method", "POST", alike);
	add_field(&list, ":scheme", "https", alike);
	add_field(&list, ":authority", authority, alike);
	add_field(&list, ":path", path, unlike);
	if (request->authorization[0] != '\0')
		add_field(&list, "authorization",
				  request->authorization + strlen("authorization: "), alike);
	add_field(&list, "apns-topic", push->topic, alike);
	add_field(&list, "apns-push-type", push->push_type, alike);
	add_field(&list, "apns-priority", priority, alike);
	add_field(&list, "apns-id", push->apns_id, unlike);
	add_field(&list, "apns-expiration", expiration, unlike);
	if (push->collapse_id != NULL && push->collapse_id[0] != '\0')
		add_field(&list, "apns-collapse-id", push->collapse_id, unlike);
	add_field(&list, "content-length", length, unlike);

	request->stream_id = nghttp2_submit_request(session, NULL, list.fields,
												list.count, &body, request);
	return request->stream_id > 0;
}
