/*
 * answer.c
 *		Fuzzes src/answer.c: status and body of whatever answers.
 */
#include "postgres.h"

#include "answer.h"
#include "fuzz.h"
#include "oracle.h"

static void
check_reason(const Answer *answer)
{
	const char *c;

	check("a reason is missing only where a push was accepted",
		  (answer->reason == NULL) == (answer->class == ANSWER_SENT));
	if (answer->reason == NULL)
		return;
	check("a reason is not empty", answer->reason[0] != '\0');
	check("a reason is short", strlen(answer->reason) < ANSWER_REASON_SIZE);
	for (c = answer->reason; *c != '\0'; c++)
		check("a reason has letters, digits and _ only",
			  (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			  (*c >= '0' && *c <= '9') || *c == '_');
}

static int
count(struct json body, const char *what)
{
	const char *at = body.data;
	const char *end = body.data + body.length;
	int			n = 0;

	while ((at = memmem(at, end - at, what, strlen(what))) != NULL)
	{
		n++;
		at++;
	}
	return n;
}

/* 1 to 47 letters and digits, in quotes */
static bool
looks_like_reason(struct json value)
{
	size_t		i;

	if (value.data == NULL || value.length < 3 ||
		value.length - 2 >= ANSWER_REASON_SIZE || value.data[0] != '"')
		return false;
	for (i = 1; i < value.length - 1; i++)
		if (!((value.data[i] >= 'a' && value.data[i] <= 'z') ||
			  (value.data[i] >= 'A' && value.data[i] <= 'Z') ||
			  (value.data[i] >= '0' && value.data[i] <= '9')))
			return false;
	return true;
}

/* In valid JSON a strict reader finds the same. */
static void
check_same(const Answer *answer, int status, struct json body)
{
	struct json reason;
	struct json timestamp;
	size_t		i;
	int64		value = 0;

	if (status == 200 || body.length > ANSWER_BODY_SIZE ||
		count(body, "{") + count(body, "[") > 8 || !json_is_object(body))
		return;
	reason = json_get(body, "reason");
	if (looks_like_reason(reason) && count(body, "\"reason\"") == 1)
		check("the reason of a valid body is taken over",
			  json_is_string(reason, answer->reason, strlen(answer->reason)));

	timestamp = json_get(body, "timestamp");
	if (status != 410 || timestamp.data == NULL || timestamp.length > 15 ||
		count(body, "\"timestamp\"") != 1)
		return;
	for (i = 0; i < timestamp.length; i++)
	{
		if (timestamp.data[i] < '0' || timestamp.data[i] > '9')
			return;
		value = value * 10 + timestamp.data[i] - '0';
	}
	check("the timestamp of a valid body is taken over",
		  answer->timestamp == value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int known[] = {200, 400, 403, 404, 405, 410, 413, 429, 500, 503};
	struct input input = {data, size};
	uint32_t	choice = take_number(&input, 1000);
	int			status = choice < lengthof(known) ? known[choice] : choice;
	char	   *body = copy_bytes(input);
	struct json json = {body, input.left};
	Answer		answer;

	answer_from_status(&answer, status, body, input.left);
	check_reason(&answer);
	check("only a 410 has a time", status == 410 || answer.timestamp == 0);
	check("a time is not negative", answer.timestamp >= 0);
	check_same(&answer, status, json);
	free(body);

	answer_from_failure(&answer, (int) choice, size % 2 == 0);
	check_reason(&answer);
	check("without an answer nothing is sent", answer.class != ANSWER_SENT);
	return 0;
}
