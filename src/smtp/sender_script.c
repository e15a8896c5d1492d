#include "smtp/sender_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum play { PLAY_GROUPS, PLAY_LINES, PLAY_BYTES, PLAY_COUNT };

struct run {
	const struct sender_script *script;
	size_t transaction_count;
	const struct sender_script_transaction *transactions;
	enum play play;
	struct smtp_sender *sender;
	struct buf incoming; /* server bytes gathered for one feed */
	struct buf events; /* one line each */
	struct buf output;
	struct buf wanted; /* client bytes the script has named so far */
	struct view line; /* of the script, for messages */
	bool after_server; /* the line before was the server's too */
};

#define OK(call) assert_int_equal((call), ERR_OK)

static void broken(const struct run *run, const char *what, struct view got)
{
	struct buf shown = { 0 };
	OK(buf_append_escaped(&shown, got, 600));
	print_error("script \"%s\" (way %d) at \"%.*s\": %s: \"%s\"\n", run->script->name, (int)run->play,
		VIEW_ARG(run->line), what, buf_cstr(&shown));
	buf_clear(&shown);
	fail();
}

static void unescape(struct view text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '\\' && i + 1 < text.len) {
			uint8_t e = text.ptr[++i];
			c = e == 'r' ? '\r' : e == 'n' ? '\n' : e == '0' ? '\0' : e;
		}
		OK(buf_append_byte(out, c));
	}
}

/* "rcpt 1 RCPT 550 5.1.1 no such user", "failed DATA 451 4.4.2 text [here]", "body" … */
static void write_event(const struct smtp_sender_event *event, struct buf *out)
{
	static const char *const kinds[] = {
		[SMTP_SENDER_STARTTLS] = "starttls",
		[SMTP_SENDER_READY] = "ready",
		[SMTP_SENDER_BODY] = "body",
		[SMTP_SENDER_RECIPIENT] = "rcpt",
		[SMTP_SENDER_DONE] = "done",
		[SMTP_SENDER_FAILED] = "failed",
	};
	static const char *const stages[] = {
		[SMTP_STAGE_GREETING] = "GREETING",
		[SMTP_STAGE_EHLO] = "EHLO",
		[SMTP_STAGE_STARTTLS] = "STARTTLS",
		[SMTP_STAGE_AUTH] = "AUTH",
		[SMTP_STAGE_MAIL] = "MAIL",
		[SMTP_STAGE_RCPT] = "RCPT",
		[SMTP_STAGE_DATA] = "DATA",
		[SMTP_STAGE_FINAL] = "FINAL",
		[SMTP_STAGE_QUIT] = "QUIT",
	};
	OK(buf_append_cstr(out, kinds[event->kind]));
	if (event->kind == SMTP_SENDER_RECIPIENT)
		OK(buf_append_format(out, " %zu", event->index));
	if (event->kind == SMTP_SENDER_RECIPIENT || event->kind == SMTP_SENDER_FAILED) {
		OK(buf_append_format(out, " %s ", stages[event->stage]));
		if (event->reply.code == 0)
			OK(buf_append_cstr(out, "none"));
		else
			OK(smtp_reply_describe(&event->reply, out));
		if (event->made_here)
			OK(buf_append_cstr(out, " [here]"));
	}
	OK(buf_append_byte(out, '\n'));
}

static void pump(struct run *run)
{
	struct smtp_sender_event event;
	while (smtp_sender_next(run->sender, &event))
		write_event(&event, &run->events);
	for (struct view out; (out = smtp_sender_output(run->sender)).len > 0;) {
		size_t n = run->play == PLAY_BYTES ? 1 : out.len;
		OK(buf_append(&run->output, view_sub(out, 0, n)));
		smtp_sender_sent(run->sender, n);
	}
}

static void feed(struct run *run, struct view in)
{
	while (in.len > 0) {
		size_t step = run->play == PLAY_BYTES ? 1 : in.len;
		size_t used = 0;
		if (smtp_sender_feed(run->sender, view_sub(in, 0, step), &used) != ERR_OK) {
			pump(run);
			return;
		}
		pump(run);
		in = view_from(in, used);
	}
}

static void feed_gathered(struct run *run)
{
	feed(run, buf_view(&run->incoming));
	buf_reset(&run->incoming);
}

static void check_output(struct run *run)
{
	if (!view_eq(buf_view(&run->output), buf_view(&run->wanted)))
		broken(run, "the engine wrote", buf_view(&run->output));
	buf_reset(&run->output);
	buf_reset(&run->wanted);
}

static void check_event(struct run *run, struct view want)
{
	size_t end = view_find(buf_view(&run->events), '\n');
	struct view got = view_sub(buf_view(&run->events), 0, end);
	if (!view_eq(got, want))
		broken(run, "the engine told", got);
	buf_consume(&run->events, end < run->events.len ? end + 1 : end);
}

static bool word_is(struct view line, struct view word, struct view *ret_rest)
{
	if (!view_starts_with(line, word))
		return false;
	*ret_rest = view_from(line, word.len);
	return true;
}

static void begin(struct run *run, struct view name)
{
	for (size_t i = 0; i < run->transaction_count; i++)
		if (view_eq(name, view_from_cstr(run->transactions[i].name))) {
			OK(smtp_sender_begin(run->sender, &run->transactions[i].transaction));
			return;
		}
	broken(run, "there is no transaction", name);
}

static void body(struct run *run, struct view text, bool last)
{
	struct buf bytes = { 0 };
	unescape(text, &bytes);
	if (!smtp_sender_wants_body(run->sender))
		broken(run, "no body is wanted", VIEW_NONE);
	/* A wrong length is tested with scripts too: it shows as FAILED. */
	enum err err = smtp_sender_body(run->sender, buf_view(&bytes), last);
	if (err != ERR_OK && err != ERR_SYNTAX)
		broken(run, "body refused", view_from_cstr(err_name(err)));
	buf_clear(&bytes);
}

/* Something other than more bytes from the server. */
static void act(struct run *run, struct view line)
{
	struct view rest;
	if (word_is(line, VIEW("BEGIN "), &rest)) {
		begin(run, rest);
	} else if (word_is(line, VIEW("BODY: "), &rest)) {
		body(run, rest, false);
	} else if (word_is(line, VIEW("LAST: "), &rest)) {
		body(run, rest, true);
	} else if (word_is(line, VIEW("TICK "), &rest)) {
		uint64_t ms;
		OK(view_parse_u64(rest, INT64_MAX, &ms));
		smtp_sender_tick(run->sender, (int64_t)ms);
	} else if (view_eq(line, VIEW("TLS"))) {
		smtp_sender_tls_started(run->sender, 0);
	} else if (view_eq(line, VIEW("QUIT"))) {
		smtp_sender_quit(run->sender);
	} else if (view_eq(line, VIEW("ABORT"))) {
		smtp_sender_abort(run->sender);
	} else if (view_eq(line, VIEW("CLOSED"))) {
		smtp_sender_closed(run->sender, "connection lost");
	} else {
		broken(run, "unknown line", line);
	}
	pump(run);
}

static void nothing_is_left(struct run *run)
{
	check_output(run);
	if (run->events.len > 0)
		broken(run, "nobody expected the event", buf_view(&run->events));
}

static void play_line(struct run *run, struct view line)
{
	struct view rest;
	bool from_server = view_starts_with_nocase(line, VIEW("S: "));
	if (!from_server)
		feed_gathered(run);
	if (from_server) {
		if (!run->after_server)
			nothing_is_left(run);
		unescape(view_from(line, 3), &run->incoming);
		if (line.ptr[0] == 'S')
			OK(buf_append_cstr(&run->incoming, "\r\n"));
		if (run->play != PLAY_GROUPS)
			feed_gathered(run);
	} else if (word_is(line, VIEW("C: "), &rest)) {
		OK(buf_append(&run->wanted, rest));
		OK(buf_append_cstr(&run->wanted, "\r\n"));
	} else if (word_is(line, VIEW("c: "), &rest)) {
		unescape(rest, &run->wanted);
	} else if (word_is(line, VIEW("E: "), &rest)) {
		check_event(run, rest);
	} else {
		nothing_is_left(run);
		act(run, line);
	}
	run->after_server = from_server;
}

static struct view long_password(void)
{
	static uint8_t bytes[400];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = 'x';
	return view_of(bytes, sizeof bytes);
}

static struct smtp_sender *new_sender(unsigned flags)
{
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = VIEW("client.example.com");
	if ((flags & SCRIPT_TLS_NEVER) != 0)
		options.tls = SMTP_TLS_NEVER;
	if ((flags & SCRIPT_TLS_REQUIRED) != 0)
		options.tls = SMTP_TLS_REQUIRED;
	options.tls_active = (flags & SCRIPT_TLS_ACTIVE) != 0;
	options.has_login = (flags & SCRIPT_LOGIN) != 0;
	options.login_without_tls = (flags & SCRIPT_LOGIN_IN_CLEAR) != 0;
	options.user = VIEW("ann");
	options.password = (flags & SCRIPT_LONG_PASSWORD) != 0 ? long_password() : VIEW("secret");
	if ((flags & SCRIPT_TOKEN) != 0) {
		options.password = (flags & SCRIPT_LONG_PASSWORD) != 0 ? long_password() : VIEW("token");
		options.login_mechanisms = SASL_CLIENT_BY_TOKEN;
		options.login_host = VIEW("mx.example.net");
		options.login_port = 587;
	}
	if ((flags & SCRIPT_SCRAM) != 0) {
		options.user = VIEW("user");
		options.password = VIEW("pencil");
		options.login_nonce = VIEW("\xac\xea\x6b\x34\x67\xf0\x11\xb7\x91\x5a\x06\xcd\x12\x4a\x8e");
	}
	return smtp_sender_new(&options, 0);
}

void sender_script_run(const struct sender_script *script, size_t transaction_count,
	const struct sender_script_transaction *transactions)
{
	for (int play = 0; play < PLAY_COUNT; play++) {
		struct run run = { .script = script,
			.transaction_count = transaction_count,
			.transactions = transactions,
			.play = (enum play)play,
			.sender = new_sender(script->options) };
		struct view text = view_from_cstr(script->text);
		while (view_split(&text, '\n', &run.line))
			play_line(&run, run.line);
		run.line = VIEW("the end");
		feed_gathered(&run);
		nothing_is_left(&run);
		smtp_sender_free(run.sender);
		buf_clear(&run.incoming);
		buf_clear(&run.events);
		buf_clear(&run.output);
		buf_clear(&run.wanted);
	}
}
