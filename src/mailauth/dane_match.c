#include "mailauth/dane.h"

#include "crypto/hash.h"

/* RFC 6698 §2.1.2, §2.1.3. */
enum { SELECTOR_CERTIFICATE = 0, SELECTOR_KEY = 1, SELECTOR_COUNT = 2 };
enum { MATCHING_WHOLE = 0, MATCHING_SHA256 = 1, MATCHING_SHA512 = 2 };

/* One SEQUENCE that takes all the bytes: what a certificate and a key look like from outside. */
static bool is_der_sequence(struct view v)
{
	if (v.len < 2 || v.ptr[0] != 0x30)
		return false;
	size_t head = 2, len = v.ptr[1];
	if (len >= 0x80) {
		size_t bytes = len - 0x80;
		if (bytes < 1 || bytes > 3 || v.len < 2 + bytes || v.ptr[2] == 0)
			return false;
		len = 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | v.ptr[2 + i];
		if (len < 0x80)
			return false;
		head += bytes;
	}
	return len > 0 && len == v.len - head;
}

bool dane_is_usable(const struct dns_record *record)
{
	if ((record->tlsa_usage != DANE_USAGE_TA && record->tlsa_usage != DANE_USAGE_EE) ||
		record->tlsa_selector >= SELECTOR_COUNT)
		return false;
	switch (record->tlsa_matching) {
	case MATCHING_WHOLE:
		return is_der_sequence(record->data);
	case MATCHING_SHA256:
		return record->data.len == HASH_BYTES;
	case MATCHING_SHA512:
		return record->data.len == HASH_SHA512_BYTES;
	default:
		return false;
	}
}

bool dane_needs_chain(const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->record_count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (dane_is_usable(record) && record->tlsa_usage == DANE_USAGE_TA &&
			record->tlsa_matching == MATCHING_WHOLE)
			return true;
	}
	return false;
}

/* A certificate with the hashes that were needed so far. */
struct subject {
	struct view parts[SELECTOR_COUNT];
	bool has_sha256[SELECTOR_COUNT], has_sha512[SELECTOR_COUNT];
	uint8_t sha256[SELECTOR_COUNT][HASH_BYTES];
	uint8_t sha512[SELECTOR_COUNT][HASH_SHA512_BYTES];
};

static struct view association(struct subject *subject, unsigned selector, unsigned matching)
{
	struct view part = subject->parts[selector];
	switch (matching) {
	case MATCHING_SHA256:
		if (!subject->has_sha256[selector])
			hash_once(part, subject->sha256[selector]);
		subject->has_sha256[selector] = true;
		return view_of(subject->sha256[selector], HASH_BYTES);
	case MATCHING_SHA512:
		if (!subject->has_sha512[selector])
			hash_sha512_once(part, subject->sha512[selector]);
		subject->has_sha512[selector] = true;
		return view_of(subject->sha512[selector], HASH_SHA512_BYTES);
	default:
		return part;
	}
}

struct search {
	const struct dns_answer *answer;
	uint8_t usage;
	bool has_sha512[SELECTOR_COUNT]; /* then SHA-256 does not count (RFC 7671 §9) */
};

static struct search search_for(const struct dns_answer *answer, uint8_t usage)
{
	struct search search = { .answer = answer, .usage = usage };
	for (size_t i = 0; i < answer->record_count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (dane_is_usable(record) && record->tlsa_usage == usage && record->tlsa_matching == MATCHING_SHA512)
			search.has_sha512[record->tlsa_selector] = true;
	}
	return search;
}

static bool find_record(const struct search *search, const struct dane_certificate *certificate, size_t *ret_index)
{
	struct subject subject = {
		.parts = { [SELECTOR_CERTIFICATE] = certificate->der, [SELECTOR_KEY] = certificate->spki }
	};
	for (size_t i = 0; i < search->answer->record_count; i++) {
		const struct dns_record *record = &search->answer->records[i];
		unsigned selector = record->tlsa_selector, matching = record->tlsa_matching;
		if (record->tlsa_usage != search->usage || !dane_is_usable(record) ||
			subject.parts[selector].len == 0 ||
			(matching == MATCHING_SHA256 && search->has_sha512[selector]))
			continue;
		if (view_eq(record->data, association(&subject, selector, matching))) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

struct dane_match dane_match(const struct dns_answer *answer, const struct dane_certificate *chain, size_t count)
{
	struct dane_match match = { .kind = DANE_MATCH_NONE };
	struct search search = search_for(answer, DANE_USAGE_EE);
	if (count > 0 && find_record(&search, &chain[0], &match.record)) {
		match.kind = DANE_MATCH_EE;
		return match;
	}
	search = search_for(answer, DANE_USAGE_TA);
	for (size_t i = 1; i < count && i < DANE_CHAIN_MAX; i++)
		if (find_record(&search, &chain[i], &match.record)) {
			match.kind = DANE_MATCH_ANCHOR_HINT;
			match.depth = i;
			return match;
		}
	return match;
}
