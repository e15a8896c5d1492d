/* The findings in words: Authentication-Results, and a line for log and trace. */
#include "service/authenticate_private.h"

struct writer {
	struct authenticate_results *results;
	enum err err;
};

static struct buf *next_text(struct writer *w)
{
	ASSERT(w->results->count < AUTHENTICATE_RESULTS_MAX);
	return &w->results->texts[w->results->count++];
}

/* What can't stand in the field is left out: the others still tell something. */
static void add(struct writer *w, enum err err)
{
	struct buf scratch = { 0 };
	struct buf *text = &w->results->texts[w->results->count - 1];
	struct view view = buf_view(text);
	if (err == ERR_OK && auth_results_format(VIEW("x"), &view, 1, &scratch) == ERR_SYNTAX) {
		buf_clear(text);
		w->results->count--;
	}
	buf_clear(&scratch);
	if (w->err == ERR_OK)
		w->err = err;
}

static void add_spf(struct writer *w, const struct authenticate *a, size_t which, const struct spf_verdict *verdict)
{
	struct buf *text = next_text(w);
	add(w, spf_format_result(&a->spf[which].asked, verdict, text));
}

static void add_signatures(struct writer *w, const struct authentication_facts *f)
{
	for (size_t i = 0; i < f->signature_count; i++) {
		struct buf *text = next_text(w);
		add(w, dkim_format_result(&f->signatures[i].dkim, text));
	}
	if (f->signature_count == 0) {
		struct buf *text = next_text(w);
		add(w, buf_append_cstr(text, "dkim=none"));
	}
}

static void add_all(struct writer *w, const struct authenticate *a)
{
	const struct authentication_facts *f = &a->facts;
	struct net_address_text ip = net_address_ip(&f->client);
	if (f->has_helo_spf)
		add_spf(w, a, SPF_OF_HELO, &f->helo_spf);
	if (f->has_spf)
		add_spf(w, a, SPF_OF_SENDER, &f->spf);
	add_signatures(w, f);
	struct buf *text = next_text(w);
	add(w, dmarc_format_result(&f->dmarc, text));
	if (f->arc.result != ARC_NONE) {
		text = next_text(w);
		add(w, arc_format_result(&f->arc, view_from_cstr(ip.text), text));
	}
	text = next_text(w);
	add(w, auth_iprev_format(f->iprev, view_from_cstr(ip.text), f->client_name, text));
}

enum err authenticate_results(const struct authenticate *a, struct authenticate_results *ret)
{
	*ret = (struct authenticate_results){ 0 };
	struct writer w = { .results = ret };
	add_all(&w, a);
	for (size_t i = 0; i < ret->count; i++)
		ret->views[i] = buf_view(&ret->texts[i]);
	return w.err;
}

void authenticate_results_clear(struct authenticate_results *results)
{
	for (size_t i = 0; i < results->count; i++)
		buf_clear(&results->texts[i]);
	results->count = 0;
}

enum err authenticate_format(const struct authenticate *a, struct buf *out)
{
	struct authenticate_results results;
	enum err err = authenticate_results(a, &results);
	if (err == ERR_OK)
		err = auth_results_format(view_from_cstr(a->options.config->authentication.authserv_id), results.views,
			results.count, out);
	authenticate_results_clear(&results);
	return err;
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
