#include "cli/certificate.h"
#include "cli/init_files.h"
#include "cli/testing.h"

#include "net/tls.h"

#include <sys/stat.h>
#include <unistd.h>

#define NOW_S 1700000000

static char folder[] = "/tmp/postrider-certificate-XXXXXX";
static char certificate_path[64], key_path[64], other_path[64];

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(certificate_path, sizeof certificate_path, "%s/c.pem", folder);
	snprintf(key_path, sizeof key_path, "%s/k.pem", folder);
	snprintf(other_path, sizeof other_path, "%s/other.pem", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(certificate_path);
	unlink(key_path);
	unlink(other_path);
	return rmdir(folder);
}

static void make(const char *hostname, bool overwrite)
{
	struct buf certificate = { 0 };
	struct buf key = { 0 };
	assert_err("made", certificate_make_self_signed(hostname, NOW_S, &certificate, &key), ERR_OK);
	assert_err("certificate", init_write_file(certificate_path, buf_view(&certificate), 0644, (gid_t)-1, overwrite),
		ERR_OK);
	assert_err("key", init_write_file(key_path, buf_view(&key), 0600, (gid_t)-1, overwrite), ERR_OK);
	buf_clear(&certificate);
	buf_clear(&key);
}

static void test_made_and_read(void **state)
{
	(void)state;
	struct certificate_facts facts;
	struct stat st;
	make("mail.example.com", true);
	assert_err("read", certificate_read(certificate_path, "mail.example.com", &facts), ERR_OK);
	assert_true(facts.names_host);
	assert_true(facts.self_signed);
	assert_true(facts.not_before_s <= NOW_S && facts.not_before_s > NOW_S - 86400);
	/* Ten years, but for leap days. */
	assert_true(
		facts.not_after_s > NOW_S + (int64_t)3649 * 86400 && facts.not_after_s < NOW_S + (int64_t)3653 * 86400);
	assert_err("read", certificate_read(certificate_path, "other.example.com", &facts), ERR_OK);
	assert_false(facts.names_host);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* The server takes the pair; a key of another certificate it does not. */
static void test_pair(void **state)
{
	(void)state;
	make("a-very-long-host-name-that-does-not-fit-into-a-common-name.of-64-bytes.example.com", true);
	struct tls_server_options options = { certificate_path, key_path, NULL };
	struct tls_context *tls = tls_context_new_server(&options);
	assert_non_null(tls);
	tls_context_unref(tls);
	struct buf certificate = { 0 };
	struct buf key = { 0 };
	assert_err("another", certificate_make_self_signed("x.example", NOW_S, &certificate, &key), ERR_OK);
	assert_err("key", init_write_file(other_path, buf_view(&key), 0600, (gid_t)-1, true), ERR_OK);
	buf_clear(&certificate);
	buf_clear(&key);
	options.key_file = other_path;
	assert_null(tls_context_new_server(&options));
}

static void test_unreadable(void **state)
{
	(void)state;
	struct certificate_facts facts;
	assert_err("absent", certificate_read("/nonexistent/c.pem", "x", &facts), ERR_TLS);
	assert_has("sentence", view_from_cstr(err_detail()), "/nonexistent/c.pem");
	make("mail.example.com", true);
	assert_err("a key is no certificate", certificate_read(key_path, "x", &facts), ERR_TLS);
}

static void test_not_overwritten(void **state)
{
	(void)state;
	make("mail.example.com", true);
	assert_err("refused", init_write_file(key_path, VIEW("new"), 0600, (gid_t)-1, false), ERR_EXISTS);
	struct stat st;
	assert_int_equal(stat(key_path, &st), 0);
	assert_true(st.st_size > 100);
}

static void test_folders(void **state)
{
	(void)state;
	char path[100];
	struct stat st;
	char *parent = init_folder_of("/etc/x/y.conf");
	assert_string_equal(parent, "/etc/x");
	free(parent);
	parent = init_folder_of("y.conf");
	assert_string_equal(parent, ".");
	free(parent);
	parent = init_folder_of("/y.conf");
	assert_string_equal(parent, "/");
	free(parent);
	snprintf(path, sizeof path, "%s/a/b/c", folder);
	assert_err("made", init_make_parents(path), ERR_OK);
	assert_err("there already", init_make_parents(path), ERR_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0755);
		assert_int_equal(rmdir(path), 0);
		*strrchr(path, '/') = '\0';
	}
	make("mail.example.com", true);
	snprintf(path, sizeof path, "%s/below", key_path);
	assert_true(init_make_parents(path) != ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_and_read),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_not_overwritten),
		cmocka_unit_test(test_folders),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
