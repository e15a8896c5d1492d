#include "service/testing_peer.h"

#include "base/mem.h"
#include "base/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct client {
	struct testing_peer *peer;
	int fd;
	FILE *in;
	unsigned messages;
	bool in_data;
};

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static bool say(const struct client *c, const char *text)
{
	return send(c->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static bool end_of_message(struct client *c)
{
	struct testing_peer *p = c->peer;
	atomic_fetch_add(&p->waiting, 1);
	while (atomic_load(&p->holds) && !atomic_load(&p->stopping))
		nap();
	atomic_fetch_sub(&p->waiting, 1);
	c->in_data = false;
	c->messages++;
	atomic_fetch_add(&p->messages, 1);
	return say(c, "250 2.0.0 taken\r\n");
}

/* False: the connection ends. */
static bool answer(struct client *c, struct view line)
{
	struct testing_peer *p = c->peer;
	if (c->in_data)
		return view_eq(line, VIEW(".\r\n")) ? end_of_message(c) : true;
	if (view_starts_with_nocase(line, VIEW("EHLO")))
		return say(c, "250-peer\r\n250-PIPELINING\r\n250 8BITMIME\r\n") && !atomic_load(&p->closes_after_ehlo);
	if (view_starts_with_nocase(line, VIEW("MAIL"))) {
		unsigned most = atomic_load(&p->messages_per_connection);
		if (view_starts_with_nocase(line, VIEW("MAIL FROM:<SRS0=")))
			atomic_fetch_add(&p->srs_senders, 1);
		if (most == 0 || c->messages < most)
			return say(c, "250 2.1.0 ok\r\n");
		(void)say(c, "421 4.7.0 enough for now\r\n");
		return false;
	}
	if (view_starts_with_nocase(line, VIEW("RCPT"))) {
		atomic_fetch_add(&p->recipients, 1);
		return say(c, "250 2.1.5 ok\r\n");
	}
	if (view_starts_with_nocase(line, VIEW("DATA"))) {
		c->in_data = true;
		return say(c, "354 go\r\n");
	}
	if (view_starts_with_nocase(line, VIEW("QUIT"))) {
		(void)say(c, "221 2.0.0 bye\r\n");
		return false;
	}
	return say(c, "250 2.0.0 ok\r\n");
}

static void *serve(void *arg)
{
	struct client *c = arg;
	char line[2048];
	bool more = !atomic_load(&c->peer->hangs_up) && say(c, "220 peer ready\r\n");
	while (more && fgets(line, sizeof line, c->in) != NULL)
		more = answer(c, view_from_cstr(line));
	fclose(c->in);
	atomic_fetch_sub(&c->peer->open, 1);
	mem_free(c);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct testing_peer *p = arg;
	while (!atomic_load(&p->stopping)) {
		struct pollfd waiting = { .fd = p->fd, .events = POLLIN };
		if (poll(&waiting, 1, 20) <= 0)
			continue;
		int fd = accept(p->fd, NULL, NULL);
		if (fd < 0)
			continue;
		atomic_fetch_add(&p->connections, 1);
		atomic_fetch_add(&p->open, 1);
		struct client *c = mem_alloc(sizeof *c);
		c->peer = p;
		c->fd = fd;
		c->in = fdopen(fd, "r");
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, serve, c), 0);
		pthread_detach(thread);
	}
	return NULL;
}

void testing_peer_start(struct testing_peer *peer)
{
	memset(peer, 0, sizeof *peer);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(peer->fd, 100), 0);
	assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &len), 0);
	peer->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&peer->thread, NULL, accept_all, peer), 0);
}

void testing_peer_stop(struct testing_peer *peer)
{
	atomic_store(&peer->stopping, true);
	pthread_join(peer->thread, NULL);
	while (atomic_load(&peer->open) > 0)
		nap();
	close(peer->fd);
}
