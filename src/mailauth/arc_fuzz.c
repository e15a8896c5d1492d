/*
 * A message: the first byte chooses the size of the pieces, the second whether DNS answers; the rest is the message. Its chain is verified, and
 * sealed and verified again.
 */
#include "mailauth/arc_testing.h"

#define LAW(condition) testing_must(condition)

enum { NOW_S = 1800000000, MEMORY_MAX_BYTES = 768 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signature_private *key;
static const char *records[2];

static void make_keys(void)
{
	static struct buf rsa;
	if (key != NULL)
		return;
	key = testing_ed25519_key();
	struct signature_private *pair = testing_key(TESTING_RSA_1024);
	LAW(dkim_record_format(pair, 0, &rsa) == ERR_OK);
	signature_private_free(pair);
	records[0] = buf_cstr(&rsa);
	records[1] = TESTING_ED25519_RECORD;
}

static bool is_printable(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_printable(v.ptr[i]))
			return false;
	return true;
}

static void check_sets(const struct arc_verifier *verifier, const struct arc_verdict *verdict)
{
	struct arc_set set;
	struct view sealer;
	const char *domain = "fuzz.example";
	LAW(!arc_verifier_set(verifier, 0, &set) && !arc_verifier_set(verifier, verdict->set_count + 1, &set));
	for (unsigned i = 1; i <= verdict->set_count; i++) {
		LAW(arc_verifier_set(verifier, i, &set) == (verdict->result == ARC_PASS));
		if (verdict->result == ARC_PASS) {
			LAW(is_printable(set.domain) && is_printable(set.selector) && set.domain.len > 0);
			LAW(set.results.len <= ARC_RESULTS_MAX_BYTES);
			(void)arc_results_say(set.results, VIEW("dmarc"), VIEW("pass"));
		}
	}
	if (arc_verifier_overrides(verifier, &domain, 1, &sealer))
		LAW(verdict->result == ARC_PASS && view_eq(sealer, VIEW("fuzz.example")));
}

static void check_verdict(const struct arc_verdict *v)
{
	struct buf text = { 0 };
	LAW(v->set_count <= ARC_SETS_MAX && v->oldest_pass <= v->set_count && v->ignored <= v->set_count);
	LAW((v->result == ARC_FAIL) == (v->reason != NULL));
	LAW(v->result != ARC_NONE || v->set_count == 0);
	LAW(v->result != ARC_PASS || (v->set_count > 0 && !v->was_failed && !v->is_temporary));
	LAW(arc_format_result(v, VIEW("192.0.2.1"), &text) == ERR_OK && is_printable(buf_view(&text)));
	buf_clear(&text);
}

static struct arc_verdict check_verify(struct view message, size_t step, size_t answers)
{
	const size_t steps[] = { 0, step, 1 };
	struct arc_verdict first = { .result = ARC_NONE }, verdict;
	for (size_t i = 0; i < 3; i++) {
		struct arc_verifier *verifier = testing_arc_verify(message, NOW_S, steps[i], records, answers);
		LAW(arc_verifier_memory_bytes(verifier) < MEMORY_MAX_BYTES);
		LAW(arc_verifier_verdict(verifier, &verdict));
		check_verdict(&verdict);
		check_sets(verifier, &verdict);
		if (i == 0)
			first = verdict;
		LAW(verdict.result == first.result && verdict.reason == first.reason &&
			verdict.is_temporary == first.is_temporary && verdict.set_count == first.set_count &&
			verdict.oldest_pass == first.oldest_pass && verdict.was_failed == first.was_failed);
		arc_verifier_free(verifier);
	}
	return first;
}

/* What we seal goes on passing, or failing. */
static void check_seal(struct view message, const struct arc_verdict *before)
{
	struct buf out = { 0 }, arc = { 0 };
	struct arc_seal_options options = { .domain = VIEW("fuzz.example"), .key = { VIEW("s"), key }, .now_s = NOW_S };
	LAW(arc_format_result(before, VIEW_NONE, &arc) == ERR_OK);
	struct view result = buf_view(&arc);
	struct arc_seal_finish finish = {
		.verdict = *before, .authserv_id = VIEW("fuzz.example"), .results = &result, .result_count = 1
	};
	enum err err = testing_arc_seal(&options, &finish, message, &out);
	LAW(err == ERR_OK || err == ERR_REFUSED || err == ERR_LIMIT);
	if (err == ERR_OK && (before->was_failed || before->is_temporary)) {
		LAW(view_eq(buf_view(&out), message));
	} else if (err == ERR_OK) {
		struct arc_verdict after = testing_arc_verdict(buf_view(&out), NOW_S, records, 2);
		LAW(after.set_count == before->set_count + 1);
		LAW(before->result == ARC_FAIL ? after.result == ARC_FAIL : after.result == ARC_PASS);
	}
	buf_clear(&out);
	buf_clear(&arc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct view message = view_of(data + 2, size - 2);
	make_keys();
	struct arc_verdict verdict = check_verify(message, data[0] % 61u + 1, data[1] % 4 == 3 ? 0 : 2);
	check_seal(message, &verdict);
	(void)arc_results_say(message, VIEW("dmarc"), VIEW("pass"));
	return 0;
}
