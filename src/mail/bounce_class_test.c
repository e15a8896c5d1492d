#include "mail/bounce_class.h"

#include "mail/testing.h"

struct reply_case {
	const char *text, *class;
	bool is_hard;
};

static const struct reply_case cases[] = {
	{ "550 5.1.1 <a@example.com> User unknown", "bad-mailbox", true },
	{ "450 4.1.1 <a@example.com> User unknown", "bad-mailbox", false },
	{ "smtp; 550-5.1.1 The email account that you tried to reach does not exist.", "bad-mailbox", true },
	{ "550 5.2.1 The account is disabled", "inactive", true },
	{ "552 5.2.2 Over quota", "full", false },
	{ "452 4.2.2 Mailbox full", "full", false },
	{ "552 5.3.4 Message too big", "too-large", false },
	{ "556 5.1.10 The domain accepts no mail (null MX)", "bad-domain", true },
	{ "550 5.1.2 The domain does not exist", "bad-domain", true },
	{ "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "bad-mailbox", true },
	{ "550 5.7.26 Unauthenticated email from example.com is not accepted", "authentication", false },
	{ "550 5.7.25 no pointer", "ptr", false },
	{ "554 5.7.1 Client host blocked using zen.spamhaus.org, too many unknown users", "reputation", false },
	{ "421 4.7.28 Our system has detected an unusual rate", "rate", false },
	{ "450 4.2.0 Greylisted, come back in 5 minutes", "greylist", false },
	{ "554 5.6.0 looks like SPAM to me", "content", false },
	{ "550 5.7.1 Email contains a virus", "virus", false },
	{ "454 4.7.5 TLS with mx.example.net failed: certificate has expired", "tls", false },
	{ "451 4.4.3 The domain's mail hosts can't be looked up: SERVFAIL", "dns", false },
	{ "451 4.4.1 mx.example.net can't be reached: Connection refused", "network", false },
	{ "554 5.4.7 Delivery time expired", "expired", false },
	{ "554 5.4.6 Too many hops", "loop", false },
	{ "550 5.7.1 Relaying denied", "relay", false },
	{ "503 Bad sequence of commands", "protocol", false },
	{ "500 what?", "protocol", false },
	{ "421 4.3.2 we are closed", "system", false },
	{ "550 5.7.1 no", "policy", false },
	{ "550 no", "undetermined", false },
	{ "551", "inactive", true },
	{ "", "undetermined", false },
	{ "five hundred and fifty", "undetermined", false },
};

static void test_classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bounce_reply reply = bounce_reply_from(view_from_cstr(cases[i].text));
		struct bounce_verdict verdict = bounce_classify(&reply);
		struct view name = bounce_class_name(verdict.class);
		if (!view_eq(name, view_from_cstr(cases[i].class)) || verdict.is_hard != cases[i].is_hard)
			fail_msg("%s: %.*s, hard %d", cases[i].text, VIEW_ARG(name), verdict.is_hard);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOUNCE_CLASSES; i++) {
		enum bounce_class class;
		assert_true(bounce_class_parse(bounce_class_name((enum bounce_class)i), &class));
		assert_int_equal(class, i);
	}
	enum bounce_class class;
	assert_false(bounce_class_parse(VIEW("bad"), &class));
}

static void test_codes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned code, class, subject, detail;
		const char *rest;
	} codes[] = {
		{ "550 5.1.1 x", 550, 5, 1, 1, "x" },
		{ "550-5.1.1 x", 550, 5, 1, 1, "x" },
		{ "SMTP;550 5.7.509 x", 550, 5, 7, 509, "x" },
		{ "5.1.1 x", 0, 5, 1, 1, "x" },
		{ "550 5.1 x", 550, 0, 0, 0, "5.1 x" },
		{ "550 3.1.1 x", 550, 0, 0, 0, "3.1.1 x" },
		{ "550 5.1.1000 x", 550, 0, 0, 0, "5.1.1000 x" },
		{ "5500 x", 0, 0, 0, 0, "5500 x" },
		{ "192.0.2.1 x", 0, 0, 0, 0, "192.0.2.1 x" },
		{ "4.1.1.1", 0, 0, 0, 0, "4.1.1.1" },
	};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct bounce_reply r = bounce_reply_from(view_from_cstr(codes[i].text));
		if (r.code != codes[i].code || r.class != codes[i].class || r.subject != codes[i].subject ||
			r.detail != codes[i].detail || !view_eq(r.text, view_from_cstr(codes[i].rest)))
			fail_msg("%s: %u %u.%u.%u %.*s", codes[i].text, r.code, r.class, r.subject, r.detail,
				VIEW_ARG(r.text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
