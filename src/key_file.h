/*
 * key_file.h
 *		Keys that live in files: file:NAME in imp_push.key_directory.
 *
 * A name from a table never leads out of imp_push.key_directory, and what is
 * read is a secret: secret_free() it.
 */
#ifndef IMP_KEY_FILE_H
#define IMP_KEY_FILE_H

#include "postgres.h"

#define KEY_FILE_PREFIX		"file:"

/* The NAME of a reference "file:NAME", or NULL if it is something else. */
extern const char *key_file_name(const char *reference);

/*
 * The content of a key file, palloc'd, with a zero byte after it; the caller
 * gives it to secret_free().  NULL if it may not be used: then *fault is a
 * palloc'd sentence without a full stop that names the file and what is wrong
 * with it.  Inside a transaction.
 */
extern char *key_file_read(const char *name, size_t *length, char **fault);

/* Wipes and frees a palloc'd string; NULL is allowed. */
extern void secret_free(char *secret);

#endif							/* IMP_KEY_FILE_H */
