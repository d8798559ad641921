/*
 * number.h
 *		Reads numbers that people write on command lines.
 */
#ifndef APNSIM_NUMBER_H
#define APNSIM_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* True if the whole text is a number from low to high. */
extern bool number_read(const char *text, int64_t low, int64_t high,
						int64_t *result);
extern bool number_read_int(const char *text, int low, int high, int *result);

#endif
