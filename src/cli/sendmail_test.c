#include "cli/sendmail_message.h"
#include "cli/testing.h"

#include <stdio.h>

#define WORDS_MAX 14

static enum err read_words(const char *const words[WORDS_MAX], struct sendmail_options *ret)
{
	/* The options point into the words; the last set is kept. */
	static char texts[WORDS_MAX + 1][128];
	char *argv[WORDS_MAX + 2] = { texts[0] };
	int argc = 1;
	snprintf(texts[0], sizeof texts[0], "sendmail");
	for (; argc <= WORDS_MAX && words[argc - 1] != NULL; argc++) {
		snprintf(texts[argc], sizeof texts[argc], "%s", words[argc - 1]);
		argv[argc] = texts[argc];
	}
	argv[argc] = NULL;
	return sendmail_options_read(argc, argv, ret);
}

/* Mode, flags and values in one line. */
static void describe(const struct sendmail_options *options, char ret[300])
{
	char recipients[200] = "";
	size_t at = 0;
	for (size_t i = 0; i < options->recipients.count; i++)
		at += (size_t)snprintf(recipients + at, sizeof recipients - at, " %s", options->recipients.items[i]);
	snprintf(ret, 300, "%d%s%s%s f=%s F=%s C=%s N=%u R=%d V=%s:%s", (int)options->mode,
		options->recipients_from_header ? " t" : "", options->dot_is_text ? " i" : "",
		options->verbose ? " v" : "", options->sender != NULL ? options->sender : "-",
		options->full_name != NULL ? options->full_name : "-",
		options->config_path != NULL ? options->config_path : "-", options->notify, (int)options->ret,
		options->envid != NULL ? options->envid : "-", recipients);
}

static void test_options(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		const char *want;
	} cases[] = {
		{ "PHP mail()", { "-t", "-i" }, "0 t i f=- F=- C=- N=0 R=0 V=-:" },
		{ "PHP mail() with -f", { "-t", "-i", "-fjoe@example.com" },
			"0 t i f=joe@example.com F=- C=- N=0 R=0 V=-:" },
		{ "bundle", { "-ti" }, "0 t i f=- F=- C=- N=0 R=0 V=-:" },
		{ "cron", { "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root" },
			"0 i f=- F=CronDaemon C=- N=0 R=0 V=-: root" },
		{ "git send-email", { "-f", "a@b.example", "-i", "c@d.example", "e@f.example" },
			"0 i f=a@b.example F=- C=- N=0 R=0 V=-: c@d.example e@f.example" },
		{ "old -o options", { "-oi", "-odb", "-o7", "x" }, "0 i f=- F=- C=- N=0 R=0 V=-: x" },
		{ "-O", { "-O", "DeliveryMode=b", "-OIgnoreDots=true" }, "0 i f=- F=- C=- N=0 R=0 V=-:" },
		{ "null sender", { "-f", "<>", "x" }, "0 f=<> F=- C=- N=0 R=0 V=-: x" },
		{ "-r is -f", { "-r", "x@y.example" }, "0 f=x@y.example F=- C=- N=0 R=0 V=-:" },
		{ "dsn", { "-N", "success,delay", "-Rhdrs", "-V", "id-7" }, "0 f=- F=- C=- N=10 R=2 V=id-7:" },
		{ "dsn never", { "-NNEVER", "-R", "FULL" }, "0 f=- F=- C=- N=1 R=1 V=-:" },
		{ "smtp", { "-bs" }, "1 f=- F=- C=- N=0 R=0 V=-:" },
		{ "queue list", { "-bp" }, "2 f=- F=- C=- N=0 R=0 V=-:" },
		{ "queue run", { "-q" }, "3 f=- F=- C=- N=0 R=0 V=-:" },
		{ "queue run with time", { "-q15m", "-v" }, "3 v f=- F=- C=- N=0 R=0 V=-:" },
		{ "newaliases", { "-bi" }, "4 f=- F=- C=- N=0 R=0 V=-:" },
		{ "two dashes", { "-i", "--", "-x@example.com" }, "0 i f=- F=- C=- N=0 R=0 V=-: -x@example.com" },
		{ "configuration", { "-C", "/a", "--config", "/b", "x" }, "0 f=- F=- C=/b N=0 R=0 V=-: x" },
		{ "ignored letters", { "-G", "-U", "-n", "-m", "-h", "3", "-Ac", "-X", "/log", "-L", "tag", "x" },
			"0 f=- F=- C=- N=0 R=0 V=-: x" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sendmail_options got;
		char text[300];
		assert_err(cases[i].name, read_words(cases[i].words, &got), ERR_OK);
		describe(&got, text);
		assert_text(cases[i].name, view_from_cstr(text), cases[i].want);
	}
}

static void test_options_refused(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		const char *sentence;
	} cases[] = {
		{ "unknown letter", { "-Z" }, "unknown option -Z (see: postrider sendmail --help)" },
		{ "unknown long", { "--frob" }, "unknown option --frob (see: postrider sendmail --help)" },
		{ "value missing", { "-f" }, "-f needs a value" },
		{ "daemon", { "-bd" }, "-bd starts no server here: postrider serve does" },
		{ "unknown mode", { "-bx" }, "the mode -bx is not supported (-bm, -bs, -bp, -bi are)" },
		{ "wrong -N", { "-N", "sometimes" }, "-N takes never, or some of success,failure,delay" },
		{ "never and more", { "-N", "never,delay" }, "-N takes never, or some of success,failure,delay" },
		{ "wrong -R", { "-R", "half" }, "-R takes full or hdrs" },
		{ "envelope id", { "-V", "a\nb" }, "-V: an envelope id is printable ASCII" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sendmail_options got;
		assert_err(cases[i].name, read_words(cases[i].words, &got), ERR_SYNTAX);
		assert_text(cases[i].name, view_from_cstr(err_detail()), cases[i].sentence);
	}
}

static void test_line_ends(void **state)
{
	static const struct {
		const char *name;
		const char *in;
		bool dot_ends;
		const char *want;
	} cases[] = {
		{ "nothing", "", true, "" },
		{ "LF", "a\nb\n", true, "a\r\nb\r\n" },
		{ "CRLF", "a\r\nb\r\n", true, "a\r\nb\r\n" },
		{ "mixed", "a\r\nb\nc\r\n", true, "a\r\nb\r\nc\r\n" },
		{ "CR CR LF is one end", "a\r\r\nb", true, "a\r\nb\r\n" },
		{ "lone CR", "a\rb\n", true, "a\r\nb\r\n" },
		{ "two lone CRs", "a\r\rb", true, "a\r\n\r\nb\r\n" },
		{ "no end at the end", "a", true, "a\r\n" },
		{ "dot ends", "a\n.\nb\n", true, "a\r\n" },
		{ "dot with CRLF ends", "a\r\n.\r\nb", true, "a\r\n" },
		{ "dot is text with -i", "a\n.\nb\n", false, "a\r\n.\r\nb\r\n" },
		{ "two dots are text", "..\n", true, "..\r\n" },
		{ "dot and blank is text", ". \n", true, ". \r\n" },
		{ "mailbox line", "From joe Mon Jan  1 00:00:00 2024\nSubject: x\n", true, "Subject: x\r\n" },
		{ "From in the middle stays", "a\nFrom b\n", true, "a\r\nFrom b\r\n" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(cases[i].name, sendmail_line_ends(view_from_cstr(cases[i].in), cases[i].dot_ends, &out),
			ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].want);
		buf_clear(&out);
	}
}

static const struct sendmail_facts *facts(void)
{
	static struct sendmail_facts made;
	made = (struct sendmail_facts){
		.user = VIEW("joe"),
		.full_name = VIEW("Joe Doe"),
		.domain = VIEW("example.com"),
		.hostname = VIEW("mail.example.com"),
		.wall_ms = 1700000000000,
		.zone_minutes = 60,
	};
	return &made;
}

static void test_message(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		const char *in;
		const char *sender;
		const char *recipients;
		const char *has[4];
		const char *has_not;
		bool is_8bit, is_smtputf8;
	} cases[] = {
		{ "just text", { "root" }, "hello\n", "joe@example.com", "postmaster\n",
			{ "Date: Tue, 14 Nov 2023 23:13:20 +0100\r\n", "\r\nMessage-ID: <",
				"\r\nFrom: Joe Doe <joe@example.com>\r\n", "\r\n\r\nhello\r\n" },
			"Bcc", false, false },
		{ "header and arguments", { "a@b.example", "Carl <c@d.example>, e@f.example" },
			"From: x@y.example\nTo: z@z.example\n\nhello\n", "joe@example.com",
			"a@b.example\nc@d.example\ne@f.example\n",
			{ "From: x@y.example\r\n", "To: z@z.example\r\n\r\nhello\r\n" }, "From: Joe", false, false },
		{ "-t", { "-t" },
			"To: a@b.example, local\nCc: c@d.example\nBcc: e@f.example,\n a@b.example\nSubject: "
			"x\n\nhello\n",
			"joe@example.com", "a@b.example\nc@d.example\ne@f.example\nlocal@example.com\n",
			{ "To: a@b.example, local\r\n", "Subject: x\r\n\r\nhello\r\n" }, "Bcc", false, false },
		{ "-t and arguments, each once", { "-t", "c@d.example", "a@b.example" }, "To: a@b.example\n\nhello\n",
			"joe@example.com", "a@b.example\nc@d.example\n", { "To: a@b.example\r\n" }, "c@d.example",
			false, false },
		{ "Bcc goes without -t, too", { "a@b.example" }, "Bcc: secret@example.com\nSubject: x\n\nhello\n",
			"joe@example.com", "a@b.example\n", { "Subject: x\r\n\r\nhello\r\n" }, "secret", false, false },
		{ "-f", { "-f", "Ann <ann@other.example>", "a@b.example" }, "\nhello\n", "ann@other.example",
			"a@b.example\n", { "From: Joe Doe <ann@other.example>\r\n" }, "joe@", false, false },
		{ "null sender", { "-f", "<>", "a@b.example" }, "Subject: x\n\nhello\n", "", "a@b.example\n",
			{ "From: joe@example.com\r\n" }, "<>", false, false },
		{ "-F", { "-F", "Cron Daemon", "a@b.example" }, "Subject: x\n\nhello\n", "joe@example.com",
			"a@b.example\n", { "From: Cron Daemon <joe@example.com>\r\n" }, "Joe", false, false },
		{ "8 bit", { "a@b.example" },
			"Subject: x\n\nGr\xc3\xbc\xc3\x9f"
			"e\n",
			"joe@example.com", "a@b.example\n",
			{ "Gr\xc3\xbc\xc3\x9f"
			  "e\r\n" },
			"Bcc", true, false },
		{ "UTF-8 address", { "\xc3\xb6@b.example" }, "Subject: x\n\nhello\n", "joe@example.com",
			"\xc3\xb6@b.example\n", { "hello\r\n" }, "Bcc", false, true },
		{ "PHP: CRLF header, LF body", { "-t", "-i" }, "To: a@b.example\r\nSubject: x\r\n\r\none\n.\ntwo\n",
			"joe@example.com", "a@b.example\n", { "Subject: x\r\n\r\none\r\n.\r\ntwo\r\n" }, "\n\n", false,
			false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sendmail_options options;
		struct sendmail_message got;
		assert_err(cases[i].name, read_words(cases[i].words, &options), ERR_OK);
		assert_err(cases[i].name, sendmail_message_build(view_from_cstr(cases[i].in), &options, facts(), &got),
			ERR_OK);
		assert_text(cases[i].name, buf_view(&got.sender), cases[i].sender);
		assert_text(cases[i].name, buf_view(&got.recipients), cases[i].recipients);
		for (size_t j = 0; j < COUNT_OF(cases[i].has) && cases[i].has[j] != NULL; j++)
			assert_has(cases[i].name, buf_view(&got.content), cases[i].has[j]);
		assert_has_not(cases[i].name, buf_view(&got.content), cases[i].has_not);
		assert_int_equal(got.is_8bit, cases[i].is_8bit);
		assert_int_equal(got.is_smtputf8, cases[i].is_smtputf8);
		sendmail_message_clear(&got);
	}
}

static void test_message_refused(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		const char *in;
		const char *part;
	} cases[] = {
		{ "nobody in the header", { "-t" }, "Subject: x\n\nhello\n", "no recipient" },
		{ "an empty To", { "-t" }, "To: \n\nhello\n", "no recipient" },
		{ "malformed recipient", { "a b c" }, "hello\n", "" },
		{ "malformed in the header", { "-t" }, "To: a@@b\n\nhello\n", "field To" },
		{ "a quoted name with a NUL's neighbours", { "-t" }, "To: \"a\001b@c\"\n\nhello\n",
			"is no mail address" },
		{ "malformed sender", { "-f", "a@@b", "c@d.example" }, "hello\n", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sendmail_options options;
		struct sendmail_message got;
		assert_err(cases[i].name, read_words(cases[i].words, &options), ERR_OK);
		assert_err(cases[i].name, sendmail_message_build(view_from_cstr(cases[i].in), &options, facts(), &got),
			ERR_SYNTAX);
		assert_has(cases[i].name, view_from_cstr(err_detail()), cases[i].part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_refused),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_message_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
