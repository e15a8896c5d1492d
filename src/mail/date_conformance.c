/*
 * date_parse() against mail-parser's dates. Each case is a header and the numbers read from it, or null. Only what RFC 5322 §3.3 and §4.3
 * make a date is asked of us; where we answer otherwise, the reason stands below.
 */
#include "mail/date.h"

#include "mail/conformance.h"

/* The number behind "key": in an object's text; false if there is none. */
static bool number(struct view object, const char *key, int64_t *ret)
{
	const uint8_t *at = memmem(object.ptr, object.len, key, strlen(key));
	if (at == NULL)
		return false;
	struct view rest = view_from(object, (size_t)(at - object.ptr) + strlen(key));
	rest = view_trim(view_sub(rest, 0, view_find(rest, ',')));
	rest = view_trim(view_sub(rest, 0, view_find(rest, '}')));
	uint64_t n;
	if (view_parse_u64(rest, 100000, &n) != ERR_OK)
		return false;
	*ret = (int64_t)n;
	return true;
}

/* The string at the front, without its quotes; JSON's escapes undone. */
static struct view take_string(struct view *rest, struct buf *out)
{
	size_t i = 1;
	buf_reset(out);
	for (; i < rest->len && rest->ptr[i] != '"'; i++) {
		uint8_t c = rest->ptr[i];
		if (c == '\\' && i + 1 < rest->len) {
			c = rest->ptr[++i];
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
		}
		if (buf_append_byte(out, c) != ERR_OK)
			abort();
	}
	*rest = view_from(*rest, i + 1);
	return buf_view(out);
}

/* What the numbers say as Unix time, through our own formatter (whose calendar date_test.c checks day by day). */
static int64_t expected_ms(struct view object)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	int64_t year, month, day, hour, minute, second, zone_hour, zone_minute, ms = -1;
	if (!number(object, "\"year\":", &year) || !number(object, "\"month\":", &month) || month < 1 || month > 12 ||
		!number(object, "\"day\":", &day) || !number(object, "\"hour\":", &hour) ||
		!number(object, "\"minute\":", &minute) || !number(object, "\"second\":", &second) ||
		!number(object, "\"tz_hour\":", &zone_hour) || !number(object, "\"tz_minute\":", &zone_minute))
		return -1;
	bool west = memmem(object.ptr, object.len, "\"tz_before_gmt\": true", 21) != NULL;
	struct buf text = { 0 };
	if (buf_append_format(&text, "%d %s %d %02d:%02d:%02d %c%02d%02d", (int)day, months[month - 1], (int)year,
		    (int)hour, (int)minute, (int)second, west ? '-' : '+', (int)zone_hour, (int)zone_minute) != ERR_OK)
		abort();
	if (date_parse(buf_view(&text), &ms) != ERR_OK)
		ms = -1;
	buf_clear(&text);
	return ms;
}

static const struct {
	const char *front, *reason;
} disputed[] = {
	{ "20 11 (some ", "RFC 5322 has no months in figures" },
	{ "4 8 15 16 23 42", "numbers, but no date" },
	{ "Tue, 1 Jul 2003 ((invalid)",
		"the comments are nested and closed as RFC 5322 §3.2.2 has them, so this is a date" },
	{ "by 2002:aa7:cd10", "a whole Received field, not its date" },
};

static const char *dispute_of(struct view text)
{
	for (size_t i = 0; i < sizeof disputed / sizeof disputed[0]; i++)
		if (view_starts_with(text, view_from_cstr(disputed[i].front)))
			return disputed[i].reason;
	return NULL;
}

int main(void)
{
	struct buf json = { 0 }, header = { 0 };
	unsigned passed = 0, total = 0, unexplained = 0;
	read_suite(__FILE__, "mime-mail-parser/date.json", &json);
	struct view rest = buf_view(&json);
	const uint8_t *at;
	while ((at = rest.len > 0 ? memmem(rest.ptr, rest.len, "\"header\": ", 10) : NULL) != NULL) {
		rest = view_from(rest, (size_t)(at - rest.ptr) + 10);
		struct view text = take_string(&rest, &header);
		const uint8_t *next = rest.len > 0 ? memmem(rest.ptr, rest.len, "\"header\": ", 10) : NULL;
		struct view object = view_sub(rest, 0, next != NULL ? (size_t)(next - rest.ptr) : rest.len);
		int64_t want = expected_ms(object), got;
		if (date_parse(text, &got) != ERR_OK)
			got = -1;
		total++;
		passed += got == want;
		if (got != want) {
			const char *reason = dispute_of(view_trim(text));
			unexplained += reason == NULL;
			printf("\"%.*s\": got %lld, want %lld: %s\n", VIEW_ARG(view_trim(text)), (long long)got,
				(long long)want, reason != NULL ? reason : "WRONG");
		}
	}
	buf_clear(&json);
	buf_clear(&header);
	printf("CONFORMANCE mail-parser-dates %u/%u\n", passed, total);
	return unexplained == 0 && total > 0 ? 0 : 1;
}
