/*
 * complain.c
 *		Messages to the person who started the program.
 *
 * They go to stderr and nowhere else; a message never contains a token.
 */
#include <stdarg.h>
#include <stdio.h>

#include "complain.h"

bool
complain(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	fputs("apnsim: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return false;
}
