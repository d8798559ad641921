/*
 * main.c
 *		apnsim, a simulator of the Apple Push Notification service.
 *
 * It chooses the subcommand and does nothing else.
 */
#include <string.h>

#include "ctl.h"
#include "options.h"
#include "server.h"

int
main(int argc, char **argv)
{
	static struct options options;

	if (argc > 1 && strcmp(argv[1], "serve") == 0)
	{
		if (!options_parse(&options, argc - 1, argv + 1))
			return 2;
		return server_run(&options);
	}
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl_run(argc - 1, argv + 1);
	options_usage();
	return 2;
}
