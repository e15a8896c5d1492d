#include "store/site_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void finds_what_was_added(void **state)
{
	(void)state;
	struct site_map *map = site_map_new();
	struct view site = VIEW("untouched");
	char domain[40], name[40];
	assert_false(site_map_find(NULL, VIEW("a.example"), &site));
	assert_false(site_map_find(map, VIEW("a.example"), &site));
	assert_true(view_eq(site, VIEW("untouched")));
	site_map_add(map, VIEW_NONE, VIEW("nobody's"));
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(domain, sizeof domain, "Domain%u.example", i);
		snprintf(name, sizeof name, "site%u", i % 10);
		site_map_add(map, view_from_cstr(domain), view_from_cstr(name));
	}
	site_map_add(map, VIEW("domain7.EXAMPLE"), VIEW("another"));
	assert_int_equal(site_map_count(map), 30000);
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(domain, sizeof domain, "dOMAIN%u.example", i);
		snprintf(name, sizeof name, "site%u", i % 10);
		assert_true(site_map_find(map, view_from_cstr(domain), &site));
		assert_true(view_eq(site, view_from_cstr(name)));
	}
	assert_false(site_map_find(map, VIEW("domain30000.example"), &site));
	assert_false(site_map_find(map, VIEW_NONE, &site));
	site_map_free(map);
	site_map_free(NULL);
}

static void tells_the_unmarked(void **state)
{
	(void)state;
	struct site_map *map = site_map_new();
	char domain[40];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(domain, sizeof domain, "d%u.example", i);
		site_map_add(map, view_from_cstr(domain), VIEW_NONE);
	}
	for (unsigned i = 0; i < 1000; i += 2) {
		snprintf(domain, sizeof domain, "D%u.example", i);
		site_map_mark(map, view_from_cstr(domain));
	}
	site_map_mark(map, VIEW("elsewhere.example"));
	site_map_mark(map, VIEW_NONE);
	size_t at = 0, count = 0;
	struct view found;
	while (site_map_next_unmarked(map, &at, &found)) {
		uint8_t last = found.ptr[found.len - 9];
		assert_true((last - '0') % 2 == 1);
		count++;
	}
	assert_int_equal(count, 500);
	site_map_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_added),
		cmocka_unit_test(tells_the_unmarked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
