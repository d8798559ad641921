/*
 * fill.c
 *		Texts with placeholders: the built-in summary, and templates.
 *
 * Owns the one pass in which a pattern is filled in: what was put in is never
 * looked at again.  Which pattern, and with what, SQL decides (words.sql).  It
 * must never raise an ERROR for what a pattern or a message says.
 *
 * (An SQL function that cuts a pattern into rows and joins them again is not
 * inlined: measured, 10 µs a call, and 100 µs for the first in a statement.)
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* No payload shows more; what begins behind that is not put in. */
#define SHOWN_BYTES 5120
#define SHOWN_CHARACTERS (SHOWN_BYTES + 1)

/* Digits of the largest argument that is looked up. */
#define NUMBER_DIGITS 5

/* Characters of a pattern that a warning repeats. */
#define WARNED_NUMBER 10
#define WARNED_NAME 64

/* Levels at which a template is asked for by its name (words.sql). */
#define LEVELS_ASKED 3

typedef struct Slice
{
	const char *start;
	int			length;
} Slice;

typedef enum PieceKind
{
	PIECE_TEXT,
	PIECE_NAME,					/* {$name} */
	PIECE_NUMBER				/* {0}, {1} … */
} PieceKind;

typedef struct Piece
{
	PieceKind	kind;
	Slice text;					/* with its braces */
} Piece;

/* What the three names stand for. */
typedef struct Names
{
	Slice		sender;
	Slice		said;
	Slice		dynamic_from;
} Names;

PG_FUNCTION_INFO_V1(imp_push_fill_summary);
PG_FUNCTION_INFO_V1(imp_push_fill_template);
PG_FUNCTION_INFO_V1(imp_push_template_warnings);
PG_FUNCTION_INFO_V1(imp_push_absent_templates);

static const Slice empty = {"", 0};

/* NULL is the empty text. */
static Slice
argument(FunctionCallInfo fcinfo, int number)
{
	Slice		slice = empty;
	text	   *value;

	if (PG_ARGISNULL(number))
		return slice;
	value = PG_GETARG_TEXT_PP(number);
	slice.start = VARDATA_ANY(value);
	slice.length = VARSIZE_ANY_EXHDR(value);
	return slice;
}

static bool
starts_with(Slice text, const char *word)
{
	int			length = strlen(word);

	return text.length >= length && memcmp(text.start, word, length) == 0;
}

static Slice
skip(Slice text, int length)
{
	text.		start += length;
	text.		length -= length;
	return text;
}

static text *
text_of(StringInfo out)
{
	return cstring_to_text_with_len(out->data, out->len);
}

/* ---------- the built-in summary ---------- */

Datum
imp_push_fill_summary(PG_FUNCTION_ARGS)
{
	Slice		pattern = argument(fcinfo, 0);
	Slice		sender = argument(fcinfo, 1);
	Slice		said = argument(fcinfo, 2);
	StringInfoData out;

	initStringInfo(&out);
	while (pattern.length > 0)
	{
		Slice		put_in = {pattern.start, 1};
		int			taken = 1;

		if (starts_with(pattern, "{sender}"))
		{
			put_in = sender;
			taken = strlen("{sender}");
		}
		else if (starts_with(pattern, "{text}"))
		{
			put_in = said;
			taken = strlen("{text}");
		}
		appendBinaryStringInfo(&out, put_in.start, put_in.length);
		pattern = skip(pattern, taken);
	}
	PG_RETURN_TEXT_P(text_of(&out));
}

/* ---------- templates ---------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		c == '_' || IS_HIGHBIT_SET(c);
}

/* The length of a placeholder at the beginning of the text, or 0. */
static int
placeholder_length(Slice text, const char *opening, bool (*allowed) (char c))
{
	int			begin = strlen(opening);
	int			end = begin;

	if (!starts_with(text, opening))
		return 0;
	while (end < text.length && allowed(text.start[end]))
		end++;
	if (end == begin || end >= text.length || text.start[end] != '}')
		return 0;
	return end + 1;
}

/* Takes the next piece off a pattern that is not empty. */
static Piece
next_piece(Slice *pattern)
{
	Piece		piece = {PIECE_NAME, {pattern->start, 0}};
	int			length = placeholder_length(*pattern, "{$", is_name_character);

	if (length == 0)
	{
		piece.kind = PIECE_NUMBER;
		length = placeholder_length(*pattern, "{", is_digit);
	}
	if (length == 0)
	{
		piece.kind = PIECE_TEXT;
		do
			length++;
		while (length < pattern->length && pattern->start[length] != '{');
	}
	piece.text.length = length;
	*pattern = skip(*pattern, length);
	return piece;
}

static bool
is_word(Slice text, const char *word)
{
	return text.length == strlen(word) && starts_with(text, word);
}

/* What stands for a name; one that is not known is left alone. */
static const Slice *
named(const Piece *piece, const Names *names)
{
	if (piece->kind != PIECE_NAME)
		return NULL;
	if (is_word(piece->text, "{$fromNickname}"))
		return &names->sender;
	if (is_word(piece->text, "{$msg}"))
		return &names->said;
	if (is_word(piece->text, "{$dynamicFrom}"))
		return &names->dynamic_from;
	return NULL;
}

/* The number in the braces; -1 if it is too long for any argument. */
static int
number_of(const Piece *piece)
{
	int			number = 0;

	if (piece->text.length - 2 > NUMBER_DIGITS)
		return -1;
	for (int i = 1; i < piece->text.length - 1; i++)
		number = number * 10 + piece->text.start[i] - '0';
	return number;
}

/*
 * The argument that a number stands for.  One that is missing, or is not a
 * string, is the empty one, and false is returned.
 */
static bool
find_argument(Jsonb *arguments, const Piece *piece, Slice *found)
{
	int			number = number_of(piece);
	JsonbValue *value = NULL;

	if (arguments != NULL && number >= 0 && JB_ROOT_IS_ARRAY(arguments) &&
		!JB_ROOT_IS_SCALAR(arguments))
		value = getIthJsonbValueFromContainer(&arguments->root, number);
	*found = empty;
	if (value == NULL || value->type != jbvString)
		return false;
	found->start = value->val.string.val;
	found->length = pg_mbcharcliplen(value->val.string.val,
									 value->val.string.len, SHOWN_CHARACTERS);
	return true;
}

/*
 * Fills in a pattern, or an argument, in which numbers are left alone.  At most
 * its last piece reaches beyond SHOWN_BYTES.
 */
static void
fill(StringInfo out, Slice pattern, const Names *names, Jsonb *arguments,
	 bool with_numbers)
{
	int			begin = out->len;

	while (pattern.length > 0 && out->len - begin <= SHOWN_BYTES)
	{
		Piece		piece = next_piece(&pattern);
		const Slice *value = named(&piece, names);
		Slice		found;

		if (piece.kind == PIECE_NUMBER && with_numbers)
		{
			find_argument(arguments, &piece, &found);
			fill(out, found, names, NULL, false);
			continue;
		}
		if (value == NULL)
			value = &piece.text;
		appendBinaryStringInfo(out, value->start, value->length);
	}
}

Datum
imp_push_fill_template(PG_FUNCTION_ARGS)
{
	Slice		pattern = argument(fcinfo, 0);
	Jsonb	   *arguments = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Names		names;
	StringInfoData out;

	names.sender = argument(fcinfo, 2);
	names.said = argument(fcinfo, 3);
	names.dynamic_from = argument(fcinfo, 4);
	initStringInfo(&out);
	fill(&out, pattern, &names, arguments, true);
	PG_RETURN_TEXT_P(text_of(&out));
}

/* ---------- warnings ---------- */

static void
add_warning(List **warnings, Slice part, const char *what, Slice pattern,
			int shown)
{
	StringInfoData warning;

	initStringInfo(&warning);
	appendBinaryStringInfo(&warning, part.start, part.length);
	appendStringInfo(&warning, ": %s", what);
	appendBinaryStringInfo(&warning, pattern.start,
						   pg_mbcharcliplen(pattern.start, pattern.length,
											shown));
	*warnings = lappend(*warnings, warning.data);
}

static int
compare_warnings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Each warning once, in order. */
static ArrayType *
warnings_array(List *warnings)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(warnings) + 1));
	const char *last = NULL;
	ListCell   *cell;
	int			count = 0;

	list_sort(warnings, compare_warnings);
	foreach(cell, warnings)
	{
		const char *warning = lfirst(cell);

		if (last == NULL || strcmp(last, warning) != 0)
			values[count++] = CStringGetTextDatum(warning);
		last = warning;
	}
	return construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT);
}

Datum
imp_push_template_warnings(PG_FUNCTION_ARGS)
{
	static const Names none;
	Slice		part = argument(fcinfo, 0);
	Slice		pattern = argument(fcinfo, 1);
	Jsonb	   *arguments = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	List	   *warnings = NIL;
	bool		far = false;	/* a number beyond all arguments */
	int			largest = -1;

	while (pattern.length > 0)
	{
		Piece		piece = next_piece(&pattern);
		Slice		found;

		if (piece.kind == PIECE_NUMBER)
		{
			far |= number_of(&piece) < 0;
			largest = Max(largest, number_of(&piece));
			if (!find_argument(arguments, &piece, &found))
				add_warning(&warnings, part, "missing argument ", piece.text,
							WARNED_NUMBER);
		}
		else if (piece.kind == PIECE_NAME && named(&piece, &none) == NULL)
			add_warning(&warnings, part, "unknown name ", piece.text,
						WARNED_NAME);
	}
	if (!far && arguments != NULL && JB_ROOT_IS_ARRAY(arguments) &&
		(int) JB_ROOT_COUNT(arguments) - 1 > largest)
		add_warning(&warnings, part, "surplus arguments", empty, 0);
	PG_RETURN_ARRAYTYPE_P(warnings_array(warnings));
}

/* Those that were asked for before the one that was found, if any was. */
Datum
imp_push_absent_templates(PG_FUNCTION_ARGS)
{
	int			found = PG_ARGISNULL(1) ? LEVELS_ASKED + 1 : PG_GETARG_INT32(1);
	Datum		warnings[LEVELS_ASKED];
	Datum	   *names;
	bool	   *nulls;
	int			named = 0;
	int			count = 0;

	if (!PG_ARGISNULL(0))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
						  TYPALIGN_INT, &names, &nulls, &named);
	for (int i = 0; i < Min(Min(named, LEVELS_ASKED), found - 1); i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(names[i]);

		if (name == NULL)
			continue;
		name[pg_mbcharcliplen(name, strlen(name), WARNED_NAME)] = '\0';
		warnings[count++] =
			CStringGetTextDatum(psprintf("no template %s", name));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(warnings, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}
