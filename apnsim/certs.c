/*
 * certs.c
 *		Makes the certificates of a simulator that has none yet.
 *
 * It never replaces a certificate that names all the hosts it should, so a
 * test may put one of its own there, an expired one for instance.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs.h"
#include "complain.h"

enum
{
	SECONDS = 3650 * 86400,		/* ten years */
	PATH_SIZE = 4096
};

/* A certificate with its key. */
struct pair
{
	X509	   *certificate;
	EVP_PKEY   *key;
};

static void
free_pair(struct pair *pair)
{
	X509_free(pair->certificate);
	EVP_PKEY_free(pair->key);
}

static FILE *
open_file(const char *dir, const char *name, const char *end, const char *mode)
{
	char		path[PATH_SIZE];
	int			fd;

	snprintf(path, sizeof(path), "%s/%s.%s", dir, name, end);
	if (mode[0] == 'r')
		return fopen(path, mode);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  strcmp(end, "key") == 0 ? 0600 : 0644);
	return fd >= 0 ? fdopen(fd, mode) : NULL;
}

/* False: one of the two is missing or unreadable. */
static bool
read_pair(struct pair *pair, const char *dir, const char *name)
{
	FILE	   *certificate = open_file(dir, name, "pem", "r");
	FILE	   *key = open_file(dir, name, "key", "r");

	if (certificate != NULL)
	{
		pair->certificate = PEM_read_X509(certificate, NULL, NULL, NULL);
		fclose(certificate);
	}
	if (key != NULL)
	{
		pair->key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
		fclose(key);
	}
	if (pair->certificate != NULL && pair->key != NULL)
		return true;
	free_pair(pair);
	memset(pair, 0, sizeof(*pair));
	return false;
}

static bool
write_pair(const struct pair *pair, const char *dir, const char *name)
{
	FILE	   *certificate = open_file(dir, name, "pem", "w");
	FILE	   *key = open_file(dir, name, "key", "w");
	bool		done;

	done = certificate != NULL && key != NULL &&
		PEM_write_X509(certificate, pair->certificate) == 1 &&
		PEM_write_PrivateKey(key, pair->key, NULL, NULL, 0, NULL, NULL) == 1;
	if (certificate != NULL && fclose(certificate) != 0)
		done = false;
	if (key != NULL && fclose(key) != 0)
		done = false;
	if (!done)
		complain("could not write %s/%s.pem and .key", dir, name);
	return done;
}

static bool
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	context;
	X509_EXTENSION *extension;
	bool		done;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return done;
}

/* A serial number that no other certificate of this CA has. */
static bool
set_serial(X509 *certificate)
{
	ASN1_INTEGER *number = X509_get_serialNumber(certificate);
	uint64_t	serial;

	return RAND_bytes((unsigned char *) &serial, sizeof(serial)) == 1 &&
		ASN1_INTEGER_set_uint64(number, serial >> 1) == 1;
}

/* A fresh key and a certificate with everything but extensions. */
static bool
begin_pair(struct pair *pair, const char *common_name, X509 *issuer)
{
	X509_NAME  *name = X509_NAME_new();
	X509	   *certificate = X509_new();
	bool		done;

	pair->certificate = certificate;
	pair->key = EVP_EC_gen("P-256");
	done = name != NULL && certificate != NULL && pair->key != NULL &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
								   (const unsigned char *) common_name,
								   -1, -1, 0) == 1 &&
		X509_set_version(certificate, 2) == 1 && set_serial(certificate) &&
		X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(certificate), SECONDS) != NULL &&
		X509_set_subject_name(certificate, name) == 1 &&
		X509_set_issuer_name(certificate, issuer != NULL ?
							 X509_get_subject_name(issuer) : name) == 1 &&
		X509_set_pubkey(certificate, pair->key) == 1;
	X509_NAME_free(name);
	return done;
}

static bool
make_ca(struct pair *ca)
{
	return begin_pair(ca, "apnsim CA", NULL) &&
		add_extension(ca->certificate, ca->certificate, NID_basic_constraints,
					  "critical,CA:TRUE") &&
		add_extension(ca->certificate, ca->certificate, NID_key_usage,
					  "critical,keyCertSign,cRLSign") &&
		add_extension(ca->certificate, ca->certificate,
					  NID_subject_key_identifier, "hash") &&
		X509_sign(ca->certificate, ca->key, EVP_sha256()) > 0;
}

static bool
make_server(struct pair *server, const struct pair *ca,
			const struct options *options)
{
	char		names[2048] = "DNS:localhost,IP:127.0.0.1";
	size_t		used = strlen(names);
	int			i;

	for (i = 0; i < options->n_names && used < sizeof(names); i++)
		used += (size_t) snprintf(names + used, sizeof(names) - used,
								  ",DNS:%s", options->names[i]);
	return used < sizeof(names) &&
		begin_pair(server, "localhost", ca->certificate) &&
		add_extension(server->certificate, ca->certificate,
					  NID_subject_alt_name, names) &&
		add_extension(server->certificate, ca->certificate, NID_ext_key_usage,
					  "serverAuth") &&
		add_extension(server->certificate, ca->certificate,
					  NID_authority_key_identifier, "keyid") &&
		X509_sign(server->certificate, ca->key, EVP_sha256()) > 0;
}

static bool
names_all(const struct pair *server, const struct options *options)
{
	int			i;

	for (i = 0; i < options->n_names; i++)
		if (X509_check_host(server->certificate, options->names[i],
							0, 0, NULL) != 1)
			return false;
	return true;
}

static bool
make_missing(struct pair *ca, struct pair *server,
			 const struct options *options)
{
	if (!read_pair(ca, options->dir, "ca"))
	{
		if (!make_ca(ca) || !write_pair(ca, options->dir, "ca"))
			return false;
	}
	return make_server(server, ca, options) &&
		write_pair(server, options->dir, "server");
}

bool
certs_make(const struct options *options)
{
	struct pair ca = {NULL, NULL};
	struct pair server = {NULL, NULL};
	bool		done;

	done = read_pair(&server, options->dir, "server") &&
		names_all(&server, options);
	if (!done)
	{
		free_pair(&server);
		memset(&server, 0, sizeof(server));
		done = make_missing(&ca, &server, options);
	}
	if (!done)
		complain("could not make certificates in \"%s\"", options->dir);
	free_pair(&ca);
	free_pair(&server);
	return done;
}
