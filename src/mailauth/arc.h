/*
 * ARC (RFC 8617): what servers before us found out about a message, sealed by each. This is the verifier of the chain; arc_seal.h adds to it. Used as
 * dkim.h's verifier is: no I/O, no clock, keys are asked for and answered, the message is read once and not kept.
 *
 *   struct arc_verifier *verifier = arc_verifier_new(&options);
 *   arc_verifier_headers(verifier, header_section);
 *   arc_verifier_body(verifier, piece) …, arc_verifier_end(verifier);
 *   while (arc_verifier_next(verifier, &need))
 *           … arc_verifier_answer(verifier, need.token, status, &answer) …    in any order, before or after the body
 *   arc_verifier_verdict(verifier, &verdict);          once arc_verifier_is_done()
 *   arc_verifier_free(verifier);
 */
#ifndef MAILAUTH_ARC_H
#define MAILAUTH_ARC_H

#include "mailauth/dkim.h"

#define ARC_SETS_MAX 50u /* RFC 8617 §5.2: more make the chain fail */
/* What a chain may cost, as in dkim.h. All its seals and the latest message signature must fit into this, or it fails: with RSA-2048 fifty sets do, with RSA-4096
 * thirty-nine, with Ed25519 thirty. Older message signatures are looked at with what is left, and while DKIM_HEADER_BYTES_MAX lasts. */
#define ARC_WORK_MAX 3000u
#define ARC_RESULTS_MAX_BYTES 4096u /* of one ARC-Authentication-Results: a longer one is not looked into */

enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL }; /* RFC 8617 §4.4 */
enum { ARC_RESULT_COUNT = ARC_FAIL + 1 };
struct view arc_result_name(enum arc_result result);

struct arc_verdict {
	enum arc_result result;
	const char *reason; /* static; NULL unless it failed */
	bool is_temporary; /* it failed because DNS did not answer */
	unsigned set_count; /* the highest instance */
	unsigned oldest_pass; /* header.oldest-pass: the message is as it was since that instance; 0: since the first */
	unsigned ignored; /* older ARC-Message-Signatures that were not looked at */
	bool was_failed; /* a seal says that the chain had failed before: nobody adds to it (RFC 8617 §5.1) */
};

struct arc_verifier;

/* signatures_max and refuses_unsigned_body have no meaning here. */
struct arc_verifier *arc_verifier_new(const struct dkim_verify_options *options);
/* NULL is fine. */
void arc_verifier_free(struct arc_verifier *verifier);
/* As dkim_verifier_headers(), and the following as their namesakes there. */
enum err arc_verifier_headers(struct arc_verifier *verifier, struct view headers) MUST_CHECK;
enum err arc_verifier_body(struct arc_verifier *verifier, struct view piece) MUST_CHECK;
enum err arc_verifier_end(struct arc_verifier *verifier) MUST_CHECK;
bool arc_verifier_next(struct arc_verifier *verifier, struct dkim_need *ret);
enum err arc_verifier_answer(struct arc_verifier *verifier, uint64_t token, enum dkim_dns_status status,
	const struct dns_answer *answer) MUST_CHECK;
void arc_verifier_give_up(struct arc_verifier *verifier);
/* True when the end was told and no key is open; at once, if there is no chain or it is malformed. */
bool arc_verifier_is_done(const struct arc_verifier *verifier);
/* False while it is not done. */
bool arc_verifier_verdict(const struct arc_verifier *verifier, struct arc_verdict *ret);
size_t arc_verifier_memory_bytes(const struct arc_verifier *verifier);

/* One set of a chain that passed; false for another chain, and for an instance that is not there. Views live as long as the verifier. */
struct arc_set {
	struct view domain, selector; /* of the seal: A-labels, lower case */
	struct view
		results; /* ARC-Authentication-Results behind its instance, "id; spf=pass …": outside bytes; empty if too long */
};
bool arc_verifier_set(const struct arc_verifier *verifier, unsigned instance, struct arc_set *ret);

/* True if ARC-Authentication-Results (struct arc_set) has that result for that method: "dmarc", "pass". */
bool arc_results_say(struct view results, struct view method, struct view result);
/* True if a DMARC failure is to be overridden (RFC 8617 §7.2.1): the chain passed, and going back through the latest sets, all sealed by domains in
 * `trusted`, one says that DMARC passed there, and those behind it that the chain did. *ret_sealer is the domain that says so. */
bool arc_verifier_overrides(
	const struct arc_verifier *verifier, const char *const *trusted, size_t trusted_count, struct view *ret_sealer);

/* Appends what stands for the chain in Authentication-Results (RFC 8617 §10.1), without ";" or fold: `arc=pass header.oldest-pass=0
 * smtp.remote-ip=192.0.2.1`; `address` is the client's, empty: left out. */
enum err arc_format_result(const struct arc_verdict *verdict, struct view address, struct buf *out) MUST_CHECK;

#endif
