#include "net/listener.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/loop_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Then the connections that are there already have their turn, and other loops can take the rest. */
#define ACCEPTS_PER_TURN 16
#define PAUSE_MS 1000

struct listener {
	struct loop *loop;
	struct event *event;
	void (*accepted)(void *owner, int fd, const struct net_address *peer);
	void *owner;
	struct loop_timer pause;
	bool complained;
	bool accepting; /* accepted() is running */
	bool stopped; /* by it */
};

/* Binding */

static const char *bind_hint(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "another program uses it (see: ss -ltnp)";
	case EACCES:
	case EPERM:
		return "a port below 1024 needs root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "this machine does not have that address (see: ip address)";
	case EAFNOSUPPORT:
		return "this machine has no IPv6";
	default:
		return strerror(error);
	}
}

static bool bind_and_listen(int fd, const struct net_address *address, int backlog)
{
	int on = 1;
	/* Without it a restart would wait for the last connections' TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
		return false;
	/* "*" is two sockets, one per family; an IPv6 one that also took IPv4 would be in the other's way. */
	if (net_address_is_v6(address) && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
		return false;
	return bind(fd, &address->any, address->len) == 0 && listen(fd, backlog) == 0;
}

int listener_bind(const struct net_address *address, int backlog)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind_and_listen(fd, address, backlog))
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	bool v6 = net_address_is_v6(address);
	err_set(err_from_errno(error), "cannot listen on %s%s%s:%u: %s", v6 ? "[" : "", net_address_ip(address).text,
		v6 ? "]" : "", (unsigned)net_address_port(address), bind_hint(error));
	return -1;
}

bool listener_has_ipv6(void)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	struct net_address address;
	if (net_address_from_bytes(view_of(loopback, sizeof loopback), 0, &address) != ERR_OK)
		return false;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, &address.any, address.len) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Accepting */

/* Errors of one connection that died in the queue, not of the socket: accept(2) says to go on. */
static bool is_about_one_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	default:
		return false;
	}
}

/* No descriptors or memory: the connection stays in the queue and the socket stays readable, so without a pause this
 * would spin. */
static void pause_for_a_while(struct listener *listener, int error)
{
	if (!listener->complained)
		LOG(LOG_LEVEL_WARNING, "accept-paused", LOG_CSTR("reason", strerror(error)),
			LOG_CSTR("hint",
				error == EMFILE ? "raise the limit on open files (LimitNOFILE, ulimit -n)" : ""));
	listener->complained = true;
	event_del(listener->event);
	loop_timer_set(&listener->pause, loop_now_ms(listener->loop) + PAUSE_MS);
}

static void on_pause_over(void *owner)
{
	struct listener *listener = owner;
	ASSERT(event_add(listener->event, NULL) == 0);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct listener *listener = arg;
	loop_awake(listener->loop);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof sa;
		int connection = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (connection < 0) {
			int error = errno;
			if (is_about_one_connection(error))
				continue;
			/* EAGAIN: another loop was faster, or all are in. */
			if (error != EAGAIN && error != EWOULDBLOCK)
				pause_for_a_while(listener, error);
			return;
		}
		listener->complained = false;
		struct net_address peer;
		net_address_from_sockaddr((const struct sockaddr *)&sa, len, &peer);
		listener->accepting = true;
		listener->accepted(listener->owner, connection, &peer);
		listener->accepting = false;
		if (listener->stopped) {
			mem_free(listener);
			return;
		}
	}
}

struct listener *listener_start(
	struct loop *loop, int fd, void (*accepted)(void *owner, int fd, const struct net_address *peer), void *owner)
{
	struct listener *listener = mem_alloc(sizeof *listener);
	listener->loop = loop;
	listener->accepted = accepted;
	listener->owner = owner;
	loop_timer_init(&listener->pause, loop, on_pause_over, listener);
	listener->event = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_connection, listener);
	ASSERT(listener->event != NULL && event_add(listener->event, NULL) == 0);
	return listener;
}

void listener_stop(struct listener *listener)
{
	if (listener == NULL)
		return;
	event_free(listener->event);
	loop_timer_clear(&listener->pause);
	listener->stopped = true;
	if (!listener->accepting)
		mem_free(listener);
}
