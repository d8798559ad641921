/*
 * options.c
 *		Reads the command line of "apnsim serve".
 *
 * It only parses; whoever uses an option opens the files that it names.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "number.h"
#include "options.h"

enum
{
	OPT_DIR = 1,
	OPT_PORT,
	OPT_CONTROL_PORT,
	OPT_LOG,
	OPT_NO_LOG,
	OPT_KEY,
	OPT_TRUST_ANY_KEY,
	OPT_TOPIC,
	OPT_NAME,
	OPT_CLIENT_CA,
	OPT_ENVIRONMENT,
	OPT_HTTP1,
	OPT_PLAIN,
	OPT_MAX_RESETS,
	OPT_MAX_STREAMS,
	OPT_RUN_SECONDS
};

static const struct option long_options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"port", required_argument, NULL, OPT_PORT},
	{"control-port", required_argument, NULL, OPT_CONTROL_PORT},
	{"log", required_argument, NULL, OPT_LOG},
	{"no-log", no_argument, NULL, OPT_NO_LOG},
	{"key", required_argument, NULL, OPT_KEY},
	{"trust-any-key", no_argument, NULL, OPT_TRUST_ANY_KEY},
	{"topic", required_argument, NULL, OPT_TOPIC},
	{"name", required_argument, NULL, OPT_NAME},
	{"client-ca", required_argument, NULL, OPT_CLIENT_CA},
	{"environment", required_argument, NULL, OPT_ENVIRONMENT},
	{"http1", no_argument, NULL, OPT_HTTP1},
	{"plain", no_argument, NULL, OPT_PLAIN},
	{"max-resets", required_argument, NULL, OPT_MAX_RESETS},
	{"max-streams", required_argument, NULL, OPT_MAX_STREAMS},
	{"run-seconds", required_argument, NULL, OPT_RUN_SECONDS},
	{NULL, 0, NULL, 0}
};

void
options_usage(void)
{
	fputs("usage: apnsim serve --dir DIR [option]...\n"
		  "       apnsim ctl --port CONTROL_PORT COMMAND...\n"
		  "\n"
		  "  --dir DIR              certificates, log and the file \"ready\"\n"
		  "  --port N               port of APNs (0: any)\n"
		  "  --control-port N       port for commands (0: any)\n"
		  "  --log FILE             instead of DIR/requests.log\n"
		  "  --no-log               keep no requests\n"
		  "  --key TEAM:KEYID:FILE  public key (PEM) of provider tokens\n"
		  "  --trust-any-key        take every well-formed provider token\n"
		  "  --topic TOPIC          allow this topic, and only those named\n"
		  "  --client-ca FILE       clients may show a certificate of this CA\n"
		  "  --name NAME            one more host name for the certificate\n"
		  "  --environment production|development\n"
		  "  --http1                begin with HTTP/1.1 only\n"
		  "  --plain                no TLS\n"
		  "  --max-resets N         RST_STREAMs a connection may send (any number)\n"
		  "  --max-streams N        streams a connection (1000)\n"
		  "  --run-seconds N        stop after that time\n"
		  "\n"
		  "README.md has the commands.\n", stderr);
}

/* A whole number from low to high, or a message. */
static bool
parse_number(const char *name, const char *text, int low, int high,
			 int *result)
{
	if (!number_read_int(text, low, high, result))
		return complain("--%s takes a number from %d to %d", name, low, high);
	return true;
}

/* Splits TEAM:KEYID:FILE; the parts stay in the argument itself. */
static bool
parse_key(struct options *options, char *text)
{
	struct key_option *key = &options->keys[options->n_keys];
	char	   *key_id = strchr(text, ':');
	char	   *file = key_id != NULL ? strchr(key_id + 1, ':') : NULL;

	if (file == NULL)
		return complain("--key takes TEAM:KEYID:FILE");
	if (options->n_keys == MAX_KEYS)
		return complain("more than %d keys", MAX_KEYS);
	*key_id++ = '\0';
	*file++ = '\0';
	key->team = text;
	key->key_id = key_id;
	key->file = file;
	options->n_keys++;
	return true;
}

static bool
parse_environment(struct options *options, const char *text)
{
	options->development = strcmp(text, "development") == 0;
	if (options->development || strcmp(text, "production") == 0)
		return true;
	return complain("--environment is production or development");
}

/* Appends to a list of names. */
static bool
add_name(const char *option, const char **list, int *n, int limit,
		 const char *text)
{
	if (*n == limit)
		return complain("more than %d of --%s", limit, option);
	list[(*n)++] = text;
	return true;
}

static bool
take_option(struct options *options, int option, char *value)
{
	switch (option)
	{
		case OPT_DIR:
			options->dir = value;
			return true;
		case OPT_PORT:
			return parse_number("port", value, 0, 65535, &options->port);
		case OPT_CONTROL_PORT:
			return parse_number("control-port", value, 0, 65535,
								&options->control_port);
		case OPT_LOG:
			options->log = value;
			return true;
		case OPT_NO_LOG:
			options->no_log = true;
			return true;
		case OPT_KEY:
			return parse_key(options, value);
		case OPT_TRUST_ANY_KEY:
			options->trust_any_key = true;
			return true;
		case OPT_TOPIC:
			return add_name("topic", options->topics, &options->n_topics,
							MAX_TOPICS, value);
		case OPT_NAME:
			return add_name("name", options->names, &options->n_names,
							MAX_NAMES, value);
		case OPT_CLIENT_CA:
			options->client_ca = value;
			return true;
		case OPT_ENVIRONMENT:
			return parse_environment(options, value);
		case OPT_HTTP1:
			options->http1 = true;
			return true;
		case OPT_PLAIN:
			options->plain = true;
			return true;
		case OPT_MAX_RESETS:
			return parse_number("max-resets", value, 1, 1000000,
								&options->max_resets);
		case OPT_MAX_STREAMS:
			return parse_number("max-streams", value, 0, 1000000,
								&options->max_streams);
		case OPT_RUN_SECONDS:
			return parse_number("run-seconds", value, 1, 1000000,
								&options->run_seconds);
		default:
			options_usage();
			return false;
	}
}

bool
options_parse(struct options *options, int argc, char **argv)
{
	int			option;

	memset(options, 0, sizeof(*options));
	options->max_streams = 1000;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		if (!take_option(options, option, optarg))
			return false;
	}
	if (optind < argc)
		return complain("unexpected argument \"%s\"", argv[optind]);
	if (options->dir == NULL)
		return complain("--dir is missing");
	return true;
}
