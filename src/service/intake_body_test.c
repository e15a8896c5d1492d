#include "service/intake_body.h"

#include "base/mem.h"
#include "service/testing_server.h"
#include "store/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define INLINE_BYTES 4096u

static struct testing_server t;

struct body_state {
	struct intake_body *body;
	bool finished;
	unsigned drained;
	struct intake_body_result result; /* its views and buffer are taken over */
	char header[512];
	size_t header_len;
};

static void on_drained(void *owner)
{
	((struct body_state *)owner)->drained++;
}

static void on_finished(void *owner, struct intake_body_result *result)
{
	struct body_state *s = owner;
	s->finished = true;
	s->result = *result;
	result->memory = (struct buf){ 0 };
	s->header_len = result->header.len;
	struct view start = view_sub(result->header, 0, sizeof s->header - 1);
	if (start.len > 0)
		memcpy(s->header, start.ptr, start.len);
}

/* The body is the session's in real life; it goes once finished() was heard. */
static bool is_finished(void *arg)
{
	return ((struct body_state *)arg)->finished;
}

static void begin(struct body_state *s)
{
	*s = (struct body_state){ 0 };
	struct intake_body_options options = {
		.server = &t.server,
		.loop = t.loop,
		.message_id = server_next_message_id(&t.server),
		.inline_bytes = INLINE_BYTES,
		.drained = on_drained,
		.owner = s,
	};
	s->body = intake_body_new(&options);
}

static void finish(struct body_state *s)
{
	intake_body_finish(s->body, on_finished);
	testing_wait(&t, is_finished, s, "the end of a body");
	intake_body_free(s->body);
	s->body = NULL;
}

static void clear(struct body_state *s)
{
	buf_clear(&s->result.memory);
	if (s->result.spool[0] != '\0')
		spool_remove(t.folder, s->result.spool);
}

static bool has_room(void *arg)
{
	return !intake_body_is_full(((struct body_state *)arg)->body);
}

/* As a session does: pieces as they come, none while it is full. */
static void append(struct body_state *s, struct view bytes, size_t piece)
{
	for (size_t at = 0; at < bytes.len; at += piece) {
		testing_wait(&t, has_room, s, "room");
		intake_body_append(s->body, view_sub(bytes, at, piece));
	}
}

static int setup(void **state)
{
	(void)state;
	testing_server_open(&t, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(testing_spool_files(&t), 0);
	testing_server_close(&t);
	return 0;
}

static bool no_jobs(void *arg)
{
	(void)arg;
	return atomic_load(&t.server.jobs) == 0;
}

static void assert_spooled(const struct body_state *s, struct view want)
{
	int fd = -1;
	uint64_t size = 0;
	assert_int_equal(spool_open(t.folder, s->result.spool, &fd, &size), ERR_OK);
	assert_int_equal(size, want.len);
	uint8_t *got = mem_alloc(want.len);
	assert_int_equal(read(fd, got, want.len), want.len);
	assert_memory_equal(got, want.ptr, want.len);
	mem_free(got);
	close(fd);
}

static const char small[] = "Received: a\r\nreceived: b\r\nDate: x\r\nFrom: y\r\n\r\nReceived: not this\r\n";

static void small_ones_stay_in_memory(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof small; piece += sizeof small - 1) {
		struct body_state s;
		begin(&s);
		append(&s, view_of(small, sizeof small - 1), piece);
		finish(&s);
		assert_int_equal(s.result.err, ERR_OK);
		assert_string_equal(s.result.spool, "");
		assert_true(view_eq(buf_view(&s.result.memory), view_of(small, sizeof small - 1)));
		assert_int_equal(s.result.received_fields, 2);
		assert_int_equal(s.result.scan.total_bytes, sizeof small - 1);
		assert_int_equal(s.header_len, strstr(small, "\r\n\r\n") + 4 - small);
		clear(&s);
	}
}

static void nothing_at_all(void **state)
{
	(void)state;
	struct body_state s;
	begin(&s);
	finish(&s);
	assert_int_equal(s.result.err, ERR_OK);
	assert_int_equal(s.result.memory.len, 0);
	assert_string_equal(s.result.spool, "");
	clear(&s);
}

/* A message of `len` bytes with a header of many lines. */
static uint8_t *make_large(size_t len, size_t *ret_header_len)
{
	uint8_t *text = mem_alloc(len);
	struct buf out = { 0 };
	for (int i = 0; i < 30; i++)
		assert_int_equal(buf_append_format(&out, "Received: from h%d\r\n by us;\r\n\tlater\r\n", i), ERR_OK);
	assert_int_equal(buf_append_cstr(&out, "Message-ID: <x@y>\r\nDate: z\r\n\r\n"), ERR_OK);
	memcpy(text, out.ptr, out.len);
	for (size_t i = out.len; i < len; i++)
		text[i] = (i - out.len) % 70 == 68 ? '\r' : (i - out.len) % 70 == 69 ? '\n' : (uint8_t)('a' + i % 26);
	*ret_header_len = out.len;
	buf_clear(&out);
	return text;
}

static void large_ones_go_to_a_file(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t len, piece;
		bool pressed;
	} cases[] = {
		{ "just too large", INLINE_BYTES + 1, 1000, false },
		{ "byte by byte", 3 * INLINE_BYTES, 1, false },
		{ "at once", 3 * INLINE_BYTES, 3 * INLINE_BYTES, false },
		{ "many pieces", 3000000, 60000, false },
		{ "no memory left", 200000, 1500, true },
		{ "no memory left, byte by byte", 1600, 1, true },
		{ "no memory left, at once", 5000, 5000, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct body_state s;
		size_t header_len;
		uint8_t *text = make_large(cases[i].len, &header_len);
		size_t limit = atomic_load(&t.server.body_memory.limit_bytes);
		if (cases[i].pressed)
			atomic_store(&t.server.body_memory.limit_bytes, 0);
		begin(&s);
		append(&s, view_of(text, cases[i].len), cases[i].piece);
		finish(&s);
		if (s.result.err != ERR_OK || s.result.received_fields != 30 || s.header_len != header_len)
			fail_msg("%s: %s, %u fields", cases[i].name, err_name(s.result.err), s.result.received_fields);
		assert_spooled(&s, view_of(text, cases[i].len));
		assert_int_equal(s.result.memory.len, 0);
		assert_int_equal(s.result.scan.total_bytes, cases[i].len);
		atomic_store(&t.server.body_memory.limit_bytes, limit);
		clear(&s);
		mem_free(text);
	}
}

/* A client that is faster than the disk waits, and memory stays within bounds. */
static void back_pressure(void **state)
{
	(void)state;
	static uint8_t piece[60000];
	struct body_state s;
	begin(&s);
	size_t sent = 0;
	/* Without the loop nothing is told to be written. */
	while (!intake_body_is_full(s.body)) {
		intake_body_append(s.body, view_of(piece, sizeof piece));
		sent += sizeof piece;
		assert_true(sent < 2000000);
	}
	assert_true(sent > 500000);
	assert_in_range(atomic_load(&t.server.body_memory.used_bytes), 500000, 1000000);
	testing_wait(&t, has_room, &s, "room");
	assert_true(s.drained > 0);
	finish(&s);
	assert_int_equal(s.result.err, ERR_OK);
	clear(&s);
}

/* The session goes away at any moment: no file stays. */
static void abandoned(void **state)
{
	(void)state;
	static uint8_t piece[INLINE_BYTES * 100];
	struct body_state s;
	begin(&s); /* at once */
	intake_body_free(s.body);
	begin(&s); /* while it is in memory */
	intake_body_append(s.body, VIEW("x"));
	intake_body_free(s.body);
	begin(&s); /* while the file is written */
	intake_body_append(s.body, view_of(piece, sizeof piece));
	intake_body_free(s.body);
	begin(&s); /* between two writes */
	intake_body_append(s.body, view_of(piece, sizeof piece));
	testing_wait(&t, no_jobs, NULL, "a write");
	assert_int_equal(testing_spool_files(&t), 1);
	intake_body_free(s.body);
	begin(&s); /* while the end is written */
	intake_body_append(s.body, view_of(piece, sizeof piece));
	testing_wait(&t, no_jobs, NULL, "a write");
	intake_body_finish(s.body, on_finished);
	intake_body_free(s.body);
	testing_wait(&t, no_jobs, NULL, "the end of all jobs");
	assert_false(s.finished);
	assert_int_equal(testing_spool_files(&t), 0);
}

static void disk_fails(void **state)
{
	(void)state;
	static uint8_t piece[INLINE_BYTES * 100];
	char spool[128];
	snprintf(spool, sizeof spool, "%s/spool", t.folder);
	assert_int_equal(rmdir(spool), 0);
	int fd = open(spool, O_WRONLY | O_CREAT, 0600); /* a file in the folder's place */
	close(fd);
	struct body_state s;
	begin(&s);
	for (int i = 0; i < 10; i++)
		append(&s, view_of(piece, sizeof piece), sizeof piece);
	finish(&s);
	assert_int_not_equal(s.result.err, ERR_OK);
	assert_string_equal(s.result.spool, "");
	assert_int_equal(s.result.memory.len, 0);
	clear(&s);
	assert_int_equal(unlink(spool), 0);
	assert_int_equal(mkdir(spool, 0700), 0);
}

/* More jobs than the workers take: the message is refused, and nothing is left of it. */
static void workers_are_busy(void **state)
{
	(void)state;
	static uint8_t piece[INLINE_BYTES * 100];
	struct worker_pool *pool = t.server.workers;
	struct body_state s;
	begin(&s);
	append(&s, view_of(piece, sizeof piece), sizeof piece);
	testing_wait(&t, no_jobs, NULL, "a write");
	t.server.workers = worker_pool_new(1, 0);
	append(&s, view_of(piece, sizeof piece), sizeof piece);
	finish(&s);
	assert_int_equal(s.result.err, ERR_LIMIT);
	clear(&s);
	/* From the beginning. */
	begin(&s);
	append(&s, view_of(piece, sizeof piece), sizeof piece);
	finish(&s);
	assert_int_equal(s.result.err, ERR_LIMIT);
	clear(&s);
	worker_pool_free(t.server.workers);
	t.server.workers = pool;
	testing_wait(&t, no_jobs, NULL, "the end of all jobs");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(small_ones_stay_in_memory),
		CASE(nothing_at_all),
		CASE(large_ones_go_to_a_file),
		CASE(back_pressure),
		CASE(abandoned),
		CASE(disk_fails),
		CASE(workers_are_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
