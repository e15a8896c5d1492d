#include "service/maildir.h"

#include "base/mem.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64]; /* of the test */
static char mailbox[128];
static const char *case_name = "";

static int setup(void **state)
{
	(void)state;
	contract_make_folder(folder);
	snprintf(mailbox, sizeof mailbox, "%s/mail/example.com/joe", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_remove_folder(folder);
	return 0;
}

static const char *path(const char *part, const char *name)
{
	static char text[512];
	int n = snprintf(text, sizeof text, "%s/%s/%s", mailbox, part, name);
	assert_in_range(n, 1, sizeof text - 1);
	return text;
}

/* The names in tmp, new or cur; the last one is copied to `ret`. */
static int files_in(const char *part, char ret[256])
{
	DIR *dir = opendir(path(part, ""));
	assert_non_null(dir);
	int count = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.') {
			snprintf(ret, 256, "%s", e->d_name);
			count++;
		}
	closedir(dir);
	return count;
}

static void read_file(const char *name, struct buf *ret)
{
	int fd = open(name, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n;
	do {
		assert_int_equal(buf_reserve(ret, 65536), ERR_OK);
		n = read(fd, ret->ptr + ret->len, 65536);
		assert_true(n >= 0);
		ret->len += (size_t)n;
	} while (n > 0);
	close(fd);
}

static void assert_delivered(const char *want, size_t len)
{
	char name[256];
	struct buf got = { 0 };
	assert_int_equal(files_in("new", name), 1);
	read_file(path("new", name), &got);
	if (!view_eq(buf_view(&got), view_of(want, len)))
		fail_msg("%s: got %zu bytes \"%.*s\", want %zu", case_name, got.len,
			VIEW_ARG(view_sub(buf_view(&got), 0, 200)), len);
	buf_clear(&got);
}

static struct maildir_message example(void)
{
	return (struct maildir_message){
		.folder = mailbox,
		.hostname = "mail.example.com",
		.id = "006d9qk2v8000",
		.index = 3,
		.received_at_ms = 1700000000123,
		.front = VIEW("Return-Path: <a@b>\r\n"),
		.body = VIEW("Subject: x\r\n\r\nhello\r\n"),
		.body_fd = -1,
	};
}

static void deliver(const struct maildir_message *m)
{
	enum err err = maildir_deliver(m);
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static void paths(void **state)
{
	(void)state;
	static const struct {
		const char *name, *mailbox, *want; /* NULL: refused */
	} cases[] = {
		{ "plain", "joe@example.com", "/m/example.com/joe" },
		{ "case is folded", "Joe.Doe@Example.COM", "/m/example.com/joe.doe" },
		{ "tag", "joe+work@example.com", "/m/example.com/joe+work" },
		{ "slash", "a/b@example.com", "/m/example.com/a%2fb" },
		{ "up", "../../etc@example.com", "/m/example.com/%2e.%2f..%2fetc" },
		{ "dots", "..@example.com", "/m/example.com/%2e." },
		{ "dot", ".@example.com", "/m/example.com/%2e" },
		{ "hidden", ".ssh@example.com", "/m/example.com/%2essh" },
		{ "dots in the domain", "joe@..", "/m/%2e./joe" },
		{ "slash in the domain", "joe@a/../../b", "/m/a%2f..%2f..%2fb/joe" },
		{ "percent can't be mistaken", "a%2fb@example.com", "/m/example.com/a%252fb" },
		{ "quoted", "\"joe doe\"@example.com", "/m/example.com/%22joe%20doe%22" },
		{ "several ats", "\"a@b\"@example.com", "/m/example.com/%22a%40b%22" },
		{ "controls", "a\nb\x01@example.com", "/m/example.com/a%0ab%01" },
		{ "colon", "a:2,S@example.com", "/m/example.com/a%3a2%2cs" },
		{ "UTF-8", "jörg@example.com", "/m/example.com/jörg" },
		{ "no at", "joe", NULL },
		{ "no local part", "@example.com", NULL },
		{ "no domain", "joe@", NULL },
		{ "nothing", "", NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf got = { 0 };
		enum err err = maildir_path("/m", view_from_cstr(cases[i].mailbox), &got);
		if ((err == ERR_OK) != (cases[i].want != NULL) ||
			(err == ERR_OK && strcmp(buf_cstr(&got), cases[i].want) != 0))
			fail_msg("%s: %s \"%s\"", cases[i].name, err_name(err), buf_cstr(&got));
		buf_clear(&got);
	}
	struct buf got = { 0 };
	assert_int_equal(maildir_path("/m", view_of("a\0b@c", 5), &got), ERR_OK);
	assert_string_equal(buf_cstr(&got), "/m/c/a%00b");
	buf_clear(&got);
}

static void first_delivery(void **state)
{
	(void)state;
	struct maildir_message m = example();
	deliver(&m);
	static const char want[] = "Return-Path: <a@b>\nSubject: x\n\nhello\n";
	assert_delivered(want, sizeof want - 1);
	char name[256];
	assert_int_equal(files_in("new", name), 1);
	assert_string_equal(name, "1700000000.Q006d9qk2v8000R3.mail.example.com");
	assert_int_equal(files_in("tmp", name), 0);
	assert_int_equal(files_in("cur", name), 0);
	/* Nobody else on this machine reads mail. */
	struct stat st;
	assert_int_equal(stat(path("new", "1700000000.Q006d9qk2v8000R3.mail.example.com"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(path("new", ""), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *hostname, *end;
	} cases[] = {
		{ "slash", "a/b", ".a\\057b" },
		{ "colon", "a:b", ".a\\072b" },
		{ "both", "/:", ".\\057\\072" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maildir_message m = example();
		char name[256];
		m.hostname = cases[i].hostname;
		deliver(&m);
		assert_int_equal(files_in("new", name), 1);
		if (!view_ends_with_nocase(view_from_cstr(name), view_from_cstr(cases[i].end)))
			fail_msg("%s: %s", cases[i].name, name);
		assert_int_equal(unlink(path("new", name)), 0);
	}
	/* A host name may be longer than a file's. */
	char hostname[600], name[256];
	memset(hostname, 'h', sizeof hostname - 1);
	hostname[sizeof hostname - 1] = '\0';
	struct maildir_message m = example();
	m.hostname = hostname;
	deliver(&m);
	assert_int_equal(files_in("new", name), 1);
}

static void line_ends(void **state)
{
	(void)state;
	static const struct {
		const char *name, *front, *body;
		bool keep;
		const char *want;
	} cases[] = {
		{ "text", "A: b\r\n", "\r\nx\r\n", false, "A: b\n\nx\n" },
		{ "no end", "", "x", false, "x" },
		{ "bare CR stays", "", "a\rb\r\n", false, "a\rb\n" },
		{ "bare LF stays", "", "a\nb\r\n", false, "a\nb\n" },
		{ "CR CR LF", "", "a\r\r\nb", false, "a\r\nb" },
		{ "only CRs", "", "\r\r\r", false, "\r\r\r" },
		{ "CR at the end", "", "a\r", false, "a\r" },
		{ "CR in front, LF behind", "a\r", "\nb", false, "a\nb" },
		{ "CR in front, none behind", "a\r", "b", false, "a\rb" },
		{ "binary", "A: b\r\n", "\r\nx\r\r\n", true, "A: b\r\n\r\nx\r\r\n" },
		{ "nothing", "", "", false, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maildir_message m = example();
		m.front = view_from_cstr(cases[i].front);
		m.body = view_from_cstr(cases[i].body);
		m.keep_line_ends = cases[i].keep;
		deliver(&m);
		case_name = cases[i].name;
		assert_delivered(cases[i].want, strlen(cases[i].want));
	}
}

/* A CRLF that falls apart where one piece ends and the next begins, at every place around it; from memory and from a file. */
static void line_ends_across_pieces(void **state)
{
	(void)state;
	size_t size = 2 * 65536 + 100;
	char *text = mem_alloc(size + 1);
	char *want = mem_alloc(size + 1);
	char file[PATH_MAX];
	snprintf(file, sizeof file, "%s/body", folder);
	for (size_t shift = 0; shift < 6; shift++) {
		size_t len = 0, want_len = 0;
		while (len < size) {
			bool line_end = (len + shift) % 65536 == 65535 || (len + shift) % 65536 == 2;
			if (line_end && len + 2 <= size) {
				text[len++] = '\r';
				text[len++] = '\n';
				want[want_len++] = '\n';
			} else {
				text[len] = want[want_len++] = (char)('a' + len % 26);
				len++;
			}
		}
		struct maildir_message m = example();
		m.front = VIEW("F: x\r\n");
		m.body = view_of(text, len);
		char *whole = mem_alloc(want_len + 5);
		memcpy(whole, "F: x\n", 5);
		memcpy(whole + 5, want, want_len);
		deliver(&m);
		assert_delivered(whole, want_len + 5);
		int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, text, len), len);
		m.body = VIEW("not this");
		m.body_fd = fd;
		deliver(&m);
		assert_delivered(whole, want_len + 5);
		/* It is not closed, and where it stands does not matter. */
		assert_int_equal(lseek(fd, 17, SEEK_SET), 17);
		deliver(&m);
		assert_delivered(whole, want_len + 5);
		assert_int_equal(close(fd), 0);
		mem_free(whole);
	}
	mem_free(text);
	mem_free(want);
}

/* After a crash the delivery is repeated: the same file, whatever the first try left. */
static void repeated(void **state)
{
	(void)state;
	struct maildir_message m = example();
	char name[256];
	deliver(&m);
	assert_int_equal(files_in("new", name), 1);
	int fd = open(path("tmp", name), O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "half of a message that is much longer than the one that follows", 63), 63);
	close(fd);
	deliver(&m);
	static const char want[] = "Return-Path: <a@b>\nSubject: x\n\nhello\n";
	assert_delivered(want, sizeof want - 1);
	assert_int_equal(files_in("tmp", name), 0);
	/* Another recipient of the same message in the same mailbox is another file. */
	m.index = 4;
	deliver(&m);
	assert_int_equal(files_in("new", name), 2);
}

/* A link that somebody put there is not followed out of the mailbox. */
static void no_links(void **state)
{
	(void)state;
	struct maildir_message m = example();
	char name[256], outside[PATH_MAX];
	deliver(&m);
	assert_int_equal(files_in("new", name), 1);
	snprintf(outside, sizeof outside, "%s/outside", folder);
	assert_int_equal(symlink(outside, path("tmp", name)), 0);
	assert_int_not_equal(maildir_deliver(&m), ERR_OK);
	struct stat st;
	assert_int_equal(lstat(outside, &st), -1);
}

static void failures(void **state)
{
	(void)state;
	struct maildir_message m = example();
	deliver(&m);
	char name[256], was[512];
	assert_int_equal(files_in("new", name), 1);
	/* A file where a folder should be. */
	snprintf(was, sizeof was, "%s", path("new", name));
	assert_int_equal(unlink(was), 0);
	assert_int_equal(rmdir(path("new", "")), 0);
	snprintf(was, sizeof was, "%s/new", mailbox);
	int fd = open(was, O_WRONLY | O_CREAT, 0600);
	close(fd);
	assert_int_equal(maildir_deliver(&m), ERR_IO);
	assert_non_null(strstr(err_detail(), "/new is no folder"));
	assert_int_equal(files_in("tmp", name), 0);
	assert_int_equal(unlink(was), 0);
	/* A path that no system takes. */
	char *deep = mem_alloc(PATH_MAX + 10);
	memset(deep, 'd', PATH_MAX + 9);
	deep[0] = '/';
	m.folder = deep;
	assert_int_equal(maildir_deliver(&m), ERR_LIMIT);
	assert_non_null(strstr(err_detail(), "path is too long"));
	mem_free(deep);
	/* A spool file that can't be read: nothing is left in the mailbox. */
	m.folder = mailbox;
	fd = open(folder, O_RDONLY | O_DIRECTORY);
	m.body_fd = fd;
	assert_int_equal(maildir_deliver(&m), ERR_IO);
	assert_non_null(strstr(err_detail(), "cannot read the spool file"));
	close(fd);
	assert_int_equal(files_in("tmp", name), 0);
	assert_int_equal(files_in("new", name), 0);
}

/* /dev/full stands for a disk that is. */
static void full_disk(void **state)
{
	(void)state;
	struct maildir_message m = example();
	deliver(&m);
	char name[256];
	assert_int_equal(files_in("new", name), 1);
	if (mknod(path("tmp", name), S_IFCHR | 0600, (dev_t)((1 << 8) | 7)) != 0)
		skip(); /* needs root */
	int probe = open(path("tmp", name), O_WRONLY);
	if (probe < 0)
		skip(); /* the file system has no devices */
	close(probe);
	assert_int_equal(maildir_deliver(&m), ERR_NO_SPACE);
	assert_non_null(strstr(err_detail(), "cannot write to the mailbox: No space left on device"));
	/* What was delivered before is as it was. */
	static const char want[] = "Return-Path: <a@b>\nSubject: x\n\nhello\n";
	assert_delivered(want, sizeof want - 1);
	assert_int_equal(files_in("tmp", name), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void assert_text(const char *name, const char *want)
{
	char file[512];
	struct buf got = { 0 };
	snprintf(file, sizeof file, "%s/%s", mailbox, name);
	read_file(file, &got);
	assert_string_equal(buf_cstr(&got), want);
	buf_clear(&got);
}

static void junk_has_its_folder(void **state)
{
	(void)state;
	char name[256];
	struct maildir_message m = example();
	m.subfolder = "Junk";
	deliver(&m);
	assert_int_equal(files_in("new", name), 0);
	assert_int_equal(files_in(".Junk/new", name), 1);
	assert_int_equal(files_in(".Junk/tmp", name), 0);
	assert_text(".Junk/maildirfolder", "");
	assert_text("subscriptions", "Junk\n");
	/* Who does not want to see it any more is not made to. */
	assert_int_equal(truncate(path("", "subscriptions"), 0), 0);
	m.index = 4;
	deliver(&m);
	assert_int_equal(files_in(".Junk/new", name), 2);
	assert_text("subscriptions", "");
}

static void junk_is_subscribed_once(void **state)
{
	(void)state;
	struct maildir_message m = example();
	deliver(&m);
	int fd = open(path("", "subscriptions"), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "V\t2\n\nJunk\nSent\n", 15), 15);
	close(fd);
	m.subfolder = "Junk";
	deliver(&m);
	assert_text("subscriptions", "V\t2\n\nJunk\nSent\n");
	m.subfolder = "Spam mail";
	deliver(&m);
	assert_text("subscriptions", "V\t2\n\nJunk\nSent\nSpam mail\n");
}

static void odd_folders_are_junk(void **state)
{
	(void)state;
	static const char *const names[] = { "", ".", "..", "../x", "a/b", "a.b", "J\nx", "\xc3\xa4" };
	char name[256];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct maildir_message m = example();
		m.index = (uint32_t)i;
		m.subfolder = names[i];
		deliver(&m);
		assert_int_equal(files_in(".Junk/new", name), i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		CASE(first_delivery),
		CASE(names),
		CASE(line_ends),
		CASE(line_ends_across_pieces),
		CASE(repeated),
		CASE(no_links),
		CASE(failures),
		CASE(full_disk),
		CASE(junk_has_its_folder),
		CASE(junk_is_subscribed_once),
		CASE(odd_folders_are_junk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
