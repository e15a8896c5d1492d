#include "mailauth/dkim_private.h"

#include "base/mem.h"

/* Names, identity, b= in two forms: each is bounded. */
enum { ARENA_BYTES_PER_SIGNATURE = 6 * 1024 };

struct considered {
	struct dkim_claim claim;
	uint8_t header_digest[HASH_BYTES];
	struct dkim_wanted *wanted; /* NULL: settled by the field alone */
	bool is_settled, is_testing;
	unsigned key_bits;
	struct dkim_judgement judgement;
};

struct dkim_verifier {
	struct dkim_verify_options options;
	struct arena arena;
	size_t count, expected, ignored, from_count;
	struct considered *considered; /* `expected` of them */
	struct dkim_wants wants;
	size_t header_bytes_left;
	size_t asking; /* signatures that a key decides about */
	struct dkim_body *bodies[2]; /* by enum dkim_canon; NULL unless a signature needs it */
	bool has_headers, has_ended;
};

struct dkim_verifier *dkim_verifier_new(const struct dkim_verify_options *options)
{
	struct dkim_verifier *v = mem_alloc(sizeof *v);
	v->options = dkim_options_complete(options);
	v->header_bytes_left = DKIM_HEADER_BYTES_MAX;
	arena_init(&v->arena, v->options.signatures_max * ARENA_BYTES_PER_SIGNATURE);
	return v;
}

void dkim_verifier_free(struct dkim_verifier *v)
{
	if (v == NULL)
		return;
	dkim_wants_clear(&v->wants);
	dkim_bodies_free(v->bodies);
	mem_free(v->considered);
	arena_clear(&v->arena);
	mem_free(v);
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
	struct dkim_judgement judgement = dkim_claim_parse(DKIM_CLAIM_SIGNATURE, field, &v->arena, &c->claim);
	if (judgement.reason == NULL && fields == NULL)
		judgement = (struct dkim_judgement){ DKIM_POLICY, "the message has too many header fields" };
	if (judgement.reason == NULL)
		judgement = dkim_check_time(&v->options, &c->claim);
	if (judgement.reason == NULL &&
		!dkim_hash_headers(&c->claim, field, fields, &v->header_bytes_left, sink, c->header_digest))
		judgement = (struct dkim_judgement){ DKIM_POLICY,
			"the signatures cover too much of the header section" };
	if (judgement.reason == NULL) {
		c->wanted = dkim_wants_key(&v->wants, &c->claim);
		if (c->wanted == NULL)
			judgement = (struct dkim_judgement){ DKIM_PERMERROR, "the key's name is too long" };
	}
	/* They point into the message, which is read during this call only. */
	c->claim.names = c->claim.hole = VIEW_NONE;
	if (judgement.reason != NULL) {
		settle(c, judgement);
		return;
	}
	v->asking++;
	dkim_bodies_want(v->bodies, &c->claim);
}

static void expect(struct dkim_verifier *v, size_t signatures)
{
	size_t most = signatures < v->options.signatures_max ? signatures : v->options.signatures_max;
	v->ignored = signatures - most;
	if (most == 0)
		return;
	v->considered = mem_alloc_array(most, sizeof v->considered[0]);
	dkim_wants_init(&v->wants, most, &v->arena, v->options.keys);
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
	dkim_bodies_feed(v->bodies, piece);
	return ERR_OK;
}

static void settle_by_keys(const struct dkim_verifier *v, struct considered *c)
{
	const struct dkim_key *key;
	struct dkim_proof proof = { &c->claim, c->header_digest, v->bodies[c->claim.body_canon] };
	struct dkim_effort effort = { .left = (unsigned)(DKIM_WORK_MAX / v->asking),
		.tries_first = true,
		.beyond = "the keys published for the signature take too much work" };
	struct dkim_judgement judgement = dkim_judge(&v->options, &proof, c->wanted, &effort, &key);
	if (key != NULL) {
		c->is_testing = key->is_testing;
		c->key_bits = key->key != NULL ? signature_public_bits(key->key) : 0;
	}
	settle(c, judgement);
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
	dkim_bodies_end(v->bodies);
	settle_what_can_be(v);
	return ERR_OK;
}

bool dkim_verifier_next(struct dkim_verifier *v, struct dkim_need *ret)
{
	return dkim_wants_next(&v->wants, ret);
}

enum err dkim_verifier_answer(
	struct dkim_verifier *v, uint64_t token, enum dkim_dns_status status, const struct dns_answer *answer)
{
	enum err err = dkim_wants_answer(&v->wants, token, status, answer);
	if (err == ERR_OK)
		settle_what_can_be(v);
	return err;
}

void dkim_verifier_give_up(struct dkim_verifier *v)
{
	dkim_wants_give_up(&v->wants);
	settle_what_can_be(v);
}

bool dkim_verifier_is_done(const struct dkim_verifier *v)
{
	return v->has_ended && dkim_wants_are_answered(&v->wants);
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
		.has_unsigned_body = dkim_has_unsigned_body(&c->claim, v->bodies[c->claim.body_canon]),
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
	size_t bytes = sizeof *v + v->arena.used_bytes +
		v->expected * (sizeof v->considered[0] + sizeof v->wants.list[0]);
	return bytes + dkim_bodies_memory_bytes(v->bodies);
}
