/*
 * DKIM's signer: RFC 6376 §5, RFC 8301, RFC 8463. One pass over the message makes as many signatures as there are keys: RSA for everybody
 * and Ed25519 beside it. No I/O, no clock.
 *
 *   dkim_signer_new(&options, &signer);
 *   dkim_signer_headers(signer, header_section);
 *   dkim_signer_body(signer, piece) …
 *   dkim_signer_finish(signer, &out);          the fields that go on top of the message
 *   dkim_signer_free(signer);
 */
#ifndef MAILAUTH_DKIM_SIGN_H
#define MAILAUTH_DKIM_SIGN_H

#include "crypto/signature.h"
#include "mailauth/dkim.h"

#define DKIM_SIGN_KEYS_MAX 4u

struct dkim_sign_key {
	struct view selector;
	const struct signature_private *key; /* borrowed until the signer is freed; RSA of at least DKIM_RSA_MIN_BITS */
};

/* A header field to be signed: as often as it occurs, and if `seals`, once more, so that another one added on the way breaks the
 * signature (RFC 6376 §8.15). */
struct dkim_sign_field {
	struct view name;
	bool seals;
};
/* What is signed unless the options say otherwise: what a reader sees or a program acts on (RFC 6376 §5.4.1, RFC 8058 §4). Sealed are
 * those that a message has once and that no forwarder adds. */
extern const struct dkim_sign_field dkim_sign_fields[];
extern const size_t dkim_sign_field_count;

struct dkim_sign_options {
	struct view domain; /* A-labels */
	size_t key_count; /* 1–DKIM_SIGN_KEYS_MAX */
	const struct dkim_sign_key *keys;
	size_t field_count; /* 0: dkim_sign_fields */
	const struct dkim_sign_field *fields;
	enum dkim_canon header_canon, body_canon; /* zero is relaxed */
	uint64_t now_s;
	uint64_t lifetime_s; /* x= is that much behind t=; 0: no x= */
};

struct dkim_signer;

/* Copies the options, but for the keys. ERR_SYNTAX for a domain, selector or field that is none (err_detail()), ERR_LIMIT for too many or
 * too short keys. */
enum err dkim_signer_new(const struct dkim_sign_options *options, struct dkim_signer **ret) MUST_CHECK;
/* NULL is fine. */
void dkim_signer_free(struct dkim_signer *signer);
/* The header section with the fields as they will be sent (or the message), read during the call. Before the body, once: ERR_STATE.
 * ERR_REFUSED unless there is exactly one From field: who reads such a message may see another sender than the signed one; and if the
 * section begins with a folded line. ERR_LIMIT for too many fields. */
enum err dkim_signer_headers(struct dkim_signer *signer, struct view headers) MUST_CHECK;
/* Pieces of any size. ERR_STATE before the header section or after the finish. */
enum err dkim_signer_body(struct dkim_signer *signer, struct view piece) MUST_CHECK;
/* Appends one DKIM-Signature field for each key, with CRLF, folded to 78 columns where its words allow it; nothing if it fails. This is where
 * RSA takes its time (about 0.4 ms with 2048 bits). Once: ERR_STATE. */
enum err dkim_signer_finish(struct dkim_signer *signer, struct buf *out) MUST_CHECK;

#endif
