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

/* A hash behind a small buffer: canonicalised text comes in crumbs, and a hash costs more per call than per byte. */
struct dkim_sink {
	struct hash *hash; /* owned */
	size_t used;
	uint8_t stage[2048];
};

void dkim_sink_init(struct dkim_sink *sink);
void dkim_sink_clear(struct dkim_sink *sink);
void dkim_sink_put(struct dkim_sink *sink, struct view bytes);
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

/* The fields of a message, found by name from the bottom up (RFC 6376 §5.4.2) without looking at each for each. */
#define DKIM_FIELDS_MAX 4096u
struct dkim_field {
	uint64_t front; /* the name's first bytes in lower case, as a number that sorts as they do */
	struct header_field field;
	uint32_t taken; /* at the first of a name: how many of it were taken */
};
struct dkim_fields {
	size_t count;
	struct dkim_field *sorted; /* by name, then last first; malformed ones are not there */
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

/* What a DKIM-Signature field says. Views into the field, unless said otherwise. */
#define DKIM_NAMES_MAX 512u /* in h= */
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
};
struct dkim_judgement {
	enum dkim_result result;
	const char *reason; /* NULL: nothing is wrong */
};
#define DKIM_FINE ((struct dkim_judgement){ DKIM_PASS, NULL })

/* RFC 6376 §3.5 and §6.1.1, all that the field alone can tell. What was read before a fault is in *ret. */
struct dkim_judgement dkim_claim_parse(const struct header_field *field, struct arena *arena, struct dkim_claim *ret);

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

#endif
