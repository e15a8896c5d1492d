#include "mailauth/dkim_private.h"

#include "base/mem.h"
#include "mailauth/dkim_keys_private.h"

#include <string.h>

enum {
	KEYS_PER_NAME =
		4, /* several records at one name are undefined (RFC 6376 §3.6.2.2), but roll-overs do it: each of a few is tried */
	RECORDS_PER_NAME = 16, /* looked at in search of them */
	ARENA_BYTES_PER_SIGNATURE = 6 * 1024, /* names, identity, b= in two forms: each is bounded */
};

struct wanted {
	struct view name;
	bool is_told, is_answered;
	struct dkim_judgement problem; /* why there is no key */
	size_t key_count;
	struct dkim_key keys[KEYS_PER_NAME];
};

struct considered {
	struct dkim_claim claim;
	uint8_t header_digest[HASH_BYTES];
	struct wanted *wanted; /* NULL: settled by the field alone */
	bool is_settled, is_testing;
	unsigned key_bits;
	struct dkim_judgement judgement;
};

struct dkim_verifier {
	struct dkim_verify_options options;
	struct arena arena;
	size_t count, expected, ignored, from_count, wanted_count;
	struct considered *considered; /* signatures_max of them */
	struct wanted *wanted; /* as many; no two of one name */
	struct dkim_body *bodies[2]; /* by enum dkim_canon; NULL unless a signature needs it */
	bool has_headers, has_ended;
};

struct dkim_verifier *dkim_verifier_new(const struct dkim_verify_options *options)
{
	struct dkim_verifier *v = mem_alloc(sizeof *v);
	v->options = *options;
	if (v->options.signatures_max == 0)
		v->options.signatures_max = DKIM_SIGNATURES_DEFAULT;
	if (v->options.signatures_max > DKIM_SIGNATURES_MAX)
		v->options.signatures_max = DKIM_SIGNATURES_MAX;
	if (v->options.clock_skew_s == 0)
		v->options.clock_skew_s = DKIM_CLOCK_SKEW_S;
	if (v->options.rsa_min_bits < DKIM_RSA_MIN_BITS)
		v->options.rsa_min_bits = DKIM_RSA_MIN_BITS;
	arena_init(&v->arena, v->options.signatures_max * ARENA_BYTES_PER_SIGNATURE);
	return v;
}

void dkim_verifier_free(struct dkim_verifier *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->wanted_count; i++)
		for (size_t k = 0; k < v->wanted[i].key_count; k++)
			dkim_key_clear(&v->wanted[i].keys[k]);
	for (size_t i = 0; i < 2; i++)
		if (v->bodies[i] != NULL) {
			dkim_body_clear(v->bodies[i]);
			mem_free(v->bodies[i]);
		}
	mem_free(v->considered);
	mem_free(v->wanted);
	arena_clear(&v->arena);
	mem_free(v);
}

static struct dkim_judgement check_time(const struct dkim_verify_options *options, const struct dkim_claim *claim)
{
	uint64_t latest, earliest = options->now_s > options->clock_skew_s ? options->now_s - options->clock_skew_s : 0;
	if (__builtin_add_overflow(options->now_s, options->clock_skew_s, &latest))
		latest = UINT64_MAX;
	if (claim->has_expiry && claim->expiry_s < earliest)
		return (struct dkim_judgement){ DKIM_PERMERROR, "the signature has expired" };
	if (claim->has_time && claim->time_s > latest)
		return (struct dkim_judgement){ DKIM_PERMERROR, "the signature was made in the future" };
	return DKIM_FINE;
}

/* RFC 6376 §3.7 data-hash: the named fields from the bottom up, then the signature's own without b=. */
static void hash_headers(
	struct considered *c, const struct header_field *own, struct dkim_fields *fields, struct dkim_sink *sink)
{
	const struct dkim_claim *claim = &c->claim;
	struct view rest = claim->names, name;
	dkim_fields_rewind(fields);
	while (tag_value_next(&rest, &name)) {
		const struct header_field *field = dkim_fields_take(fields, name);
		if (field != NULL)
			dkim_canon_field(claim->header_canon, field, sink);
	}
	dkim_canon_own_field(claim->header_canon, own, claim->hole, sink);
	dkim_sink_finish(sink, c->header_digest);
}

static struct wanted *want(struct dkim_verifier *v, const struct dkim_claim *claim)
{
	static const char middle[] = "._domainkey.";
	uint8_t name[2 * 253 + sizeof middle];
	size_t len = claim->selector.len;
	memcpy(name, claim->selector.ptr, len);
	memcpy(name + len, middle, sizeof middle - 1);
	len += sizeof middle - 1;
	memcpy(name + len, claim->domain.ptr, claim->domain.len);
	len += claim->domain.len;
	if (len > 253)
		return NULL;
	for (size_t i = 0; i < v->wanted_count; i++)
		if (view_eq(v->wanted[i].name, view_of(name, len)))
			return &v->wanted[i];
	struct wanted *wanted = &v->wanted[v->wanted_count];
	if (arena_dup(&v->arena, view_of(name, len), &wanted->name) != ERR_OK)
		return NULL;
	v->wanted_count++;
	return wanted;
}

static void want_body(struct dkim_verifier *v, const struct dkim_claim *claim)
{
	struct dkim_body **body = &v->bodies[claim->body_canon];
	if (*body == NULL) {
		*body = mem_alloc(sizeof **body);
		dkim_body_init(*body, claim->body_canon);
	}
	if (claim->has_length)
		dkim_body_add_cut(*body, claim->length);
	else
		(*body)->wants_all = true;
}

static void settle(struct considered *c, struct dkim_judgement judgement)
{
	c->judgement = judgement;
	c->is_settled = true;
}

static void consider(
	struct dkim_verifier *v, const struct header_field *field, struct dkim_fields *fields, struct dkim_sink *sink)
{
	struct considered *c = &v->considered[v->count++];
	struct dkim_judgement judgement = dkim_claim_parse(field, &v->arena, &c->claim);
	if (judgement.reason == NULL && fields == NULL)
		judgement = (struct dkim_judgement){ DKIM_POLICY, "the message has too many header fields" };
	if (judgement.reason == NULL)
		judgement = check_time(&v->options, &c->claim);
	if (judgement.reason == NULL) {
		hash_headers(c, field, fields, sink);
		c->wanted = want(v, &c->claim);
		if (c->wanted == NULL)
			judgement = (struct dkim_judgement){ DKIM_PERMERROR, "the key's name is too long" };
	}
	/* They point into the message, which is read during this call only. */
	c->claim.names = c->claim.hole = VIEW_NONE;
	if (judgement.reason != NULL)
		settle(c, judgement);
	else
		want_body(v, &c->claim);
}

static void expect(struct dkim_verifier *v, size_t signatures)
{
	size_t most = signatures < v->options.signatures_max ? signatures : v->options.signatures_max;
	v->ignored = signatures - most;
	if (most == 0)
		return;
	v->considered = mem_alloc_array(most, sizeof v->considered[0]);
	v->wanted = mem_alloc_array(most, sizeof v->wanted[0]);
	v->expected = most;
}

static void consider_indexed(struct dkim_verifier *v, struct dkim_fields *fields)
{
	size_t first, signatures = dkim_fields_find(fields, VIEW("DKIM-Signature"), &first);
	expect(v, signatures);
	if (v->expected > 0) {
		struct dkim_sink sink;
		dkim_sink_init(&sink);
		while (v->count < v->expected)
			consider(v, &fields->sorted[first + signatures - 1 - v->count].field, fields, &sink);
		dkim_sink_clear(&sink);
	}
	v->from_count = dkim_fields_find(fields, VIEW("From"), &first);
}

/* For a header section with more fields than are indexed: what its signatures say is still told. */
static void consider_unindexed(struct dkim_verifier *v, struct view headers)
{
	const struct view name = VIEW("DKIM-Signature");
	struct header_field field;
	v->from_count = header_count(headers, VIEW("From"));
	expect(v, header_count(headers, name));
	while (v->count < v->expected && header_next(&headers, &field))
		if (view_eq_nocase(field.name, name))
			consider(v, &field, NULL, NULL);
}

enum err dkim_verifier_headers(struct dkim_verifier *v, struct view headers)
{
	if (v->has_headers)
		return err_set(ERR_STATE, "the header section was given before");
	v->has_headers = true;
	struct dkim_fields fields;
	if (dkim_fields_init(&fields, headers) != ERR_OK) {
		consider_unindexed(v, headers);
		return ERR_OK;
	}
	consider_indexed(v, &fields);
	dkim_fields_clear(&fields);
	return ERR_OK;
}

enum err dkim_verifier_body(struct dkim_verifier *v, struct view piece)
{
	if (!v->has_headers || v->has_ended)
		return err_set(ERR_STATE, "a body before the header section or behind the end");
	for (size_t i = 0; i < 2; i++)
		if (v->bodies[i] != NULL)
			dkim_body_feed(v->bodies[i], piece);
	return ERR_OK;
}

/* A key that may be used for the signature at all. */
static struct dkim_judgement check_key(
	const struct dkim_verifier *v, const struct dkim_claim *claim, const struct dkim_key *key)
{
	enum signature_kind kind = claim->algorithm == DKIM_ED25519_SHA256 ? SIGNATURE_ED25519 : SIGNATURE_RSA;
	const char *wrong = NULL;
	if (key->is_revoked)
		wrong = "the key is revoked";
	else if (signature_public_kind(key->key) != kind)
		wrong = "the key is of another kind";
	else if (!key->is_for_mail)
		wrong = "the key is not for mail";
	else if (!key->takes_sha256)
		wrong = "the key is not for SHA-256";
	else if (key->is_strict &&
		!view_eq(view_from(claim->identity, view_find_last(claim->identity, '@') + 1), claim->domain))
		wrong = "the key is not for identities in subdomains";
	if (wrong != NULL)
		return (struct dkim_judgement){ DKIM_PERMERROR, wrong };
	if (kind == SIGNATURE_RSA && signature_public_bits(key->key) < v->options.rsa_min_bits)
		return (struct dkim_judgement){ DKIM_POLICY, "the key is too short" };
	return DKIM_FINE;
}

static bool has_unsigned_body(const struct dkim_verifier *v, const struct dkim_claim *claim)
{
	const struct dkim_body *body = v->bodies[claim->body_canon];
	return claim->has_length && body != NULL && body->length > claim->length;
}

static struct dkim_judgement judge(
	const struct dkim_verifier *v, const struct considered *c, const struct dkim_key *key)
{
	struct dkim_judgement judgement = check_key(v, &c->claim, key);
	if (judgement.reason != NULL)
		return judgement;
	const struct dkim_body *body = v->bodies[c->claim.body_canon];
	const uint8_t *digest = c->claim.has_length ? dkim_body_cut(body, c->claim.length) : body->digest;
	if (digest == NULL)
		return (struct dkim_judgement){ DKIM_FAIL, "the body is shorter than what was signed" };
	if (memcmp(digest, c->claim.body_digest, HASH_BYTES) != 0)
		return (struct dkim_judgement){ DKIM_FAIL, "the body is not what was signed" };
	if (!signature_matches(key->key, c->header_digest, c->claim.signature))
		return (struct dkim_judgement){ DKIM_FAIL, "the header fields are not what was signed" };
	if (v->options.refuses_unsigned_body && has_unsigned_body(v, &c->claim))
		return (struct dkim_judgement){ DKIM_POLICY, "a part of the body is not signed" };
	return DKIM_FINE;
}

/* How near a failure came to a pass: the nearest of several keys tells the reason. */
static int nearness(struct dkim_judgement judgement)
{
	return judgement.reason == NULL ? 3 : judgement.result == DKIM_FAIL ? 2 : judgement.result == DKIM_POLICY;
}

static void settle_by_keys(const struct dkim_verifier *v, struct considered *c)
{
	struct dkim_judgement best = c->wanted->problem;
	for (size_t i = 0; i < c->wanted->key_count; i++) {
		const struct dkim_key *key = &c->wanted->keys[i];
		struct dkim_judgement judgement = judge(v, c, key);
		if (i > 0 && nearness(judgement) <= nearness(best))
			continue;
		best = judgement;
		c->is_testing = key->is_testing;
		c->key_bits = key->key != NULL ? signature_public_bits(key->key) : 0;
		if (judgement.reason == NULL)
			break;
	}
	settle(c, best);
}

static void settle_what_can_be(struct dkim_verifier *v)
{
	for (size_t i = 0; v->has_ended && i < v->count; i++)
		if (!v->considered[i].is_settled && v->considered[i].wanted->is_answered)
			settle_by_keys(v, &v->considered[i]);
}

enum err dkim_verifier_end(struct dkim_verifier *v)
{
	if (!v->has_headers || v->has_ended)
		return err_set(ERR_STATE, "an end before the header section or behind the end");
	v->has_ended = true;
	for (size_t i = 0; i < 2; i++)
		if (v->bodies[i] != NULL)
			dkim_body_end(v->bodies[i]);
	settle_what_can_be(v);
	return ERR_OK;
}

bool dkim_verifier_next(struct dkim_verifier *v, struct dkim_need *ret)
{
	for (size_t i = 0; i < v->wanted_count; i++)
		if (!v->wanted[i].is_told && !v->wanted[i].is_answered) {
			v->wanted[i].is_told = true;
			*ret = (struct dkim_need){ .token = i + 1, .name = v->wanted[i].name };
			return true;
		}
	return false;
}

static void take_records(struct dkim_verifier *v, struct wanted *wanted, const struct dns_answer *answer)
{
	size_t count = answer->record_count < RECORDS_PER_NAME ? answer->record_count : RECORDS_PER_NAME;
	for (size_t i = 0; i < count && wanted->key_count < KEYS_PER_NAME; i++) {
		if (answer->records[i].type != DNS_TYPE_TXT)
			continue;
		struct dkim_key *key = &wanted->keys[wanted->key_count];
		const char *wrong = dkim_keys_parse(v->options.keys, answer->records[i].data, key);
		if (wrong == NULL)
			wanted->key_count++;
		else
			wanted->problem.reason = wrong;
	}
}

enum err dkim_verifier_answer(
	struct dkim_verifier *v, uint64_t token, enum dkim_dns_status status, const struct dns_answer *answer)
{
	if (token == 0 || token > v->wanted_count || !v->wanted[token - 1].is_told || v->wanted[token - 1].is_answered)
		return err_set(ERR_NOT_FOUND, "no key is wanted with this token");
	struct wanted *wanted = &v->wanted[token - 1];
	wanted->is_answered = true;
	wanted->problem = status == DKIM_DNS_FAILED
		? (struct dkim_judgement){ DKIM_TEMPERROR, "no answer from DNS about the key" }
		: (struct dkim_judgement){ DKIM_PERMERROR, "no key is published" };
	if (status == DKIM_DNS_OK && answer != NULL)
		take_records(v, wanted, answer);
	settle_what_can_be(v);
	return ERR_OK;
}

void dkim_verifier_give_up(struct dkim_verifier *v)
{
	for (size_t i = 0; i < v->wanted_count; i++)
		if (!v->wanted[i].is_answered) {
			v->wanted[i].is_answered = true;
			v->wanted[i].problem = (struct dkim_judgement){ DKIM_TEMPERROR, "no answer from DNS in time" };
		}
	settle_what_can_be(v);
}

bool dkim_verifier_is_done(const struct dkim_verifier *v)
{
	for (size_t i = 0; i < v->wanted_count; i++)
		if (!v->wanted[i].is_answered)
			return false;
	return v->has_ended;
}

size_t dkim_verifier_count(const struct dkim_verifier *v)
{
	return v->count;
}

bool dkim_verifier_result(const struct dkim_verifier *v, size_t i, struct dkim_signature *ret)
{
	if (i >= v->count || !v->considered[i].is_settled)
		return false;
	const struct considered *c = &v->considered[i];
	*ret = (struct dkim_signature){ .result = c->judgement.result,
		.reason = c->judgement.reason,
		.domain = c->claim.domain,
		.selector = c->claim.selector,
		.identity = c->claim.identity,
		.signature = c->claim.signature_text,
		.algorithm = c->claim.algorithm,
		.key_bits = c->key_bits,
		.is_testing = c->is_testing,
		.has_unsigned_body = has_unsigned_body(v, &c->claim),
		.time_s = c->claim.time_s,
		.expiry_s = c->claim.expiry_s };
	return true;
}

size_t dkim_verifier_ignored(const struct dkim_verifier *v)
{
	return v->ignored;
}

size_t dkim_verifier_from_count(const struct dkim_verifier *v)
{
	return v->from_count;
}

size_t dkim_verifier_memory_bytes(const struct dkim_verifier *v)
{
	size_t bytes = sizeof *v + v->arena.used_bytes + v->expected * (sizeof v->considered[0] + sizeof v->wanted[0]);
	for (size_t i = 0; i < 2; i++)
		bytes += v->bodies[i] != NULL ? sizeof *v->bodies[i] : 0;
	return bytes;
}
