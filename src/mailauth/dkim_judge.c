/* Is a claim true? The signature, the key it is checked with, and the time. */
#include "mailauth/dkim_private.h"

#include <string.h>

struct dkim_verify_options dkim_options_complete(const struct dkim_verify_options *given)
{
	struct dkim_verify_options options = *given;
	if (options.signatures_max == 0)
		options.signatures_max = DKIM_SIGNATURES_DEFAULT;
	if (options.signatures_max > DKIM_SIGNATURES_MAX)
		options.signatures_max = DKIM_SIGNATURES_MAX;
	if (options.clock_skew_s == 0)
		options.clock_skew_s = DKIM_CLOCK_SKEW_S;
	if (options.rsa_min_bits < DKIM_RSA_MIN_BITS)
		options.rsa_min_bits = DKIM_RSA_MIN_BITS;
	return options;
}

struct dkim_judgement dkim_check_time(const struct dkim_verify_options *options, const struct dkim_claim *claim)
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

static bool spend_bytes(size_t bytes, size_t *left)
{
	bool is_enough = bytes <= *left;
	*left -= is_enough ? bytes : 0;
	return is_enough;
}

bool dkim_hash_headers(const struct dkim_claim *claim, const struct header_field *own, struct dkim_fields *fields,
	size_t *bytes_left, struct dkim_sink *sink, uint8_t ret[HASH_BYTES])
{
	struct view rest = claim->names, name;
	bool is_enough = spend_bytes(own->whole.len, bytes_left);
	dkim_fields_rewind(fields);
	while (is_enough && tag_value_next(&rest, &name)) {
		const struct header_field *field = dkim_fields_take(fields, name);
		if (field == NULL)
			continue;
		is_enough = spend_bytes(field->whole.len, bytes_left);
		if (is_enough)
			dkim_canon_field(claim->header_canon, field, sink);
	}
	if (is_enough)
		dkim_canon_own_field(claim->header_canon, own, claim->hole, sink);
	/* In any case: the sink is used again. */
	dkim_sink_finish(sink, ret);
	return is_enough;
}

/* A key that may be used for the signature at all. */
static struct dkim_judgement check_key(
	const struct dkim_verify_options *options, const struct dkim_claim *claim, const struct dkim_key *key)
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
	if (kind == SIGNATURE_RSA && signature_public_bits(key->key) < options->rsa_min_bits)
		return (struct dkim_judgement){ DKIM_POLICY, "the key is too short" };
	if (kind == SIGNATURE_RSA && signature_public_bits(key->key) > DKIM_RSA_MAX_BITS)
		return (struct dkim_judgement){ DKIM_POLICY, "the key is too long" };
	return DKIM_FINE;
}

static struct dkim_judgement check_body(const struct dkim_proof *proof)
{
	const struct dkim_claim *claim = proof->claim;
	const uint8_t *digest = claim->has_length ? dkim_body_cut(proof->body, claim->length) : proof->body->digest;
	if (digest == NULL)
		return (struct dkim_judgement){ DKIM_FAIL, "the body is shorter than what was signed" };
	if (memcmp(digest, claim->body_digest, HASH_BYTES) != 0)
		return (struct dkim_judgement){ DKIM_FAIL, "the body is not what was signed" };
	return DKIM_FINE;
}

bool dkim_has_unsigned_body(const struct dkim_claim *claim, const struct dkim_body *body)
{
	return claim->has_length && body != NULL && body->length > claim->length;
}

/* All that costs nothing to know. */
static struct dkim_judgement check_before(
	const struct dkim_verify_options *options, const struct dkim_proof *proof, const struct dkim_key *key)
{
	struct dkim_judgement judgement = check_key(options, proof->claim, key);
	return judgement.reason == NULL && proof->body != NULL ? check_body(proof) : judgement;
}

static bool spend_work(struct dkim_effort *effort, unsigned work, bool must_be)
{
	if (work > effort->left && !must_be)
		return false;
	effort->left -= work < effort->left ? work : effort->left;
	return true;
}

static struct dkim_judgement check_signature(
	const struct dkim_verify_options *options, const struct dkim_proof *proof, const struct dkim_key *key)
{
	if (!signature_matches(key->key, proof->header_digest, proof->claim->signature))
		return (struct dkim_judgement){ DKIM_FAIL, "the header fields are not what was signed" };
	if (options->refuses_unsigned_body && dkim_has_unsigned_body(proof->claim, proof->body))
		return (struct dkim_judgement){ DKIM_POLICY, "a part of the body is not signed" };
	return DKIM_FINE;
}

/* How near a failure came to a pass: the nearest of several keys tells the reason. */
static int nearness(struct dkim_judgement judgement)
{
	return judgement.reason == NULL ? 3 : judgement.result == DKIM_FAIL ? 2 : judgement.result == DKIM_POLICY;
}

struct dkim_judgement dkim_judge(const struct dkim_verify_options *options, const struct dkim_proof *proof,
	const struct dkim_wanted *wanted, struct dkim_effort *effort, const struct dkim_key **ret_key)
{
	struct dkim_judgement best = wanted->problem;
	bool must_be = effort->tries_first;
	*ret_key = NULL;
	for (size_t i = 0; i < wanted->key_count; i++) {
		const struct dkim_key *key = &wanted->keys[i];
		struct dkim_judgement judgement = check_before(options, proof, key);
		if (judgement.reason == NULL) {
			/* Not on to cheaper ones: whose turn it was would then depend on what the others cost. */
			if (!spend_work(effort, signature_public_work(key->key), must_be))
				return (struct dkim_judgement){ DKIM_POLICY, effort->beyond };
			must_be = false;
			judgement = check_signature(options, proof, key);
		}
		if (i > 0 && nearness(judgement) <= nearness(best))
			continue;
		best = judgement;
		*ret_key = key;
		if (judgement.reason == NULL)
			break;
	}
	return best;
}
