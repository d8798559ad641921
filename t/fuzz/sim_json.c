/*
 * sim_json.c
 *		Fuzzes apnsim/json.c, on which the other drivers rely.
 */
#include <stdlib.h>
#include <string.h>

#include "../../apnsim/json.h"
#include "fuzz.h"

/* {"aps":value} is an object if value is one. */
static void
check_nested(struct text value)
{
	static const char before[] = "{\"aps\":";
	size_t		head = sizeof(before) - 1;
	size_t		length = head + value.length + 1;
	char	   *object = malloc(length);
	struct json_member aps = {"aps", {NULL, 0}};
	bool		good;

	memcpy(object, before, head);
	memcpy(object + head, value.data, value.length);
	object[length - 1] = '}';
	good = json_object(text_of(object, length), &aps, 1);
	check("the value of a key is JSON", good);
	check("the value of a key is the whole of it",
		  aps.value.length == value.length);
	free(object);
}

static void
check_words(struct text value)
{
	struct text plain;
	int64_t		number;
	size_t		i;

	if (json_plain_string(value, &plain))
		check("a plain string is inside its quotes",
			  plain.data == value.data + 1 &&
			  plain.length == value.length - 2);
	if (json_integer(value, &number))
		check("a whole number is not negative", number >= 0);
	for (i = 0; i < value.length;)
	{
		int			width = json_utf8_length((const unsigned char *)
											 value.data + i, value.length - i);

		check("what is JSON is UTF-8", width > 0);
		i += (size_t) width;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char	   *bytes = copy_bytes(input);
	struct json_member members[] = {{"aps", {NULL, 0}}, {"iat", {NULL, 0}}};
	bool		good = json_object(text_of(bytes, size), members, 2);
	size_t		i;

	for (i = 0; good && i < 2; i++)
	{
		struct text value = members[i].value;

		if (value.data == NULL)
			continue;
		check("a value lies in the text", value.data >= bytes &&
			  value.data + value.length <= bytes + size);
		check_words(value);
		check_nested(value);
	}
	free(bytes);
	return 0;
}
