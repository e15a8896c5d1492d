/* The findings in words: Authentication-Results, and a line for log and trace. */
#include "service/authenticate_private.h"

/* HELO's and the sender's SPF, each signature, DMARC, the client's name. */
enum { RESULTS_MAX = SPF_CHECKS + DKIM_SIGNATURES_DEFAULT + 2 };

struct results {
	struct buf texts[RESULTS_MAX];
	size_t count;
	enum err err;
};

static struct buf *next_text(struct results *r)
{
	ASSERT(r->count < RESULTS_MAX);
	return &r->texts[r->count++];
}

/* What can't stand in the field is left out: the others still tell something. */
static void add(struct results *r, enum err err)
{
	struct buf scratch = { 0 };
	struct view text = buf_view(&r->texts[r->count - 1]);
	if (err == ERR_OK && auth_results_format(VIEW("x"), &text, 1, &scratch) == ERR_SYNTAX) {
		buf_clear(&r->texts[r->count - 1]);
		r->count--;
	}
	buf_clear(&scratch);
	if (r->err == ERR_OK)
		r->err = err;
}

static void add_spf(struct results *r, const struct authenticate *a, size_t which, const struct spf_verdict *verdict)
{
	struct buf *text = next_text(r);
	add(r, spf_format_result(&a->spf[which].asked, verdict, text));
}

static void add_signatures(struct results *r, const struct authentication_facts *f)
{
	for (size_t i = 0; i < f->signature_count; i++) {
		struct buf *text = next_text(r);
		add(r, dkim_format_result(&f->signatures[i].dkim, text));
	}
	if (f->signature_count == 0) {
		struct buf *text = next_text(r);
		add(r, buf_append_cstr(text, "dkim=none"));
	}
}

static void add_all(struct results *r, const struct authenticate *a)
{
	const struct authentication_facts *f = &a->facts;
	struct net_address_text ip = net_address_ip(&f->client);
	if (f->has_helo_spf)
		add_spf(r, a, SPF_OF_HELO, &f->helo_spf);
	if (f->has_spf)
		add_spf(r, a, SPF_OF_SENDER, &f->spf);
	add_signatures(r, f);
	struct buf *text = next_text(r);
	add(r, dmarc_format_result(&f->dmarc, text));
	text = next_text(r);
	add(r, auth_iprev_format(f->iprev, view_from_cstr(ip.text), f->client_name, text));
}

enum err authenticate_format(const struct authenticate *a, struct buf *out)
{
	struct results r = { 0 };
	struct view views[RESULTS_MAX];
	add_all(&r, a);
	for (size_t i = 0; i < r.count; i++)
		views[i] = buf_view(&r.texts[i]);
	if (r.err == ERR_OK)
		r.err = auth_results_format(
			view_from_cstr(a->options.config->authentication.authserv_id), views, r.count, out);
	for (size_t i = 0; i < r.count; i++)
		buf_clear(&r.texts[i]);
	return r.err;
}

enum err authenticate_describe_signatures(const struct authentication_facts *facts, struct buf *out)
{
	enum err err = facts->signature_count == 0 ? buf_append_cstr(out, "none") : ERR_OK;
	for (size_t i = 0; i < facts->signature_count && err == ERR_OK; i++) {
		const struct dkim_signature *s = &facts->signatures[i].dkim;
		err = buf_append_format(out, "%s%.*s %.*s", i > 0 ? ", " : "", VIEW_ARG(dkim_result_name(s->result)),
			VIEW_ARG(s->domain));
	}
	return err;
}
