#include "store/spool.h"

#include "store/store_harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool spool_exists(const char *name)
{
	int fd = -1;
	uint64_t size;
	enum err err = spool_open(harness_folder, name, &fd, &size);
	if (err == ERR_OK)
		close(fd);
	else
		assert_int_equal(err, ERR_NOT_FOUND);
	return err == ERR_OK;
}

static void make_spool_file(uint64_t id, const char *text, char name[64])
{
	int fd = -1;
	must(spool_create(harness_folder, id, &fd, name));
	must(spool_write(fd, view_from_cstr(text)));
	must(spool_write(fd, VIEW_NONE));
	must(spool_write(fd, VIEW("...")));
	must(spool_finish(harness_folder, name, fd));
}

static void spool_files(void **state)
{
	(void)state;
	char name[64], again[64] = "kept";
	int fd = -1;
	uint64_t size = 0;
	make_spool_file(1700000000000u * 4096, "hello", name);
	assert_int_equal(spool_create(harness_folder, 1700000000000u * 4096, &fd, again), ERR_EXISTS);
	assert_string_equal(again, "kept");
	must(spool_open(harness_folder, name, &fd, &size));
	char text[16] = "";
	assert_int_equal(size, 8);
	assert_int_equal(read(fd, text, sizeof text), 8);
	assert_string_equal(text, "hello...");
	close(fd);
	struct stat stat_now;
	char path[160];
	snprintf(path, sizeof path, "%s/spool/%s", harness_folder, name);
	assert_int_equal(stat(path, &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 07777, 0600);
	static const char *const bad[] = { "", "..", "../postrider.db", "aa/../../postrider.db", "aa/b", "/etc/passwd",
		"zz/0000000000000", "aa/000000000000/", "aa/00000000000000" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(spool_open(harness_folder, bad[i], &fd, &size), ERR_SYNTAX);
		spool_remove(harness_folder, bad[i]);
	}
	spool_remove(harness_folder, name);
	assert_false(spool_exists(name));
	spool_remove(harness_folder, name);
	assert_int_equal(spool_create("/nonexistent", 1, &fd, name), ERR_NOT_FOUND);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(spool_write(full, VIEW("x")), ERR_NO_SPACE);
	close(full);
}

static void opening_sweeps_the_spool(void **state)
{
	(void)state;
	char named[64], orphan[64], other[64], stranger[160];
	make_spool_file(4096 * 50, "named", named);
	make_spool_file(4096 * 51, "orphan", orphan);
	make_spool_file(4096 * 52, "of a message that is in the row", other);
	snprintf(stranger, sizeof stranger, "%s/spool/%.2s/README", harness_folder, named);
	fclose(fopen(stranger, "we"));
	struct store *store = open_store(harness_folder);
	assert_false(spool_exists(named)); /* no message at all */
	make_spool_file(4096 * 50, "named", named);
	make_spool_file(4096 * 51, "orphan", orphan);
	make_spool_file(4096 * 52, "of a message that is in the row", other);
	struct queue_recipient recipient = { .address = VIEW("r@example.org") };
	struct queue_message message = {
		.id = 4096 * 50, .spool = view_from_cstr(named), .recipient_count = 1, .recipients = &recipient
	};
	must(queue_store_put(store_db(store), &message));
	message = (struct queue_message){
		.id = 4096 * 52, .body = VIEW("x"), .recipient_count = 1, .recipients = &recipient
	};
	must(queue_store_put(store_db(store), &message));
	store_close(store);
	store_close(open_store(harness_folder));
	assert_true(spool_exists(named));
	assert_false(spool_exists(orphan));
	assert_false(spool_exists(other));
	assert_int_equal(access(stranger, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HARNESS_TEST(spool_files),
		HARNESS_TEST(opening_sweeps_the_spool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
