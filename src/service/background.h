/*
 * The background thread: daily and slow jobs that nobody waits for (reports), on a loop with a resolver of its own, so that they are never in the
 * way of mail.
 */
#ifndef SERVICE_BACKGROUND_H
#define SERVICE_BACKGROUND_H

#include "net/https.h"
#include "net/resolver.h"
#include "service/server_private.h"

struct reports;
struct signing_publisher;
struct site_pruner;

struct background {
	struct server *server;
	struct loop *loop;
	pthread_t thread;
	bool started;
	/* On the thread, made when they are first needed. */
	struct resolver *resolver;
	struct https *https;
	struct reports *reports;
	struct signing_publisher *publisher;
	struct site_pruner *pruner;
	uint32_t jobs; /* store jobs under way */
	_Atomic bool stopping;
	_Atomic size_t report_bytes; /* of reports that wait to be read */
	struct loop_task start_task, stop_task;
};

/* NULL with err_detail(). */
struct background *background_new(struct server *server);
enum err background_start(struct background *background) MUST_CHECK;
/* Ends what is under way, writes what has to be written, ends the thread. NULL is fine. The store must still run. */
void background_stop(struct background *background);
/* Other threads may have posted to its loop until now. NULL is fine. */
void background_free(struct background *background);

/* On its thread: NULL with err_detail() when the system refuses. */
struct resolver *background_resolver(struct background *background);
struct https *background_https(struct background *background);
/* A store job began, ended: the last one lets the thread end. */
void background_job_started(struct background *background);
void background_job_ended(struct background *background);

#endif
