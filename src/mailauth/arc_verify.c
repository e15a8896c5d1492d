#include "mailauth/arc_private.h"

#include "base/mem.h"

enum {
	ARENA_BYTES_PER_CLAIM = 6 * 1024,
	/* ARC-Message-Signatures before the latest that are looked at: they only tell since when the message is as it is. */
	OLDER_MAX = 10,
};

/* One signature of the chain. */
struct link {
	struct dkim_claim claim;
	uint8_t header_digest[HASH_BYTES];
	struct dkim_wanted *wanted; /* NULL: see `problem` */
	struct dkim_judgement problem; /* that the field alone tells */
	bool is_beyond; /* what a chain may cost */
};

struct arc_verifier {
	struct dkim_verify_options options;
	struct arena arena;
	unsigned count; /* sets */
	unsigned first_message; /* the lowest instance whose message signature is looked at */
	struct link *seals, *messages; /* by instance - 1 */
	struct view *results; /* payloads, in the arena */
	struct dkim_wants wants;
	struct dkim_effort effort;
	struct dkim_body *bodies[2];
	bool has_headers, has_ended, is_settled;
	struct arc_verdict verdict;
};

struct arc_verifier *arc_verifier_new(const struct dkim_verify_options *options)
{
	struct arc_verifier *v = mem_alloc(sizeof *v);
	v->options = dkim_options_complete(options);
	v->options.refuses_unsigned_body = false;
	v->effort = (struct dkim_effort){ .left = ARC_WORK_MAX, .beyond = "the keys of the chain take too much work" };
	arena_init(&v->arena,
		ARC_SETS_MAX * (ARENA_BYTES_PER_CLAIM + ARC_RESULTS_MAX_BYTES) +
			(OLDER_MAX + 1) * ARENA_BYTES_PER_CLAIM);
	return v;
}

void arc_verifier_free(struct arc_verifier *v)
{
	if (v == NULL)
		return;
	dkim_wants_clear(&v->wants);
	dkim_bodies_free(v->bodies);
	mem_free(v->seals);
	mem_free(v->messages);
	mem_free(v->results);
	arena_clear(&v->arena);
	mem_free(v);
}

static void fail(struct arc_verifier *v, const char *reason, bool is_temporary)
{
	v->verdict.result = ARC_FAIL;
	v->verdict.reason = reason;
	v->verdict.is_temporary = is_temporary;
	v->is_settled = true;
}

/* Views into the message end with the call that reads it. */
static void forget_message(struct link *link)
{
	link->claim.names = link->claim.hole = VIEW_NONE;
}

static void want(struct arc_verifier *v, struct link *link)
{
	if (link->problem.reason == NULL)
		link->problem = dkim_check_time(&v->options, &link->claim);
	if (link->problem.reason != NULL)
		return;
	link->wanted = dkim_wants_key(&v->wants, &link->claim);
	if (link->wanted == NULL)
		link->problem = (struct dkim_judgement){ DKIM_PERMERROR, "the key's name is too long" };
}

/* RFC 8617 §5.1.1: a seal covers every set up to its own, in the order of their instances, and itself without b=. */
static void read_seals(struct arc_verifier *v, const struct arc_sets *sets)
{
	struct dkim_sink before, own = { .used = 0 };
	dkim_sink_init(&before);
	for (unsigned i = 0; i < v->count; i++) {
		struct link *seal = &v->seals[i];
		const struct header_field *fields = sets->fields[i];
		seal->problem = dkim_claim_parse(DKIM_CLAIM_ARC_SEAL, &fields[ARC_SEAL], &v->arena, &seal->claim);
		dkim_canon_field(DKIM_RELAXED, &fields[ARC_RESULTS], &before);
		dkim_canon_field(DKIM_RELAXED, &fields[ARC_MESSAGE], &before);
		if (seal->problem.reason == NULL) {
			dkim_sink_fork(&before, &own);
			dkim_canon_own_field(DKIM_RELAXED, &fields[ARC_SEAL], seal->claim.hole, &own);
			dkim_sink_finish(&own, seal->header_digest);
			dkim_sink_clear(&own);
		}
		dkim_canon_field(DKIM_RELAXED, &fields[ARC_SEAL], &before);
		forget_message(seal);
		want(v, seal);
	}
	dkim_sink_clear(&before);
}

static void read_messages(struct arc_verifier *v, const struct arc_sets *sets, struct dkim_fields *fields)
{
	struct dkim_sink sink;
	size_t bytes_left = DKIM_HEADER_BYTES_MAX;
	dkim_sink_init(&sink);
	for (unsigned i = v->count; i >= v->first_message; i--) {
		struct link *message = &v->messages[i - 1];
		const struct header_field *own = &sets->fields[i - 1][ARC_MESSAGE];
		message->problem = dkim_claim_parse(DKIM_CLAIM_ARC_MESSAGE, own, &v->arena, &message->claim);
		if (message->problem.reason == NULL &&
			!dkim_hash_headers(&message->claim, own, fields, &bytes_left, &sink, message->header_digest)) {
			message->problem = (struct dkim_judgement){ DKIM_POLICY,
				"the chain's signatures cover too much of the header section" };
			message->is_beyond = true;
		}
		forget_message(message);
		want(v, message);
		if (message->wanted != NULL)
			dkim_bodies_want(v->bodies, &message->claim);
	}
	dkim_sink_clear(&sink);
}

static void keep_results(struct arc_verifier *v, const struct arc_sets *sets)
{
	for (unsigned i = 0; i < v->count; i++) {
		struct view payload = arc_results_payload(sets->fields[i][ARC_RESULTS].value);
		if (payload.len <= ARC_RESULTS_MAX_BYTES && arena_dup(&v->arena, payload, &v->results[i]) != ERR_OK)
			v->results[i] = VIEW_NONE;
	}
}

/* RFC 8617 §5.2 step 2 and 3D–E: the first seal found no chain, every other one a chain that passed. */
static const char *check_chain(struct arc_verifier *v)
{
	const char *wrong = NULL;
	for (unsigned i = 0; i < v->count; i++) {
		if (v->seals[i].problem.reason != NULL)
			return v->seals[i].problem.reason;
		enum dkim_chain chain = v->seals[i].claim.chain;
		v->verdict.was_failed |= chain == DKIM_CHAIN_FAIL;
		if (chain == DKIM_CHAIN_FAIL)
			wrong = "the chain had failed before";
		else if (chain != (i == 0 ? DKIM_CHAIN_NONE : DKIM_CHAIN_PASS) && wrong == NULL)
			wrong = "the seals contradict each other about the chain";
	}
	return wrong;
}

static void read_chain(struct arc_verifier *v, const struct arc_sets *sets, struct dkim_fields *fields)
{
	v->count = sets->count;
	v->first_message = v->count > OLDER_MAX ? v->count - OLDER_MAX : 1;
	v->verdict.ignored = v->first_message - 1;
	v->seals = mem_alloc_array(v->count, sizeof v->seals[0]);
	v->messages = mem_alloc_array(v->count, sizeof v->messages[0]);
	v->results = mem_alloc_array(v->count, sizeof v->results[0]);
	dkim_wants_init(&v->wants, v->count + OLDER_MAX + 1, &v->arena, v->options.keys);
	read_seals(v, sets);
	read_messages(v, sets, fields);
	keep_results(v, sets);
	const char *wrong = check_chain(v);
	if (wrong == NULL)
		wrong = v->messages[v->count - 1].problem.reason;
	if (wrong != NULL)
		fail(v, wrong, false);
}

enum err arc_verifier_headers(struct arc_verifier *v, struct view headers)
{
	if (v->has_headers)
		return err_set(ERR_STATE, "the header section was given before");
	v->has_headers = true;
	struct arc_sets *sets = mem_alloc(sizeof *sets);
	struct dkim_fields fields;
	arc_sets_collect(headers, sets);
	v->verdict.set_count = sets->count;
	if (sets->count == 0 && sets->wrong == NULL) {
		v->is_settled = true;
	} else if (sets->wrong != NULL) {
		fail(v, sets->wrong, false);
	} else if (dkim_fields_init(&fields, headers) != ERR_OK) {
		fail(v, "the message has too many header fields", false);
	} else {
		read_chain(v, sets, &fields);
		dkim_fields_clear(&fields);
	}
	mem_free(sets);
	return ERR_OK;
}

static bool passes(
	struct arc_verifier *v, struct link *link, const struct dkim_body *body, struct dkim_judgement *ret_judgement)
{
	const struct dkim_key *key;
	struct dkim_proof proof = { &link->claim, link->header_digest, body };
	*ret_judgement = link->problem.reason != NULL ? link->problem
						      : dkim_judge(&v->options, &proof, link->wanted, &v->effort, &key);
	link->is_beyond |= ret_judgement->reason == v->effort.beyond;
	return ret_judgement->reason == NULL;
}

/* RFC 8617 §5.2 steps 4 to 6. */
static void settle(struct arc_verifier *v)
{
	struct dkim_judgement judgement;
	struct link *latest = &v->messages[v->count - 1];
	if (!passes(v, latest, v->bodies[latest->claim.body_canon], &judgement)) {
		fail(v, judgement.reason, judgement.result == DKIM_TEMPERROR);
		return;
	}
	for (unsigned i = v->count; i > 0; i--)
		if (!passes(v, &v->seals[i - 1], NULL, &judgement)) {
			bool is_temporary = judgement.result == DKIM_TEMPERROR;
			fail(v, judgement.result == DKIM_FAIL ? "a seal is broken" : judgement.reason, is_temporary);
			return;
		}
	unsigned oldest = v->count;
	while (oldest > v->first_message &&
		passes(v, &v->messages[oldest - 2], v->bodies[v->messages[oldest - 2].claim.body_canon], &judgement))
		oldest--;
	if (oldest > v->first_message && v->messages[oldest - 2].is_beyond)
		v->verdict.ignored = oldest - 1;
	v->verdict.oldest_pass = oldest == 1 ? 0 : oldest;
	v->verdict.result = ARC_PASS;
	v->is_settled = true;
}

static void settle_if_possible(struct arc_verifier *v)
{
	if (!v->is_settled && v->has_ended && dkim_wants_are_answered(&v->wants))
		settle(v);
}

enum err arc_verifier_body(struct arc_verifier *v, struct view piece)
{
	if (!v->has_headers || v->has_ended)
		return err_set(ERR_STATE, "a body before the header section or behind the end");
	if (!v->is_settled)
		dkim_bodies_feed(v->bodies, piece);
	return ERR_OK;
}

enum err arc_verifier_end(struct arc_verifier *v)
{
	if (!v->has_headers || v->has_ended)
		return err_set(ERR_STATE, "an end before the header section or behind the end");
	v->has_ended = true;
	dkim_bodies_end(v->bodies);
	settle_if_possible(v);
	return ERR_OK;
}

bool arc_verifier_next(struct arc_verifier *v, struct dkim_need *ret)
{
	return !v->is_settled && dkim_wants_next(&v->wants, ret);
}

enum err arc_verifier_answer(
	struct arc_verifier *v, uint64_t token, enum dkim_dns_status status, const struct dns_answer *answer)
{
	enum err err = dkim_wants_answer(&v->wants, token, status, answer);
	if (err == ERR_OK)
		settle_if_possible(v);
	return err;
}

void arc_verifier_give_up(struct arc_verifier *v)
{
	dkim_wants_give_up(&v->wants);
	settle_if_possible(v);
}

bool arc_verifier_is_done(const struct arc_verifier *v)
{
	return v->is_settled;
}

bool arc_verifier_verdict(const struct arc_verifier *v, struct arc_verdict *ret)
{
	if (v->is_settled)
		*ret = v->verdict;
	return v->is_settled;
}

bool arc_verifier_set(const struct arc_verifier *v, unsigned instance, struct arc_set *ret)
{
	if (!v->is_settled || v->verdict.result != ARC_PASS || instance == 0 || instance > v->count)
		return false;
	const struct dkim_claim *seal = &v->seals[instance - 1].claim;
	*ret = (struct arc_set){ seal->domain, seal->selector, v->results[instance - 1] };
	return true;
}

size_t arc_verifier_memory_bytes(const struct arc_verifier *v)
{
	return sizeof *v + v->arena.used_bytes + dkim_bodies_memory_bytes(v->bodies) +
		v->count * (2 * sizeof v->seals[0] + sizeof v->results[0]) + v->wants.max * sizeof v->wants.list[0];
}
