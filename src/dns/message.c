#include "dns/message.h"

#include <string.h>

#define HEADER_BYTES 12u
#define FLAG_RESPONSE 0x8000u
#define FLAG_TRUNCATED 0x0200u
#define CLASS_IN 1u
/* RFC 1035 §3.1: a name has at most 255 bytes on the wire, and so at most 127 labels. */
#define NAME_WIRE_MAX 255u
/* Each of those bytes may become \DDD. */
#define NAME_TEXT_MAX (NAME_WIRE_MAX * 4)
/* A name of 127 labels, each behind a pointer of its own, is the most that compression can mean. */
#define POINTERS_MAX 127u
#define CNAMES_FOLLOWED_MAX 16u
#define CNAMES_PRESENT_MAX 64u

struct name {
	uint8_t text[NAME_TEXT_MAX];
	size_t len;
};

/* One resource record as it lies in the message. */
struct raw_record {
	size_t owner_at;
	uint16_t type, class;
	uint32_t ttl_s;
	size_t data_at, data_len;
};

struct cname {
	size_t owner_at, target_at;
	uint32_t ttl_s;
};

struct message {
	struct view wire;
	uint16_t type;
	unsigned rcode;
	size_t answers_at;
	unsigned answer_count;
	struct name final;
	bool had_cname;
	uint32_t ttl_s;
};

static uint16_t read_u16(struct view wire, size_t at)
{
	return (uint16_t)(wire.ptr[at] << 8 | wire.ptr[at + 1]);
}

static uint32_t read_u32(struct view wire, size_t at)
{
	return (uint32_t)read_u16(wire, at) << 16 | read_u16(wire, at + 2);
}

static bool has_room(struct view wire, size_t at, size_t len)
{
	return at <= wire.len && wire.len - at >= len;
}

/* Names */

/* A dot inside a label must not look like one between labels, nor anything else be ambiguous: RFC 1035 §5.1's \DDD. */
static void append_label(struct name *name, struct view label)
{
	if (name->len > 0)
		name->text[name->len++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		uint8_t c = ascii_lower(label.ptr[i]);
		if (ascii_is_alnum(c) || c == '-' || c == '_') {
			name->text[name->len++] = c;
			continue;
		}
		name->text[name->len++] = '\\';
		name->text[name->len++] = (uint8_t)('0' + c / 100);
		name->text[name->len++] = (uint8_t)('0' + c / 10 % 10);
		name->text[name->len++] = (uint8_t)('0' + c % 10);
	}
}

/* RFC 1035 §4.1.4. *ret_end is behind the name where it stands (not where a pointer led). A pointer must lead back
 * before the part of the name that it ends, so there are no loops. */
static enum err parse_name(struct view wire, size_t at, struct name *ret, size_t *ret_end)
{
	size_t end = 0;
	size_t part_at = at;
	size_t wire_len = 1; /* the root's byte */
	unsigned pointers = 0;
	ret->len = 0;
	for (;;) {
		if (!has_room(wire, at, 1))
			return ERR_SYNTAX;
		uint8_t c = wire.ptr[at];
		if (c == 0) {
			*ret_end = pointers > 0 ? end : at + 1;
			return ERR_OK;
		}
		if ((c & 0xc0) == 0xc0) {
			if (!has_room(wire, at, 2) || pointers++ == POINTERS_MAX)
				return ERR_SYNTAX;
			size_t to = read_u16(wire, at) & 0x3fffu;
			if (to >= part_at || to < HEADER_BYTES)
				return ERR_SYNTAX;
			if (pointers == 1)
				end = at + 2;
			at = part_at = to;
			continue;
		}
		wire_len += 1u + c;
		if ((c & 0xc0) != 0 || wire_len > NAME_WIRE_MAX || !has_room(wire, at + 1, c))
			return ERR_SYNTAX;
		append_label(ret, view_sub(wire, at + 1, c));
		at += 1u + c;
	}
}

static struct view name_view(const struct name *name)
{
	return view_of(name->text, name->len);
}

static enum err dup_name(const struct name *name, struct arena *arena, struct view *ret)
{
	return arena_dup(arena, name_view(name), ret);
}

/* Records */

/* The record at *at, which moves behind it. The owner's name is parsed into *ret_owner. */
static enum err next_record(struct view wire, size_t *at, struct name *ret_owner, struct raw_record *ret)
{
	struct raw_record record = { .owner_at = *at };
	size_t end;
	enum err err = parse_name(wire, *at, ret_owner, &end);
	if (err != ERR_OK)
		return err;
	if (!has_room(wire, end, 10))
		return ERR_SYNTAX;
	record.type = read_u16(wire, end);
	record.class = read_u16(wire, end + 2);
	record.ttl_s = read_u32(wire, end + 4);
	/* RFC 2181 §8: a value with the highest bit set counts as zero. */
	if (record.ttl_s > INT32_MAX)
		record.ttl_s = 0;
	record.data_len = read_u16(wire, end + 8);
	record.data_at = end + 10;
	if (!has_room(wire, record.data_at, record.data_len))
		return ERR_SYNTAX;
	*at = record.data_at + record.data_len;
	*ret = record;
	return ERR_OK;
}

/* The name inside a record's data, from `at` exactly to the end of the data. */
static enum err parse_data_name(struct view wire, const struct raw_record *record, size_t at, struct name *ret)
{
	size_t data_end = record->data_at + record->data_len;
	size_t end;
	/* Cut behind the data: a name that does not end in it is a lie about its length. */
	enum err err = at < data_end ? parse_name(view_sub(wire, 0, data_end), at, ret, &end) : ERR_SYNTAX;
	return err != ERR_OK || end == data_end ? err : ERR_SYNTAX;
}

/* RFC 1035 §3.3.14: one or more strings. Their borders carry no meaning (RFC 7208 §3.3, RFC 6376 §3.6.2.2). */
static enum err join_strings(struct view data, struct arena *arena, struct view *ret)
{
	if (data.len == 0)
		return ERR_SYNTAX;
	uint8_t *joined = arena_alloc(arena, data.len);
	if (joined == NULL)
		return ERR_LIMIT;
	size_t len = 0;
	while (data.len > 0) {
		struct view string = view_sub(data, 1, data.ptr[0]);
		if (string.len < data.ptr[0])
			return ERR_SYNTAX;
		if (string.len > 0)
			memcpy(joined + len, string.ptr, string.len);
		len += string.len;
		data = view_from(data, 1 + string.len);
	}
	*ret = view_of(joined, len);
	return ERR_OK;
}

/* `skip` bytes of numbers, then a name. */
static enum err convert_name(
	struct view wire, const struct raw_record *raw, size_t skip, struct arena *arena, struct view *ret)
{
	struct name name;
	enum err err = raw->data_len > skip ? parse_data_name(wire, raw, raw->data_at + skip, &name) : ERR_SYNTAX;
	return err != ERR_OK ? err : dup_name(&name, arena, ret);
}

static enum err convert(struct view wire, const struct raw_record *raw, struct arena *arena, struct dns_record *record)
{
	struct view data = view_sub(wire, raw->data_at, raw->data_len);
	record->type = raw->type;
	record->ttl_s = raw->ttl_s;
	switch (raw->type) {
	case DNS_TYPE_A:
		return data.len == 4 ? arena_dup(arena, data, &record->data) : ERR_SYNTAX;
	case DNS_TYPE_AAAA:
		return data.len == 16 ? arena_dup(arena, data, &record->data) : ERR_SYNTAX;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		return convert_name(wire, raw, 0, arena, &record->name);
	case DNS_TYPE_MX:
		if (data.len < 3)
			return ERR_SYNTAX;
		record->preference = read_u16(data, 0);
		return convert_name(wire, raw, 2, arena, &record->name);
	case DNS_TYPE_SRV: {
		if (data.len < 7)
			return ERR_SYNTAX;
		record->preference = read_u16(data, 0);
		enum err err = arena_dup(arena, data, &record->data);
		return err != ERR_OK ? err : convert_name(wire, raw, 6, arena, &record->name);
	}
	case DNS_TYPE_TXT:
		return join_strings(data, arena, &record->data);
	case DNS_TYPE_TLSA:
		if (data.len < 3)
			return ERR_SYNTAX;
		record->tlsa_usage = data.ptr[0];
		record->tlsa_selector = data.ptr[1];
		record->tlsa_matching = data.ptr[2];
		return arena_dup(arena, view_from(data, 3), &record->data);
	default:
		return arena_dup(arena, data, &record->data);
	}
}

/* The message */

/* RFC 1035 §4.1.1, §4.1.2: one question of ours, answered. Fills the head and, as the name to begin with, the
 * question's. */
static enum err parse_head(struct message *message)
{
	struct view wire = message->wire;
	if (wire.len < HEADER_BYTES || wire.len > UINT16_MAX)
		return ERR_SYNTAX;
	uint16_t flags = read_u16(wire, 2);
	/* A truncated answer may lack the very record that matters; asking again over TCP was the resolver's
	 * business. */
	if ((flags & FLAG_RESPONSE) == 0 || (flags & FLAG_TRUNCATED) != 0 || read_u16(wire, 4) != 1)
		return ERR_SYNTAX;
	message->rcode = flags & 15u;
	message->answer_count = read_u16(wire, 6);
	size_t end;
	enum err err = parse_name(wire, HEADER_BYTES, &message->final, &end);
	if (err != ERR_OK)
		return err;
	if (!has_room(wire, end, 4) || read_u16(wire, end) != message->type || read_u16(wire, end + 2) != CLASS_IN)
		return ERR_SYNTAX;
	message->answers_at = end + 4;
	return ERR_OK;
}

/* Checks the shape of the whole answer section on the way. */
static enum err find_cnames(const struct message *message, struct cname found[CNAMES_PRESENT_MAX], size_t *ret_count)
{
	size_t at = message->answers_at;
	size_t count = 0;
	for (unsigned i = 0; i < message->answer_count; i++) {
		struct raw_record record;
		struct name name;
		enum err err = next_record(message->wire, &at, &name, &record);
		if (err != ERR_OK)
			return err;
		if (record.type != DNS_TYPE_CNAME || record.class != CLASS_IN)
			continue;
		err = parse_data_name(message->wire, &record, record.data_at, &name);
		if (err != ERR_OK)
			return err;
		if (count == CNAMES_PRESENT_MAX)
			return ERR_LIMIT;
		found[count++] = (struct cname){ record.owner_at, record.data_at, record.ttl_s };
	}
	*ret_count = count;
	return ERR_OK;
}

static bool name_at_is(struct view wire, size_t at, const struct name *name)
{
	struct name there;
	size_t end;
	return parse_name(wire, at, &there, &end) == ERR_OK && view_eq(name_view(&there), name_view(name));
}

/* RFC 1034 §3.6.2. The order of the records means nothing. */
static enum err follow_cnames(struct message *message)
{
	struct cname cnames[CNAMES_PRESENT_MAX];
	size_t count = 0;
	enum err err = find_cnames(message, cnames, &count);
	if (err != ERR_OK || message->type == DNS_TYPE_CNAME)
		return err;
	for (unsigned followed = 0;; followed++) {
		size_t i = 0;
		while (i < count && !name_at_is(message->wire, cnames[i].owner_at, &message->final))
			i++;
		if (i == count)
			return ERR_OK;
		if (followed == CNAMES_FOLLOWED_MAX)
			return ERR_SYNTAX; /* a loop, or as good as one */
		size_t end;
		err = parse_name(message->wire, cnames[i].target_at, &message->final, &end);
		if (err != ERR_OK)
			return err;
		message->had_cname = true;
		if (cnames[i].ttl_s < message->ttl_s)
			message->ttl_s = cnames[i].ttl_s;
	}
}

/* Calls for each record asked for; with records == NULL they are only counted. */
static enum err collect(
	struct message *message, struct arena *arena, struct view owner, struct dns_record *records, size_t *ret_count)
{
	size_t at = message->answers_at;
	size_t count = 0;
	for (unsigned i = 0; i < message->answer_count; i++) {
		struct raw_record raw;
		struct name name;
		enum err err = next_record(message->wire, &at, &name, &raw);
		if (err != ERR_OK)
			return err;
		if (raw.type != message->type || raw.class != CLASS_IN ||
			!view_eq(name_view(&name), name_view(&message->final)))
			continue;
		if (records != NULL) {
			records[count].owner = owner;
			err = convert(message->wire, &raw, arena, &records[count]);
			if (err != ERR_OK)
				return err;
			if (raw.ttl_s < message->ttl_s)
				message->ttl_s = raw.ttl_s;
		}
		count++;
	}
	*ret_count = count;
	return ERR_OK;
}

static enum err collect_all(struct message *message, struct arena *arena, struct dns_answer *answer)
{
	enum err err = dup_name(&message->final, arena, &answer->final_name);
	if (err == ERR_OK)
		err = collect(message, arena, answer->final_name, NULL, &answer->record_count);
	if (err != ERR_OK || answer->record_count == 0)
		return err;
	answer->records = arena_alloc(arena, answer->record_count * sizeof answer->records[0]);
	if (answer->records == NULL)
		return ERR_LIMIT;
	return collect(message, arena, answer->final_name, answer->records, &answer->record_count);
}

enum err dns_answer_parse(struct view wire, uint16_t type, struct arena *arena, struct dns_answer *ret)
{
	struct message message = { .wire = wire, .type = type, .ttl_s = UINT32_MAX };
	struct dns_answer answer = { 0 };
	enum err err = parse_head(&message);
	if (err == ERR_OK)
		err = follow_cnames(&message);
	if (err == ERR_OK)
		err = collect_all(&message, arena, &answer);
	if (err == ERR_SYNTAX)
		return err_set(err, "the DNS answer is malformed");
	if (err != ERR_OK)
		return err_set(err, "the DNS answer is too large");
	answer.rcode = message.rcode;
	answer.had_cname = message.had_cname;
	answer.ttl_s = message.ttl_s == UINT32_MAX ? 0 : message.ttl_s;
	*ret = answer;
	return ERR_OK;
}
