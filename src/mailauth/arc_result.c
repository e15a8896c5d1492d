#include "mailauth/arc.h"

struct view arc_result_name(enum arc_result result)
{
	static const char *const names[ARC_RESULT_COUNT] = {
		[ARC_NONE] = "none", [ARC_PASS] = "pass", [ARC_FAIL] = "fail"
	};
	return view_from_cstr(names[result]);
}

static enum err append_all(const struct arc_verdict *verdict, struct view address, struct buf *out)
{
	enum err err = buf_append_format(out, "arc=%.*s", VIEW_ARG(arc_result_name(verdict->result)));
	if (err == ERR_OK && verdict->reason != NULL)
		err = buf_append_format(out, " reason=\"%s\"", verdict->reason);
	if (err == ERR_OK && verdict->result == ARC_PASS)
		err = buf_append_format(out, " header.oldest-pass=%u", verdict->oldest_pass);
	/* A colon would need quotes (RFC 2045 §5.1), and IPv6 has some. */
	if (err == ERR_OK && address.len > 0)
		err = buf_append_format(out,
			view_find(address, ':') < address.len ? " smtp.remote-ip=\"%.*s\"" : " smtp.remote-ip=%.*s",
			VIEW_ARG(address));
	return err;
}

enum err arc_format_result(const struct arc_verdict *verdict, struct view address, struct buf *out)
{
	size_t before = out->len;
	enum err err = append_all(verdict, address, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies a result without its comments and quoted strings, as far as there is room: what is left are its bare words. Returns how much of the text it
 * took, the ";" behind it and all. */
static size_t take_bare(struct view text, uint8_t *out, size_t room, size_t *ret_len)
{
	size_t depth = 0, n = 0, i = 0;
	bool is_quoted = false;
	for (; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '\\' && (depth > 0 || is_quoted)) {
			i++;
			continue;
		}
		if (depth == 0 && c == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && c == '(')
			depth++;
		else if (!is_quoted && c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && !is_quoted && c == ';')
			break;
		else if (depth == 0 && !is_quoted && n < room)
			out[n++] = c;
	}
	*ret_len = n;
	return i < text.len ? i + 1 : i;
}

static struct view take_word(struct view *rest)
{
	while (rest->len > 0 && is_blank(rest->ptr[0]))
		*rest = view_from(*rest, 1);
	size_t len = 0;
	while (len < rest->len && !is_blank(rest->ptr[len]) && rest->ptr[len] != '=' && rest->ptr[len] != '/')
		len++;
	struct view word = view_sub(*rest, 0, len);
	*rest = view_from(*rest, len);
	while (rest->len > 0 && is_blank(rest->ptr[0]))
		*rest = view_from(*rest, 1);
	return word;
}

/* RFC 8601 §2.2 methodspec: method [ "/" version ] "=" result. */
static bool is_result(struct view bare, struct view method, struct view result)
{
	if (!view_eq_nocase(take_word(&bare), method))
		return false;
	if (bare.len > 0 && bare.ptr[0] == '/') {
		bare = view_from(bare, 1);
		(void)take_word(&bare);
	}
	if (bare.len == 0 || bare.ptr[0] != '=')
		return false;
	bare = view_from(bare, 1);
	return view_eq_nocase(take_word(&bare), result);
}

bool arc_results_say(struct view results, struct view method, struct view result)
{
	uint8_t room[128];
	size_t len;
	/* The id comes first. */
	results = view_from(results, take_bare(results, room, sizeof room, &len));
	while (results.len > 0) {
		results = view_from(results, take_bare(results, room, sizeof room, &len));
		if (is_result(view_of(room, len), method, result))
			return true;
	}
	return false;
}

static bool is_trusted(struct view domain, const char *const *trusted, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (view_eq_nocase(view_from_cstr(trusted[i]), domain))
			return true;
	return false;
}

bool arc_verifier_overrides(
	const struct arc_verifier *verifier, const char *const *trusted, size_t trusted_count, struct view *ret_sealer)
{
	struct arc_verdict verdict;
	struct arc_set set;
	if (!arc_verifier_verdict(verifier, &verdict) || verdict.result != ARC_PASS)
		return false;
	for (unsigned i = verdict.set_count; arc_verifier_set(verifier, i, &set); i--) {
		if (!is_trusted(set.domain, trusted, trusted_count))
			return false;
		if (arc_results_say(set.results, VIEW("dmarc"), VIEW("pass"))) {
			*ret_sealer = set.domain;
			return true;
		}
		/* It came there by others: what they found counts if their chain was whole there, and they are trusted, too. */
		if (!arc_results_say(set.results, VIEW("arc"), VIEW("pass")))
			return false;
	}
	return false;
}
