/*
 * A message body while it arrives: in memory up to the inline limit, then (or earlier, when the server's memory for bodies is used up)
 * in a spool file written by worker threads. What is in memory per session is bounded by the limit plus two pieces, whatever is sent.
 */
#ifndef SERVICE_INTAKE_BODY_H
#define SERVICE_INTAKE_BODY_H

#include "mail/scan.h"
#include "service/server_private.h"

struct intake_body;

struct intake_body_options {
	struct server *server;
	struct loop *loop;
	uint64_t message_id; /* names the spool file */
	size_t inline_bytes;
	/* Room again after intake_body_is_full(). From the loop, never from inside a call. */
	void (*drained)(void *owner);
	void *owner;
};

struct intake_body *intake_body_new(const struct intake_body_options *options);
/* Removes the spool file unless it was taken. Safe at any moment, also while a write is under way. NULL is fine. */
void intake_body_free(struct intake_body *body);
/* Takes the bytes in every case; after an error they go nowhere and intake_body_finish() tells. */
void intake_body_append(struct intake_body *body, struct view bytes);
/* The writers are behind: stop reading from the client until drained(). */
bool intake_body_is_full(const struct intake_body *body);

struct intake_body_result {
	enum err err; /* ERR_OK, ERR_NO_SPACE, ERR_IO … */
	struct buf memory; /* the body, if it is not spooled: taken by the callee */
	char spool[64]; /* else its file, synced: the callee now answers for it */
	struct mail_scan scan; /* 8-bit, bare line ends, size */
	unsigned received_fields; /* in the header section */
	struct view header; /* the header section (of a spooled body its first 128 KiB), borrowed during the call */
};
/* No more bytes follow: finished() is called once, now (when nothing was spooled) or later from the loop. */
void intake_body_finish(struct intake_body *body, void (*finished)(void *owner, struct intake_body_result *result));

#endif
