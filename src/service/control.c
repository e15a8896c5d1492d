#include "service/control.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/stream.h"
#include "queue/id.h"
#include "service/admin.h"
#include "service/admin_live.h"
#include "service/dispatcher.h"
#include "service/signing.h"
#include "service/signing_publisher.h"
#include "service/reports.h"
#include "store/site_map.h"
#include "store/spool.h"

#define SESSIONS_MAX 32u
#define LINGER_MS 2000u
/* Many changes in a row (a long queue worked through in bites) must not make the dispatcher begin again for each. */
#define RELOAD_EVERY_MS 500
#define ANSWER_MAX_BYTES (64u * 1024 * 1024)

struct control {
	struct server *server;
	struct listener *listener;
	struct list sessions;
	size_t count;
	struct list jobs;
	struct loop_timer reload_timer;
	int64_t reload_after_ms; /* the dispatcher looks at the queue again at once after this, else when the timer fires */
};

struct control_session {
	struct list link;
	struct control *control;
	struct stream *stream;
	struct buf line;
	struct control_job *job; /* the request under way */
};

struct control_job {
	struct store_job job; /* first */
	struct store_job domains_job;
	struct dispatcher_follow follow;
	struct list link; /* in control->jobs */
	struct control *control; /* NULL: it was stopped meanwhile */
	struct control_session *session; /* NULL: the client went away; what it asked for is done all the same */
	struct server *server;
	struct config *config;
	json_t *request;
	json_t *result;
	struct dispatcher_status
		*status; /* being asked for, before the rest is read from the store; NULL: none is wanted */
	struct dispatcher_sites sites; /* the same; its map is NULL where none is wanted */
	struct admin_effects effects;
};

static void session_free(struct control_session *session)
{
	if (session->job != NULL)
		session->job->session = NULL;
	stream_free(session->stream);
	buf_clear(&session->line);
	list_remove(&session->link);
	session->control->count--;
	mem_free(session);
}

static void answer(struct control_session *session, enum err err, const char *detail, const json_t *result)
{
	struct buf out;
	buf_init(&out, ANSWER_MAX_BYTES);
	if (admin_format_answer(err, detail, result, &out) != ERR_OK &&
		admin_format_answer(ERR_LIMIT, "The answer is too large: ask for less at once (--limit)", NULL, &out) !=
			ERR_OK)
		buf_reset(&out);
	stream_write(session->stream, buf_view(&out));
	buf_clear(&out);
	stream_close_after_write(session->stream, LINGER_MS);
	session->stream = NULL;
	session_free(session);
}

static void job_end(struct control_job *job)
{
	if (job->session != NULL) {
		job->session->job = NULL;
		answer(job->session, job->job.err, job->job.detail, job->result);
	}
	json_decref(job->request);
	json_decref(job->result);
	admin_effects_clear(&job->effects);
	mem_free(job->status);
	site_map_free(job->sites.map);
	config_unref(job->config);
	list_remove(&job->link);
	server_job_ended(job->server);
	mem_free(job);
}

static enum err run_request(struct store_job *store_job, struct db *db)
{
	struct control_job *job = (struct control_job *)(void *)store_job;
	json_decref(job->result);
	job->result = NULL;
	admin_effects_clear(&job->effects);
	struct admin_context context = {
		.now_ms = clock_wall_ms(),
		.data_folder = store_folder(job->server->store),
		.postmaster = job->config->postmaster,
		.config = job->config,
		.sites = job->sites.map,
		.is_running = true,
		.dkim_unchecked = !job->config->dkim.check_published,
	};
	enum err err = admin_run(db, &context, job->request, &job->result, &job->effects);
	if (err == ERR_OK && job->status != NULL)
		admin_add_status(job->result, job->status, &job->server->totals);
	return err;
}

static enum err load_domains(struct store_job *store_job, struct db *db)
{
	struct control_job *job = LIST_ENTRY(store_job, struct control_job, domains_job);
	enum err err = domains_load(job->server->domains, db);
	return err == ERR_OK ? signing_load(job->server->signing, db) : err;
}

static void domains_loaded(struct store_job *store_job)
{
	struct control_job *job = LIST_ENTRY(store_job, struct control_job, domains_job);
	if (store_job->err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "domains-unreadable", LOG_CSTR("reason", store_job->detail));
	if (job->effects.dkim_changed)
		signing_publisher_poke(job->server->background->publisher);
	job_end(job);
}

static void reload_queue(void *owner)
{
	struct control *control = owner;
	dispatcher_reload_queue(control->server->dispatcher);
	control->reload_after_ms = loop_now_ms(control->server->main_loop) + RELOAD_EVERY_MS;
}

static void reload_queue_soon(struct control *control)
{
	if (control == NULL)
		return; /* the server stops, and nothing more is delivered */
	if (loop_now_ms(control->server->main_loop) >= control->reload_after_ms)
		reload_queue(control);
	else
		loop_timer_set(&control->reload_timer, control->reload_after_ms);
}

static void add_event(void *owner, const struct store_event *event)
{
	struct server *server = owner;
	struct queue_id_text id = queue_id_format(event->message_id);
	LOG(LOG_LEVEL_INFO, event->event, LOG_CSTR("id", id.text), LOG_CSTR("by", "operator"));
	store_event_add(server->store, event);
}

static void suspensions_followed(struct dispatcher_follow *follow)
{
	job_end(LIST_ENTRY(follow, struct control_job, follow));
}

/* The change is durable; the running server follows it before the client hears of it. */
static void request_done(struct store_job *store_job)
{
	struct control_job *job = (struct control_job *)(void *)store_job;
	struct server *server = job->server;
	if (store_job->err == ERR_OK) {
		for (size_t i = 0; i < job->effects.spool_count; i++)
			spool_remove(store_folder(server->store), job->effects.spools[i].name);
		if (job->effects.queue_changed)
			reload_queue_soon(job->control);
		admin_effects_events(&job->effects, clock_wall_ms(), add_event, server);
		if (job->effects.reports_wanted)
			reports_send_now(server, job->effects.reports_day);
		if (job->effects.suspensions_changed && job->control != NULL) {
			dispatcher_follow_suspensions(
				server->dispatcher, server->main_loop, &job->follow, suspensions_followed);
			return;
		}
		if (job->effects.directory_changed || job->effects.dkim_changed) {
			job->domains_job.run = load_domains;
			job->domains_job.done = domains_loaded;
			store_read(server->store, server->main_loop, &job->domains_job);
			return;
		}
	}
	job_end(job);
}

static void submit(struct control_job *job)
{
	struct server *server = job->server;
	if (admin_request_writes(job->request))
		store_write(server->store, server->main_loop, &job->job);
	else if (admin_request_scans(job->request))
		store_scan(server->store, server->main_loop, &job->job);
	else
		store_read(server->store, server->main_loop, &job->job);
}

static void status_known(struct dispatcher_status *status)
{
	submit(status->owner);
}

static void sites_known(struct dispatcher_sites *sites)
{
	submit(sites->owner);
}

static void start_request(struct control_session *session, struct view line)
{
	struct server *server = session->control->server;
	json_t *request = admin_parse_request(line);
	if (request == NULL) {
		answer(session, ERR_SYNTAX, err_detail(), NULL);
		return;
	}
	struct control_job *job = mem_alloc(sizeof *job);
	job->session = session;
	job->control = session->control;
	list_append(&session->control->jobs, &job->link);
	job->server = server;
	job->config = server_config(server);
	job->request = request;
	job->job.run = run_request;
	job->job.done = request_done;
	session->job = job;
	server_job_started(server);
	if (admin_request_is_live(request)) {
		job->status = mem_alloc(sizeof *job->status);
		job->status->owner = job;
		dispatcher_ask_status(server->dispatcher, server->main_loop, job->status, status_known);
		return;
	}
	if (admin_request_wants_sites(request)) {
		job->sites.owner = job;
		dispatcher_ask_sites(server->dispatcher, server->main_loop, &job->sites, sites_known);
		return;
	}
	submit(job);
}

static size_t on_input(void *owner, struct view in)
{
	struct control_session *session = owner;
	if (session->job != NULL)
		return in.len; /* one request per connection */
	size_t newline = view_find(in, '\n');
	if (buf_append(&session->line, view_sub(in, 0, newline)) != ERR_OK)
		answer(session, ERR_LIMIT, "The request is too long", NULL);
	else if (newline < in.len)
		start_request(session, buf_view(&session->line));
	return in.len;
}

static void on_closed(void *owner, enum err err)
{
	(void)err;
	session_free(owner);
}

static const struct stream_handler stream_handler = { .input = on_input, .closed = on_closed };

static void on_accept(void *owner, int fd, const struct net_address *peer)
{
	(void)peer;
	struct control *control = owner;
	struct control_session *session = mem_alloc(sizeof *session);
	session->control = control;
	buf_init(&session->line, ADMIN_REQUEST_MAX_BYTES);
	list_append(&control->sessions, &session->link);
	control->count++;
	session->stream = stream_accept(control->server->main_loop, fd, &stream_handler, session);
	if (control->count > SESSIONS_MAX)
		answer(session, ERR_LIMIT, "Too many administrators at once, try again", NULL);
}

struct control *control_start(struct server *server, int fd)
{
	struct control *control = mem_alloc(sizeof *control);
	control->server = server;
	list_init(&control->sessions);
	list_init(&control->jobs);
	loop_timer_init(&control->reload_timer, server->main_loop, reload_queue, control);
	control->listener = listener_start(server->main_loop, fd, on_accept, control);
	return control;
}

void control_stop(struct control *control)
{
	if (control == NULL)
		return;
	listener_stop(control->listener);
	loop_timer_clear(&control->reload_timer);
	while (!list_is_empty(&control->sessions))
		session_free(LIST_ENTRY(control->sessions.next, struct control_session, link));
	struct list *link;
	while ((link = list_take_first(&control->jobs)) != NULL) {
		list_init(link);
		LIST_ENTRY(link, struct control_job, link)->control = NULL;
	}
	mem_free(control);
}
