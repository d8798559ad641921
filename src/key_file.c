/*
 * key_file.c
 *		Keys that live in files: file:NAME in imp_push.key_directory.
 *
 * Owns the rules for such a file.  A name comes from a table, so it must never
 * lead out of the directory, to a device or to a file that others can read;
 * and the content must never get into a message.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "storage/fd.h"

#include "guc.h"
#include "key.h"
#include "key_file.h"

const char *
key_file_name(const char *reference)
{
	size_t		prefix = strlen(KEY_FILE_PREFIX);

	if (strncmp(reference, KEY_FILE_PREFIX, prefix) != 0)
		return NULL;
	return reference + prefix;
}

void
secret_free(char *secret)
{
	if (secret == NULL)
		return;
	OPENSSL_cleanse(secret, strlen(secret));
	pfree(secret);
}

/*
 * One component of a path, and no hidden one.  The trigger of
 * imp_push.certificate says the same; this is the check that counts.
 */
static bool
is_plain_name(const char *name)
{
	const char *c;

	if (name[0] == '\0' || name[0] == '.' || strlen(name) > 255)
		return false;
	for (c = name; *c != '\0'; c++)
	{
		if (*c == '/' || *c == '\\' || (unsigned char) *c < 0x20 || *c == 0x7f)
			return false;
	}
	return true;
}

/* As the server demands it of ssl_key_file. */
static const char *
stat_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "must be owned by the server's user or by root";
	if (st->st_uid == geteuid() && (st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "can be accessed by group or others: its mode must be 0600 or less";
	if (st->st_uid == 0 &&
		(st->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0)
		return "can be accessed by others: its mode must be 0640 or less";
	if (st->st_size > KEY_MAX_LENGTH)
		return key_fault_text(KEY_TOO_LONG);
	return NULL;
}

/*
 * Reads a file of the given size; the result has a zero byte after it.  A file
 * that turns out longer is being written to.
 */
static char *
read_all(int fd, size_t size, size_t *length, const char **fault)
{
	char	   *content = palloc(size + 1);
	size_t		filled = 0;
	ssize_t		got;

	do
	{
		got = read(fd, content + filled, size + 1 - filled);
		if (got > 0)
			filled += got;
	} while ((got > 0 && filled <= size) || (got < 0 && errno == EINTR));

	*fault = NULL;
	if (got < 0)
		*fault = "could not be read";
	else if (filled > size)
		*fault = "changed while it was being read";
	else if (memchr(content, '\0', filled) != NULL)
		*fault = "is not in PEM format";
	if (*fault != NULL)
	{
		OPENSSL_cleanse(content, filled);
		pfree(content);
		return NULL;
	}
	content[filled] = '\0';
	*length = filled;
	return content;
}

/*
 * O_NOFOLLOW: the name must be the file itself.  O_NONBLOCK: opening a FIFO
 * must not wait for a writer.
 */
char *
key_file_read(const char *name, size_t *length, char **fault)
{
	char	   *content = NULL;
	char	   *path;
	const char *why;
	struct stat st;
	int			fd;

	if (!is_plain_name(name))
	{
		*fault = pstrdup("the name of a key file must be a plain file name: "
						 "without path separators, not beginning with a dot");
		return NULL;
	}
	if (imp_key_directory == NULL || imp_key_directory[0] == '\0')
	{
		*fault = psprintf("key file \"%s\" cannot be looked up: "
						  "imp_push.key_directory is not set", name);
		return NULL;
	}

	path = psprintf("%s/%s", imp_key_directory, name);
	fd = OpenTransientFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						   O_NOCTTY | PG_BINARY);
	if (fd < 0)
	{
		if (errno == ELOOP)
			*fault = psprintf("key file \"%s\" is a symbolic link", name);
		else
			*fault = psprintf("key file \"%s\" could not be opened: %m", name);
		return NULL;
	}
	if (fstat(fd, &st) != 0)
		why = "could not be examined";
	else
		why = stat_fault(&st);
	if (why == NULL)
		content = read_all(fd, st.st_size, length, &why);
	CloseTransientFile(fd);
	pfree(path);
	if (why != NULL)
		*fault = psprintf("key file \"%s\" %s", name, why);
	return content;
}
