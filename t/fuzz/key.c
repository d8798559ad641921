/*
 * key.c
 *		Fuzzes src/key.c: keys and certificates in PEM.
 *
 * The last byte says what the others are: PEM as it is, or DER that is put
 * into PEM, so that the parsers behind the base64 get their share.
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "fuzz.h"
#include "jwt.h"
#include "key.h"

enum
{
	AS_IT_IS,
	DER_KEY,
	DER_OLD_KEY,
	DER_CERTIFICATE,
	KINDS
};

static const char *const names[KINDS] = {
	[DER_KEY] = "PRIVATE KEY",
	[DER_OLD_KEY] = "EC PRIVATE KEY",
	[DER_CERTIFICATE] = "CERTIFICATE"
};

/* The text to parse, in a block of exactly its size. */
static char *
make_pem(struct input input, uint32_t kind, size_t *length)
{
	BIO		   *bio;
	char	   *made;
	struct input pem;

	if (kind == AS_IT_IS)
	{
		*length = input.left;
		return copy_bytes(input);
	}
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio(bio, names[kind], "", input.data, (long) input.left);
	pem.left = BIO_get_mem_data(bio, &made);
	pem.data = (uint8_t *) made;
	*length = pem.left;
	made = copy_bytes(pem);
	BIO_free(bio);
	return made;
}

static void
check_signing(const char *pem, size_t length)
{
	EVP_PKEY   *key = (EVP_PKEY *) pem;
	KeyFault	fault = key_parse_signing(pem, length, &key);
	unsigned char fingerprint[KEY_FINGERPRINT_LENGTH];
	char		token[JWT_SIZE];

	check("there is a key exactly if it is good",
		  (fault == KEY_OK) == (key != NULL));
	check("a fault has a text", key_fault_text(fault)[0] != '\0');
	if (key != NULL)
	{
		check("a good key signs",
			  jwt_sign(key, "TEAM000001", "KEY0000001", 1700000000, token));
		check("a good key has a fingerprint",
			  key_fingerprint(key, fingerprint));
	}
	EVP_PKEY_free(key);
}

/* A file may well hold both. */
static void
check_client(const char *pem, size_t length)
{
	int64		not_after = 0;
	bool		in_key;
	KeyFault	fault;

	fault = key_check_client(pem, length, pem, length, &not_after, &in_key);
	check("a fault has a text", key_fault_text(fault)[0] != '\0');
	if (fault == KEY_NOT_PRIVATE || fault == KEY_PASSPHRASE ||
		fault == KEY_MISMATCH)
		check("a fault of the key is called one", in_key);
	if (fault == KEY_NOT_CERTIFICATE)
		check("a fault of the certificate is called one", !in_key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t	kind = take_number(&input, KINDS);
	size_t		length;
	char	   *pem = make_pem(input, kind, &length);

	check_signing(pem, length);
	check_client(pem, length);
	check("OpenSSL's error queue is left empty", ERR_peek_error() == 0);
	free(pem);
	return 0;
}
