/*
 * Laws of MTA-STS, for any record, host and policy file:
 *   - an id is 1–32 letters and digits that stand in the record; alone in a record it is read again; among answers only one such record counts;
 *   - a policy stays within its bounds, borrows from its text, and is the same when it is written and read again, with either kind of line end, and with
 *     another key at its end;
 *   - hosts match as another implementation, label by label, says; case never matters;
 *   - only a policy that enforces refuses, testing reports what it would refuse, and a policy too old does neither.
 *
 * The input is the record, a line end, the host, a line end, and the policy file.
 */
#include "mailauth/mta_sts.h"

#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct view part, struct view whole)
{
	return part.len > 0 && part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void put(struct buf *out, struct view bytes)
{
	ASSERT(buf_append(out, bytes) == ERR_OK);
}

static void check_record(struct view text)
{
	struct view id, again;
	struct dns_record records[] = { { .data = VIEW("v=spf1 -all") }, { .data = text }, { .data = text } };
	struct dns_answer answer = { .records = records, .record_count = 2 };
	bool is_good = mta_sts_record_parse(text, &id) == ERR_OK;
	ASSERT((mta_sts_record_find(&answer, &again) == ERR_OK) == is_good);
	answer.record_count = 3;
	ASSERT(mta_sts_record_find(&answer, &again) != ERR_OK);
	if (!is_good)
		return;
	ASSERT(is_inside(id, text) && id.len <= MTA_STS_ID_MAX_BYTES);
	for (size_t i = 0; i < id.len; i++)
		ASSERT(ascii_is_alnum(id.ptr[i]));
	struct buf out = { 0 };
	put(&out, VIEW("v=STSv1;id="));
	put(&out, id);
	ASSERT(mta_sts_record_parse(buf_view(&out), &again) == ERR_OK && view_eq(id, again));
	buf_clear(&out);
}

static size_t count_labels(struct view name)
{
	size_t count = 1;
	for (size_t i = 0; i < name.len; i++)
		count += name.ptr[i] == '.';
	return count;
}

/* The labels from the right; what is left of both must be one label, and the pattern's a star or the same. */
static bool matches_otherwise(struct view pattern, struct view host)
{
	if (host.len == 0 || count_labels(pattern) != count_labels(host))
		return false;
	for (size_t left = count_labels(host); left > 0; left--) {
		size_t p = view_find_last(pattern, '.'), h = view_find_last(host, '.');
		struct view one = p < pattern.len ? view_from(pattern, p + 1) : pattern;
		struct view other = h < host.len ? view_from(host, h + 1) : host;
		bool is_star = left == 1 && count_labels(pattern) == 1 && view_eq(one, VIEW("*"));
		if (is_star)
			return other.len > 0;
		if (!view_eq_nocase(one, other))
			return false;
		pattern = view_sub(pattern, 0, p);
		host = view_sub(host, 0, h);
	}
	return true;
}

static void check_match(struct view pattern, struct view host)
{
	bool matches = mta_sts_mx_matches(pattern, host);
	ASSERT(matches == matches_otherwise(pattern, host));
	struct buf other = { 0 };
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = ascii_lower(host.ptr[i]);
		ASSERT(buf_append_byte(&other, c == host.ptr[i] ? ascii_upper(c) : c) == ERR_OK);
	}
	ASSERT(mta_sts_mx_matches(pattern, buf_view(&other)) == matches);
	buf_reset(&other);
	put(&other, VIEW("a."));
	put(&other, host);
	ASSERT(!matches || !mta_sts_mx_matches(pattern, buf_view(&other)));
	buf_clear(&other);
}

static bool is_same(const struct mta_sts_policy *a, const struct mta_sts_policy *b)
{
	bool same = a->mode == b->mode && a->max_age_s == b->max_age_s && a->mx_count == b->mx_count;
	for (size_t i = 0; same && i < a->mx_count; i++)
		same = view_eq(a->mx[i], b->mx[i]);
	return same;
}

static void check_reads_as(struct view text, const struct mta_sts_policy *policy)
{
	static struct mta_sts_policy again;
	ASSERT(text.len > MTA_STS_POLICY_MAX_BYTES ||
		(mta_sts_policy_parse(text, &again) == ERR_OK && is_same(policy, &again)));
}

static void check_forms(struct view text, const struct mta_sts_policy *policy)
{
	struct buf out = { 0 };
	ASSERT(mta_sts_policy_format(policy, &out) == ERR_OK);
	check_reads_as(buf_view(&out), policy);
	buf_reset(&out);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n' && (i == 0 || text.ptr[i - 1] != '\r'))
			put(&out, VIEW("\r"));
		ASSERT(buf_append_byte(&out, text.ptr[i]) == ERR_OK);
	}
	put(&out, VIEW("\r\nmy_key: any value\r\nmode: none\r\nversion: STSv9"));
	check_reads_as(buf_view(&out), policy);
	buf_clear(&out);
}

static void check_decision(const struct mta_sts_policy *policy, struct view host, enum mta_sts_tls tls)
{
	struct mta_sts_decision now = mta_sts_decide(policy, policy->max_age_s, host, tls);
	struct mta_sts_decision late = mta_sts_decide(policy, (uint64_t)policy->max_age_s + 1, host, tls);
	struct mta_sts_decision none = mta_sts_decide(NULL, 0, host, tls);
	ASSERT(late.verdict == MTA_STS_ALLOWED && !late.verifies && late.failure == NULL);
	ASSERT(none.verdict == MTA_STS_ALLOWED && !none.verifies && none.failure == NULL);
	ASSERT(now.verifies == (policy->mode != MTA_STS_NONE));
	ASSERT((now.failure == NULL) == (now.verdict == MTA_STS_ALLOWED));
	ASSERT(now.verdict != MTA_STS_REFUSED || policy->mode == MTA_STS_ENFORCE);
	ASSERT(now.verdict != MTA_STS_REPORTED || policy->mode == MTA_STS_TESTING);
	if (policy->mode != MTA_STS_NONE)
		ASSERT((now.verdict == MTA_STS_ALLOWED) ==
			(mta_sts_policy_has(policy, host) &&
				(tls == MTA_STS_TLS_NOT_YET || tls == MTA_STS_TLS_VERIFIED)));
}

static void check_policy(struct view text, struct view host)
{
	static struct mta_sts_policy policy;
	if (mta_sts_policy_parse(text, &policy) != ERR_OK)
		return;
	ASSERT(policy.mx_count <= MTA_STS_MX_MAX && policy.max_age_s <= MTA_STS_MAX_AGE_MAX_S);
	ASSERT(policy.mx_count > 0 || policy.mode == MTA_STS_NONE);
	bool has = false;
	for (size_t i = 0; i < policy.mx_count; i++) {
		struct view mx = policy.mx[i];
		ASSERT(is_inside(mx, text));
		ASSERT(address_domain_is_valid(view_starts_with(mx, VIEW("*.")) ? view_from(mx, 2) : mx, 0));
		check_match(mx, host);
		check_match(mx, mx);
		has = has || matches_otherwise(mx, host);
	}
	ASSERT(mta_sts_policy_has(&policy, host) == has);
	check_forms(text, &policy);
	for (unsigned tls = MTA_STS_TLS_NOT_YET; tls <= MTA_STS_TLS_NOT_TRUSTED; tls++)
		check_decision(&policy, host, (enum mta_sts_tls)tls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view rest = view_of(data, size), record = VIEW_NONE, host = VIEW_NONE;
	view_split(&rest, '\n', &record);
	view_split(&rest, '\n', &host);
	check_record(record);
	check_policy(rest, host);
	return 0;
}
