#include "mailauth/spf_record.h"

#include "mailauth/spf_private.h"

/* What may stand behind a mechanism's name. */
enum argument {
	ARGUMENT_NONE,
	ARGUMENT_DOMAIN, /* ":" domain-spec */
	ARGUMENT_DOMAIN_OR_NONE,
	ARGUMENT_DOMAIN_AND_PREFIX, /* [ ":" domain-spec ] [ dual-cidr-length ] */
	ARGUMENT_IP4,
	ARGUMENT_IP6
};

static const struct {
	const char *name;
	enum argument argument;
	bool needs_dns;
} mechanisms[SPF_MECHANISM_COUNT] = {
	[SPF_ALL] = { "all", ARGUMENT_NONE, false },
	[SPF_INCLUDE] = { "include", ARGUMENT_DOMAIN, true },
	[SPF_A] = { "a", ARGUMENT_DOMAIN_AND_PREFIX, true },
	[SPF_MX] = { "mx", ARGUMENT_DOMAIN_AND_PREFIX, true },
	[SPF_PTR] = { "ptr", ARGUMENT_DOMAIN_OR_NONE, true },
	[SPF_IP4] = { "ip4", ARGUMENT_IP4, false },
	[SPF_IP6] = { "ip6", ARGUMENT_IP6, false },
	[SPF_EXISTS] = { "exists", ARGUMENT_DOMAIN, true },
};

bool spf_mechanism_needs_dns(enum spf_mechanism mechanism)
{
	return mechanisms[mechanism].needs_dns;
}

static const char bad_domain[] = "the domain in it is malformed";
static const char bad_prefix[] = "the prefix length in it is none";

/* The digits at the end of *rest, behind `mark`; taken off. False if there are none; *problem is set if
 * they are no prefix length. */
static bool take_prefix(struct view *rest, struct view mark, unsigned max, unsigned *bits, const char **problem)
{
	size_t begin = rest->len;
	while (begin > 0 && ascii_is_digit(rest->ptr[begin - 1]))
		begin--;
	struct view digits = view_from(*rest, begin), front = view_sub(*rest, 0, begin);
	uint64_t n;
	if (digits.len == 0 || !view_ends_with_nocase(front, mark))
		return false;
	/* §5.6 has no leading zeros in addresses; in lengths they are as wrong. */
	if (view_parse_u64(digits, max, &n) != ERR_OK || (digits.len > 1 && digits.ptr[0] == '0'))
		*problem = bad_prefix;
	else
		*bits = (unsigned)n;
	*rest = view_sub(*rest, 0, begin - mark.len);
	return true;
}

/* ":" domain-spec. */
static const char *parse_domain(struct view rest, struct spf_term *term)
{
	uint8_t address[4];
	if (rest.len == 0 || rest.ptr[0] != ':')
		return rest.len == 0 ? "the domain in it is missing" : "something else stands where its domain should";
	term->domain_spec = view_from(rest, 1);
	if (spf_address_parse4(term->domain_spec, address))
		return "an address stands where a domain should: \"ip4:\" is meant";
	return spf_macro_is_domain_spec(term->domain_spec) ? NULL : bad_domain;
}

static const char *parse_domain_and_prefix(struct view rest, struct spf_term *term)
{
	const char *problem = NULL;
	/* A domain-spec may hold slashes, so the lengths are what stands at the end. */
	take_prefix(&rest, VIEW("//"), 128, &term->prefix6_bits, &problem);
	if (problem == NULL)
		take_prefix(&rest, VIEW("/"), 32, &term->prefix4_bits, &problem);
	return problem != NULL || rest.len == 0 ? problem : parse_domain(rest, term);
}

static const char *parse_address(struct view rest, bool is_v6, struct spf_term *term)
{
	const char *problem = NULL;
	if (is_v6)
		take_prefix(&rest, VIEW("/"), 128, &term->prefix6_bits, &problem);
	else
		take_prefix(&rest, VIEW("/"), 32, &term->prefix4_bits, &problem);
	if (problem != NULL)
		return problem;
	struct view address = view_from(rest, 1);
	bool is_good = rest.len > 0 && rest.ptr[0] == ':' &&
		(is_v6 ? spf_address_parse6(address, term->address) : spf_address_parse4(address, term->address));
	return is_good ? NULL : "the address in it is malformed";
}

static const char *parse_argument(enum argument argument, struct view rest, struct spf_term *term)
{
	switch (argument) {
	case ARGUMENT_NONE:
		return rest.len == 0 ? NULL : "it takes no argument";
	case ARGUMENT_DOMAIN:
		return parse_domain(rest, term);
	case ARGUMENT_DOMAIN_OR_NONE:
		return rest.len == 0 ? NULL : parse_domain(rest, term);
	case ARGUMENT_DOMAIN_AND_PREFIX:
		return parse_domain_and_prefix(rest, term);
	case ARGUMENT_IP4:
	case ARGUMENT_IP6:
		break;
	}
	return parse_address(rest, argument == ARGUMENT_IP6, term);
}

static enum spf_result take_qualifier(struct view *rest)
{
	static const enum spf_result meanings[] = { SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL };
	size_t i = rest->len > 0 ? view_find(VIEW("+-~?"), rest->ptr[0]) : 4;
	if (i == 4)
		return SPF_PASS;
	*rest = view_from(*rest, 1);
	return meanings[i];
}

/* §4.6.1: [ qualifier ] mechanism. NULL, or the problem. */
static const char *parse_mechanism(struct view text, struct spf_term *ret)
{
	*ret = (struct spf_term){ .text = text, .prefix4_bits = 32, .prefix6_bits = 128 };
	ret->qualifier = take_qualifier(&text);
	size_t end = 0;
	while (end < text.len && text.ptr[end] != ':' && text.ptr[end] != '/')
		end++;
	for (unsigned i = 0; i < SPF_MECHANISM_COUNT; i++) {
		if (!view_eq_nocase(view_sub(text, 0, end), view_from_cstr(mechanisms[i].name)))
			continue;
		ret->mechanism = (enum spf_mechanism)i;
		return parse_argument(mechanisms[i].argument, view_from(text, end), ret);
	}
	return "there is no such mechanism";
}

/* §12: name "=" …, and name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ). The length of the name; 0 if it is no
 * modifier. */
static size_t modifier_name_length(struct view text)
{
	size_t i = 0;
	while (i < text.len && (ascii_is_alnum(text.ptr[i]) || view_find(VIEW("-_."), text.ptr[i]) < 3))
		i++;
	return i < text.len && text.ptr[i] == '=' && ascii_is_alpha(text.ptr[0]) ? i : 0;
}

static const char *keep_modifier(struct view value, struct view *kept)
{
	if (kept->len > 0)
		return "this modifier stands in the record twice";
	*kept = value;
	return spf_macro_is_domain_spec(value) ? NULL : bad_domain;
}

static const char *parse_modifier(struct view text, size_t name_len, struct spf_record *record)
{
	struct view name = view_sub(text, 0, name_len), value = view_from(text, name_len + 1);
	if (view_eq_nocase(name, VIEW("redirect"))) {
		record->redirect_text = text;
		return keep_modifier(value, &record->redirect);
	}
	if (view_eq_nocase(name, VIEW("exp")))
		return keep_modifier(value, &record->explain);
	/* §6: others are passed over, but must be macro-strings. */
	return spf_macro_is_string(value, false) ? NULL : "the modifier's value is malformed";
}

static const char version[] = "v=spf1";
enum { VERSION_BYTES = sizeof version - 1 };

bool spf_record_is_spf(struct view text)
{
	return view_starts_with_nocase(text, view_from_cstr(version)) &&
		(text.len == VERSION_BYTES || text.ptr[VERSION_BYTES] == ' ');
}

bool spf_record_parse(struct view text, struct spf_record *ret, struct spf_fault *ret_fault)
{
	if (!spf_record_is_spf(text)) {
		*ret_fault = (struct spf_fault){ "the record does not begin with \"v=spf1\"", VIEW_NONE };
		return false;
	}
	struct spf_record record = { .terms = view_from(text, VERSION_BYTES) };
	struct view rest = record.terms, word;
	while (view_split(&rest, ' ', &word)) {
		struct spf_term term;
		if (word.len == 0)
			continue;
		size_t name_len = modifier_name_length(word);
		const char *problem = name_len > 0 ? parse_modifier(word, name_len, &record)
						   : parse_mechanism(word, &term);
		if (problem != NULL) {
			*ret_fault = (struct spf_fault){ problem, word };
			return false;
		}
	}
	*ret = record;
	return true;
}

bool spf_record_next(struct view *terms, struct spf_term *ret)
{
	struct view word;
	struct spf_term term;
	while (view_split(terms, ' ', &word)) {
		if (word.len == 0 || modifier_name_length(word) > 0)
			continue;
		/* The record was parsed, so this can't fail. */
		if (parse_mechanism(word, &term) != NULL)
			continue;
		*ret = term;
		return true;
	}
	return false;
}
