#include "base/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 5000 };

static struct places *places;
static struct place wishes[MANY];
static size_t wish_count;

static int setup(void **state)
{
	(void)state;
	wish_count = 0;
	for (size_t i = 0; i < MANY; i++)
		wishes[i] = (struct place){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < wish_count; i++)
		places_leave(places, &wishes[i]);
	assert_int_equal(places_taken(places), 0);
	assert_int_equal(places_known(places), 0);
	assert_null(places_next(places));
	places_free(places);
	places_free(NULL);
	return 0;
}

static struct place *want(uint64_t group, uint64_t member)
{
	assert_true(wish_count < MANY);
	struct place *place = &wishes[wish_count++];
	places_want(places, place, (struct places_key){ group, member });
	return place;
}

static size_t give_all(void)
{
	size_t given = 0;
	while (places_next(places) != NULL)
		given++;
	return given;
}

/* Each of `groups` groups wants `each` places, every one for another member; all are given that may be. */
static size_t flood(uint64_t groups, uint64_t each)
{
	for (uint64_t i = 0; i < each; i++)
		for (uint64_t group = 0; group < groups; group++)
			(void)want(1000 + group, i);
	return give_all();
}

static void one_group_leaves_most_to_others(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t count;
		uint64_t groups, each;
		size_t most; /* that all of them may have */
	} rows[] = {
		{ "one group", 1000, 1, 4000, 250 },
		{ "two", 1000, 2, 2000, 400 },
		{ "ten", 1000, 10, 400, 760 },
		{ "hundred", 1000, 100, 40, 999 },
		{ "one, few places", 8, 1, 100, 3 },
		{ "a single place", 1, 1, 100, 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print_message("  %s\n", rows[i].name);
		(void)setup(state);
		places = places_new(rows[i].count, 17);
		size_t taken = flood(rows[i].groups, rows[i].each);
		assert_int_equal(places_taken(places), taken);
		assert_in_range(taken, 1, rows[i].most);
		struct place *newcomer = want(1, 1);
		if (rows[i].count > 1)
			assert_ptr_equal(places_next(places), newcomer);
		else
			assert_null(places_next(places));
		assert_int_equal(newcomer->is_had, rows[i].count > 1);
		if (i + 1 < sizeof rows / sizeof rows[0])
			(void)teardown(state);
	}
}

/* However many groups there are: all that want something have something, before one of them has twice as much as another. */
static void equals_get_equal_shares(void **state)
{
	(void)state;
	places = places_new(100, 17);
	size_t taken = flood(60, 20);
	size_t had[60] = { 0 };
	for (size_t i = 0; i < wish_count; i++)
		had[i % 60] += wishes[i].is_had;
	for (size_t i = 0; i < 60; i++)
		assert_in_range(had[i], 1, 2);
	assert_in_range(taken, 60, 99);
}

static void members_of_a_group_share_too(void **state)
{
	(void)state;
	places = places_new(1000, 17);
	/* One member takes no more than the most, whatever is free. */
	for (size_t i = 0; i < 100; i++)
		(void)want(1, 1);
	assert_int_equal(give_all(), PLACES_MEMBER_MAX);
	/* Many fill what their group may have, but for one that has nothing yet. */
	for (uint64_t member = 100; member < 140; member++)
		for (size_t i = 0; i < 20; i++)
			(void)want(1, member);
	(void)give_all();
	struct place *newcomer = want(1, 2);
	assert_ptr_equal(places_next(places), newcomer);
	/* Numbers of members are each group's own. */
	struct place *namesake = want(2, 1);
	assert_ptr_equal(places_next(places), namesake);
}

/* All are taken: who has least comes first when one is free again, then they take turns. */
static void who_has_least_comes_first(void **state)
{
	(void)state;
	places = places_new(3, 17);
	struct place *had[3] = { want(1, 1), want(2, 1), want(3, 1) };
	assert_int_equal(give_all(), 3);
	struct place *more = want(1, 2), *new_one = want(4, 1), *other = want(5, 1), *again = want(4, 1);
	assert_null(places_next(places));
	places_leave(places, had[1]);
	assert_ptr_equal(places_next(places), new_one);
	assert_null(places_next(places));
	places_leave(places, had[2]);
	assert_ptr_equal(places_next(places), other);
	places_leave(places, new_one);
	/* Group 1 still has one, group 4 none. */
	assert_ptr_equal(places_next(places), again);
	places_leave(places, had[0]);
	assert_ptr_equal(places_next(places), more);
}

static void wishes_of_one_come_in_order(void **state)
{
	(void)state;
	places = places_new(1, 17);
	struct place *first = want(1, 1), *second = want(1, 1), *third = want(1, 1);
	assert_ptr_equal(places_next(places), first);
	assert_true(places_is_waiting(second));
	places_leave(places, second);
	assert_false(places_is_waiting(second));
	assert_null(places_next(places));
	places_leave(places, first);
	assert_ptr_equal(places_next(places), third);
	places_leave(places, third);
	places_leave(places, third); /* harmless */
	assert_int_equal(places_known(places), 0);
}

/* Nobody waits for ever: with every place that is given back sooner or later, all get theirs. And the counts always agree. */
static void all_come_to_their_turn(void **state)
{
	(void)state;
	places = places_new(20, 17);
	srand(5);
	size_t given = 0, left = 0, waiting = 0;
	for (size_t i = 0; i < 3000; i++) {
		(void)want((uint64_t)rand() % 40, (uint64_t)rand() % 5);
		given += give_all();
		struct place *place = &wishes[(size_t)rand() % wish_count];
		if (place->is_had)
			left++;
		places_leave(places, place);
		given += give_all();
		assert_int_equal(places_taken(places), given - left);
		assert_in_range(places_taken(places), 0, 20);
	}
	do {
		waiting = 0;
		for (size_t i = 0; i < wish_count; i++) {
			if (wishes[i].is_had)
				places_leave(places, &wishes[i]);
			waiting += places_is_waiting(&wishes[i]);
		}
	} while (give_all() > 0);
	assert_int_equal(waiting, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_group_leaves_most_to_others),
		TEST(equals_get_equal_shares),
		TEST(members_of_a_group_share_too),
		TEST(who_has_least_comes_first),
		TEST(wishes_of_one_come_in_order),
		TEST(all_come_to_their_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
