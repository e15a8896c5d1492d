#include "net/testing.h"

#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct net_address address_of(const char *ip, uint16_t port)
{
	struct net_address address;
	assert_int_equal(net_address_parse(view_from_cstr(ip), port, &address), ERR_OK);
	return address;
}

/* Any free port; the address says which. */
static int listen_somewhere(const char *ip, struct net_address *ret)
{
	*ret = address_of(ip, 0);
	int fd = listener_bind(ret, 200);
	assert_true(fd >= 0);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	net_address_from_sockaddr((struct sockaddr *)&sa, len, ret);
	return fd;
}

static int connect_to(const struct net_address *to)
{
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to->any, to->len), 0);
	return fd;
}

static void port_in_use(void **state)
{
	(void)state;
	struct net_address taken;
	int fd = listen_somewhere("127.0.0.1", &taken);
	char expected[128];
	snprintf(expected, sizeof expected, "cannot listen on 127.0.0.1:%u: another program uses it (see: ss -ltnp)",
		(unsigned)net_address_port(&taken));
	assert_int_equal(listener_bind(&taken, 5), -1);
	assert_string_equal(err_detail(), expected);
	close(fd);
	/* And at once again, though connections of the last life may linger. */
	fd = listener_bind(&taken, 5);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
}

static void address_of_somebody_else(void **state)
{
	(void)state;
	struct net_address other = address_of("192.0.2.1", 2525);
	assert_int_equal(listener_bind(&other, 5), -1);
	assert_string_equal(err_detail(),
		"cannot listen on 192.0.2.1:2525: this machine does not have that address (see: ip address)");
}

static void both_families_share_a_port(void **state)
{
	(void)state;
	if (!listener_has_ipv6())
		skip();
	struct net_address v4, v6;
	int fd6 = listen_somewhere("::", &v6);
	v4 = address_of("0.0.0.0", net_address_port(&v6));
	int fd4 = listener_bind(&v4, 5);
	assert_true(fd4 >= 0);
	assert_int_equal(listener_bind(&v6, 5), -1);
	assert_non_null(strstr(err_detail(), "cannot listen on [::]:"));
	close(fd4);
	close(fd6);
}

/* In a child without root's rights: 0 if the sentence is right, 77 if the system lets anybody use low ports. */
static int try_low_port(void)
{
	if (geteuid() == 0 && setuid(65534) != 0)
		return 77;
	struct net_address low = address_of("127.0.0.1", 19);
	int fd = listener_bind(&low, 5);
	if (fd >= 0)
		return 77;
	return strcmp(err_detail(),
		       "cannot listen on 127.0.0.1:19: a port below 1024 needs root or CAP_NET_BIND_SERVICE") == 0
		? 0
		: 1;
}

static void low_ports_need_rights(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(try_low_port());
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("  skipped: on this machine everybody may use low ports\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Two loops on one socket: each connection is accepted once, by one of them. */

enum { CONNECTIONS = 300 };

struct crowd {
	struct loop *loops[2];
	atomic_uint accepted;
};

static void count_and_close(void *owner, int fd, const struct net_address *peer)
{
	struct crowd *crowd = owner;
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true(net_address_is_loopback(peer));
	close(fd);
	if (atomic_fetch_add(&crowd->accepted, 1) + 1 < CONNECTIONS)
		return;
	loop_stop(crowd->loops[0]);
	loop_stop(crowd->loops[1]);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void *connect_crowd(void *arg)
{
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close(connect_to(arg));
	return NULL;
}

static void loops_share_a_socket(void **state)
{
	(void)state;
	struct crowd crowd = { .loops = { loop_new("a"), loop_new("b") } };
	struct net_address address;
	int fd = listen_somewhere("127.0.0.1", &address);
	struct listener *listeners[2];
	pthread_t runner, client;
	for (size_t i = 0; i < 2; i++)
		listeners[i] = listener_start(crowd.loops[i], fd, count_and_close, &crowd);
	assert_int_equal(pthread_create(&runner, NULL, run_loop, crowd.loops[1]), 0);
	assert_int_equal(pthread_create(&client, NULL, connect_crowd, &address), 0);
	loop_run(crowd.loops[0]);
	pthread_join(runner, NULL);
	pthread_join(client, NULL);
	assert_int_equal(crowd.accepted, CONNECTIONS);
	for (size_t i = 0; i < 2; i++) {
		listener_stop(listeners[i]);
		loop_free(crowd.loops[i]);
	}
	close(fd);
}

struct single {
	struct loop *loop;
	struct listener *listener;
	unsigned accepted, wanted;
	bool stop_inside;
};

static void accept_single(void *owner, int fd, const struct net_address *peer)
{
	struct single *single = owner;
	(void)peer;
	close(fd);
	single->accepted++;
	if (single->stop_inside) {
		listener_stop(single->listener);
		single->listener = NULL;
	}
	if (single->accepted == single->wanted)
		loop_stop(single->loop);
}

static void stopping_inside_accepted(void **state)
{
	(void)state;
	struct single single = { .loop = loop_new("test"), .wanted = 1, .stop_inside = true };
	struct net_address address;
	int fd = listen_somewhere("127.0.0.1", &address);
	int clients[3];
	for (size_t i = 0; i < 3; i++)
		clients[i] = connect_to(&address);
	single.listener = listener_start(single.loop, fd, accept_single, &single);
	loop_run(single.loop);
	assert_int_equal(single.accepted, 1);
	/* The socket is still its binder's, and the others still wait in it. */
	single.stop_inside = false;
	single.wanted = 3;
	single.listener = listener_start(single.loop, fd, accept_single, &single);
	loop_run(single.loop);
	listener_stop(single.listener);
	listener_stop(NULL);
	for (size_t i = 0; i < 3; i++)
		close(clients[i]);
	close(fd);
	loop_free(single.loop);
}

static void raise_limit(void *owner)
{
	struct rlimit *limit = owner;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, limit), 0);
}

static void no_descriptors_is_a_pause(void **state)
{
	(void)state;
	struct single single = { .loop = loop_new("test"), .wanted = 2 };
	struct net_address address;
	int fd = listen_somewhere("127.0.0.1", &address);
	int clients[2] = { connect_to(&address), connect_to(&address) };
	struct rlimit before, low;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	int next = dup(fd);
	close(next);
	low = before;
	low.rlim_cur = (rlim_t)next;
	single.listener = listener_start(single.loop, fd, accept_single, &single);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	struct loop_timer relief;
	loop_timer_init(&relief, single.loop, raise_limit, &before);
	loop_timer_set(&relief, loop_now_ms(single.loop) + 50);
	loop_run(single.loop);
	assert_int_equal(single.accepted, 2);
	loop_timer_clear(&relief);
	listener_stop(single.listener);
	close(clients[0]);
	close(clients[1]);
	close(fd);
	loop_free(single.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_in_use),
		cmocka_unit_test(address_of_somebody_else),
		cmocka_unit_test(both_families_share_a_port),
		cmocka_unit_test(low_ports_need_rights),
		cmocka_unit_test(loops_share_a_socket),
		cmocka_unit_test(stopping_inside_accepted),
		cmocka_unit_test(no_descriptors_is_a_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
