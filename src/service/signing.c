#include "service/signing_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/header.h"
#include "queue/id.h"
#include "service/admin.h"

#include <stdatomic.h>

struct signing {
	pthread_mutex_t load_lock; /* over reading and replacing: an older reading never replaces a newer one */
	pthread_mutex_t lock; /* over `keys` */
	struct signing_keys *keys;
	_Atomic bool has_keys;
};

struct signing *signing_new(void)
{
	struct signing *signing = mem_alloc(sizeof *signing);
	pthread_mutex_init(&signing->load_lock, NULL);
	pthread_mutex_init(&signing->lock, NULL);
	return signing;
}

void signing_free(struct signing *signing)
{
	if (signing == NULL)
		return;
	signing_keys_unref(signing->keys);
	pthread_mutex_destroy(&signing->lock);
	pthread_mutex_destroy(&signing->load_lock);
	mem_free(signing);
}

enum err signing_load(struct signing *signing, struct db *db)
{
	struct signing_keys *keys = NULL, *old;
	pthread_mutex_lock(&signing->load_lock);
	old = signing->keys; /* only who has this lock replaces it */
	enum err err = signing_keys_load(db, old, &keys);
	if (err == ERR_OK) {
		pthread_mutex_lock(&signing->lock);
		signing->keys = keys;
		atomic_store(&signing->has_keys, signing_keys_count(keys) > 0);
		pthread_mutex_unlock(&signing->lock);
		signing_keys_unref(old);
	}
	pthread_mutex_unlock(&signing->load_lock);
	return err;
}

bool signing_has_keys(const struct signing *signing)
{
	return signing != NULL && atomic_load_explicit(&signing->has_keys, memory_order_relaxed);
}

struct signing_keys *signing_keys_now(struct signing *signing)
{
	pthread_mutex_lock(&signing->lock);
	struct signing_keys *keys = signing_keys_ref(signing->keys);
	pthread_mutex_unlock(&signing->lock);
	return keys;
}

/* The arithmetic, on a worker; outlives the message if that goes away meanwhile. */
struct job {
	struct worker_job work; /* first */
	struct signing_message *message; /* NULL: gone */
	struct server *server;
	struct dkim_signer *signer;
	struct signing_keys *keys; /* held for the signer */
	enum err err;
	struct buf fields;
};

struct signing_message {
	struct intake_tap tap;
	struct server *server;
	struct loop *loop;
	const struct config *config;
	const struct queue_message *envelope;
	struct buf account;
	const struct config_stream *stream; /* NULL: none */
	struct dkim_signer *signer; /* NULL: not signed */
	struct signing_keys *keys;
	struct buf domain;
	struct job *running;
	void (*done)(void *owner, enum err err, struct view fields);
	void *owner;
};

/* A signer for that domain with the keys that are there; NULL, and why not. Fed with the header section. */
static const char *start_signer(const struct signing_keys *keys, struct view domain, const struct config_stream *stream,
	struct view headers, struct dkim_signer **ret)
{
	struct dkim_sign_key chosen[DKIM_SIGN_KEYS_MAX];
	struct dkim_sign_options options = {
		.domain = domain, .keys = chosen, .now_s = (uint64_t)(clock_wall_ms() / 1000)
	};
	options.key_count = signing_keys_find(keys, domain, stream != NULL ? stream->dkim_selector_count : 0,
		stream != NULL ? stream->dkim_selectors : NULL, chosen);
	if (options.key_count == 0)
		return "the domain has no active key";
	struct dkim_signer *signer = NULL;
	enum err err = dkim_signer_new(&options, &signer);
	if (err == ERR_OK)
		err = dkim_signer_headers(signer, headers);
	if (err != ERR_OK) {
		dkim_signer_free(signer);
		return "the header section can't be signed";
	}
	*ret = signer;
	return NULL;
}

/* One message is one text: of several recipients the first who is in a stream counts. */
static const struct config_stream *stream_of(const struct signing_message *m)
{
	for (size_t i = 0; i < m->envelope->recipient_count; i++)
		if (m->envelope->recipients[i].stream.len > 0)
			return config_stream_named(m->config, m->envelope->recipients[i].stream);
	return NULL;
}

static const char *choose(struct signing_message *m, struct view headers)
{
	struct signing_question question = {
		.headers = headers, .account = buf_view(&m->account), .reverse_path = m->envelope->reverse_path
	};
	const struct config_stream *stream = m->stream = stream_of(m);
	if (stream == NULL || stream->dkim_domain == NULL)
		return signing_choose_domain(m->server->domains, &question, &m->domain);
	/* The operator vouches; still only for one author. */
	const char *wrong = header_count(headers, VIEW("From")) == 1 ? NULL : "there is not exactly one From field";
	/* Anybody may write the field, or to the recipient, that such a stream is chosen by. */
	if (wrong == NULL && stream->account_count == 0 && signing_is_of_another(m->server->domains, &question))
		wrong = "the account is not of the author's domain";
	if (wrong == NULL && admin_normalise_domain(view_from_cstr(stream->dkim_domain), &m->domain) != ERR_OK)
		wrong = "the stream's dkim_domain is malformed";
	return wrong;
}

/* Whoever has keys wants to know why a message went without. */
static void tell_unsigned(const struct signing_message *m, const char *why)
{
	struct queue_id_text id = queue_id_format(m->envelope->id);
	LOG(LOG_LEVEL_DEBUG, "unsigned", LOG_CSTR("id", id.text), LOG_CSTR("reason", why));
}

static void on_header(struct intake_tap *tap, const struct intake_header *header)
{
	struct signing_message *m = LIST_ENTRY(tap, struct signing_message, tap);
	struct buf both = { 0 };
	struct view headers = header->kept;
	const char *wrong = header->is_whole ? NULL : "the header section is too long";
	if (header->added.len > 0) {
		if (buf_append(&both, header->added) != ERR_OK || buf_append(&both, header->kept) != ERR_OK)
			wrong = "the header section is too long";
		headers = buf_view(&both);
	}
	if (wrong == NULL)
		wrong = choose(m, headers);
	if (wrong == NULL) {
		m->keys = signing_keys_now(m->server->signing);
		wrong = start_signer(m->keys, buf_view(&m->domain), m->stream, headers, &m->signer);
	}
	if (wrong != NULL)
		tell_unsigned(m, wrong);
	buf_clear(&both);
}

static void on_body(struct intake_tap *tap, struct view piece)
{
	struct signing_message *m = LIST_ENTRY(tap, struct signing_message, tap);
	if (m->signer == NULL)
		return;
	enum err err = dkim_signer_body(m->signer, piece);
	ASSERT(err == ERR_OK);
}

static void on_end(struct intake_tap *tap)
{
	(void)tap;
}

struct signing_message *signing_message_new(const struct signing_options *options)
{
	if (!options->config->dkim.sign || !signing_has_keys(options->server->signing))
		return NULL;
	struct signing_message *m = mem_alloc(sizeof *m);
	m->server = options->server;
	m->loop = options->loop;
	m->config = options->config;
	m->envelope = options->envelope;
	enum err err = buf_append(&m->account, options->account);
	ASSERT(err == ERR_OK); /* an address */
	list_init(&m->tap.link);
	m->tap.header = on_header;
	m->tap.body = on_body;
	m->tap.end = on_end;
	return m;
}

struct intake_tap *signing_message_tap(struct signing_message *message)
{
	return &message->tap;
}

static void sign(struct worker_job *work)
{
	struct job *job = (struct job *)(void *)work;
	job->err = dkim_signer_finish(job->signer, &job->fields);
}

static void job_done(struct worker_job *work)
{
	struct job *job = (struct job *)(void *)work;
	struct signing_message *m = job->message;
	struct server *server = job->server;
	if (m != NULL) {
		m->running = NULL;
		if (job->err == ERR_OK)
			TRACE(server->store, LOG_LEVEL_DEBUG, m->envelope->id, "signed",
				LOG_TEXT("domain", buf_view(&m->domain)));
		m->done(m->owner, job->err, buf_view(&job->fields));
	}
	dkim_signer_free(job->signer);
	signing_keys_unref(job->keys);
	buf_clear(&job->fields);
	mem_free(job);
	server_job_ended(server);
}

void signing_message_finish(
	struct signing_message *m, void (*done)(void *owner, enum err err, struct view fields), void *owner)
{
	if (m->signer == NULL) {
		done(owner, ERR_OK, VIEW_NONE);
		return;
	}
	struct job *job = mem_alloc(sizeof *job);
	job->message = m;
	job->server = m->server;
	job->signer = m->signer;
	job->keys = m->keys;
	m->signer = NULL;
	m->keys = NULL;
	m->done = done;
	m->owner = owner;
	m->running = job;
	job->work.work = sign;
	job->work.done = job_done;
	server_job_started(m->server);
	enum err err = worker_pool_run(m->server->workers, m->loop, &job->work);
	if (err == ERR_OK)
		return;
	/* More work than the workers can do: the client comes back later. */
	job->message = NULL;
	m->running = NULL;
	job_done(&job->work);
	done(owner, err, VIEW_NONE);
}

void signing_message_free(struct signing_message *m)
{
	if (m == NULL)
		return;
	if (m->running != NULL)
		m->running->message = NULL;
	list_remove(&m->tap.link);
	dkim_signer_free(m->signer);
	signing_keys_unref(m->keys);
	buf_clear(&m->account);
	buf_clear(&m->domain);
	mem_free(m);
}

enum err signing_sign_message(struct server *server, const struct config *config, struct view content, struct buf *out)
{
	if (!config->dkim.sign || !signing_has_keys(server->signing))
		return ERR_OK;
	size_t header_length = header_section_length(content);
	struct signing_question question = { .headers = view_sub(content, 0, header_length) };
	struct buf domain = { 0 };
	struct dkim_signer *signer = NULL;
	struct signing_keys *keys = signing_keys_now(server->signing);
	enum err err = ERR_OK;
	if (signing_choose_domain(server->domains, &question, &domain) == NULL &&
		start_signer(keys, buf_view(&domain), NULL, question.headers, &signer) == NULL) {
		err = dkim_signer_body(signer, view_from(content, header_length));
		if (err == ERR_OK)
			err = dkim_signer_finish(signer, out);
	}
	dkim_signer_free(signer);
	signing_keys_unref(keys);
	buf_clear(&domain);
	return err;
}
