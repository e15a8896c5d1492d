/* The dispatcher with a real store in a folder: mailboxes here, and a mail server on loopback. */
#include "service/dispatcher.h"

#include "base/clock.h"
#include "base/mem.h"
#include "queue/id.h"
#include "service/signing.h"
#include "service/testing_peer.h"
#include "service/testing_server.h"
#include "store/directory_store.h"
#include "store/dkim_store.h"
#include "store/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_RECIPIENTS "SELECT COUNT(*) FROM recipient"
#define COUNT_TRIED "SELECT COUNT(*) FROM recipient WHERE attempts > 0"

static struct testing_server t;
static struct testing_peer peer;

static void open_server(const char *more)
{
	char text[1024];
	testing_peer_start(&peer);
	snprintf(text, sizeof text,
		"queue { retry_first = \"100ms\" retry_max = \"200ms\" %s }\n"
		"delivery { idle = \"50ms\" }\n"
		"smarthost peer { host = \"127.0.0.1\" port = %u tls = \"clear\" domains = \"*\" }\n",
		more, peer.port);
	testing_server_open(&t, text);
}

static int setup(void **state)
{
	(void)state;
	open_server("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(testing_spool_files(&t), 0);
	testing_server_close(&t);
	testing_peer_stop(&peer);
	return 0;
}

/* Mail of joe's cannot be written as long as there is a file in the mailbox's place. */
static const char *joes_folder(void)
{
	static char path[200];
	snprintf(path, sizeof path, "%s/mail/here.example/joe", t.folder);
	return path;
}

static void break_joe(void)
{
	char path[200];
	snprintf(path, sizeof path, "%s/mail", t.folder);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/mail/here.example", t.folder);
	(void)mkdir(path, 0700);
	int fd = open(joes_folder(), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void mend_joe(void)
{
	assert_int_equal(unlink(joes_folder()), 0);
}

static void to_mailboxes(void **state)
{
	(void)state;
	testing_server_start_dispatcher(&t);
	testing_submit(&t, &(struct testing_mail){ .from = "a@b.example", .to = "joe@here.example ann@here.example" });
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "joe", &got), 1);
	assert_string_equal(
		buf_cstr(&got), "Return-Path: <a@b.example>\nReceived: from test\nSubject: test\n\nhello\n");
	assert_int_equal(testing_mailbox(&t, "ann", NULL), 1);
	buf_clear(&got);
}

/* What the process knew is gone; what is on disk is delivered. */
static void after_a_restart(void **state)
{
	(void)state;
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example ann@here.example" });
	testing_server_reopen(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 0);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 1);
	assert_int_equal(testing_mailbox(&t, "ann", NULL), 1);
}

static struct view large_body(size_t len)
{
	static char *text;
	mem_free(text);
	text = mem_alloc(len);
	static const char header[] = "Subject: large\r\n\r\n";
	memset(text, 'x', len);
	memcpy(text, header, sizeof header - 1);
	for (size_t i = 100; i + 2 < len; i += 70)
		memcpy(text + i, "\r\n", 2);
	memcpy(text + len - 2, "\r\n", 2);
	return view_of(text, len);
}

static size_t without_cr(struct view v)
{
	size_t n = 0;
	for (size_t i = 0; i < v.len; i++)
		n += v.ptr[i] != '\r';
	return n;
}

static void spooled_to_a_mailbox_and_away(void **state)
{
	(void)state;
	struct view body = large_body(300000);
	struct testing_mail mail = {
		.from = "", .to = "joe@here.example x@far.example ann@here.example", .body = body, .spooled = true
	};
	testing_submit(&t, &mail);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	size_t front = strlen("Return-Path: <>\nReceived: from test\n");
	assert_int_equal(testing_mailbox(&t, "joe", &got), 1);
	assert_int_equal(got.len, front + without_cr(body));
	assert_int_equal(testing_mailbox(&t, "ann", &got), 1);
	assert_int_equal(got.len, front + without_cr(body));
	assert_int_equal(atomic_load(&peer.messages), 1);
	buf_clear(&got);
	testing_server_reopen(&t); /* the worker that unlinks has finished with that */
}

static enum err remove_ann(struct db *db, const void *arg)
{
	(void)arg;
	return directory_account_remove(db, VIEW("ann@here.example"));
}

/* The mailbox went away after the message was accepted: its sender is told. */
static void mailbox_is_gone(void **state)
{
	(void)state;
	testing_submit(&t, &(struct testing_mail){ .from = "joe@here.example", .to = "ann@here.example" });
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "ann@here.example" }); /* nobody to tell */
	testing_submit(&t, &(struct testing_mail){ .from = "joe@here.example", .to = "ann@here.example", .notify = 1 });
	testing_write(&t, remove_ann, NULL);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "joe", &got), 1);
	assert_non_null(strstr(buf_cstr(&got), "Return-Path: <>"));
	assert_non_null(strstr(buf_cstr(&got), "Final-Recipient: rfc822; ann@here.example"));
	assert_non_null(strstr(buf_cstr(&got), "Status: 5.1.1"));
	assert_non_null(strstr(buf_cstr(&got), "Subject: test"));
	buf_clear(&got);
}

/* The sender is told also when the message itself can't be read any more, and the queue goes on. */
static void bounce_without_the_body(void **state)
{
	(void)state;
	struct testing_mail mail = {
		.from = "joe@here.example", .to = "ann@here.example", .body = large_body(100000), .spooled = true
	};
	testing_submit(&t, &mail);
	testing_write(&t, remove_ann, NULL);
	testing_server_reopen(&t);
	char find[200];
	snprintf(find, sizeof find, "find %s/spool -type f -delete", t.folder);
	assert_int_equal(system(find), 0);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "joe", &got), 1);
	assert_non_null(strstr(buf_cstr(&got), "Final-Recipient: rfc822; ann@here.example"));
	buf_clear(&got);
}

static enum err make_ann_an_alias(struct db *db, const void *arg)
{
	(void)arg;
	enum err err = directory_account_remove(db, VIEW("ann@here.example"));
	static const char *const targets[] = { "joe@here.example", "bob@here.example", "x@far.example",
		"y@far.example" };
	if (err == ERR_OK)
		err = directory_account_add(db, VIEW("bob@here.example"), VIEW_NONE);
	for (size_t i = 0; i < 4 && err == ERR_OK; i++)
		err = directory_alias_add(db, VIEW("ann@here.example"), view_from_cstr(targets[i]));
	return err;
}

/* An alias took the mailbox's place: all its targets get the message, those that were recipients anyway just once. */
static void mailbox_became_an_alias(void **state)
{
	(void)state;
	testing_submit(
		&t, &(struct testing_mail){ .from = "", .to = "joe@here.example ann@here.example y@far.example" });
	testing_submit(&t,
		&(struct testing_mail){
			.from = "", .to = "ann@here.example", .body = large_body(90000), .spooled = true });
	testing_write(&t, make_ann_an_alias, NULL);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "ann", NULL), 0);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 2);
	assert_int_equal(testing_mailbox(&t, "bob", NULL), 2);
	assert_int_equal(atomic_load(&peer.recipients), 4);
	testing_server_reopen(&t);
}

static enum err make_ann_lead_away(struct db *db, const void *arg)
{
	(void)arg;
	enum err err = directory_account_remove(db, VIEW("ann@here.example"));
	return err == ERR_OK ? directory_alias_add(db, VIEW("ann@here.example"), VIEW("x@far.example")) : err;
}

/* The mail that an alias leads away now has a return address of ours, as if the alias had been there before; mail to others keeps its own. */
static void mailbox_is_led_away(void **state)
{
	(void)state;
	testing_submit(&t, &(struct testing_mail){ .from = "a@b.example", .to = "ann@here.example y@far.example" });
	testing_submit(&t, &(struct testing_mail){ .from = "joe@here.example", .to = "ann@here.example" });
	testing_write(&t, make_ann_lead_away, NULL);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 3);
	assert_int_equal(atomic_load(&peer.srs_senders), 1);
}

static enum err make_ann_one_of_the_others(struct db *db, const void *arg)
{
	(void)arg;
	enum err err = directory_account_remove(db, VIEW("ann@here.example"));
	if (err == ERR_OK)
		err = directory_alias_add(db, VIEW("ann@here.example"), VIEW("joe@here.example"));
	if (err == ERR_OK)
		err = directory_alias_add(db, VIEW("ann@here.example"), VIEW("y@far.example"));
	return err;
}

static void alias_of_those_who_have_it(void **state)
{
	(void)state;
	testing_submit(
		&t, &(struct testing_mail){ .from = "", .to = "ann@here.example joe@here.example y@far.example" });
	testing_write(&t, make_ann_one_of_the_others, NULL);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 1);
	assert_int_equal(atomic_load(&peer.recipients), 1);
}

static void tried_until_it_works(void **state)
{
	(void)state;
	break_joe();
	testing_server_start_dispatcher(&t);
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example" });
	testing_wait_count(&t,
		"SELECT COUNT(*) FROM recipient WHERE attempts >= 3 AND last_reply LIKE '451 4.3.0 %no folder%'", 1);
	mend_joe();
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 1);
}

static bool peer_waits(void *arg)
{
	return atomic_load(&peer.waiting) >= *(unsigned *)arg;
}

/* One recipient is deferred and due again while another of the same message is still under way. */
static void due_while_others_are_under_way(void **state)
{
	(void)state;
	unsigned one = 1;
	break_joe();
	atomic_store(&peer.holds, true);
	testing_server_start_dispatcher(&t);
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example x@far.example" });
	testing_wait(&t, peer_waits, &one, "the peer to hold the message");
	testing_wait_count(&t, COUNT_TRIED, 1);
	mend_joe();
	/* Another message that is due meanwhile takes the reading past joe's row. */
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "ann@here.example" });
	testing_wait_count(&t, COUNT_RECIPIENTS, 2);
	usleep(400000);
	atomic_store(&peer.holds, false);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 1);
	assert_int_equal(atomic_load(&peer.messages), 1);
}

/* More than may be in memory at once, from clients and from disk. */
static void more_than_memory_holds(void **state)
{
	(void)state;
	testing_server_close(&t);
	testing_peer_stop(&peer);
	open_server("active_recipients = 10");
	testing_submit_many(
		&t, &(struct testing_mail){ .from = "", .to = "joe@here.example x@far.example y@far.example" }, 60);
	testing_server_start_dispatcher(&t);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "ann@here.example" }, 60);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 60);
	assert_int_equal(testing_mailbox(&t, "ann", NULL), 60);
	assert_int_equal(atomic_load(&peer.recipients), 120);
}

/* One destination that takes nothing fills the memory; mail to others goes on. */
static void slow_destination_delays_no_others(void **state)
{
	(void)state;
	testing_server_close(&t);
	testing_peer_stop(&peer);
	open_server("active_recipients = 10");
	atomic_store(&peer.holds, true);
	testing_server_start_dispatcher(&t);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "x@far.example" }, 40);
	unsigned one = 1;
	testing_wait(&t, peer_waits, &one, "the peer to hold messages");
	for (size_t i = 1; i <= 5; i++) {
		testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example" });
		testing_wait_count(&t, COUNT_RECIPIENTS, 40);
		assert_int_equal(testing_mailbox(&t, "joe", NULL), i);
	}
	assert_int_equal(atomic_load(&peer.messages), 0);
	atomic_store(&peer.holds, false);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 40);
}

/* A flood on disk for a destination that takes nothing: what comes behind it in the queue goes out all the same, also the other recipients of the
 * flood's own messages. Nothing of the flood is lost, or sent twice. */
static void flood_on_disk_delays_no_others(void **state)
{
	(void)state;
	testing_server_close(&t);
	testing_peer_stop(&peer);
	open_server("active_recipients = 20");
	atomic_store(&peer.holds, true);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "x@far.example" }, 150);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "y@far.example joe@here.example" }, 50);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "ann@here.example" }, 10);
	testing_server_reopen(&t);
	testing_server_start_dispatcher(&t);
	testing_wait_count(&t, COUNT_RECIPIENTS, 200);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 50);
	assert_int_equal(testing_mailbox(&t, "ann", NULL), 10);
	assert_int_equal(atomic_load(&peer.messages), 0);
	/* What is new goes out, too. */
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example x@far.example" });
	testing_wait_count(&t, COUNT_RECIPIENTS, 201);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 51);
	dispatcher_reload_queue(t.server.dispatcher);
	atomic_store(&peer.holds, false);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.recipients), 201);
}

/* An operator's change makes the dispatcher forget what waits and read it again: nothing is lost, nothing done twice. */
static void queue_is_read_again(void **state)
{
	(void)state;
	atomic_store(&peer.holds, true);
	testing_server_start_dispatcher(&t);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example x@far.example" }, 20);
	for (int i = 0; i < 20; i++)
		dispatcher_reload_queue(t.server.dispatcher);
	unsigned two = 2;
	testing_wait(&t, peer_waits, &two, "the peer to hold messages");
	dispatcher_reload_queue(t.server.dispatcher);
	atomic_store(&peer.holds, false);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 20);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 20);
}

static void stopped_and_started(void **state)
{
	(void)state;
	atomic_store(&peer.holds, true);
	testing_server_start_dispatcher(&t);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "x@far.example" }, 10);
	unsigned two = 2;
	testing_wait(&t, peer_waits, &two, "the peer to hold messages");
	dispatcher_stop(t.server.dispatcher, 50);
	assert_int_equal(testing_count(&t, COUNT_RECIPIENTS), 10);
	atomic_store(&peer.holds, false);
	testing_server_reopen(&t);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_in_range(atomic_load(&peer.messages), 10, 20); /* those under way may have come through twice */
}

/* The server hangs up while the message is read from disk for it: no crash, no loss, and it is tried again. */
static void peer_closes_early(void **state)
{
	(void)state;
	atomic_store(&peer.closes_after_ehlo, true);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "x@far.example" }, 5);
	testing_server_reopen(&t);
	testing_server_start_dispatcher(&t);
	testing_wait_count(&t, COUNT_TRIED, 5);
	assert_int_equal(testing_count(&t, "SELECT COUNT(*) FROM recipient WHERE last_reply LIKE '451 4.4.2 %'"), 5);
	atomic_store(&peer.closes_after_ehlo, false);
	atomic_store(&peer.hangs_up, true);
	testing_wait_count(&t, "SELECT COUNT(*) FROM recipient WHERE attempts > 2", 5);
	atomic_store(&peer.hangs_up, false);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 5);
}

/* "Enough for now" to a further message on one connection is no failure of that message. */
static void peer_takes_few_per_connection(void **state)
{
	(void)state;
	atomic_store(&peer.messages_per_connection, 3);
	testing_submit_many(&t, &(struct testing_mail){ .from = "", .to = "x@far.example" }, 30);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 30);
	assert_true(atomic_load(&peer.connections) >= 10);
}

/* Thousands that can't go as they are, one behind the other on one connection. */
static void many_refusals(void **state)
{
	(void)state;
	testing_submit_many(
		&t, &(struct testing_mail){ .from = "", .to = "j\xc3\xb6rg@far.example", .smtputf8 = true }, 2000);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(atomic_load(&peer.messages), 0);
}

static enum err put_key(struct db *db, const void *arg)
{
	struct signing *const *signing = arg;
	struct signature_private *key = NULL;
	struct buf pem = { 0 };
	enum err err = signature_generate(SIGNATURE_ED25519, 0, &key);
	if (err == ERR_OK)
		err = signature_private_write_pem(key, &pem);
	if (err == ERR_OK)
		err = dkim_store_put(db,
			&(struct dkim_row){ .domain = VIEW("here.example"),
				.selector = VIEW("s"),
				.algorithm = VIEW("ed25519"),
				.private_key = buf_view(&pem),
				.state = DKIM_STATE_ACTIVE,
				.created_ms = 1 });
	if (err == ERR_OK)
		err = signing_load(*signing, db);
	signature_private_free(key);
	buf_clear(&pem);
	return err;
}

/* The workers take nothing: then the reports are signed all the same, and all of them. */
static void reports_without_workers(void **state)
{
	(void)state;
	enum { COUNT = 40 };
	testing_submit_many(&t,
		&(struct testing_mail){ .from = "joe@here.example", .to = "j\xc3\xb6rg@far.example", .smtputf8 = true },
		COUNT);
	struct signing *signing = t.server.signing = signing_new();
	testing_write(&t, put_key, &signing);
	worker_pool_free(t.server.workers);
	t.server.workers = worker_pool_new(1, 0);
	testing_server_start_dispatcher(&t);
	testing_wait_count(&t, "SELECT COUNT(*) FROM recipient WHERE address LIKE '%@far.example'", 0);
	testing_server_reopen(&t);
	signing_free(signing);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "joe", &got), COUNT);
	assert_non_null(strstr(buf_cstr(&got), "DKIM-Signature: v=1; a=ed25519-sha256;"));
	buf_clear(&got);
}

static enum err hold_all(struct db *db, const void *arg)
{
	(void)arg;
	uint64_t changed;
	return queue_store_act(db, QUEUE_HOLD, &(struct queue_filter){ 0 }, 0, NULL, NULL, &changed);
}

static enum err release_all(struct db *db, const void *arg)
{
	(void)arg;
	uint64_t changed;
	return queue_store_act(db, QUEUE_RELEASE, &(struct queue_filter){ 0 }, clock_wall_ms(), NULL, NULL, &changed);
}

static void held_and_released(void **state)
{
	(void)state;
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "joe@here.example" });
	testing_server_reopen(&t);
	testing_write(&t, hold_all, NULL);
	testing_server_start_dispatcher(&t);
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "ann@here.example" });
	testing_wait_count(&t, COUNT_RECIPIENTS, 1);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 0);
	testing_write(&t, release_all, NULL);
	dispatcher_reload_queue(t.server.dispatcher);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 1);
}

static void wait_expired(void **state)
{
	(void)state;
	testing_server_close(&t);
	testing_peer_stop(&peer);
	open_server("expire = \"1s\"");
	break_joe();
	testing_server_start_dispatcher(&t);
	testing_submit(&t, &(struct testing_mail){ .from = "ann@here.example", .to = "joe@here.example" });
	testing_wait_queue_empty(&t);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "ann", &got), 1);
	assert_non_null(strstr(buf_cstr(&got), "Action: failed"));
	assert_non_null(strstr(buf_cstr(&got), "Status: 5.4.7"));
	buf_clear(&got);
	mend_joe();
}

static int64_t deliver_by_ms;

/* Mode R of DELIVERBY. */
static enum err set_deliver_by(struct db *db, const void *arg)
{
	(void)arg;
	struct db_statement *s = db_prepare(db, "UPDATE recipient SET deliver_by_ms = $1, flags = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, deliver_by_ms);
	db_bind_int(s, 2, QUEUE_BY_RETURN);
	return db_run(s, NULL);
}

/* Tried until then, and not longer; not at all when it has passed before. */
static void returned_when_time_is_up(void **state)
{
	(void)state;
	break_joe();
	testing_submit(&t, &(struct testing_mail){ .from = "ann@here.example", .to = "joe@here.example" });
	deliver_by_ms = clock_wall_ms() + 1500;
	testing_write(&t, set_deliver_by, NULL);
	testing_server_reopen(&t);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_true(clock_wall_ms() >= deliver_by_ms);
	struct buf got = { 0 };
	assert_int_equal(testing_mailbox(&t, "ann", &got), 1);
	assert_non_null(strstr(buf_cstr(&got), "Action: failed"));
	assert_non_null(strstr(buf_cstr(&got), "Status: 5.4.7"));
	assert_non_null(strstr(buf_cstr(&got), "no folder"));
	mend_joe();
	testing_server_reopen(&t);
	testing_submit(
		&t, &(struct testing_mail){ .from = "ann@here.example", .to = "joe@here.example x@far.example" });
	testing_write(&t, set_deliver_by, NULL);
	testing_server_reopen(&t);
	testing_server_start_dispatcher(&t);
	testing_wait_queue_empty(&t);
	assert_int_equal(testing_mailbox(&t, "joe", NULL), 0);
	assert_int_equal(atomic_load(&peer.messages), 0);
	assert_in_range(testing_mailbox(&t, "ann", NULL), 2, 3);
	buf_clear(&got);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(to_mailboxes),
		CASE(after_a_restart),
		CASE(spooled_to_a_mailbox_and_away),
		CASE(mailbox_is_gone),
		CASE(bounce_without_the_body),
		CASE(mailbox_became_an_alias),
		CASE(mailbox_is_led_away),
		CASE(alias_of_those_who_have_it),
		CASE(tried_until_it_works),
		CASE(due_while_others_are_under_way),
		CASE(more_than_memory_holds),
		CASE(slow_destination_delays_no_others),
		CASE(flood_on_disk_delays_no_others),
		CASE(queue_is_read_again),
		CASE(stopped_and_started),
		CASE(peer_closes_early),
		CASE(peer_takes_few_per_connection),
		CASE(many_refusals),
		CASE(reports_without_workers),
		CASE(held_and_released),
		CASE(wait_expired),
		CASE(returned_when_time_is_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
