/* For tests of services: a server's inside without listeners, in a folder of its own. The test's thread runs `loop`; the dispatcher has its own
 * thread, as always. */
#ifndef SERVICE_TESTING_SERVER_H
#define SERVICE_TESTING_SERVER_H

#include "service/server_private.h"

struct testing_server {
	struct server server;
	struct loop *loop;
	char folder[64]; /* data; mail is in `mail` below it */
	struct config *config;
	bool has_dispatcher;
};

/* `more` goes into the configuration. With domain "here.example", accounts joe and ann in it. The dispatcher is not started. */
void testing_server_open(struct testing_server *t, const char *more);
void testing_server_close(struct testing_server *t);
/* As after a restart: the same folder, everything else anew. */
void testing_server_reopen(struct testing_server *t);
void testing_server_start_dispatcher(struct testing_server *t);

/* Runs the loop until is_so() says so, which it asks again and again; fails the test after a minute. */
void testing_wait(struct testing_server *t, bool (*is_so)(void *arg), void *arg, const char *what);

struct testing_mail {
	const char *from; /* "" = null */
	const char *to; /* addresses with spaces between */
	struct view body; /* as it is sent, header and all; default: a short text */
	bool spooled; /* in a file */
	bool smtputf8;
	unsigned body_type; /* enum smtp_body_type */
	unsigned notify;
};
/* Puts a message into the queue the way a session does, and waits until it is committed. Its id. */
uint64_t testing_submit(struct testing_server *t, const struct testing_mail *mail);
/* The same message many times, in few commits. */
void testing_submit_many(struct testing_server *t, const struct testing_mail *mail, unsigned count);

/* On the main database. */
void testing_write(struct testing_server *t, enum err (*run)(struct db *db, const void *arg), const void *arg);
int64_t testing_count(const struct testing_server *t, const char *sql);
void testing_wait_queue_empty(struct testing_server *t);
void testing_wait_count(struct testing_server *t, const char *sql, int64_t wanted);

/* Messages in new/ of a mailbox here, by its local part; the last one's content is put into `ret` unless that is NULL. */
size_t testing_mailbox(const struct testing_server *t, const char *local, struct buf *ret);
size_t testing_spool_files(const struct testing_server *t);

#endif
