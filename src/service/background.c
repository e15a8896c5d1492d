#include "service/background.h"

#include "base/mem.h"
#include "service/reports.h"
#include "service/signing_publisher.h"
#include "service/site_pruner.h"

static void *run(void *arg)
{
	struct background *background = arg;
	loop_run(background->loop);
	return NULL;
}

static void start_now(struct loop_task *task)
{
	struct background *background = LIST_ENTRY(task, struct background, start_task);
	reports_start(background->reports);
	signing_publisher_start(background->publisher);
	site_pruner_start(background->pruner);
}

static void end_if_idle(struct background *background)
{
	if (background->stopping && background->jobs == 0)
		loop_stop(background->loop);
}

static void stop_now(struct loop_task *task)
{
	struct background *background = LIST_ENTRY(task, struct background, stop_task);
	reports_stop(background->reports);
	signing_publisher_stop(background->publisher);
	site_pruner_stop(background->pruner);
	https_free(background->https);
	background->https = NULL;
	resolver_free(background->resolver);
	background->resolver = NULL;
	atomic_store(&background->stopping, true);
	end_if_idle(background);
}

struct background *background_new(struct server *server)
{
	struct background *background = mem_alloc(sizeof *background);
	background->server = server;
	background->start_task.run = start_now;
	background->stop_task.run = stop_now;
	background->loop = loop_new("background");
	if (background->loop == NULL) {
		mem_free(background);
		return NULL;
	}
	background->reports = reports_new(background);
	background->publisher = signing_publisher_new(background);
	background->pruner = site_pruner_new(background);
	return background;
}

enum err background_start(struct background *background)
{
	loop_post(background->loop, &background->start_task);
	if (pthread_create(&background->thread, NULL, run, background) != 0)
		return err_set(ERR_IO, "cannot start the background thread: the system's limit on threads is reached");
	background->started = true;
	return ERR_OK;
}

void background_stop(struct background *background)
{
	if (background == NULL || !background->started)
		return;
	loop_post(background->loop, &background->stop_task);
	pthread_join(background->thread, NULL);
	background->started = false;
}

void background_free(struct background *background)
{
	if (background == NULL)
		return;
	atomic_store(&background->stopping, true);
	reports_free(background->reports);
	signing_publisher_free(background->publisher);
	site_pruner_free(background->pruner);
	https_free(background->https);
	resolver_free(background->resolver);
	loop_free(background->loop);
	mem_free(background);
}

struct resolver *background_resolver(struct background *background)
{
	if (background->resolver != NULL)
		return background->resolver;
	struct config *config = server_config(background->server);
	struct resolver_options options = {
		.server_count = config->dns.server_count,
		.servers = config->dns.servers,
		.trust_anchor_file = config->dns.trust_anchor_file,
		.timeout_ms = config->dns.timeout_ms,
	};
	background->resolver = resolver_new(background->loop, &options);
	config_unref(config);
	return background->resolver;
}

struct https *background_https(struct background *background)
{
	if (background->https == NULL)
		background->https = https_new(background->loop);
	return background->https;
}

void background_job_started(struct background *background)
{
	background->jobs++;
}

void background_job_ended(struct background *background)
{
	ASSERT(background->jobs > 0);
	background->jobs--;
	end_if_idle(background);
}
