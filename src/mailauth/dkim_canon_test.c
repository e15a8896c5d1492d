/* Canonical text is told by its digest: equal digests mean equal text. */
#include "mailauth/dkim_private.h"
#include "mailauth/dkim_testing.h"
#include "mail/testing.h"

static void assert_digest(const char *name, const uint8_t got[HASH_BYTES], struct view want)
{
	uint8_t digest[HASH_BYTES];
	hash_once(want, digest);
	if (memcmp(got, digest, HASH_BYTES) != 0)
		fail_msg("%s: the canonical text is not \"%.*s\"", name, VIEW_ARG(want));
}

static const struct {
	const char *name, *field, *simple, *relaxed;
} fields[] = {
	/* RFC 6376 §3.4.5 */
	{ "plain", "A: X\r\n", "A: X\r\n", "a:X\r\n" },
	{ "folded", "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "no blank behind the colon", "Subject:x\r\n", "Subject:x\r\n", "subject:x\r\n" },
	{ "blanks at the end", "Subject: x \t\r\n", "Subject: x \t\r\n", "subject:x\r\n" },
	{ "an empty value", "X-Empty:\r\n", "X-Empty:\r\n", "x-empty:\r\n" },
	{ "a blank value", "X-Empty: \t\r\n \r\n", "X-Empty: \t\r\n \r\n", "x-empty:\r\n" },
	{ "a fold before the value", "X:\r\n\r\n", "X:\r\n", "x:\r\n" },
	{ "a fold at once", "X:\r\n\ty\r\n", "X:\r\n\ty\r\n", "x:y\r\n" },
	{ "many folds", "X: a\r\n\r\n", "X: a\r\n", "x:a\r\n" },
	{ "folds of blanks only", "X: a\r\n \r\n\tb\r\n", "X: a\r\n \r\n\tb\r\n", "x:a b\r\n" },
	{ "8-bit stays", "X: \xc3\xa4  \xff\r\n", "X: \xc3\xa4  \xff\r\n", "x:\xc3\xa4 \xff\r\n" },
	{ "a lone CR is text", "X: a\rb \r c\r\n", "X: a\rb \r c\r\n", "x:a\rb \r c\r\n" },
	{ "other control characters are text", "X: a\x01 \x0b b\r\n", "X: a\x01 \x0b b\r\n", "x:a\x01 \x0b b\r\n" },
	{ "LF line ends", "X: a\n b\n", "X: a\n b\r\n", "x:a b\r\n" },
	{ "no line end", "X: a", "X: a\r\n", "x:a\r\n" },
	{ "only the name's case is folded", "MIME-Version: A B\r\n", "MIME-Version: A B\r\n", "mime-version:A B\r\n" },
};

static void field_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		for (int canon = DKIM_RELAXED; canon <= DKIM_SIMPLE; canon++) {
			struct dkim_sink sink;
			struct header_field field;
			uint8_t digest[HASH_BYTES];
			struct view rest = view_from_cstr(fields[i].field);
			dkim_sink_init(&sink);
			assert_true(header_next(&rest, &field));
			dkim_canon_field((enum dkim_canon)canon, &field, &sink);
			dkim_sink_finish(&sink, digest);
			assert_digest(fields[i].name, digest,
				view_from_cstr(canon == DKIM_SIMPLE ? fields[i].simple : fields[i].relaxed));
			dkim_sink_clear(&sink);
		}
}

static void a_long_name(void **state)
{
	(void)state;
	struct buf text = { 0 }, want = { 0 };
	for (int i = 0; i < 300; i++) {
		assert_int_equal(buf_append_byte(&text, 'A'), ERR_OK);
		assert_int_equal(buf_append_byte(&want, 'a'), ERR_OK);
	}
	assert_int_equal(buf_append_cstr(&text, ": x\r\n"), ERR_OK);
	assert_int_equal(buf_append_cstr(&want, ":x\r\n"), ERR_OK);
	struct view rest = buf_view(&text);
	struct header_field field;
	struct dkim_sink sink;
	uint8_t digest[HASH_BYTES];
	assert_true(header_next(&rest, &field));
	dkim_sink_init(&sink);
	dkim_canon_field(DKIM_RELAXED, &field, &sink);
	dkim_sink_finish(&sink, digest);
	assert_digest("long name", digest, buf_view(&want));
	dkim_sink_clear(&sink);
	buf_clear(&text);
	buf_clear(&want);
}

static void the_hole_is_left_out(void **state)
{
	(void)state;
	static const struct {
		const char *name, *field, *simple, *relaxed;
	} cases[] = {
		{ "at the end", "D: a=1; b=xx\r\n yy\r\n", "D: a=1; b=", "d:a=1; b=" },
		{ "in the middle", "D: a=1; b= xx ; c=2 \r\n", "D: a=1; b=; c=2 ", "d:a=1; b=; c=2" },
		{ "empty", "D: a=1; b=; c=2\r\n", "D: a=1; b=; c=2", "d:a=1; b=; c=2" },
		{ "a fold before it", "D: a=1;\r\n\tb =\r\n xx;\r\n c=2", "D: a=1;\r\n\tb =;\r\n c=2",
			"d:a=1; b =; c=2" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (int canon = DKIM_RELAXED; canon <= DKIM_SIMPLE; canon++) {
			struct view rest = view_from_cstr(cases[i].field);
			struct header_field field;
			struct tag_list list;
			struct dkim_sink sink;
			uint8_t digest[HASH_BYTES];
			assert_true(header_next(&rest, &field));
			assert_int_equal(tag_list_parse(field.value, &list), ERR_OK);
			dkim_sink_init(&sink);
			dkim_canon_own_field(
				(enum dkim_canon)canon, &field, tag_list_find(&list, VIEW("b"))->raw, &sink);
			dkim_sink_finish(&sink, digest);
			assert_digest(cases[i].name, digest,
				view_from_cstr(canon == DKIM_SIMPLE ? cases[i].simple : cases[i].relaxed));
			dkim_sink_clear(&sink);
		}
}

static const struct {
	const char *name, *body, *simple, *relaxed;
} bodies[] = {
	/* RFC 6376 §3.4.5 */
	{ "the RFC's", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ "empty", "", "\r\n", "" },
	{ "an empty line", "\r\n", "\r\n", "" },
	{ "empty lines", "\r\n\r\n\r\n", "\r\n", "" },
	{ "a blank", " ", " \r\n", "" },
	{ "a blank line", " \t\r\n", " \t\r\n", "" },
	{ "blank lines", " \r\n\t\r\n  \r\n", " \r\n\t\r\n  \r\n", "" },
	{ "no line end", "a", "a\r\n", "a\r\n" },
	{ "one line", "a\r\n", "a\r\n", "a\r\n" },
	{ "empty lines at the end", "a\r\n\r\n\r\n", "a\r\n", "a\r\n" },
	{ "blank lines at the end", "a\r\n \r\n\t", "a\r\n \r\n\t\r\n", "a\r\n" },
	{ "empty lines first", "\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
	{ "empty lines between", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n" },
	{ "blanks first", "  a\r\n\tb", "  a\r\n\tb\r\n", " a\r\n b\r\n" },
	{ "blanks last", "a  \r\nb\t\r\nc ", "a  \r\nb\t\r\nc \r\n", "a\r\nb\r\nc\r\n" },
	{ "blanks between", "a  b\tc \t d e", "a  b\tc \t d e\r\n", "a b c d e\r\n" },
	{ "a lone CR", "a\rb \r c\r", "a\rb \r c\r\r\n", "a\rb \r c\r\r\n" },
	{ "CRs before a line end", "a\r\r\n", "a\r\r\n", "a\r\r\n" },
	{ "CRs before line ends", "a\r\r\n\r\r\n\r\n", "a\r\r\n\r\r\n", "a\r\r\n\r\r\n" },
	{ "a CR alone", "\r", "\r\r\n", "\r\r\n" },
	{ "a lone LF", "a\nb \n c\n", "a\nb \n c\n\r\n", "a\nb \n c\n\r\n" },
	{ "LF CR", "a\n\r", "a\n\r\r\n", "a\n\r\r\n" },
	{ "a line of 70 with one tab", "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 xx\txx\r\n",
		"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 xx\txx\r\n",
		"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 xx xx\r\n" },
	{ "two blanks at 63", "012345678901234567890123456789012345678901234567890123456789012  x\r\n",
		"012345678901234567890123456789012345678901234567890123456789012  x\r\n",
		"012345678901234567890123456789012345678901234567890123456789012 x\r\n" },
	{ "text around empty lines of 64",
		"0123456789012345678901234567890123456789012345678901234567890123\r\n\r\n"
		"0123456789012345678901234567890123456789012345678901234567890123 \r\n\r\n",
		"0123456789012345678901234567890123456789012345678901234567890123\r\n\r\n"
		"0123456789012345678901234567890123456789012345678901234567890123 \r\n",
		"0123456789012345678901234567890123456789012345678901234567890123\r\n\r\n"
		"0123456789012345678901234567890123456789012345678901234567890123\r\n" },
};

static void feed_all(struct dkim_body *body, struct view text, size_t step)
{
	dkim_body_feed(body, VIEW_NONE);
	for (size_t at = 0; at < text.len; at += step)
		dkim_body_feed(body, view_sub(text, at, step));
	dkim_body_end(body);
}

static void body_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++)
		for (int canon = DKIM_RELAXED; canon <= DKIM_SIMPLE; canon++)
			for (size_t step = 1; step <= strlen(bodies[i].body) + 1; step++) {
				struct dkim_body body;
				struct view want = view_from_cstr(
					canon == DKIM_SIMPLE ? bodies[i].simple : bodies[i].relaxed);
				dkim_body_init(&body, (enum dkim_canon)canon);
				body.wants_all = true;
				feed_all(&body, view_from_cstr(bodies[i].body), step);
				assert_digest(bodies[i].name, body.digest, want);
				assert_int_equal(body.length, want.len);
				dkim_body_clear(&body);
			}
}

/* Cut anywhere, in any pieces, with and without the whole beside it. */
static void cuts(void **state)
{
	(void)state;
	struct view text = VIEW("Hello  you,\r\n\r\n how are \t you?\r\n\r\n"),
		    want = VIEW("Hello you,\r\n\r\n how are you?\r\n");
	for (size_t step = 1; step <= text.len; step++)
		for (int all = 0; all < 2; all++) {
			struct dkim_body body;
			dkim_body_init(&body, DKIM_RELAXED);
			body.wants_all = all == 1;
			/* Not in their order, and one twice. */
			for (size_t at = want.len + 2; at > want.len - 14; at--)
				dkim_body_add_cut(&body, at);
			for (size_t at = 0; at < 15; at++)
				dkim_body_add_cut(&body, at);
			dkim_body_add_cut(&body, 3);
			feed_all(&body, text, step);
			for (size_t at = 0; at <= want.len; at += at == 14 ? want.len - 27 : 1) {
				const uint8_t *digest = dkim_body_cut(&body, at);
				assert_non_null(digest);
				assert_digest("cut", digest, view_sub(want, 0, at));
			}
			assert_null(dkim_body_cut(&body, want.len + 1));
			assert_null(dkim_body_cut(&body, want.len + 2));
			assert_int_equal(body.length, want.len);
			if (all == 1)
				assert_digest("whole", body.digest, want);
			dkim_body_clear(&body);
		}
}

static void a_long_body(void **state)
{
	(void)state;
	struct buf text = { 0 };
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(buf_append_format(
					 &text, "%u \t%*s|\r\n%s", i, (int)(i % 150), "", i % 7 == 0 ? "\r\n\r\n" : ""),
			ERR_OK);
	for (int canon = DKIM_RELAXED; canon <= DKIM_SIMPLE; canon++) {
		struct dkim_body whole, parts;
		dkim_body_init(&whole, (enum dkim_canon)canon);
		whole.wants_all = true;
		feed_all(&whole, buf_view(&text), text.len);
		for (size_t step = 1; step < 6000; step = step * 3 + 1) {
			dkim_body_init(&parts, (enum dkim_canon)canon);
			parts.wants_all = true;
			feed_all(&parts, buf_view(&text), step);
			assert_memory_equal(parts.digest, whole.digest, HASH_BYTES);
			dkim_body_clear(&parts);
		}
		dkim_body_clear(&whole);
	}
	buf_clear(&text);
}

static void from_the_bottom_up(void **state)
{
	(void)state;
	struct view headers = VIEW(
		"Received: 1\r\nfrom: a\r\nReceived: 2\r\nX: y\r\nbroken line\r\nRECEIVED: 3\r\nFro: z\r\n"
		"Fromm: z\r\nX-Long-Name-Two: 2\r\nX-Long-Name-One: 1\r\nX-Long-N: 0\r\nX-Long-Name-two: "
		"3\r\n\r\nReceived: body\r\n");
	struct dkim_fields found;
	assert_int_equal(dkim_fields_init(&found, headers), ERR_OK);
	for (int round = 0; round < 2; round++) {
		const struct header_field *field;
		static const char *const want[] = { " 3", " 2", " 1" };
		for (size_t i = 0; i < 3; i++) {
			field = dkim_fields_take(&found, VIEW("Received"));
			assert_non_null(field);
			assert_text("Received", field->value, want[i]);
		}
		assert_null(dkim_fields_take(&found, VIEW("received")));
		assert_null(dkim_fields_take(&found, VIEW("received")));
		assert_text("From", dkim_fields_take(&found, VIEW("FROM"))->value, " a");
		assert_null(dkim_fields_take(&found, VIEW("From")));
		assert_null(dkim_fields_take(&found, VIEW("Zzz")));
		assert_text("3", dkim_fields_take(&found, VIEW("x-long-name-two"))->value, " 3");
		assert_text("1", dkim_fields_take(&found, VIEW("x-long-name-one"))->value, " 1");
		assert_text("2", dkim_fields_take(&found, VIEW("x-long-name-two"))->value, " 2");
		assert_null(dkim_fields_take(&found, VIEW("x-long-name-two")));
		assert_null(dkim_fields_take(&found, VIEW("x-long-name-")));
		assert_null(dkim_fields_take(&found, VIEW("x-long-name-twoo")));
		assert_text("0", dkim_fields_take(&found, VIEW("x-long-n"))->value, " 0");
		assert_null(dkim_fields_take(&found, VIEW("A")));
		dkim_fields_rewind(&found);
	}
	size_t first;
	assert_int_equal(dkim_fields_find(&found, VIEW("Received"), &first), 3);
	assert_text("first", found.sorted[first + 2].field.value, " 1");
	assert_text("last", found.sorted[first].field.value, " 3");
	dkim_fields_clear(&found);
	assert_int_equal(dkim_fields_init(&found, VIEW("")), ERR_OK);
	assert_null(dkim_fields_take(&found, VIEW("From")));
	dkim_fields_clear(&found);
	struct buf many = { 0 };
	for (unsigned i = 0; i <= DKIM_FIELDS_MAX; i++)
		assert_int_equal(buf_append_cstr(&many, "A:\r\n"), ERR_OK);
	assert_int_equal(dkim_fields_init(&found, buf_view(&many)), ERR_LIMIT);
	buf_clear(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_cases),
		cmocka_unit_test(a_long_name),
		cmocka_unit_test(the_hole_is_left_out),
		cmocka_unit_test(body_cases),
		cmocka_unit_test(cuts),
		cmocka_unit_test(a_long_body),
		cmocka_unit_test(from_the_bottom_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
