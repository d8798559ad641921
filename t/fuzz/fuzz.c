/*
 * fuzz.c
 *		What the fuzz drivers have in common.
 *
 * Must never use anything of src, whose promises it helps to check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../apnsim/json.h"
#include "fuzz.h"

void
broken(const char *file, int line, const char *promise)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
	abort();
}

uint32_t
take_number(struct input *input, uint32_t limit)
{
	uint32_t	number = 0;
	uint32_t	most = limit - 1;

	for (; most > 0 && input->left > 0; most >>= 8)
		number = number << 8 | input->data[--input->left];
	return number % limit;
}

struct input
take_part(struct input *input)
{
	struct input part = *input;
	const uint8_t *end = NULL;

	if (input->left > 0)
		end = memchr(input->data, 0xFF, input->left);
	if (end == NULL)
	{
		input->data += input->left;
		input->left = 0;
		return part;
	}
	part.left = (size_t) (end - part.data);
	input->data = end + 1;
	input->left -= part.left + 1;
	return part;
}

static char *
allocate(size_t size)
{
	char	   *block = malloc(size);

	if (block == NULL)
		abort();
	return block;
}

char *
copy_bytes(struct input bytes)
{
	char	   *copy = allocate(bytes.left);

	if (bytes.left > 0)
		memcpy(copy, bytes.data, bytes.left);
	return copy;
}

char *
copy_string(struct input bytes)
{
	size_t		length = 0;
	char	   *copy;

	while (length < bytes.left && bytes.data[length] != '\0')
		length++;
	copy = allocate(length + 1);
	if (length > 0)
		memcpy(copy, bytes.data, length);
	copy[length] = '\0';
	return copy;
}

size_t
first_code_point(const char *text, size_t left)
{
	return (size_t) json_utf8_length((const unsigned char *) text, left);
}

char *
copy_utf8(struct input bytes, size_t *length)
{
	char	   *valid = allocate(bytes.left + 1);
	char	   *exact;
	size_t		n = 0;
	size_t		i = 0;

	while (i < bytes.left)
	{
		const char *at = (const char *) bytes.data + i;
		size_t		width = first_code_point(at, bytes.left - i);

		if (width > 0 && *at != '\0')
		{
			memcpy(valid + n, at, width);
			n += width;
		}
		i += width > 0 ? width : 1;
	}
	exact = allocate(n + 1);
	memcpy(exact, valid, n);
	exact[n] = '\0';
	free(valid);
	*length = n;
	return exact;
}
