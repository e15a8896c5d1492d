/* The message on the wire: dot-stuffing, line ends, chunks, and that nobody sees more than one end of it. */
#include "smtp/sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define OK(call) assert_int_equal((call), ERR_OK)

static const struct smtp_sender_recipient ben = { .address = { (const uint8_t *)"ben@example.net", 15 } };

/* Feeds replies, ignores the events, drops the output. */
static void feed(struct smtp_sender *sender, struct view in)
{
	struct smtp_sender_event event;
	while (in.len > 0) {
		size_t used = 0;
		OK(smtp_sender_feed(sender, in, &used));
		in = view_from(in, used);
		while (smtp_sender_next(sender, &event))
			assert_int_not_equal(event.kind, SMTP_SENDER_FAILED);
		smtp_sender_sent(sender, smtp_sender_output(sender).len);
	}
}

/* A sender that wants a body of that size. */
static struct smtp_sender *sender_in_body(struct view ehlo_reply, uint64_t size_bytes)
{
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = VIEW("client.example.com");
	struct smtp_sender *sender = smtp_sender_new(&options, 0);
	feed(sender, VIEW("220 hi\r\n"));
	feed(sender, ehlo_reply);
	struct smtp_sender_transaction transaction = {
		.recipient_count = 1, .recipients = &ben, .size_bytes = size_bytes
	};
	OK(smtp_sender_begin(sender, &transaction));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	feed(sender, VIEW("250 ok\r\n250 ok\r\n"));
	if (!smtp_sender_wants_body(sender))
		feed(sender, VIEW("354 go\r\n"));
	assert_true(smtp_sender_wants_body(sender));
	return sender;
}

static const struct view with_data = { (const uint8_t *)"250-mx\r\n250 PIPELINING\r\n", 24 };
static const struct view with_bdat = { (const uint8_t *)"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", 38 };

static void take_output(struct smtp_sender *sender, struct buf *out)
{
	OK(buf_append(out, smtp_sender_output(sender)));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
}

/* The body in pieces of `piece` bytes, what went out in `out`. */
static void send_in_pieces(struct view ehlo_reply, struct view body, size_t piece, struct buf *out)
{
	struct smtp_sender *sender = sender_in_body(ehlo_reply, body.len);
	buf_reset(out);
	for (size_t at = 0; at < body.len; at += piece) {
		OK(smtp_sender_body(sender, view_sub(body, at, piece), false));
		take_output(sender, out);
	}
	OK(smtp_sender_body(sender, VIEW_NONE, true));
	take_output(sender, out);
	feed(sender, VIEW("250 ok\r\n"));
	smtp_sender_free(sender);
}

/* The body in two pieces. */
static void send_split(struct view body, size_t at, struct buf *out)
{
	struct smtp_sender *sender = sender_in_body(with_data, body.len);
	buf_reset(out);
	OK(smtp_sender_body(sender, view_sub(body, 0, at), false));
	OK(smtp_sender_body(sender, view_from(body, at), true));
	take_output(sender, out);
	smtp_sender_free(sender);
}

static void check(const char *name, struct view got, struct view want)
{
	if (view_eq(got, want))
		return;
	struct buf shown = { 0 };
	OK(buf_append_escaped(&shown, got, 400));
	fail_msg("%s: %s", name, buf_cstr(&shown));
}

static void test_data(void **state)
{
	(void)state;
#define CASE(name, body, want)                                                                                         \
	{                                                                                                              \
		name, { (const uint8_t *)(body), sizeof(body) - 1 },                                                   \
		{                                                                                                      \
			(const uint8_t *)(want), sizeof(want) - 1                                                      \
		}                                                                                                      \
	}
	static const struct {
		const char *name;
		struct view body, want;
	} cases[] = {
		CASE("empty", "", ".\r\n"),
		CASE("a line", "hi\r\n", "hi\r\n.\r\n"),
		CASE("no line end", "hi", "hi\r\n.\r\n"),
		CASE("only a line end", "\r\n", "\r\n.\r\n"),
		CASE("a CR at the end", "hi\r", "hi\r\n.\r\n"),
		CASE("an LF at the end", "hi\n", "hi\r\n.\r\n"),
		CASE("a dot first", ".", "..\r\n.\r\n"),
		CASE("a line with a dot", ".\r\n", "..\r\n.\r\n"),
		CASE("lines with dots", "..a\r\n.b\r\nc.\r\n...\r\n", "...a\r\n..b\r\nc.\r\n....\r\n.\r\n"),
		CASE("a dot within a line", "a.b\r\nc\r\n", "a.b\r\nc\r\n.\r\n"),
		CASE("bare LF", "a\n.\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
		CASE("bare CR", "a\r.\rb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
		CASE("CRs in a row", "a\r\r\r\nb", "a\r\n\r\n\r\nb\r\n.\r\n"),
		CASE("LF CR", "a\n\rb", "a\r\n\r\nb\r\n.\r\n"),
		CASE("NUL", "a\0b\r\n\0\0.\0\r\0\n.\0", "ab\r\n..\r\n..\r\n.\r\n"),
		CASE("8-bit", "\xc3\xa4\r\n.\xff\r\n", "\xc3\xa4\r\n..\xff\r\n.\r\n"),
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		send_in_pieces(with_data, cases[i].body, 1, &out);
		check(cases[i].name, buf_view(&out), cases[i].want);
		for (size_t at = 0; at <= cases[i].body.len; at++) {
			send_split(cases[i].body, at, &out);
			check(cases[i].name, buf_view(&out), cases[i].want);
		}
	}
	buf_clear(&out);
}

/* ---- smuggling: how many ends does a receiver see? ---- */

enum lenience {
	STRICT, /* CRLF.CRLF only */
	ANY_LINE_END, /* CR, LF and CRLF all end a line */
	ANY_LINE_END_NO_NUL, /* the same, with NULs dropped before */
	LENIENCE_COUNT,
};

/* The end of the line at `at` (its first byte behind), or 0 if none ends here. */
static size_t line_end_at(struct view v, size_t at, enum lenience lenience)
{
	bool cr = at < v.len && v.ptr[at] == '\r';
	bool lf = at < v.len && v.ptr[at] == '\n';
	bool crlf = cr && at + 1 < v.len && v.ptr[at + 1] == '\n';
	if (crlf)
		return at + 2;
	return lenience != STRICT && (cr || lf) ? at + 1 : 0;
}

/* Where the receiver sees ends of data: their number, and the bytes behind the first. */
static size_t count_ends(struct view wire, enum lenience lenience, size_t *ret_behind)
{
	struct buf clean = { 0 };
	for (size_t i = 0; i < wire.len; i++)
		if (lenience != ANY_LINE_END_NO_NUL || wire.ptr[i] != '\0')
			OK(buf_append_byte(&clean, wire.ptr[i]));
	struct view v = buf_view(&clean);
	size_t ends = 0;
	bool line_start = true;
	for (size_t at = 0; at < v.len;) {
		size_t after_dot = line_start && v.ptr[at] == '.' ? line_end_at(v, at + 1, lenience) : 0;
		if (after_dot > 0 && ends++ == 0)
			*ret_behind = v.len - after_dot;
		size_t next = after_dot > 0 ? after_dot : line_end_at(v, at, lenience);
		line_start = next > 0;
		at = line_start ? next : at + 1;
	}
	buf_clear(&clean);
	return ends;
}

static void has_no_bare_line_end(const char *name, struct view wire)
{
	for (size_t i = 0; i < wire.len; i++) {
		bool lf_follows = i + 1 < wire.len && wire.ptr[i + 1] == '\n';
		bool cr_before = i > 0 && wire.ptr[i - 1] == '\r';
		if ((wire.ptr[i] == '\r' && !lf_follows) || (wire.ptr[i] == '\n' && !cr_before))
			check(name, wire, VIEW("no bare CR or LF"));
	}
}

static void test_smuggling(void **state)
{
	(void)state;
#define BYTES(name, bytes)                                                                                             \
	{                                                                                                              \
		name,                                                                                                  \
		{                                                                                                      \
			(const uint8_t *)(bytes), sizeof(bytes) - 1                                                    \
		}                                                                                                      \
	}
	static const struct {
		const char *name;
		struct view bytes;
	} sequences[] = {
		BYTES("CRLF dot CRLF", "\r\n.\r\n"),
		BYTES("LF dot LF", "\n.\n"),
		BYTES("LF dot CRLF", "\n.\r\n"),
		BYTES("CR dot CR", "\r.\r"),
		BYTES("CR dot LF", "\r.\n"),
		BYTES("CR dot CRLF", "\r.\r\n"),
		BYTES("LF dot CR", "\n.\r"),
		BYTES("CRLF dot LF", "\r\n.\n"),
		BYTES("CRLF dot CR", "\r\n.\r"),
		BYTES("NUL CRLF dot CRLF", "\0\r\n.\r\n"),
		BYTES("CRLF NUL dot CRLF", "\r\n\0.\r\n"),
		BYTES("CR NUL LF dot CRLF", "\r\0\n.\r\n"),
		BYTES("CRLF dot NUL CRLF", "\r\n.\0\r\n"),
		BYTES("CRLF dot CR CRLF", "\r\n.\r\r\n"),
		BYTES("CR CRLF dot CR CRLF", "\r\r\n.\r\r\n"),
		BYTES("CRLF dot CR NUL LF", "\r\n.\r\0\n"),
		BYTES("LF LF dot CRLF", "\n\n.\r\n"),
		BYTES("CR CRLF dot CRLF", "\r\r\n.\r\n"),
		BYTES("CRLF dot LF CRLF", "\r\n.\n\r\n"),
		BYTES("LF CR dot LF CR", "\n\r.\n\r"),
	};
	struct buf body = { 0 }, out = { 0 };
	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
		buf_reset(&body);
		OK(buf_append(&body, VIEW("Subject: outer\r\n\r\ntext")));
		OK(buf_append(&body, sequences[i].bytes));
		OK(buf_append(&body,
			VIEW("MAIL FROM:<eve@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n"
			     "Subject: inner\r\n\r\ntext\r\n.\r\n")));
		for (size_t piece = 1; piece <= body.len; piece++) {
			send_in_pieces(with_data, buf_view(&body), piece, &out);
			has_no_bare_line_end(sequences[i].name, buf_view(&out));
			for (int lenience = 0; lenience < LENIENCE_COUNT; lenience++) {
				size_t behind = 1;
				size_t ends = count_ends(buf_view(&out), (enum lenience)lenience, &behind);
				if (ends != 1 || behind != 0)
					fail_msg("%s: receiver %d sees %zu ends, %zu bytes behind", sequences[i].name,
						lenience, ends, behind);
			}
		}
	}
	buf_clear(&body);
	buf_clear(&out);
}

/* That the judge above can say no: unstuffed bytes do end early for it. */
static void test_the_judge(void **state)
{
	(void)state;
	static const struct {
		struct view wire;
		size_t ends[LENIENCE_COUNT];
	} cases[] = {
		{ { (const uint8_t *)"a\n.\nMAIL\r\n.\r\n", 14 }, { 1, 2, 2 } },
		{ { (const uint8_t *)"a\r.\rMAIL\r\n.\r\n", 14 }, { 1, 2, 2 } },
		{ { (const uint8_t *)"a\r\n.\r\nMAIL\r\n.\r\n", 16 }, { 2, 2, 2 } },
		{ { (const uint8_t *)"a\r\n\0.\r\nMAIL\r\n.\r\n", 17 }, { 1, 1, 2 } },
		{ { (const uint8_t *)"a\r\n..\r\nMAIL\r\n.\r\n", 17 }, { 1, 1, 1 } },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int lenience = 0; lenience < LENIENCE_COUNT; lenience++) {
			size_t behind = 0;
			assert_int_equal(
				count_ends(cases[i].wire, (enum lenience)lenience, &behind), cases[i].ends[lenience]);
		}
}

/* ---- chunks ---- */

static struct buf pattern(size_t size)
{
	struct buf body = { 0 };
	for (size_t i = 0; i < size; i++)
		OK(buf_append_byte(&body, (uint8_t)(i * 7 + i / 251)));
	return body;
}

/* Takes the BDAT stream apart again. The number of chunks; the bytes in `ret`. */
static size_t parse_chunks(struct view wire, struct buf *ret)
{
	size_t chunks = 0;
	bool last = false;
	while (wire.len > 0) {
		assert_false(last);
		assert_true(view_starts_with(wire, VIEW("BDAT ")));
		size_t line_end = view_find(wire, '\r');
		struct view line = view_sub(wire, 5, line_end - 5);
		last = view_ends_with_nocase(line, VIEW(" LAST"));
		uint64_t size;
		OK(view_parse_u64(view_sub(line, 0, last ? line.len - 5 : line.len), 1000000000, &size));
		wire = view_from(wire, line_end + 2);
		assert_true(size <= wire.len);
		OK(buf_append(ret, view_sub(wire, 0, (size_t)size)));
		wire = view_from(wire, (size_t)size);
		chunks++;
	}
	assert_true(last);
	return chunks;
}

static void test_chunks(void **state)
{
	(void)state;
	static const struct {
		size_t size, chunks, chunks_in_lock_step;
	} cases[] = {
		{ 0, 1, 1 },
		{ 1, 1, 1 },
		{ 65536, 1, 1 },
		{ 262144, 1, 1 },
		{ 262145, 2, 1 },
		{ 524288, 2, 1 },
		{ 600000, 3, 1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (int lock_step = 0; lock_step < 2; lock_step++) {
			struct buf body = pattern(cases[i].size), out = { 0 }, back = { 0 };
			size_t want = lock_step ? cases[i].chunks_in_lock_step : cases[i].chunks;
			struct smtp_sender *sender;
			if (lock_step) {
				struct smtp_sender_options options;
				smtp_sender_options_init(&options);
				sender = smtp_sender_new(&options, 0);
				feed(sender, VIEW("220 hi\r\n250-mx\r\n250 CHUNKING\r\n"));
				struct smtp_sender_transaction transaction = {
					.recipient_count = 1, .recipients = &ben, .size_bytes = body.len
				};
				OK(smtp_sender_begin(sender, &transaction));
				smtp_sender_sent(sender, smtp_sender_output(sender).len);
				feed(sender, VIEW("250 ok\r\n"));
				feed(sender, VIEW("250 ok\r\n"));
			} else {
				sender = sender_in_body(with_bdat, body.len);
			}
			for (size_t at = 0; at < body.len; at += 50000) {
				assert_true(smtp_sender_wants_body(sender));
				OK(smtp_sender_body(sender, view_sub(buf_view(&body), at, 50000), false));
				take_output(sender, &out);
			}
			OK(smtp_sender_body(sender, VIEW_NONE, true));
			take_output(sender, &out);
			assert_false(smtp_sender_wants_body(sender));
			assert_int_equal(parse_chunks(buf_view(&out), &back), want);
			assert_true(view_eq(buf_view(&back), buf_view(&body)));
			/* The replies to all chunks but the last say nothing about the message. */
			struct smtp_sender_event event;
			size_t used;
			for (size_t chunk = 1; chunk < want; chunk++) {
				OK(smtp_sender_feed(sender, VIEW("250 ok\r\n"), &used));
				assert_false(smtp_sender_next(sender, &event));
			}
			OK(smtp_sender_feed(sender, VIEW("250 taken\r\n"), &used));
			assert_true(smtp_sender_next(sender, &event));
			assert_int_equal(event.kind, SMTP_SENDER_RECIPIENT);
			assert_int_equal(event.stage, SMTP_STAGE_FINAL);
			assert_true(smtp_sender_next(sender, &event));
			assert_int_equal(event.kind, SMTP_SENDER_DONE);
			smtp_sender_free(sender);
			buf_clear(&body);
			buf_clear(&out);
			buf_clear(&back);
		}
	}
}

static void expect(
	struct smtp_sender *sender, enum smtp_sender_event_kind kind, enum smtp_sender_stage stage, unsigned code)
{
	struct smtp_sender_event event;
	assert_true(smtp_sender_next(sender, &event));
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.stage, stage);
	assert_int_equal(event.reply.code, code);
}

/* A chunk other than the last is refused. */
static void test_refused_chunk(void **state)
{
	(void)state;
	struct buf body = pattern(300000);
	struct view first = view_sub(buf_view(&body), 0, 262144), second = view_from(buf_view(&body), 262144);
	size_t used;
	struct smtp_sender_event event;

	/* Between two chunks: nothing more is given, and the connection serves on. */
	struct smtp_sender *sender = sender_in_body(with_bdat, body.len);
	OK(smtp_sender_body(sender, first, false));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	OK(smtp_sender_feed(sender, VIEW("452 full\r\n"), &used));
	assert_false(smtp_sender_wants_body(sender));
	assert_int_equal(smtp_sender_body(sender, second, true), ERR_STATE);
	expect(sender, SMTP_SENDER_RECIPIENT, SMTP_STAGE_DATA, 452);
	expect(sender, SMTP_SENDER_DONE, 0, 0);
	struct smtp_sender_transaction transaction = { .recipient_count = 1, .recipients = &ben, .size_bytes = 1 };
	OK(smtp_sender_begin(sender, &transaction));
	assert_true(view_starts_with(smtp_sender_output(sender), VIEW("RSET\r\nMAIL FROM:<>")));
	smtp_sender_free(sender);

	/* Within the next: it would have to be sent for nothing, so the connection goes. */
	sender = sender_in_body(with_bdat, body.len);
	OK(smtp_sender_body(sender, first, false));
	OK(smtp_sender_body(sender, view_sub(second, 0, 10), false));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	OK(smtp_sender_feed(sender, VIEW("452 full\r\n"), &used));
	expect(sender, SMTP_SENDER_RECIPIENT, SMTP_STAGE_DATA, 452);
	expect(sender, SMTP_SENDER_FAILED, SMTP_STAGE_DATA, 452);
	smtp_sender_free(sender);

	/* When all is written: the reply to the last chunk follows, and says nothing new. */
	sender = sender_in_body(with_bdat, body.len);
	OK(smtp_sender_body(sender, first, false));
	OK(smtp_sender_body(sender, second, true));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	OK(smtp_sender_feed(sender, VIEW("452 full\r\n"), &used));
	expect(sender, SMTP_SENDER_RECIPIENT, SMTP_STAGE_DATA, 452);
	assert_false(smtp_sender_next(sender, &event));
	OK(smtp_sender_feed(sender, VIEW("503 no mail\r\n"), &used));
	expect(sender, SMTP_SENDER_DONE, 0, 0);
	smtp_sender_free(sender);
	buf_clear(&body);
}

/* The reply to the message can't be believed while part of the message has not left. */
static void test_reply_before_the_end_left(void **state)
{
	(void)state;
	for (int bdat = 0; bdat < 2; bdat++)
		for (int refused = 0; refused < 2; refused++) {
			struct smtp_sender *sender = sender_in_body(bdat ? with_bdat : with_data, 4);
			OK(smtp_sender_body(sender, VIEW("hi\r\n"), true));
			smtp_sender_sent(sender, smtp_sender_output(sender).len - 1);
			size_t used;
			OK(smtp_sender_feed(sender, refused ? VIEW("550 no\r\n") : VIEW("250 ok\r\n"), &used));
			if (refused)
				expect(sender, SMTP_SENDER_RECIPIENT, SMTP_STAGE_DATA, 550);
			expect(sender, SMTP_SENDER_FAILED, refused ? SMTP_STAGE_DATA : SMTP_STAGE_FINAL,
				refused ? 550 : 451);
			assert_int_equal(smtp_sender_output(sender).len, 0);
			smtp_sender_free(sender);
		}
}

/* ---- bounds ---- */

static void test_output_is_bounded(void **state)
{
	(void)state;
	/* Body: no more is asked for while 64 KiB wait. */
	struct buf body = pattern(300000);
	struct smtp_sender *sender = sender_in_body(with_bdat, body.len);
	size_t given = 0;
	while (smtp_sender_wants_body(sender)) {
		OK(smtp_sender_body(sender, view_sub(buf_view(&body), given, 8192), false));
		given += 8192;
	}
	assert_true(smtp_sender_output(sender).len < 2 * 65536);
	/* Taken in small pieces it is asked for again. */
	while (!smtp_sender_wants_body(sender))
		smtp_sender_sent(sender, 100);
	assert_true(smtp_sender_output(sender).len < 65536);
	smtp_sender_free(sender);

	sender = sender_in_body(with_data, body.len);
	assert_int_equal(smtp_sender_body(sender, view_of(body.ptr, 2u * 1024 * 1024), false), ERR_LIMIT);
	smtp_sender_free(sender);
	buf_clear(&body);
}

/* Ten thousand recipients are pipelined as the output drains, and each has its outcome. */
static void test_many_recipients(void **state)
{
	(void)state;
	enum { COUNT = 10000 };
	static struct smtp_sender_recipient recipients[COUNT];
	for (size_t i = 0; i < COUNT; i++)
		recipients[i] = ben;
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = VIEW("client.example.com");
	struct smtp_sender *sender = smtp_sender_new(&options, 0);
	feed(sender, VIEW("220 hi\r\n"));
	feed(sender, with_data);
	struct smtp_sender_transaction transaction = {
		.recipient_count = COUNT, .recipients = recipients, .size_bytes = 4
	};
	OK(smtp_sender_begin(sender, &transaction));
	struct buf out = { 0 };
	while (smtp_sender_output(sender).len > 0) {
		assert_true(smtp_sender_output(sender).len < 66000);
		OK(buf_append(&out, view_sub(smtp_sender_output(sender), 0, 5000)));
		size_t n = smtp_sender_output(sender).len;
		smtp_sender_sent(sender, n < 5000 ? n : 5000);
	}
	assert_int_equal(out.len, 14 + COUNT * 27 + 6);
	assert_true(view_ends_with_nocase(buf_view(&out), VIEW("RCPT TO:<ben@example.net>\r\nDATA\r\n")));
	feed(sender, VIEW("250 mail ok\r\n"));
	struct smtp_sender_event event;
	size_t used, outcomes = 0;
	for (size_t i = 0; i < COUNT; i++) {
		OK(smtp_sender_feed(sender, i % 2 == 0 ? VIEW("250 ok\r\n") : VIEW("550 no\r\n"), &used));
		while (smtp_sender_next(sender, &event)) {
			assert_int_equal(event.index, i);
			outcomes++;
		}
	}
	assert_int_equal(outcomes, COUNT / 2);
	feed(sender, VIEW("354 go\r\n"));
	OK(smtp_sender_body(sender, VIEW("hi\r\n"), true));
	smtp_sender_sent(sender, smtp_sender_output(sender).len);
	OK(smtp_sender_feed(sender, VIEW("250 ok\r\n"), &used));
	while (smtp_sender_next(sender, &event) && event.kind == SMTP_SENDER_RECIPIENT) {
		assert_int_equal(event.index % 2, 0);
		outcomes++;
	}
	assert_int_equal(event.kind, SMTP_SENDER_DONE);
	assert_int_equal(outcomes, COUNT);
	smtp_sender_free(sender);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_the_judge),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_refused_chunk),
		cmocka_unit_test(test_reply_before_the_end_left),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_many_recipients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
