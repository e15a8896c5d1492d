/* Canonicalisation goes over text in steps of many bytes: here against one that goes byte by byte, as RFC 6376 §3.4 has it, over texts of every kind. */
#include "mailauth/dkim_private.h"
#include "mail/testing.h"

enum { TEXTS = 4000, TEXT_MAX = 700 };

static uint32_t state_of_chance = 1;

/* xorshift32: the same texts each time. */
static uint32_t chance(uint32_t below)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 17;
	state_of_chance ^= state_of_chance << 5;
	return state_of_chance % below;
}

/* Runs of letters of any length, with what matters between them. */
static size_t write_text(uint8_t out[TEXT_MAX], const char *const *crumbs, uint32_t crumb_count)
{
	size_t len = 0, max = chance(TEXT_MAX - 80);
	while (len < max) {
		uint32_t run = chance(4) == 0 ? chance(70) : chance(4);
		for (uint32_t i = 0; i < run; i++)
			out[len++] = (uint8_t)('a' + i % 26);
		const char *crumb = crumbs[chance(crumb_count)];
		memcpy(out + len, crumb, strlen(crumb));
		len += strlen(crumb);
	}
	return len;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* §3.4.2 on a value: every fold vanishes, every run of white space is a space, none at either end. */
static size_t relaxed_value(struct view v, uint8_t *out)
{
	size_t n = 0;
	bool has_blank = false;
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		bool is_fold = c == '\n' || (c == '\r' && i + 1 < v.len && v.ptr[i + 1] == '\n');
		if (is_blank(c) || is_fold) {
			has_blank |= is_blank(c);
			continue;
		}
		if (has_blank && n > 0)
			out[n++] = ' ';
		has_blank = false;
		out[n++] = c;
	}
	return n;
}

static void fields_byte_by_byte(void **state)
{
	(void)state;
	static const char *const crumbs[] = { " ", " ", "  ", "\t", " \t ", "\r\n ", "\r\n\t", "\n ", "\r", "\x01",
		"\x1f ", "\xc3\xa4", "\x7f", " \r\n ", " \r\n\t ", "\r\n  ", ".", " .", "  ." };
	for (size_t i = 0; i < TEXTS; i++) {
		uint8_t text[TEXT_MAX + 1], want[TEXT_MAX + 8] = "from:", got_digest[HASH_BYTES],
							    want_digest[HASH_BYTES];
		size_t len = write_text(text, crumbs, sizeof crumbs / sizeof crumbs[0]);
		/* From different places: steps begin anywhere. */
		size_t skipped = len > 0 ? chance(len < 20 ? (uint32_t)len : 20) : 0;
		struct header_field field = { VIEW("FROM"), view_of(text + skipped, len - skipped), VIEW_NONE };
		struct dkim_sink sink;
		dkim_sink_init(&sink);
		dkim_canon_own_field(DKIM_RELAXED, &field, VIEW_NONE, &sink);
		dkim_sink_finish(&sink, got_digest);
		dkim_sink_clear(&sink);
		hash_once(view_of(want, 5 + relaxed_value(field.value, want + 5)), want_digest);
		if (memcmp(got_digest, want_digest, HASH_BYTES) != 0)
			fail_msg("text %zu of %zu bytes is canonicalised otherwise", i, len);
	}
}

/* §3.4.4: white space at the end of a line vanishes, other runs are a space, as do empty lines at the end; one line end there, if there is anything. */
static size_t relaxed_body(struct view v, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (!is_blank(v.ptr[i])) {
			out[n++] = v.ptr[i];
			continue;
		}
		while (i + 1 < v.len && is_blank(v.ptr[i + 1]))
			i++;
		bool ends_line = i + 1 == v.len || (i + 2 < v.len && v.ptr[i + 1] == '\r' && v.ptr[i + 2] == '\n');
		if (!ends_line)
			out[n++] = ' ';
	}
	while (n >= 2 && out[n - 2] == '\r' && out[n - 1] == '\n')
		n -= 2;
	if (n > 0) {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	return n;
}

static void bodies_byte_by_byte(void **state)
{
	(void)state;
	static const char *const crumbs[] = { " ", " ", "  ", "\t", " \t ", "\r\n", "\r\n ", "\r\n\r\n", "\r", "\n",
		"\r\r\n", " \r\n", "\t\r\n  ", "\x01", " \x01", "\xc3\xa4", "\r ", " \r", " \n", "\r\n    - " };
	for (size_t i = 0; i < TEXTS; i++) {
		uint8_t text[TEXT_MAX], want[TEXT_MAX + 8], want_digest[HASH_BYTES];
		struct view rest = view_of(text, write_text(text, crumbs, sizeof crumbs / sizeof crumbs[0]));
		size_t want_len = relaxed_body(rest, want), cut = chance((uint32_t)want_len + 2);
		uint32_t step = 1 + chance(TEXT_MAX);
		struct dkim_body body;
		dkim_body_init(&body, DKIM_RELAXED);
		body.wants_all = true;
		if (i % 3 == 0)
			dkim_body_add_cut(&body, cut);
		for (; rest.len > 0; rest = view_from(rest, step))
			dkim_body_feed(&body, view_sub(rest, 0, step));
		dkim_body_end(&body);
		hash_once(view_of(want, want_len), want_digest);
		if (body.length != want_len || memcmp(body.digest, want_digest, HASH_BYTES) != 0)
			fail_msg("text %zu is canonicalised otherwise: %llu bytes, not %zu", i,
				(unsigned long long)body.length, want_len);
		const uint8_t *digest = i % 3 == 0 ? dkim_body_cut(&body, cut) : NULL;
		assert_int_equal(digest != NULL, i % 3 == 0 && cut <= want_len);
		if (digest != NULL) {
			hash_once(view_of(want, cut), want_digest);
			assert_memory_equal(digest, want_digest, HASH_BYTES);
		}
		dkim_body_clear(&body);
	}
}

/* Names that only case tells apart are one, those of which "@" and "`" do are not: the index makes them alike at first. */
static void names_that_look_alike(void **state)
{
	(void)state;
	struct view headers = VIEW("X@: 1\r\nX`: 2\r\nx@: 3\r\nX-Longer-Name-@: 4\r\nX-Longer-Name-`: 5\r\n"
				   "X-Long^er-Name: 6\r\nX-Long~er-Name: 7\r\nX@: 8\r\n");
	static const struct {
		struct view name;
		const char *values[4];
	} rows[] = { { { (const uint8_t *)"x@", 2 }, { " 8", " 3", " 1" } }, { { (const uint8_t *)"X`", 2 }, { " 2" } },
		{ { (const uint8_t *)"x-longer-name-`", 15 }, { " 5" } },
		{ { (const uint8_t *)"x-longer-name-@", 15 }, { " 4" } },
		{ { (const uint8_t *)"X-Long~er-Name", 14 }, { " 7" } },
		{ { (const uint8_t *)"X-LONG^ER-NAME", 14 }, { " 6" } }, { { (const uint8_t *)"x ", 2 }, { NULL } },
		{ { (const uint8_t *)"", 0 }, { NULL } } };
	struct dkim_fields fields;
	assert_int_equal(dkim_fields_init(&fields, headers), ERR_OK);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			size_t count = 0, first;
			for (; rows[i].values[count] != NULL; count++) {
				const struct header_field *field = dkim_fields_take(&fields, rows[i].name);
				assert_non_null(field);
				assert_text("value", field->value, rows[i].values[count]);
			}
			assert_null(dkim_fields_take(&fields, rows[i].name));
			assert_int_equal(dkim_fields_find(&fields, rows[i].name, &first), count);
		}
		dkim_fields_rewind(&fields);
	}
	dkim_fields_clear(&fields);
}

/* Without any of its white space, with all else, whatever stands where. */
static void packed_byte_by_byte(void **state)
{
	(void)state;
	static const char *const crumbs[] = { " ", "\t", "\r\n ", "\x01", "\x7f", "\xc3\xa4", "=", " \r\n\t" };
	for (size_t i = 0; i < TEXTS; i++) {
		uint8_t text[TEXT_MAX], want[TEXT_MAX], got[TEXT_MAX];
		size_t len = write_text(text, crumbs, sizeof crumbs / sizeof crumbs[0]), n = 0, got_len = 0;
		for (size_t k = 0; k < len; k++)
			if (!is_blank(text[k]) && text[k] != '\r' && text[k] != '\n')
				want[n++] = text[k];
		assert_int_equal(tag_value_pack(view_of(text, len), got, n, &got_len), ERR_OK);
		assert_int_equal(got_len, n);
		assert_memory_equal(got, want, n);
		if (n > 0)
			assert_int_equal(tag_value_pack(view_of(text, len), got, n - 1, &got_len), ERR_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_byte_by_byte),
		cmocka_unit_test(bodies_byte_by_byte),
		cmocka_unit_test(names_that_look_alike),
		cmocka_unit_test(packed_byte_by_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
