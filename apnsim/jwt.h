/*
 * jwt.h
 *		Provider tokens: parsed and verified once, then known by their text.
 */
#ifndef APNSIM_JWT_H
#define APNSIM_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "text.h"

enum
{
	JWT_ID = 32					/* bytes of a team or key id, with the \0 */
};

/* What one signer, a team with a key, has done so far. */
struct signer
{
	char		team[JWT_ID];
	char		key_id[JWT_ID];
	int64_t		last_new;		/* when its last token was first seen, or 0 */
};

struct jwt
{
	bool		valid;			/* well-formed, known signer, good signature */
	bool		accepted;		/* counted among the signer's tokens */
	int64_t		issued_at;
	struct signer *signer;
};

struct jwts;

/* NULL: a key cannot be read; the message is on stderr. */
extern struct jwts *jwts_new(const struct options *options);
extern void jwts_free(struct jwts *jwts);

/*
 * What is known of this token.  The result is good until the next call.
 * NULL: longer than any provider token is, or out of memory.
 */
extern struct jwt *jwt_look_up(struct jwts *jwts, struct text token);

#endif
