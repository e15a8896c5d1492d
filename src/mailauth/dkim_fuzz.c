/*
 * A key record and a message: the first byte chooses the size of the pieces, the second the options, what stands before the first NUL is
 * the record that every name has, the rest is the message. It is verified, and signed and verified again.
 */
#include "mailauth/dkim_keys.h"
#include "mailauth/dkim_private.h"
#include "mailauth/dkim_testing.h"

#define LAW(condition) testing_must(condition)

enum { NOW_S = 1700000000, MEMORY_MAX_BYTES = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dkim_verifier *verify(
	const struct dkim_verify_options *options, struct view record, struct view message, size_t step)
{
	struct dns_record records[2] = { { .type = DNS_TYPE_TXT, .data = record },
		{ .type = DNS_TYPE_TXT, .data = VIEW("k=ed25519") } };
	const struct dns_answer answer = { .record_count = 2, .records = records };
	struct dkim_verifier *v = dkim_verifier_new(options);
	struct view body = testing_body(message);
	struct dkim_need need;
	LAW(dkim_verifier_headers(v, message) == ERR_OK);
	for (size_t at = 0; at < body.len; at += step)
		LAW(dkim_verifier_body(v, view_sub(body, at, step)) == ERR_OK);
	LAW(dkim_verifier_end(v) == ERR_OK);
	while (dkim_verifier_next(v, &need)) {
		LAW(need.name.len <= 253);
		LAW(dkim_verifier_answer(v, need.token, DKIM_DNS_OK, &answer) == ERR_OK);
	}
	LAW(dkim_verifier_is_done(v));
	LAW(dkim_verifier_memory_bytes(v) < MEMORY_MAX_BYTES);
	return v;
}

static bool is_printable(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_printable(v.ptr[i]))
			return false;
	return true;
}

static void check_result(const struct dkim_signature *s)
{
	struct buf text = { 0 };
	LAW((s->result == DKIM_PASS) == (s->reason == NULL));
	LAW(is_printable(s->domain) && is_printable(s->selector) && is_printable(s->signature));
	LAW(view_is_utf8(s->identity) && (s->identity.len == 0 || view_find(s->identity, '@') < s->identity.len));
	for (size_t i = 0; i < s->identity.len; i++)
		LAW(s->identity.ptr[i] >= ' ' && s->identity.ptr[i] != 0x7f);
	LAW(dkim_format_result(s, &text) == ERR_OK && is_printable(buf_view(&text)));
	buf_clear(&text);
}

static bool is_same(const struct dkim_signature *a, const struct dkim_signature *b)
{
	return a->result == b->result && a->reason == b->reason && view_eq(a->domain, b->domain) &&
		view_eq(a->selector, b->selector) && view_eq(a->identity, b->identity) &&
		view_eq(a->signature, b->signature) && a->algorithm == b->algorithm && a->key_bits == b->key_bits &&
		a->is_testing == b->is_testing && a->has_unsigned_body == b->has_unsigned_body &&
		a->time_s == b->time_s && a->expiry_s == b->expiry_s;
}

/* In pieces or at once, with keys that were seen before or not: the same. */
static void check_verify(struct view record, struct view message, size_t step, unsigned bits)
{
	struct dkim_keys *keys = dkim_keys_new(4);
	struct dkim_verify_options options = {
		.now_s = NOW_S, .signatures_max = bits % 4 * 5, .refuses_unsigned_body = bits / 4 % 2 == 1
	};
	struct dkim_verifier *whole = verify(&options, record, message, message.len + 1);
	options.keys = keys;
	const size_t steps[] = { step, 1, step };
	LAW(dkim_verifier_count(whole) + dkim_verifier_ignored(whole) == header_count(message, VIEW("DKIM-Signature")));
	LAW(dkim_verifier_from_count(whole) == header_count(message, VIEW("From")));
	for (size_t k = 0; k < 3; k++) {
		struct dkim_verifier *parts = verify(&options, record, message, steps[k]);
		LAW(dkim_verifier_count(parts) == dkim_verifier_count(whole));
		for (size_t i = 0; i < dkim_verifier_count(whole); i++) {
			struct dkim_signature a, b;
			LAW(dkim_verifier_result(whole, i, &a) && dkim_verifier_result(parts, i, &b));
			LAW(is_same(&a, &b));
			check_result(&a);
		}
		dkim_verifier_free(parts);
	}
	dkim_verifier_free(whole);
	dkim_keys_free(keys);
}

/* What we sign is valid, and nothing else is signed. */
static void check_sign(struct view message, size_t step, unsigned bits)
{
	static struct signature_private *key;
	if (key == NULL)
		key = testing_ed25519_key();
	const struct dkim_sign_key with = { VIEW("fuzz"), key };
	const struct dkim_sign_options options = { .domain = VIEW("fuzz.example"),
		.key_count = 1,
		.keys = &with,
		.header_canon = bits / 8 % 2 == 0 ? DKIM_RELAXED : DKIM_SIMPLE,
		.body_canon = bits / 16 % 2 == 0 ? DKIM_RELAXED : DKIM_SIMPLE,
		.now_s = NOW_S };
	const struct dkim_verify_options verify_options = { .now_s = NOW_S };
	struct buf out = { 0 };
	enum err err = testing_sign(&options, message, step, &out);
	LAW(err == ERR_OK || err == ERR_REFUSED || err == ERR_LIMIT);
	LAW(err != ERR_OK || header_count(message, VIEW("From")) == 1);
	if (err == ERR_OK) {
		struct dkim_signature first;
		struct dkim_verifier *v = verify(
			&verify_options, VIEW(TESTING_ED25519_RECORD), buf_view(&out), step + 3);
		LAW(dkim_verifier_result(v, 0, &first) && first.result == DKIM_PASS);
		dkim_verifier_free(v);
	}
	buf_clear(&out);
}

static void check_record(struct view text)
{
	struct dkim_record record;
	struct buf quoted = { 0 };
	if (dkim_record_parse(text, &record) == ERR_OK)
		LAW(record.is_revoked || record.bits >= SIGNATURE_RSA_MIN_BITS - 7 || record.bits == 256);
	LAW(dkim_record_quote(text, &quoted) == ERR_OK && is_printable(buf_view(&quoted)));
	LAW(quoted.len >= text.len + 2);
	buf_clear(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	struct view rest = view_of(data + 2, size - 2);
	size_t end = view_find(rest, 0), step = data[0] % 61u + 1;
	struct view record = view_sub(rest, 0, end), message = view_from(rest, end + 1);
	check_record(record);
	check_verify(record, message, step, data[1]);
	check_sign(message, step, data[1]);
	return 0;
}
