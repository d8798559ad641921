/*
 * options.h
 *		What the command line of "apnsim serve" says.
 */
#ifndef APNSIM_OPTIONS_H
#define APNSIM_OPTIONS_H

#include <stdbool.h>

enum
{
	MAX_KEYS = 64,
	MAX_TOPICS = 64,
	MAX_NAMES = 16
};

/* --key TEAM:KEYID:FILE, in its three parts. */
struct key_option
{
	char	   *team;
	char	   *key_id;
	char	   *file;
};

struct options
{
	const char *dir;
	int			port;			/* 0: any */
	int			control_port;	/* 0: any */
	const char *log;			/* NULL: requests.log in dir */
	bool		no_log;
	struct key_option keys[MAX_KEYS];
	int			n_keys;
	bool		trust_any_key;
	const char *topics[MAX_TOPICS];
	int			n_topics;		/* 0: every topic is allowed */
	const char *names[MAX_NAMES];	/* more names of the server */
	int			n_names;
	const char *client_ca;
	bool		development;
	bool		http1;
	bool		plain;
	int			max_resets;		/* 0: any number */
	int			max_streams;
	int			run_seconds;	/* 0: until it is told to stop */
};

/* False: the message is on stderr, the exit status is 2. */
extern bool options_parse(struct options *options, int argc, char **argv);
extern void options_usage(void);

#endif
