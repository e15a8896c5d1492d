/*
 * Return addresses of our making: what is forwarded through an alias goes with one (SRS, policy/srs.h), and so do the copies of a stream with signed
 * bounces (queue/bounce_address.h). The queue keeps the sender's own reverse-path: only what is said to the next server is another.
 */
#ifndef SERVICE_RETURN_PATH_H
#define SERVICE_RETURN_PATH_H

#include "queue/bounce_address.h"
#include "service/dispatcher_private.h"

/* The domain of ours at which mail from outside gets its return address when it leaves again for `address`, which an alias of ours led this recipient
 * to. Empty: it keeps the sender's. Text of the message's. It is part of a delivery's way: who needs another return address goes in another
 * transaction. */
struct view return_path_domain(struct dispatcher *dispatcher, struct message *message,
	const struct queue_recipient *recipient, struct view address);
/* The reverse-path to say to the next server for this delivery: the message's own, or one of our making, appended to *out (empty before). The view is
 * good as long as both live. Every recipient of the delivery has the same: see delivery->way.return_domain and return_path_is_single(). */
struct view return_path_for(const struct delivery *delivery, struct buf *out);
/* This recipient's copy has a return address of its own: it goes alone. */
bool return_path_is_single(const struct config *config, const struct queue_recipient *recipient);

/* What a recipient's address at one of our domains says. */
enum return_path_kind {
	RETURN_PATH_NONE, /* nothing: an address like others */
	RETURN_PATH_FORWARDED, /* a bounce to what we forwarded: it goes on to *ret_address */
	RETURN_PATH_SIGNED, /* a bounce to a signed address: it belongs to the mailbox ret_token->base */
	RETURN_PATH_REFUSED, /* *ret_reply says why */
};
/* `local` as written; `sender_is_null`: the reverse-path is. */
enum return_path_kind return_path_read(struct server *server, const struct config *config, struct view local,
	bool sender_is_null, struct buf *ret_address, struct bounce_token *ret_token, struct smtp_reply *ret_reply);

#endif
