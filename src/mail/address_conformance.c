/*
 * address_parse() against the isemail suite: what it calls valid for RFC 5321 must be accepted, what it calls an error, deprecated or
 * valid in message headers only (RFC 5322: comments, folding, domain literals of any form) must be refused in an envelope.
 */
#include "mail/address.h"

#include "mail/conformance.h"

/* The text between <tag> and </tag>; empty for <tag/>. */
static struct view element(struct view xml, const char *tag)
{
	struct buf open = { 0 }, close = { 0 };
	struct view found = VIEW_NONE;
	if (buf_append_format(&open, "<%s>", tag) != ERR_OK || buf_append_format(&close, "</%s>", tag) != ERR_OK)
		abort();
	const uint8_t *from = memmem(xml.ptr, xml.len, open.ptr, open.len);
	if (from != NULL) {
		from += open.len;
		const uint8_t *to = memmem(from, xml.len - (size_t)(from - xml.ptr), close.ptr, close.len);
		if (to != NULL)
			found = view_of(from, (size_t)(to - from));
	}
	buf_clear(&open);
	buf_clear(&close);
	return found;
}

/* "&amp;" and its like, or "&#x2407;" as hexadecimal; the character's number, or -1. */
static long entity_value(struct view name)
{
	static const struct {
		const char *name;
		long value;
	} names[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (view_eq(name, view_from_cstr(names[i].name)))
			return names[i].value;
	if (!view_starts_with(name, VIEW("#x")) || name.len < 3 || name.len > 6)
		return -1;
	long value = 0;
	for (size_t i = 2; i < name.len; i++) {
		if (ascii_hex_value(name.ptr[i]) < 0)
			return -1;
		value = value * 16 + ascii_hex_value(name.ptr[i]);
	}
	return value;
}

/* Undoes XML's entities and the suite's notation of control characters (U+2400 + code). */
static void decode(struct view in, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		struct view name = view_from(in, i + 1);
		name = view_sub(name, 0, view_find(name, ';'));
		long value = in.ptr[i] == '&' ? entity_value(name) : in.ptr[i];
		if (value < 0)
			abort(); /* the suite has something that this program does not know */
		if (in.ptr[i] == '&')
			i += name.len + 1;
		if (value >= 0x2400 && value < 0x2420)
			value -= 0x2400;
		if (in.ptr[i] != ';' || value < 0x80) {
			err = buf_append_byte(out, (uint8_t)value);
		} else if (value < 0x800) {
			uint8_t utf8[2] = { (uint8_t)(0xc0 | value >> 6), (uint8_t)(0x80 | (value & 0x3f)) };
			err = buf_append(out, view_of(utf8, sizeof utf8));
		} else {
			abort();
		}
	}
	if (err != ERR_OK)
		abort();
}

static bool must_be_accepted(struct view category)
{
	/* DNSWARN: valid, but DNS did not know the domain when the suite was written. */
	return view_eq(category, VIEW("ISEMAIL_VALID_CATEGORY")) || view_eq(category, VIEW("ISEMAIL_RFC5321")) ||
		view_eq(category, VIEW("ISEMAIL_DNSWARN"));
}

int main(void)
{
	struct buf xml = { 0 };
	unsigned passed = 0, total = 0;
	read_suite(__FILE__, "address-isemail/tests.xml", &xml);
	struct view rest = buf_view(&xml);
	const uint8_t *at;
	while ((at = rest.len > 0 ? memmem(rest.ptr, rest.len, "<test id=", 9) : NULL) != NULL) {
		rest = view_from(rest, (size_t)(at - rest.ptr));
		const uint8_t *end = memmem(rest.ptr, rest.len, "</test>", 7);
		struct view test = view_sub(rest, 0, end != NULL ? (size_t)(end - rest.ptr) : rest.len);
		struct buf address = { 0 };
		struct address parsed;
		decode(element(test, "address"), &address);
		bool want = must_be_accepted(element(test, "category"));
		bool got = address_parse(buf_view(&address), 0, &parsed) == ERR_OK;
		total++;
		passed += got == want;
		if (got != want) {
			struct buf shown = { 0 };
			if (buf_append_escaped(&shown, buf_view(&address), 300) != ERR_OK)
				abort();
			printf("%s %.*s: \"%s\" (%.*s)\n", got ? "accepted" : "refused", VIEW_ARG(view_sub(test, 6, 8)),
				buf_cstr(&shown), VIEW_ARG(element(test, "diagnosis")));
			buf_clear(&shown);
		}
		buf_clear(&address);
		rest = view_from(rest, test.len);
	}
	buf_clear(&xml);
	printf("CONFORMANCE address-isemail %u/%u\n", passed, total);
	return passed == total && total > 0 ? 0 : 1;
}
