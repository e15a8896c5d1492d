/*
 * The engine against the openspf suite for RFC 7208: each case asks check_host() about a zone. A case may allow several
 * results, where the RFC leaves it open; every one of them counts as passed. Explanations are compared where the suite
 * has one ("DEFAULT": none of the domain's own).
 */
#include "mailauth/spf.h"
#include "mailauth/testing_yaml.h"
#include "mail/conformance.h"

#include <arpa/inet.h>

enum { RECORDS_MAX = 64, CNAMES_MAX = 16, ARENA_BYTES = 64 * 1024 * 1024 };

/* The answer to one question, and the memory of its records. */
struct lookup {
	struct dns_answer answer;
	struct dns_record records[RECORDS_MAX];
	uint8_t addresses[RECORDS_MAX][16];
	struct buf text; /* joined strings, and names; never moves, since it has its room from the start */
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* A name as dns/message.h writes it, written here once more. */
static struct view put_name(struct buf *out, struct view name)
{
	size_t begin = out->len;
	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = ascii_lower(name.ptr[i]);
		bool is_plain = ascii_is_alnum(c) || c == '-' || c == '_' || c == '.';
		must((is_plain ? buf_append_byte(out, c) : buf_append_format(out, "\\%03u", c)) == ERR_OK,
			"a name is too long");
	}
	return view_from(buf_view(out), begin);
}

static const struct yaml *find_name(const struct yaml *zone, struct view name)
{
	uint8_t room[2048];
	for (const struct yaml *entry = zone->first; entry != NULL; entry = entry->next) {
		struct buf key = { room, 0, sizeof room, sizeof room };
		if (view_eq(put_name(&key, entry->key), name))
			return entry;
	}
	return NULL;
}

static bool is_none(const struct yaml *value)
{
	return value->kind == YAML_SCALAR && view_eq(value->text, VIEW("NONE"));
}

/* The record's type is a map's only key. */
static bool has_type(const struct yaml *record, const char *type)
{
	return record->kind == YAML_MAP && view_eq(record->first->key, view_from_cstr(type));
}

/* The suite writes records once, as SPF; they stand for TXT unless the name has a TXT of its own. */
static const char *type_name(const struct yaml *entry, uint16_t type)
{
	bool has_txt = false;
	for (const struct yaml *record = entry->first; record != NULL; record = record->next)
		has_txt = has_txt || has_type(record, "TXT");
	switch (type) {
	case DNS_TYPE_A:
		return "A";
	case DNS_TYPE_AAAA:
		return "AAAA";
	case DNS_TYPE_MX:
		return "MX";
	case DNS_TYPE_PTR:
		return "PTR";
	default:
		must(type == DNS_TYPE_TXT, "the engine asks for a type that SPF has no use for");
		return has_txt ? "TXT" : "SPF";
	}
}

static struct view put_strings(struct buf *out, const struct yaml *value)
{
	size_t begin = out->len;
	if (value->kind == YAML_SCALAR)
		must(buf_append(out, value->text) == ERR_OK, "a record is too long");
	for (const struct yaml *string = value->first; string != NULL; string = string->next)
		must(buf_append(out, string->text) == ERR_OK, "a record is too long");
	return view_from(buf_view(out), begin);
}

static void put_record(struct lookup *lookup, uint16_t type, const struct yaml *value)
{
	size_t i = lookup->answer.record_count++;
	must(i < RECORDS_MAX, "too many records");
	struct dns_record *record = &lookup->records[i];
	char text[64] = "";
	record->type = type;
	switch (type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		must(value->text.len < sizeof text, "no address");
		memcpy(text, value->text.ptr, value->text.len);
		must(inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, text, lookup->addresses[i]) == 1, "no address");
		record->data = view_of(lookup->addresses[i], type == DNS_TYPE_A ? 4 : 16);
		return;
	case DNS_TYPE_MX:
		record->name = put_name(&lookup->text, value->first->next->text);
		return;
	case DNS_TYPE_PTR:
		record->name = put_name(&lookup->text, value->text);
		return;
	default:
		record->data = put_strings(&lookup->text, value);
	}
}

/* Fills lookup->answer. As resolvers do, it follows CNAMEs and gives up on a loop. */
static enum spf_dns_status look_up(const struct yaml *zone, const struct spf_need *need, struct lookup *lookup)
{
	const struct yaml *entry = find_name(zone, need->name);
	for (unsigned followed = 0; entry != NULL && has_type(entry->first, "CNAME"); followed++) {
		if (followed == CNAMES_MAX)
			return SPF_DNS_FAILED;
		entry = find_name(zone, put_name(&lookup->text, entry->first->first->text));
	}
	if (entry == NULL)
		return SPF_DNS_NXDOMAIN;
	const char *type = type_name(entry, need->type);
	bool times_out = false;
	for (const struct yaml *record = entry->first; record != NULL; record = record->next) {
		times_out = times_out || (record->kind == YAML_SCALAR && view_eq(record->text, VIEW("TIMEOUT")));
		if (has_type(record, type) && !is_none(record->first))
			put_record(lookup, need->type, record->first);
	}
	/* A name that times out does so for the types it has nothing of. */
	return lookup->answer.record_count == 0 && times_out ? SPF_DNS_FAILED : SPF_DNS_OK;
}

static void answer_questions(struct spf_check *check, const struct yaml *zone)
{
	static struct lookup lookup;
	struct spf_need need;
	must(buf_reserve(&lookup.text, 1024 * 1024) == ERR_OK, "no memory");
	while (spf_check_next(check, &need)) {
		memset(lookup.records, 0, sizeof lookup.records);
		lookup.answer = (struct dns_answer){ .records = lookup.records };
		buf_reset(&lookup.text);
		enum spf_dns_status status = look_up(zone, &need, &lookup);
		must(spf_check_answer(check, need.token, status, &lookup.answer) == ERR_OK, "the answer is not taken");
	}
	buf_clear(&lookup.text);
}

static void set_address(struct view text, uint8_t bytes[16], struct spf_question *question)
{
	char host[64] = "";
	must(text.len < sizeof host, "no address");
	memcpy(host, text.ptr, text.len);
	bool is_v4 = inet_pton(AF_INET, host, bytes) == 1;
	must(is_v4 || inet_pton(AF_INET6, host, bytes) == 1, "no address");
	question->ip = view_of(bytes, is_v4 ? 4 : 16);
}

static bool is_allowed(const struct yaml *results, struct view result)
{
	bool found = results->kind == YAML_SCALAR && view_eq(results->text, result);
	for (const struct yaml *one = results->first; one != NULL; one = one->next)
		found = found || view_eq(one->text, result);
	return found;
}

static bool run_case(const struct yaml *test, const struct yaml *zone)
{
	uint8_t ip[16];
	struct spf_question question = {
		.helo = yaml_text(test, "helo"), .receiver = VIEW("mx.example.org"), .now_s = 1000000000
	};
	struct view sender = yaml_text(test, "mailfrom"), wanted = yaml_text(test, "explanation");
	size_t at = view_find_last(sender, '@');
	set_address(yaml_text(test, "host"), ip, &question);
	question.local = view_sub(sender, 0, at);
	question.domain = view_from(sender, at + 1);
	struct spf_check *check = spf_check_new(&question);
	answer_questions(check, zone);
	struct spf_verdict verdict;
	must(spf_check_result(check, &verdict), "there is no result");
	bool good = is_allowed(yaml_get(test, "result"), spf_result_name(verdict.result));
	if (yaml_get(test, "explanation") != NULL)
		good = good && view_eq(verdict.explanation, view_eq(wanted, VIEW("DEFAULT")) ? VIEW_NONE : wanted);
	if (!good)
		printf("line %zu, %.*s: got %.*s \"%.*s\" (%s), want %.*s \"%.*s\"\n", test->line, VIEW_ARG(test->key),
			VIEW_ARG(spf_result_name(verdict.result)), VIEW_ARG(verdict.explanation),
			verdict.problem != NULL ? verdict.problem : "", VIEW_ARG(yaml_text(test, "result")),
			VIEW_ARG(wanted));
	spf_check_free(check);
	return good;
}

int main(void)
{
	struct buf text = { 0 };
	struct arena arena;
	unsigned passed = 0, total = 0;
	arena_init(&arena, ARENA_BYTES);
	read_suite(__FILE__, "spf-rfc7208/rfc7208-tests.yml", &text);
	for (const struct yaml *scenario = yaml_parse(buf_view(&text), &arena); scenario != NULL;
		scenario = scenario->next) {
		const struct yaml *tests = yaml_get(scenario, "tests"), *zone = yaml_get(scenario, "zonedata");
		must(tests != NULL && zone != NULL, "a scenario lacks its tests or its zone");
		for (const struct yaml *test = tests->first; test != NULL; test = test->next) {
			passed += run_case(test, zone);
			total++;
		}
	}
	arena_clear(&arena);
	buf_clear(&text);
	printf("CONFORMANCE spf-rfc7208 %u/%u\n", passed, total);
	return passed == total && total > 0 ? 0 : 1;
}
