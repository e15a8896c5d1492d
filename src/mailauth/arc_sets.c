#include "mailauth/arc_private.h"

static const struct {
	struct view name;
	enum arc_kind kind;
} names[] = {
	{ { (const uint8_t *)"ARC-Seal", 8 }, ARC_SEAL },
	{ { (const uint8_t *)"ARC-Message-Signature", 21 }, ARC_MESSAGE },
	{ { (const uint8_t *)"ARC-Authentication-Results", 26 }, ARC_RESULTS },
};

static bool kind_of(struct view name, enum arc_kind *ret)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (view_eq_nocase(name, names[i].name)) {
			*ret = names[i].kind;
			return true;
		}
	return false;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5322 CFWS; comments are counted, not recursed into. False if one doesn't end. */
static bool skip_blanks(struct view *rest)
{
	size_t depth = 0, i = 0;
	for (; i < rest->len; i++) {
		uint8_t c = rest->ptr[i];
		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0)
			i++;
		else if (depth == 0 && !is_blank(c))
			break;
	}
	*rest = view_from(*rest, i);
	return depth == 0;
}

static bool read_instance(struct view text, unsigned *ret)
{
	uint64_t number;
	/* RFC 8617 §4.2.1: 1 to 50, without leading zeros. */
	if (text.len == 0 || text.ptr[0] == '0' || view_parse_u64(text, UINT32_MAX, &number) != ERR_OK)
		return false;
	*ret = (unsigned)number;
	return true;
}

/* "i=1;" with white space anywhere; what stands behind it is left in *rest. */
static bool take_instance(struct view *rest, unsigned *ret)
{
	if (!skip_blanks(rest) || rest->len == 0 || rest->ptr[0] != 'i')
		return false;
	*rest = view_from(*rest, 1);
	if (!skip_blanks(rest) || rest->len == 0 || rest->ptr[0] != '=')
		return false;
	*rest = view_from(*rest, 1);
	if (!skip_blanks(rest))
		return false;
	size_t digits = 0;
	while (digits < rest->len && ascii_is_digit(rest->ptr[digits]))
		digits++;
	struct view number = view_sub(*rest, 0, digits);
	*rest = view_from(*rest, digits);
	if (!skip_blanks(rest) || rest->len == 0 || rest->ptr[0] != ';')
		return false;
	*rest = view_from(*rest, 1);
	return read_instance(number, ret);
}

struct view arc_results_payload(struct view value)
{
	unsigned instance;
	return take_instance(&value, &instance) ? view_trim(value) : VIEW_NONE;
}

static bool instance_of(const struct header_field *field, enum arc_kind kind, unsigned *ret)
{
	struct tag_list list;
	if (kind == ARC_RESULTS) {
		struct view value = field->value;
		return take_instance(&value, ret);
	}
	if (tag_list_parse(field->value, &list) != ERR_OK)
		return false;
	const struct tag *tag = tag_list_find(&list, VIEW("i"));
	return tag != NULL && read_instance(tag->value, ret);
}

static const char *place(struct arc_sets *sets, const struct header_field *field, enum arc_kind kind)
{
	unsigned instance;
	if (!instance_of(field, kind, &instance))
		return "a field of the chain is malformed, or has no instance";
	if (instance > ARC_SETS_MAX)
		return "the chain is too long";
	struct header_field *to = &sets->fields[instance - 1][kind];
	if (to->whole.len > 0)
		return "a set of the chain has a field twice";
	*to = *field;
	if (instance > sets->count)
		sets->count = instance;
	return NULL;
}

void arc_sets_collect(struct view headers, struct arc_sets *ret)
{
	struct header_field field;
	enum arc_kind kind;
	*ret = (struct arc_sets){ .count = 0 };
	/* On after a fault: how many sets there are is told all the same. */
	while (header_next(&headers, &field)) {
		const char *wrong = kind_of(field.name, &kind) ? place(ret, &field, kind) : NULL;
		if (ret->wrong == NULL)
			ret->wrong = wrong;
	}
	for (unsigned i = 0; ret->wrong == NULL && i < ret->count; i++)
		for (size_t k = 0; k < ARC_KIND_COUNT; k++)
			if (ret->fields[i][k].whole.len == 0)
				ret->wrong = "a set of the chain lacks a field";
}

void arc_sets_canon(const struct arc_sets *sets, unsigned instance, struct dkim_sink *sink)
{
	for (size_t kind = 0; kind < ARC_KIND_COUNT; kind++)
		if (sets->fields[instance - 1][kind].whole.len > 0)
			dkim_canon_field(DKIM_RELAXED, &sets->fields[instance - 1][kind], sink);
}
