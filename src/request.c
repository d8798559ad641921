/*
 * request.c
 *		Easy handles and header lists, and what is written into them.
 *
 * Owns the spare requests, the order and spelling of the headers, and the
 * last line of defence against header and URL injection.  It must never let
 * libcurl add a header of its own, and never calls into a connection: that is
 * the lane's.
 */
#include "postgres.h"

#include <openssl/ssl.h>

#include "request.h"

/* Longest URL: origin, path, and a token of 400 digits (02) */
#define REQUEST_URL_SIZE 1024

static dlist_head spares = DLIST_STATIC_INIT(spares);
static int	spare_count = 0;

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

	return length > 0 && length <= 400 &&
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

	/* names, numbers, id and separators take less than 200 */
	length = strlen(push->topic) + strlen(push->push_type) +
		(push->collapse_id != NULL ? strlen(push->collapse_id) : 0);
	if (length > REQUEST_HEADER_SPACE - 256)
		return "invalid_header";
	return NULL;
}

/* CURLOPT_WRITEFUNCTION: keeps the beginning, ends a transfer that goes on. */
static size_t
on_body(char *data, size_t size, size_t count, void *request_pointer)
{
	Request    *request = request_pointer;
	size_t		length = size * count;
	size_t		room = ANSWER_BODY_SIZE - Min(request->body_length,
											  ANSWER_BODY_SIZE);

	memcpy(request->body + ANSWER_BODY_SIZE - room, data,
		   Min(length, room));
	if (length > room)
	{
		request->body_length = ANSWER_BODY_SIZE + 1;
		return 0;
	}
	request->body_length += length;
	return length;
}

/*
 * The options that never change.  The buffers are small because libcurl
 * leaves them with the handle: answers have some sixty bytes, payloads 5 kB
 * at most.  (They cannot be changed later: 7.88.1 would go on using the old
 * buffer with the new size, so curl_easy_reset() must not be used here.)
 */
static bool
set_constant_options(Request *request)
{
	CURL	   *easy = request->easy;
	CURLcode	bad = CURLE_OK;

#define SET(option, value) \
	do { \
		if (bad == CURLE_OK) \
			bad = curl_easy_setopt(easy, option, value); \
	} while (0)

	SET(CURLOPT_PRIVATE, request);
	SET(CURLOPT_ERRORBUFFER, request->error);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_BUFFERSIZE, 1024L);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, request);
	SET(CURLOPT_POST, 1L);

	/* Nothing but HTTP/2 over TLS to that very server */
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "https");
#else
	SET(CURLOPT_PROTOCOLS, (long) CURLPROTO_HTTPS);
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);

	/* The lane decides how old a connection may become, see there. */
	SET(CURLOPT_MAXAGE_CONN, 365L * 86400);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, -1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A resolver that hangs must not be waited for. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
#undef SET
	return bad == CURLE_OK;
}

bool
request_set_target(Request *request, const char *ca_file,
				   char *client_certificate, char *client_key)
{
	CURL	   *easy = request->easy;
	curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
	struct curl_blob certificate;
	struct curl_blob key;

	/* With a CA file of our own, the system's directory is not to be used. */
	if (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file != NULL ? ca_file :
						 built->cainfo) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_CAPATH, ca_file != NULL ? NULL :
						 built->capath) != CURLE_OK)
		return false;

	if (client_certificate == NULL)
		return curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB,
								NULL) == CURLE_OK &&
			curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, NULL) == CURLE_OK;

	certificate.data = client_certificate;
	certificate.len = strlen(client_certificate);
	certificate.flags = CURL_BLOB_NOCOPY;
	key.data = client_key;
	key.len = strlen(client_key);
	key.flags = CURL_BLOB_NOCOPY;
	return curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB,
						 &certificate) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key) == CURLE_OK;
}

/*
 * Neither HTTP_VERSION_2TLS nor prior knowledge keeps libcurl from talking
 * HTTP/1.1 to a server that does not speak HTTP/2, so the handshake's result
 * is looked at.
 */
bool
request_speaks_http2(Request *request)
{
	struct curl_tlssessioninfo *tls = NULL;
	const unsigned char *protocol = NULL;
	unsigned int length = 0;

	if (curl_easy_getinfo(request->easy, CURLINFO_TLS_SSL_PTR,
						  &tls) != CURLE_OK ||
		tls == NULL || tls->internals == NULL ||
		tls->backend != CURLSSLBACKEND_OPENSSL)
		return false;
	SSL_get0_alpn_selected(tls->internals, &protocol, &length);
	return length == 2 && memcmp(protocol, "h2", 2) == 0;
}

Request *
request_get(MemoryContext context)
{
	Request    *request;
	CURL	   *easy;

	if (!dlist_is_empty(&spares))
	{
		spare_count--;
		return dlist_container(Request, node, dlist_pop_head_node(&spares));
	}

	easy = curl_easy_init();
	if (easy == NULL)
		return NULL;
	request = MemoryContextAllocZero(context, sizeof(Request));
	request->easy = easy;
	if (!set_constant_options(request))
	{
		curl_easy_cleanup(easy);
		pfree(request);
		return NULL;
	}
	return request;
}

void
request_put(Request *request)
{
	request->push = NULL;
	request->lane = NULL;
	dlist_push_head(&spares, &request->node);
	spare_count++;
}

int
request_spares(void)
{
	return spare_count;
}

void
request_free_spares(void)
{
	while (!dlist_is_empty(&spares))
	{
		Request    *request;

		request = dlist_container(Request, node,
								  dlist_pop_head_node(&spares));
		curl_easy_cleanup(request->easy);
		explicit_bzero(request->authorization,
					   sizeof(request->authorization));
		pfree(request);
	}
	spare_count = 0;
}

/* The list that is being written */
typedef struct HeaderWriter
{
	struct curl_slist *next;	/* node to be used next */
	struct curl_slist *last;	/* node used last, or NULL */
	char	   *space;			/* free space */
	char	   *end;			/* end of it */
} HeaderWriter;

static void
add_line(HeaderWriter *writer, char *line)
{
	struct curl_slist *node = writer->next++;

	node->data = line;
	node->next = NULL;
	if (writer->last != NULL)
		writer->last->next = node;
	writer->last = node;
}

static void
add_header(HeaderWriter *writer, const char *name, const char *value)
{
	char	   *line = writer->space;

	writer->space += snprintf(line, writer->end - line, "%s: %s", name,
							  value) + 1;
	Assert(writer->space <= writer->end);
	add_line(writer, line);
}

/*
 * The list that curl_slist_append() would build, without its allocations:
 * libcurl reads it and never frees it.  An empty Accept and Content-Type keep
 * libcurl from sending its own.
 */
static void
fill_headers(Request *request, const Push *push, const char *authorization)
{
	static char no_accept[] = "accept:";
	static char no_content_type[] = "content-type:";
	HeaderWriter writer;
	char		number[32];

	writer.next = request->headers;
	writer.last = NULL;
	writer.space = request->header_space;
	writer.end = request->header_space + REQUEST_HEADER_SPACE;

	request->authorization[0] = '\0';
	if (authorization != NULL)
	{
		strlcpy(request->authorization, authorization,
				sizeof(request->authorization));
		add_line(&writer, request->authorization);
	}
	add_header(&writer, "apns-topic", push->topic);
	add_header(&writer, "apns-push-type", push->push_type);
	snprintf(number, sizeof(number), "%d", push->priority);
	add_header(&writer, "apns-priority", number);
	add_header(&writer, "apns-id", push->apns_id);
	snprintf(number, sizeof(number), INT64_FORMAT, push->expiration);
	add_header(&writer, "apns-expiration", number);
	if (push->collapse_id != NULL && push->collapse_id[0] != '\0')
		add_header(&writer, "apns-collapse-id", push->collapse_id);
	add_line(&writer, no_accept);
	add_line(&writer, no_content_type);
	Assert(writer.next <= request->headers + REQUEST_HEADERS);
}

bool
request_fill(Request *request, Push *push, const char *origin,
			 const char *authorization)
{
	char		url[REQUEST_URL_SIZE];
	CURL	   *easy = request->easy;

	if (authorization != NULL &&
		strlen(authorization) >= REQUEST_AUTHORIZATION_SIZE)
		return false;
	if (snprintf(url, sizeof(url), "%s/3/device/%s", origin, push->token) >=
		sizeof(url))
		return false;

	request->push = push;
	request->sent = false;
	request->status_seen_at = 0;
	request->wrong_protocol = false;
	request->code = CURLE_OK;
	request->status = 0;
	request->body_length = 0;
	request->error[0] = '\0';
	fill_headers(request, push, authorization);

	return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE,
						 (long) push->payload_length) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
						 push->payload) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
						 request->headers) == CURLE_OK;
}
