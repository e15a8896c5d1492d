#include "mailauth/dkim.h"

#define HEADER_B_BYTES 8u /* RFC 6008 §4: at least eight of it */

struct view dkim_result_name(enum dkim_result result)
{
	static const char *const names[DKIM_RESULT_COUNT] = { [DKIM_PASS] = "pass",
		[DKIM_FAIL] = "fail",
		[DKIM_NEUTRAL] = "neutral",
		[DKIM_POLICY] = "policy",
		[DKIM_TEMPERROR] = "temperror",
		[DKIM_PERMERROR] = "permerror" };
	return view_from_cstr(names[result]);
}

/* An identity that may stand in the field without quotes: dots and what RFC 5322 §3.2.3 calls atext, then "@" and the (checked) domain. */
static bool is_plain(struct view identity)
{
	static const struct view marks = { (const uint8_t *)"!#$%&'*+-/=?^_`{|}~.", 20 };
	size_t at = view_find_last(identity, '@');
	for (size_t i = 0; i < at; i++)
		if (!ascii_is_alnum(identity.ptr[i]) && view_find(marks, identity.ptr[i]) == marks.len)
			return false;
	return at > 0 && at < identity.len;
}

static enum err append_word(const char *name, struct view value, struct buf *out)
{
	return value.len > 0 ? buf_append_format(out, " %s=%.*s", name, VIEW_ARG(value)) : ERR_OK;
}

static enum err append_all(const struct dkim_signature *s, struct buf *out)
{
	enum err err = buf_append_format(out, "dkim=%.*s", VIEW_ARG(dkim_result_name(s->result)));
	if (err == ERR_OK && s->reason != NULL)
		err = buf_append_format(out, " reason=\"%s\"", s->reason);
	if (err == ERR_OK)
		err = append_word("header.d", s->domain, out);
	if (err == ERR_OK && is_plain(s->identity))
		err = append_word("header.i", s->identity, out);
	if (err == ERR_OK)
		err = append_word("header.s", s->selector, out);
	if (err == ERR_OK)
		err = append_word("header.a", dkim_algorithm_name(s->algorithm), out);
	/* Base64 may have "=", "/" and "+": a value with those stands in quotes (RFC 2045 §5.1). */
	if (err == ERR_OK && s->signature.len > 0)
		err = buf_append_format(out, " header.b=\"%.*s\"", VIEW_ARG(view_sub(s->signature, 0, HEADER_B_BYTES)));
	return err;
}

enum err dkim_format_result(const struct dkim_signature *signature, struct buf *out)
{
	size_t before = out->len;
	enum err err = append_all(signature, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}
