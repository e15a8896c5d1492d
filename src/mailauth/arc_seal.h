/*
 * ARC's sealer (RFC 8617 §5.1): what we found out about a message that we forward, with the chain so far, sealed by our key. One pass over the message as
 * it will be sent; no I/O, no clock. The state of the chain comes from arc.h's verifier, and is told at the end.
 *
 *   arc_sealer_new(&options, &sealer);
 *   arc_sealer_headers(sealer, header_section);
 *   arc_sealer_body(sealer, piece) …
 *   arc_sealer_finish(sealer, &finish, &out);          the three fields that go on top
 *   arc_sealer_free(sealer);
 */
#ifndef MAILAUTH_ARC_SEAL_H
#define MAILAUTH_ARC_SEAL_H

#include "mailauth/arc.h"
#include "mailauth/dkim_sign.h"

struct arc_seal_options {
	struct view domain; /* A-labels */
	struct dkim_sign_key key;
	size_t field_count; /* what the message signature covers; 0: as DKIM's, and DKIM-Signature */
	const struct dkim_sign_field *fields;
	uint64_t now_s;
};
struct arc_sealer;

/* Errors as dkim_signer_new(). */
enum err arc_sealer_new(const struct arc_seal_options *options, struct arc_sealer **ret) MUST_CHECK;
/* NULL is fine. */
void arc_sealer_free(struct arc_sealer *sealer);
/* As dkim_signer_headers(). Fields that come on top later (but for the three) must not be among those that are signed. ERR_REFUSED also for a message
 * that has more sets than there may be. */
enum err arc_sealer_headers(struct arc_sealer *sealer, struct view headers) MUST_CHECK;
enum err arc_sealer_body(struct arc_sealer *sealer, struct view piece) MUST_CHECK;

struct arc_seal_finish {
	struct arc_verdict verdict; /* of the chain as it came; nothing is sealed if it had failed before */
	struct view authserv_id;
	const struct view *results; /* as auth_results_format() takes them, arc= among them */
	size_t result_count;
};
/* Appends ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results; nothing if a chain that failed before, or failed for want of an answer, is not
 * to be added to (then ERR_OK), and on errors: as auth_results_format(), dkim_signer_finish(). RSA takes its time here. Once. */
enum err arc_sealer_finish(struct arc_sealer *sealer, const struct arc_seal_finish *finish, struct buf *out) MUST_CHECK;

#endif
