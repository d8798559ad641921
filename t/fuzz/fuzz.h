/*
 * fuzz.h
 *		What the fuzz drivers have in common.
 *
 * A driver is given bytes, makes of them what a unit takes, and checks what
 * the unit promises.  The sanitizers watch the memory: so every text that a
 * unit is given has a block of exactly its size.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The promise in words. */
#define check(promise, holds) \
	do { if (!(holds)) broken(__FILE__, __LINE__, promise); } while (0)

extern void broken(const char *file, int line, const char *promise)
			__attribute__((noreturn));

/* Bytes yet to be used. */
struct input
{
	const uint8_t *data;
	size_t		left;
};

/* Numbers come from the end, so that texts stay where they are; 0 at last. */
extern uint32_t take_number(struct input *input, uint32_t limit);

/* The bytes up to the next 0xFF, which is in no UTF-8, or to the end. */
extern struct input take_part(struct input *input);

/* Blocks of exactly that size; the first two have a zero byte after them. */
extern char *copy_string(struct input bytes);

/* With only what is valid UTF-8 and not U+0000; *length without the zero. */
extern char *copy_utf8(struct input bytes, size_t *length);
extern char *copy_bytes(struct input bytes);

/* How many of these bytes the first code point has; left > 0. */
extern size_t first_code_point(const char *text, size_t left);

#endif
