/* Addresses and paths. Laws: what is accepted survives its canonical form, and nothing in it can end a line or leave its brackets. */
#include "mail/address.h"

#include <stdlib.h>

#define LAW(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(const struct address *a, unsigned flags)
{
	struct buf text = { 0 }, again = { 0 }, value = { 0 }, value_again = { 0 };
	struct address b;
	LAW(a->local.len <= ADDRESS_LOCAL_MAX_BYTES && a->domain.len <= ADDRESS_DOMAIN_MAX_BYTES);
	LAW(address_format(a, &text) == ERR_OK && address_local_value(a, &value) == ERR_OK);
	for (size_t i = 0; i < text.len; i++)
		LAW(text.ptr[i] >= ' ' && text.ptr[i] != 0x7f);
	LAW(a->has_utf8 == !view_is_ascii(buf_view(&text)));
	LAW(address_parse(buf_view(&text), flags, &b) == ERR_OK);
	LAW(view_eq(a->domain, b.domain) && a->domain_is_literal == b.domain_is_literal);
	LAW(address_local_value(&b, &value_again) == ERR_OK && view_eq(buf_view(&value), buf_view(&value_again)));
	LAW(address_format(&b, &again) == ERR_OK && view_eq(buf_view(&text), buf_view(&again)));
	if (a->domain.len > 0)
		LAW(a->domain_is_literal ? address_literal_is_valid(a->domain)
					 : address_domain_is_valid(a->domain, flags));
	buf_reset(&again);
	LAW(buf_append_format(&again, "<%.*s> SIZE=1", VIEW_ARG(buf_view(&text))) == ERR_OK);
	size_t used = 0;
	LAW(address_parse_path(buf_view(&again), flags, &b, &used) == ERR_OK && used == text.len + 2);
	LAW(view_eq(a->domain, b.domain));
	buf_clear(&text);
	buf_clear(&again);
	buf_clear(&value);
	buf_clear(&value_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	for (unsigned flags = 0; flags < 8; flags++) {
		struct address a;
		size_t used;
		if (address_parse(in, flags, &a) == ERR_OK)
			check_canonical(&a, flags);
		if (address_parse_path(in, flags, &a, &used) == ERR_OK) {
			LAW(used > 0 && used <= size && used <= ADDRESS_PATH_MAX_BYTES);
			check_canonical(&a, flags);
			/* What follows does not matter: a path is found by its own bytes. */
			struct address b;
			size_t used_again;
			LAW(address_parse_path(view_sub(in, 0, used), flags, &b, &used_again) == ERR_OK);
			LAW(used_again == used && view_eq(a.local, b.local) && view_eq(a.domain, b.domain));
		}
	}
	return 0;
}
