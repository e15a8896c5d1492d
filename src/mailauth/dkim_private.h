/* Inside of DKIM: canonicalisation, selection of fields, the parsed field and the parsed key. ARC stands on the same. */
#ifndef MAILAUTH_DKIM_PRIVATE_H
#define MAILAUTH_DKIM_PRIVATE_H

#include "base/arena.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "mail/header.h"
#include "mailauth/dkim.h"
#include "mailauth/dkim_keys.h"
#include "mailauth/tag_list.h"

#include <string.h>

/* A hash behind a small buffer: canonicalised text comes in crumbs, and a hash costs more per call than per byte. */
struct dkim_sink {
	struct hash *hash; /* owned */
	size_t used;
	uint8_t stage[2048];
};

void dkim_sink_init(struct dkim_sink *sink);
void dkim_sink_clear(struct dkim_sink *sink);
/* More than fits in the stage. */
void dkim_sink_put_over(struct dkim_sink *sink, struct view bytes);
/* In line: most crumbs have a few bytes. */
static inline void dkim_sink_put(struct dkim_sink *sink, struct view bytes)
{
	if (bytes.len >= sizeof sink->stage - sink->used) {
		dkim_sink_put_over(sink, bytes);
	} else if (bytes.len > 0) {
		memcpy(sink->stage + sink->used, bytes.ptr, bytes.len);
		sink->used += bytes.len;
	}
}
/* A sink of its own in *ret, which got the same so far. */
void dkim_sink_fork(struct dkim_sink *sink, struct dkim_sink *ret);
/* What was put so far. */
void dkim_sink_peek(struct dkim_sink *sink, uint8_t ret[HASH_BYTES]);
/* The same; it is then as new. */
void dkim_sink_finish(struct dkim_sink *sink, uint8_t ret[HASH_BYTES]);

/* RFC 6376 §3.4.1 and §3.4.2. */
void dkim_canon_field(enum dkim_canon canon, const struct header_field *field, struct dkim_sink *sink);
/* The signature's own field: the value of the tag b= (all of `hole`, which lies inside the field) counts as empty, and there is no line end
 * (RFC 6376 §3.7). */
void dkim_canon_own_field(
	enum dkim_canon canon, const struct header_field *field, struct view hole, struct dkim_sink *sink);

/* RFC 6376 §3.4.3 and §3.4.4, in pieces. One pass serves every signature with this canonicalisation: those with l= are cuts in it. */
struct dkim_cut {
	uint64_t at; /* canonical bytes */
	uint8_t digest[HASH_BYTES];
};
struct dkim_body {
	enum dkim_canon canon;
	bool wants_all; /* some signature has no l= */
	size_t cut_count, cuts_done;
	struct dkim_cut cuts[DKIM_SIGNATURES_MAX]; /* ascending, each once */
	uint64_t length; /* canonical bytes so far; the whole body's after the end */
	uint8_t digest[HASH_BYTES]; /* the whole body's, after the end, if wants_all */
	/* Withheld, as they may be the end: */
	uint64_t lines; /* line ends */
	bool has_blank; /* relaxed: white space behind them */
	bool has_cr; /* a CR that may begin a line end */
	struct dkim_sink sink;
};

void dkim_body_init(struct dkim_body *body, enum dkim_canon canon);
void dkim_body_clear(struct dkim_body *body);
/* Before the first byte: asks for the digest of the first `at` bytes. */
void dkim_body_add_cut(struct dkim_body *body, uint64_t at);
/* The digest there, after the end; NULL if the body is shorter. */
const uint8_t *dkim_body_cut(const struct dkim_body *body, uint64_t at);
void dkim_body_feed(struct dkim_body *body, struct view piece);
void dkim_body_end(struct dkim_body *body);

struct dkim_claim;
/* The bodies that claims need, by enum dkim_canon; those that none needs are NULL. */
void dkim_bodies_want(struct dkim_body *bodies[2], const struct dkim_claim *claim);
void dkim_bodies_feed(struct dkim_body *const bodies[2], struct view piece);
void dkim_bodies_end(struct dkim_body *const bodies[2]);
void dkim_bodies_free(struct dkim_body *bodies[2]);
size_t dkim_bodies_memory_bytes(struct dkim_body *const bodies[2]);

/* The fields of a message, found by name from the bottom up (RFC 6376 §5.4.2) without looking at each for each. */
#define DKIM_FIELDS_MAX 4096u
struct dkim_field {
	uint64_t hash; /* of the name, without its case */
	struct header_field field;
	uint32_t round, taken; /* at the first of a name: how many of it were taken in that round */
};
struct dkim_fields {
	size_t count;
	uint32_t round; /* since how many times it began at the bottom */
	struct dkim_field *sorted; /* those of one name together, the last first; malformed ones are not there */
};

/* ERR_LIMIT if there are too many; then there is nothing to clear. */
enum err dkim_fields_init(struct dkim_fields *fields, struct view headers) MUST_CHECK;
void dkim_fields_clear(struct dkim_fields *fields);
/* Begins at the bottom again. */
void dkim_fields_rewind(struct dkim_fields *fields);
/* The next one upwards of that name; NULL if there is no further one. */
const struct header_field *dkim_fields_take(struct dkim_fields *fields, struct view name);
/* How many there are of that name; they lie in `sorted` from *ret_first on, the lowest one of the message first. */
size_t dkim_fields_find(const struct dkim_fields *fields, struct view name, size_t *ret_first);

/* What a DKIM-Signature field says, or one of ARC that is made the same way. Views into the field, unless said otherwise. */
#define DKIM_NAMES_MAX 512u /* in h= */
enum dkim_claim_kind {
	DKIM_CLAIM_SIGNATURE,
	DKIM_CLAIM_ARC_MESSAGE, /* RFC 8617 §4.1.2: no v=, and i= is the instance */
	DKIM_CLAIM_ARC_SEAL, /* RFC 8617 §4.1.3: about ARC's fields only */
};
enum dkim_chain { DKIM_CHAIN_NONE, DKIM_CHAIN_FAIL, DKIM_CHAIN_PASS }; /* cv= of a seal */
struct dkim_claim {
	enum dkim_algorithm algorithm;
	enum dkim_canon header_canon, body_canon;
	struct view domain, selector; /* A-labels in lower case, in the arena */
	struct view identity; /* decoded, its domain as `domain`; in the arena; "@domain" if there is no i= */
	struct view names; /* the value of h= */
	struct view signature, signature_text; /* b=, in the arena */
	struct view hole; /* where b= has its value */
	uint8_t body_digest[HASH_BYTES];
	bool has_length, has_time, has_expiry;
	uint64_t length, time_s, expiry_s;
	enum dkim_chain chain; /* of a seal */
};
struct dkim_judgement {
	enum dkim_result result;
	const char *reason; /* NULL: nothing is wrong */
};
#define DKIM_FINE ((struct dkim_judgement){ DKIM_PASS, NULL })

/* RFC 6376 §3.5 and §6.1.1, all that the field alone can tell. What was read before a fault is in *ret. */
struct dkim_judgement dkim_claim_parse(
	enum dkim_claim_kind kind, const struct header_field *field, struct arena *arena, struct dkim_claim *ret);

/* A domain in A-labels and lower case, with at least `labels_min` labels; NULL result if it is none. RFC 6376 §3.5 d=, RFC 8616 §5. */
bool dkim_domain_normalise(struct view text, size_t labels_min, struct arena *arena, struct view *ret);
bool dkim_domain_is_within(struct view domain, struct view parent);

/* A key record (RFC 6376 §3.6.1), as far as it is one: RFC 6376 §6.1.2. */
struct dkim_key {
	struct signature_public *key; /* owned; NULL if revoked or not usable */
	bool is_revoked, is_testing, is_strict, is_for_mail, takes_sha256;
};

/* NULL, or what is wrong with it. */
const char *dkim_key_parse(struct view text, struct dkim_key *ret);
void dkim_key_clear(struct dkim_key *key);

/* The keys that claims need, each asked for once (dkim_wants.c). */
#define DKIM_KEYS_PER_NAME                                                                                             \
	4u /* several records at one name are undefined (RFC 6376 §3.6.2.2), but roll-overs do it: each of a few is tried */
struct dkim_wanted {
	struct view name; /* in the arena */
	bool is_told, is_answered;
	struct dkim_judgement problem; /* why there is no key */
	size_t key_count;
	struct dkim_key keys[DKIM_KEYS_PER_NAME];
};
struct dkim_wants {
	struct arena *arena;
	struct dkim_keys *keys; /* may be NULL */
	size_t count, max;
	struct dkim_wanted *list; /* no two of one name */
};
/* For at most `max` keys. Zeroed it wants none, and may be cleared. */
void dkim_wants_init(struct dkim_wants *wants, size_t max, struct arena *arena, struct dkim_keys *keys);
void dkim_wants_clear(struct dkim_wants *wants);
/* NULL if its name is too long for one. */
struct dkim_wanted *dkim_wants_key(struct dkim_wants *wants, const struct dkim_claim *claim);
/* As the functions of the verifiers. */
bool dkim_wants_next(struct dkim_wants *wants, struct dkim_need *ret);
enum err dkim_wants_answer(struct dkim_wants *wants, uint64_t token, enum dkim_dns_status status,
	const struct dns_answer *answer) MUST_CHECK;
void dkim_wants_give_up(struct dkim_wants *wants);
bool dkim_wants_are_answered(const struct dkim_wants *wants);

/* dkim_judge.c */
struct dkim_proof {
	const struct dkim_claim *claim;
	const uint8_t *header_digest;
	const struct dkim_body *body; /* ended; NULL: the claim is not about the body */
};
/* With the defaults in their places. */
struct dkim_verify_options dkim_options_complete(const struct dkim_verify_options *given);
struct dkim_judgement dkim_check_time(const struct dkim_verify_options *options, const struct dkim_claim *claim);
/* RFC 6376 §3.7 data-hash: the named fields from the bottom up, then the signature's own without b=. What is hashed is taken from *bytes_left; false if that
 * is not enough. */
bool dkim_hash_headers(const struct dkim_claim *claim, const struct header_field *own, struct dkim_fields *fields,
	size_t *bytes_left, struct dkim_sink *sink, uint8_t ret[HASH_BYTES]);
bool dkim_has_unsigned_body(const struct dkim_claim *claim, const struct dkim_body *body);
/* The work with keys that a signature, or a whole chain, may still cause. */
struct dkim_effort {
	unsigned left; /* as signature_public_work() counts */
	bool tries_first; /* the first key of each signature that it could be of is tried even if there is too little left */
	const char *beyond; /* the reason (DKIM_POLICY) if a key was not tried that might have been the one */
};
/* By the keys that were answered; *ret_key is the one that came nearest to a pass, or NULL. */
struct dkim_judgement dkim_judge(const struct dkim_verify_options *options, const struct dkim_proof *proof,
	const struct dkim_wanted *wanted, struct dkim_effort *effort, const struct dkim_key **ret_key);

/* Fields written word by word, in lines of at most 78 columns where their words allow it (RFC 5322 §2.1.1): dkim_write.c. */
struct dkim_writer {
	struct buf *out;
	size_t line_start;
};
/* A word that may go to a line of its own, with `glue` before it if it does not. */
enum err dkim_write_word(struct dkim_writer *writer, struct view glue, struct view word) MUST_CHECK;
/* Base64, which may be broken behind each character. */
enum err dkim_write_breakable(struct dkim_writer *writer, struct view value) MUST_CHECK;
/* " name=value;", of at most 300 bytes. */
enum err dkim_write_tag(struct dkim_writer *writer, const char *name, struct view value) MUST_CHECK;
enum err dkim_write_number(struct dkim_writer *writer, const char *name, uint64_t number) MUST_CHECK;

struct dkim_signer;
/* As dkim_signer_finish(), but with an instance above 0 the fields are ARC-Message-Signatures. */
enum err dkim_signer_finish_as(struct dkim_signer *signer, unsigned instance, struct buf *out) MUST_CHECK;

#endif
