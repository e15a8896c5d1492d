#include "mailauth/dkim_sign.h"

#include "base/mem.h"
#include "mail/encode.h"
#include "mailauth/dkim_private.h"

#include <string.h>

#define FIELD(text, seals)                                                                                             \
	{                                                                                                              \
		{ (const uint8_t *)(text), sizeof(text) - 1 }, seals                                                   \
	}

const struct dkim_sign_field dkim_sign_fields[] = {
	FIELD("From", true),
	FIELD("To", true),
	FIELD("Cc", true),
	FIELD("Reply-To", true),
	FIELD("Subject", true),
	FIELD("Date", true),
	FIELD("Message-ID", true),
	FIELD("MIME-Version", true),
	FIELD("Content-Type", true),
	FIELD("Content-Transfer-Encoding", true),
	FIELD("Content-Disposition", false),
	FIELD("Content-ID", false),
	FIELD("Content-Language", false),
	FIELD("In-Reply-To", false),
	FIELD("References", false),
	FIELD("Autocrypt", false),
	/* Lists and forwarders add these: signed if they are there, open if not. */
	FIELD("Sender", false),
	FIELD("Resent-From", false),
	FIELD("Resent-To", false),
	FIELD("Resent-Cc", false),
	FIELD("Resent-Date", false),
	FIELD("Resent-Message-ID", false),
	FIELD("List-Id", false),
	FIELD("List-Help", false),
	FIELD("List-Unsubscribe", false),
	FIELD("List-Unsubscribe-Post", false),
	FIELD("List-Subscribe", false),
	FIELD("List-Post", false),
	FIELD("List-Owner", false),
	FIELD("List-Archive", false),
	FIELD("Feedback-ID", false),
};
const size_t dkim_sign_field_count = sizeof dkim_sign_fields / sizeof dkim_sign_fields[0];

struct signing_key {
	struct view selector;
	const struct signature_private *key;
};

struct dkim_signer {
	struct arena arena;
	struct view domain;
	size_t key_count, field_count;
	struct signing_key keys[DKIM_SIGN_KEYS_MAX];
	const struct dkim_sign_field *fields;
	enum dkim_canon header_canon, body_canon;
	uint64_t now_s, lifetime_s;
	bool has_headers, has_ended;
	struct dkim_sink header; /* has the signed fields; each signature goes on with its own field */
	struct buf names; /* h=, with ":" between */
	struct dkim_body body;
};

/* No one message is signed by more names than this, nor by longer ones. */
#define FIELDS_MAX 128u
#define ARENA_BYTES (32u * 1024)

static enum err copy_keys(struct dkim_signer *s, const struct dkim_sign_options *options)
{
	if (options->key_count == 0 || options->key_count > DKIM_SIGN_KEYS_MAX)
		return err_set(
			ERR_LIMIT, "%zu keys to sign with: must be 1 to %u", options->key_count, DKIM_SIGN_KEYS_MAX);
	for (size_t i = 0; i < options->key_count; i++) {
		const struct dkim_sign_key *key = &options->keys[i];
		if (!view_is_ascii(key->selector) ||
			!dkim_domain_normalise(key->selector, 1, &s->arena, &s->keys[i].selector))
			return err_set(ERR_SYNTAX, "the selector is no name in A-labels");
		/* RFC 8301 §3.2: a signer MUST use RSA keys of at least 1024 bits. */
		if (signature_private_kind(key->key) == SIGNATURE_RSA &&
			signature_private_bits(key->key) < DKIM_RSA_MIN_BITS)
			return err_set(ERR_LIMIT, "an RSA key of %u bits is too short to sign with",
				signature_private_bits(key->key));
		s->keys[i].key = key->key;
		s->key_count++;
	}
	return ERR_OK;
}

static bool is_field_name(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		/* A semicolon would need quoting in h= (RFC 6376 §3.5), and no field has one. */
		if (v.ptr[i] <= ' ' || v.ptr[i] >= 0x7f || v.ptr[i] == ':' || v.ptr[i] == ';')
			return false;
	return v.len > 0;
}

static enum err check_field(const struct dkim_sign_field *fields, size_t i)
{
	if (!is_field_name(fields[i].name))
		return err_set(ERR_SYNTAX, "a field to sign has no name of one");
	for (size_t k = 0; k < i; k++)
		if (view_eq_nocase(fields[k].name, fields[i].name))
			return err_set(ERR_SYNTAX, "a field to sign is named twice");
	return ERR_OK;
}

static enum err copy_fields(struct dkim_signer *s, const struct dkim_sign_options *options)
{
	bool has_from = false;
	if (options->field_count == 0) {
		s->fields = dkim_sign_fields;
		s->field_count = dkim_sign_field_count;
		return ERR_OK;
	}
	if (options->field_count > FIELDS_MAX)
		return err_set(ERR_LIMIT, "more than %u fields to sign", FIELDS_MAX);
	struct dkim_sign_field *fields = arena_alloc(&s->arena, options->field_count * sizeof fields[0]);
	ASSERT(fields != NULL);
	for (size_t i = 0; i < options->field_count; i++) {
		enum err err = check_field(options->fields, i);
		if (err != ERR_OK)
			return err;
		fields[i].seals = options->fields[i].seals;
		if (arena_dup(&s->arena, options->fields[i].name, &fields[i].name) != ERR_OK)
			return err_set(ERR_LIMIT, "the fields to sign have too long names");
		has_from |= view_eq_nocase(fields[i].name, VIEW("From"));
	}
	s->fields = fields;
	s->field_count = options->field_count;
	return has_from ? ERR_OK : err_set(ERR_SYNTAX, "From must be signed"); /* RFC 6376 §5.4 */
}

enum err dkim_signer_new(const struct dkim_sign_options *options, struct dkim_signer **ret)
{
	struct dkim_signer *s = mem_alloc(sizeof *s);
	arena_init(&s->arena, ARENA_BYTES);
	dkim_sink_init(&s->header);
	dkim_body_init(&s->body, options->body_canon);
	s->body.wants_all = true;
	s->header_canon = options->header_canon;
	s->body_canon = options->body_canon;
	s->now_s = options->now_s;
	s->lifetime_s = options->lifetime_s;
	enum err err = view_is_ascii(options->domain) &&
			dkim_domain_normalise(options->domain, 2, &s->arena, &s->domain)
		? ERR_OK
		: err_set(ERR_SYNTAX, "the domain to sign for is no domain in A-labels");
	if (err == ERR_OK)
		err = copy_keys(s, options);
	if (err == ERR_OK)
		err = copy_fields(s, options);
	if (err != ERR_OK) {
		dkim_signer_free(s);
		return err;
	}
	*ret = s;
	return ERR_OK;
}

void dkim_signer_free(struct dkim_signer *s)
{
	if (s == NULL)
		return;
	dkim_sink_clear(&s->header);
	dkim_body_clear(&s->body);
	buf_clear(&s->names);
	arena_clear(&s->arena);
	mem_free(s);
}

/* Hashes every field of the list, from the bottom up, and writes down their names. */
static enum err take_fields(struct dkim_signer *s, const struct dkim_fields *fields)
{
	size_t names = 0;
	for (size_t i = 0; i < s->field_count; i++) {
		size_t first, count = dkim_fields_find(fields, s->fields[i].name, &first);
		for (size_t k = 0; k < count; k++)
			dkim_canon_field(s->header_canon, &fields->sorted[first + k].field, &s->header);
		count += s->fields[i].seals;
		names += count;
		if (names > DKIM_NAMES_MAX)
			return err_set(ERR_LIMIT, "more than %u header fields to sign", DKIM_NAMES_MAX);
		for (; count > 0; count--) {
			enum err err = s->names.len > 0 ? buf_append_byte(&s->names, ':') : ERR_OK;
			if (err == ERR_OK)
				err = buf_append(&s->names, s->fields[i].name);
			if (err != ERR_OK)
				return err;
		}
	}
	return ERR_OK;
}

enum err dkim_signer_headers(struct dkim_signer *s, struct view headers)
{
	if (s->has_headers)
		return err_set(ERR_STATE, "the header section was given before");
	struct dkim_fields fields;
	/* Under the signature's field such a line would become a part of it. */
	if (headers.len > 0 && (headers.ptr[0] == ' ' || headers.ptr[0] == '\t'))
		return err_set(ERR_REFUSED, "the header section begins with a folded line");
	enum err err = dkim_fields_init(&fields, headers);
	if (err != ERR_OK)
		return err;
	size_t first, from_count = dkim_fields_find(&fields, VIEW("From"), &first);
	if (from_count != 1)
		err = err_set(ERR_REFUSED, "the message has %zu From fields: only one with exactly one is signed",
			from_count);
	s->has_headers = true;
	if (err == ERR_OK)
		err = take_fields(s, &fields);
	/* A half-fed hash must never sign. */
	s->has_ended = err != ERR_OK;
	dkim_fields_clear(&fields);
	return err;
}

enum err dkim_signer_body(struct dkim_signer *s, struct view piece)
{
	if (!s->has_headers || s->has_ended)
		return err_set(ERR_STATE, "a body before the header section or behind the end");
	dkim_body_feed(&s->body, piece);
	return ERR_OK;
}

/* h=: a line may end behind a colon. */
static enum err put_names(struct dkim_writer *f, struct view names)
{
	enum err err = dkim_write_word(f, VIEW(" "), VIEW("h="));
	while (err == ERR_OK && names.len > 0) {
		struct view word = view_sub(names, 0, view_find(names, ':') + 1);
		err = dkim_write_word(f, VIEW_NONE, word);
		names = view_from(names, word.len);
	}
	return err == ERR_OK ? buf_append_byte(f->out, ';') : err;
}

static struct view canon_names(const struct dkim_signer *s)
{
	static const char *const names[2][2] = {
		[DKIM_RELAXED] = { [DKIM_RELAXED] = "relaxed/relaxed", [DKIM_SIMPLE] = "relaxed/simple" },
		[DKIM_SIMPLE] = { [DKIM_RELAXED] = "simple/relaxed", [DKIM_SIMPLE] = "simple/simple" }
	};
	return view_from_cstr(names[s->header_canon][s->body_canon]);
}

static enum err put_body_digest(const struct dkim_signer *s, struct dkim_writer *f)
{
	struct buf text = { 0 };
	enum err err = base64_encode(view_of(s->body.digest, HASH_BYTES), &text);
	if (err == ERR_OK)
		err = dkim_write_tag(f, "bh", buf_view(&text));
	buf_clear(&text);
	return err;
}

/* The field's name and first tags. */
static enum err put_front(unsigned instance, struct dkim_writer *f)
{
	enum err err = buf_append(f->out, instance > 0 ? VIEW("ARC-Message-Signature:") : VIEW("DKIM-Signature: v=1;"));
	return err == ERR_OK && instance > 0 ? dkim_write_number(f, "i", instance) : err;
}

/* The field up to and with "b=", without a line end: what is hashed for the signature. */
static enum err put_unsigned_field(
	const struct dkim_signer *s, const struct signing_key *key, unsigned instance, struct dkim_writer *f)
{
	bool is_rsa = signature_private_kind(key->key) == SIGNATURE_RSA;
	uint64_t expiry_s = s->now_s <= UINT64_MAX - s->lifetime_s ? s->now_s + s->lifetime_s : UINT64_MAX;
	enum err err = put_front(instance, f);
	if (err == ERR_OK)
		err = dkim_write_tag(f, "a", dkim_algorithm_name(is_rsa ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256));
	if (err == ERR_OK)
		err = dkim_write_tag(f, "c", canon_names(s));
	if (err == ERR_OK)
		err = dkim_write_tag(f, "d", s->domain);
	if (err == ERR_OK)
		err = dkim_write_tag(f, "s", key->selector);
	if (err == ERR_OK)
		err = dkim_write_number(f, "t", s->now_s);
	if (err == ERR_OK && s->lifetime_s > 0)
		err = dkim_write_number(f, "x", expiry_s);
	if (err == ERR_OK)
		err = put_names(f, buf_view(&s->names));
	if (err == ERR_OK)
		err = put_body_digest(s, f);
	return err == ERR_OK ? dkim_write_word(f, VIEW(" "), VIEW("b=")) : err;
}

/* The digest of the signed fields and of this one. */
static void digest_with(struct dkim_signer *s, struct view field_text, uint8_t ret[HASH_BYTES])
{
	struct dkim_sink sink = { .used = 0 };
	struct header_field field;
	bool is_field = header_next(&field_text, &field);
	ASSERT(is_field && field_text.len == 0);
	dkim_sink_fork(&s->header, &sink);
	dkim_canon_own_field(s->header_canon, &field, VIEW_NONE, &sink);
	dkim_sink_finish(&sink, ret);
	dkim_sink_clear(&sink);
}

static enum err append_signature(
	struct dkim_signer *s, const struct signing_key *key, unsigned instance, struct buf *out)
{
	struct dkim_writer f = { out, out->len };
	struct buf bytes = { 0 }, text = { 0 };
	size_t start = out->len;
	enum err err = put_unsigned_field(s, key, instance, &f);
	if (err == ERR_OK) {
		uint8_t digest[HASH_BYTES];
		digest_with(s, view_from(buf_view(out), start), digest);
		err = signature_sign(key->key, digest, &bytes);
	}
	if (err == ERR_OK)
		err = base64_encode(buf_view(&bytes), &text);
	if (err == ERR_OK)
		err = dkim_write_breakable(&f, buf_view(&text));
	if (err == ERR_OK)
		err = buf_append(out, VIEW("\r\n"));
	buf_clear(&bytes);
	buf_clear(&text);
	return err;
}

enum err dkim_signer_finish_as(struct dkim_signer *s, unsigned instance, struct buf *out)
{
	if (!s->has_headers || s->has_ended)
		return err_set(ERR_STATE, "no header section, or finished before");
	s->has_ended = true;
	dkim_body_end(&s->body);
	size_t before = out->len;
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < s->key_count; i++)
		err = append_signature(s, &s->keys[i], instance, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}

enum err dkim_signer_finish(struct dkim_signer *s, struct buf *out)
{
	return dkim_signer_finish_as(s, 0, out);
}
