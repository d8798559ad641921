/*
 * jwt.c
 *		Verifies provider tokens (RFC 7519, ES256) and remembers the verdict.
 *
 * A signature costs about as much as two requests' worth of everything else,
 * and a client sends the same token thousands of times: so a verdict belongs
 * to a token's text.  How old a token may be is not decided here, because
 * that changes while the text does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "complain.h"
#include "json.h"
#include "jwt.h"

enum
{
	MAX_TOKEN = 2048,			/* Apple's have about 200 bytes */
	MAX_SIGNERS = 256,
	CACHE_SIZE = 4096,			/* tokens; the oldest gives way */
	BUCKETS = 4096,
	SIGNATURE = 64				/* R and S, 32 bytes each */
};

struct entry
{
	struct jwt	jwt;
	struct entry *next;			/* in its bucket */
	uint64_t	hash;
	size_t		length;
	char	   *text;
};

struct jwts
{
	EVP_PKEY   *keys[MAX_KEYS];
	int			n_keys;			/* the first n_keys signers have a key */
	bool		trust_any_key;
	struct signer signers[MAX_SIGNERS];
	int			n_signers;
	struct entry entries[CACHE_SIZE];
	int			next_entry;
	struct entry *buckets[BUCKETS];
	struct entry *last;			/* most requests ask for the same one */
};

/* The three parts of a token, and what the first two say. */
struct parts
{
	struct text signed_part;	/* header, dot, claims */
	unsigned char header[MAX_TOKEN];
	unsigned char claims[MAX_TOKEN];
	unsigned char signature[MAX_TOKEN];
	struct text team;
	struct text key_id;
	int64_t		issued_at;
};

static EVP_PKEY *
read_public_key(const char *file)
{
	EVP_PKEY   *key = NULL;
	char		group[32];
	FILE	   *f = fopen(file, "r");

	if (f != NULL)
	{
		key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
		fclose(f);
	}
	if (key != NULL &&
		EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
		strcmp(group, "prime256v1") == 0)
		return key;
	complain("\"%s\" is no public key on P-256 in PEM", file);
	EVP_PKEY_free(key);
	return NULL;
}

static struct signer *
add_signer(struct jwts *jwts, struct text team, struct text key_id)
{
	struct signer *signer;

	if (jwts->n_signers == MAX_SIGNERS || team.length >= JWT_ID ||
		key_id.length >= JWT_ID)
		return NULL;
	signer = &jwts->signers[jwts->n_signers++];
	memset(signer, 0, sizeof(*signer));
	memcpy(signer->team, team.data, team.length);
	memcpy(signer->key_id, key_id.data, key_id.length);
	return signer;
}

static bool
add_key(struct jwts *jwts, const struct key_option *key)
{
	struct text team = text_of(key->team, strlen(key->team));
	struct text key_id = text_of(key->key_id, strlen(key->key_id));

	jwts->keys[jwts->n_keys] = read_public_key(key->file);
	if (jwts->keys[jwts->n_keys] == NULL)
		return false;
	jwts->n_keys++;
	if (add_signer(jwts, team, key_id) == NULL)
		return complain("a team or key id is longer than %d bytes", JWT_ID - 1);
	return true;
}

struct jwts *
jwts_new(const struct options *options)
{
	struct jwts *jwts = calloc(1, sizeof(*jwts));
	int			i;

	if (jwts == NULL)
		return NULL;
	jwts->trust_any_key = options->trust_any_key;
	for (i = 0; i < options->n_keys; i++)
	{
		if (!add_key(jwts, &options->keys[i]))
		{
			jwts_free(jwts);
			return NULL;
		}
	}
	return jwts;
}

void
jwts_free(struct jwts *jwts)
{
	int			i;

	if (jwts == NULL)
		return;
	for (i = 0; i < MAX_KEYS; i++)
		EVP_PKEY_free(jwts->keys[i]);
	for (i = 0; i < CACHE_SIZE; i++)
		free(jwts->entries[i].text);
	free(jwts);
}

static int
base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/*
 * Without padding, as RFC 7515 has it.  The result has at most as many bytes
 * as the text.
 */
static bool
decode_base64url(struct text text, unsigned char *to, struct text *result)
{
	uint32_t	bits = 0;
	int			n_bits = 0;
	size_t		n = 0;
	size_t		i;

	for (i = 0; i < text.length; i++)
	{
		int			digit = base64url_digit(text.data[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t) digit;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			to[n++] = (unsigned char) (bits >> n_bits);
		}
	}
	result->data = (const char *) to;
	result->length = n;
	return n_bits < 6 && (bits & ((1u << n_bits) - 1)) == 0;
}

/* Cuts off what stands before the next dot, or everything. */
static struct text
next_part(struct text *rest)
{
	const char *dot = memchr(rest->data, '.', rest->length);
	struct text part = *rest;

	if (dot == NULL)
	{
		rest->data += rest->length;
		rest->length = 0;
		return part;
	}
	part.length = (size_t) (dot - part.data);
	rest->data = dot + 1;
	rest->length -= part.length + 1;
	return part;
}

static bool
parse_header(struct parts *parts, struct text header)
{
	struct json_member members[] = {{"alg", {NULL, 0}}, {"kid", {NULL, 0}}};
	struct text algorithm;

	return json_object(header, members, 2) &&
		json_plain_string(members[0].value, &algorithm) &&
		text_is(algorithm, "ES256") &&
		json_plain_string(members[1].value, &parts->key_id);
}

static bool
parse_claims(struct parts *parts, struct text claims)
{
	struct json_member members[] = {{"iss", {NULL, 0}}, {"iat", {NULL, 0}}};

	return json_object(claims, members, 2) &&
		json_plain_string(members[0].value, &parts->team) &&
		json_integer(members[1].value, &parts->issued_at);
}

static bool
parse_token(struct parts *parts, struct text token)
{
	struct text rest = token;
	struct text header;
	struct text claims;
	struct text signature;

	if (!decode_base64url(next_part(&rest), parts->header, &header) ||
		!decode_base64url(next_part(&rest), parts->claims, &claims))
		return false;
	parts->signed_part.data = token.data;
	if (rest.length == 0)
		return false;
	parts->signed_part.length = (size_t) (rest.data - token.data) - 1;
	return decode_base64url(rest, parts->signature, &signature) &&
		signature.length == SIGNATURE &&
		parse_header(parts, header) && parse_claims(parts, claims);
}

/* OpenSSL wants the signature in DER. */
static bool
verify_signature(EVP_PKEY *key, const struct parts *parts)
{
	ECDSA_SIG  *pair = ECDSA_SIG_new();
	const unsigned char *second = parts->signature + SIGNATURE / 2;
	BIGNUM	   *r = BN_bin2bn(parts->signature, SIGNATURE / 2, NULL);
	BIGNUM	   *s = BN_bin2bn(second, SIGNATURE / 2, NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	int			length = 0;
	bool		good = false;

	if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s))
	{
		r = s = NULL;			/* now the pair's */
		length = i2d_ECDSA_SIG(pair, &der);
	}
	if (length > 0 && context != NULL &&
		EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1)
		good = EVP_DigestVerify(context, der, (size_t) length,
								(const unsigned char *) parts->signed_part.data,
								parts->signed_part.length) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(context);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return good;
}

/* The signer's place in the list, or -1. */
static int
find_signer(const struct jwts *jwts, const struct parts *parts)
{
	int			i;

	for (i = 0; i < jwts->n_signers; i++)
		if (text_is(parts->team, jwts->signers[i].team) &&
			text_is(parts->key_id, jwts->signers[i].key_id))
			return i;
	return -1;
}

static void
judge_token(struct jwts *jwts, struct jwt *jwt, struct text token)
{
	struct parts parts;
	int			place;

	if (!parse_token(&parts, token))
		return;
	place = find_signer(jwts, &parts);
	if (place >= 0 && place < jwts->n_keys)
		jwt->valid = verify_signature(jwts->keys[place], &parts);
	else
		jwt->valid = jwts->trust_any_key;
	if (!jwt->valid)
		return;
	jwt->issued_at = parts.issued_at;
	jwt->signer = place >= 0 ? &jwts->signers[place] :
		add_signer(jwts, parts.team, parts.key_id);
	jwt->valid = jwt->signer != NULL;
}

/* FNV-1a */
static uint64_t
hash_text(struct text text)
{
	uint64_t	hash = UINT64_C(14695981039346656037);
	size_t		i;

	for (i = 0; i < text.length; i++)
		hash = (hash ^ (unsigned char) text.data[i]) * UINT64_C(1099511628211);
	return hash;
}

static void
unlink_entry(struct jwts *jwts, struct entry *entry)
{
	struct entry **place = &jwts->buckets[entry->hash % BUCKETS];

	while (*place != entry)
		place = &(*place)->next;
	*place = entry->next;
	free(entry->text);
	memset(entry, 0, sizeof(*entry));
}

static struct entry *
add_entry(struct jwts *jwts, struct text token, uint64_t hash)
{
	struct entry *entry = &jwts->entries[jwts->next_entry];
	char	   *copy = malloc(token.length + 1);

	if (copy == NULL)
		return NULL;
	jwts->next_entry = (jwts->next_entry + 1) % CACHE_SIZE;
	if (entry->text != NULL)
		unlink_entry(jwts, entry);
	memcpy(copy, token.data, token.length);
	entry->text = copy;
	entry->length = token.length;
	entry->hash = hash;
	entry->next = jwts->buckets[hash % BUCKETS];
	jwts->buckets[hash % BUCKETS] = entry;
	judge_token(jwts, &entry->jwt, token);
	return entry;
}

static bool
entry_is(const struct entry *entry, struct text token)
{
	return entry != NULL && entry->text != NULL &&
		entry->length == token.length &&
		memcmp(entry->text, token.data, token.length) == 0;
}

struct jwt *
jwt_look_up(struct jwts *jwts, struct text token)
{
	struct entry *entry;
	uint64_t	hash;

	if (entry_is(jwts->last, token))
		return &jwts->last->jwt;
	if (token.length >= MAX_TOKEN)
		return NULL;
	hash = hash_text(token);
	entry = jwts->buckets[hash % BUCKETS];
	while (entry != NULL && !(entry->hash == hash && entry_is(entry, token)))
		entry = entry->next;
	if (entry == NULL)
		entry = add_entry(jwts, token, hash);
	if (entry == NULL)
		return NULL;
	jwts->last = entry;
	return &entry->jwt;
}
