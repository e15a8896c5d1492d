#include "service/testing_server.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/scan.h"
#include "service/dispatcher.h"
#include "service/streams.h"
#include "service/intake.h"
#include "store/directory_store.h"
#include "store/spool.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define WAIT_MS 60000

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static enum err add_names(struct db *db, const void *arg)
{
	(void)arg;
	enum err err = directory_domain_add(db, VIEW("here.example"));
	if (err == ERR_OK)
		err = directory_account_add(db, VIEW("joe@here.example"), VIEW_NONE);
	if (err == ERR_OK)
		err = directory_account_add(db, VIEW("ann@here.example"), VIEW_NONE);
	return err;
}

static void start(struct testing_server *t, bool is_first)
{
	struct server *s = &t->server;
	*s = (struct server){ 0 };
	pthread_mutex_init(&s->settings_lock, NULL);
	pthread_mutex_init(&s->limits_lock, NULL);
	s->config = config_ref(t->config);
	s->domains = domains_new();
	s->streams = streams_new(s);
	atomic_store(&s->body_memory.limit_bytes, (size_t)t->config->limits.body_memory_bytes);
	t->loop = loop_new("test");
	s->main_loop = t->loop;
	must(store_open(&(struct store_options){ .folder = t->folder }, &s->store));
	if (is_first) {
		must(db_begin(store_db(s->store)));
		must(add_names(store_db(s->store), NULL));
		must(db_commit(store_db(s->store)));
	}
	uint64_t last_id = 0;
	must(domains_load(s->domains, store_db(s->store)));
	must(queue_store_last_id(store_db(s->store), &last_id));
	must(streams_load(s->streams, store_db(s->store), clock_wall_ms()));
	atomic_store(&s->last_message_id, last_id);
	must(store_start(s->store));
	s->workers = worker_pool_new(4, 1000);
	s->dispatcher = dispatcher_new(s);
	if (s->dispatcher == NULL)
		fail_msg("%s", err_detail());
}

static void stop(struct testing_server *t)
{
	struct server *s = &t->server;
	dispatcher_stop(s->dispatcher, 5000);
	worker_pool_free(s->workers);
	dispatcher_free(s->dispatcher);
	store_close(s->store);
	loop_free(t->loop);
	streams_free(s->streams);
	domains_free(s->domains);
	config_unref(s->config);
	pthread_mutex_destroy(&s->settings_lock);
	pthread_mutex_destroy(&s->limits_lock);
	assert_int_equal(atomic_load(&s->jobs), 0);
	assert_int_equal(atomic_load(&s->body_memory.used_bytes), 0);
}

void testing_server_open(struct testing_server *t, const char *more)
{
	*t = (struct testing_server){ 0 };
	contract_make_folder(t->folder);
	struct buf text = { 0 }, errors = { 0 };
	must(buf_append_format(&text,
		"hostname = \"mail.here.example\"\ndata = \"%s\"\nlisten mx { address = \"127.0.0.1:2525\" }\n"
		"dns { servers = \"127.0.0.1@9\" timeout = \"1s\" }\nlog { level = \"error\" }\n%s\n",
		t->folder, more));
	t->config = config_parse(buf_view(&text), "test", &errors);
	if (t->config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_clear(&text);
	buf_clear(&errors);
	log_setup(LOG_TARGET_STDERR, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	start(t, true);
}

void testing_server_reopen(struct testing_server *t)
{
	stop(t);
	start(t, false);
}

void testing_server_close(struct testing_server *t)
{
	stop(t);
	log_flush();
	config_unref(t->config);
	contract_remove_folder(t->folder);
}

void testing_server_start_dispatcher(struct testing_server *t)
{
	must(dispatcher_start(t->server.dispatcher));
}

struct wait {
	struct testing_server *t;
	struct loop_timer timer;
	bool (*is_so)(void *arg);
	void *arg;
	int64_t end_ms;
	bool came;
};

static void look(void *owner)
{
	struct wait *w = owner;
	int64_t now_ms = loop_now_ms(w->t->loop);
	w->came = w->is_so(w->arg);
	if (w->came || now_ms > w->end_ms)
		loop_stop(w->t->loop);
	else
		loop_timer_set(&w->timer, now_ms + 2);
}

void testing_wait(struct testing_server *t, bool (*is_so)(void *arg), void *arg, const char *what)
{
	struct wait w = { .t = t, .is_so = is_so, .arg = arg, .end_ms = clock_monotonic_ms() + WAIT_MS };
	loop_timer_init(&w.timer, t->loop, look, &w);
	loop_timer_set(&w.timer, 0);
	loop_run(t->loop);
	loop_timer_clear(&w.timer);
	if (!w.came)
		fail_msg("gave up waiting for %s", what);
}

static void write_spool(struct testing_server *t, struct message *m, struct view body)
{
	int fd = -1;
	must(spool_create(t->folder, m->envelope.id, &fd, m->spool));
	must(spool_write(fd, body));
	must(spool_finish(t->folder, m->spool, fd));
}

struct commit {
	unsigned left;
	enum err err;
};

static void committed(void *owner, enum err err, const char *detail)
{
	(void)detail;
	struct commit *commit = owner;
	commit->left--;
	if (err != ERR_OK)
		commit->err = err;
}

static bool is_committed(void *arg)
{
	return ((struct commit *)arg)->left == 0;
}

static uint64_t submit(struct testing_server *t, const struct testing_mail *mail, struct commit *commit)
{
	struct message *m = message_new(&t->server.body_memory);
	struct queue_message *q = &m->envelope;
	struct view body = mail->body.len > 0 ? mail->body : VIEW("Subject: test\r\n\r\nhello\r\n");
	struct view to = view_from_cstr(mail->to), address;
	q->id = server_next_message_id(&t->server);
	q->reverse_path = message_keep(m, view_from_cstr(mail->from));
	q->source = VIEW("mx");
	q->smtputf8 = mail->smtputf8;
	q->body_type = mail->body_type;
	q->received_at_ms = clock_wall_ms();
	while (view_split(&to, ' ', &address)) {
		struct queue_recipient r = { .address = address, .notify = mail->notify };
		must(message_add_recipient(m, &r));
	}
	must(buf_append_cstr(&m->head, "Received: from test\r\n"));
	if (mail->spooled)
		write_spool(t, m, body);
	else
		must(buf_append(&m->body, body));
	q->size_bytes = m->head.len + body.len;
	uint64_t id = q->id;
	commit->left++;
	(void)intake_commit(&t->server, t->loop, m, committed, commit);
	return id;
}

static void wait_commits(struct testing_server *t, struct commit *commit)
{
	testing_wait(t, is_committed, commit, "a commit");
	must(commit->err);
}

uint64_t testing_submit(struct testing_server *t, const struct testing_mail *mail)
{
	struct commit commit = { 0 };
	uint64_t id = submit(t, mail, &commit);
	wait_commits(t, &commit);
	return id;
}

void testing_submit_many(struct testing_server *t, const struct testing_mail *mail, unsigned count)
{
	struct commit commit = { 0 };
	for (unsigned i = 0; i < count; i++)
		(void)submit(t, mail, &commit);
	wait_commits(t, &commit);
}

struct write {
	struct store_job job; /* first */
	enum err (*run)(struct db *db, const void *arg);
	const void *arg;
	bool done;
};

static enum err run_write(struct store_job *job, struct db *db)
{
	struct write *w = (struct write *)(void *)job;
	return w->run(db, w->arg);
}

static void write_done(struct store_job *job)
{
	((struct write *)(void *)job)->done = true;
}

static bool is_written(void *arg)
{
	return ((struct write *)arg)->done;
}

void testing_write(struct testing_server *t, enum err (*run)(struct db *db, const void *arg), const void *arg)
{
	struct write w = { .job = { .run = run_write, .done = write_done }, .run = run, .arg = arg };
	store_write(t->server.store, t->loop, &w.job);
	testing_wait(t, is_written, &w, "a write");
	if (w.job.err != ERR_OK)
		fail_msg("%s", w.job.detail);
}

int64_t testing_count(const struct testing_server *t, const char *sql)
{
	char url[128];
	struct db *db = NULL;
	snprintf(url, sizeof url, "sqlite:%s/postrider.db", t->folder);
	must(db_open(url, true, DB_SYNC_FULL, &db));
	int64_t n = contract_int(db, sql);
	db_close(db);
	return n;
}

struct count {
	const struct testing_server *t;
	const char *sql;
	int64_t wanted;
};

static bool is_count(void *arg)
{
	const struct count *c = arg;
	return testing_count(c->t, c->sql) == c->wanted;
}

void testing_wait_count(struct testing_server *t, const char *sql, int64_t wanted)
{
	struct count count = { t, sql, wanted };
	testing_wait(t, is_count, &count, sql);
}

void testing_wait_queue_empty(struct testing_server *t)
{
	testing_wait_count(t, "SELECT (SELECT COUNT(*) FROM message) + (SELECT COUNT(*) FROM recipient)", 0);
}

static void read_file(const char *path, struct buf *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n;
	buf_reset(ret);
	do {
		must(buf_reserve(ret, 65536));
		n = read(fd, ret->ptr + ret->len, 65536);
		assert_true(n >= 0);
		ret->len += (size_t)n;
	} while (n > 0);
	close(fd);
}

size_t testing_mailbox(const struct testing_server *t, const char *local, struct buf *ret)
{
	char folder[256], path[600];
	snprintf(folder, sizeof folder, "%s/mail/here.example/%s/new", t->folder, local);
	DIR *dir = opendir(folder);
	size_t count = 0;
	if (dir == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.') {
			count++;
			snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
			if (ret != NULL)
				read_file(path, ret);
		}
	closedir(dir);
	return count;
}

static size_t files_below(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;
	if (dir == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char path[600];
		snprintf(path, sizeof path, "%.300s/%s", folder, e->d_name);
		if (e->d_name[0] != '.')
			count += e->d_type == DT_DIR ? files_below(path) : 1;
	}
	closedir(dir);
	return count;
}

size_t testing_spool_files(const struct testing_server *t)
{
	char folder[128];
	snprintf(folder, sizeof folder, "%s/spool", t->folder);
	return files_below(folder);
}
