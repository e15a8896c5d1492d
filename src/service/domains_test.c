#include "service/domains.h"
#include "store/directory_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

static struct contract contract;

static int setup(void **state)
{
	contract_open(&contract);
	*state = domains_new();
	return 0;
}

static int teardown(void **state)
{
	domains_free(*state);
	contract_close(&contract);
	return 0;
}

static void add(const char *domain)
{
	assert_int_equal(directory_domain_add(contract.db, view_from_cstr(domain)), ERR_OK);
}

static void none(void **state)
{
	struct domains *domains = *state;
	char first[64] = "unchanged";
	assert_false(domains_contain(domains, VIEW("example.com")));
	assert_false(domains_first(domains, first, sizeof first));
	assert_int_equal(domains_load(domains, contract.db), ERR_OK);
	assert_false(domains_contain(domains, VIEW("example.com")));
	assert_false(domains_contain(domains, VIEW_NONE));
	assert_false(domains_first(domains, first, sizeof first));
	assert_string_equal(first, "unchanged");
}

static void in_whatever_form(void **state)
{
	static const struct {
		const char *name;
		const char *domain;
		bool ours;
	} cases[] = {
		{ "as it is", "example.com", true },
		{ "upper case", "EXAMPLE.Com", true },
		{ "A-label", "xn--bcher-kva.example", true },
		{ "U-label", "bücher.example", true },
		{ "U-label in upper case", "BÜCHER.example", true },
		{ "below", "www.example.com", false },
		{ "above", "com", false },
		{ "longer", "example.com.", false },
		{ "suffix", "anexample.com", false },
		{ "literal", "[192.0.2.1]", false },
		{ "no name at all", "b\xfc\xff.example", false },
		{ "empty", "", false },
	};
	struct domains *domains = *state;
	add("example.com");
	add("xn--bcher-kva.example");
	assert_int_equal(domains_load(domains, contract.db), ERR_OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (domains_contain(domains, view_from_cstr(cases[i].domain)) != cases[i].ours)
			fail_msg("%s", cases[i].name);
}

static void replaced_as_a_whole(void **state)
{
	struct domains *domains = *state;
	char name[32], first[64];
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "d%03d.example", i);
		add(name);
	}
	assert_int_equal(domains_load(domains, contract.db), ERR_OK);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "D%03d.example", i);
		assert_true(domains_contain(domains, view_from_cstr(name)));
	}
	assert_true(domains_first(domains, first, sizeof first));
	assert_true(domains_contain(domains, view_from_cstr(first)));
	assert_false(domains_first(domains, first, 5)); /* too little room */
	for (int i = 0; i < 499; i++) {
		snprintf(name, sizeof name, "d%03d.example", i);
		assert_int_equal(directory_domain_remove(contract.db, view_from_cstr(name)), ERR_OK);
	}
	assert_true(domains_contain(domains, VIEW("d000.example"))); /* until it is read again */
	assert_int_equal(domains_load(domains, contract.db), ERR_OK);
	assert_false(domains_contain(domains, VIEW("d000.example")));
	assert_true(domains_contain(domains, VIEW("d499.example")));
}

struct reader {
	pthread_t thread;
	struct domains *domains;
	bool always;
};

static void *look(void *arg)
{
	struct reader *r = arg;
	char first[64];
	r->always = true;
	for (int i = 0; i < 2000; i++)
		r->always = r->always && domains_contain(r->domains, VIEW("stays.example")) &&
			domains_first(r->domains, first, sizeof first);
	return NULL;
}

/* Others look while the list is replaced: what is always in it is always found. */
static void from_many_threads(void **state)
{
	struct reader readers[3];
	add("stays.example");
	add("comes.example");
	assert_int_equal(domains_load(*state, contract.db), ERR_OK);
	for (size_t i = 0; i < 3; i++) {
		readers[i].domains = *state;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, look, &readers[i]), 0);
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(domains_load(*state, contract.db), ERR_OK);
	for (size_t i = 0; i < 3; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_true(readers[i].always);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(none),
		CASE(in_whatever_form),
		CASE(replaced_as_a_whole),
		CASE(from_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
