#include "policy/auth_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct auth_policy careful = { .spf_fail = AUTH_WISH_TAG,
	.dmarc_reject = AUTH_WISH_REJECT,
	.dmarc_quarantine = AUTH_WISH_QUARANTINE,
	.bad_from = AUTH_WISH_REJECT };
static const struct auth_policy strict = { .spf_fail = AUTH_WISH_REJECT,
	.dmarc_reject = AUTH_WISH_REJECT,
	.dmarc_quarantine = AUTH_WISH_REJECT,
	.bad_from = AUTH_WISH_REJECT };
static const struct auth_policy junk = { .spf_fail = AUTH_WISH_QUARANTINE,
	.dmarc_reject = AUTH_WISH_QUARANTINE,
	.dmarc_quarantine = AUTH_WISH_QUARANTINE,
	.bad_from = AUTH_WISH_QUARANTINE };
static const struct auth_policy tags = { .spf_fail = AUTH_WISH_TAG,
	.dmarc_reject = AUTH_WISH_TAG,
	.dmarc_quarantine = AUTH_WISH_TAG,
	.bad_from = AUTH_WISH_TAG };
static const struct auth_policy nothing;

struct matter {
	const char *name;
	const struct auth_policy *policy;
	enum spf_result spf;
	enum dmarc_result dmarc;
	enum dmarc_policy asked, applied;
	size_t from_fields;
	/* DMARC_TEMPERROR: what is known of the record. */
	enum dmarc_source source;
	struct dmarc_record record;
	bool author_passed, is_sealed;

	enum auth_action action;
	enum auth_override override;
	unsigned code, subject, detail;
	const char *reason;
};

#define RECORD(p)                                                                                                      \
	{                                                                                                              \
		.policy = (p), .subdomain_policy = (p), .nonexistent_policy = (p)                                      \
	}

static const struct matter matters[] = {
	{ "all is well", &strict, SPF_PASS, DMARC_PASS, DMARC_POLICY_REJECT, 0, 1, .reason = "" },
	{ "DKIM passes, SPF fails: forwarded mail", &strict, SPF_FAIL, DMARC_PASS, DMARC_POLICY_REJECT, 0, 1,
		.reason = "" },
	{ "DKIM passes, SPF unknown", &strict, SPF_TEMPERROR, DMARC_PASS, DMARC_POLICY_REJECT, 0, 1, .reason = "" },
	{ "p=reject", &careful, SPF_PASS, DMARC_FAIL, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT, 1,
		.action = AUTH_REJECT, .code = 550, .subject = 7, .detail = 26, .reason = "dmarc" },
	{ "p=quarantine", &careful, SPF_FAIL, DMARC_FAIL, DMARC_POLICY_QUARANTINE, DMARC_POLICY_QUARANTINE, 1,
		.action = AUTH_QUARANTINE, .reason = "dmarc" },
	{ "p=none: the owner only watches, whatever his SPF record says", &strict, SPF_FAIL, DMARC_FAIL,
		DMARC_POLICY_NONE, DMARC_POLICY_NONE, 1, .reason = "" },
	{ "p=reject with t=y", &careful, SPF_NONE, DMARC_FAIL, DMARC_POLICY_REJECT, DMARC_POLICY_QUARANTINE, 1,
		.action = AUTH_QUARANTINE, .override = AUTH_OVERRIDE_TEST_MODE, .reason = "dmarc" },
	{ "p=quarantine with t=y", &careful, SPF_NONE, DMARC_FAIL, DMARC_POLICY_QUARANTINE, DMARC_POLICY_NONE, 1,
		.override = AUTH_OVERRIDE_TEST_MODE, .reason = "" },
	{ "p=reject goes to Junk here", &junk, SPF_NONE, DMARC_FAIL, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT, 1,
		.action = AUTH_QUARANTINE, .override = AUTH_OVERRIDE_LOCAL_POLICY, .reason = "dmarc" },
	{ "p=quarantine is refused here", &strict, SPF_NONE, DMARC_FAIL, DMARC_POLICY_QUARANTINE,
		DMARC_POLICY_QUARANTINE, 1, .action = AUTH_REJECT, .override = AUTH_OVERRIDE_LOCAL_POLICY, .code = 550,
		.subject = 7, .detail = 26, .reason = "dmarc" },
	{ "p=reject is tagged here", &tags, SPF_NONE, DMARC_FAIL, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT, 1,
		.action = AUTH_TAG, .override = AUTH_OVERRIDE_LOCAL_POLICY, .reason = "dmarc" },
	{ "p=reject is nothing here", &nothing, SPF_NONE, DMARC_FAIL, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT, 1,
		.override = AUTH_OVERRIDE_LOCAL_POLICY, .reason = "" },
	{ "p=reject, but a trusted sealer saw it pass", &careful, SPF_FAIL, DMARC_FAIL, DMARC_POLICY_REJECT,
		DMARC_POLICY_REJECT, 1, .is_sealed = true, .override = AUTH_OVERRIDE_TRUSTED_FORWARDER,
		.reason = "arc" },

	{ "SPF fails, no DMARC", &careful, SPF_FAIL, DMARC_NONE, 0, 0, 1, .action = AUTH_TAG, .reason = "spf" },
	{ "SPF fails, no DMARC, refused", &strict, SPF_FAIL, DMARC_NONE, 0, 0, 1, .action = AUTH_REJECT, .code = 550,
		.subject = 7, .detail = 23, .reason = "spf" },
	{ "SPF fails, no DMARC, Junk", &junk, SPF_FAIL, DMARC_NONE, 0, 0, 1, .action = AUTH_QUARANTINE,
		.reason = "spf" },
	{ "SPF softfail is no failure", &strict, SPF_SOFTFAIL, DMARC_NONE, 0, 0, 1, .reason = "" },
	{ "a broken SPF record is no failure", &strict, SPF_PERMERROR, DMARC_NONE, 0, 0, 1, .reason = "" },
	{ "SPF unknown where it would refuse", &strict, SPF_TEMPERROR, DMARC_NONE, 0, 0, 1, .action = AUTH_DEFER,
		.code = 451, .subject = 7, .detail = 24, .reason = "dns" },
	{ "SPF unknown where it would tag", &careful, SPF_TEMPERROR, DMARC_NONE, 0, 0, 1, .reason = "" },

	{ "no From field", &careful, SPF_PASS, DMARC_PERMERROR, 0, 0, 0, .action = AUTH_REJECT, .code = 550,
		.subject = 7, .detail = 1, .reason = "from" },
	{ "two From fields", &careful, SPF_PASS, DMARC_PERMERROR, 0, 0, 2, .action = AUTH_REJECT, .code = 550,
		.subject = 7, .detail = 1, .reason = "from" },
	{ "one From field, two domains", &careful, SPF_PASS, DMARC_PERMERROR, 0, 0, 1, .action = AUTH_REJECT,
		.code = 550, .subject = 7, .detail = 1, .reason = "from" },
	{ "no From field goes to Junk here", &junk, SPF_PASS, DMARC_PERMERROR, 0, 0, 0, .action = AUTH_QUARANTINE,
		.reason = "from" },
	{ "no From field and SPF fails: the stronger wish", &(const struct auth_policy){ .spf_fail = AUTH_WISH_REJECT },
		SPF_FAIL, DMARC_PERMERROR, 0, 0, 0, .action = AUTH_REJECT, .code = 550, .subject = 7, .detail = 23,
		.reason = "spf" },

	{ "no answer about the record", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1, .action = AUTH_DEFER, .code = 451,
		.subject = 4, .detail = 3, .reason = "dns" },
	{ "no answer about the record, SPF unknown, too", &careful, SPF_TEMPERROR, DMARC_TEMPERROR, 0, 0, 1,
		.action = AUTH_DEFER, .code = 451, .subject = 7, .detail = 24, .reason = "dns" },
	{ "no answer about the record, but it is the author's", &careful, SPF_PASS, DMARC_TEMPERROR, 0, 0, 1,
		.author_passed = true, .reason = "" },
	{ "no answer about a record that would change nothing", &tags, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1,
		.reason = "" },
	{ "no answer about the key, p=reject", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1, DMARC_SOURCE_AUTHOR,
		RECORD(DMARC_POLICY_REJECT), .action = AUTH_DEFER, .code = 451, .subject = 4, .detail = 3,
		.reason = "dns" },
	{ "no answer about the key, p=none", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1, DMARC_SOURCE_AUTHOR,
		RECORD(DMARC_POLICY_NONE), .reason = "" },
	{ "no answer about the key, p=quarantine in test mode", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1,
		DMARC_SOURCE_AUTHOR, { .policy = DMARC_POLICY_QUARANTINE, .is_testing = true }, .reason = "" },
	{ "no answer whether the domain exists, np=reject", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1,
		DMARC_SOURCE_ORGANIZATION, { .nonexistent_policy = DMARC_POLICY_REJECT }, .action = AUTH_DEFER,
		.code = 451, .subject = 4, .detail = 3, .reason = "dns" },
	{ "np= is not about an author domain with a record", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1,
		DMARC_SOURCE_AUTHOR, { .nonexistent_policy = DMARC_POLICY_REJECT }, .reason = "" },
	{ "no answer, but a trusted sealer saw it pass", &careful, SPF_NONE, DMARC_TEMPERROR, 0, 0, 1,
		.is_sealed = true, .reason = "" },
};

static struct auth_decision decide(const struct matter *m)
{
	struct auth_findings findings = {
		.has_spf = true,
		.spf = { .result = m->spf, .domain = VIEW("sender.example"), .explanation = VIEW("ask\r\nus") },
		.from_fields = m->from_fields,
		.dmarc = { .result = m->dmarc,
			.domain = VIEW("author.example"),
			.source = m->source,
			.record_domain = VIEW("author.example"),
			.record = m->record,
			.policy = m->asked,
			.applied = m->applied,
			.reason = "because" },
		.author_passed = m->author_passed,
		.trusted_sealer = m->is_sealed ? VIEW("list.example") : VIEW_NONE,
	};
	return auth_policy_decide(m->policy, &findings);
}

static void each_verdict_has_its_action(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matters / sizeof matters[0]; i++) {
		const struct matter *m = &matters[i];
		struct auth_decision d = decide(m);
		if (d.action != m->action || d.override != m->override || d.reply.code != m->code ||
			d.reply.subject != m->subject || d.reply.detail != m->detail)
			fail_msg("%s: action %d, override %d, %u x.%u.%u", m->name, (int)d.action, (int)d.override,
				d.reply.code, d.reply.subject, d.reply.detail);
		assert_string_equal(d.reason, m->reason);
		/* Whoever is refused is told why. */
		assert_int_equal(d.reply.code != 0, d.action == AUTH_REJECT || d.action == AUTH_DEFER);
	}
}

static void replies_name_the_domain(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matters / sizeof matters[0]; i++) {
		struct auth_decision d = decide(&matters[i]);
		struct buf text = { 0 };
		assert_int_equal(buf_append(&text, smtp_reply_text(&d.reply)), ERR_OK);
		const char *name = d.reply.detail == 23 || (d.reply.detail == 24 && matters[i].dmarc == DMARC_NONE)
			? "sender.example"
			: "author.example";
		if (d.reply.code != 0 && d.reply.detail != 1 && strstr(buf_cstr(&text), name) == NULL)
			fail_msg("%s: %s", matters[i].name, buf_cstr(&text));
		/* A stranger's words stay on one line. */
		assert_true(view_find(buf_view(&text), '\r') == text.len);
		buf_clear(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verdict_has_its_action),
		cmocka_unit_test(replies_name_the_domain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
