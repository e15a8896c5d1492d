/*
 * Signed bounce addresses: the return address of one recipient's copy of one message, which tells, when something comes back to it, whose it was:
 * "news+bounce-0r5kz9c2m4t7q-3-qwerty@example.com" for recipient 3 of message 0r5kz9c2m4t7q, from news@example.com. Pure.
 */
#ifndef QUEUE_BOUNCE_ADDRESS_H
#define QUEUE_BOUNCE_ADDRESS_H

#include "base/buf.h"

struct bounce_token {
	struct view base; /* "news": whose mailbox it is */
	uint64_t message_id;
	uint32_t index; /* of the recipient */
	struct view proof; /* outside bytes until checked */
};

/* Appends the local part. ERR_LIMIT when it would be longer than RFC 5321 §4.5.3.1.1 allows. */
enum err bounce_address_format(
	struct view key, struct view base, uint64_t message_id, uint32_t index, struct buf *out) MUST_CHECK;
/* False: no address of this form. Views into `local`. */
bool bounce_address_parse(struct view local, struct bounce_token *ret);
/* ERR_REFUSED: not of our making; ERR_TIMEOUT: the message is older than valid_ms. */
enum err bounce_address_check(
	struct view key, const struct bounce_token *token, int64_t now_ms, int64_t valid_ms) MUST_CHECK;

#endif
