/*
 * DKIM: RFC 6376 with RFC 8301 (no SHA-1, no short keys), RFC 8463 (Ed25519) and RFC 8616 (internationalised names). This is the
 * verifier; dkim_sign.h signs, dkim_record.h is about the keys in DNS. No I/O, no clock: the keys are asked for and answered. The message
 * is read once, in pieces; neither its header section nor its body is kept.
 *
 *   struct dkim_verifier *verifier = dkim_verifier_new(&options);
 *   dkim_verifier_headers(verifier, header_section);
 *   dkim_verifier_body(verifier, piece) …, dkim_verifier_end(verifier);
 *   while (dkim_verifier_next(verifier, &need))              as soon as the header section is in
 *           … dkim_verifier_answer(verifier, need.token, status, &answer) …    in any order, before or after the body
 *   for (i = 0; i < dkim_verifier_count(verifier); i++)      once dkim_verifier_is_done()
 *           dkim_verifier_result(verifier, i, &result);
 *   dkim_verifier_free(verifier);
 */
#ifndef MAILAUTH_DKIM_H
#define MAILAUTH_DKIM_H

#include "base/buf.h"
#include "dns/message.h"

#define DKIM_SIGNATURES_DEFAULT 10u
#define DKIM_SIGNATURES_MAX 32u
#define DKIM_RSA_MIN_BITS 1024u /* RFC 8301 §3.2 */
#define DKIM_RSA_MAX_BITS                                                                                              \
	4096u /* the same asks verifiers for no more, and a longer one takes milliseconds of a loop for each signature */
#define DKIM_CLOCK_SKEW_S 300u

/*
 * What one message may cost. Whoever sends it chooses its signatures, the fields that they name, and the keys that are published for them, so all of that
 * is bounded, in ways that do not depend on when DNS answers:
 * - Work with keys (signature_public_work(): RSA-2048 26, Ed25519 96; the dearest key, RSA-4096 with the longest exponent, 130), of which each signature has
 *   an equal share. Where several keys are published at one name, the first that the signature could be of is always tried, the others while the share
 *   lasts; a signature that may have needed another one is DKIM_POLICY. Ten signatures can try four keys of RSA-2048 each, or two of RSA-4096.
 * - Bytes of header fields hashed, over all signatures in the order of their fields: one may name all of 256 KiB. What goes over it is DKIM_POLICY.
 * The body is hashed once for each canonicalisation, however many signatures there are.
 */
#define DKIM_WORK_MAX 1500u
#define DKIM_HEADER_BYTES_MAX (512u * 1024)

enum dkim_result { /* RFC 8601 §2.7.1 */
	DKIM_PASS,
	DKIM_FAIL, /* the body or the header fields are not what was signed */
	DKIM_NEUTRAL, /* the signature field is malformed */
	DKIM_POLICY, /* valid or not, we don't accept such a signature: a short or very long key, an unsigned part */
	DKIM_TEMPERROR, /* no answer from DNS */
	DKIM_PERMERROR, /* no usable key, expired, an algorithm that is not (or no longer) one, From not signed … */
};
enum { DKIM_RESULT_COUNT = DKIM_PERMERROR + 1 };
/* "pass", "fail" … as Authentication-Results writes it. */
struct view dkim_result_name(enum dkim_result result);

enum dkim_canon { DKIM_RELAXED, DKIM_SIMPLE };
enum dkim_algorithm { DKIM_UNKNOWN_ALGORITHM, DKIM_RSA_SHA1, DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
/* "rsa-sha256"; empty for DKIM_UNKNOWN_ALGORITHM. */
struct view dkim_algorithm_name(enum dkim_algorithm algorithm);

struct dkim_keys; /* dkim_keys.h */

/* Zeroed means the defaults. */
struct dkim_verify_options {
	uint64_t now_s; /* Unix time */
	uint64_t clock_skew_s; /* DKIM_CLOCK_SKEW_S: how far t= may lie ahead and x= behind */
	size_t signatures_max; /* DKIM_SIGNATURES_DEFAULT; from the top down, the others are only counted; at most DKIM_SIGNATURES_MAX */
	unsigned rsa_min_bits; /* DKIM_RSA_MIN_BITS, and never less */
	bool refuses_unsigned_body; /* an l= that leaves a part of the body unsigned is DKIM_POLICY, not DKIM_PASS (RFC 6376 §8.2) */
	struct dkim_keys *keys; /* parsed keys to be used again; NULL is fine; outlives the verifier */
};

/* A key that is wanted: the TXT records of `name`, in A-labels and lower case. */
struct dkim_need {
	uint64_t token;
	struct view name; /* borrowed from the verifier */
};
enum dkim_dns_status {
	DKIM_DNS_OK, /* NOERROR, with or without records */
	DKIM_DNS_NXDOMAIN,
	DKIM_DNS_FAILED, /* a time-out, any other rcode, a malformed or bogus answer: try again later */
};

/* One signature's fate. Views live as long as the verifier. Those that the field did not have, or had malformed, are empty. */
struct dkim_signature {
	enum dkim_result result;
	const char *reason; /* static; NULL with DKIM_PASS */
	struct view domain, selector; /* d=, s=: A-labels, lower case */
	struct view identity; /* i=, decoded, or "@" and d=; without control characters, maybe UTF-8: outside bytes */
	struct view signature; /* b=, base64 without white space: header.b of RFC 6008 is its front */
	enum dkim_algorithm algorithm;
	unsigned key_bits; /* 0 if there was no key */
	bool is_testing; /* the key has t=y: a pass counts, a failure is to be treated as no signature (RFC 6376 §3.6.1) */
	bool has_unsigned_body; /* the body goes on behind what l= covers */
	uint64_t time_s, expiry_s; /* t=, x=; 0 if absent */
};

struct dkim_verifier;

struct dkim_verifier *dkim_verifier_new(const struct dkim_verify_options *options);
/* NULL is fine. */
void dkim_verifier_free(struct dkim_verifier *verifier);

/* The message's header section, or the message: nothing behind the empty line is looked at. Read during the call only. ERR_STATE if it was
 * given before. A section of more than 4096 fields makes every signature DKIM_POLICY. */
enum err dkim_verifier_headers(struct dkim_verifier *verifier, struct view headers) MUST_CHECK;
/* The body in pieces of any size, then its end. Only after the header section, and not after the end: ERR_STATE. */
enum err dkim_verifier_body(struct dkim_verifier *verifier, struct view piece) MUST_CHECK;
enum err dkim_verifier_end(struct dkim_verifier *verifier) MUST_CHECK;
/* The next key to be asked for; each is told once, however many signatures want it. */
bool dkim_verifier_next(struct dkim_verifier *verifier, struct dkim_need *ret);
/* `answer` is read during the call, and not looked at unless the status is DKIM_DNS_OK. ERR_NOT_FOUND, and nothing changes, if no told need
 * with that token is open. */
enum err dkim_verifier_answer(struct dkim_verifier *verifier, uint64_t token, enum dkim_dns_status status,
	const struct dns_answer *answer) MUST_CHECK;
/* The owner's time is up: what is not answered counts as DKIM_DNS_FAILED, told or not. */
void dkim_verifier_give_up(struct dkim_verifier *verifier);

/* True when the end was told and no key is open. */
bool dkim_verifier_is_done(const struct dkim_verifier *verifier);
/* Signatures considered, in the order of their fields; none before the header section. */
size_t dkim_verifier_count(const struct dkim_verifier *verifier);
/* Of the i-th one (i < count). False while it is not settled: a malformed one is so early. */
bool dkim_verifier_result(const struct dkim_verifier *verifier, size_t i, struct dkim_signature *ret);
/* Fields over signatures_max, which were not looked at. */
size_t dkim_verifier_ignored(const struct dkim_verifier *verifier);
/* From fields of the message. Anything but 1 is no message of RFC 5322 §3.6, and what signs one of several may not be what is displayed
 * (RFC 6376 §8.15): whoever decides should refuse it. */
size_t dkim_verifier_from_count(const struct dkim_verifier *verifier);
/* What it holds on to now, keys aside. */
size_t dkim_verifier_memory_bytes(const struct dkim_verifier *verifier);

/* Appends what stands for the signature in Authentication-Results (RFC 8601 §2.7.1), without ";" or fold:
 * `dkim=pass header.d=example.org header.s=mail header.a=rsa-sha256 header.b=AbCdEfGh`, with `reason="…"` unless it is a pass. */
enum err dkim_format_result(const struct dkim_signature *signature, struct buf *out) MUST_CHECK;

#endif
