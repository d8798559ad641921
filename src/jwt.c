/*
 * jwt.c
 *		Signs a provider token: a JSON Web Token with ES256.
 *
 * Owns the format that APNs reads: {"alg","kid"} . {"iss","iat"} . signature,
 * base64url without padding, the signature as the raw 64 bytes R and S and not
 * as OpenSSL's DER.  It must never raise an ERROR and never touch the
 * database: when a token may be made is provider_token.c's business.
 */
#include "postgres.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include "jwt.h"

#define ID_LENGTH			10
#define SIGNATURE_HALF		32
#define DER_SIGNATURE_SIZE	80	/* at most 72 for P-256 */

static bool
is_id(const char *id)
{
	const char *c;

	for (c = id; *c != '\0'; c++)
	{
		if (!((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
			  (*c >= 'a' && *c <= 'z')))
			return false;
	}
	return c - id == ID_LENGTH;
}

/* Returns the end of what it wrote; adds no zero byte. */
static char *
base64url(char *out, const unsigned char *data, size_t length)
{
	static const char *const digits =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32		bits = 0;
	int			held = 0;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		bits = (bits << 8) | data[i];
		for (held += 8; held >= 6; held -= 6)
			*out++ = digits[(bits >> (held - 6)) & 63];
	}
	if (held > 0)
		*out++ = digits[(bits << (6 - held)) & 63];
	return out;
}

/* R and S from DER, each left-padded to its 32 bytes. */
static bool
raw_signature(const unsigned char *der, size_t length,
			  unsigned char raw[2 * SIGNATURE_HALF])
{
	ECDSA_SIG  *signature = d2i_ECDSA_SIG(NULL, &der, (long) length);
	bool		done;

	done = signature != NULL &&
		BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw,
					 SIGNATURE_HALF) == SIGNATURE_HALF &&
		BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + SIGNATURE_HALF,
					 SIGNATURE_HALF) == SIGNATURE_HALF;
	ECDSA_SIG_free(signature);
	return done;
}

static bool
sign(EVP_PKEY *key, const char *text, size_t length,
	 unsigned char raw[2 * SIGNATURE_HALF])
{
	unsigned char der[DER_SIGNATURE_SIZE];
	size_t		der_length = sizeof(der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool		done;

	done = context != NULL &&
		EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(context, der, &der_length,
					   (const unsigned char *) text, length) == 1 &&
		raw_signature(der, der_length, raw);
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return done;
}

bool
jwt_sign(EVP_PKEY *key, const char *team_id, const char *key_id,
		 int64 issued_at, char out[JWT_SIZE])
{
	char		part[64];
	unsigned char signature[2 * SIGNATURE_HALF];
	char	   *end;
	int			length;

	if (!is_id(team_id) || !is_id(key_id))
		return false;

	length = snprintf(part, sizeof(part), "{\"alg\":\"ES256\",\"kid\":\"%s\"}",
					  key_id);
	end = base64url(out, (const unsigned char *) part, length);
	*end++ = '.';
	length = snprintf(part, sizeof(part),
					  "{\"iss\":\"%s\",\"iat\":" INT64_FORMAT "}",
					  team_id, issued_at);
	end = base64url(end, (const unsigned char *) part, length);
	if (!sign(key, out, end - out, signature))
		return false;
	*end++ = '.';
	end = base64url(end, signature, sizeof(signature));
	*end = '\0';
	return true;
}
