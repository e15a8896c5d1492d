/*
 * DKIM signatures on what leaves from here: mail that is submitted, and mail that we write ourselves. A message is signed once, where it comes in,
 * and nothing of it changes from there on.
 *
 * Who is signed for (docs/decisions/0013): the domain of the one From field, or the nearest domain of ours above it; an account only if that is its
 * own domain, or that of its reverse-path, which was checked before. A stream's dkim_domain takes the place of all that.
 *
 *   signing_message_new(&options)          before the data
 *   signing_message_tap()                  into the session's taps
 *   signing_message_finish(…, done, owner) behind the end of the data; done() when the fields are there
 *   signing_message_free()                 at any moment
 */
#ifndef SERVICE_SIGNING_H
#define SERVICE_SIGNING_H

#include "mailauth/arc_seal.h"
#include "service/intake_tap.h"
#include "service/server_private.h"
#include "service/signing_keys.h"

struct signing;

struct signing *signing_new(void);
void signing_free(struct signing *signing); /* NULL is fine */
/* Reads the keys and replaces the old ones at once. Any thread. */
enum err signing_load(struct signing *signing, struct db *db) MUST_CHECK;
/* False: there is nothing to sign with. Any thread, and free. NULL is fine. */
bool signing_has_keys(const struct signing *signing);
/* The keys of now, held: signing_keys_unref(). Any thread. */
struct signing_keys *signing_keys_now(struct signing *signing);

struct signing_message;

struct signing_options {
	struct server *server;
	struct loop *loop;
	const struct config *config; /* outlives the object */
	const struct queue_message
		*envelope; /* the same; its recipients' streams are looked at when the header section comes */
	struct view account; /* that it was submitted with; empty: somebody who may send as anybody here. Copied */
};

/* NULL: nothing is to be signed here. */
struct signing_message *signing_message_new(const struct signing_options *options);
struct intake_tap *signing_message_tap(struct signing_message *message);
/* Once, behind the end of the data. done() is called once, now or later from the loop: `fields` are the complete signature fields to put on top, empty if
 * nothing is signed. On an error the message must not go out: its owner wants it signed. */
void signing_message_finish(
	struct signing_message *message, void (*done)(void *owner, enum err err, struct view fields), void *owner);
/* Takes its tap out; done() is not called any more. NULL is fine. */
void signing_message_free(struct signing_message *message);

/*
 * ARC's seal on mail from outside that we forward, in the same way: by the domain that forwards it. Unlike a signature a seal is a favour: where it can't be
 * made, the message goes without.
 */
struct signing_seal;

/* `domain` or the nearest of ours above it seals; NULL: it has no key. Of the options account and envelope do not matter. */
struct signing_seal *signing_seal_new(const struct signing_options *options, struct view domain);
struct intake_tap *signing_seal_tap(struct signing_seal *seal);
/* As signing_message_finish(); `finish` is copied. Never an error. */
void signing_seal_finish(struct signing_seal *seal, const struct arc_seal_finish *finish,
	void (*done)(void *owner, struct view fields), void *owner);
void signing_seal_free(struct signing_seal *seal);

/* A message of our own making, header section and body, as it will be sent: appends its signature fields; nothing if there is no key for the domain of its
 * From field. Blocking arithmetic (1 ms with RSA): not on a loop that others wait for. Any thread. */
enum err signing_sign_message(
	struct server *server, const struct config *config, struct view content, struct buf *out) MUST_CHECK;

#endif
