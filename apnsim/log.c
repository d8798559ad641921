/*
 * log.c
 *		Writes the requests down.
 *
 * Lines collect in memory and go out in one write; it must never hand the
 * kernel half a line, because tests read the file while it grows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "connection.h"
#include "fault.h"
#include "json.h"
#include "log.h"
#include "request.h"

enum
{
	BUFFER = 1 << 20,

	/*
	 * A line is at most this long: six times (\u00xx) what a request can
	 * hold, twice over because path and token repeat each other.
	 */
	LONGEST_LINE = 12 * (REQUEST_STORE + REQUEST_BODY) + 4096
};

struct log
{
	int			fd;
	size_t		used;
	char		buffer[BUFFER];
};

/* These go into a JSON string as they are. */
static bool plain[256];

static void
prepare_plain(void)
{
	int			c;

	for (c = 0x20; c < 0x7F; c++)
		plain[c] = c != '"' && c != '\\';
}

struct log *
log_open(const char *path)
{
	struct log *log = malloc(sizeof(*log));

	if (log == NULL)
	{
		complain("out of memory");
		return NULL;
	}
	log->used = 0;
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log->fd < 0)
	{
		complain("could not open \"%s\": %m", path);
		free(log);
		return NULL;
	}
	prepare_plain();
	return log;
}

void
log_close(struct log *log)
{
	if (log == NULL)
		return;
	log_flush(log);
	close(log->fd);
	free(log);
}

void
log_flush(struct log *log)
{
	size_t		done = 0;
	ssize_t		n;

	if (log == NULL)
		return;
	while (done < log->used)
	{
		n = write(log->fd, log->buffer + done, log->used - done);
		if (n < 0 && errno != EINTR)
		{
			complain("could not write the log: %m");
			exit(1);
		}
		if (n > 0)
			done += (size_t) n;
	}
	log->used = 0;
}

void
log_reset(struct log *log)
{
	if (log == NULL)
		return;
	log_flush(log);
	if (ftruncate(log->fd, 0) != 0)
		complain("could not empty the log: %m");
}

static char *
put_text(char *to, const char *data, size_t length)
{
	memcpy(to, data, length);
	return to + length;
}

static char *
put(char *to, const char *text)
{
	return put_text(to, text, strlen(text));
}

static char *
put_number(char *to, int64_t value)
{
	char		digits[24];
	char	   *first = digits + sizeof(digits);
	uint64_t	left = value < 0 ? -(uint64_t) value : (uint64_t) value;

	do
		*--first = (char) ('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		*--first = '-';
	return put_text(to, first, (size_t) (digits + sizeof(digits) - first));
}

/*
 * One character that is not plain.  Bytes that are not UTF-8 appear as the
 * code point of the same number, so that the line stays readable.
 */
static char *
put_special(char *to, const unsigned char *at, int length)
{
	static const char hex[] = "0123456789abcdef";

	if (length > 1)
		return put_text(to, (const char *) at, (size_t) length);
	if (*at == '"' || *at == '\\')
	{
		*to++ = '\\';
		*to++ = (char) *at;
		return to;
	}
	to = put(to, "\\u00");
	*to++ = hex[*at >> 4];
	*to++ = hex[*at & 15];
	return to;
}

/* A JSON string. */
static char *
put_string(char *to, struct text text)
{
	const unsigned char *at = (const unsigned char *) text.data;
	const unsigned char *end;
	const unsigned char *run;
	int			length;

	if (text.length == 0)		/* and data may be NULL */
		return put(to, "\"\"");
	end = at + text.length;
	*to++ = '"';
	while (at < end)
	{
		for (run = at; at < end && plain[*at]; at++)
			;
		to = put_text(to, (const char *) run, (size_t) (at - run));
		if (at == end)
			break;
		length = json_utf8_length(at, (size_t) (end - at));
		to = put_special(to, at, length);
		at += length > 1 ? length : 1;
	}
	*to++ = '"';
	return to;
}

static char *
put_string_or_null(char *to, const char *text)
{
	if (text == NULL)
		return put(to, "null");
	return put_string(to, text_of(text, strlen(text)));
}

static char *
put_headers(char *to, const struct request *request)
{
	int			i;

	to = put(to, ",\"headers\":{");
	for (i = 0; i < request->n_fields; i++)
	{
		if (i > 0)
			*to++ = ',';
		to = put_string(to, request->fields[i].name);
		*to++ = ':';
		to = put_string(to, request->fields[i].value);
	}
	*to++ = '}';
	return to;
}

static char *
put_request(char *to, const struct request *request)
{
	size_t		kept = request->body_length;

	to = put(to, ",\"connection\":");
	to = put_number(to, (int64_t) request->connection->id);
	to = put(to, ",\"stream\":");
	to = put_number(to, request->stream_id);
	to = put(to, ",\"protocol\":");
	to = put(to, request->stream_id > 0 ? "\"h2\"" : "\"http/1.1\"");
	to = put(to, ",\"method\":");
	to = put_string(to, request->known[METHOD]);
	to = put(to, ",\"path\":");
	to = put_string(to, request->known[PATH]);
	to = put(to, ",\"token\":");
	to = put_string(to, request->token);
	to = put_headers(to, request);
	if (kept > REQUEST_BODY)
		kept = REQUEST_BODY;
	to = put(to, ",\"payload\":");
	to = put_string(to, text_of(request->body, kept));
	to = put(to, ",\"payload_bytes\":");
	return put_number(to, (int64_t) request->body_length);
}

static char *
put_answer(char *to, const struct request *request)
{
	to = put(to, ",\"status\":");
	if (request->status == 0)
		to = put(to, "null");
	else
		to = put_number(to, request->status);
	to = put(to, ",\"reason\":");
	to = put_string_or_null(to, request->reason);
	to = put(to, ",\"apns_id\":");
	to = put_string_or_null(to, request->apns_id);
	to = put(to, ",\"fault\":");
	return put_string_or_null(to, request->fault != NULL ?
							  request->fault->name : NULL);
}

void
log_request(struct log *log, const struct request *request, uint64_t number)
{
	char	   *to;

	if (log == NULL)
		return;
	if (BUFFER - log->used < LONGEST_LINE)
		log_flush(log);
	to = log->buffer + log->used;
	to = put(to, "{\"seq\":");
	to = put_number(to, (int64_t) number);
	to = put(to, ",\"arrived_us\":");
	to = put_number(to, request->arrived_us);
	to = put_request(to, request);
	to = put_answer(to, request);
	to = put(to, "}\n");
	log->used = (size_t) (to - log->buffer);
}
