#include "mailauth/spf_private.h"

enum {
	/* A domain is cut from the left, so only its end need be kept while it grows: this much, before what is out
	 * of reach goes. */
	DOMAIN_KEPT_BYTES = SPF_NAME_MAX_BYTES + 2,
	/* "local@domain", the longest value there is. */
	VALUE_MAX_BYTES = 2 * SPF_FIELD_MAX_BYTES + 1,
};

/* A macro-string is a row of these. */
struct piece {
	struct view literal; /* what it stands for, if it is no letter */
	uint8_t letter; /* lower case; 0: the literal */
	bool is_macro; /* it began with "%" */
	bool escape; /* upper case: URL escaping */
	bool reverse;
	unsigned keep; /* parts from the right; 0: all */
	struct view delimiters; /* empty: "." */
};

static bool is_delimiter(uint8_t c)
{
	return c == '.' || c == '-' || c == '+' || c == ',' || c == '/' || c == '_' || c == '=';
}

/* What stands between the braces of "%{…}". */
static bool parse_expand(struct view inner, struct piece *piece)
{
	if (inner.len == 0)
		return false;
	piece->letter = ascii_lower(inner.ptr[0]);
	piece->escape = piece->letter != inner.ptr[0];
	if (view_find(VIEW("slodiphcrtv"), piece->letter) == 11)
		return false;
	size_t i = 1;
	for (; i < inner.len && ascii_is_digit(inner.ptr[i]); i++) {
		unsigned digit = (unsigned)(inner.ptr[i] - '0');
		/* More parts than there can be are as good as all that there can be. */
		piece->keep = piece->keep > VALUE_MAX_BYTES ? piece->keep : piece->keep * 10 + digit;
	}
	/* §7.3: the number must not be zero. */
	if (i > 1 && piece->keep == 0)
		return false;
	if (i < inner.len && ascii_lower(inner.ptr[i]) == 'r') {
		piece->reverse = true;
		i++;
	}
	piece->delimiters = view_from(inner, i);
	for (; i < inner.len; i++)
		if (!is_delimiter(inner.ptr[i]))
			return false;
	return true;
}

static bool parse_macro(struct view *rest, struct piece *piece)
{
	piece->is_macro = true;
	if (rest->len < 2)
		return false;
	size_t len = 2;
	switch (rest->ptr[1]) {
	case '%':
		piece->literal = VIEW("%");
		break;
	case '_':
		piece->literal = VIEW(" ");
		break;
	case '-':
		piece->literal = VIEW("%20");
		break;
	case '{':
		len = view_find(*rest, '}') + 1;
		if (len > rest->len || !parse_expand(view_sub(*rest, 2, len - 3), piece))
			return false;
		break;
	default:
		return false;
	}
	*rest = view_from(*rest, len);
	return true;
}

/* Takes the next piece off the front of *rest, which is not empty. False: a syntax error. */
static bool next_piece(struct view *rest, bool is_explanation, struct piece *ret)
{
	*ret = (struct piece){ 0 };
	if (rest->ptr[0] == '%')
		return parse_macro(rest, ret);
	size_t len = view_find(*rest, '%');
	ret->literal = view_sub(*rest, 0, len);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = ret->literal.ptr[i];
		if (!ascii_is_printable(c) || (c == ' ' && !is_explanation))
			return false;
	}
	*rest = view_from(*rest, len);
	return true;
}

bool spf_macro_is_string(struct view text, bool is_explanation)
{
	struct piece piece;
	while (text.len > 0)
		if (!next_piece(&text, is_explanation, &piece))
			return false;
	return true;
}

/* §7.1: ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ). */
static bool is_toplabel(struct view label)
{
	bool all_digits = true;
	for (size_t i = 0; i < label.len; i++) {
		if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
			return false;
		all_digits = all_digits && ascii_is_digit(label.ptr[i]);
	}
	return label.len > 0 && !all_digits && label.ptr[0] != '-' && label.ptr[label.len - 1] != '-';
}

/* The literal end of a domain-spec: … "." toplabel [ "." ]. */
static bool is_domain_end(struct view text)
{
	if (text.len > 0 && text.ptr[text.len - 1] == '.')
		text.len--;
	size_t dot = view_find_last(text, '.');
	return dot < text.len && is_toplabel(view_from(text, dot + 1));
}

bool spf_macro_is_domain_spec(struct view text)
{
	struct piece piece = { 0 };
	while (text.len > 0) {
		if (!next_piece(&text, false, &piece))
			return false;
		/* §7.2: these only in explanations. */
		if (piece.letter == 'c' || piece.letter == 'r' || piece.letter == 't')
			return false;
	}
	return piece.is_macro || is_domain_end(piece.literal);
}

bool spf_macro_needs_validated(struct view text)
{
	struct piece piece;
	while (text.len > 0 && next_piece(&text, true, &piece))
		if (piece.letter == 'p')
			return true;
	return false;
}

/* Expansion */

struct output {
	struct buf *out;
	bool is_domain;
};

/* What is cut off a domain here is out of the reach of truncate_domain(), which then still has more than enough and
 * drops the label that was cut. */
static enum err put(struct output *output, struct view bytes)
{
	struct buf *out = output->out;
	if (output->is_domain && bytes.len > DOMAIN_KEPT_BYTES) {
		bytes = view_from(bytes, bytes.len - DOMAIN_KEPT_BYTES);
		buf_reset(out);
	} else if (output->is_domain && out->len + bytes.len > SPF_TARGET_MAX_BYTES) {
		buf_consume(out, out->len - DOMAIN_KEPT_BYTES);
	}
	return buf_append(out, bytes);
}

static enum err put_part(struct output *output, struct view part, bool escape)
{
	if (!escape)
		return put(output, part);
	static const char hex[] = "0123456789ABCDEF";
	enum err err = ERR_OK;
	for (size_t i = 0; i < part.len && err == ERR_OK; i++) {
		uint8_t c = part.ptr[i];
		uint8_t escaped[] = { '%', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };
		/* RFC 3986 §2.3: unreserved. */
		bool is_plain = ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
		err = put(output, is_plain ? view_sub(part, i, 1) : view_of(escaped, sizeof escaped));
	}
	return err;
}

/* §7.3: split, reverse, keep the right-hand parts, join with ".". */
static enum err put_value(struct output *output, const struct piece *piece, struct view value)
{
	struct view delimiters = piece->delimiters.len > 0 ? piece->delimiters : VIEW(".");
	uint16_t ends[VALUE_MAX_BYTES + 1];
	size_t count = 0;
	ASSERT(value.len <= VALUE_MAX_BYTES);
	for (size_t i = 0; i <= value.len; i++)
		if (i == value.len || view_find(delimiters, value.ptr[i]) < delimiters.len)
			ends[count++] = (uint16_t)i;
	size_t skip = piece->keep > 0 && piece->keep < count ? count - piece->keep : 0;
	enum err err = ERR_OK;
	for (size_t n = skip; n < count && err == ERR_OK; n++) {
		size_t i = piece->reverse ? count - 1 - n : n;
		size_t begin = i > 0 ? ends[i - 1] + 1u : 0;
		if (n > skip)
			err = put(output, VIEW("."));
		if (err == ERR_OK)
			err = put_part(output, view_sub(value, begin, ends[i] - begin), piece->escape);
	}
	return err;
}

static enum err append_sender(const struct spf_values *values, struct buf *out)
{
	enum err err = buf_append(out, values->local);
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	return err != ERR_OK ? err : buf_append(out, values->sender_domain);
}

/* The letter's value before transformers; those that are no text yet are written into *scratch. */
static enum err value_of(const struct spf_values *values, uint8_t letter, struct buf *scratch, struct view *ret)
{
	enum err err = ERR_OK;
	buf_reset(scratch);
	switch (letter) {
	case 's':
		err = append_sender(values, scratch);
		break;
	case 'l':
		err = buf_append(scratch, values->local);
		break;
	case 'o':
		err = buf_append(scratch, values->sender_domain);
		break;
	case 'd':
		err = buf_append(scratch, values->domain);
		break;
	case 'i':
		err = spf_address_format_dotted(values->ip, scratch);
		break;
	case 'p':
		err = buf_append(scratch, values->validated);
		break;
	case 'v':
		err = buf_append(scratch, values->ip.len == 4 ? VIEW("in-addr") : VIEW("ip6"));
		break;
	case 'h':
		err = buf_append(scratch, values->helo);
		break;
	case 'c':
		err = spf_address_format(values->ip, scratch);
		break;
	case 'r':
		err = buf_append(scratch, values->receiver);
		break;
	case 't':
		err = buf_append_u64(scratch, values->now_s);
		break;
	default:
		ASSERT(false);
	}
	if (err == ERR_OK)
		*ret = buf_view(scratch);
	return err;
}

static enum err expand(struct view text, const struct spf_values *values, struct output *output)
{
	struct buf scratch = { 0 };
	enum err err = ERR_OK;
	buf_init(&scratch, VALUE_MAX_BYTES + 1);
	buf_reset(output->out);
	while (text.len > 0 && err == ERR_OK) {
		struct piece piece;
		struct view value;
		if (!next_piece(&text, !output->is_domain, &piece)) {
			err = ERR_SYNTAX;
		} else if (piece.letter == 0) {
			err = put(output, piece.literal);
		} else if (output->is_domain && (piece.letter == 's' || piece.letter == 'l') &&
			!view_is_ascii(values->local)) {
			err = ERR_UNSUPPORTED;
		} else {
			err = value_of(values, piece.letter, &scratch, &value);
			if (err == ERR_OK)
				err = put_value(output, &piece, value);
		}
	}
	buf_clear(&scratch);
	return err;
}

/* §7.3: "by removing successive domain labels (and their following dots)". */
static void truncate_domain(struct buf *out)
{
	struct view left = buf_view(out);
	if (left.len > 0 && left.ptr[left.len - 1] == '.')
		left.len--;
	size_t kept = left.len;
	while (left.len > SPF_NAME_MAX_BYTES)
		left = view_from(left, view_find(left, '.') + 1);
	buf_consume(out, kept - left.len);
	out->len = left.len;
}

enum err spf_macro_expand_domain(struct view text, const struct spf_values *values, struct buf *out)
{
	enum err err = expand(text, values, &(struct output){ out, true });
	if (err == ERR_OK)
		truncate_domain(out);
	return err;
}

enum err spf_macro_expand_explanation(struct view text, const struct spf_values *values, struct buf *out)
{
	return expand(text, values, &(struct output){ out, false });
}
