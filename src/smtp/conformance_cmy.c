#include "smtp/conformance_cmy.h"

#include "smtp/receiver_driver.h"

struct player {
	struct receiver_driver driver;
	bool connected;
	size_t piece, digits;
	size_t out_at;
	struct buf *why;
};

static void put(struct buf *buf, struct view bytes)
{
	ASSERT(buf_append(buf, bytes) == ERR_OK);
}

/* The server that the dialogues were made for: at most 1 MiB, gone at the third failed login, one account. */
static struct smtp_reply decide(struct receiver_driver *driver, const struct smtp_event *event)
{
	if (event->kind != SMTP_EVENT_AUTH)
		return receiver_driver_decide(driver, event);
	bool right = view_eq(event->auth_user, VIEW("user@testserver")) &&
		view_eq(event->auth_password, VIEW("secretpassword"));
	return right ? smtp_reply_make(235, "2.7.0", "Ok") : smtp_reply_make(535, "5.7.8", "Wrong user or password");
}

static void disconnect(struct player *player)
{
	if (player->connected)
		receiver_driver_clear(&player->driver);
	player->connected = false;
	player->out_at = 0;
}

static void connect_to(struct player *player, bool tls)
{
	struct smtp_receiver_options options;
	disconnect(player);
	smtp_receiver_options_init(&options);
	options.hostname = VIEW("testserver");
	options.submission = tls;
	options.tls_active = tls;
	options.starttls = true;
	options.auth = true;
	options.message_size_max_bytes = 1024 * 1024;
	options.auth_failures_max = 2;
	receiver_driver_init(&player->driver, &options);
	player->driver.decide = decide;
	player->connected = true;
	receiver_driver_pump(&player->driver);
}

/* ---- The expressions of raw lines: 'text', + , * number, brackets ---- */

static void skip_blanks(struct view *in)
{
	while (in->len > 0 && in->ptr[0] == ' ')
		*in = view_from(*in, 1);
}

static bool take(struct view *in, char c)
{
	skip_blanks(in);
	if (in->len == 0 || in->ptr[0] != (uint8_t)c)
		return false;
	*in = view_from(*in, 1);
	return true;
}

static bool sum(struct view *in, struct buf *out);

static bool text(struct view *in, struct buf *out)
{
	while (in->len > 0 && in->ptr[0] != '\'') {
		uint8_t c = in->ptr[0];
		if (c == '\\' && in->len > 1) {
			*in = view_from(*in, 1);
			c = in->ptr[0] == 'n' ? '\n' : in->ptr[0] == 'r' ? '\r' : in->ptr[0];
		}
		put(out, view_of(&c, 1));
		*in = view_from(*in, 1);
	}
	return take(in, '\'');
}

static bool product(struct view *in, struct buf *out)
{
	struct buf part = { 0 };
	bool fine = take(in, '(') ? sum(in, &part) && take(in, ')') : take(in, '\'') && text(in, &part);
	uint64_t times = 1;
	if (fine && take(in, '*')) {
		skip_blanks(in);
		size_t digits = 0;
		while (digits < in->len && ascii_is_digit(in->ptr[digits]))
			digits++;
		fine = view_parse_u64(view_sub(*in, 0, digits), 100000, &times) == ERR_OK;
		*in = view_from(*in, digits);
	}
	while (fine && times-- > 0)
		put(out, buf_view(&part));
	buf_clear(&part);
	return fine;
}

static bool sum(struct view *in, struct buf *out)
{
	bool fine;
	do
		fine = product(in, out);
	while (fine && take(in, '+'));
	return fine;
}

/* ---- Lines ---- */

static bool fail(struct player *player, size_t number, struct view line, struct view got)
{
	ASSERT(buf_append_format(player->why, "line %zu, want \"%.*s\", got \"", number, VIEW_ARG(line)) == ERR_OK);
	ASSERT(buf_append_escaped(player->why, got, 80) == ERR_OK);
	put(player->why, VIEW("\""));
	return false;
}

static bool next_line(struct player *player, struct view *ret)
{
	struct view rest = view_from(buf_view(&player->driver.out), player->out_at);
	size_t end = view_find(rest, '\n');
	if (end == rest.len)
		return false;
	*ret = view_trim(view_sub(rest, 0, end));
	player->out_at += end + 1;
	return true;
}

static bool expect_code(struct player *player, size_t number, struct view want)
{
	struct view got;
	if (!next_line(player, &got))
		return fail(player, number, want, VIEW("nothing"));
	return view_eq(view_sub(got, 0, player->digits), view_sub(want, 0, player->digits)) ||
		fail(player, number, want, got);
}

static bool read_until(struct player *player, size_t number, struct view want)
{
	struct view got;
	while (next_line(player, &got))
		if (view_eq(got, want))
			return true;
	return fail(player, number, want, VIEW("nothing"));
}

static bool play_line(struct player *player, size_t number, struct view line)
{
	struct view rest = view_from(line, 2), word = view_sub(rest, 0, view_find(rest, ' '));
	struct view argument = view_from(rest, word.len + 1);
	struct buf bytes = { 0 };
	bool fine = true;
	if (!view_starts_with(line, VIEW("c ")))
		return fail(player, number, line, VIEW("a line that this program does not know"));
	if (view_eq(word, VIEW("tcp_connect")) || view_eq(word, VIEW("tls_connect"))) {
		connect_to(player, view_eq(word, VIEW("tls_connect")));
	} else if (view_eq(word, VIEW("close"))) {
		disconnect(player);
	} else if (view_eq(word, VIEW("->")) || view_eq(word, VIEW("~>"))) {
		fine = word.ptr[0] == '~' ? sum(&argument, &bytes) : true;
		if (word.ptr[0] == '-') {
			put(&bytes, argument);
			put(&bytes, VIEW("\r\n"));
		}
		if (!fine)
			fail(player, number, line, VIEW("an expression that this program does not know"));
		else
			receiver_driver_feed(&player->driver, buf_view(&bytes), player->piece);
	} else if (view_eq(word, VIEW("<-")) || view_eq(word, VIEW("<~"))) {
		fine = expect_code(player, number, argument);
	} else if (view_eq(word, VIEW("<..."))) {
		fine = read_until(player, number, argument);
	} else {
		fine = fail(player, number, line, VIEW("a line that this program does not know"));
	}
	buf_clear(&bytes);
	return fine;
}

static bool verify_message(struct player *player, const struct buf *verify)
{
	struct buf got = { 0 };
	struct view rest = buf_view(&player->driver.message), line;
	while (view_split(&rest, '\n', &line)) {
		put(&got, view_sub(line, 0, line.len > 0 && line.ptr[line.len - 1] == '\r' ? line.len - 1 : line.len));
		put(&got, VIEW("\n"));
	}
	bool same = view_eq(view_trim(buf_view(&got)), view_trim(buf_view(verify)));
	buf_clear(&got);
	return same || fail(player, 0, VIEW("the message of the .verify file"), buf_view(&player->driver.message));
}

bool cmy_run(struct view script, const struct buf *verify, size_t piece, size_t digits, struct buf *ret_why)
{
	struct player player = { .piece = piece, .digits = digits, .why = ret_why };
	struct view line;
	bool fine = true;
	for (size_t number = 1; fine && view_split(&script, '\n', &line); number++)
		if (line.len > 0 && line.ptr[0] != '#')
			fine = play_line(&player, number, line);
	if (fine && verify != NULL)
		fine = verify_message(&player, verify);
	disconnect(&player);
	return fine;
}
