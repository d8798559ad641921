/*
 * complain.h
 *		Messages to the person who started the program.
 */
#ifndef APNSIM_COMPLAIN_H
#define APNSIM_COMPLAIN_H

#include <stdbool.h>

/*
 * One line on stderr, as printf formats it; %m is the text of errno.  Always
 * false, for functions that then return it.
 */
extern bool complain(const char *format,...)
			__attribute__((format(printf, 1, 2)));

#endif
