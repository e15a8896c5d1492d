/*
 * Verifier and sealer against the suite of Valimail. Validation: a message and its keys, and what the chain is. Signing: a message and a key, and the set
 * that is to be added; the order of tags is everybody's own, and with it the signature, so the suite's set is put on top and must verify, and ours must
 * say the same, and verify as well.
 */
#include "mailauth/arc_seal.h"
#include "mailauth/dkim_testing.h"
#include "mailauth/tag_list.h"
#include "mailauth/testing_yaml.h"
#include "mail/conformance.h"

enum { RECORDS_MAX = 64, RESULTS_MAX = 16, ARENA_BYTES = 64 * 1024 * 1024 };

/* Cases that are not as the suite says, and why. */
static const struct {
	const char *name, *why;
} disputed[] = {
	{ "ams_fields_c_na",
		"without c= it is simple/simple (RFC 6376 §3.5, which RFC 8617 §4.1.2 keeps); the suite signed it as "
		"relaxed" },
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static const char *dispute_of(struct view name)
{
	for (size_t i = 0; i < sizeof disputed / sizeof disputed[0]; i++)
		if (view_eq(name, view_from_cstr(disputed[i].name)))
			return disputed[i].why;
	return NULL;
}

/* The suite's lines as one. */
static void unfold(struct view lines, struct buf *out)
{
	struct view line;
	while (view_split(&lines, '\n', &line))
		testing_must(buf_append_format(out, "%.*s ", VIEW_ARG(view_trim(line))) == ERR_OK);
}

static void answer(struct arc_verifier *verifier, const struct dkim_need *need, const struct yaml *records)
{
	struct dns_record found[1];
	struct dns_answer reply = { .records = found };
	struct buf text = { 0 };
	for (const struct yaml *record = records != NULL ? records->first : NULL; record != NULL; record = record->next)
		if (view_eq_nocase(record->key, need->name) && reply.record_count == 0) {
			unfold(record->text, &text);
			found[reply.record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT,
				.data = view_trim(buf_view(&text)) };
		}
	must(arc_verifier_answer(
		     verifier, need->token, reply.record_count > 0 ? DKIM_DNS_OK : DKIM_DNS_NXDOMAIN, &reply) == ERR_OK,
		"the answer is not taken");
	buf_clear(&text);
}

/* A whole message through the verifier. */
static struct arc_verdict verify(struct view message, const struct yaml *records)
{
	/* Keys of 512 bits are in the suite to be refused; the times in it are of 1970. */
	struct dkim_verify_options options = { .now_s = 2000000000 };
	struct arc_verifier *verifier = arc_verifier_new(&options);
	struct dkim_need need;
	struct arc_verdict verdict = { .result = ARC_NONE };
	must(arc_verifier_headers(verifier, message) == ERR_OK, "headers");
	must(arc_verifier_body(verifier, testing_body(message)) == ERR_OK, "body");
	must(arc_verifier_end(verifier) == ERR_OK, "end");
	while (arc_verifier_next(verifier, &need))
		answer(verifier, &need, records);
	must(arc_verifier_verdict(verifier, &verdict), "there is no verdict");
	arc_verifier_free(verifier);
	return verdict;
}

static struct view message_of(const struct yaml *test, struct buf *out)
{
	struct view text = yaml_text(test, "message");
	testing_crlf(text, out);
	return buf_view(out);
}

static bool validate(const struct yaml *test, const struct yaml *records)
{
	struct buf text = { 0 };
	struct view want = yaml_text(test, "cv");
	struct arc_verdict verdict = verify(message_of(test, &text), records);
	/* No state: the chain had failed before, and nobody says more about it. */
	bool good = view_trim(want).len > 0 ? view_eq_nocase(arc_result_name(verdict.result), view_trim(want))
					    : verdict.result == ARC_FAIL && verdict.was_failed;
	if (!good)
		printf("line %zu, %.*s: got %.*s (%s), want %.*s%s%s\n", test->line, VIEW_ARG(test->key),
			VIEW_ARG(arc_result_name(verdict.result)), verdict.reason != NULL ? verdict.reason : "",
			VIEW_ARG(want), dispute_of(test->key) != NULL ? ": " : "",
			dispute_of(test->key) != NULL ? dispute_of(test->key) : "");
	buf_clear(&text);
	return good;
}

/* Text without comments, and white space between words only: what two ways to write results have in common. */
static void put_plain(struct view text, struct buf *out)
{
	size_t depth = 0;
	bool blank = false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		depth += c == '(';
		bool skip = depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n';
		depth -= c == ')' && depth > 0;
		if (skip) {
			blank = true;
			continue;
		}
		if (blank && out->len > 0 && c != ';' && out->ptr[out->len - 1] != ';')
			testing_must(buf_append_byte(out, ' ') == ERR_OK);
		blank = false;
		testing_must(buf_append_byte(out, c) == ERR_OK);
	}
}

/* The results of all Authentication-Results with our id, in their order: how the suite wants them brought together. */
static size_t collect_results(struct view message, struct view id, struct buf *plain, struct view *ret)
{
	struct header_field field;
	struct view rest = view_sub(message, 0, header_section_length(message)), part;
	size_t count = 0;
	testing_must(buf_reserve(plain, 65536) == ERR_OK);
	while (header_next(&rest, &field)) {
		if (!view_eq_nocase(field.name, VIEW("Authentication-Results")))
			continue;
		size_t begin = plain->len;
		put_plain(field.value, plain);
		struct view parts = view_from(buf_view(plain), begin);
		must(view_split(&parts, ';', &part), "an empty field");
		bool is_ours = view_eq(view_trim(part), id);
		while (is_ours && view_split(&parts, ';', &part))
			if (part.len > 0 && count < RESULTS_MAX)
				ret[count++] = part;
	}
	return count;
}

/* "mime-version:date" */
static size_t fields_of(struct view names, struct dkim_sign_field *ret, size_t max)
{
	struct view name;
	size_t count = 0;
	while (view_split(&names, ':', &name) && count < max)
		ret[count++] = (struct dkim_sign_field){ name, false };
	return count;
}

/* Empty if it is not there. */
static struct view tag_of(struct view field_value, const char *name, struct tag_list *list)
{
	if (tag_list_parse(field_value, list) != ERR_OK)
		return VIEW_NONE;
	const struct tag *tag = tag_list_find(list, view_from_cstr(name));
	return tag != NULL ? tag->value : VIEW_NONE;
}

static bool same_tag(struct view ours, struct view theirs, const char *name)
{
	struct tag_list one, two;
	struct buf text = { 0 };
	uint8_t a[1024], b[1024];
	size_t a_len = 0, b_len = 0;
	unfold(theirs, &text);
	bool same = tag_value_pack(tag_of(ours, name, &one), a, sizeof a, &a_len) == ERR_OK &&
		tag_value_pack(tag_of(buf_view(&text), name, &two), b, sizeof b, &b_len) == ERR_OK && a_len > 0 &&
		view_eq_nocase(view_of(a, a_len), view_of(b, b_len));
	buf_clear(&text);
	return same;
}

/* Our fields say what the suite's do. */
static bool says_the_same(struct view ours, const struct yaml *test)
{
	static const char *const seal_tags[] = { "a", "cv", "d", "i", "s", "t" };
	static const char *const message_tags[] = { "a", "bh", "c", "d", "h", "i", "s", "t" };
	struct header_field seal, message, results;
	struct buf one = { 0 }, two = { 0 };
	bool same = header_find(ours, VIEW("ARC-Seal"), &seal) &&
		header_find(ours, VIEW("ARC-Message-Signature"), &message) &&
		header_find(ours, VIEW("ARC-Authentication-Results"), &results);
	for (size_t i = 0; same && i < sizeof seal_tags / sizeof seal_tags[0]; i++)
		same = same_tag(seal.value, yaml_text(test, "AS"), seal_tags[i]);
	for (size_t i = 0; same && i < sizeof message_tags / sizeof message_tags[0]; i++)
		same = same_tag(message.value, yaml_text(test, "AMS"), message_tags[i]);
	if (same) {
		put_plain(results.value, &one);
		put_plain(yaml_text(test, "AAR"), &two);
		same = view_eq(buf_view(&one), buf_view(&two));
		if (!same)
			printf("results: %s / %s\n", buf_cstr(&one), buf_cstr(&two));
	}
	buf_clear(&one);
	buf_clear(&two);
	return same;
}

/* The suite's set on top of the message. */
static void put_suite_set(const struct yaml *test, struct view message, struct buf *out)
{
	static const struct {
		const char *name, *key;
	} fields[] = { { "ARC-Seal: ", "AS" }, { "ARC-Message-Signature: ", "AMS" },
		{ "ARC-Authentication-Results: ", "AAR" } };
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct view rest = view_trim(yaml_text(test, fields[i].key)), line;
		testing_must(buf_append_cstr(out, fields[i].name) == ERR_OK);
		for (size_t n = 0; view_split(&rest, '\n', &line); n++) {
			/* It was signed with blanks behind semicolons only. */
			bool is_break = n > 0 && out->ptr[out->len - 1] == ';';
			testing_must(buf_append_cstr(out, is_break ? "\r\n\t" : "") == ERR_OK);
			testing_must(buf_append(out, view_trim(line)) == ERR_OK);
		}
		testing_must(buf_append_cstr(out, "\r\n") == ERR_OK);
	}
	testing_must(buf_append(out, message) == ERR_OK);
}

static const char *check_sealed(const struct yaml *test, const struct yaml *scenario, struct view message,
	const struct arc_verdict *before, struct view ours)
{
	const struct yaml *records = yaml_get(scenario, "txt-records");
	struct buf whole = { 0 };
	if (view_trim(yaml_text(test, "AS")).len == 0)
		return ours.len == 0 ? NULL : "a set was added";
	if (ours.len == 0)
		return "no set was added";
	if (!says_the_same(ours, test))
		return "our set says something else";
	/* A chain that failed fails on, whoever seals. */
	bool passes = before->result != ARC_FAIL;
	testing_must(buf_append(&whole, ours) == ERR_OK && buf_append(&whole, message) == ERR_OK);
	struct arc_verdict verdict = verify(buf_view(&whole), records);
	bool good = verdict.set_count == before->set_count + 1 &&
		(passes ? verdict.result == ARC_PASS : verdict.was_failed);
	buf_reset(&whole);
	put_suite_set(test, message, &whole);
	struct arc_verdict theirs = verify(buf_view(&whole), records);
	buf_clear(&whole);
	if (!good)
		return "our set does not verify";
	return (passes ? theirs.result == ARC_PASS : theirs.was_failed) ? NULL : "the suite's set does not verify";
}

static bool seal(const struct yaml *test, const struct yaml *scenario)
{
	struct buf text = { 0 }, plain = { 0 }, out = { 0 };
	struct view message = message_of(test, &text), results[RESULTS_MAX];
	struct dkim_sign_field fields[32];
	struct signature_private *key = NULL;
	uint64_t now_s = 0;
	must(signature_private_read_pem(yaml_text(scenario, "privatekey"), &key) == ERR_OK, "the key can't be read");
	must(view_parse_u64(yaml_text(test, "t"), UINT64_MAX, &now_s) == ERR_OK, "no time");
	struct arc_seal_options options = { .domain = yaml_text(scenario, "domain"),
		.key = { yaml_text(scenario, "sel"), key },
		.fields = fields,
		.now_s = now_s };
	options.field_count = fields_of(yaml_text(test, "sig-headers"), fields, 32);
	struct arc_seal_finish finish = { .verdict = verify(message, yaml_get(scenario, "txt-records")),
		.authserv_id = yaml_text(test, "srv-id"),
		.results = results };
	finish.result_count = collect_results(message, finish.authserv_id, &plain, results);
	struct arc_sealer *sealer = NULL;
	must(arc_sealer_new(&options, &sealer) == ERR_OK, "no sealer");
	must(arc_sealer_headers(sealer, message) == ERR_OK, "headers");
	must(arc_sealer_body(sealer, testing_body(message)) == ERR_OK, "body");
	must(arc_sealer_finish(sealer, &finish, &out) == ERR_OK, "finish");
	const char *wrong = check_sealed(test, scenario, message, &finish.verdict, buf_view(&out));
	if (wrong != NULL)
		printf("signing, line %zu, %.*s: %s\n", test->line, VIEW_ARG(test->key), wrong);
	arc_sealer_free(sealer);
	signature_private_free(key);
	buf_clear(&text);
	buf_clear(&plain);
	buf_clear(&out);
	return wrong == NULL;
}

struct score {
	unsigned passed, disputed, total;
};

static void run_file(const char *file, bool signs, struct score *score)
{
	struct buf text = { 0 };
	struct arena arena;
	arena_init(&arena, ARENA_BYTES);
	read_suite(__FILE__, file, &text);
	for (const struct yaml *scenario = yaml_parse(buf_view(&text), &arena); scenario != NULL;
		scenario = scenario->next) {
		const struct yaml *tests = yaml_get(scenario, "tests");
		must(tests != NULL, "a scenario lacks its tests");
		for (const struct yaml *test = tests->first; test != NULL; test = test->next) {
			bool good = signs ? seal(test, scenario) : validate(test, yaml_get(scenario, "txt-records"));
			score->total++;
			score->passed += good;
			score->disputed += !good && dispute_of(test->key) != NULL;
		}
	}
	arena_clear(&arena);
	buf_clear(&text);
}

int main(void)
{
	struct score validation = { 0 }, signing = { 0 };
	run_file("arc-valimail/arc-draft-validation-tests.yml", false, &validation);
	run_file("arc-valimail/arc-draft-sign-tests.yml", true, &signing);
	printf("CONFORMANCE arc-valimail-validation %u/%u\n", validation.passed, validation.total);
	printf("CONFORMANCE arc-valimail-signing %u/%u\n", signing.passed, signing.total);
	bool good = validation.passed + validation.disputed == validation.total && validation.total > 0 &&
		signing.passed + signing.disputed == signing.total && signing.total > 0;
	return good ? 0 : 1;
}
