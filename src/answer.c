/*
 * answer.c
 *		Classifies what came back for a push.
 *
 * Owns the table of APNs' answers and the parser of their bodies.  Pure: no
 * memory is allocated, nothing is logged, no state is kept, so that it can be
 * tested and fuzzed without a server.  It must never trust a byte of what it
 * is given.
 *
 * The table follows Apple's "Handling notification responses from APNs".
 */
#include "postgres.h"

#include <curl/curl.h>

#include "answer.h"

/* Nesting that is skipped in a body; deeper ones are not Apple's. */
#define BODY_DEPTH 8

typedef struct KnownAnswer
{
	int			status;
	const char *reason;
	AnswerClass class;
} KnownAnswer;

static const KnownAnswer known_answers[] = {
	{410, "Unregistered", ANSWER_TOKEN_DEAD},
	{410, "ExpiredToken", ANSWER_TOKEN_DEAD},
	{400, "BadDeviceToken", ANSWER_TOKEN_DOUBTED},
	{400, "DeviceTokenNotForTopic", ANSWER_TOKEN_DOUBTED},
	{400, "BadTopic", ANSWER_CONFIGURATION},
	{400, "MissingTopic", ANSWER_CONFIGURATION},
	{400, "TopicDisallowed", ANSWER_CONFIGURATION},
	{403, "BadCertificate", ANSWER_CONFIGURATION},
	{403, "BadCertificateEnvironment", ANSWER_CONFIGURATION},
	{403, "Forbidden", ANSWER_CONFIGURATION},
	{403, "InvalidProviderToken", ANSWER_CONFIGURATION},
	{403, "MissingProviderToken", ANSWER_CONFIGURATION},
	{403, "BadEnvironmentKeyIdInToken", ANSWER_CONFIGURATION},
	{403, "ExpiredProviderToken", ANSWER_PROVIDER_TOKEN_EXPIRED},
	{403, "UnrelatedKeyIdInToken", ANSWER_PROVIDER_TOKEN_UNRELATED},
	{429, "TooManyProviderTokenUpdates", ANSWER_PROVIDER_TOKEN_TOO_NEW},
	{429, "TooManyRequests", ANSWER_TOKEN_BUSY},
	{400, "IdleTimeout", ANSWER_CONNECTION},
	{503, "Shutdown", ANSWER_CONNECTION},
	{500, "InternalServerError", ANSWER_SERVER},
	{503, "ServiceUnavailable", ANSWER_SERVER},
	{413, "PayloadTooLarge", ANSWER_MESSAGE},
	{400, "BadCollapseId", ANSWER_MESSAGE},
	{400, "BadExpirationDate", ANSWER_MESSAGE},
	{400, "BadMessageId", ANSWER_MESSAGE},
	{400, "BadPriority", ANSWER_MESSAGE},
	{400, "DuplicateHeaders", ANSWER_MESSAGE},
	{400, "InvalidPushType", ANSWER_MESSAGE},
	{400, "MissingDeviceToken", ANSWER_MESSAGE},
	{400, "PayloadEmpty", ANSWER_MESSAGE},
	{404, "BadPath", ANSWER_MESSAGE},
	{405, "MethodNotAllowed", ANSWER_MESSAGE}
};

/* Where libcurl's code says that the request never left. */
typedef struct KnownFailure
{
	CURLcode	code;
	const char *reason;
	AnswerClass class;
} KnownFailure;

static const KnownFailure known_failures[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "name_not_resolved", ANSWER_NOT_CONNECTED},
	{CURLE_COULDNT_RESOLVE_PROXY, "name_not_resolved", ANSWER_NOT_CONNECTED},
	{CURLE_COULDNT_CONNECT, "cannot_connect", ANSWER_NOT_CONNECTED},
	{CURLE_OPERATION_TIMEDOUT, "connect_timeout", ANSWER_NOT_CONNECTED},
	{CURLE_SEND_ERROR, "connection_lost", ANSWER_NOT_CONNECTED},
	{CURLE_RECV_ERROR, "connection_lost", ANSWER_NOT_CONNECTED},
	{CURLE_SSL_CONNECT_ERROR, "tls_failed", ANSWER_NOT_AGREED},
	{CURLE_PEER_FAILED_VERIFICATION, "tls_verification_failed",
	ANSWER_NOT_AGREED},
	{CURLE_SSL_ISSUER_ERROR, "tls_verification_failed", ANSWER_NOT_AGREED},
	{CURLE_SSL_CACERT_BADFILE, "bad_ca_file", ANSWER_NOT_AGREED},
	{CURLE_SSL_CERTPROBLEM, "bad_client_certificate", ANSWER_NOT_AGREED},
	{CURLE_SSL_CIPHER, "tls_failed", ANSWER_NOT_AGREED},
	{CURLE_ABORTED_BY_CALLBACK, "not_http2", ANSWER_NOT_AGREED},
	{CURLE_URL_MALFORMAT, "bad_endpoint", ANSWER_NOT_AGREED},
	{CURLE_UNSUPPORTED_PROTOCOL, "bad_endpoint", ANSWER_NOT_AGREED}
};

/* A position in a body. */
typedef struct Scan
{
	const char *at;
	const char *end;
} Scan;

static void
skip_blanks(Scan *scan)
{
	while (scan->at < scan->end &&
		   (*scan->at == ' ' || *scan->at == '\t' ||
			*scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
}

static bool
take(Scan *scan, char c)
{
	if (scan->at >= scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* Reads a string; its raw inside, escapes and all, is [*start, *start + *n). */
static bool
take_string(Scan *scan, const char **start, size_t *n)
{
	if (!take(scan, '"'))
		return false;
	*start = scan->at;
	while (scan->at < scan->end && *scan->at != '"')
	{
		if ((unsigned char) *scan->at < 0x20)
			return false;
		if (*scan->at == '\\')
			scan->at++;
		if (scan->at < scan->end)
			scan->at++;
	}
	*n = scan->at - *start;
	return take(scan, '"');
}

/* Reads a whole number; a fraction or an exponent makes it 0: not Apple's. */
static bool
take_number(Scan *scan, int64 *value)
{
	const char *start = scan->at;
	bool		whole = true;

	*value = 0;
	while (scan->at < scan->end &&
		   strchr("0123456789+-.eE", *scan->at) != NULL && *scan->at != '\0')
	{
		if (*scan->at < '0' || *scan->at > '9')
			whole = false;
		else if (whole)
		{
			if (*value > (PG_INT64_MAX - 9) / 10)
				whole = false;
			else
				*value = *value * 10 + (*scan->at - '0');
		}
		scan->at++;
	}
	if (!whole)
		*value = 0;
	return scan->at > start;
}

/* Skips true, false or null. */
static bool
skip_word(Scan *scan)
{
	const char *start = scan->at;

	while (scan->at < scan->end && *scan->at >= 'a' && *scan->at <= 'z')
		scan->at++;
	return scan->at > start;
}

/*
 * Skips an object or an array without looking inside, as long as its strings
 * end and its brackets are balanced.
 */
static bool
skip_nested(Scan *scan)
{
	int			depth = 0;

	do
	{
		const char *start;
		size_t		n;

		if (scan->at >= scan->end)
			return false;
		if (*scan->at == '"')
		{
			if (!take_string(scan, &start, &n))
				return false;
			continue;
		}
		if (*scan->at == '{' || *scan->at == '[')
			depth++;
		else if (*scan->at == '}' || *scan->at == ']')
			depth--;
		if (depth > BODY_DEPTH)
			return false;
		scan->at++;
	} while (depth > 0);
	return true;
}

static bool
is_named(const char *name, const char *start, size_t n)
{
	return strlen(name) == n && memcmp(name, start, n) == 0;
}

/* Takes over a reason only if it looks like one: it is shown to people. */
static void
keep_reason(Answer *answer, const char *start, size_t n)
{
	size_t		i;

	if (n == 0 || n >= ANSWER_REASON_SIZE)
		return;
	for (i = 0; i < n; i++)
		if (!((start[i] >= 'A' && start[i] <= 'Z') ||
			  (start[i] >= 'a' && start[i] <= 'z') ||
			  (start[i] >= '0' && start[i] <= '9')))
			return;
	memcpy(answer->own_reason, start, n);
	answer->own_reason[n] = '\0';
}

/* One "name": value of the body. */
static bool
take_member(Scan *scan, Answer *answer)
{
	const char *name;
	const char *value;
	size_t		name_length;
	size_t		length;
	int64		number;

	if (!take_string(scan, &name, &name_length))
		return false;
	skip_blanks(scan);
	if (!take(scan, ':'))
		return false;
	skip_blanks(scan);
	if (scan->at >= scan->end)
		return false;

	switch (*scan->at)
	{
		case '"':
			if (!take_string(scan, &value, &length))
				return false;
			if (is_named("reason", name, name_length))
				keep_reason(answer, value, length);
			return true;
		case '{':
		case '[':
			return skip_nested(scan);
		case 't':
		case 'f':
		case 'n':
			return skip_word(scan);
		default:
			if (!take_number(scan, &number))
				return false;
			if (is_named("timestamp", name, name_length))
				answer->timestamp = number;
			return true;
	}
}

/* Fills text and timestamp; false if the body is not a JSON object. */
static bool
read_body(Answer *answer, const char *body, size_t length)
{
	Scan		scan;

	scan.at = body;
	scan.end = body + length;

	skip_blanks(&scan);
	if (!take(&scan, '{'))
		return false;
	skip_blanks(&scan);
	if (!take(&scan, '}'))
	{
		do
		{
			skip_blanks(&scan);
			if (!take_member(&scan, answer))
				return false;
			skip_blanks(&scan);
		} while (take(&scan, ','));
		if (!take(&scan, '}'))
			return false;
	}
	skip_blanks(&scan);
	return scan.at == scan.end;
}

/* Where the reason is missing or unknown. */
static AnswerClass
class_of_status(int status)
{
	if (status == 200)
		return ANSWER_SENT;
	if (status == 410)
		return ANSWER_TOKEN_DEAD;
	if (status == 403)
		return ANSWER_CONFIGURATION;
	if (status == 429)
		return ANSWER_TOKEN_BUSY;
	if (status >= 500)
		return ANSWER_SERVER;
	if (status >= 400)
		return ANSWER_MESSAGE;

	/*
	 * A redirect or another kind of success: whoever answers there is not
	 * APNs, and whether it forwards what it was given is not known.
	 */
	return ANSWER_CONFIGURATION;
}

void
answer_from_status(Answer *answer, int status, const char *body,
				   size_t length)
{
	int			i;

	memset(answer, 0, sizeof(*answer));
	answer->class = class_of_status(status);
	if (answer->class == ANSWER_SENT)
		return;

	if (length > ANSWER_BODY_SIZE || !read_body(answer, body, length))
	{
		answer->own_reason[0] = '\0';
		answer->timestamp = 0;
	}
	if (status != 410)
		answer->timestamp = 0;

	for (i = 0; i < lengthof(known_answers); i++)
		if (known_answers[i].status == status &&
			strcmp(known_answers[i].reason, answer->own_reason) == 0)
		{
			answer->class = known_answers[i].class;
			answer->reason = known_answers[i].reason;
			return;
		}

	if (answer->own_reason[0] == '\0')
		snprintf(answer->own_reason, sizeof(answer->own_reason), "http_%d", status);
	answer->reason = answer->own_reason;
}

void
answer_from_failure(Answer *answer, int code, bool sent)
{
	int			i;

	memset(answer, 0, sizeof(*answer));
	if (sent)
	{
		answer->class = ANSWER_UNCERTAIN;
		if (code == CURLE_OPERATION_TIMEDOUT)
			answer->reason = "timeout";
		else if (code == CURLE_HTTP2_STREAM)
			answer->reason = "stream_reset";
		else
			answer->reason = "connection_lost";
		return;
	}

	for (i = 0; i < lengthof(known_failures); i++)
		if (known_failures[i].code == (CURLcode) code)
		{
			answer->class = known_failures[i].class;
			answer->reason = known_failures[i].reason;
			return;
		}
	answer->class = ANSWER_NOT_CONNECTED;
	snprintf(answer->own_reason, sizeof(answer->own_reason), "curl_%d", code);
	answer->reason = answer->own_reason;
}
