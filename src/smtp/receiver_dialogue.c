#include "smtp/receiver_dialogue.h"

#include <stdio.h>

struct player {
	const struct dialogue *dialogue;
	const char *way;
	size_t piece;
	bool wait_for_line; /* each C line is given on its own */
	struct receiver_driver driver;
	struct buf input; /* the client's bytes not given yet */
	size_t out_at, events_at; /* checked so far */
	bool events_matter;
};

static void put(struct buf *buf, struct view bytes)
{
	ASSERT(buf_append(buf, bytes) == ERR_OK);
}

static void append_repeated(struct view *text, struct buf *out)
{
	size_t end = view_find(*text, '}');
	uint64_t count;
	ASSERT(text->len > end + 1 && text->ptr[0] == '{');
	ASSERT(view_parse_u64(view_sub(*text, 1, end - 1), 10000000, &count) == ERR_OK);
	uint8_t byte = text->ptr[end + 1];
	*text = view_from(*text, end + 2);
	while (count-- > 0)
		put(out, view_of(&byte, 1));
}

static void append_unescaped(struct view text, struct buf *out)
{
	while (text.len > 0) {
		uint8_t c = text.ptr[0];
		if (c != '\\') {
			put(out, view_of(&c, 1));
			text = view_from(text, 1);
			continue;
		}
		uint8_t kind = text.len > 1 ? text.ptr[1] : 0;
		text = view_from(text, 2);
		switch (kind) {
		case 'r':
			put(out, VIEW("\r"));
			break;
		case 'n':
			put(out, VIEW("\n"));
			break;
		case 't':
			put(out, VIEW("\t"));
			break;
		case '0':
			put(out, VIEW("\0"));
			break;
		case '\\':
			put(out, VIEW("\\"));
			break;
		case 'x':
			ASSERT(text.len >= 2);
			c = (uint8_t)(ascii_hex_value(text.ptr[0]) * 16 + ascii_hex_value(text.ptr[1]));
			put(out, view_of(&c, 1));
			text = view_from(text, 2);
			break;
		case 'R':
			append_repeated(&text, out);
			break;
		default:
			fail_msg("unknown escape \\%c", kind);
		}
	}
}

static void fail_at(struct player *player, struct view line, const char *what, struct view got)
{
	struct buf shown = { 0 };
	ASSERT(buf_append_escaped(&shown, got, 600) == ERR_OK);
	fail_msg("%s (%s), at \"%.*s\": %s \"%.*s\"", player->dialogue->name, player->way, VIEW_ARG(line), what,
		VIEW_ARG(buf_view(&shown)));
}

static void give(struct player *player)
{
	receiver_driver_feed(&player->driver, buf_view(&player->input), player->piece);
	buf_reset(&player->input);
}

/* The next line of what was written, without its line end. */
static bool next_line(const struct buf *buf, size_t *at, struct view *ret)
{
	struct view rest = view_from(buf_view(buf), *at);
	size_t end = view_find(rest, '\n');
	if (end == rest.len)
		return false;
	*ret = view_sub(rest, 0, end);
	if (ret->len > 0 && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	*at += end + 1;
	return true;
}

static void expect_line(struct player *player, struct view line, struct view want, const struct buf *buf, size_t *at)
{
	struct view got;
	if (!next_line(buf, at, &got))
		fail_at(player, line, "nothing more came, events so far", buf_view(&player->driver.events));
	bool open_end = view_ends_with_nocase(want, VIEW("..."));
	if (open_end ? !view_starts_with(got, view_sub(want, 0, want.len - 3)) : !view_eq(got, want))
		fail_at(player, line, "got", got);
}

static void expect_end(struct player *player, struct view line)
{
	struct view out = view_from(buf_view(&player->driver.out), player->out_at);
	struct view events = view_from(buf_view(&player->driver.events), player->events_at);
	if (out.len > 0)
		fail_at(player, line, "unexpected output before it", out);
	if (player->events_matter && events.len > 0)
		fail_at(player, line, "unexpected events before it", events);
}

static void check_deadline(struct player *player, struct view line, struct view argument)
{
	int64_t deadline = smtp_receiver_deadline(player->driver.receiver);
	char text[32] = "none";
	if (deadline != INT64_MAX)
		snprintf(text, sizeof text, "%lld", (long long)(deadline - player->driver.now_ms));
	if (!view_eq(argument, view_from_cstr(text)))
		fail_at(player, line, "the deadline is", view_from_cstr(text));
}

static void check_message(struct player *player, struct view line, struct view argument)
{
	struct buf want = { 0 };
	append_unescaped(argument, &want);
	if (!view_eq(buf_view(&want), buf_view(&player->driver.message)))
		fail_at(player, line, "the message is", buf_view(&player->driver.message));
	buf_clear(&want);
}

static void stop(struct player *player, struct view text)
{
	char *copy = view_to_cstr(text);
	smtp_receiver_shutdown(player->driver.receiver, copy);
	free(copy);
	receiver_driver_pump(&player->driver);
}

/* Everything that is neither bytes nor an expectation; what was sent so far is given first. */
static void act(struct player *player, struct view line, struct view word, struct view argument)
{
	struct receiver_driver *driver = &player->driver;
	uint64_t n = 0;
	give(player);
	if (view_eq(word, VIEW("TICK"))) {
		ASSERT(view_parse_u64(argument, UINT32_MAX, &n) == ERR_OK);
		receiver_driver_tick(driver, driver->now_ms + (int64_t)n);
	} else if (view_eq(word, VIEW("DEADLINE"))) {
		check_deadline(player, line, argument);
	} else if (view_eq(word, VIEW("TLS"))) {
		receiver_driver_start_tls(driver);
	} else if (view_eq(word, VIEW("STOP"))) {
		stop(player, argument);
	} else if (view_eq(word, VIEW("HOLD"))) {
		driver->hold = true;
	} else if (view_eq(word, VIEW("ANSWER"))) {
		driver->hold = false;
		receiver_driver_answer(driver);
	} else if (view_eq(word, VIEW("MESSAGE"))) {
		check_message(player, line, argument);
	} else if (view_eq(word, VIEW("CLOSED"))) {
		if (!driver->closed)
			fail_at(player, line, "the session is open", VIEW_NONE);
	} else if (view_eq(word, VIEW("OPEN"))) {
		if (driver->closed)
			fail_at(player, line, "the session is closed, events", buf_view(&driver->events));
	} else {
		fail_at(player, line, "no such action", word);
	}
}

/* Plays all client bytes up to the next action first: expectations are looked at afterwards, in order. */
static void play_lines(struct player *player, struct view script, bool expectations)
{
	struct view line;
	while (view_split(&script, '\n', &line)) {
		struct view argument = view_from(line, 3);
		if (line.len == 0)
			continue;
		if (view_starts_with(line, VIEW("S: "))) {
			if (expectations)
				expect_line(player, line, argument, &player->driver.out, &player->out_at);
		} else if (view_starts_with(line, VIEW("E: "))) {
			if (expectations)
				expect_line(player, line, argument, &player->driver.events, &player->events_at);
		} else if (!expectations) {
			append_unescaped(argument, &player->input);
			if (line.ptr[0] == 'C')
				put(&player->input, VIEW("\r\n"));
			if (player->wait_for_line)
				give(player);
		}
	}
}

static bool is_action(struct view line)
{
	return line.len > 0 && !(line.len >= 2 && line.ptr[1] == ':');
}

static void play(struct player *player)
{
	struct view rest = view_from_cstr(player->dialogue->script);
	receiver_driver_pump(&player->driver);
	while (rest.len > 0) {
		/* One part: bytes and expectations up to and with an action. */
		struct view part = rest, line = VIEW_NONE;
		size_t len = 0;
		bool action = false;
		while (!action && view_split(&rest, '\n', &line)) {
			action = is_action(line);
			len += action ? 0 : line.len + 1;
		}
		part = view_sub(part, 0, len);
		play_lines(player, part, false);
		give(player);
		play_lines(player, part, true);
		expect_end(player, action ? line : VIEW("the end"));
		if (action) {
			size_t space = view_find(line, ' ');
			act(player, line, view_sub(line, 0, space), view_from(line, space + 1));
		}
	}
	expect_end(player, VIEW("the end"));
}

static void set_options(unsigned flags, struct smtp_receiver_options *options)
{
	smtp_receiver_options_init(options);
	options->hostname = VIEW("mx.example.org");
	options->submission = (flags & DIALOGUE_SUBMISSION) != 0;
	options->starttls = (flags & (DIALOGUE_SUBMISSION | DIALOGUE_STARTTLS)) != 0;
	options->auth = (flags & (DIALOGUE_SUBMISSION | DIALOGUE_AUTH | DIALOGUE_AUTH_IN_CLEAR)) != 0;
	options->auth_without_tls = (flags & DIALOGUE_AUTH_IN_CLEAR) != 0;
	options->tls_active = (flags & DIALOGUE_TLS) != 0;
	options->normalise_line_ends = (flags & DIALOGUE_NORMALISE) != 0;
	if ((flags & DIALOGUE_BARE) != 0)
		options->smtputf8 = options->chunking = options->dsn = options->requiretls = options->mt_priority =
			options->deliver_by = false;
	if ((flags & DIALOGUE_HOLD) != 0) {
		/* The driver begins at 1000 ms, which is then 2026-11-23T14:39:00Z. */
		options->hold_max_s = 86400;
		options->wall_offset_ms = INT64_C(1795444740000) - 1000;
	}
	if ((flags & DIALOGUE_SMALL) != 0) {
		options->message_size_max_bytes = 100;
		options->recipients_max = 3;
		options->transactions_max = 3;
		options->errors_max = 4;
		options->commands_max = 12;
		options->auth_failures_max = 2;
	}
	if ((flags & DIALOGUE_NO_LIMITS) != 0) {
		options->message_size_max_bytes = 0;
		options->recipients_max = options->transactions_max = 0;
		options->errors_max = options->commands_max = options->auth_failures_max = 0;
		options->command_timeout_ms = options->data_timeout_ms = options->data_total_ms = 0;
	}
}

static void begin(struct player *player, unsigned flags)
{
	if ((flags & (DIALOGUE_HELLO | DIALOGUE_RCPT)) == 0)
		return;
	receiver_driver_pump(&player->driver);
	receiver_driver_feed(&player->driver, VIEW("EHLO client.example\r\n"), 100);
	if ((flags & DIALOGUE_RCPT) != 0)
		receiver_driver_feed(
			&player->driver, VIEW("MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n"), 100);
	buf_reset(&player->driver.out);
	buf_reset(&player->driver.events);
}

void dialogue_run_all(const struct dialogue *dialogues, size_t count)
{
	static const struct {
		const char *name;
		size_t piece;
		bool wait_for_line;
	} ways[] = {
		{ "line by line", SIZE_MAX, true },
		{ "at once", SIZE_MAX, false },
		{ "in sevens", 7, false },
		{ "byte by byte", 1, false },
	};
	for (size_t i = 0; i < count; i++) {
		for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
			struct smtp_receiver_options options;
			struct player player = { .dialogue = &dialogues[i],
				.way = ways[w].name,
				.piece = ways[w].piece,
				.wait_for_line = ways[w].wait_for_line };
			player.events_matter = strstr(dialogues[i].script, "E: ") != NULL;
			set_options(dialogues[i].options, &options);
			receiver_driver_init(&player.driver, &options);
			begin(&player, dialogues[i].options);
			play(&player);
			receiver_driver_clear(&player.driver);
			buf_clear(&player.input);
		}
	}
}
