/*
 * payload.h
 *		The payload of a push: put in order, made to fit, written.
 *
 * Pure functions over buffers, for render_payload() and for tests that run
 * without a server.
 */
#ifndef IMP_PAYLOAD_H
#define IMP_PAYLOAD_H

#include "postgres.h"

/* data NULL: the key is absent.  Not zero-terminated. */
typedef struct PayloadText
{
	const char *data;
	size_t		length;
} PayloadText;

/* Texts are UTF-8; those marked JSON are compact JSON already. */
typedef struct Payload
{
	PayloadText title;
	PayloadText subtitle;
	PayloadText body;
	PayloadText title_loc_key;
	PayloadText title_loc_args; /* JSON */
	PayloadText loc_key;
	PayloadText loc_args;		/* JSON */
	bool		has_badge;
	int32		badge;
	PayloadText sound;
	PayloadText thread_id;
	PayloadText category;
	bool		mutable_content;
	bool		content_available;
	PayloadText interruption_level;
	PayloadText relevance_score;	/* JSON */
	PayloadText sender;
	PayloadText recipient;
	PayloadText group_id;
	PayloadText msg_id;
	PayloadText extra;			/* JSON */
	bool		extra_is_leftover;	/* it may go before the body is cut */
	bool		body_is_cut;	/* set by payload_fit(): ends in an ellipsis */
} Payload;

/*
 * Takes away what may go until the payload has at most limit bytes: first a
 * leftover extra, then the end of the body.  Returns its length, or 0 if it
 * does not fit even so.
 */
extern size_t payload_fit(Payload *payload, size_t limit);

/* Writes as many bytes as payload_fit() said; adds no zero byte. */
extern void payload_write(const Payload *payload, char *out);

#endif							/* IMP_PAYLOAD_H */
