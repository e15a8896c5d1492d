#include "mailauth/dmarc_private.h"
#include "mailauth/dkim_private.h"

#include "base/mem.h"

/* Names of 33 identifiers and the author, and the records of one walk; each rounded up by the arena. */
enum { ARENA_BYTES = (2 + DMARC_DKIM_MAX) * 256 + DMARC_WALK_QUESTIONS_MAX * (DMARC_RECORD_MAX_BYTES + 64) };

static size_t identifier_count(const struct dmarc_check *check)
{
	return 1 + check->dkim_count;
}

static void decide(struct dmarc_check *check, enum dmarc_result result, const char *reason)
{
	check->verdict.result = result;
	check->verdict.reason = reason;
}

/* Alignment (RFC 9989 §4.10.2) */

/* True if comparing the identifiers takes the author domain's organisational domain: none passed yet, or one that
 * passed is neither the author domain nor compared strictly. (If none passed it is found out for who reads the
 * verdict.) */
static bool needs_organization(const struct dmarc_check *check)
{
	size_t passed = 0;
	for (size_t i = 0; i < identifier_count(check); i++) {
		const struct dmarc_alignment *id = &check->identifiers[i];
		if (id->domain.len == 0 || id->evidence == DMARC_NOT_PASSED)
			continue;
		passed++;
		if (!id->is_strict && !view_eq(id->domain, check->verdict.domain))
			return true;
	}
	return passed == 0;
}

/* True if all that passed is of the author domain itself, which then counts as the organisational one. */
static bool is_all_of_author(const struct dmarc_check *check)
{
	for (size_t i = 0; i < identifier_count(check); i++) {
		const struct dmarc_alignment *id = &check->identifiers[i];
		if (id->evidence != DMARC_NOT_PASSED && !view_eq(id->domain, check->verdict.domain))
			return false;
	}
	return true;
}

static struct dmarc_alignment *find_same(struct dmarc_check *check, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (check->identifiers[k].org_domain.len > 0 &&
			view_eq(check->identifiers[k].domain, check->identifiers[i].domain))
			return &check->identifiers[k];
	return NULL;
}

/* Compares one that is not the author domain, relaxed. False if a question is open. */
static bool align_by_walk(struct dmarc_check *check, size_t i, unsigned *walks)
{
	struct dmarc_alignment *id = &check->identifiers[i];
	struct view org = check->verdict.org_domain;
	const struct dmarc_alignment *same = find_same(check, i);
	struct dmarc_walk walk;
	if (org.len == 0) {
		id->is_unknown = true;
		return true;
	}
	/* An organisational domain is the domain itself or above it, so outside the author's nothing has to be asked.
	 * */
	if (!dkim_domain_is_within(id->domain, org))
		return true;
	if (same != NULL) {
		id->org_domain = same->org_domain;
		id->is_aligned = view_eq(same->org_domain, org);
		return true;
	}
	if (++*walks > DMARC_WALKS_MAX)
		return true;
	switch (dmarc_walk(check, id->domain, &walk)) {
	case DMARC_WALK_OPEN:
		return false;
	case DMARC_WALK_FAILED:
		id->is_unknown = true;
		return true;
	default:
		id->org_domain = walk.org_domain;
		id->is_aligned = view_eq(walk.org_domain, org);
		return true;
	}
}

/* False if a question is open. */
static bool align_all(struct dmarc_check *check)
{
	unsigned walks = 0;
	for (size_t i = 0; i < identifier_count(check); i++) {
		struct dmarc_alignment *id = &check->identifiers[i];
		id->org_domain = VIEW_NONE;
		id->is_unknown = false;
		id->is_aligned = id->domain.len > 0 && view_eq(id->domain, check->verdict.domain);
		if (id->is_aligned || id->is_strict || id->domain.len == 0 || id->evidence == DMARC_NOT_PASSED)
			continue;
		if (!align_by_walk(check, i, &walks))
			return false;
	}
	return true;
}

/* The record (§4.10.1) */

static void use_record(struct dmarc_check *check, const struct dmarc_node *node, enum dmarc_source source)
{
	struct dmarc_verdict *verdict = &check->verdict;
	verdict->source = source;
	verdict->record_domain = node->name;
	verdict->record = node->record;
	verdict->policy = source == DMARC_SOURCE_AUTHOR ? node->record.policy : node->record.subdomain_policy;
	check->identifiers[0].is_strict = node->record.spf_is_strict;
	for (size_t i = 1; i < identifier_count(check); i++)
		check->identifiers[i].is_strict = node->record.dkim_is_strict;
}

/* Finds the record, and the organisational domain as far as it matters. False if a question is open, or there is a
 * result. */
static bool discover(struct dmarc_check *check)
{
	struct dmarc_verdict *verdict = &check->verdict;
	const struct dmarc_node *author = dmarc_walk_look(check, verdict->domain);
	struct dmarc_walk walk = { 0 };
	if (author == NULL)
		return false;
	if (author->state == DMARC_NODE_RECORD)
		use_record(check, author, DMARC_SOURCE_AUTHOR);
	if (author->state == DMARC_NODE_RECORD && !needs_organization(check)) {
		if (is_all_of_author(check))
			verdict->org_domain = verdict->domain;
		return true;
	}
	enum dmarc_walk_state state = dmarc_walk(check, verdict->domain, &walk);
	if (state == DMARC_WALK_OPEN)
		return false;
	if (state == DMARC_WALK_DONE)
		verdict->org_domain = walk.org_domain;
	if (author->state == DMARC_NODE_RECORD)
		return true;
	if (state == DMARC_WALK_FAILED)
		decide(check, DMARC_TEMPERROR, "the DNS gave no answer about the DMARC record");
	else if (walk.policy == NULL)
		decide(check, DMARC_NONE, "there is no DMARC record");
	else
		use_record(check, walk.policy,
			view_eq(walk.policy->name, walk.org_domain) ? DMARC_SOURCE_ORGANIZATION : DMARC_SOURCE_SUFFIX);
	return verdict->source != DMARC_SOURCE_NONE;
}

/* The result */

static const char *reason_of_pass(const struct dmarc_verdict *verdict)
{
	if (verdict->spf_aligned && verdict->dkim_aligned)
		return "SPF and DKIM passed for the author's domain";
	return verdict->spf_aligned ? "SPF passed for the author's domain" : "DKIM passed for the author's domain";
}

/* False if whether the author domain exists has yet to be told, or will not be. */
static bool choose_policy(struct dmarc_check *check)
{
	struct dmarc_verdict *verdict = &check->verdict;
	const struct dmarc_record *record = &verdict->record;
	if (verdict->source == DMARC_SOURCE_AUTHOR || record->nonexistent_policy == record->subdomain_policy)
		return true;
	if (check->existence == DMARC_EXISTENCE_UNKNOWN) {
		check->asked = verdict->domain;
		check->need = (struct dmarc_need){ check->need.token + 1, verdict->domain, DNS_TYPE_A };
		check->is_open = true;
		verdict->questions++;
		return false;
	}
	if (check->existence == DMARC_EXISTENCE_FAILED) {
		decide(check, DMARC_TEMPERROR, "the DNS gave no answer whether the author's domain exists");
		return false;
	}
	verdict->is_nonexistent = check->existence == DMARC_EXISTS_NOT;
	if (verdict->is_nonexistent)
		verdict->policy = record->nonexistent_policy;
	return true;
}

static void fail(struct dmarc_check *check, bool any_passed)
{
	struct dmarc_verdict *verdict = &check->verdict;
	if (!choose_policy(check))
		return;
	verdict->applied = verdict->policy;
	/* §4.7: t=y asks for the policy one level below. */
	if (verdict->record.is_testing && verdict->applied != DMARC_POLICY_NONE)
		verdict->applied = (enum dmarc_policy)(verdict->applied - 1);
	decide(check, DMARC_FAIL,
		any_passed ? "SPF or DKIM passed, but not for the author's domain" : "neither SPF nor DKIM passed");
}

static void conclude(struct dmarc_check *check)
{
	struct dmarc_verdict *verdict = &check->verdict;
	bool any_passed = false, is_unsettled = false;
	verdict->spf_aligned = verdict->dkim_aligned = false;
	for (size_t i = 0; i < identifier_count(check); i++) {
		const struct dmarc_alignment *id = &check->identifiers[i];
		bool passed = id->evidence == DMARC_PASSED;
		any_passed |= passed;
		*(i == 0 ? &verdict->spf_aligned : &verdict->dkim_aligned) |= passed && id->is_aligned;
		is_unsettled |= passed ? id->is_unknown
				       : id->evidence == DMARC_NOT_CHECKED && (id->is_aligned || id->is_unknown);
	}
	if (verdict->spf_aligned || verdict->dkim_aligned)
		decide(check, DMARC_PASS, reason_of_pass(verdict));
	else if (is_unsettled)
		decide(check, DMARC_TEMPERROR, "the DNS gave no answer that could settle it");
	else
		fail(check, any_passed);
}

/* Goes over all that is known until something is missing, which is then asked for. */
static void run(struct dmarc_check *check)
{
	if (!discover(check))
		return;
	check->keeps_text = false;
	if (!check->verdict.record.is_usable)
		decide(check, DMARC_NONE, check->verdict.record.fault);
	else if (align_all(check))
		conclude(check);
}

/* The check */

static struct view take_domain(struct dmarc_check *check, struct view domain)
{
	struct view name;
	if (domain.len > 1 && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	return dkim_domain_normalise(domain, 1, &check->arena, &name) ? name : VIEW_NONE;
}

static void take_question(struct dmarc_check *check, const struct dmarc_question *question)
{
	check->dkim_count = question->dkim_count < DMARC_DKIM_MAX ? question->dkim_count : DMARC_DKIM_MAX;
	for (size_t i = 0; i < identifier_count(check); i++) {
		const struct dmarc_identifier *from = i == 0 ? &question->spf : &question->dkim[i - 1];
		check->identifiers[i].domain = take_domain(check, from->domain);
		/* Without a domain there is nothing that could have passed. */
		check->identifiers[i].evidence = check->identifiers[i].domain.len > 0 ? from->evidence
										      : DMARC_NOT_PASSED;
	}
}

struct dmarc_check *dmarc_check_new(const struct dmarc_question *question)
{
	struct dmarc_check *check = mem_alloc(sizeof *check);
	arena_init(&check->arena, ARENA_BYTES);
	check->keeps_text = true;
	take_question(check, question);
	if (question->from_count == 1)
		check->verdict.domain = take_domain(check, question->from_domain);
	if (question->from_count == 0)
		decide(check, DMARC_PERMERROR, "the message names no author");
	else if (question->from_count > 1)
		decide(check, DMARC_PERMERROR, "the message names authors of several domains");
	else if (check->verdict.domain.len == 0)
		decide(check, DMARC_PERMERROR, "the author's address has no domain name");
	else
		run(check);
	return check;
}

void dmarc_check_free(struct dmarc_check *check)
{
	if (check == NULL)
		return;
	arena_clear(&check->arena);
	buf_clear(&check->name);
	mem_free(check);
}

bool dmarc_check_next(const struct dmarc_check *check, struct dmarc_need *ret)
{
	if (check->is_open)
		*ret = check->need;
	return check->is_open;
}

static enum dmarc_existence existence_of(enum dmarc_dns_status status)
{
	static const enum dmarc_existence by_status[] = {
		[DMARC_DNS_OK] = DMARC_EXISTS,
		[DMARC_DNS_NXDOMAIN] = DMARC_EXISTS_NOT,
		[DMARC_DNS_FAILED] = DMARC_EXISTENCE_FAILED,
	};
	return by_status[status];
}

enum err dmarc_check_answer(
	struct dmarc_check *check, uint64_t token, enum dmarc_dns_status status, const struct dns_answer *answer)
{
	if (!check->is_open || token != check->need.token)
		return err_set(ERR_STATE, "no such DMARC question is open");
	check->is_open = false;
	if (check->need.type == DNS_TYPE_A)
		check->existence = existence_of(status);
	else
		dmarc_walk_answer(check, status, answer);
	run(check);
	return ERR_OK;
}

void dmarc_check_give_up(struct dmarc_check *check)
{
	if (check->is_open)
		decide(check, DMARC_TEMPERROR, "the DNS was too slow");
	check->is_open = false;
}

bool dmarc_check_result(const struct dmarc_check *check, struct dmarc_verdict *ret)
{
	if (check->is_open)
		return false;
	*ret = check->verdict;
	return true;
}

bool dmarc_check_spf(const struct dmarc_check *check, struct dmarc_alignment *ret)
{
	if (check->is_open || check->identifiers[0].domain.len == 0)
		return false;
	*ret = check->identifiers[0];
	return true;
}

bool dmarc_check_dkim(const struct dmarc_check *check, size_t i, struct dmarc_alignment *ret)
{
	if (check->is_open || i >= check->dkim_count)
		return false;
	*ret = check->identifiers[1 + i];
	return true;
}

size_t dmarc_check_memory_bytes(const struct dmarc_check *check)
{
	return sizeof *check + check->arena.used_bytes + check->name.cap;
}
