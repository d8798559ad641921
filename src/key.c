/*
 * key.c
 *		Private keys and certificates in PEM: parsed, and checked for use.
 *
 * Owns every judgement on a key: that it parses, has no passphrase, is on the
 * right curve, is a valid pair, and belongs to its certificate.  It must never
 * raise an ERROR (the caller may have secrets to wipe first), never put
 * anything of a key into a text, and never leave entries in OpenSSL's error
 * queue, which the server's own TLS code reads.
 */
#include "postgres.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "key.h"

typedef struct FaultText
{
	const char *text;
	const char *hint;
} FaultText;

static const FaultText fault_texts[] = {
	[KEY_OK] = {"is valid", ""},
	[KEY_TOO_LONG] = {
		"is longer than 64 kB",
		"Give one key, or one certificate with its chain."
	},
	[KEY_NOT_PRIVATE] = {
		"is not a private key in PEM format",
		"It is the whole text from -----BEGIN to -----END, with its line breaks."
	},
	[KEY_PASSPHRASE] = {
		"has a passphrase",
		"Remove it with: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
	},
	[KEY_NOT_P256] = {
		"is not a P-256 key",
		"Provider tokens are signed with the P-256 key of the .p8 file that "
		"Apple hands out."
	},
	[KEY_INCONSISTENT] = {
		"is damaged: its parts do not fit together",
		"Take the file once more from where it came."
	},
	[KEY_NOT_CERTIFICATE] = {
		"is not a certificate in PEM format",
		"It is the whole text from -----BEGIN to -----END, with its line breaks."
	},
	[KEY_MISMATCH] = {
		"does not belong to the client certificate",
		"Give the key with which this certificate was requested."
	},
};

const char *
key_fault_text(KeyFault fault)
{
	return fault_texts[fault].text;
}

const char *
key_fault_hint(KeyFault fault)
{
	return fault_texts[fault].hint;
}

/* Without a callback OpenSSL would ask on the terminal. */
static int
refuse_passphrase(char *buf, int size, int rwflag, void *arg)
{
	*(bool *) arg = true;
	return -1;
}

static KeyFault
parse_private(const char *pem, size_t length, EVP_PKEY **key)
{
	bool		asked = false;
	BIO		   *bio;

	*key = NULL;
	if (length > KEY_MAX_LENGTH)
		return KEY_TOO_LONG;
	bio = BIO_new_mem_buf(pem, (int) length);
	if (bio != NULL)
		*key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (*key != NULL)
		return KEY_OK;
	return asked ? KEY_PASSPHRASE : KEY_NOT_PRIVATE;
}

static bool
is_p256(EVP_PKEY *key)
{
	char		group[32];
	size_t		length;

	/* SM2 keys have a group as well, but are no "EC". */
	return EVP_PKEY_is_a(key, "EC") &&
		EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
									   group, sizeof(group), &length) == 1 &&
		(strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

/* Whether the private number is in range and fits the public point. */
static bool
is_valid_pair(EVP_PKEY *key)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool		valid = context != NULL && EVP_PKEY_check(context) == 1;

	EVP_PKEY_CTX_free(context);
	return valid;
}

KeyFault
key_parse_signing(const char *pem, size_t length, EVP_PKEY **key)
{
	KeyFault	fault = parse_private(pem, length, key);

	if (fault != KEY_OK)
		return fault;
	if (!is_p256(*key))
		fault = KEY_NOT_P256;
	else if (!is_valid_pair(*key))
		fault = KEY_INCONSISTENT;
	ERR_clear_error();
	if (fault != KEY_OK)
	{
		EVP_PKEY_free(*key);
		*key = NULL;
	}
	return fault;
}

/* The first certificate; what follows it must be readable too. */
static X509 *
parse_chain(const char *pem, size_t length)
{
	bool		asked = false;
	BIO		   *bio = BIO_new_mem_buf(pem, (int) length);
	X509	   *leaf = NULL;
	X509	   *next;
	unsigned long error;

	if (bio == NULL)
		return NULL;
	leaf = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &asked);
	if (leaf != NULL)
	{
		while ((next = PEM_read_bio_X509(bio, NULL, refuse_passphrase,
										 &asked)) != NULL)
			X509_free(next);
		error = ERR_peek_last_error();
		if (ERR_GET_LIB(error) != ERR_LIB_PEM ||
			ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		{
			X509_free(leaf);
			leaf = NULL;
		}
	}
	BIO_free(bio);
	ERR_clear_error();
	return leaf;
}

/* Seconds since 1970, without the C library's time zones. */
static bool
read_not_after(const X509 *certificate, int64 *not_after)
{
	ASN1_TIME  *epoch = ASN1_TIME_set(NULL, 0);
	int			days;
	int			seconds;
	bool		valid;

	valid = epoch != NULL &&
		ASN1_TIME_diff(&days, &seconds, epoch,
					   X509_get0_notAfter(certificate)) == 1;
	ASN1_TIME_free(epoch);
	if (valid)
		*not_after = (int64) days * 86400 + seconds;
	return valid;
}

KeyFault
key_check_client(const char *certificate, size_t certificate_length,
				 const char *key, size_t key_length,
				 int64 *not_after, bool *in_key)
{
	KeyFault	fault;
	X509	   *leaf;
	EVP_PKEY   *private = NULL;

	*in_key = false;
	if (certificate_length > KEY_MAX_LENGTH)
		return KEY_TOO_LONG;
	leaf = parse_chain(certificate, certificate_length);
	if (leaf == NULL)
		return KEY_NOT_CERTIFICATE;

	if (!read_not_after(leaf, not_after))
		fault = KEY_NOT_CERTIFICATE;
	else
	{
		*in_key = true;
		fault = parse_private(key, key_length, &private);
		if (fault == KEY_OK && X509_check_private_key(leaf, private) != 1)
			fault = KEY_MISMATCH;
	}
	EVP_PKEY_free(private);
	X509_free(leaf);
	ERR_clear_error();
	return fault;
}

bool
key_fingerprint(EVP_PKEY *key,
				unsigned char fingerprint[KEY_FINGERPRINT_LENGTH])
{
	unsigned char *der = NULL;
	int			length = i2d_PUBKEY(key, &der);
	bool		done;

	done = length > 0 &&
		EVP_Digest(der, length, fingerprint, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_free(der);
	ERR_clear_error();
	return done;
}
