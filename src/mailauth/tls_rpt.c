#include "mailauth/tls_rpt.h"

#include "mail/address.h"
#include "mailauth/txt_fields_private.h"

#define VERSION VIEW("v=TLSRPTv1")
#define MAILTO VIEW("mailto:")
#define HTTPS VIEW("https://")

/* RFC 3986 §2, without "!", "," and ";", which must be encoded here (RFC 8460 §3). */
static bool is_uri_byte(uint8_t c)
{
	static const char marks[] = "-._~:/?#[]@$&'()*+=";
	return ascii_is_alnum(c) || view_find(view_of(marks, sizeof marks - 1), c) < sizeof marks - 1;
}

static bool has_uri_bytes(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] != '%') {
			if (!is_uri_byte(v.ptr[i]))
				return false;
			continue;
		}
		if (v.len - i < 3 || ascii_hex_value(v.ptr[i + 1]) < 0 || ascii_hex_value(v.ptr[i + 2]) < 0)
			return false;
		i += 2;
	}
	return true;
}

static bool has_scheme(struct view uri)
{
	size_t colon = view_find(uri, ':');
	if (colon == 0 || colon == uri.len || !ascii_is_alpha(uri.ptr[0]))
		return false;
	for (size_t i = 1; i < colon; i++) {
		uint8_t c = uri.ptr[i];
		if (!ascii_is_alnum(c) && c != '+' && c != '-' && c != '.')
			return false;
	}
	return true;
}

static enum err decode(struct view text, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '%') {
			c = (uint8_t)(ascii_hex_value(text.ptr[i + 1]) << 4 | ascii_hex_value(text.ptr[i + 2]));
			i += 2;
		}
		err = buf_append_byte(out, c);
	}
	return err;
}

enum err tls_rpt_mailbox(struct view uri, struct buf *out)
{
	if (!view_starts_with_nocase(uri, MAILTO) || !has_uri_bytes(uri))
		return err_set(ERR_SYNTAX, "not a mailto URI");
	struct view path = view_from(uri, MAILTO.len);
	path = view_sub(path, 0, view_find(path, '?'));
	path = view_sub(path, 0, view_find(path, '#'));
	size_t before = out->len;
	struct address address;
	enum err err = decode(path, out);
	if (err == ERR_OK && address_parse(view_from(buf_view(out), before), ADDRESS_ALLOW_UTF8, &address) != ERR_OK)
		err = err_set(ERR_SYNTAX, "a mailto URI that is not of one mailbox");
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* The authority without user information, which would only hide what the host is. */
static bool has_host(struct view uri)
{
	struct view rest = view_from(uri, HTTPS.len);
	size_t end = 0;
	while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#')
		end++;
	struct view authority = view_sub(rest, 0, end);
	return end > 0 && authority.ptr[0] != ':' && view_find(authority, '@') == end;
}

static enum err add_uri(struct tls_rpt_record *record, struct view uri)
{
	if (!has_scheme(uri) || !has_uri_bytes(uri))
		return err_set(ERR_SYNTAX, "a TLSRPT record with a malformed URI");
	enum tls_rpt_scheme scheme = TLS_RPT_HTTPS;
	if (view_starts_with_nocase(uri, MAILTO)) {
		struct buf mailbox = { 0 };
		enum err err = tls_rpt_mailbox(uri, &mailbox);
		buf_clear(&mailbox);
		if (err != ERR_OK)
			return err;
		scheme = TLS_RPT_MAILTO;
	} else if (!view_starts_with_nocase(uri, VIEW("https:"))) {
		return ERR_OK;
	} else if (!view_starts_with_nocase(uri, HTTPS) || !has_host(uri)) {
		return err_set(ERR_SYNTAX, "a TLSRPT record with an https URI without a host");
	}
	if (record->count == TLS_RPT_DESTINATIONS_MAX)
		return err_set(ERR_LIMIT, "a TLSRPT record of more than %u URIs", TLS_RPT_DESTINATIONS_MAX);
	record->destinations[record->count++] = (struct tls_rpt_destination){ scheme, uri };
	return ERR_OK;
}

static enum err add_uris(struct tls_rpt_record *record, struct view list)
{
	/* Not view_split(): it would pass over what is empty at the end. */
	for (size_t from = 0; from <= list.len;) {
		struct view rest = view_of(list.ptr + from, list.len - from);
		size_t comma = view_find(rest, ',');
		/* Only blanks can be trimmed here: a line end was refused before. */
		enum err err = add_uri(record, view_trim(view_sub(rest, 0, comma)));
		if (err != ERR_OK)
			return err;
		from += comma + 1;
	}
	return ERR_OK;
}

static bool has_controls(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((v.ptr[i] < ' ' && v.ptr[i] != '\t') || v.ptr[i] >= 0x7f)
			return true;
	return false;
}

enum err tls_rpt_record_parse(struct view text, struct tls_rpt_record *ret)
{
	struct tls_rpt_record record = { 0 };
	struct view rest = text, name, value;
	bool has_rua = false;
	enum err err = txt_fields_begin(&rest, VERSION);
	if (err != ERR_OK)
		return err;
	if (has_controls(text))
		return err_set(ERR_SYNTAX, "a TLSRPT record that is not plain text");
	enum txt_step step;
	while ((step = txt_fields_next(&rest, &name, &value)) == TXT_FIELD) {
		if (view_eq(name, VIEW("rua"))) {
			/* Of a field that comes twice the first counts. */
			err = has_rua ? ERR_OK : add_uris(&record, value);
			has_rua = true;
		} else if (!txt_field_value_is_plain(value)) {
			err = err_set(ERR_SYNTAX, "a TLSRPT record with a malformed value");
		}
		if (err != ERR_OK)
			return err;
	}
	if (step == TXT_BAD)
		return err_set(ERR_SYNTAX, "a malformed TLSRPT record");
	if (!has_rua)
		return err_set(ERR_SYNTAX, "a TLSRPT record without rua");
	if (record.count == 0)
		return err_set(ERR_UNSUPPORTED, "a TLSRPT record without a URI that is mailto or https");
	*ret = record;
	return ERR_OK;
}

enum err tls_rpt_record_find(const struct dns_answer *answer, struct tls_rpt_record *ret)
{
	struct view text;
	enum err err = txt_fields_choose(answer, VERSION, &text);
	return err != ERR_OK ? err : tls_rpt_record_parse(text, ret);
}
