#include "mailauth/dmarc_record.h"

#include <stddef.h>

struct view dmarc_policy_name(enum dmarc_policy policy)
{
	static const char *const names[DMARC_POLICY_COUNT] = { "none", "quarantine", "reject" };
	return view_from_cstr(names[policy]);
}

/* Tags. Their names and most values have no case (RFC 9989 §4.8: RFC 5234 strings). */

struct tags {
	struct view p, sp, np, t, psd, adkim, aspf, fo, rua, ruf;
	unsigned seen;
};

static const struct {
	const char *name;
	size_t offset;
} known[] = {
	{ "p", offsetof(struct tags, p) },
	{ "sp", offsetof(struct tags, sp) },
	{ "np", offsetof(struct tags, np) },
	{ "t", offsetof(struct tags, t) },
	{ "psd", offsetof(struct tags, psd) },
	{ "adkim", offsetof(struct tags, adkim) },
	{ "aspf", offsetof(struct tags, aspf) },
	{ "fo", offsetof(struct tags, fo) },
	{ "rua", offsetof(struct tags, rua) },
	{ "ruf", offsetof(struct tags, ruf) },
};

/* False if the part has no "=". */
static bool split_tag(struct view part, struct view *ret_name, struct view *ret_value)
{
	size_t equals = view_find(part, '=');
	if (equals == part.len)
		return false;
	*ret_name = view_trim(view_sub(part, 0, equals));
	*ret_value = view_trim(view_from(part, equals + 1));
	return true;
}

static void take_tag(struct tags *tags, struct view name, struct view value)
{
	for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (!view_eq_nocase(name, view_from_cstr(known[i].name)) || (tags->seen >> i & 1) != 0)
			continue;
		tags->seen |= 1u << i;
		*(struct view *)((char *)tags + known[i].offset) = value;
	}
}

static bool is_version(struct view part)
{
	struct view name, value;
	return split_tag(part, &name, &value) && view_eq_nocase(name, VIEW("v")) && view_eq(value, VIEW("DMARC1"));
}

bool dmarc_record_is_dmarc(struct view text)
{
	return is_version(view_sub(text, 0, view_find(text, ';')));
}

/* Values */

static bool parse_policy(struct view value, enum dmarc_policy *ret)
{
	for (unsigned i = 0; i < DMARC_POLICY_COUNT; i++) {
		if (!view_eq_nocase(value, dmarc_policy_name((enum dmarc_policy)i)))
			continue;
		*ret = (enum dmarc_policy)i;
		return true;
	}
	return false;
}

/* "" stands for "not said": RFC 9989 §4.8 has no empty values, and a faulty tag is one that was not said. */
static bool said(struct view value)
{
	return value.len > 0;
}

static const char *parse_policies(const struct tags *tags, struct dmarc_record *record)
{
	if (!said(tags->p))
		return "the DMARC record has no policy";
	if (!parse_policy(tags->p, &record->policy))
		return "the DMARC record has an unknown policy";
	record->subdomain_policy = record->policy;
	if (said(tags->sp) && !parse_policy(tags->sp, &record->subdomain_policy))
		return "the DMARC record has an unknown policy for subdomains";
	record->nonexistent_policy = record->subdomain_policy;
	if (said(tags->np) && !parse_policy(tags->np, &record->nonexistent_policy))
		return "the DMARC record has an unknown policy for subdomains that do not exist";
	record->has_subdomain_policy = said(tags->sp);
	record->has_nonexistent_policy = said(tags->np);
	return NULL;
}

/* RFC 9989 has four letters and two pairs; RFC 7489 had any list of them, and so have its records. */
static unsigned parse_failure_reports(struct view value)
{
	static const struct {
		char letter;
		unsigned flag;
	} options[] = { { '0', DMARC_REPORT_IF_ALL_FAIL }, { '1', DMARC_REPORT_IF_ANY_FAILS },
		{ 'd', DMARC_REPORT_DKIM }, { 's', DMARC_REPORT_SPF } };
	unsigned set = 0;
	struct view part;
	while (view_split(&value, ':', &part)) {
		part = view_trim(part);
		for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
			if (part.len == 1 && ascii_lower(part.ptr[0]) == (uint8_t)options[i].letter)
				set |= options[i].flag;
	}
	return set != 0 ? set : DMARC_REPORT_IF_ALL_FAIL;
}

static enum dmarc_psd parse_psd(struct view value)
{
	if (view_eq_nocase(value, VIEW("y")))
		return DMARC_PSD_YES;
	return view_eq_nocase(value, VIEW("n")) ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
}

bool dmarc_record_parse(struct view text, struct dmarc_record *ret)
{
	struct tags tags = { 0 };
	struct view part, name, value, uri;
	if (!view_split(&text, ';', &part) || !is_version(part))
		return false;
	while (view_split(&text, ';', &part))
		if (split_tag(part, &name, &value))
			take_tag(&tags, name, value);
	struct dmarc_record record = {
		.dkim_is_strict = view_eq_nocase(tags.adkim, VIEW("s")),
		.spf_is_strict = view_eq_nocase(tags.aspf, VIEW("s")),
		.is_testing = view_eq_nocase(tags.t, VIEW("y")),
		.psd = parse_psd(tags.psd),
		.failure_reports = parse_failure_reports(tags.fo),
		.rua = tags.rua,
		.ruf = tags.ruf,
	};
	record.fault = parse_policies(&tags, &record);
	if (record.fault != NULL)
		record.policy = record.subdomain_policy = record.nonexistent_policy = DMARC_POLICY_NONE;
	value = record.rua;
	record.is_usable = record.fault == NULL || dmarc_uri_next(&value, &uri);
	*ret = record;
	return true;
}

/* URIs */

/* RFC 3986 §2; "!" and "," are encoded here (RFC 9989 §4.8). */
static bool is_uri_byte(uint8_t c)
{
	struct view marks = VIEW("-._~:/?#[]@$&'()*+;=");
	return ascii_is_alnum(c) || view_find(marks, c) < marks.len;
}

static bool is_uri_text(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '%') {
			if (v.len - i < 3 || ascii_hex_value(v.ptr[i + 1]) < 0 || ascii_hex_value(v.ptr[i + 2]) < 0)
				return false;
			i += 2;
		} else if (!is_uri_byte(v.ptr[i])) {
			return false;
		}
	}
	return v.len > 0;
}

/* RFC 3986 §3.1. */
static bool is_scheme(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && (i == 0 || view_find(VIEW("+-."), v.ptr[i]) == 3))
			return false;
	return v.len > 0 && ascii_is_alpha(v.ptr[0]);
}

static bool is_uri(struct view v)
{
	size_t colon = view_find(v, ':');
	struct view scheme = view_sub(v, 0, colon), rest = view_from(v, colon + 1);
	if (colon == v.len || !is_scheme(scheme) || !is_uri_text(rest))
		return false;
	if (!view_eq_nocase(scheme, VIEW("mailto")))
		return true;
	struct view mailbox = view_sub(rest, 0, view_find(rest, '?'));
	size_t at = view_find_last(mailbox, '@');
	return at > 0 && at + 1 < mailbox.len;
}

/* RFC 7489 §6.2: "!" and a number, with a unit behind it. */
static struct view without_size(struct view uri)
{
	size_t mark = view_find_last(uri, '!');
	struct view size = view_from(uri, mark + 1);
	if (size.len > 1 && view_find(VIEW("kmgt"), ascii_lower(size.ptr[size.len - 1])) < 4)
		size.len--;
	for (size_t i = 0; i < size.len; i++)
		if (!ascii_is_digit(size.ptr[i]))
			return uri;
	return size.len > 0 ? view_sub(uri, 0, mark) : uri;
}

bool dmarc_uri_next(struct view *rest, struct view *ret_uri)
{
	struct view part;
	while (view_split(rest, ',', &part)) {
		part = without_size(view_trim(part));
		if (!is_uri(part))
			continue;
		*ret_uri = part;
		return true;
	}
	return false;
}
