/*
 * What the store alone can do: durable messages put and settled through the group commit, with a number of jobs always waiting.
 *   store_bench FOLDER [messages] [waiting] [body bytes]
 * FOLDER should be on the disk to be measured; a store is made in it (an existing one is used, and left as it was found).
 * Prints one line per phase: put only, settle only, and both as the service does it (put, then settle when the put is answered).
 */
#include "base/clock.h"
#include "base/mem.h"
#include "queue/id.h"
#include "store/queue_store.h"
#include "store/store.h"

#include <sys/resource.h>

enum phase { PHASE_PUT, PHASE_SETTLE, PHASE_BOTH };

struct bench {
	struct store *store;
	struct loop *loop;
	enum phase phase;
	size_t messages, next, done;
	uint64_t first_id;
	struct view body;
	int64_t slowest_ms; /* answer */
};

struct client {
	struct store_job job;
	struct bench *bench;
	uint64_t id;
	int64_t asked_ms;
	bool settling;
};

static void die(const char *what)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, err_detail());
	exit(1);
}

static enum err run_put(struct store_job *job, struct db *db)
{
	struct client *client = (struct client *)job;
	int64_t now_ms = (int64_t)(client->id / 4096);
	struct queue_recipient recipient = { .address = VIEW("somebody.else@destination.example"),
		.due_at_ms = now_ms };
	struct queue_message message = { .id = client->id,
		.received_at_ms = now_ms,
		.reverse_path = VIEW("sender@origin.example"),
		.client = VIEW("192.0.2.1"),
		.source = VIEW("mx"),
		.size_bytes = client->bench->body.len + 150,
		.head = VIEW("Received: from client.example (client.example [192.0.2.1])\r\n\tby "
			     "mx.destination.example with ESMTP id "
			     "0123456789abc;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n"),
		.body = client->bench->body,
		.recipient_count = 1,
		.recipients = &recipient };
	return queue_store_put(db, &message);
}

static enum err run_settle(struct store_job *job, struct db *db)
{
	struct client *client = (struct client *)job;
	struct queue_outcome outcome = { .index = 0, .kind = QUEUE_SETTLED };
	char spool[64];
	return queue_store_settle(db, client->id, 1, &outcome, spool);
}

static void next_job(struct client *client)
{
	struct bench *bench = client->bench;
	client->job.run = client->settling ? run_settle : run_put;
	client->asked_ms = clock_monotonic_ms();
	store_write(bench->store, bench->loop, &client->job);
}

static void job_done(struct store_job *job)
{
	struct client *client = (struct client *)job;
	struct bench *bench = client->bench;
	if (job->err != ERR_OK) {
		fprintf(stderr, "store_bench: %s\n", job->detail);
		exit(1);
	}
	int64_t took_ms = clock_monotonic_ms() - client->asked_ms;
	if (took_ms > bench->slowest_ms)
		bench->slowest_ms = took_ms;
	if (bench->phase == PHASE_BOTH && !client->settling) {
		client->settling = true;
		next_job(client);
		return;
	}
	if (++bench->done == bench->messages)
		loop_stop(bench->loop);
	if (bench->next == bench->messages)
		return;
	client->id = bench->first_id + bench->next++;
	client->settling = bench->phase == PHASE_SETTLE;
	next_job(client);
}

static int64_t cpu_us(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
		usage.ru_stime.tv_usec;
}

/* What this process sent towards the disk, from /proc; 0 where that is not told. */
static uint64_t written_bytes(void)
{
	char text[512];
	FILE *file = fopen("/proc/self/io", "re");
	size_t len = file != NULL ? fread(text, 1, sizeof text, file) : 0;
	if (file != NULL)
		fclose(file);
	struct view rest = view_of(text, len), line;
	uint64_t bytes = 0;
	while (view_split(&rest, '\n', &line))
		if (view_starts_with(line, VIEW("write_bytes: ")) &&
			view_parse_u64(view_from(line, 13), UINT64_MAX, &bytes) != ERR_OK)
			bytes = 0;
	return bytes;
}

static void run_phase(struct bench *bench, enum phase phase, size_t waiting, const char *name)
{
	struct client *clients = mem_alloc_array(waiting, sizeof *clients);
	struct store_counts before = store_counts(bench->store);
	int64_t wall = clock_monotonic_ms(), cpu = cpu_us();
	uint64_t written = written_bytes();
	bench->phase = phase;
	bench->done = 0;
	bench->slowest_ms = 0;
	bench->next = waiting < bench->messages ? waiting : bench->messages;
	for (size_t i = 0; i < bench->next; i++) {
		clients[i] = (struct client){
			.bench = bench, .id = bench->first_id + i, .settling = phase == PHASE_SETTLE
		};
		clients[i].job.done = job_done;
		next_job(&clients[i]);
	}
	loop_run(bench->loop);
	wall = clock_monotonic_ms() - wall;
	cpu = cpu_us() - cpu;
	written = written_bytes() - written;
	struct store_counts after = store_counts(bench->store);
	double messages = (double)bench->messages;
	printf("%-14s %8.0f messages/s %7.1f CPU us/message %7.4f commits/message %5.0f jobs/commit %5.1f KiB "
	       "written/message, slowest %lld ms\n",
		name, messages * 1000 / (double)(wall > 0 ? wall : 1), (double)cpu / messages,
		(double)(after.commits - before.commits) / messages,
		(double)(after.jobs - before.jobs) / (double)(after.commits - before.commits),
		(double)written / 1024 / messages, (long long)bench->slowest_ms);
	mem_free(clients);
}

static size_t argument(int argc, char **argv, int index, size_t otherwise)
{
	uint64_t value = otherwise;
	if (argc > index && (view_parse_u64(view_from_cstr(argv[index]), 1u << 30, &value) != ERR_OK || value == 0)) {
		fprintf(stderr, "store_bench: %s is not a number\n", argv[index]);
		exit(1);
	}
	return (size_t)value;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: store_bench FOLDER [messages] [waiting] [body bytes]\n");
		return 1;
	}
	struct bench bench = { .messages = argument(argc, argv, 2, 50000) };
	size_t waiting = argument(argc, argv, 3, 500), body_bytes = argument(argc, argv, 4, 4096);
	uint8_t *body = mem_alloc(body_bytes);
	for (size_t i = 0; i < body_bytes; i++)
		body[i] = i % 78 == 77 ? '\n' : (uint8_t)('a' + i % 26);
	bench.body = view_of(body, body_bytes);
	struct store_options options = { .folder = argv[1] };
	if (store_open(&options, &bench.store) != ERR_OK)
		die("cannot open the store");
	uint64_t last = 0;
	if (queue_store_last_id(store_db(bench.store), &last) != ERR_OK)
		die("cannot read the queue");
	bench.first_id = queue_id_next(last, clock_wall_ms());
	bench.loop = loop_new("bench");
	if (bench.loop == NULL || store_start(bench.store) != ERR_OK)
		die("cannot start");
	run_phase(&bench, PHASE_BOTH, waiting, "put + settle");
	run_phase(&bench, PHASE_PUT, waiting, "put");
	run_phase(&bench, PHASE_SETTLE, waiting, "settle");
	run_phase(&bench, PHASE_BOTH, waiting, "put + settle");
	store_close(bench.store);
	loop_free(bench.loop);
	mem_free(body);
	return 0;
}
