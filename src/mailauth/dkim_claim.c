#include "mailauth/dkim_private.h"

#include "mail/encode.h"

#include <string.h>

#define IDENTITY_MAX_BYTES 512u
#define SIGNATURE_TEXT_MAX_BYTES ((SIGNATURE_MAX_BYTES + 2) / 3 * 4)

/* A malformed field is "neutral" to RFC 8601 §2.7.1, a well-formed one that can't count "permerror". */
static struct dkim_judgement malformed(const char *reason)
{
	return (struct dkim_judgement){ DKIM_NEUTRAL, reason };
}

static struct dkim_judgement invalid(const char *reason)
{
	return (struct dkim_judgement){ DKIM_PERMERROR, reason };
}

/* What the readers of tags share. */
struct reading {
	enum dkim_claim_kind kind;
	const struct tag_list *list;
	struct arena *arena;
	struct dkim_claim *claim;
};

static struct dkim_judgement read_version(const struct reading *r, const struct tag *tag)
{
	(void)r;
	return view_eq(tag->value, VIEW("1")) ? DKIM_FINE : malformed("the version of the signature is not 1");
}

static const struct {
	struct view name;
	enum dkim_algorithm algorithm;
} algorithms[] = {
	{ { (const uint8_t *)"rsa-sha1", 8 }, DKIM_RSA_SHA1 },
	{ { (const uint8_t *)"rsa-sha256", 10 }, DKIM_RSA_SHA256 },
	{ { (const uint8_t *)"ed25519-sha256", 14 }, DKIM_ED25519_SHA256 },
};

struct view dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
		if (algorithms[i].algorithm == algorithm)
			return algorithms[i].name;
	return VIEW_NONE;
}

static struct dkim_judgement read_algorithm(const struct reading *r, const struct tag *tag)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
		if (view_eq_nocase(tag->value, algorithms[i].name))
			r->claim->algorithm = algorithms[i].algorithm;
	/* RFC 8301 §3.1 */
	if (r->claim->algorithm == DKIM_RSA_SHA1)
		return invalid("signatures with SHA-1 no longer count");
	return r->claim->algorithm != DKIM_UNKNOWN_ALGORITHM ? DKIM_FINE : invalid("unknown signature algorithm");
}

static bool canon_of(struct view name, enum dkim_canon *ret)
{
	if (view_eq_nocase(name, VIEW("relaxed")))
		*ret = DKIM_RELAXED;
	else if (view_eq_nocase(name, VIEW("simple")))
		*ret = DKIM_SIMPLE;
	else
		return false;
	return true;
}

static struct dkim_judgement read_canon(const struct reading *r, const struct tag *tag)
{
	size_t slash = view_find(tag->value, '/');
	struct view header = view_sub(tag->value, 0, slash), body = view_from(tag->value, slash + 1);
	if (slash == tag->value.len)
		body = VIEW("simple");
	return canon_of(header, &r->claim->header_canon) && canon_of(body, &r->claim->body_canon)
		? DKIM_FINE
		: invalid("unknown canonicalization");
}

static struct dkim_judgement read_domain(const struct reading *r, const struct tag *tag)
{
	return dkim_domain_normalise(tag->value, 2, r->arena, &r->claim->domain)
		? DKIM_FINE
		: malformed("the signing domain is no domain");
}

static struct dkim_judgement read_selector(const struct reading *r, const struct tag *tag)
{
	return dkim_domain_normalise(tag->value, 1, r->arena, &r->claim->selector)
		? DKIM_FINE
		: malformed("the selector is no selector");
}

static struct dkim_judgement read_names(const struct reading *r, const struct tag *tag)
{
	struct view rest = tag->value, name;
	size_t count = 0;
	bool has_from = false, has_seal = false;
	bool is_arc = r->kind == DKIM_CLAIM_ARC_MESSAGE;
	if (tag->value.len == 0 && !is_arc)
		return malformed("no signed header fields are named");
	while (tag_value_next(&rest, &name)) {
		/* What a sealer signs is his to choose: whoever believes him does so for his name. */
		if (name.len == 0 && !is_arc)
			return malformed("an empty name among the signed header fields");
		for (size_t i = 0; i < name.len; i++)
			if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7f)
				return malformed("a signed header field has no name of one");
		if (++count > DKIM_NAMES_MAX)
			return (struct dkim_judgement){ DKIM_POLICY, "too many signed header fields" };
		has_from |= view_eq_nocase(name, VIEW("From"));
		has_seal |= view_eq_nocase(name, VIEW("ARC-Seal"));
	}
	r->claim->names = tag->value;
	/* RFC 8617 §4.1.2: a seal signed by another one would bind what comes later. */
	if (has_seal && is_arc)
		return malformed("a seal among the signed header fields");
	return has_from || is_arc ? DKIM_FINE : invalid("the From field is not signed");
}

/* Base64 with white space anywhere (RFC 6376 §2.10, base64string). */
static bool read_base64(struct view value, uint8_t *text, size_t text_max, size_t *ret_text_len, struct buf *out)
{
	return tag_value_pack(value, text, text_max, ret_text_len) == ERR_OK && *ret_text_len > 0 &&
		base64_decode(view_of(text, *ret_text_len), out) == ERR_OK;
}

/* After a=: the hash of another algorithm has another length, and that algorithm is the reason then. */
static struct dkim_judgement read_body_digest(const struct reading *r, const struct tag *tag)
{
	uint8_t text[128];
	size_t text_len;
	struct buf digest = { 0 };
	bool is_ours = r->claim->algorithm == DKIM_RSA_SHA256 || r->claim->algorithm == DKIM_ED25519_SHA256;
	bool fine = read_base64(tag->value, text, sizeof text, &text_len, &digest) &&
		(digest.len == HASH_BYTES || !is_ours);
	if (fine && is_ours)
		memcpy(r->claim->body_digest, digest.ptr, HASH_BYTES);
	buf_clear(&digest);
	return fine ? DKIM_FINE : malformed("the body hash is no hash");
}

static struct dkim_judgement read_signature(const struct reading *r, const struct tag *tag)
{
	uint8_t text[SIGNATURE_TEXT_MAX_BYTES];
	size_t text_len;
	struct buf bytes = { 0 };
	r->claim->hole = tag->raw;
	bool fine = read_base64(tag->value, text, sizeof text, &text_len, &bytes) &&
		arena_dup(r->arena, buf_view(&bytes), &r->claim->signature) == ERR_OK &&
		arena_dup(r->arena, view_of(text, text_len), &r->claim->signature_text) == ERR_OK;
	buf_clear(&bytes);
	return fine ? DKIM_FINE : malformed("the signature is no base64");
}

static struct dkim_judgement read_query(const struct reading *r, const struct tag *tag)
{
	(void)r;
	struct view rest = tag->value, method;
	/* Others are ignored (RFC 6376 §3.5 q=), so it is enough that ours is there. */
	while (tag_value_next(&rest, &method))
		if (view_eq_nocase(method, VIEW("dns/txt")) || view_eq_nocase(method, VIEW("dns")))
			return DKIM_FINE;
	return invalid("the key is not in DNS");
}

/* Digits only; more of them than fit stand for the greatest number, as RFC 6376 §3.5 allows for t= and x=. */
static bool read_number(struct view value, uint64_t *ret)
{
	enum err err = view_parse_u64(value, UINT64_MAX, ret);
	if (err == ERR_LIMIT)
		*ret = UINT64_MAX;
	return err == ERR_OK || err == ERR_LIMIT;
}

static struct dkim_judgement read_length(const struct reading *r, const struct tag *tag)
{
	r->claim->has_length = true;
	return tag->value.len <= 76 && read_number(tag->value, &r->claim->length)
		? DKIM_FINE
		: malformed("the body length is no number");
}

static struct dkim_judgement read_time(const struct reading *r, const struct tag *tag)
{
	r->claim->has_time = true;
	return read_number(tag->value, &r->claim->time_s) ? DKIM_FINE : malformed("the time is no number");
}

static struct dkim_judgement read_expiry(const struct reading *r, const struct tag *tag)
{
	r->claim->has_expiry = true;
	if (!read_number(tag->value, &r->claim->expiry_s))
		return malformed("the time of expiry is no number");
	/* RFC 6376 §3.5 x=: "MUST be greater than" t=. */
	return r->claim->has_time && r->claim->expiry_s <= r->claim->time_s
		? malformed("the signature expires before it was made")
		: DKIM_FINE;
}

/* dkim-quoted-printable (RFC 6376 §2.11): "=" and two digits stand for a byte, white space for nothing. */
static bool unquote(struct view v, uint8_t *out, size_t max, size_t *ret_len)
{
	if (tag_value_pack(v, out, max, ret_len) != ERR_OK)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < *ret_len; i++) {
		uint8_t c = out[i];
		if (c == '=') {
			int high = i + 2 < *ret_len ? ascii_hex_value(out[i + 1]) : -1;
			int low = high >= 0 ? ascii_hex_value(out[i + 2]) : -1;
			if (low < 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		/* Nobody's address has control characters, and this one is shown. */
		if (c < ' ' || c == 0x7f)
			return false;
		out[n++] = c;
	}
	*ret_len = n;
	return view_is_utf8(view_of(out, n));
}

/* After d=: without i= it is "@" and that. */
static struct dkim_judgement read_identity(const struct reading *r, const struct tag *tag)
{
	uint8_t text[IDENTITY_MAX_BYTES + 253];
	size_t len = 1;
	struct view domain = r->claim->domain;
	text[0] = '@';
	if (tag != NULL) {
		size_t all;
		if (!unquote(tag->value, text, IDENTITY_MAX_BYTES, &all))
			return malformed("the identity is malformed");
		size_t at = view_find_last(view_of(text, all), '@');
		if (at == all || !dkim_domain_normalise(view_of(text + at + 1, all - at - 1), 2, r->arena, &domain))
			return malformed("the identity has no domain");
		len = at + 1;
	}
	memcpy(text + len, domain.ptr, domain.len);
	if (arena_dup(r->arena, view_of(text, len + domain.len), &r->claim->identity) != ERR_OK)
		return malformed("the identity is too long");
	return dkim_domain_is_within(domain, r->claim->domain)
		? DKIM_FINE
		: invalid("the identity is not within the signing domain");
}

/* After t=. */
static struct dkim_judgement read_chain(const struct reading *r, const struct tag *tag)
{
	static const struct {
		struct view name;
		enum dkim_chain chain;
	} chains[] = { { { (const uint8_t *)"none", 4 }, DKIM_CHAIN_NONE },
		{ { (const uint8_t *)"fail", 4 }, DKIM_CHAIN_FAIL },
		{ { (const uint8_t *)"pass", 4 }, DKIM_CHAIN_PASS } };
	for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++)
		if (view_eq_nocase(tag->value, chains[i].name)) {
			r->claim->chain = chains[i].chain;
			return DKIM_FINE;
		}
	return malformed("the state of the chain is unknown");
}

/* RFC 8617 §4.1.3: a seal covers what it covers. */
static struct dkim_judgement refuse_names(const struct reading *r, const struct tag *tag)
{
	(void)r;
	(void)tag;
	return malformed("a seal names header fields");
}

enum { SIGNATURE = 1 << DKIM_CLAIM_SIGNATURE, MESSAGE = 1 << DKIM_CLAIM_ARC_MESSAGE, SEAL = 1 << DKIM_CLAIM_ARC_SEAL };

/* In this order: what tells whose it is comes first, so that a result can say so. */
static const struct {
	struct view name;
	int is_required, is_known; /* in which kinds */
	struct dkim_judgement (*read)(const struct reading *r, const struct tag *tag);
} tags[] = {
	{ { (const uint8_t *)"d", 1 }, SIGNATURE | MESSAGE | SEAL, SIGNATURE | MESSAGE | SEAL, read_domain },
	{ { (const uint8_t *)"s", 1 }, SIGNATURE | MESSAGE | SEAL, SIGNATURE | MESSAGE | SEAL, read_selector },
	{ { (const uint8_t *)"b", 1 }, SIGNATURE | MESSAGE | SEAL, SIGNATURE | MESSAGE | SEAL, read_signature },
	{ { (const uint8_t *)"a", 1 }, SIGNATURE | MESSAGE | SEAL, SIGNATURE | MESSAGE | SEAL, read_algorithm },
	{ { (const uint8_t *)"v", 1 }, SIGNATURE, SIGNATURE, read_version },
	{ { (const uint8_t *)"t", 1 }, 0, SIGNATURE | MESSAGE | SEAL, read_time },
	{ { (const uint8_t *)"x", 1 }, 0, SIGNATURE | MESSAGE, read_expiry },
	{ { (const uint8_t *)"cv", 2 }, SEAL, SEAL, read_chain },
	{ { (const uint8_t *)"h", 1 }, 0, SEAL, refuse_names },
	{ { (const uint8_t *)"bh", 2 }, SIGNATURE | MESSAGE, SIGNATURE | MESSAGE, read_body_digest },
	{ { (const uint8_t *)"c", 1 }, 0, SIGNATURE | MESSAGE, read_canon },
	{ { (const uint8_t *)"h", 1 }, SIGNATURE | MESSAGE, SIGNATURE | MESSAGE, read_names },
	{ { (const uint8_t *)"l", 1 }, 0, SIGNATURE | MESSAGE, read_length },
	{ { (const uint8_t *)"q", 1 }, 0, SIGNATURE | MESSAGE, read_query },
};

struct dkim_judgement dkim_claim_parse(
	enum dkim_claim_kind kind, const struct header_field *field, struct arena *arena, struct dkim_claim *ret)
{
	struct tag_list list;
	struct reading r = { kind, &list, arena, ret };
	struct dkim_judgement first = DKIM_FINE;
	memset(ret, 0, sizeof *ret);
	ret->header_canon = ret->body_canon = kind == DKIM_CLAIM_ARC_SEAL ? DKIM_RELAXED : DKIM_SIMPLE;
	if (tag_list_parse(field->value, &list) != ERR_OK)
		return malformed("the signature is no tag list");
	/* All are read, for what a result tells; the first that is wrong is the reason, a malformed one before an invalid one. */
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		const struct tag *tag = (tags[i].is_known & 1 << kind) != 0 ? tag_list_find(&list, tags[i].name) : NULL;
		struct dkim_judgement found = tag != NULL ? tags[i].read(&r, tag)
			: (tags[i].is_required & 1 << kind) != 0
			? malformed("a required tag of the signature is missing")
			: DKIM_FINE;
		if (found.reason != NULL &&
			(first.reason == NULL || (first.result != DKIM_NEUTRAL && found.result == DKIM_NEUTRAL)))
			first = found;
	}
	if (ret->domain.len == 0 || kind != DKIM_CLAIM_SIGNATURE)
		return first;
	struct dkim_judgement identity = read_identity(&r, tag_list_find(&list, VIEW("i")));
	return first.reason != NULL ? first : identity;
}
