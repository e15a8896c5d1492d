#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailauth/spf.h"

#include <string.h>

/* A zone is text, a record a line: "name TYPE data". MX data is the host only; "!" as the type: the DNS fails for
 * this name; "^": like a line of its own for each number from 1 to the one in front: "^12 name TYPE data", where "#"
 * in the data is the number. */
enum { RECORDS_MAX = 32 };
struct lookup {
	struct dns_record records[RECORDS_MAX];
	uint8_t texts[RECORDS_MAX][1024];
	struct dns_answer answer;
};

static bool take(struct view *line, struct view *ret)
{
	return view_split(line, ' ', ret);
}

static struct view put_number(struct view data, uint64_t number, uint8_t *room)
{
	size_t len = 0;
	for (size_t i = 0; i < data.len; i++) {
		assert_true(len + 2 < 1024);
		if (data.ptr[i] == '#' && number >= 10)
			room[len++] = (uint8_t)('0' + number / 10);
		room[len++] = data.ptr[i] == '#' ? (uint8_t)('0' + number % 10) : data.ptr[i];
	}
	return view_of(room, len);
}

/* Only what the tests write: "192.0.2.1", or "2001:db8::5" with one group behind. */
static struct view address(struct view text, uint8_t bytes[16])
{
	uint64_t n;
	struct view part;
	if (view_find(text, ':') == text.len) {
		for (unsigned i = 0; i < 4; i++) {
			assert_true(view_split(&text, '.', &part));
			assert_int_equal(view_parse_u64(part, 255, &n), ERR_OK);
			bytes[i] = (uint8_t)n;
		}
		return view_of(bytes, 4);
	}
	assert_true(view_starts_with(text, VIEW("2001:db8::")));
	memcpy(bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(view_parse_u64(view_from(text, 10), 9, &n), ERR_OK);
	bytes[15] = (uint8_t)n;
	return view_of(bytes, 16);
}

static void add(struct lookup *lookup, uint16_t type, struct view data, uint64_t number)
{
	size_t i = lookup->answer.record_count++;
	uint8_t bytes[16];
	assert_true(i < RECORDS_MAX);
	struct dns_record *record = &lookup->records[i];
	record->type = type;
	data = put_number(data, number, lookup->texts[i]);
	if (type == DNS_TYPE_MX || type == DNS_TYPE_PTR)
		record->name = data;
	else if (type == DNS_TYPE_TXT)
		record->data = data;
	else {
		data = address(data, bytes);
		memcpy(lookup->texts[i], bytes, data.len);
		record->data = view_of(lookup->texts[i], data.len);
	}
}

static struct view type_word(uint16_t type)
{
	return type == DNS_TYPE_A       ? VIEW("A")
		: type == DNS_TYPE_AAAA ? VIEW("AAAA")
		: type == DNS_TYPE_MX   ? VIEW("MX")
		: type == DNS_TYPE_PTR  ? VIEW("PTR")
					: VIEW("TXT");
}

static enum spf_dns_status look_up(const char *zone, const struct spf_need *need, struct lookup *lookup)
{
	struct view rest = view_from_cstr(zone), line, name, type;
	enum spf_dns_status status = SPF_DNS_NXDOMAIN;
	memset(lookup, 0, sizeof *lookup);
	lookup->answer.records = lookup->records;
	while (view_split(&rest, '\n', &line)) {
		uint64_t times = 1;
		assert_true(take(&line, &name));
		if (name.ptr[0] == '^') {
			assert_int_equal(view_parse_u64(view_from(name, 1), RECORDS_MAX, &times), ERR_OK);
			assert_true(take(&line, &name));
		}
		assert_true(take(&line, &type));
		if (!view_eq(name, need->name))
			continue;
		if (view_eq(type, VIEW("!")))
			return SPF_DNS_FAILED;
		status = SPF_DNS_OK;
		for (uint64_t i = 1; i <= times && view_eq(type, type_word(need->type)); i++)
			add(lookup, need->type, line, i);
	}
	return status;
}

struct run {
	const char *name;
	const char *zone;
	const char *ip, *sender; /* "local@domain", or "" and the HELO is checked */
	const char *result; /* "fail" … */
	const char *term; /* the term that decided, at its domain; NULL: not looked at */
	const char *explanation; /* NULL: not looked at */
	unsigned questions; /* 0: not looked at */
	const char *asked; /* a question that must have been asked; NULL: not looked at */
	struct spf_limits limits;
};

#define HELO "mail.example.net"

static void set_question(const struct run *run, uint8_t ip[16], struct spf_question *question)
{
	struct view sender = view_from_cstr(run->sender);
	size_t at = view_find(sender, '@');
	*question = (struct spf_question){
		.helo = VIEW(HELO), .receiver = VIEW("mx.example.org"), .now_s = 1234567890
	};
	question->ip = address(view_from_cstr(run->ip), ip);
	question->local = view_sub(sender, 0, at);
	question->domain = view_from(sender, at + 1);
	question->limits = run->limits;
}

static bool play(struct spf_check *check, const char *zone, const char *asked)
{
	struct spf_need need;
	bool seen = asked == NULL;
	static struct lookup lookup;
	while (spf_check_next(check, &need)) {
		enum spf_dns_status status = look_up(zone, &need, &lookup);
		seen = seen || view_eq(need.name, view_from_cstr(asked));
		assert_int_equal(spf_check_answer(check, need.token + 1, status, &lookup.answer), ERR_STATE);
		assert_int_equal(spf_check_answer(check, need.token, status, &lookup.answer), ERR_OK);
	}
	return seen;
}

static void check_run(const struct run *run)
{
	uint8_t ip[16];
	struct spf_question question;
	struct spf_verdict verdict;
	set_question(run, ip, &question);
	struct spf_check *check = spf_check_new(&question);
	bool asked = play(check, run->zone, run->asked);
	assert_true(spf_check_result(check, &verdict));
	struct buf term = { 0 };
	if (verdict.term.len > 0 || verdict.term_domain.len > 0)
		assert_int_equal(
			buf_append_format(&term, "%.*s at %.*s", VIEW_ARG(verdict.term), VIEW_ARG(verdict.term_domain)),
			ERR_OK);
	bool good = asked && view_eq(spf_result_name(verdict.result), view_from_cstr(run->result)) &&
		(run->term == NULL || view_eq(buf_view(&term), view_from_cstr(run->term))) &&
		(run->explanation == NULL || view_eq(verdict.explanation, view_from_cstr(run->explanation))) &&
		(run->questions == 0 || run->questions == verdict.questions);
	if (!good)
		print_error("%s: %.*s by \"%s\", explanation \"%.*s\", %u questions, %s\n", run->name,
			VIEW_ARG(spf_result_name(verdict.result)), buf_cstr(&term), VIEW_ARG(verdict.explanation),
			verdict.questions, verdict.problem != NULL ? verdict.problem : "no problem");
	assert_true(good);
	assert_true((verdict.result >= SPF_TEMPERROR) == (verdict.problem != NULL));
	buf_clear(&term);
	spf_check_free(check);
}

static const struct run runs[] = {
	{ "no record", "e.org A 192.0.2.1", "192.0.2.1", "joe@e.org", "none", "", "", 1, "e.org", { 0 } },
	{ "the null sender", HELO " TXT v=spf1 +all", "192.0.2.1", "", "pass", "+all at " HELO, "", 1, HELO, { 0 } },
	{ "a trailing dot", "e.org TXT v=spf1 -all", "192.0.2.1", "joe@E.ORG.", "fail", "-all at E.ORG", "", 1, "e.org",
		{ 0 } },
	{ "not in A-labels", "", "192.0.2.1", "joe@caf\xc3\xa9.example", "none", "", "", 0, NULL, { 0 } },
	{ "nothing matches", "e.org TXT v=spf1 ip4:192.0.2.0/28 a ip6:2001:db8::/32", "192.0.2.16", "joe@e.org",
		"neutral", "", "", 2, NULL, { 0 } },
	{ "ip4 with a prefix", "e.org TXT v=spf1 -ip4:192.0.2.0/29 ~ip4:192.0.2.8/29 -all", "192.0.2.15", "joe@e.org",
		"softfail", "~ip4:192.0.2.8/29 at e.org", "", 1, NULL, { 0 } },
	{ "ip6 with a prefix", "e.org TXT v=spf1 -ip6:2001:db8::/127 ?ip6:2001:DB8::2/127 -all", "2001:db8::3",
		"joe@e.org", "neutral", "?ip6:2001:DB8::2/127 at e.org", "", 1, NULL, { 0 } },
	{ "any case", "e.org TXT V=SPF1 IP4:192.0.2.9 A:M.E.ORG -ALL\nm.e.org A 192.0.2.1", "192.0.2.1", "joe@e.org",
		"pass", "A:M.E.ORG at e.org", "", 2, "m.e.org", { 0 } },
	{ "an include that fails", "e.org TXT v=spf1 include:i.org ?all\ni.org TXT v=spf1 -all exp=x.org", "192.0.2.1",
		"joe@e.org", "neutral", "?all at e.org", "", 2, NULL, { 0 } },
	{ "includes within includes",
		"e.org TXT v=spf1 ~include:i.org -all\ni.org TXT v=spf1 include:j.org\nj.org TXT v=spf1 all",
		"192.0.2.1", "joe@e.org", "softfail", "~include:i.org at e.org", "", 3, NULL, { 0 } },
	{ "nothing is left of an include", "e.org TXT v=spf1 include:i.org\ni.org TXT v=spf1 -all", "192.0.2.1",
		"joe@e.org", "neutral", "", "", 2, NULL, { 0 } },
	{ "a faulty include", "e.org TXT v=spf1 include:i.org -all\ni.org TXT v=spf1 nonsense", "192.0.2.1",
		"joe@e.org", "permerror", "nonsense at i.org", "", 2, NULL, { 0 } },
	{ "an include of nothing", "e.org TXT v=spf1 include:i.org -all", "192.0.2.1", "joe@e.org", "permerror",
		"include:i.org at e.org", "", 2, NULL, { 0 } },
	{ "redirect",
		"e.org TXT v=spf1 redirect=r.org exp=x.org\nr.org TXT v=spf1 -all exp=y.org\ny.org TXT by %{o} via "
		"%{d}",
		"192.0.2.1", "joe@e.org", "fail", "-all at r.org", "by e.org via r.org", 3, NULL, { 0 } },
	{ "redirect inside an include",
		"e.org TXT v=spf1 include:i.org -all\ni.org TXT v=spf1 redirect=r.org\nr.org TXT v=spf1 a:m.%{d}\n"
		"m.r.org A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "pass", "include:i.org at e.org", "", 4, "m.r.org", { 0 } },
	{ "a void and a nothing", "e.org TXT v=spf1 a:n1.org exists:m.org -all\nm.org TXT text", "192.0.2.1",
		"joe@e.org", "fail", NULL, "", 3, NULL, { 0 } },
	{ "one void too many", "e.org TXT v=spf1 a:n1.org exists:m.org mx:m.org -all\nm.org TXT text", "192.0.2.1",
		"joe@e.org", "permerror", "mx:m.org at e.org", "", 4, NULL, { 0 } },
	{ "fewer voids by limit", "e.org TXT v=spf1 a:n1.org exists:m.org -all", "192.0.2.1", "joe@e.org", "permerror",
		"exists:m.org at e.org", "", 3, NULL, { .void_lookups_max = 1 } },
	{ "hosts of mx are not voids", "e.org TXT v=spf1 mx -all\n^5 e.org MX h#.org\n^1 h5.org AAAA 2001:db8::5",
		"2001:db8::5", "joe@e.org", "pass", "mx at e.org", "", 7, "h5.org", { 0 } },
	{ "ten hosts of mx", "e.org TXT v=spf1 mx -all\n^10 e.org MX h#.org\nh10.org A 192.0.2.1", "192.0.2.1",
		"joe@e.org", "pass", NULL, "", 12, "h10.org", { 0 } },
	{ "eleven hosts of mx", "e.org TXT v=spf1 mx -all\n^11 e.org MX h#.org\nh1.org A 192.0.2.1", "192.0.2.1",
		"joe@e.org", "permerror", "mx at e.org", "", 2, NULL, { 0 } },
	{ "a host of mx can't be asked for", "e.org TXT v=spf1 mx -all\ne.org MX h.org\nh.org !", "192.0.2.1",
		"joe@e.org", "temperror", "mx at e.org", "", 3, NULL, { 0 } },
	{ "loop of includes", "e.org TXT v=spf1 include:e.org -all", "192.0.2.1", "joe@e.org", "permerror", NULL, "",
		11, NULL, { 0 } },
	{ "loop of redirects", "e.org TXT v=spf1 redirect=e.org", "192.0.2.1", "joe@e.org", "permerror",
		"redirect=e.org at e.org", "", 11, NULL, { 0 } },
	{ "fewer look-ups by limit", "e.org TXT v=spf1 include:e.org -all", "192.0.2.1", "joe@e.org", "permerror", NULL,
		"", 4, NULL, { .lookups_max = 3 } },
	{ "a record too long", "e.org TXT v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", "joe@e.org", "permerror", NULL, "",
		1, NULL, { .record_max_bytes = 20 } },
	{ "no memory", "e.org TXT v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", "joe@e.org", "permerror", NULL, "", 1, NULL,
		{ .memory_max_bytes = 100 } },
	{ "not even for the question", "", "192.0.2.1", "joe@e.org", "none", "", "", 0, NULL,
		{ .memory_max_bytes = 1 } },
	{ "ptr asks only below its name", "e.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR dsl.example.com",
		"192.0.2.1", "joe@e.org", "fail", NULL, "", 2, NULL, { 0 } },
	{ "ptr at a dot only", "e.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR some.org\nsome.org A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "fail", NULL, "", 2, NULL, { 0 } },
	{ "ptr must lead back",
		"e.org TXT v=spf1 ptr -all\n^2 1.2.0.192.in-addr.arpa PTR h#.e.org\nh2.e.org A 192.0.2.1", "192.0.2.1",
		"joe@e.org", "pass", "ptr at e.org", "", 4, NULL, { 0 } },
	{ "ptr fails quietly", "e.org TXT v=spf1 ptr ?all\n1.2.0.192.in-addr.arpa !", "192.0.2.1", "joe@e.org",
		"neutral", "?all at e.org", "", 2, NULL, { 0 } },
	{ "the eleventh name of ptr",
		"e.org TXT v=spf1 ptr -all\n^11 1.2.0.192.in-addr.arpa PTR h#.e.org\nh11.e.org A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "fail", NULL, "", 12, NULL, { 0 } },
	{ "the address's names are asked for once",
		"e.org TXT v=spf1 ptr:a.org exists:%{p}.x.org ptr -all\n^3 1.2.0.192.in-addr.arpa PTR h#.a.org\nx.org "
		"A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "fail", NULL, "", 6, "unknown.x.org", { 0 } },
	{ "names that are no host's",
		"e.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR a\\032b.e.org\na\\032b.e.org A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "fail", NULL, "", 2, NULL, { 0 } },
	{ "IPv6 reversed", "e.org TXT v=spf1 ptr -all", "2001:db8::5", "joe@e.org", "fail", NULL, "", 2,
		"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", { 0 } },
	{ "local parts outside ASCII match nothing",
		"e.org TXT v=spf1 exists:%{l}.e.org a:%{S}.e.org exists:%{o} ~all\ne.org A 192.0.2.9", "192.0.2.1",
		"jos\xc3\xa9@e.org", "pass", "exists:%{o} at e.org", "", 2, NULL, { 0 } },
	{ "nor redirect", "e.org TXT v=spf1 redirect=%{l}.e.org", "192.0.2.1", "jos\xc3\xa9@e.org", "neutral", "", "",
		1, NULL, { 0 } },
	{ "nor explain", "e.org TXT v=spf1 -all exp=x.org\nx.org TXT not %{l}", "192.0.2.1", "jos\xc3\xa9@e.org",
		"fail", NULL, "", 2, NULL, { 0 } },
	{ "spaces in a local part", "e.org TXT v=spf1 exists:%{l}.e.org -all\na\\032b.e.org A 192.0.2.9", "192.0.2.1",
		"A b@e.org", "pass", NULL, "", 2, NULL, { 0 } },
	{ "an empty label matches nothing", "e.org TXT v=spf1 a:%{l}.e.org -all", "192.0.2.1", "a..b@e.org", "fail",
		NULL, "", 1, NULL, { 0 } },
	{ "an explanation",
		"e.org TXT v=spf1 -all exp=x.%{d}\nx.e.org TXT %{s} from %{c} (%{h}) at %{r}, %{t}%_%%%-, %{p}",
		"192.0.2.1", "joe@e.org", "fail", "-all at e.org",
		"joe@e.org from 192.0.2.1 (mail.example.net) at mx.example.org, 1234567890 %%20, unknown", 3, NULL,
		{ 0 } },
	{ "an explanation with the address's name",
		"e.org TXT v=spf1 -all exp=x.org\nx.org TXT you, %{p}?\n"
		"^4 1.2.0.192.in-addr.arpa PTR h#.e.org\nh3.e.org A 192.0.2.1",
		"192.0.2.1", "joe@e.org", "fail", NULL, "you, h3.e.org?", 6, NULL, { 0 } },
	{ "no explanation but of fail", "e.org TXT v=spf1 ~all exp=x.org\nx.org TXT why", "192.0.2.1", "joe@e.org",
		"softfail", NULL, "", 1, NULL, { 0 } },
	{ "an explanation that is too long",
		"e.org TXT v=spf1 -all exp=x.org\nx.org TXT "
		"%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}",
		"192.0.2.1", "a-local-part-of-a-length-that-is-allowed-but-rarely-seen@e.org", "fail", NULL, "", 2,
		NULL, { 0 } },
	{ "the DNS fails", "e.org !", "192.0.2.1", "joe@e.org", "temperror", " at e.org", "", 1, NULL, { 0 } },
	{ "the DNS fails further on", "e.org TXT v=spf1 a:b.org -all\nb.org !", "192.0.2.1", "joe@e.org", "temperror",
		"a:b.org at e.org", "", 2, NULL, { 0 } },
	{ "an error behind the match", "e.org TXT v=spf1 all a:b.org/33", "192.0.2.1", "joe@e.org", "permerror",
		"a:b.org/33 at e.org", "", 1, NULL, { 0 } },
};

static void test_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
		check_run(&runs[i]);
}

static struct spf_check *begin(const char *sender)
{
	uint8_t ip[16];
	struct run run = { .ip = "192.0.2.1", .sender = sender };
	struct spf_question question;
	set_question(&run, ip, &question);
	return spf_check_new(&question);
}

static enum err answer_text(struct spf_check *check, uint64_t token, const char *text)
{
	struct dns_record record = { .type = DNS_TYPE_TXT, .data = view_from_cstr(text) };
	return spf_check_answer(
		check, token, SPF_DNS_OK, &(struct dns_answer){ .record_count = 1, .records = &record });
}

static void test_questions_stay_open(void **state)
{
	(void)state;
	struct spf_need first, again;
	struct spf_verdict verdict;
	struct spf_check *check = begin("joe@e.org");
	assert_true(spf_check_next(check, &first));
	assert_true(spf_check_next(check, &again));
	assert_int_equal(first.token, again.token);
	assert_int_equal(first.type, DNS_TYPE_TXT);
	assert_false(spf_check_result(check, &verdict));
	assert_int_equal(answer_text(check, first.token, "v=spf1 -all"), ERR_OK);
	assert_int_equal(answer_text(check, first.token, "v=spf1 +all"), ERR_STATE);
	assert_false(spf_check_next(check, &again));
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_FAIL);
	spf_check_give_up(check);
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_FAIL);
	spf_check_free(check);
	spf_check_free(NULL);
}

static void test_giving_up(void **state)
{
	(void)state;
	struct spf_need need;
	struct spf_verdict verdict;
	struct spf_check *check = begin("joe@e.org");
	assert_true(spf_check_next(check, &need));
	spf_check_give_up(check);
	assert_false(spf_check_next(check, &need));
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_TEMPERROR);
	spf_check_free(check);
	/* Only the explanation is lost. */
	check = begin("joe@e.org");
	assert_true(spf_check_next(check, &need));
	assert_int_equal(answer_text(check, need.token, "v=spf1 -all exp=x.org"), ERR_OK);
	assert_true(spf_check_next(check, &need));
	spf_check_give_up(check);
	assert_int_equal(answer_text(check, need.token, "late"), ERR_STATE);
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_FAIL);
	assert_int_equal(verdict.explanation.len, 0);
	spf_check_free(check);
}

static void test_helo_alone(void **state)
{
	(void)state;
	struct spf_need need;
	struct spf_verdict verdict;
	struct spf_check *check = spf_check_new(&(struct spf_question){ .ip = VIEW("\xc0\0\2\1"),
		.identity = SPF_HELO,
		.helo = VIEW("Mail.Example.NET"),
		.local = VIEW("joe"),
		.domain = VIEW("e.org") });
	assert_true(spf_check_next(check, &need));
	assert_true(view_eq(need.name, VIEW("mail.example.net")));
	assert_int_equal(answer_text(check, need.token, "v=spf1 exists:%{l}.%{o}.%{h1}.org -all"), ERR_OK);
	assert_true(spf_check_next(check, &need));
	assert_true(view_eq(need.name, VIEW("postmaster.mail.example.net.net.org")));
	assert_int_equal(spf_check_answer(check, need.token, SPF_DNS_NXDOMAIN, NULL), ERR_OK);
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_FAIL);
	assert_int_equal(verdict.identity, SPF_HELO);
	assert_int_equal(verdict.lookups, 1);
	assert_int_equal(verdict.void_lookups, 1);
	spf_check_free(check);
}

/* Answers of other types than asked for, of wrong lengths, without records, do no harm. */
static void test_odd_answers(void **state)
{
	(void)state;
	struct spf_need need;
	struct spf_verdict verdict;
	struct spf_check *check = begin("joe@e.org");
	struct dns_record records[] = { { .type = DNS_TYPE_AAAA, .data = VIEW("\xc0\0\2\1") },
		{ .type = DNS_TYPE_A, .data = VIEW("\xc0\0\2") } };
	assert_true(spf_check_next(check, &need));
	assert_int_equal(answer_text(check, need.token, "v=spf1 a/0 mx ptr -all"), ERR_OK);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(spf_check_next(check, &need));
		assert_int_equal(spf_check_answer(check, need.token, SPF_DNS_OK,
					 &(struct dns_answer){ .record_count = 2, .records = records }),
			ERR_OK);
		if (i == 1)
			records[1].type = DNS_TYPE_TXT;
	}
	assert_true(spf_check_result(check, &verdict));
	assert_int_equal(verdict.result, SPF_FAIL);
	spf_check_free(check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_questions_stay_open),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_helo_alone),
		cmocka_unit_test(test_odd_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
