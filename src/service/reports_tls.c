/* TLS reports (RFC 8460): what sessions with a domain's servers showed, as JSON, by mail or HTTPS to those its TLSRPT record names. */
#include "service/reports_private.h"
#include "service/reports_lookup.h"

#include "base/mem.h"
#include "dns/message.h"
#include "mailauth/tls_report.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX_BYTES 65536u
#define POST_TIMEOUT_MS 60000u
#define ADDRESSES_MAX 4u

static enum err build(struct store_job *job, struct db *db)
{
	return reports_tls_build((struct reports_task *)(void *)job, db);
}

/* The end: rows go with the message into the queue, or when somebody took the report over HTTPS. */

static enum err commit(struct store_job *job, struct db *db)
{
	struct reports_task *task = (struct reports_task *)(void *)job;
	enum err err = reports_tls_rows_remove(task, db);
	if (err == ERR_OK && task->mail != NULL)
		err = reports_mail_put(task, db);
	return err;
}

static void committed(struct store_job *job)
{
	struct reports_task *task = reports_task_of(job);
	if (task == NULL)
		return;
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_WARNING, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", job->detail));
		reports_task_end(task, REPORTS_LEFT);
		return;
	}
	bool is_sent = task->mail != NULL || task->was_posted;
	if (task->mail != NULL)
		reports_mail_sent(task);
	reports_task_end(task, is_sent ? REPORTS_SENT : REPORTS_UNWANTED);
}

static enum err make_mail(struct reports_task *task)
{
	struct buf name = { 0 };
	struct tls_report report = { .begin_s = task->begin_s, .end_s = task->end_s };
	enum err err = tls_report_file_name(
		&report, view_from_cstr(task->config->hostname), task->domain, view_from_cstr(task->id), &name);
	if (err == ERR_OK) {
		struct reports_mail mail = { .report_type = VIEW("tlsrpt"),
			.file_name = buf_view(&name),
			.file_type = VIEW("application/tlsrpt+gzip"),
			.what = "report about TLS with your mail servers" };
		err = reports_mail_make(task, &mail);
	}
	buf_clear(&name);
	return err;
}

/* HTTPS: one URL after the other. */

static void next_url(struct reports_task *task);

static void posted(void *owner, const struct https_answer *answer)
{
	struct reports_task *task = owner;
	const char *url = task->targets->list[task->at].url;
	task->request = NULL;
	if (answer->err == ERR_OK && answer->status >= 200 && answer->status < 300) {
		task->was_posted = true;
		LOG(LOG_LEVEL_INFO, "report-posted", LOG_TEXT("domain", task->domain), LOG_CSTR("url", url),
			LOG_CSTR("report", task->id));
	} else {
		LOG(LOG_LEVEL_INFO, "report-refused", LOG_TEXT("domain", task->domain), LOG_CSTR("url", url),
			LOG_NUM("status", answer->status),
			LOG_CSTR("reason", answer->err != ERR_OK ? answer->detail : "the server did not take it"));
	}
	task->at++;
	next_url(task);
}

/* "https://host:8443/path" → host and port; false if it is not a name, or nothing that can be looked up. */
static bool split_url(const char *url, char *ret_host, size_t room, unsigned *ret_port)
{
	struct view rest = view_from(view_from_cstr(url), sizeof "https://" - 1);
	struct view authority = rest;
	for (size_t i = 0; i < rest.len; i++)
		if (rest.ptr[i] == '/' || rest.ptr[i] == '?' || rest.ptr[i] == '#') {
			authority = view_sub(rest, 0, i);
			break;
		}
	size_t colon = view_find(authority, ':');
	struct view host = view_sub(authority, 0, colon);
	uint64_t port = 443;
	if (colon < authority.len && view_parse_u64(view_from(authority, colon + 1), 65535, &port) != ERR_OK)
		return false;
	if (host.len == 0 || host.len >= room || view_find(host, '@') < host.len || host.ptr[0] == '[')
		return false;
	memcpy(ret_host, host.ptr, host.len);
	ret_host[host.len] = '\0';
	*ret_port = (unsigned)port;
	return true;
}

static void post(struct reports_task *task, const char *resolve)
{
	struct https *https = background_https(task->reports->background);
	struct https_options options = {
		.url = task->targets->list[task->at].url,
		.ca_file = task->config->delivery.ca_file,
		.resolve = resolve,
		.body = buf_view(&task->file),
		.content_type = "application/tlsrpt+gzip",
		.body_max_bytes = ANSWER_MAX_BYTES,
		.timeout_ms = POST_TIMEOUT_MS,
	};
	task->request = https != NULL ? https_start(https, &options, posted, task) : NULL;
	if (task->request != NULL)
		return;
	LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain), LOG_CSTR("reason", err_detail()));
	task->at++;
	next_url(task);
}

static void take_addresses(struct reports_task *task, const struct resolver_answer *answer, uint16_t type)
{
	struct arena arena;
	struct dns_answer parsed = { 0 };
	struct net_address address;
	arena_init(&arena, ANSWER_MAX_BYTES);
	bool ok = answer->err == ERR_OK && answer->rcode == DNS_RCODE_NOERROR && !answer->bogus &&
		dns_answer_parse(answer->wire, type, &arena, &parsed) == ERR_OK;
	for (size_t i = 0; ok && i < parsed.record_count && i < ADDRESSES_MAX; i++) {
		if (net_address_from_bytes(parsed.records[i].data, 0, &address) != ERR_OK)
			continue;
		struct net_address_text ip = net_address_ip(&address);
		const char *before = task->address_count++ > 0 ? "," : "";
		enum err err = net_address_is_v6(&address)
			? buf_append_format(&task->resolve, "%s[%s]", before, ip.text)
			: buf_append_format(&task->resolve, "%s%s", before, ip.text);
		ASSERT(err == ERR_OK);
	}
	arena_clear(&arena);
}

static void ask(
	struct reports_task *task, uint16_t type, void (*answered)(void *owner, const struct resolver_answer *answer))
{
	char host[256];
	unsigned port;
	bool ok = split_url(task->targets->list[task->at].url, host, sizeof host, &port);
	ASSERT(ok); /* next_url() passes over others */
	task->query = resolver_ask(background_resolver(task->reports->background),
		resolver_share_named(RESOLVER_FOR_REPORTS, task->domain), host, type, answered, task);
}

static void aaaa_answered(void *owner, const struct resolver_answer *answer)
{
	struct reports_task *task = owner;
	task->query = NULL;
	take_addresses(task, answer, DNS_TYPE_AAAA);
	if (task->address_count > 0) {
		post(task, buf_cstr(&task->resolve));
		return;
	}
	LOG(LOG_LEVEL_INFO, "report-refused", LOG_TEXT("domain", task->domain),
		LOG_CSTR("url", task->targets->list[task->at].url), LOG_CSTR("reason", "its host has no address"));
	task->at++;
	next_url(task);
}

static void a_answered(void *owner, const struct resolver_answer *answer)
{
	struct reports_task *task = owner;
	task->query = NULL;
	take_addresses(task, answer, DNS_TYPE_A);
	ask(task, DNS_TYPE_AAAA, aaaa_answered);
}

/* All URLs were tried: mail takes the report too, if an address is there. */
static void end_of_urls(struct reports_task *task)
{
	bool has_url = false;
	for (size_t i = 0; i < task->targets->count; i++)
		has_url |= task->targets->list[i].url[0] != '\0';
	bool failed = make_mail(task) != ERR_OK || (task->mail == NULL && has_url);
	if (failed && !task->was_posted && !reports_task_is_last_try(task))
		reports_task_end(task, REPORTS_LEFT);
	else
		reports_task_job(task, true, commit, committed);
}

static void next_url(struct reports_task *task)
{
	char host[256];
	unsigned port;
	while (task->at < task->targets->count &&
		(task->targets->list[task->at].url[0] == '\0' ||
			!split_url(task->targets->list[task->at].url, host, sizeof host, &port)))
		task->at++;
	if (task->at == task->targets->count) {
		end_of_urls(task);
		return;
	}
	buf_reset(&task->resolve);
	task->address_count = 0;
	enum err err = buf_append_format(&task->resolve, "%s:%u:", host, port);
	ASSERT(err == ERR_OK);
	ask(task, DNS_TYPE_A, a_answered);
}

static void built(struct store_job *job)
{
	struct reports_task *task = reports_task_of(job);
	if (task == NULL)
		return;
	if (job->err == ERR_OK && task->rows == 0) {
		reports_task_job(task, true, commit, committed); /* what there was has expired meanwhile */
		return;
	}
	if (job->err == ERR_OK) {
		next_url(task);
		return;
	}
	LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain), LOG_CSTR("reason", job->detail));
	reports_task_end(task, REPORTS_LEFT);
}

static void targets_found(void *owner, const struct reports_targets *targets)
{
	struct reports_task *task = owner;
	task->lookup = NULL;
	if (targets->is_unsettled && !reports_task_is_last_try(task)) {
		reports_task_end(task, REPORTS_LEFT);
		return;
	}
	task->targets = mem_alloc(sizeof *task->targets);
	*task->targets = *targets;
	if (targets->count > 0)
		reports_task_job(task, false, build, built);
	else
		reports_task_job(task, true, commit, committed);
}

void reports_tls_begin(struct reports_task *task)
{
	struct background *background = task->reports->background;
	struct resolver *resolver = background_resolver(background);
	if (!task->config->reports.tls) {
		reports_task_job(task, true, commit, committed);
	} else if (resolver == NULL) {
		LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", err_detail()));
		reports_task_end(task, REPORTS_LEFT);
	} else {
		task->lookup = reports_lookup_tls(background->loop, resolver, task->domain, targets_found, task);
	}
}

void reports_tls_cancel(struct reports_task *task)
{
	resolver_cancel(task->query);
	https_cancel(task->request);
	task->query = NULL;
	task->request = NULL;
}
