#include "service/smtp_in_lookup.h"

#include "base/mem.h"
#include "mail/address.h"

#include <idn2.h>

#define LOOKUP_ARENA_BYTES (4u * 1024 * 1024)

static enum err find(struct store_job *job, struct db *db)
{
	struct lookup *l = (struct lookup *)(void *)job;
	return directory_find(db, &l->options, l->local, l->domain, &l->arena, &l->result);
}

static void lookup_free(struct lookup *lookup)
{
	arena_clear(&lookup->arena);
	mem_free(lookup);
}

static void found(struct store_job *job)
{
	struct lookup *l = (struct lookup *)(void *)job;
	struct smtp_in *session = l->session;
	if (session != NULL) {
		session->lookup = NULL;
		l->then(session, l);
	}
	server_job_ended(l->server);
	lookup_free(l);
}

static struct view keep(struct lookup *lookup, struct view bytes)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&lookup->arena, bytes, &copy);
	ASSERT(err == ERR_OK); /* the engine bounds what it hands out */
	return copy;
}

/* The directory knows A-labels. */
static struct view keep_domain(struct lookup *lookup, struct view domain)
{
	if (view_is_ascii(domain))
		return keep(lookup, domain);
	char *utf8 = view_to_cstr(domain);
	char *a_labels = NULL;
	struct view kept = VIEW_NONE;
	if (idn2_to_ascii_8z(utf8, &a_labels, IDN2_NONTRANSITIONAL) == IDN2_OK)
		kept = keep(lookup, view_from_cstr(a_labels));
	idn2_free(a_labels);
	mem_free(utf8);
	return kept;
}

void smtp_in_lookup(struct smtp_in *session, const struct smtp_event *event,
	void (*then)(struct smtp_in *session, const struct lookup *lookup))
{
	ASSERT(session->lookup == NULL);
	struct lookup *l = mem_alloc(sizeof *l);
	arena_init(&l->arena, LOOKUP_ARENA_BYTES);
	l->session = session;
	l->then = then;
	struct address address = { .local = event->local, .domain = event->domain };
	address.local_is_quoted = event->local.len > 0 && event->local.ptr[0] == '"';
	struct buf local = { 0 };
	enum err err = address_local_value(&address, &local);
	ASSERT(err == ERR_OK);
	l->local = keep(l, buf_view(&local));
	buf_clear(&local);
	char first[ADDRESS_DOMAIN_MAX_BYTES + 1];
	if (event->domain.len > 0)
		l->domain = keep_domain(l, event->domain);
	else if (domains_first(session->server->domains, first, sizeof first))
		l->domain = keep(l, view_from_cstr(first)); /* "postmaster" alone (RFC 5321 §4.5.1) */
	l->address = keep(l, event->address);
	l->rcpt.notify = event->rcpt.notify;
	l->rcpt.orcpt = keep(l, event->rcpt.orcpt);
	l->options.delimiter = keep(l, view_from_cstr(session->config->recipient_delimiter));
	l->options.postmaster = keep(l, view_from_cstr(session->config->postmaster));
	l->job.run = find;
	l->job.done = found;
	l->server = session->server;
	server_job_started(l->server);
	session->lookup = l;
	store_read(session->server->store, session->receiver->loop, &l->job);
}

void smtp_in_lookup_cancel(struct smtp_in *session)
{
	if (session->lookup != NULL)
		session->lookup->session = NULL;
	session->lookup = NULL;
}
