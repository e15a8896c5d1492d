#include "mailauth/arc_seal.h"

#include "base/mem.h"
#include "mail/encode.h"
#include "mailauth/arc_private.h"
#include "mailauth/auth_results.h"

struct arc_sealer {
	struct dkim_signer *signer; /* makes the message signature */
	struct arena arena;
	struct view domain, selector;
	const struct signature_private *key;
	uint64_t now_s;
	unsigned count; /* sets before ours */
	bool has_headers, has_ended;
	struct dkim_sink chain; /* has those sets */
};

static enum err copy_names(struct arc_sealer *s, const struct arc_seal_options *options)
{
	/* Checked by the signer before. */
	return dkim_domain_normalise(options->domain, 2, &s->arena, &s->domain) &&
			dkim_domain_normalise(options->key.selector, 1, &s->arena, &s->selector)
		? ERR_OK
		: err_set(ERR_SYNTAX, "domain or selector is no name in A-labels");
}

/* A signature of the author's domain is what a chain is there to vouch for. */
static enum err new_signer(const struct arc_seal_options *options, struct dkim_signer **ret)
{
	struct dkim_sign_field fields[64];
	struct dkim_sign_options sign = { .domain = options->domain,
		.key_count = 1,
		.keys = &options->key,
		.field_count = options->field_count,
		.fields = options->fields,
		.now_s = options->now_s };
	if (sign.field_count == 0) {
		ASSERT(dkim_sign_field_count < sizeof fields / sizeof fields[0]);
		for (size_t i = 0; i < dkim_sign_field_count; i++)
			fields[i] = dkim_sign_fields[i];
		fields[dkim_sign_field_count] = (struct dkim_sign_field){ VIEW("DKIM-Signature"), false };
		sign.field_count = dkim_sign_field_count + 1;
		sign.fields = fields;
	}
	return dkim_signer_new(&sign, ret);
}

enum err arc_sealer_new(const struct arc_seal_options *options, struct arc_sealer **ret)
{
	struct arc_sealer *s = mem_alloc(sizeof *s);
	arena_init(&s->arena, 1024);
	dkim_sink_init(&s->chain);
	s->key = options->key.key;
	s->now_s = options->now_s;
	enum err err = new_signer(options, &s->signer);
	if (err == ERR_OK)
		err = copy_names(s, options);
	if (err != ERR_OK) {
		arc_sealer_free(s);
		return err;
	}
	*ret = s;
	return ERR_OK;
}

void arc_sealer_free(struct arc_sealer *s)
{
	if (s == NULL)
		return;
	dkim_signer_free(s->signer);
	dkim_sink_clear(&s->chain);
	arena_clear(&s->arena);
	mem_free(s);
}

enum err arc_sealer_headers(struct arc_sealer *s, struct view headers)
{
	if (s->has_headers)
		return err_set(ERR_STATE, "the header section was given before");
	s->has_headers = true;
	struct arc_sets *sets = mem_alloc(sizeof *sets);
	arc_sets_collect(headers, sets);
	s->count = sets->count;
	/* Those of a chain that is none are not covered anyway: RFC 8617 §5.1.2. */
	for (unsigned i = 1; i <= sets->count; i++)
		arc_sets_canon(sets, i, &s->chain);
	mem_free(sets);
	enum err err = s->count >= ARC_SETS_MAX ? err_set(ERR_REFUSED, "the chain has as many sets as there may be")
						: dkim_signer_headers(s->signer, headers);
	s->has_ended = err != ERR_OK;
	return err;
}

enum err arc_sealer_body(struct arc_sealer *s, struct view piece)
{
	if (!s->has_headers || s->has_ended)
		return err_set(ERR_STATE, "a body before the header section or behind the end");
	return dkim_signer_body(s->signer, piece);
}

/* "ARC-Authentication-Results: i=3; id; …": as Authentication-Results, with the instance in front. */
static enum err put_results(const struct arc_sealer *s, const struct arc_seal_finish *finish, struct buf *out)
{
	struct buf field = { 0 };
	enum err err = auth_results_format(finish->authserv_id, finish->results, finish->result_count, &field);
	struct view text = buf_view(&field), name = VIEW("Authentication-Results:");
	ASSERT(err != ERR_OK || view_starts_with(text, name));
	if (err == ERR_OK)
		err = buf_append_format(out, "ARC-Authentication-Results: i=%u;", s->count + 1);
	if (err == ERR_OK)
		err = buf_append(out, view_from(text, name.len));
	buf_clear(&field);
	return err;
}

static void canon_one(struct view field_text, struct dkim_sink *sink, bool is_own)
{
	struct header_field field;
	bool is_field = header_next(&field_text, &field);
	ASSERT(is_field && field_text.len == 0);
	if (is_own)
		dkim_canon_own_field(DKIM_RELAXED, &field, VIEW_NONE, sink);
	else
		dkim_canon_field(DKIM_RELAXED, &field, sink);
}

/* Up to and with "b=", without a line end. */
static enum err put_unsigned_seal(const struct arc_sealer *s, enum arc_result chain, struct dkim_writer *w)
{
	bool is_rsa = signature_private_kind(s->key) == SIGNATURE_RSA;
	enum err err = buf_append(w->out, VIEW("ARC-Seal:"));
	if (err == ERR_OK)
		err = dkim_write_number(w, "i", s->count + 1);
	if (err == ERR_OK)
		err = dkim_write_tag(w, "a", dkim_algorithm_name(is_rsa ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256));
	if (err == ERR_OK)
		err = dkim_write_number(w, "t", s->now_s);
	if (err == ERR_OK)
		err = dkim_write_tag(w, "cv", arc_result_name(chain));
	if (err == ERR_OK)
		err = dkim_write_tag(w, "d", s->domain);
	if (err == ERR_OK)
		err = dkim_write_tag(w, "s", s->selector);
	return err == ERR_OK ? dkim_write_word(w, VIEW(" "), VIEW("b=")) : err;
}

/* RFC 8617 §5.1.1; §5.1.2: of a chain that failed, only our own set is covered. Into an empty buffer. */
static enum err put_seal(
	struct arc_sealer *s, enum arc_result chain, struct view results, struct view message, struct buf *out)
{
	struct dkim_writer w = { out, out->len };
	struct dkim_sink sink = { .used = 0 };
	struct buf bytes = { 0 }, text = { 0 };
	uint8_t digest[HASH_BYTES];
	enum err err = put_unsigned_seal(s, chain, &w);
	if (err == ERR_OK) {
		if (chain == ARC_FAIL)
			dkim_sink_init(&sink);
		else
			dkim_sink_fork(&s->chain, &sink);
		canon_one(results, &sink, false);
		canon_one(message, &sink, false);
		canon_one(buf_view(out), &sink, true);
		dkim_sink_finish(&sink, digest);
		dkim_sink_clear(&sink);
		err = signature_sign(s->key, digest, &bytes);
	}
	if (err == ERR_OK)
		err = base64_encode(buf_view(&bytes), &text);
	if (err == ERR_OK)
		err = dkim_write_breakable(&w, buf_view(&text));
	if (err == ERR_OK)
		err = buf_append(out, VIEW("\r\n"));
	buf_clear(&bytes);
	buf_clear(&text);
	return err;
}

static enum err make_set(struct arc_sealer *s, const struct arc_seal_finish *finish, struct buf *out)
{
	struct buf results = { 0 }, message = { 0 }, seal = { 0 };
	enum err err = put_results(s, finish, &results);
	if (err == ERR_OK)
		err = dkim_signer_finish_as(s->signer, s->count + 1, &message);
	if (err == ERR_OK)
		err = put_seal(s, finish->verdict.result, buf_view(&results), buf_view(&message), &seal);
	size_t before = out->len;
	if (err == ERR_OK)
		err = buf_append(out, buf_view(&seal));
	if (err == ERR_OK)
		err = buf_append(out, buf_view(&message));
	if (err == ERR_OK)
		err = buf_append(out, buf_view(&results));
	if (err != ERR_OK)
		out->len = before;
	buf_clear(&results);
	buf_clear(&message);
	buf_clear(&seal);
	return err;
}

enum err arc_sealer_finish(struct arc_sealer *s, const struct arc_seal_finish *finish, struct buf *out)
{
	if (!s->has_headers || s->has_ended)
		return err_set(ERR_STATE, "no header section, or finished before");
	s->has_ended = true;
	/* An answer that did not come is no reason to break the chain for good. */
	if (finish->verdict.was_failed || finish->verdict.is_temporary)
		return ERR_OK;
	return make_set(s, finish, out);
}
