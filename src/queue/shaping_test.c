#include "queue/shaping_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { S = 1000, M = 60 * S, H = 60 * M };

static struct shaping *parse(const char *text)
{
	struct buf errors = { 0 };
	struct shaping *shaping = shaping_parse(view_from_cstr(text), "rules", &errors);
	if (shaping == NULL)
		fail_msg("%s", buf_cstr(&errors));
	assert_int_equal(errors.len, 0);
	buf_clear(&errors);
	return shaping;
}

static struct shaping_action match(
	const struct shaping *shaping, const char *site, unsigned code, const char *enhanced, const char *text)
{
	const struct shaping_site *s = NULL;
	if (site != NULL) {
		s = shaping_site_named(shaping, view_from_cstr(site));
		assert_non_null(s);
	}
	return shaping_match(shaping, s, code, view_from_cstr(enhanced), view_from_cstr(text));
}

static const struct {
	const char *hosts[4];
	const char *site; /* NULL: none */
} hosts[] = {
	{ { "gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com" }, "google" },
	{ { "ASPMX.L.GOOGLE.COM", "aspmx2.googlemail.com." }, "google" },
	{ { "smtp.google.com" }, "google" },
	{ { "google.com" }, NULL },
	{ { "notgoogle.com" }, NULL },
	{ { "aspmx.l.google.com", "backup.example.net" }, NULL },
	{ { "outlook-com.olc.protection.outlook.com" }, "outlook" },
	{ { "example-com.mail.protection.outlook.com" }, "microsoft365" },
	{ { "example-com.o-v1.mx.microsoft" }, "microsoft365" },
	{ { "mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net", "mta7.am0.yahoodns.net" }, "yahoo" },
	{ { "mx01.mail.icloud.com", "mx02.mail.icloud.com" }, "apple" },
	{ { "mx1.comcast.net", "mx2.comcast.net" }, "comcast" },
	{ { "mx00.gmx.net", "mx01.gmx.net" }, "gmx" },
	{ { "mx-ha02.web.de" }, "gmx" },
	{ { "mx00.t-online.de" }, "t-online" },
	{ { "mx0a-001b2d01.pphosted.com" }, "proofpoint" },
	{ { "eu-smtp-inbound-1.mimecast.com" }, "mimecast" },
	{ { "smtp-in.orange.fr" }, "orange" },
	{ { "mx1.qq.com", "mx2.qq.com" }, "qq" },
	{ { "mxs.mail.ru" }, "mail-ru" },
	{ { "mx.example.net" }, NULL },
	{ { "" }, NULL },
	{ { NULL }, NULL },
};

static void sites_by_hosts(void **state)
{
	(void)state;
	struct shaping *shaping = shaping_parse(VIEW_NONE, "none", NULL);
	assert_non_null(shaping);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct view list[4];
		size_t n = 0;
		for (; n < 4 && hosts[i].hosts[n] != NULL; n++)
			list[n] = view_from_cstr(hosts[i].hosts[n]);
		const struct shaping_site *site = shaping_find_site(shaping, n, list);
		struct view name = site != NULL ? site->name : VIEW_NONE;
		if (!view_eq(name, view_from_cstr(hosts[i].site)))
			fail_msg("%s: %.*s", hosts[i].hosts[0], VIEW_ARG(name));
	}
	shaping_unref(shaping);
	shaping_unref(NULL);
}

/* Replies as the large ones give them. */
static const struct {
	const char *site;
	unsigned code;
	const char *enhanced, *text;
	enum shaping_action_kind kind;
} replies[] = {
	{ "google", 421, "4.7.28",
		"[192.0.2.1] Our system has detected an unusual\nrate of unsolicited mail originating from your IP "
		"address.",
		SHAPING_SLOW },
	{ "google", 421, "4.7.0", "Try again later, closing connection. (EHLO) gsmtp", SHAPING_SLOW },
	{ "google", 450, "4.2.1",
		"The user you are trying to contact is receiving mail at a rate that prevents additional messages",
		SHAPING_NOTHING },
	{ "google", 421, "4.7.0", "IP not in whitelist for RCPT domain, closing connection.", SHAPING_NOTHING },
	{ "google", 550, "5.1.1", "The email account that you tried to reach does not exist.", SHAPING_NOTHING },
	{ "google", 552, "5.2.2", "The recipient's inbox is out of storage space", SHAPING_NOTHING },
	{ "outlook", 451, "4.7.650",
		"The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
		SHAPING_SLOW },
	{ "outlook", 550, "5.7.1",
		"Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider "
		"since part of their network is on our block list (S3140).",
		SHAPING_SUSPEND },
	{ "microsoft365", 451, "4.7.500", "Server busy. Please try again later from [192.0.2.1]. (S77719)",
		SHAPING_SLOW },
	{ "microsoft365", 550, "5.4.1", "Recipient address rejected: Access denied.", SHAPING_NOTHING },
	{ "yahoo", 421, "4.7.0",
		"[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - "
		"4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
		SHAPING_SUSPEND },
	{ "yahoo", 421, "", "Max message per connection reached, closing transmission channel", SHAPING_NOTHING },
	{ "yahoo", 451, "", "Message temporarily deferred - [GL01]", SHAPING_NOTHING },
	{ "yahoo", 554, "", "delivery error: dd This user doesn't have a yahoo.com account", SHAPING_NOTHING },
	{ "comcast", 421, "", "resimta-c2p-01v Too many sessions opened", SHAPING_SLOW },
	{ "proofpoint", 421, "", "Deferred - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", SHAPING_SUSPEND },
	{ "mimecast", 451, "", "Internal resource is temporarily unavailable - https://community.mimecast.com/",
		SHAPING_NOTHING },
	{ "gmx", 554, "",
		"gmx.net (mxgmx104) Nemesis ESMTP Service not available\nNo SMTP service\nIP address is block listed.",
		SHAPING_SUSPEND },
	{ "orange", 421, "", "mwinf5c77 ME Trop de connexions, veuillez verifier votre configuration. OFR004_104 [104]",
		SHAPING_SLOW },
	{ "qq", 550, "", "Ip frequency limited", SHAPING_SUSPEND },
	{ "netease", 421, "", "HL:ICC 163 gzmx28,1,192.0.2.1", SHAPING_SLOW },
	{ NULL, 421, "4.7.0", "mx.example.net Error: too many connections from 192.0.2.1", SHAPING_SLOW },
	{ NULL, 452, "4.3.2", "Connection rate limit exceeded.", SHAPING_SLOW },
	{ NULL, 452, "4.5.3", "Too many recipients", SHAPING_NOTHING },
	{ NULL, 550, "", "Too many connections", SHAPING_NOTHING },
	{ NULL, 451, "4.3.0", "Temporary lookup failure", SHAPING_NOTHING },
};

static void what_replies_call_for(void **state)
{
	(void)state;
	struct shaping *shaping = parse("");
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct shaping_action action = match(
			shaping, replies[i].site, replies[i].code, replies[i].enhanced, replies[i].text);
		if (action.kind != replies[i].kind)
			fail_msg("%s: \"%u %s\": %d (%.*s)", replies[i].site, replies[i].code, replies[i].text,
				(int)action.kind, VIEW_ARG(action.rule));
		assert_int_equal(action.line, 0);
		if (action.kind == SHAPING_SLOW)
			assert_in_range(action.percent, 1, 99);
		if (action.kind == SHAPING_SLOW || action.kind == SHAPING_SUSPEND)
			assert_true(action.for_ms >= M && action.rule.len > 0);
	}
	shaping_unref(shaping);
}

/* Greylisting asks one message to come back later. Whoever took it for trouble would stop all mail to a site. */
static void greylisting_stops_nobody(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		const char *enhanced, *text;
	} greylists[] = {
		{ 450, "4.2.0", "<a@example.net>: Recipient address rejected: Greylisted" },
		{ 451, "4.7.1", "Greylisting in action, please come back later" },
		{ 450, "4.7.1", "<a@example.net>: Recipient address rejected: Greylisted for 300 seconds" },
		{ 451, "4.7.1", "Please try again later (grey-listed)" },
		{ 421, "", "Graylisted: connection rate limit, too many connections, try again" },
		{ 451, "", "Temporarily rejected, try again later" },
		{ 450, "4.1.1", "Try again in 5 minutes" },
	};
	struct shaping *shaping = parse("");
	for (const struct shaping_site_rules *s = shaping->sites; s != NULL; s = s->next)
		for (size_t i = 0; i < COUNT(greylists); i++) {
			struct shaping_action action = shaping_match(shaping, &s->site, greylists[i].code,
				view_from_cstr(greylists[i].enhanced), view_from_cstr(greylists[i].text));
			bool stops = action.kind == SHAPING_SUSPEND ||
				(action.kind == SHAPING_SLOW && shaping_is_for_all(s));
			if (stops)
				fail_msg("%.*s: %s: %.*s", VIEW_ARG(s->site.name), greylists[i].text,
					VIEW_ARG(action.rule));
		}
	shaping_unref(shaping);
}

static const char own_rules[] = "\xef\xbb\xbf# Ours.\r\n"
				"site *\n"
				"  when 4xx * \"try another\" next-host   # a comment with \"quotes\n"
				"  when 421 nothing\n"
				"SITE Partner_1.x\n"
				"\tmx *.Example.com mx.example.net\n"
				"\tconnections 20\n"
				"\tmessages-per-connection unlimited\n"
				"\trate 50/s 20000/h 3/m 9/d\n"
				"\twhen 45x 4.7.* \"too  fast\" \"Limit \\\"A\\\" \\\\\" slow 7% for 90s\n"
				"\twhen * * \"everything\" suspend for 2d\n"
				"site google\n"
				"  connections 3\n"
				"  rate unlimited\n"
				"  when 421 4.7.28 \"rate\" nothing\n"
				"site yahoo\n"
				"  mx mx.yahoo.example\n"
				"site partner_1.x\n"
				"  when 5*x next-host\n";

static void a_file(void **state)
{
	(void)state;
	struct buf text = { 0 };
	assert_int_equal(buf_append_cstr(&text, own_rules), ERR_OK);
	/* "5*x" is wrong: first the errors, then without it. */
	struct buf errors = { 0 };
	assert_null(shaping_parse(buf_view(&text), "rules", &errors));
	assert_string_equal(buf_cstr(&errors),
		"rules:19: `5*x` is no code of a negative reply: write `421`, `45x`, `4xx`, `5xx` or `*`\n");
	buf_clear(&errors);
	text.len -= strlen("  when 5*x next-host\n");
	assert_int_equal(buf_append_cstr(&text, "  when 5xx next-host\n"), ERR_OK);
	struct shaping *shaping = parse(buf_cstr(&text));
	buf_clear(&text);

	const struct shaping_site *site = shaping_site_named(shaping, VIEW("PARTNER_1.X"));
	assert_non_null(site);
	assert_true(view_eq(site->name, VIEW("partner_1.x")));
	assert_int_equal(site->connections, 20);
	assert_int_equal(site->messages_per_connection, 0);
	assert_int_equal(site->rate_count, 4);
	assert_int_equal(site->rates[1].count, 20000);
	assert_int_equal(site->rates[1].per_ms, H);
	struct view both[] = { VIEW("a.b.example.COM"), VIEW("MX.example.net") };
	assert_ptr_equal(shaping_find_site(shaping, 2, both), site);
	struct view below = VIEW("a.mx.example.net");
	assert_null(shaping_find_site(shaping, 1, &below));

	struct shaping_action action = match(
		shaping, "partner_1.x", 452, "4.7.9", "much TOO\n fast: limit \"a\" \\ hit");
	assert_int_equal(action.kind, SHAPING_SLOW);
	assert_int_equal(action.percent, 7);
	assert_int_equal(action.for_ms, 90 * S);
	assert_int_equal(action.line, 10);
	assert_true(
		view_eq(action.rule, VIEW("when 45x 4.7.* \"too  fast\" \"Limit \\\"A\\\" \\\\\" slow 7% for 90s")));
	assert_int_equal(match(shaping, "partner_1.x", 452, "4.8.9", "too fast limit \"a\" \\").kind, SHAPING_NOTHING);
	assert_int_equal(match(shaping, "partner_1.x", 452, "", "too fast limit \"a\" \\").kind, SHAPING_NOTHING);
	assert_int_equal(match(shaping, "partner_1.x", 452, "4.7.9", "toofast limit \"a\" \\").kind, SHAPING_NOTHING);
	action = match(shaping, "partner_1.x", 554, "5.0.0", "Everything is wrong");
	assert_int_equal(action.kind, SHAPING_SUSPEND);
	assert_true(action.for_ms == 48 * (int64_t)H);
	assert_int_equal(match(shaping, "partner_1.x", 554, "5.0.0", "no").kind, SHAPING_NEXT_HOST);
	/* Rules for all are behind those of the site, and before what is built in. */
	assert_int_equal(match(shaping, NULL, 450, "", "please try another host").kind, SHAPING_NEXT_HOST);
	action = match(shaping, NULL, 421, "", "too many connections");
	assert_int_equal(action.kind, SHAPING_NOTHING);
	assert_int_equal(action.line, 4);
	assert_int_equal(match(shaping, NULL, 452, "", "too many connections").kind, SHAPING_SLOW);

	/* What the file says of a built-in site takes the place of that; the rest stays. */
	site = shaping_site_named(shaping, VIEW("google"));
	assert_int_equal(site->connections, 3);
	assert_int_equal(site->messages_per_connection, 50);
	assert_int_equal(site->rate_count, 0);
	struct view gmail = VIEW("gmail-smtp-in.l.google.com"), yahoo = VIEW("mta5.am0.yahoodns.net"),
		    own = VIEW("mx.yahoo.example");
	assert_ptr_equal(shaping_find_site(shaping, 1, &gmail), site);
	assert_int_equal(match(shaping, "google", 421, "4.7.28", "unusual rate").kind, SHAPING_NOTHING);
	assert_int_equal(match(shaping, "google", 550, "5.7.28", "unusual rate").kind, SHAPING_SUSPEND);
	assert_null(shaping_find_site(shaping, 1, &yahoo));
	assert_non_null(shaping_find_site(shaping, 1, &own));
	assert_null(shaping_site_named(shaping, VIEW("*")));
	assert_null(shaping_site_named(shaping, VIEW("nobody")));

	size_t sites = 0, rules = 0;
	shaping_count(shaping, &sites, &rules);
	assert_int_equal(sites, 4);
	assert_int_equal(rules, 6);
	struct shaping *other = shaping_ref(shaping);
	shaping_unref(shaping);
	shaping_unref(other);
}

static const struct {
	const char *text, *error;
} errors_of[] = {
	{ "connections 5\n",
		"rules:1: `connections` stands before the first site: write `site example` (or `site *`) "
		"above it\n" },
	{ "site\n",
		"rules:1: `site` takes one name: write `site example`, and what holds for it on the lines below\n" },
	{ "site a b\n mx *.b.example\n",
		"rules:1: `site` takes one name: write `site example`, and what holds for it on the lines below\n" },
	{ "site a/b\n",
		"rules:1: `a/b` is no name for a site: letters, digits, `-`, `_` and `.`, at most 40 (or `*`: "
		"all sites)\n" },
	{ "site a\n",
		"rules:1: site a has no line `mx`, and is none of the built-in ones: nothing would belong to it\n" },
	{ "site a\n mx *.a.example\n conections 5\n",
		"rules:3: `conections` is no key, did you mean `connections`? (site, mx, connections, "
		"messages-per-connection, rate, when)\n" },
	{ "\n\nsiet a\n",
		"rules:3: `siet` is no key, did you mean `site`? (site, mx, connections, "
		"messages-per-connection, rate, when)\n" },
	{ "site google\n bananas\n",
		"rules:2: `bananas` is no key (site, mx, connections, messages-per-connection, rate, "
		"when)\n" },
	{ "site google\n connections 0\n",
		"rules:2: `connections` takes one number from 1 to 10000, or `unlimited`\n" },
	{ "site google\n connections 10001\n",
		"rules:2: `connections` takes one number from 1 to 10000, or `unlimited`\n" },
	{ "site google\n connections 5\n connections 6\n",
		"rules:3: `connections` is set twice for site google, first on line 2: leave one of them out\n" },
	{ "site google\n mx\n", "rules:2: `mx` needs host names: write `mx *.example.com`\n" },
	{ "site google\n mx *.com a..b .x.y b\xc3\xbc.example\n",
		"rules:2: `*.com` is no pattern for hosts: write `*.example.com` (all below it) or `mx1.example.com`; "
		"other "
		"letters in their xn-- form\n"
		"rules:2: `a..b` is no pattern for hosts: write `*.example.com` (all below it) or `mx1.example.com`; "
		"other "
		"letters in their xn-- form\n"
		"rules:2: `.x.y` is no pattern for hosts: write `*.example.com` (all below it) or `mx1.example.com`; "
		"other "
		"letters in their xn-- form\n"
		"rules:2: `b??.example` is no pattern for hosts: write `*.example.com` (all below it) or "
		"`mx1.example.com`; other letters in their xn-- form\n" },
	{ "site google\n rate 5\n",
		"rules:2: `5` is no rate: write messages per s, m, h or d, such as `20/s` or "
		"`5000/h`\n" },
	{ "site google\n rate 1/s 2/m 3/h 4/d 5/s\n",
		"rules:2: `rate` takes one to 4 rates: write `rate 50/s 20000/h`, or `rate unlimited`\n" },
	{ "site *\n connections 5\n",
		"rules:2: under `site *` only `when` may stand: limits for all sites are in section "
		"`delivery` of the configuration\n" },
	{ "site *\n when\n",
		"rules:2: `when` needs the code of a reply: write `when 421 4.7.* \"too many\" slow 50% for 10m`\n" },
	{ "site *\n when 250 * nothing\n",
		"rules:2: `250` is no code of a negative reply: write `421`, `45x`, `4xx`, `5xx` or `*`\n" },
	{ "site *\n when 421 4.7 nothing\n",
		"rules:2: `4.7` is no enhanced code: write `4.7.28`, `4.7.*`, `4.*.*` or `*`\n" },
	{ "site *\n when 421 5.7.1 nothing\n",
		"rules:2: 421 and `5.7.1` never come together: both begin with the same digit\n" },
	{ "site *\n when 421 * rate slow 50% for 10m\n",
		"rules:2: `rate` is no action (slow N% for TIME, suspend TIME, next-host, nothing); words of a reply "
		"need "
		"quotes\n" },
	{ "site *\n when 421 * \"rate\" suspnd 1h\n",
		"rules:2: `suspnd` is no action, did you mean `suspend`? (slow N% for TIME, suspend TIME, next-host, "
		"nothing); words of a reply need quotes\n" },
	{ "site *\n when 421 * \"rate\"\n",
		"rules:2: what is to be done? End the rule with `slow 50% for 10m`, `suspend "
		"1h`, `next-host` or `nothing`\n" },
	{ "site *\n when 421 * slow 50 for 10m\n",
		"rules:2: slow to how much? Write `slow 50% for 10m` (1% to 99%)\n" },
	{ "site *\n when 421 * slow 50%\n", "rules:2: slow for how long? Write `slow 50% for 10m`\n" },
	{ "site *\n when 421 * suspend 8d\n",
		"rules:2: for how long? Write `30s`, `10m`, `2h` or `1d` (at most 7d)\n" },
	{ "site *\n when 421 * suspend 1h \"x\"\n",
		"rules:2: `x` stands behind the end of the rule: words come before the action\n" },
	{ "site *\n when 421 \"x suspend 1h\n", "rules:2: the closing quote (\") is missing\n" },
	{ "site *\n when 421 \" \" suspend 1h\n",
		"rules:2: a quoted word is empty, it would match everything: leave it out\n" },
	{ "site *\n when 421 \"\\n\" suspend 1h\n", "rules:2: behind a backslash only \\\\ or \\\" may stand\n" },
	{ "site *\n when 421 \x01 suspend 1h\n", "rules:2: there is a control character in the line\n" },
	{ "site *\n when 421 \"\xff\" suspend 1h\n", "rules:2: the line is not written in UTF-8\n" },
};

static void errors_say_what_to_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(errors_of); i++) {
		struct buf errors = { 0 };
		struct shaping *shaping = shaping_parse(view_from_cstr(errors_of[i].text), "rules", &errors);
		if (shaping != NULL)
			fail_msg("no error: %s", errors_of[i].text);
		assert_string_equal(buf_cstr(&errors), errors_of[i].error);
		buf_clear(&errors);
	}
}

static void errors_end(void **state)
{
	(void)state;
	struct buf text = { 0 }, errors = { 0 };
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_append_cstr(&text, "nonsense\n"), ERR_OK);
	assert_null(shaping_parse(buf_view(&text), "rules", &errors));
	size_t lines = 0;
	for (size_t i = 0; i < errors.len; i++)
		lines += errors.ptr[i] == '\n';
	assert_int_equal(lines, 21);
	buf_clear(&text);
	buf_clear(&errors);
}

static void printed_rules_read_the_same(void **state)
{
	(void)state;
	struct buf first = { 0 }, second = { 0 }, errors = { 0 };
	struct shaping *shaping = parse(
		"site b\n mx *.b.example x.example\n rate 5/m 6/s\n connections unlimited\n"
		" when 421 4.7.* \"a  \\\"b\\\" \\\\ #\" slow 50% for 3600s\n when * next-host\n"
		"site google\n connections 4\n when 4xx 4.0.0 nothing\n when 5xx suspend 90s\n");
	assert_int_equal(shaping_format(shaping, &first), ERR_OK);
	static const char beginning[] =
		"# From the file.\n"
		"\nsite b\n  mx *.b.example x.example\n  connections unlimited\n  rate 5/m 6/s\n"
		"  when 421 4.7.* \"a \\\"b\\\" \\\\ #\" slow 50% for 1h\n  when * * next-host\n"
		"\nsite google\n  connections 4\n  when 4xx 4.0.0 nothing\n"
		"  when 5xx * suspend 90s\n"
		"\n# Built in.\n"
		"\nsite google\n  mx *.google.com *.googlemail.com *.smtp.goog\n"
		"  # replaced:  connections 10\n  messages-per-connection 50\n";
	assert_memory_equal(first.ptr, beginning, sizeof beginning - 1);
	struct shaping *again = shaping_parse_with(buf_view(&first), "again", false, &errors);
	assert_string_equal(buf_cstr(&errors), "");
	assert_int_equal(shaping_site_named(again, VIEW("google"))->connections, 4);
	assert_int_equal(shaping_format(again, &second), ERR_OK);
	struct shaping *third = shaping_parse_with(buf_view(&second), "third", false, &errors);
	assert_non_null(third);
	buf_reset(&first);
	assert_int_equal(shaping_format(third, &first), ERR_OK);
	assert_true(view_eq(buf_view(&first), buf_view(&second)));
	shaping_unref(shaping);
	shaping_unref(again);
	shaping_unref(third);
	buf_clear(&first);
	buf_clear(&second);
	buf_clear(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sites_by_hosts),
		cmocka_unit_test(what_replies_call_for),
		cmocka_unit_test(greylisting_stops_nobody),
		cmocka_unit_test(a_file),
		cmocka_unit_test(errors_say_what_to_write),
		cmocka_unit_test(errors_end),
		cmocka_unit_test(printed_rules_read_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
