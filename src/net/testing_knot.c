#include "net/testing_knot.h"

#include "net/testing.h"

#include "base/view.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char folder[64];
static char server[64];
static char paths[8][128];
static pid_t knotd;

static const char *path(unsigned slot, const char *name)
{
	snprintf(paths[slot], sizeof paths[slot], "%s/%s", folder, name);
	return paths[slot];
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path(0, name), "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Free for UDP and TCP at this moment. */
static uint16_t free_port(void)
{
	for (int i = 0; i < 20; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof sa;
		int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		bool ok = bind(tcp, (struct sockaddr *)&sa, sizeof sa) == 0 &&
			getsockname(tcp, (struct sockaddr *)&sa, &len) == 0 &&
			bind(udp, (struct sockaddr *)&sa, sizeof sa) == 0;
		close(tcp);
		close(udp);
		if (ok)
			return ntohs(sa.sin_port);
	}
	fail_msg("no free port");
	return 0;
}

static const char *find_program(const char *name)
{
	static char found[2][64];
	static unsigned turn;
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin" };
	char *text = found[turn++ % 2];
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		snprintf(text, sizeof found[0], "%s/%s", folders[i], name);
		if (access(text, X_OK) == 0)
			return text;
	}
	return NULL;
}

/* Output goes into a file of the folder. */
static pid_t start_program(const char *program, const char *const argv[], const char *output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, path(1, output), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, path(2, "errors"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_int_equal(posix_spawn(&pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void write_configuration(uint16_t port)
{
	char text[2048];
	snprintf(server, sizeof server, "127.0.0.1@%u", (unsigned)port);
	snprintf(text, sizeof text,
		"server:\n    rundir: \"%s\"\n    listen: [ %s ]\n    udp-workers: 1\n    tcp-workers: 1\n"
		"    background-workers: 1\n"
		"log:\n  - target: stderr\n    any: warning\n"
		"database:\n    storage: \"%s\"\n"
		"policy:\n  - id: signed\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
		"template:\n  - id: default\n    storage: \"%s\"\n    file: \"%%s.zone\"\n    zonefile-sync: -1\n"
		"    zonefile-load: difference-no-serial\n    journal-content: all\n"
		"zone:\n"
		"  - domain: .\n    file: root.zone\n    dnssec-signing: on\n    dnssec-policy: signed\n"
		"  - domain: plain.test\n"
		"  - domain: secure.test\n    dnssec-signing: on\n    dnssec-policy: signed\n"
		"  - domain: bogus.test\n    dnssec-signing: on\n    dnssec-policy: signed\n",
		folder, server, folder, folder);
	write_file("knot.conf", text);
}

static void write_zones(void)
{
	write_file("root.zone",
		"$ORIGIN .\n$TTL 300\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 300\n@ NS ns.test.\nns.test. A "
		"127.0.0.1\n");
	static const char *const names[] = { "plain.test", "secure.test", "bogus.test" };
	for (size_t i = 0; i < 3; i++) {
		char file[64], text[2048];
		snprintf(file, sizeof file, "%s.zone", names[i]);
		snprintf(text, sizeof text,
			"$ORIGIN %s.\n$TTL 300\n"
			"@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
			"@ MX 10 mail\n@ MX 20 backup\n@ TXT \"v=spf1 mx\" \" -all\"\n"
			"mail A 127.0.5.1\nmail AAAA 2001:db8::25\nbackup A 127.0.5.2\n"
			"_25._tcp.mail TLSA 3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
			"alias CNAME mail\nnomail MX 0 .\n",
			names[i]);
		write_file(file, text);
	}
}

/* Once knotd answers with the keys it has loaded and signed that zone. */
static bool answers(const void *name, size_t name_len, uint16_t port)
{
	uint8_t query[64] = { 0x12, 0x34, 0, 0, 0, 1 };
	memcpy(query + 12, name, name_len);
	memcpy(query + 12 + name_len, "\x00\x00\x30\x00\x01", 5); /* DNSKEY */
	size_t len = 12 + name_len + 5;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct timeval wait = { .tv_usec = 200000 };
	uint8_t reply[1500];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, query, len, 0) == (ssize_t)len &&
		recv(fd, reply, sizeof reply, 0) > 12 && (reply[3] & 15) == 0 && reply[7] > 0;
	close(fd);
	return ok;
}

static void wait_until_it_answers(uint16_t port)
{
	for (int i = 0; i < 300; i++) {
		if (answers("\x06secure\x04test", 12, port) &&
			answers("\x05"
				"bogus\x04test",
				11, port) &&
			answers("", 0, port))
			return;
		struct timespec pause = { .tv_nsec = 100000000 };
		nanosleep(&pause, NULL);
	}
	fail_msg("knotd does not answer; see %s/errors", folder);
}

static void append_ds(const char *keymgr, const char *zone, bool falsify, FILE *anchors)
{
	const char *argv[] = { keymgr, "-c", path(3, "knot.conf"), zone, "ds", NULL };
	pid_t pid = start_program(keymgr, argv, "ds");
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	FILE *ds = fopen(path(1, "ds"), "r");
	assert_non_null(ds);
	char line[512];
	while (fgets(line, sizeof line, ds) != NULL) {
		size_t len = strcspn(line, "\n");
		if (falsify && len > 0)
			line[len - 1] = line[len - 1] == '0' ? '1' : '0';
		assert_true(fputs(line, anchors) >= 0);
	}
	fclose(ds);
}

bool knot_start(void)
{
	const char *program = find_program("knotd"), *keymgr = find_program("keymgr");
	if (program == NULL || keymgr == NULL)
		return false;
	snprintf(folder, sizeof folder, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	uint16_t port = free_port();
	write_configuration(port);
	write_zones();
	const char *argv[] = { program, "-c", path(3, "knot.conf"), NULL };
	knotd = start_program(program, argv, "output");
	wait_until_it_answers(port);
	FILE *anchors = fopen(path(4, "anchors"), "w");
	assert_non_null(anchors);
	append_ds(keymgr, "secure.test", false, anchors);
	append_ds(keymgr, "bogus.test", true, anchors);
	assert_int_equal(fclose(anchors), 0);
	for (int falsify = 0; falsify < 2; falsify++) {
		anchors = fopen(path(4, falsify != 0 ? "wrong-root" : "root"), "w");
		assert_non_null(anchors);
		append_ds(keymgr, ".", falsify != 0, anchors);
		assert_int_equal(fclose(anchors), 0);
	}
	return true;
}

static void remove_folder(void)
{
	const char *argv[] = { "/bin/rm", "-rf", folder, NULL };
	pid_t pid;
	if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

void knot_stop(void)
{
	if (knotd == 0)
		return;
	kill(knotd, SIGTERM);
	waitpid(knotd, NULL, 0);
	knotd = 0;
	remove_folder();
}

const char *knot_server(void)
{
	return server;
}

const char *knot_trust_anchor_file(void)
{
	return path(4, "anchors");
}

const char *knot_root_anchor_file(bool wrong)
{
	return wrong ? path(5, "wrong-root") : path(6, "root");
}
