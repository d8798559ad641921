/*
 * counters.c
 *		What is counted: answers, outcomes, latencies.
 *
 * Owns what has been counted and not yet written.  Collects in memory;
 * status.c has it written at most once a second.  A counter is a name and
 * labels in JSON, as in the view imp_push.metrics, and only grows.  Must never
 * have a label that grows with people or devices, and nothing that is decided
 * may depend on a counter: a crash loses a second of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "counters.h"
#include "send.h"
#include "session.h"

#define MAX_KEY 512
#define LATENCY "imp_push_commit_to_answer_seconds"

/* Upper ends of the histogram's buckets (seconds). */
static const double bucket_ends[] = {
	0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
};

typedef struct Counter
{
	char		key[MAX_KEY];	/* hash key: name, blank, labels */
	double		amount;
} Counter;

/* By certificate: for certificate_status, and what nearly every push adds to. */
typedef struct Traffic
{
	char		certificate[MAX_KEY];	/* hash key */
	int64		accepted;		/* answers */
	int64		sent;			/* outcomes */
	int64		failed;
	uint64		resent;			/* as last written */
} Traffic;

/* Times to the answer, since they were written last. */
static struct
{
	int64		in_bucket[lengthof(bucket_ends) + 1];
	double		sum;
	int64		count;
} latencies;

static HTAB *counters;
static HTAB *traffic;

static double *counter(const char *name, const char *labels);
static void count_latency(const Push *push);
static void write_counters(void);
static void write_traffic(void);

void
counters_init(MemoryContext parent)
{
	HASHCTL		ctl = {0};

	ctl.keysize = MAX_KEY;
	ctl.entrysize = sizeof(Counter);
	ctl.hcxt = AllocSetContextCreate(parent, "imp_push counters",
									 ALLOCSET_DEFAULT_SIZES);
	counters = hash_create("imp_push counters", 64, &ctl,
						   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ctl.entrysize = sizeof(Traffic);
	traffic = hash_create("imp_push traffic", 16, &ctl,
						  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

static double *
counter(const char *name, const char *labels)
{
	char		key[MAX_KEY];
	bool		found;
	Counter    *entry;

	if (snprintf(key, sizeof(key), "%s %s", name, labels) >= sizeof(key))
		snprintf(key, sizeof(key), "%s {}", name);
	entry = hash_search(counters, key, HASH_ENTER, &found);
	if (!found)
		entry->amount = 0;
	return &entry->amount;
}

/*
 * {"name": "value", …}.  A NULL is the empty value, for Prometheus wants the
 * same labels each time.
 */
static void
add_label(StringInfo labels, const char *name, const char *value)
{
	if (labels->len > 0)
		labels->data[labels->len - 1] = ',';
	else
		appendStringInfoChar(labels, '{');
	escape_json(labels, name);
	appendStringInfoChar(labels, ':');
	escape_json(labels, value != NULL ? value : "");
	appendStringInfoChar(labels, '}');
}

static Traffic *
traffic_of(const char *certificate)
{
	char		key[MAX_KEY];
	bool		found;
	Traffic    *entry;

	strlcpy(key, certificate, sizeof(key));
	entry = hash_search(traffic, key, HASH_ENTER, &found);
	if (!found)
		entry->accepted = entry->sent = entry->failed = entry->resent = 0;
	return entry;
}

/* Takes the labels. */
static void
add(const char *name, StringInfo labels, double amount)
{
	if (amount > 0)
		*counter(name, labels->data) += amount;
	pfree(labels->data);
}

static void
add_of_certificate(const char *name, const char *certificate, double amount)
{
	StringInfoData labels;

	initStringInfo(&labels);
	add_label(&labels, "certificate", certificate);
	add(name, &labels, amount);
}

static void
add_answers(const char *certificate, int status, const char *reason,
			double amount)
{
	StringInfoData labels;
	char		status_text[12];

	snprintf(status_text, sizeof(status_text), "%d", status);
	initStringInfo(&labels);
	add_label(&labels, "certificate", certificate);
	add_label(&labels, "status", status_text);
	add_label(&labels, "reason", reason);
	add("imp_push_answers_total", &labels, amount);
}

static void
add_decisions(const char *status, const char *reason, double amount)
{
	StringInfoData labels;

	initStringInfo(&labels);
	add_label(&labels, "status", status);
	add_label(&labels, "reason", reason);
	add("imp_push_decisions_total", &labels, amount);
}

void
count_answer(const Push *push)
{
	Traffic    *of_certificate = traffic_of(push->certificate);

	if (push->verdict == VERDICT_SENT)
		of_certificate->accepted++;
	else if (push->apns_status != 0)
		add_answers(push->certificate, push->apns_status, push->reason, 1);
}

void
count_outcome(const Push *push)
{
	Traffic    *of_certificate = traffic_of(push->certificate);

	if (push->verdict != VERDICT_SENT)
	{
		of_certificate->failed++;
		add_decisions("failed", push->reason, 1);
		return;
	}
	of_certificate->sent++;
	if (push->attempts == 0)
		count_latency(push);
}

/*
 * The time of a commit is not to be had, so it is counted from created_at,
 * which an IM server leaves to its default; what an import brings is not new.
 */
static void
count_latency(const Push *push)
{
	double		seconds = (push->answered_at - push->created_at) / 1000000.0;
	int			bucket = 0;

	if (seconds < 0 || seconds > 3600)
		return;
	while (bucket < lengthof(bucket_ends) && seconds > bucket_ends[bucket])
		bucket++;
	latencies.	in_bucket[bucket]++;
	latencies.	sum += seconds;
	latencies.	count++;
}

/* As the counters of a histogram: each bucket holds those before it, too. */
static void
add_latencies(void)
{
	int64		up_to = 0;

	if (latencies.count == 0)
		return;
	for (int i = 0; i < lengthof(bucket_ends); i++)
	{
		char		labels[32];

		up_to += latencies.in_bucket[i];

		snprintf(labels, sizeof(labels), "{\"le\":\"%g\"}", bucket_ends[i]);
		if (up_to > 0)
			*counter(LATENCY "_bucket", labels) += up_to;
	}
	*counter(LATENCY "_bucket", "{\"le\":\"+Inf\"}") += latencies.count;
	*counter(LATENCY "_sum", "{}") += latencies.sum;
	*counter(LATENCY "_count", "{}") += latencies.count;

	memset(&latencies, 0, sizeof(latencies));
}

void
counters_write(void)
{
	if (hash_get_num_entries(traffic) > 0)
		write_traffic();
	add_latencies();
	if (hash_get_num_entries(counters) > 0)
		write_counters();
}

static void
write_counters(void)
{
	static SPIPlanPtr plan = NULL;
	int			n = hash_get_num_entries(counters);
	Datum	   *names = palloc(sizeof(Datum) * n);
	Datum	   *labels = palloc(sizeof(Datum) * n);
	Datum	   *amounts = palloc(sizeof(Datum) * n);
	Oid			types[] = {
		TEXTARRAYOID, get_array_type(JSONBOID), FLOAT8ARRAYOID
	};
	Datum		args[3];
	HASH_SEQ_STATUS scan;
	Counter    *entry;

	n = 0;
	hash_seq_init(&scan, counters);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		char	   *blank = strchr(entry->key, ' ');
		text	   *name = cstring_to_text_with_len(entry->key,
													blank - entry->key);

		names[n] = PointerGetDatum(name);
		labels[n] = DirectFunctionCall1(jsonb_in, CStringGetDatum(blank + 1));
		amounts[n++] = Float8GetDatum(entry->amount);
		hash_search(counters, entry->key, HASH_REMOVE, NULL);
	}
	args[0] = session_array(names, NULL, n, TEXTOID);
	args[1] = session_array(labels, NULL, n, JSONBOID);
	args[2] = session_array(amounts, NULL, n, FLOAT8OID);
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.add_to_counters($1, $2, $3)",
								  3, types),
					 args, NULL, false, 0);
}

/* What was not made into counters at each push. */
static void
add_counters_of(Traffic *of_certificate)
{
	const char *certificate = of_certificate->certificate;
	uint64		resent = send_resent(certificate);

	add_answers(certificate, 200, NULL, of_certificate->accepted);
	of_certificate->accepted = 0;
	add_of_certificate("imp_push_sent_total", certificate,
					   of_certificate->sent);
	add_decisions("sent", NULL, of_certificate->sent);
	if (resent > of_certificate->resent)
	{
		add_of_certificate("imp_push_resent_total", certificate,
						   resent - of_certificate->resent);
		of_certificate->resent = resent;
	}
}

static void
write_traffic(void)
{
	static SPIPlanPtr plan = NULL;
	int			n = hash_get_num_entries(traffic);
	Datum	   *names = palloc(sizeof(Datum) * n);
	Datum	   *sents = palloc(sizeof(Datum) * n);
	Datum	   *faileds = palloc(sizeof(Datum) * n);
	Oid			types[] = {
		TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID
	};
	Datum		args[4];
	HASH_SEQ_STATUS scan;
	Traffic    *entry;

	n = 0;
	hash_seq_init(&scan, traffic);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		add_counters_of(entry);
		if (entry->sent == 0 && entry->failed == 0)
			continue;
		names[n] = CStringGetTextDatum(entry->certificate);
		sents[n] = Int64GetDatum(entry->sent);
		faileds[n++] = Int64GetDatum(entry->failed);
		entry->sent = entry->failed = 0;
	}
	if (n == 0)
		return;
	args[0] = session_array(names, NULL, n, TEXTOID);
	args[1] = session_array(sents, NULL, n, INT8OID);
	args[2] = session_array(faileds, NULL, n, INT8OID);
	args[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	SPI_execute_plan(session_plan(&plan,
								  "SELECT imp_push.record_traffic($1, $2, $3, $4)",
								  4, types),
					 args, NULL, false, 0);
}
