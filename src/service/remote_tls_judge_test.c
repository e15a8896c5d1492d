#include "service/remote_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* VIEW() is no constant. */
#define TEXT(literal)                                                                                                  \
	{                                                                                                              \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                                     \
	}

static const struct mta_sts_policy enforce = {
	.mode = MTA_STS_ENFORCE, .max_age_s = 1000, .mx_count = 1, .mx = { TEXT("*.example.net") }
};
static const struct mta_sts_policy testing = {
	.mode = MTA_STS_TESTING, .max_age_s = 1000, .mx_count = 1, .mx = { TEXT("*.example.net") }
};
static const struct mta_sts_policy elsewhere = {
	.mode = MTA_STS_ENFORCE, .max_age_s = 1000, .mx_count = 1, .mx = { TEXT("mx.example.org") }
};

#define VERIFIED                                                                                                       \
	{                                                                                                              \
		.pkix = TLS_PKIX_VERIFIED, .pkix_reason = "", .dane_reason = ""                                        \
	}
#define EXPIRED                                                                                                        \
	{                                                                                                              \
		.pkix = TLS_PKIX_EXPIRED, .pkix_reason = "certificate has expired", .dane_reason = ""                  \
	}
#define OTHER_NAME                                                                                                     \
	{                                                                                                              \
		.pkix = TLS_PKIX_OTHER_NAME, .pkix_reason = "hostname mismatch", .dane_reason = ""                     \
	}
#define SELF_SIGNED                                                                                                    \
	{                                                                                                              \
		.pkix = TLS_PKIX_NOT_TRUSTED, .pkix_reason = "self-signed certificate", .dane_reason = ""              \
	}
#define DANE_EE_MATCH                                                                                                  \
	{                                                                                                              \
		.pkix = TLS_PKIX_NOT_TRUSTED, .pkix_reason = "self-signed certificate", .dane = TLS_DANE_EE,           \
		.dane_failure = TLS_PKIX_VERIFIED, .dane_reason = ""                                                   \
	}
#define DANE_NO_MATCH                                                                                                  \
	{                                                                                                              \
		.pkix = TLS_PKIX_VERIFIED, .pkix_reason = "", .dane = TLS_DANE_MISMATCH,                               \
		.dane_failure = TLS_PKIX_NOT_TRUSTED, .dane_reason = "no matching DANE TLSA records"                   \
	}
#define DANE_TA_BY_DOMAIN                                                                                              \
	{                                                                                                              \
		.pkix = TLS_PKIX_OTHER_NAME, .pkix_reason = "hostname mismatch", .dane = TLS_DANE_TA,                  \
		.dane_failure = TLS_PKIX_VERIFIED, .dane_reason = "", .dane_needs_names = true                         \
	}

enum { ASKED = 1, PROMISES = 2, REFUSED = 4, UNSIGNED = 8 };

static const struct {
	const char *name;
	struct remote_tls_need need;
	enum remote_tls_stage stage;
	unsigned flags;
	enum dane_demand dane;
	struct tls_facts facts;
	bool allowed, is_final;
	const char *result, *reason;
} cases[] = {
	/* By our own policy. */
	{ "may, in clear", { .policy = CONFIG_TLS_MAY }, REMOTE_TLS_CLEAR, 0, 0, { 0 }, true, false,
		"starttls-not-supported", NULL },
	{ "may, the handshake failed", { .policy = CONFIG_TLS_MAY }, REMOTE_TLS_FAILED, 0, 0, { 0 }, true, false,
		"validation-failure", NULL },
	{ "may, any certificate", { .policy = CONFIG_TLS_MAY }, REMOTE_TLS_READY, 0, 0, SELF_SIGNED, true, false, NULL,
		NULL },
	{ "encrypt, in clear", { .policy = CONFIG_TLS_ENCRYPT }, REMOTE_TLS_CLEAR, 0, 0, { 0 }, false, false,
		"starttls-not-supported",
		"451 4.7.5 mx.example.net: it offers no STARTTLS, but our policy for the domain demands TLS" },
	{ "encrypt, STARTTLS refused", { .policy = CONFIG_TLS_ENCRYPT }, REMOTE_TLS_CLEAR, REFUSED, 0, { 0 }, false,
		false, "starttls-not-supported",
		"451 4.7.5 mx.example.net: STARTTLS came to nothing (it went wrong), but our policy for the domain "
		"demands "
		"TLS" },
	{ "encrypt, any certificate", { .policy = CONFIG_TLS_ENCRYPT }, REMOTE_TLS_ON, 0, 0, EXPIRED, true, false, NULL,
		NULL },
	{ "verify, before", { .policy = CONFIG_TLS_VERIFY }, REMOTE_TLS_BEFORE, 0, 0, { 0 }, true, false, NULL, NULL },
	{ "verify, good", { .policy = CONFIG_TLS_VERIFY }, REMOTE_TLS_ON, 0, 0, VERIFIED, true, false, NULL, NULL },
	{ "verify, expired", { .policy = CONFIG_TLS_VERIFY }, REMOTE_TLS_ON, 0, 0, EXPIRED, false, false,
		"certificate-expired",
		"451 4.7.5 mx.example.net: its certificate is not verified, as our policy for example.com demands: "
		"certificate has expired" },
	{ "verify, the handshake failed", { .policy = CONFIG_TLS_VERIFY }, REMOTE_TLS_FAILED, 0, 0, { 0 }, false, false,
		"validation-failure", "451 4.7.5 mx.example.net: it went wrong" },
	{ "verify, by DANE", { .policy = CONFIG_TLS_VERIFY, .has_dane = true }, REMOTE_TLS_ON, ASKED, DANE_VERIFY,
		DANE_EE_MATCH, true, false, NULL, NULL },
	{ "dane, no records", { .policy = CONFIG_TLS_DANE, .has_dane = true }, REMOTE_TLS_BEFORE, ASKED, DANE_NOTHING,
		{ 0 }, false, false, "dane-required",
		"451 4.7.5 mx.example.net: our policy for example.com demands DANE, but there are no secure TLSA "
		"records" },
	{ "dane, not signed", { .policy = CONFIG_TLS_DANE }, REMOTE_TLS_BEFORE, 0, DANE_NOTHING, { 0 }, false, false,
		"dane-required",
		"451 4.7.5 mx.example.net: our policy for example.com demands DANE, but there are no secure TLSA "
		"records: the MX records are not signed" },
	{ "dane, records that are not signed", { .policy = CONFIG_TLS_DANE, .has_dane = true }, REMOTE_TLS_BEFORE,
		ASKED | UNSIGNED, DANE_NOTHING, { 0 }, false, false, "dane-required",
		"451 4.7.5 mx.example.net: our policy for example.com demands DANE, but there are no secure TLSA "
		"records: they are not signed" },
	{ "dane, useless records", { .policy = CONFIG_TLS_DANE, .has_dane = true }, REMOTE_TLS_BEFORE, ASKED,
		DANE_ENCRYPT, { 0 }, false, false, "tlsa-invalid",
		"451 4.7.5 mx.example.net: our policy for example.com demands DANE, but none of its TLSA records is "
		"usable" },
	{ "dane, match", { .policy = CONFIG_TLS_DANE, .has_dane = true }, REMOTE_TLS_ON, ASKED, DANE_VERIFY,
		DANE_EE_MATCH, true, false, NULL, NULL },
	/* DANE. */
	{ "TLSA unknown", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_READY, 0, DANE_NOTHING, VERIFIED,
		false, false, "dnssec-invalid", "451 4.7.5 mx.example.net: its TLSA records are not known" },
	{ "TLSA failed", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_BEFORE, ASKED, DANE_DEFER, { 0 },
		false, false, "dnssec-invalid",
		"451 4.7.5 mx.example.net: its TLSA records can't be looked up: no answer" },
	{ "TLSA, in clear", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_CLEAR, ASKED, DANE_VERIFY, { 0 },
		false, false, "starttls-not-supported",
		"451 4.7.5 mx.example.net: it offers no STARTTLS, but its TLSA records demand TLS" },
	{ "useless TLSA, in clear", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_CLEAR, ASKED,
		DANE_ENCRYPT, { 0 }, false, false, "starttls-not-supported",
		"451 4.7.5 mx.example.net: it offers no STARTTLS, but its TLSA records demand TLS" },
	{ "useless TLSA, TLS", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_ON, ASKED, DANE_ENCRYPT,
		SELF_SIGNED, true, false, NULL, NULL },
	{ "useless TLSA, to the end", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_READY, ASKED,
		DANE_ENCRYPT, SELF_SIGNED, true, false, "tlsa-invalid", NULL },
	{ "useless TLSA, the handshake failed", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_FAILED,
		ASKED, DANE_ENCRYPT, { 0 }, false, false, "validation-failure",
		"451 4.7.5 mx.example.net: it went wrong" },
	{ "TLSA, no match", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_ON, ASKED, DANE_VERIFY,
		DANE_NO_MATCH, false, false, "certificate-not-trusted",
		"451 4.7.5 mx.example.net: no TLSA record matches its certificate: no matching DANE TLSA records" },
	{ "TLSA of other domains do not matter", { .policy = CONFIG_TLS_MAY }, REMOTE_TLS_ON, ASKED, DANE_VERIFY,
		DANE_NO_MATCH, true, false, NULL, NULL },
	{ "usage 2 by our domain's name", { .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_READY, ASKED,
		DANE_VERIFY, DANE_TA_BY_DOMAIN, true, false, NULL, NULL },
	{ "usage 2 by another domain's name",
		{ .domain = TEXT("other.example"), .policy = CONFIG_TLS_MAY, .has_dane = true }, REMOTE_TLS_READY,
		ASKED, DANE_VERIFY, DANE_TA_BY_DOMAIN, false, false, "certificate-host-mismatch",
		"451 4.7.5 mx.example.net: no TLSA record matches its certificate" },
	/* MTA-STS. */
	{ "enforce, good", { .policy = CONFIG_TLS_MAY, .sts = &enforce }, REMOTE_TLS_READY, 0, 0, VERIFIED, true, false,
		NULL, NULL },
	{ "enforce, other host", { .policy = CONFIG_TLS_MAY, .sts = &elsewhere }, REMOTE_TLS_BEFORE, 0, 0, { 0 }, false,
		false, "validation-failure",
		"451 4.7.5 mx.example.net: the MTA-STS policy of example.com does not name this host" },
	{ "enforce, in clear", { .policy = CONFIG_TLS_MAY, .sts = &enforce }, REMOTE_TLS_CLEAR, 0, 0, { 0 }, false,
		false, "starttls-not-supported",
		"451 4.7.5 mx.example.net: it offers no STARTTLS, but the MTA-STS policy of its domain demands TLS" },
	{ "enforce, the handshake failed", { .policy = CONFIG_TLS_MAY, .sts = &enforce }, REMOTE_TLS_FAILED, 0, 0,
		{ 0 }, false, false, "validation-failure", "451 4.7.5 mx.example.net: it went wrong" },
	{ "enforce, other name", { .policy = CONFIG_TLS_MAY, .sts = &enforce }, REMOTE_TLS_ON, 0, 0, OTHER_NAME, false,
		false, "certificate-host-mismatch",
		"451 4.7.5 mx.example.net: its certificate does not satisfy the MTA-STS policy of example.com: "
		"hostname "
		"mismatch" },
	{ "enforce, over its time", { .policy = CONFIG_TLS_MAY, .sts = &enforce, .sts_age_s = 1001 }, REMOTE_TLS_CLEAR,
		0, 0, { 0 }, true, false, "starttls-not-supported", NULL },
	{ "testing, other name", { .policy = CONFIG_TLS_MAY, .sts = &testing }, REMOTE_TLS_READY, 0, 0, OTHER_NAME,
		true, false, "certificate-host-mismatch", NULL },
	{ "testing, in clear", { .policy = CONFIG_TLS_MAY, .sts = &testing }, REMOTE_TLS_CLEAR, 0, 0, { 0 }, true,
		false, "starttls-not-supported", NULL },
	{ "enforce, but DANE matches", { .policy = CONFIG_TLS_MAY, .has_dane = true, .sts = &elsewhere },
		REMOTE_TLS_READY, ASKED, DANE_VERIFY, DANE_EE_MATCH, true, false, NULL, NULL },
	{ "enforce satisfied, but DANE is not", { .policy = CONFIG_TLS_MAY, .has_dane = true, .sts = &enforce },
		REMOTE_TLS_ON, ASKED, DANE_VERIFY, DANE_NO_MATCH, false, false, "certificate-not-trusted",
		"451 4.7.5 mx.example.net: no TLSA record matches its certificate: no matching DANE TLSA records" },
	{ "enforce, beside useless TLSA", { .policy = CONFIG_TLS_MAY, .has_dane = true, .sts = &enforce },
		REMOTE_TLS_ON, ASKED, DANE_ENCRYPT, SELF_SIGNED, false, false, "certificate-not-trusted",
		"451 4.7.5 mx.example.net: its certificate does not satisfy the MTA-STS policy of example.com: "
		"self-signed certificate" },
	/* REQUIRETLS. */
	{ "required, kept", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_READY, PROMISES, 0, VERIFIED,
		true, false, NULL, NULL },
	{ "required, kept by DANE", { .policy = CONFIG_TLS_MAY, .has_dane = true, .requiretls = true },
		REMOTE_TLS_READY, ASKED | PROMISES, DANE_VERIFY, DANE_EE_MATCH, true, false, NULL, NULL },
	{ "required, no promise", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_READY, 0, 0, VERIFIED,
		false, true, NULL, "550 5.7.30 REQUIRETLS: mx.example.net does not support it" },
	{ "required, promise not known yet", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_ON, 0, 0,
		VERIFIED, true, false, NULL, NULL },
	{ "required, no certificate that counts", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_ON, 0, 0,
		SELF_SIGNED, false, true, "certificate-not-trusted",
		"550 5.7.10 REQUIRETLS: the certificate of mx.example.net is not verified: self-signed certificate" },
	{ "required, in clear", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_CLEAR, 0, 0, { 0 }, false,
		true, "starttls-not-supported", "550 5.7.10 REQUIRETLS: mx.example.net offers no STARTTLS" },
	{ "required, the handshake failed", { .policy = CONFIG_TLS_MAY, .requiretls = true }, REMOTE_TLS_FAILED, 0, 0,
		{ 0 }, false, false, "validation-failure", "451 4.7.5 mx.example.net: it went wrong" },
	{ "required, but we use none", { .policy = CONFIG_TLS_NONE, .requiretls = true }, REMOTE_TLS_BEFORE, 0, 0,
		{ 0 }, false, true, NULL, "550 5.7.10 REQUIRETLS: our policy for example.com is to use no TLS" },
	{ "required, and nobody vouches for the host",
		{ .policy = CONFIG_TLS_MAY, .requiretls = true, .hosts_are_unproven = true }, REMOTE_TLS_READY,
		PROMISES, 0, VERIFIED, false, true, NULL,
		"550 5.7.10 REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the mail hosts of example.com" },
	{ "required, MTA-STS vouches for the host",
		{ .policy = CONFIG_TLS_MAY, .requiretls = true, .hosts_are_unproven = true, .sts = &testing },
		REMOTE_TLS_READY, PROMISES, 0, VERIFIED, true, false, NULL, NULL },
	{ "required, MTA-STS names others",
		{ .policy = CONFIG_TLS_MAY,
			.requiretls = true,
			.hosts_are_unproven = true,
			.sts = &elsewhere,
			.sts_age_s = 2000 },
		REMOTE_TLS_BEFORE, 0, 0, { 0 }, false, true, NULL,
		"550 5.7.10 REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the mail hosts of example.com" },
	{ "not required: nobody needs to vouch for it", { .policy = CONFIG_TLS_MAY, .hosts_are_unproven = true },
		REMOTE_TLS_READY, 0, 0, VERIFIED, true, false, NULL, NULL },
	{ "required, and not allowed for now", { .policy = CONFIG_TLS_MAY, .has_dane = true, .requiretls = true },
		REMOTE_TLS_CLEAR, ASKED, DANE_VERIFY, { 0 }, false, false, "starttls-not-supported",
		"451 4.7.5 mx.example.net: it offers no STARTTLS, but its TLSA records demand TLS" },
};

static void judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct remote_tls_need need = cases[i].need;
		if (need.domain.len == 0)
			need.domain = VIEW("example.com");
		struct remote_tls_state connection = {
			.stage = cases[i].stage,
			.host = VIEW("mx.example.net"),
			.dane_asked = (cases[i].flags & ASKED) != 0,
			.dane = cases[i].dane,
			.dane_problem = cases[i].dane == DANE_DEFER ? "no answer"
				: (cases[i].flags & UNSIGNED) != 0  ? "they are not signed"
								    : "",
			.dane_domain = VIEW("example.com"),
			.facts = &cases[i].facts,
			.failure = cases[i].stage == REMOTE_TLS_FAILED || (cases[i].flags & REFUSED) != 0
				? "it went wrong"
				: "",
			.offers_requiretls = (cases[i].flags & PROMISES) != 0,
		};
		struct remote_tls_verdict verdict;
		remote_tls_judge(&need, &connection, &verdict);
		assert_string_equal(verdict.reason, cases[i].reason != NULL ? cases[i].reason : "");
		assert_int_equal(verdict.allowed, cases[i].allowed);
		assert_int_equal(verdict.is_final, cases[i].is_final);
		assert_string_equal(
			verdict.result != NULL ? verdict.result : "", cases[i].result != NULL ? cases[i].result : "");
		/* What may not go in clear after TLS failed must not be tried in clear. */
		if (cases[i].stage == REMOTE_TLS_FAILED)
			assert_int_equal(verdict.allowed, !remote_tls_is_demanded(&need, cases[i].dane));
	}
}

/* Whatever RFC 8460 §4.3 has a name for comes of something, and nothing else does. */
static void every_result_type(void **state)
{
	(void)state;
	static const char *const types[] = { "starttls-not-supported", "certificate-host-mismatch",
		"certificate-expired", "certificate-not-trusted", "validation-failure", "tlsa-invalid",
		"dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid",
		"sts-webpki-invalid" };
	enum { COUNT = sizeof types / sizeof types[0] };
	static const enum sts_problem problems[] = { STS_FINE, STS_FETCH_ERROR, STS_POLICY_INVALID,
		STS_WEBPKI_INVALID };
	const char *results[sizeof cases / sizeof cases[0] + sizeof problems / sizeof problems[0]];
	unsigned found[COUNT] = { 0 };
	size_t count = 0;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		results[count++] = cases[i].result;
	for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
		results[count++] = remote_tls_sts_result(problems[i]);
	for (size_t i = 0; i < count; i++) {
		size_t t = 0;
		while (t < COUNT && results[i] != NULL && strcmp(results[i], types[t]) != 0)
			t++;
		assert_true(t < COUNT);
		found[t] += results[i] != NULL;
	}
	for (size_t t = 0; t < COUNT; t++)
		if (found[t] == 0)
			fail_msg("nothing leads to %s", types[t]);
}

static void demands(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct remote_tls_need need;
		enum dane_demand dane;
		bool demanded, verified;
	} table[] = {
		{ "nothing", { .policy = CONFIG_TLS_MAY }, DANE_NOTHING, false, false },
		{ "encrypt", { .policy = CONFIG_TLS_ENCRYPT }, DANE_NOTHING, true, false },
		{ "verify", { .policy = CONFIG_TLS_VERIFY }, DANE_NOTHING, true, true },
		{ "dane", { .policy = CONFIG_TLS_DANE }, DANE_NOTHING, true, true },
		{ "required", { .policy = CONFIG_TLS_MAY, .requiretls = true }, DANE_NOTHING, true, true },
		{ "enforce", { .policy = CONFIG_TLS_MAY, .sts = &enforce }, DANE_NOTHING, true, true },
		{ "enforce, old", { .policy = CONFIG_TLS_MAY, .sts = &enforce, .sts_age_s = 1001 }, DANE_NOTHING, false,
			true },
		{ "testing", { .policy = CONFIG_TLS_MAY, .sts = &testing }, DANE_NOTHING, false, true },
		{ "TLSA", { .policy = CONFIG_TLS_MAY, .has_dane = true }, DANE_VERIFY, true, true },
		{ "useless TLSA", { .policy = CONFIG_TLS_MAY, .has_dane = true }, DANE_ENCRYPT, true, false },
		{ "no TLSA", { .policy = CONFIG_TLS_MAY, .has_dane = true }, DANE_NOTHING, false, false },
		{ "TLSA of somebody else", { .policy = CONFIG_TLS_MAY }, DANE_VERIFY, false, false },
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		print_message("  %s\n", table[i].name);
		assert_int_equal(remote_tls_is_demanded(&table[i].need, table[i].dane), table[i].demanded);
		assert_int_equal(remote_tls_is_verified(&table[i].need, table[i].dane), table[i].verified);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(judged), cmocka_unit_test(every_result_type),
		cmocka_unit_test(demands) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
