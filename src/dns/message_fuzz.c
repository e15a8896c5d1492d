/*
 * Laws: parsing the same bytes twice gives the same; names are written in their one canonical form; and an answer
 * written again without compression, about its final name, parses to the same records.
 */
#include "dns/message.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void put(struct buf *wire, uint64_t n, unsigned bytes)
{
	while (bytes-- > 0)
		demand(buf_append_byte(wire, (uint8_t)(n >> (8 * bytes))) == ERR_OK);
}

/* Also checks the form: labels of 1–63 bytes, lower case, everything else as \DDD. */
static void put_name(struct buf *wire, struct view name)
{
	size_t before = wire->len;
	while (name.len > 0) {
		struct view label = view_sub(name, 0, view_find(name, '.'));
		size_t length_at = wire->len;
		put(wire, 0, 1);
		for (size_t i = 0; i < label.len; i++) {
			uint8_t c = label.ptr[i];
			if (c != '\\') {
				demand(c == '-' || c == '_' || ascii_is_digit(c) || (c >= 'a' && c <= 'z'));
				put(wire, c, 1);
				continue;
			}
			uint64_t code = 0;
			demand(i + 3 < label.len && view_parse_u64(view_sub(label, i + 1, 3), 255, &code) == ERR_OK);
			demand(!ascii_is_alnum((uint8_t)code) && code != '-' && code != '_');
			put(wire, code, 1);
			i += 3;
		}
		size_t len = wire->len - length_at - 1;
		demand(len >= 1 && len <= 63);
		wire->ptr[length_at] = (uint8_t)len;
		demand(label.len == name.len || label.len + 1 < name.len);
		name = view_from(name, label.len + 1);
	}
	put(wire, 0, 1);
	demand(wire->len - before <= 255);
}

static void put_data(struct buf *wire, const struct dns_record *record)
{
	switch (record->type) {
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		put_name(wire, record->name);
		return;
	case DNS_TYPE_MX:
		put(wire, record->preference, 2);
		put_name(wire, record->name);
		return;
	case DNS_TYPE_SRV:
		demand(record->data.len >= 7);
		demand(buf_append(wire, view_sub(record->data, 0, 6)) == ERR_OK);
		put_name(wire, record->name);
		return;
	case DNS_TYPE_TXT:
		for (size_t at = 0; at == 0 || at < record->data.len; at += 255) {
			struct view part = view_sub(record->data, at, 255);
			put(wire, part.len, 1);
			demand(buf_append(wire, part) == ERR_OK);
		}
		return;
	case DNS_TYPE_TLSA:
		put(wire, record->tlsa_usage, 1);
		put(wire, record->tlsa_selector, 1);
		put(wire, record->tlsa_matching, 1);
		break;
	case DNS_TYPE_A:
		demand(record->data.len == 4);
		break;
	case DNS_TYPE_AAAA:
		demand(record->data.len == 16);
		break;
	default:
		break;
	}
	demand(buf_append(wire, record->data) == ERR_OK);
}

static void put_answer(struct buf *wire, uint16_t type, const struct dns_answer *answer)
{
	put(wire, 0, 2);
	put(wire, 0x8000u | answer->rcode, 2);
	put(wire, 1, 2);
	put(wire, answer->record_count, 2);
	put(wire, 0, 4);
	put_name(wire, answer->final_name);
	put(wire, type, 2);
	put(wire, 1, 2);
	for (size_t i = 0; i < answer->record_count; i++) {
		put_name(wire, answer->records[i].owner);
		put(wire, type, 2);
		put(wire, 1, 2);
		put(wire, answer->records[i].ttl_s, 4);
		size_t length_at = wire->len;
		put(wire, 0, 2);
		put_data(wire, &answer->records[i]);
		size_t len = wire->len - length_at - 2;
		demand(len <= UINT16_MAX);
		wire->ptr[length_at] = (uint8_t)(len >> 8);
		wire->ptr[length_at + 1] = (uint8_t)len;
	}
}

static void demand_same(const struct dns_answer *a, const struct dns_answer *b)
{
	demand(a->rcode == b->rcode && view_eq(a->final_name, b->final_name) && a->record_count == b->record_count);
	for (size_t i = 0; i < a->record_count; i++) {
		const struct dns_record *x = &a->records[i], *y = &b->records[i];
		demand(view_eq(x->owner, y->owner) && x->type == y->type && x->ttl_s == y->ttl_s &&
			x->preference == y->preference && view_eq(x->name, y->name) && x->tlsa_usage == y->tlsa_usage &&
			x->tlsa_selector == y->tlsa_selector && x->tlsa_matching == y->tlsa_matching);
		/* The raw form of SRV may hold a compressed name. */
		demand(x->type == DNS_TYPE_SRV ? view_eq(view_sub(x->data, 0, 6), view_sub(y->data, 0, 6))
					       : view_eq(x->data, y->data));
	}
}

static void check_type(struct view wire, uint16_t type)
{
	struct arena first, second;
	struct dns_answer a, b;
	arena_init(&first, 1u << 20);
	arena_init(&second, 1u << 20);
	enum err err = dns_answer_parse(wire, type, &first, &a);
	demand(dns_answer_parse(wire, type, &second, &b) == err);
	demand(err == ERR_OK || err == ERR_SYNTAX || err == ERR_LIMIT);
	if (err == ERR_OK) {
		demand_same(&a, &b);
		demand(a.had_cname == b.had_cname && a.ttl_s == b.ttl_s && a.ttl_s <= INT32_MAX);
		demand(a.record_count <= wire.len / 11);
		struct buf again = { 0 };
		put_answer(&again, type, &a);
		arena_clear(&second);
		if (again.len <= UINT16_MAX) {
			demand(dns_answer_parse(buf_view(&again), type, &second, &b) == ERR_OK);
			demand_same(&a, &b);
			demand(!b.had_cname && (b.record_count == 0 || b.ttl_s >= a.ttl_s));
		}
		buf_clear(&again);
	}
	arena_clear(&first);
	arena_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_NS, DNS_TYPE_CNAME, DNS_TYPE_SOA, DNS_TYPE_PTR,
		DNS_TYPE_MX, DNS_TYPE_TXT, DNS_TYPE_AAAA, DNS_TYPE_SRV, DNS_TYPE_TLSA, 257 };
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		check_type(view_of(data, size), types[i]);
	return 0;
}
