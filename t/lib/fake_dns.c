/*
 * fake_dns.c
 *		A name that a test can take out of the DNS: preloaded into a server,
 *		apns.test is 127.0.0.1 as long as the file FAKE_DNS exists.
 *
 * Every other name is looked up as usual.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup) (const char *, const char *, const struct addrinfo *,
					   struct addrinfo **);

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	lookup		real = (lookup) dlsym(RTLD_NEXT, "getaddrinfo");
	const char *file = getenv("FAKE_DNS");

	if (name != NULL && strcmp(name, "apns.test") == 0)
	{
		if (file == NULL || access(file, F_OK) != 0)
			return EAI_NONAME;
		name = "127.0.0.1";
	}
	return real(name, service, hints, result);
}
