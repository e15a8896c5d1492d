#include "policy/srs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define KEY VIEW("a key of ours")
#define OTHER_KEY VIEW("another one's")
#define DAY 20780

static struct buf forwarded(struct view key, const char *sender, const char *domain)
{
	struct buf out = { 0 };
	assert_int_equal(srs_forward(key, DAY, view_from_cstr(sender), view_from_cstr(domain), &out), ERR_OK);
	return out;
}

static struct view local_of(const struct buf *address)
{
	return view_sub(buf_view(address), 0, view_find_last(buf_view(address), '@'));
}

static void assert_reverses(struct view key, int64_t day, struct view local, const char *wanted)
{
	struct buf out = { 0 };
	enum err err = srs_reverse(key, day, local, &out);
	if (err != ERR_OK || strcmp(buf_cstr(&out), wanted) != 0)
		fail_msg("%.*s: %s %s", VIEW_ARG(local), err_name(err), buf_cstr(&out));
	buf_clear(&out);
}

static void test_there_and_back(void **state)
{
	(void)state;
	static const char *const senders[] = { "joe@sender.example", "joe+tag@sender.example", "a=b@sender.example",
		"SRS@sender.example", "x@a.b.c.d.example" };
	for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
		struct buf out = forwarded(KEY, senders[i], "ours.example");
		assert_true(srs_is_address(local_of(&out)));
		assert_true(view_starts_with(buf_view(&out), VIEW("SRS0=")));
		assert_reverses(KEY, DAY, local_of(&out), senders[i]);
		assert_reverses(KEY, DAY + SRS_VALID_DAYS, local_of(&out), senders[i]);
		struct buf none = { 0 };
		assert_int_equal(srs_reverse(KEY, DAY + SRS_VALID_DAYS + 1, local_of(&out), &none), ERR_REFUSED);
		assert_int_equal(srs_reverse(KEY, DAY - 1, local_of(&out), &none), ERR_REFUSED);
		assert_int_equal(srs_reverse(OTHER_KEY, DAY, local_of(&out), &none), ERR_REFUSED);
		assert_int_equal(none.len, 0);
		buf_clear(&none);
		buf_clear(&out);
	}
}

/* Some servers write the whole address in one case. */
static void test_case(void **state)
{
	(void)state;
	struct buf out = forwarded(KEY, "Joe@Sender.Example", "ours.example");
	uint8_t text[128];
	struct view local = local_of(&out);
	for (size_t i = 0; i < local.len; i++)
		text[i] = ascii_lower(local.ptr[i]);
	assert_reverses(KEY, DAY, view_of(text, local.len), "joe@sender.example");
	buf_clear(&out);
}

/* A → B → C → D: bounces go from D's target to B, by way of D, then C is skipped. */
static void test_chain(void **state)
{
	(void)state;
	struct buf b = forwarded(OTHER_KEY, "joe@a.example", "b.example");
	struct buf c = forwarded(KEY, buf_cstr(&b), "c.example");
	assert_true(view_starts_with(buf_view(&c), VIEW("SRS1=")));
	assert_reverses(KEY, DAY, local_of(&c), buf_cstr(&b));
	struct buf d = forwarded(OTHER_KEY, buf_cstr(&c), "d.example");
	assert_true(view_starts_with(buf_view(&d), VIEW("SRS1=")));
	assert_reverses(OTHER_KEY, DAY, local_of(&d), buf_cstr(&b));
	assert_reverses(OTHER_KEY, DAY, local_of(&b), "joe@a.example");
	buf_clear(&b);
	buf_clear(&c);
	buf_clear(&d);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *sender;
		enum err err;
	} cases[] = {
		{ "", ERR_UNSUPPORTED },
		{ "no-domain", ERR_UNSUPPORTED },
		{ "\"a b\"@sender.example", ERR_UNSUPPORTED },
		{ "joe@[192.0.2.1]", ERR_UNSUPPORTED },
		{ "j\xc3\xb6@sender.example", ERR_UNSUPPORTED },
		{ "SRS1=abc@sender.example", ERR_UNSUPPORTED },
		{ "a-local-part-that-is-long-but-allowed-by-itself-of-60-bytes@s.example", ERR_LIMIT },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = { 0 };
		enum err err = srs_forward(KEY, DAY, view_from_cstr(cases[i].sender), VIEW("ours.example"), &out);
		if (err != cases[i].err || out.len != 0)
			fail_msg("%s: %s %s", cases[i].sender, err_name(err), buf_cstr(&out));
		buf_clear(&out);
	}
	static const char *const locals[] = { "", "joe", "SRS0", "SRS0=", "SRS0=x", "SRS0==x", "SRS0=aaaaaa=aa",
		"SRS1=aaaaaa=", "SRS2=aaaaaa=aa=b.example=c", "SRS0=aaaaaa=aa=b.example=c" };
	for (size_t i = 0; i < sizeof locals / sizeof locals[0]; i++) {
		struct buf out = { 0 };
		assert_int_not_equal(srs_reverse(KEY, DAY, view_from_cstr(locals[i]), &out), ERR_OK);
		assert_int_equal(out.len, 0);
		buf_clear(&out);
	}
	assert_false(srs_is_address(VIEW("srs0x")));
	assert_true(srs_is_address(VIEW("srs0+x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
