/* The message: DATA with its dots and line ends, BDAT, sizes. */
#include "smtp/receiver_dialogue.h"

static const struct dialogue data_dialogues[] = {
	{ "empty", DIALOGUE_RCPT, "C: DATA\nS: 354 ...\nC: .\nS: 250 2.0.0 Queued\nE: DATA\nE: MESSAGE 0\n" },
	{ "plain", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nC: Subject: x\nC: \nC: y\nC: .\nS: 250 ...\nE: DATA\nE: BODY ...\nE: MESSAGE 17\n"
		"MESSAGE Subject: x\\r\\n\\r\\ny\\r\\n\n" },
	{ "dots", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nC: .x\nC: ..\nC: ..x\nC: ...\nC: x.\nC: .\\tx\nC: .\nS: 250 ...\n"
		"MESSAGE x\\r\\n.\\r\\n.x\\r\\n..\\r\\nx.\\r\\n\\tx\\r\\n\n" },
	{ "long lines are let through", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nC: \\R{998}x\nC: \\R{5000}y\nC: .\nS: 250 ...\nE: DATA\nE: BODY bytes=6002 "
		"...\nE: MESSAGE 6002\n" },
	{ "8-bit, declared or not", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nC: \\xff\\x80\\x01\nC: .\nS: 250 ...\nMESSAGE \\xff\\x80\\x01\\r\\n\n" },
	{ "refused at DATA: nothing is left", DIALOGUE_HELLO,
		"C: MAIL FROM:<nodata@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nS: 250 ...\nS: 250 ...\nS: 550 "
		"5.7.1 No message from you\n"
		"E: MAIL ...\nE: RCPT ...\nE: DATA\nE: ABORT\nC: DATA\nS: 503 5.5.1 Send MAIL first\nC: BDAT 0 "
		"LAST\nS: 503 5.5.1 Send MAIL first\n"
		"C: RCPT TO:<c@b.example>\nS: 503 5.5.1 ...\nC: MAIL FROM:<a@a.example>\nS: 250 ...\nE: MAIL "
		"<a@a.example>\nC: DATA\n"
		"S: 503 5.5.1 Send RCPT first\nC: RCPT TO:<c@b.example>\nS: 250 ...\nE: RCPT ...\nC: DATA\nS: 354 "
		"...\nE: DATA\nC: .\nS: 250 ...\n"
		"E: MESSAGE 0\n" },
	{ "421 at DATA", DIALOGUE_HELLO,
		"C: MAIL FROM:<byedata@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nS: 250 ...\nS: 250 ...\nS: 421 "
		"...\nE: MAIL ...\nE: RCPT ...\n"
		"E: DATA\nE: ABORT\nE: CLOSE ...\nCLOSED\n" },
	{ "no valid recipients", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@a.example>\nC: RCPT TO:<nobody@b.example>\nC: RCPT TO:<later@b.example>\nC: DATA\nS: "
		"250 ...\nS: 550 ...\nS: 451 ...\n"
		"S: 554 5.5.1 No valid recipients\nC: RCPT TO:<b@b.example>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: "
		"250 ...\n" },
	{ "refused at the end", DIALOGUE_HELLO,
		"C: MAIL FROM:<nomsg@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nC: x\nC: .\nC: DATA\nS: 250 "
		"...\nS: 250 ...\nS: 354 ...\n"
		"S: 554 5.7.1 Not this one\nS: 503 5.5.1 Send MAIL first\nE: MAIL ...\nE: RCPT ...\nE: DATA\nE: BODY "
		"x...\nE: MESSAGE 3\n"
		"C: MAIL FROM:<latermsg@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nC: x\nC: .\nS: 250 ...\nS: 250 "
		"...\nS: 354 ...\n"
		"S: 452 4.3.1 Disk full\nE: MAIL ...\nE: RCPT ...\nE: DATA\nE: BODY x...\nE: MESSAGE 3\n"
		"C: MAIL FROM:<byemsg@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nC: x\nC: .\nS: 250 ...\nS: 250 "
		"...\nS: 354 ...\nS: 421 ...\n"
		"E: MAIL ...\nE: RCPT ...\nE: DATA\nE: BODY x...\nE: MESSAGE 3\nE: CLOSE ...\nCLOSED\n" },
	{ "BINARYMIME is not for DATA", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@a.example> BODY=BINARYMIME\nC: RCPT TO:<b@b.example>\nC: DATA\nS: 250 ...\nS: 250 "
		"...\nS: 503 5.5.1 BODY=BINARYMIME...\n"
		"C: BDAT 0 LAST\nS: 250 ...\n" },
};

#define AFTER "MAIL FROM:<evil@x.example>\\r\\nRCPT TO:<victim@y.example>\\r\\nDATA\\r\\nevil\\r\\n.\\r\\n"
#define SMUGGLE(name, mark, reason, seen)                                                                              \
	{                                                                                                              \
		name, DIALOGUE_RCPT,                                                                                   \
			"C: DATA\nS: 354 ...\nE: DATA\nc: a" mark AFTER "\nS: 554 5.6.0 " reason "\nE: BODY a" seen    \
			"E: ABORT\nC: NOOP\nS: 250 ...\nC: DATA\nS: 503 5.5.1 Send MAIL first\n"                       \
	}
#define CR "Bare CR in the message: lines end with CR LF"
#define LF "Bare LF in the message: lines end with CR LF"

static const struct dialogue smuggling_dialogues[] = {
	SMUGGLE("LF . LF", "\\n.\\n", LF, "\n"),
	SMUGGLE("LF . CRLF", "\\n.\\r\\n", LF, "\n"),
	SMUGGLE("CR . CR", "\\r.\\r", CR, "\n"),
	SMUGGLE("CR . LF", "\\r.\\n", CR, "\n"),
	SMUGGLE("CR . CRLF", "\\r.\\r\\n", CR, "\n"),
	SMUGGLE("LF . CR", "\\n.\\r", LF, "\n"),
	SMUGGLE("CRLF . LF", "\\r\\n.\\n", LF, "\\x0d\\x0a\n"),
	SMUGGLE("CRLF . CR", "\\r\\n.\\r", CR, "\\x0d\\x0a\n"),
	SMUGGLE("CRLF NUL . CRLF", "\\r\\n\\0.\\r\\n", "NUL byte in the message", "\\x0d\\x0a\n"),
	SMUGGLE("CR NUL LF . CRLF", "\\r\\0\\n.\\r\\n", CR, "\n"),
	SMUGGLE("CRLF . NUL CRLF", "\\r\\n.\\0\\r\\n", "NUL byte in the message", "\\x0d\\x0a\n"),
	SMUGGLE("CRLF . CR CRLF", "\\r\\n.\\r\\r\\n", CR, "\\x0d\\x0a\n"),
	SMUGGLE("CRLF . CR NUL LF", "\\r\\n.\\r\\0\\n", CR, "\\x0d\\x0a\n"),
	SMUGGLE("LF LF . CRLF", "\\n\\n.\\r\\n", LF, "\n"),
	SMUGGLE("CRLF . LF CRLF", "\\r\\n.\\n\\r\\n", LF, "\\x0d\\x0a\n"),
	{ "NUL before a real end", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nE: DATA\nc: a\\0\\r\\n.\\r\\nNOOP\\r\\n\nS: 554 5.6.0 NUL...\nS: 250 ...\nE: "
		"BODY a\nE: ABORT\n" },
	{ "CR before a real end", DIALOGUE_RCPT,
		"C: DATA\nS: 354 ...\nE: DATA\nc: a\\r\\r\\n.\\r\\nNOOP\\r\\n\nS: 554 5.6.0 Bare CR...\nS: 250 ...\nE: "
		"BODY a\nE: ABORT\n" },
	{ "CR as the very first byte", DIALOGUE_RCPT,
		"C: DATA\nc: \\r.\\r\\n.\\r\\n\nS: 354 ...\nS: 554 5.6.0 Bare CR...\n" },
	{ "LF as the very first byte", DIALOGUE_RCPT,
		"C: DATA\nc: \\n.\\r\\n.\\r\\n\nS: 354 ...\nS: 554 5.6.0 Bare LF...\n" },
	{ "normalised: LF", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"C: DATA\nc: a\\nb\\n.\\nc\\n..d\\n.\\r\\n.\\r\\n\nS: 354 ...\nS: 250 ...\nMESSAGE "
		"a\\r\\nb\\r\\n.\\r\\nc\\r\\n..d\\r\\n.\\r\\n\n" },
	{ "normalised: CR", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"C: DATA\nc: a\\rb\\r.\\r\\n..\\r\\r\\n.\\r\\n\nS: 354 ...\nS: 250 ...\nMESSAGE "
		"a\\r\\nb\\r\\n.\\r\\n.\\r\\n\\r\\n\n" },
	{ "normalised: dot CR", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"C: DATA\nc: a\\r\\n.\\rb\\r\\n.\\r\\n\nS: 354 ...\nS: 250 ...\nMESSAGE a\\r\\n\\r\\nb\\r\\n\n" },
	{ "normalised: NUL is refused still", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"C: DATA\nc: a\\0\\n.\\r\\n.\\r\\n\nS: 354 ...\nS: 554 5.6.0 NUL...\n" },
};

static const struct dialogue size_dialogues[] = {
	{ "exactly the limit", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: DATA\nC: \\R{98}x\nC: .\nS: 354 ...\nS: 250 ...\nE: DATA\nE: BODY ...\nE: MESSAGE 100\n" },
	{ "dots that are taken away do not count", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: DATA\nC: .\\R{98}x\nC: .\nS: 354 ...\nS: 250 ...\n" },
	{ "one byte more", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: DATA\nC: \\R{99}x\nC: .\nS: 354 ...\nS: 552 5.3.4 ...\nE: DATA\nE: BODY ...\nE: ABORT\nC: DATA\nS: "
		"503 5.5.1 Send MAIL first\n" },
	{ "much more", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: DATA\nC: \\R{100000}x\nC: \\R{100000}y\nC: .\nC: NOOP\nS: 354 ...\nS: 552 5.3.4 ...\nS: 250 "
		"...\nE: DATA\nE: BODY ...\nE: ABORT\n" },
	{ "too large, then odd", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: DATA\nC: \\R{1000}x\nc: .\\nHELP\\r\\nHELP\\r\\n.\\r\\n\nS: 354 ...\nS: 552 5.3.4 ...\nE: DATA\nE: "
		"BODY ...\nE: ABORT\n" },
	{ "normalising makes it too large", DIALOGUE_SMALL | DIALOGUE_NORMALISE | DIALOGUE_RCPT,
		"C: DATA\nc: \\R{99}x\\n\\r\\n.\\r\\n\nS: 354 ...\nS: 552 5.3.4 ...\nE: DATA\nE: BODY ...\nE: "
		"ABORT\n" },
	{ "declared too large", DIALOGUE_SMALL | DIALOGUE_HELLO,
		"C: MAIL FROM:<> SIZE=101\nS: 552 5.3.4 ...\nC: MAIL FROM:<> SIZE=100\nS: 250 ...\n" },
	{ "a chunk too large is not stored at all", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"c: BDAT 101 LAST\\r\\n\\R{101}xNOOP\\r\\n\nS: 552 5.3.4 ...\nS: 250 ...\nE: ABORT\n" },
	{ "chunks too large together", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"c: BDAT 60\\r\\n\\R{60}xBDAT 41 LAST\\r\\n\\R{41}xBDAT 0 LAST\\r\\n\nS: 250 ...\nS: 552 5.3.4 ...\nS: "
		"503 ...\nE: DATA\nE: BODY ...\nE: ABORT\n" },
};

static const struct dialogue chunk_dialogues[] = {
	{ "one chunk", DIALOGUE_RCPT,
		"c: BDAT 6 LAST\\r\\nabcd\\r\\nNOOP\\r\\n\nS: 250 2.0.0 Queued\nS: 250 2.0.0 Ok\nE: DATA\nE: BODY "
		"abcd\\x0d\\x0a\nE: MESSAGE 6\n" },
	{ "several chunks, cut anywhere", DIALOGUE_RCPT,
		"c: BDAT 3\\r\\na\\r\\nBDAT 2\\r\\nb\\rbdat 0\\r\\nBDAT 2 last\\r\\n\\nc\nS: 250 2.0.0 Chunk "
		"received\nS: 250 2.0.0 Chunk received\n"
		"S: 250 2.0.0 Chunk received\nS: 250 2.0.0 Queued\nE: DATA\nE: BODY a\\x0d\\x0ab\\x0d\\x0ac\nE: "
		"MESSAGE 7\n" },
	{ "empty", DIALOGUE_RCPT, "C: BDAT 0 LAST\nS: 250 2.0.0 Queued\nE: DATA\nE: MESSAGE 0\n" },
	{ "an empty last chunk", DIALOGUE_RCPT,
		"c: BDAT 3\\r\\na\\r\\nBDAT 0 LAST\\r\\n\nS: 250 ...\nS: 250 ...\nE: DATA\nE: BODY a\\x0d\\x0a\nE: "
		"MESSAGE 3\n" },
	{ "an end mark is content", DIALOGUE_RCPT,
		"c: BDAT 23 LAST\\r\\na\\r\\n.\\r\\nMAIL FROM:<x@y>\\r\\nNOOP\\r\\n\nS: 250 ...\nS: 250 ...\nMESSAGE "
		"a\\r\\n.\\r\\nMAIL FROM:<x@y>\\r\\n\n" },
	{ "dots stay", DIALOGUE_RCPT, "c: BDAT 7 LAST\\r\\n..\\r\\n.\\r\\n\nS: 250 ...\nMESSAGE ..\\r\\n.\\r\\n\n" },
	{ "bare LF in a text", DIALOGUE_RCPT,
		"c: BDAT 4\\r\\na\\nb\\nBDAT 2 LAST\\r\\ncdNOOP\\r\\n\nS: 554 5.6.0 Bare LF...\nS: 503 5.5.1 ...\nS: "
		"250 ...\nE: DATA\nE: BODY a\nE: ABORT\n" },
	{ "bare CR at the very end", DIALOGUE_RCPT,
		"c: BDAT 2 LAST\\r\\na\\r\nS: 554 5.6.0 Bare CR...\nE: DATA\nE: BODY a\nE: ABORT\n" },
	{ "bare CR between chunks", DIALOGUE_RCPT,
		"c: BDAT 2\\r\\na\\rBDAT 1 LAST\\r\\nb\nS: 250 ...\nS: 554 5.6.0 Bare CR...\nE: DATA\nE: BODY a\nE: "
		"ABORT\n" },
	{ "normalised", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"c: BDAT 6 LAST\\r\\na\\nb\\r\\nc\nS: 250 ...\nMESSAGE a\\r\\nb\\r\\nc\n" },
	{ "normalised, CR at the very end", DIALOGUE_RCPT | DIALOGUE_NORMALISE,
		"c: BDAT 2 LAST\\r\\na\\r\nS: 250 ...\nMESSAGE a\\r\\n\n" },
	{ "BINARYMIME comes as sent", DIALOGUE_HELLO,
		"C: MAIL FROM:<> BODY=BINARYMIME\nC: RCPT TO:<b@b.example>\nc: BDAT 3\\r\\n\\n\\0\\rBDAT 5 "
		"LAST\\r\\n.\\r\\n.\\n\nS: 250 ...\nS: 250 ...\n"
		"S: 250 ...\nS: 250 ...\nMESSAGE \\n\\0\\r.\\r\\n.\\n\n" },
	{ "no transaction", DIALOGUE_HELLO,
		"c: BDAT 6 LAST\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: 503 5.5.1 Send MAIL first\nS: 250 ...\nOPEN\n" },
	{ "no recipients: nothing is left", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@a.example>\nc: BDAT 6\\r\\nRSET\\r\\nBDAT 6 LAST\\r\\nQUIT\\r\\n\nS: 250 ...\nS: 503 "
		"5.5.1 Send RCPT first\n"
		"S: 503 5.5.1 Send MAIL first\nE: MAIL ...\nE: ABORT\nOPEN\n" },
	{ "no valid recipients, pipelined", DIALOGUE_HELLO,
		"C: MAIL FROM:<a@a.example>\nC: RCPT TO:<nobody@b.example>\nc: BDAT 6\\r\\nRSET\\r\\nBDAT 6 "
		"LAST\\r\\nQUIT\\r\\nMAIL FROM:<b@a.example>\\r\\n\n"
		"S: 250 ...\nS: 550 ...\nS: 554 5.5.1 No valid recipients\nS: 503 5.5.1 Send MAIL first\nS: 250 "
		"...\nE: MAIL ...\nE: RCPT ...\nE: ABORT\n"
		"E: MAIL <b@a.example>\n" },
	{ "refused at the first chunk, more behind it", DIALOGUE_HELLO,
		"C: MAIL FROM:<nodata@a.example>\nC: RCPT TO:<b@b.example>\nc: BDAT 6\\r\\nQUIT\\r\\nBDAT 6 "
		"LAST\\r\\nQUIT\\r\\n\nC: MAIL FROM:<c@a.example>\n"
		"C: RCPT TO:<b@b.example>\nC: BDAT 1 LAST\nc: x\nS: 250 ...\nS: 250 ...\nS: 550 5.7.1 No message from "
		"you\nS: 503 5.5.1 Send MAIL first\n"
		"S: 250 ...\nS: 250 ...\nS: 250 ...\nE: MAIL ...\nE: RCPT ...\nE: DATA\nE: ABORT\nE: MAIL ...\nE: RCPT "
		"...\nE: DATA\nE: BODY x\nE: MESSAGE 1\n" },
	{ "421 at the first chunk", DIALOGUE_HELLO,
		"C: MAIL FROM:<byedata@a.example>\nC: RCPT TO:<b@b.example>\nc: BDAT 6\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: "
		"250 ...\nS: 250 ...\nS: 421 ...\nCLOSED\n" },
	{ "in the middle: RSET", DIALOGUE_RCPT,
		"c: BDAT 1\\r\\nxRSET\\r\\nBDAT 1 LAST\\r\\ny\nS: 250 ...\nS: 250 ...\nS: 503 5.5.1 Send MAIL "
		"first\nE: DATA\nE: BODY x\nE: ABORT\n" },
	{ "in the middle: other commands", DIALOGUE_RCPT,
		"c: BDAT 1\\r\\nx\nC: RCPT TO:<c@b.example>\nC: MAIL FROM:<>\nC: DATA\nC: NOOP\nc: BDAT 1 "
		"LAST\\r\\ny\nS: 250 ...\nS: 503 5.5.1 ...\n"
		"S: 503 5.5.1 ...\nS: 503 5.5.1 DATA and BDAT can't be mixed\nS: 250 ...\nS: 250 ...\nMESSAGE xy\n" },
	{ "behind LAST", DIALOGUE_RCPT,
		"c: BDAT 0 LAST\\r\\nBDAT 6 LAST\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: 250 ...\nS: 503 5.5.1 ...\nS: 250 "
		"...\nOPEN\n" },
	{ "a word that is not LAST", DIALOGUE_RCPT,
		"c: BDAT 6 LAS\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: 501 5.5.4 ...\nS: 250 ...\nE: ABORT\nOPEN\n" },
	{ "no size", DIALOGUE_RCPT,
		"c: BDAT\\r\\nNOOP\\r\\n\nS: 501 5.5.4 ...\nE: ABORT\nE: CLOSE a malformed BDAT\nCLOSED\n" },
	{ "a negative size", DIALOGUE_RCPT, "C: BDAT -1 LAST\nS: 501 5.5.4 ...\nCLOSED\n" },
	{ "a size of more than 64 bits", DIALOGUE_RCPT, "C: BDAT 18446744073709551616\nS: 501 5.5.4 ...\nCLOSED\n" },
	{ "a size of 64 bits", DIALOGUE_RCPT | DIALOGUE_NO_LIMITS,
		"c: BDAT 18446744073709551615\\r\\nabc\nE: DATA\nOPEN\n" },
	{ "a size beyond the limit", DIALOGUE_RCPT, "c: BDAT 18446744073709551615\\r\\nNOOP\\r\\n\nE: ABORT\nOPEN\n" },
	{ "not offered: its bytes are read all the same", DIALOGUE_RCPT | DIALOGUE_BARE,
		"c: BDAT 6 LAST\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: 502 5.5.1 ...\nS: 250 ...\nOPEN\n" },
	{ "behind too many errors", DIALOGUE_SMALL | DIALOGUE_RCPT,
		"C: X\nC: X\nC: X\nC: X\nc: BDAT 6 LAST\\r\\nQUIT\\r\\nNOOP\\r\\n\nS: 500 ...\nS: 500 ...\nS: 500 "
		"...\nS: 500 ...\nS: 250 ...\nS: 421 ...\nCLOSED\n" },
};

static void test_data(void **state)
{
	(void)state;
	dialogue_run_all(data_dialogues, sizeof data_dialogues / sizeof *data_dialogues);
}

static void test_smuggling(void **state)
{
	(void)state;
	dialogue_run_all(smuggling_dialogues, sizeof smuggling_dialogues / sizeof *smuggling_dialogues);
}

static void test_sizes(void **state)
{
	(void)state;
	dialogue_run_all(size_dialogues, sizeof size_dialogues / sizeof *size_dialogues);
}

static void test_chunks(void **state)
{
	(void)state;
	dialogue_run_all(chunk_dialogues, sizeof chunk_dialogues / sizeof *chunk_dialogues);
}

/* A large message in one read comes as large views of the bytes that were fed, not as copies. */
static void test_no_copies(void **state)
{
	(void)state;
	struct smtp_receiver_options options;
	struct receiver_driver driver;
	smtp_receiver_options_init(&options);
	receiver_driver_init(&driver, &options);
	receiver_driver_pump(&driver);
	receiver_driver_feed(&driver, VIEW("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"), 1000);
	struct buf in = { 0 };
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			buf_append_cstr(&in, "A line of a message, as long as lines are in mail for people\r\n"),
			ERR_OK);
	size_t body = in.len;
	assert_int_equal(buf_append_cstr(&in, ".\r\n"), ERR_OK);
	size_t used;
	struct smtp_event event;
	assert_int_equal(smtp_receiver_feed(driver.receiver, buf_view(&in), &used), ERR_OK);
	assert_int_equal(used, body);
	assert_true(smtp_receiver_next(driver.receiver, &event));
	assert_int_equal(event.kind, SMTP_EVENT_BODY);
	assert_ptr_equal(event.body.ptr, in.ptr);
	assert_int_equal(event.body.len, body);
	assert_false(smtp_receiver_next(driver.receiver, &event));
	buf_clear(&in);
	receiver_driver_clear(&driver);
}

/* Odd bytes without end cost no more than other bytes: this would take minutes if each made a look over all the rest. */
static void test_floods(void **state)
{
	(void)state;
	static const char *const floods[] = { "\n", "\r", "\r\r\n", "\r\n.", "\r\n..\r\n.\r\r\n" };
	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
		struct smtp_receiver_options options;
		struct receiver_driver driver;
		struct buf in = { 0 };
		smtp_receiver_options_init(&options);
		receiver_driver_init(&driver, &options);
		receiver_driver_pump(&driver);
		receiver_driver_feed(&driver, VIEW("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"), 1000);
		while (in.len < 2000000)
			assert_int_equal(buf_append_cstr(&in, floods[i]), ERR_OK);
		assert_int_equal(buf_append_cstr(&in, "\r\n.\r\nQUIT\r\n"), ERR_OK);
		receiver_driver_feed(&driver, buf_view(&in), SIZE_MAX);
		assert_true(driver.closed);
		buf_clear(&in);
		receiver_driver_clear(&driver);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_no_copies),
		cmocka_unit_test(test_floods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
