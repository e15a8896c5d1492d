/* Names of domains and mailboxes in the one form in which they are stored. */
#include "service/admin.h"

#include "base/mem.h"
#include "mail/address.h"

#include <idn2.h>

/* U-labels become A-labels (RFC 5891), with the mapping of UTS 46 (case, width) that people expect of what they type. */
static enum err to_ascii(struct view domain, struct buf *out)
{
	if (!view_is_utf8(domain))
		return err_set(ERR_SYNTAX, "the domain is not written in UTF-8");
	CLEANUP(mem_free_pointer) char *input = view_to_cstr(domain);
	char *ascii = NULL;
	int rc = idn2_to_ascii_8z(input, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return err_set(ERR_SYNTAX, "'%s' is no valid domain: %s", input, idn2_strerror(rc));
	enum err err = buf_append_cstr(out, ascii);
	idn2_free(ascii);
	return err;
}

enum err admin_normalise_domain(struct view domain, struct buf *out)
{
	size_t before = out->len;
	if (domain.len > 1 && domain.ptr[domain.len - 1] == '.')
		domain = view_sub(domain, 0, domain.len - 1);
	if (domain.len == 0)
		return err_set(ERR_SYNTAX, "the domain is empty");
	if (domain.len > 4 * ADDRESS_DOMAIN_MAX_BYTES || view_find(domain, '\0') < domain.len)
		return err_set(ERR_SYNTAX, "this is no valid domain name (too long, or a NUL in it)");
	enum err err = view_is_ascii(domain) ? buf_append(out, domain) : to_ascii(domain, out);
	if (err != ERR_OK)
		return err;
	struct view made = view_from(buf_view(out), before);
	if (!address_domain_is_valid(made, 0)) {
		out->len = before;
		struct buf shown = { 0 };
		err = buf_append_escaped(&shown, domain, 100);
		if (err == ERR_OK)
			err = err_set(ERR_SYNTAX, "'%s' is no valid domain name (like example.com)", buf_cstr(&shown));
		buf_clear(&shown);
		return err;
	}
	for (size_t i = before; i < out->len; i++)
		out->ptr[i] = ascii_lower(out->ptr[i]);
	return ERR_OK;
}

enum err admin_normalise_address(struct view address, struct buf *out)
{
	size_t before = out->len;
	struct address parsed;
	enum err err = address_parse(address, ADDRESS_ALLOW_UTF8, &parsed);
	if (err != ERR_OK) {
		struct buf shown = { 0 };
		if (buf_append_escaped(&shown, address, 100) == ERR_OK) {
			CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
			err = err_set(ERR_SYNTAX, "'%s' is no mail address (like name@example.com)%s%s",
				buf_cstr(&shown), why[0] != '\0' ? ": " : "", why);
		}
		buf_clear(&shown);
		return err;
	}
	struct address local_only = parsed;
	local_only.domain = VIEW_NONE;
	/* address_format() decides which quotes the local part needs; the domain gets its own form. */
	err = address_format(&local_only, out);
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = parsed.domain_is_literal ? buf_append(out, parsed.domain)
					       : admin_normalise_domain(parsed.domain, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}
