/*
 * check.c
 *		Judges a request as APNs does.
 *
 * Each check looks at one thing and says what is wrong with it, in Apple's
 * words where Apple has some.  It never looks at faults: those are played
 * over its verdict.
 */
#include <string.h>
#include <strings.h>

#include "check.h"
#include "clock.h"
#include "connection.h"
#include "json.h"
#include "jwt.h"
#include "options.h"
#include "request.h"

enum
{
	TOKEN_LIFE = 3600,			/* seconds until a provider token expires */
	TOKEN_RENEWAL = 1200,		/* no second one sooner than that */
	MAX_DEVICE_TOKEN = 400,		/* hex digits */
	MAX_COLLAPSE_ID = 64,
	MAX_PAYLOAD = 4096,
	MAX_PAYLOAD_VOIP = 5120
};

/* One thing that may be wrong.  status 0: nothing is. */
struct verdict
{
	int			status;
	const char *reason;
};

static const struct verdict good = {0, NULL};

static struct verdict
refuse(int status, const char *reason)
{
	struct verdict verdict = {status, reason};

	return verdict;
}

typedef struct verdict (*check_function) (struct request *request);

static const char *const push_types[] = {
	"alert", "background", "voip", "complication", "fileprovider", "mdm",
	"location", "liveactivity", "pushtotalk", "controls", "widgets"
};

static struct verdict
check_headers(struct request *request)
{
	if (request->too_many_headers)
		return refuse(431, "HeadersTooLarge");
	if (request->duplicate_headers)
		return refuse(400, "DuplicateHeaders");
	return good;
}

static struct verdict
check_method(struct request *request)
{
	if (!text_is(request->known[METHOD], "POST"))
		return refuse(405, "MethodNotAllowed");
	return good;
}

static struct verdict
check_path(struct request *request)
{
	if (request->token.data == NULL)
		return refuse(404, "BadPath");
	return good;
}

static struct verdict
check_scheme(struct request *request)
{
	if (!text_is(request->known[SCHEME], "https") &&
		request->connection->ssl != NULL)
		return refuse(400, "BadScheme");
	return good;
}

/* Only a token that passed everything else counts as new. */
static struct verdict
check_new_token(struct request *request, struct jwt *jwt, int64_t now)
{
	struct server *server = request->connection->server;

	if (jwt->accepted)
		return good;
	if (server->play.jwt_strict && jwt->signer->last_new != 0 &&
		now - jwt->signer->last_new < TOKEN_RENEWAL)
		return refuse(429, "TooManyProviderTokenUpdates");
	jwt->accepted = true;
	jwt->signer->last_new = now;
	server->counters.jwts++;
	return good;
}

static struct verdict
check_provider_token(struct request *request, struct text token)
{
	struct connection *connection = request->connection;
	struct server *server = connection->server;
	int64_t		now = clock_wall_us() / 1000000 + server->play.clock_shift;
	struct jwt *jwt = jwt_look_up(server->jwts, token);

	if (jwt == NULL || !jwt->valid || jwt->issued_at > now)
		return refuse(403, "InvalidProviderToken");
	if (now - jwt->issued_at > TOKEN_LIFE)
		return refuse(403, "ExpiredProviderToken");
	if (connection->signer == NULL)
		connection->signer = jwt->signer;
	else if (server->play.jwt_strict && connection->signer != jwt->signer)
		return refuse(403, "UnrelatedKeyIdInToken");
	return check_new_token(request, jwt, now);
}

static struct verdict
check_authorization(struct request *request)
{
	static const char bearer[] = "bearer ";
	size_t		length = sizeof(bearer) - 1;
	struct text value = request->known[AUTHORIZATION];

	/* With a client certificate Apple ignores the header. */
	if (request->connection->certified)
		return good;
	if (value.data == NULL)
		return refuse(403, "MissingProviderToken");
	if (value.length <= length || strncasecmp(value.data, bearer, length) != 0)
		return refuse(403, "InvalidProviderToken");
	return check_provider_token(request, text_of(value.data + length,
												 value.length - length));
}

static struct verdict
check_device_token(struct request *request)
{
	struct text token = request->token;
	size_t		i;

	if (token.length == 0)
		return refuse(400, "MissingDeviceToken");
	if (token.length > MAX_DEVICE_TOKEN || token.length % 2 != 0)
		return refuse(400, "BadDeviceToken");
	for (i = 0; i < token.length; i++)
	{
		char		c = token.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
			  (c >= 'A' && c <= 'F')))
			return refuse(400, "BadDeviceToken");
	}
	return good;
}

bool
check_is_uuid(struct text id)
{
	size_t		i;

	if (id.length != APNS_ID_SIZE - 1)
		return false;
	for (i = 0; i < id.length; i++)
	{
		char		c = id.data[i];

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
		}
		else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

static struct verdict
check_id(struct request *request)
{
	struct text id = request->known[APNS_ID];

	if (id.data != NULL && !check_is_uuid(id))
		return refuse(400, "BadMessageId");
	return good;
}

static struct verdict
check_expiration(struct request *request)
{
	struct text value = request->known[APNS_EXPIRATION];
	int64_t		seconds;

	if (value.data != NULL && !json_integer(value, &seconds))
		return refuse(400, "BadExpirationDate");
	return good;
}

static struct verdict
check_priority(struct request *request)
{
	struct text value = request->known[APNS_PRIORITY];
	bool		is_10 = value.data == NULL || text_is(value, "10");

	if (!is_10 && !text_is(value, "5") && !text_is(value, "1"))
		return refuse(400, "BadPriority");
	/* A background push at 10 is an error, and 10 is the default. */
	if (is_10 && text_is(request->known[APNS_PUSH_TYPE], "background"))
		return refuse(400, "BadPriority");
	return good;
}

static struct verdict
check_topic(struct request *request)
{
	const struct options *options = request->connection->server->options;
	struct text topic = request->known[APNS_TOPIC];
	int			i;

	if (topic.data == NULL || topic.length == 0)
		return refuse(400, "MissingTopic");
	for (i = 0; i < options->n_topics; i++)
		if (text_is(topic, options->topics[i]))
			return good;
	if (options->n_topics > 0)
		return refuse(400, "TopicDisallowed");
	return good;
}

static struct verdict
check_push_type(struct request *request)
{
	struct text type = request->known[APNS_PUSH_TYPE];
	bool		known = false;
	size_t		i;

	for (i = 0; i < sizeof(push_types) / sizeof(push_types[0]); i++)
		known = known || text_is(type, push_types[i]);
	if (!known || text_is(type, "voip") !=
		text_ends(request->known[APNS_TOPIC], ".voip"))
		return refuse(400, "InvalidPushType");
	return good;
}

static struct verdict
check_collapse_id(struct request *request)
{
	if (request->known[APNS_COLLAPSE_ID].length > MAX_COLLAPSE_ID)
		return refuse(400, "BadCollapseId");
	return good;
}

static struct verdict
check_payload(struct request *request)
{
	struct json_member aps = {"aps", {NULL, 0}};
	struct text body = {request->body, request->body_length};
	size_t		limit = MAX_PAYLOAD;

	if (text_is(request->known[APNS_PUSH_TYPE], "voip"))
		limit = MAX_PAYLOAD_VOIP;
	if (body.length == 0)
		return refuse(400, "PayloadEmpty");
	if (body.length > limit)
		return refuse(413, "PayloadTooLarge");
	if (!json_object(body, &aps, 1) || aps.value.data == NULL ||
		aps.value.data[0] != '{')
		return refuse(400, "PayloadInvalid");
	return good;
}

/* In the order in which they are made: the first that fails is answered. */
static const check_function checks[] = {
	check_headers, check_method, check_path, check_scheme,
	check_authorization, check_device_token, check_id, check_expiration,
	check_topic, check_push_type, check_priority, check_collapse_id,
	check_payload
};

enum
{
	N_CHECKS = sizeof(checks) / sizeof(checks[0])
};

void
check_request(struct request *request)
{
	/* The payload of an early answer is not there yet: it comes last. */
	int			n = request->complete ? N_CHECKS : N_CHECKS - 1;
	struct verdict verdict = good;
	int			i;

	for (i = 0; i < n && verdict.status == 0; i++)
		verdict = checks[i] (request);
	request->status = verdict.status == 0 ? 200 : verdict.status;
	request->reason = verdict.reason;
}
