/* MTA-STS and TLS reporting records against the cases of mox and mail-auth, with matches from RFC 8461 §4.1. */
#include "mail/conformance.h"
#include "mailauth/mta_sts.h"
#include "mailauth/tls_rpt.h"

#include <jansson.h>

static struct view text_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_string(value)) {
		fprintf(stderr, "a case without %s\n", key);
		abort();
	}
	return view_of(json_string_value(value), json_string_length(value));
}

static bool runs_valid_record(const json_t *test)
{
	struct view id;
	return mta_sts_record_parse(text_of(test, "txt"), &id) == ERR_OK && view_eq(id, text_of(test, "id"));
}

static bool runs_invalid_record(const json_t *test)
{
	struct view id;
	return mta_sts_record_parse(text_of(test, "txt"), &id) == ERR_SYNTAX;
}

static bool runs_valid_policy(const json_t *test)
{
	static struct mta_sts_policy policy;
	const json_t *hosts = json_object_get(test, "mx");
	if (mta_sts_policy_parse(text_of(test, "text"), &policy) != ERR_OK ||
		!view_eq(mta_sts_mode_name(policy.mode), text_of(test, "mode")) ||
		(json_int_t)policy.max_age_s != json_integer_value(json_object_get(test, "max_age")) ||
		policy.mx_count != json_array_size(hosts))
		return false;
	for (size_t i = 0; i < policy.mx_count; i++)
		if (!view_eq(policy.mx[i], view_from_cstr(json_string_value(json_array_get(hosts, i)))))
			return false;
	return true;
}

static bool runs_invalid_policy(const json_t *test)
{
	static struct mta_sts_policy policy;
	return mta_sts_policy_parse(text_of(test, "text"), &policy) == ERR_SYNTAX;
}

static bool runs_match(const json_t *test)
{
	return mta_sts_mx_matches(text_of(test, "pattern"), text_of(test, "host")) ==
		json_is_true(json_object_get(test, "match"));
}

static bool runs_report_record(const json_t *test)
{
	struct tls_rpt_record record;
	const json_t *wanted = json_object_get(test, "rua");
	if (tls_rpt_record_parse(text_of(test, "txt"), &record) != ERR_OK || record.count != json_array_size(wanted))
		return false;
	for (size_t i = 0; i < record.count; i++)
		if (!view_eq(record.destinations[i].uri, view_from_cstr(json_string_value(json_array_get(wanted, i)))))
			return false;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(const json_t *test);
} groups[] = {
	{ "sts_txt_valid", runs_valid_record },
	{ "sts_txt_invalid", runs_invalid_record },
	{ "policy_valid", runs_valid_policy },
	{ "policy_invalid", runs_invalid_policy },
	{ "mx_match", runs_match },
	{ "tlsrpt_txt_valid", runs_report_record },
};

int main(void)
{
	struct buf text = { 0 };
	unsigned passed = 0, total = 0;
	bool all_known = true;
	read_suite(__FILE__, "mta-sts-vectors/cases.json", &text);
	json_t *suite = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	if (!json_is_object(suite)) {
		printf("cases.json is not to be read\n");
		return 1;
	}
	/* A group that we know nothing of would be left out unseen. */
	all_known = json_object_size(suite) == sizeof groups / sizeof *groups;
	for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
		const json_t *cases = json_object_get(suite, groups[g].name);
		all_known = all_known && json_array_size(cases) > 0;
		for (size_t i = 0; i < json_array_size(cases); i++) {
			bool good = groups[g].run(json_array_get(cases, i));
			if (!good)
				printf("%s %zu: WRONG\n", groups[g].name, i);
			passed += good;
			total++;
		}
	}
	json_decref(suite);
	buf_clear(&text);
	printf("CONFORMANCE mta-sts-vectors %u/%u\n", passed, total);
	return passed == total && total > 0 && all_known ? 0 : 1;
}
