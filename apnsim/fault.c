/*
 * fault.c
 *		The rules for faults: reads them, and picks the one for a request.
 *
 * It only decides; answer.c and session.c do what the rule says.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "number.h"

/* A word that stands alone. */
struct kind_word
{
	const char *word;
	enum fault_kind kind;
	int			status;			/* of the answer unless status= is given */
};

static const struct kind_word kinds[] = {
	{"refuse", FAULT_REFUSE, 0},
	{"reset", FAULT_RESET, 0},
	{"silent", FAULT_SILENT, 0},
	{"goaway", FAULT_GOAWAY, 0},
	{"close", FAULT_CLOSE, 0},
	{"cut", FAULT_CUT, 400},
	{"huge", FAULT_HUGE, 200},
	{"garbage", FAULT_GARBAGE, 400},
	{"redirect", FAULT_REDIRECT, 301},
};

enum
{
	N_KINDS = sizeof(kinds) / sizeof(kinds[0])
};

/* What Apple mostly says with a status. */
struct usual_reason
{
	int			status;
	const char *reason;
};

static const struct usual_reason usual_reasons[] = {
	{400, "BadDeviceToken"},
	{403, "InvalidProviderToken"},
	{404, "BadPath"},
	{405, "MethodNotAllowed"},
	{410, "Unregistered"},
	{413, "PayloadTooLarge"},
	{429, "TooManyRequests"},
	{500, "InternalServerError"},
	{503, "ServiceUnavailable"},
};

static bool
copy_word(char *to, size_t size, const char *value)
{
	size_t		i;

	if (*value == '\0' || strlen(value) >= size)
		return false;
	for (i = 0; value[i] != '\0'; i++)
		if (!isgraph((unsigned char) value[i]) ||
			value[i] == '"' || value[i] == '\\')
			return false;
	memcpy(to, value, i + 1);
	return true;
}

static bool
read_prefix(struct fault *fault, const char *value)
{
	size_t		i;

	if (strlen(value) > FAULT_PREFIX)
		return false;
	for (i = 0; value[i] != '\0'; i++)
	{
		if (!isxdigit((unsigned char) value[i]))
			return false;
		fault->prefix[i] = (char) tolower((unsigned char) value[i]);
	}
	return i > 0;
}

static bool
read_seconds(struct fault *fault, const char *value, int64_t now_ms)
{
	int64_t		seconds;

	if (!number_read(value, 1, 1000000, &seconds))
		return false;
	fault->until_ms = now_ms + seconds * 1000;
	return true;
}

/* key=value.  False: unknown key, or a value it does not take. */
static bool
read_pair(struct fault *fault, const char *key, const char *value,
		  int64_t now_ms)
{
	if (strcmp(key, "prefix") == 0)
		return read_prefix(fault, value);
	if (strcmp(key, "topic") == 0)
		return copy_word(fault->topic, sizeof(fault->topic), value);
	if (strcmp(key, "count") == 0)
		return number_read(value, 1, INT64_MAX, &fault->count);
	if (strcmp(key, "every") == 0)
		return number_read(value, 1, INT64_MAX, &fault->every);
	if (strcmp(key, "seconds") == 0)
		return read_seconds(fault, value, now_ms);
	if (strcmp(key, "name") == 0)
		return copy_word(fault->name, sizeof(fault->name), value);
	if (strcmp(key, "status") == 0)
		return number_read_int(value, 200, 599, &fault->status);
	if (strcmp(key, "reason") == 0)
		return copy_word(fault->reason, sizeof(fault->reason), value);
	if (strcmp(key, "timestamp") == 0)
		return number_read(value, 1, INT64_MAX, &fault->timestamp);
	if (strcmp(key, "delay") == 0)
		return number_read(value, 0, 86400000, &fault->delay_ms);
	if (strcmp(key, "last") == 0)
		return number_read(value, 0, INT32_MAX, &fault->last);
	if (strcmp(key, "bytes") == 0)
		return number_read(value, 1, INT64_C(1) << 40, &fault->bytes);
	if (strcmp(key, "location") == 0)
		return copy_word(fault->location, sizeof(fault->location), value);
	return false;
}

static bool
read_kind(struct fault *fault, const char *word)
{
	int			i;

	if (strcmp(word, "early") == 0 || strcmp(word, "early-stop") == 0)
	{
		fault->early = true;
		fault->stop = word[5] != '\0';
		return true;
	}
	for (i = 0; i < N_KINDS; i++)
	{
		if (strcmp(word, kinds[i].word) != 0)
			continue;
		if (fault->kind != FAULT_NONE)
			return false;
		fault->kind = kinds[i].kind;
		if (fault->status == 0)
			fault->status = kinds[i].status;
		return true;
	}
	return false;
}

/* A name for a rule that was given none: what it does, and its number. */
static void
name_fault(struct fault *fault, uint64_t number)
{
	char		word[16];
	int			i;

	if (fault->name[0] != '\0')
		return;
	snprintf(word, sizeof(word), "%s", fault->early ? "early" :
			 fault->status != 0 ? "status" : "delay");
	for (i = 0; i < N_KINDS; i++)
		if (kinds[i].kind == fault->kind)
			snprintf(word, sizeof(word), "%s", kinds[i].word);
	snprintf(fault->name, sizeof(fault->name), "%s-%llu", word,
			 (unsigned long long) number);
}

static const char *
read_words(struct fault *fault, char *words, int64_t now_ms)
{
	char	   *rest = NULL;
	char	   *word;
	char	   *value;

	for (word = strtok_r(words, " \t", &rest); word != NULL;
		 word = strtok_r(NULL, " \t", &rest))
	{
		value = strchr(word, '=');
		if (value != NULL)
			*value++ = '\0';
		if (value == NULL ? !read_kind(fault, word) :
			!read_pair(fault, word, value, now_ms))
			return "a word of the fault is unknown or has a wrong value";
	}
	if (fault->kind == FAULT_NONE && fault->status == 0 &&
		fault->delay_ms == 0 && !fault->early)
		return "the fault says nothing to do";
	return NULL;
}

const struct fault *
fault_set(struct faults *faults, char *words, int64_t now_ms,
		  const char **error)
{
	struct fault *fault;
	struct fault **end;

	if (faults->n >= FAULT_RULES)
	{
		*error = "too many faults";
		return NULL;
	}
	fault = calloc(1, sizeof(*fault));
	if (fault == NULL)
	{
		*error = "out of memory";
		return NULL;
	}
	fault->every = 1;
	fault->last = -1;
	fault->bytes = INT64_C(1) << 30;
	*error = read_words(fault, words, now_ms);
	if (*error != NULL)
	{
		free(fault);
		return NULL;
	}
	name_fault(fault, ++faults->set);
	fault->references = 1;
	for (end = &faults->first; *end != NULL; end = &(*end)->next)
		;
	*end = fault;
	faults->n++;
	return fault;
}

void
fault_release(struct fault *fault)
{
	if (fault != NULL && --fault->references == 0)
		free(fault);
}

/*
 * Takes the rule at this place out of the list.  The list's reference is the
 * caller's now.
 */
static struct fault *
fault_take(struct faults *faults, struct fault **place)
{
	struct fault *fault = *place;

	*place = fault->next;
	faults->n--;
	return fault;
}

void
fault_clear(struct faults *faults)
{
	while (faults->first != NULL)
		fault_release(fault_take(faults, &faults->first));
}

/* Tokens are hex in either case; the prefix is stored in lower case. */
static bool
fault_is_for(const struct fault *fault, struct text token, struct text topic)
{
	size_t		i;

	if (fault->topic[0] != '\0' && !text_is(topic, fault->topic))
		return false;
	for (i = 0; fault->prefix[i] != '\0'; i++)
		if (i >= token.length ||
			tolower((unsigned char) token.data[i]) != fault->prefix[i])
			return false;
	return true;
}

struct fault *
fault_match(struct faults *faults, struct text token, struct text topic,
			int64_t now_ms)
{
	struct fault **place = &faults->first;
	struct fault *fault;

	while ((fault = *place) != NULL)
	{
		if (fault->until_ms != 0 && now_ms >= fault->until_ms)
		{
			fault_release(fault_take(faults, place));
			continue;
		}
		if (fault_is_for(fault, token, topic) &&
			++fault->seen % fault->every == 0)
		{
			if (++fault->fired == fault->count)
				return fault_take(faults, place);
			fault->references++;
			return fault;
		}
		place = &fault->next;
	}
	return NULL;
}

const char *
fault_reason(const struct fault *fault)
{
	size_t		i;

	if (strcmp(fault->reason, "none") == 0)
		return NULL;
	if (fault->reason[0] != '\0')
		return fault->reason;
	for (i = 0; i < sizeof(usual_reasons) / sizeof(usual_reasons[0]); i++)
		if (usual_reasons[i].status == fault->status)
			return usual_reasons[i].reason;
	return NULL;
}
