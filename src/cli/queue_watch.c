/* Watching a running server deliver: a page that is drawn anew each second on a terminal, a line a second on a pipe. */
#include "cli/queue_commands.h"

#include "base/clock.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define EVERY_MS 1000
#define KEY_CONTROL_C 3

struct watch {
	struct admin_client client;
	bool json, drawing;
	uint64_t rounds; /* 0: until it is ended */
	json_t *before, *now;
	struct termios terminal; /* as it was */
};

static volatile sig_atomic_t ended;

static void on_signal(int signal_number)
{
	(void)signal_number;
	ended = 1;
}

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value > 0 ? (uint64_t)value : 0;
}

/* Per second, between two looks. */
static double rate(const struct watch *watch, const char *key)
{
	uint64_t before = number(watch->before, key), now = number(watch->now, key);
	uint64_t from_ms = number(watch->before, "at_ms"), to_ms = number(watch->now, "at_ms");
	if (watch->before == NULL || to_ms <= from_ms || now < before)
		return 0; /* the first look, or the server was started anew */
	return (double)(now - before) * 1000 / (double)(to_ms - from_ms);
}

static void print_line(const struct watch *watch)
{
	printf("%s accepted %.0f/s delivered %.0f/s deferred %.0f/s failed %.0f/s connections %llu in memory %llu "
	       "suspended %zu\n",
		cli_time(clock_wall_ms()).text, rate(watch, "accepted"), rate(watch, "delivered"),
		rate(watch, "deferred"), rate(watch, "failed"), (unsigned long long)number(watch->now, "connections"),
		(unsigned long long)number(watch->now, "active_recipients"),
		json_array_size(json_object_get(watch->now, "suspensions")));
	fflush(stdout);
}

static int screen_rows(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

static int screen_columns(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* To the end of the line, not beyond it: what wraps would spoil the page. */
static void put_row(const char *text, int columns)
{
	printf("%.*s\033[K\r\n", columns, text);
}

static int draw_suspensions(const json_t *list, int rows, int columns)
{
	int drawn = 0;
	for (size_t i = 0; i < json_array_size(list) && drawn < rows; i++, drawn++) {
		const json_t *one = json_array_get(list, i), *until = json_object_get(one, "until_ms");
		char row[2200], left[64] = "until it is resumed";
		if (json_is_integer(until))
			snprintf(left, sizeof left, "for %s",
				cli_duration(json_integer_value(until) - clock_wall_ms()).text);
		snprintf(row, sizeof row, "suspended %s: %s %s%s", left, queue_suspension_name(one).text,
			queue_suspension_is_by_rule(one) ? "by a shaping rule: " : "",
			cli_text(json_object_get(one, "reason")));
		put_row(row, columns);
	}
	return drawn;
}

static void draw_destinations(const json_t *list, int rows, int columns)
{
	char row[600];
	snprintf(row, sizeof row, "%10s %12s  %s", "waiting", "connections", "destination");
	put_row(row, columns);
	for (size_t i = 0; i < json_array_size(list) && rows > 1; i++, rows--) {
		const json_t *one = json_array_get(list, i);
		char connections[48], blocked[330] = "";
		snprintf(connections, sizeof connections, "%llu of %llu",
			(unsigned long long)number(one, "connections"),
			(unsigned long long)number(one, "connections_max"));
		if (number(one, "blocked_ms") > 0)
			snprintf(blocked, sizeof blocked, "  left alone for %s: %s",
				cli_duration((int64_t)number(one, "blocked_ms")).text,
				cli_text(json_object_get(one, "reason")));
		snprintf(row, sizeof row, "%10s %12s  %s%s", queue_number(number(one, "waiting")).text, connections,
			cli_text(json_object_get(one, "name")), blocked);
		put_row(row, columns);
	}
}

static void draw(const struct watch *watch)
{
	int rows = screen_rows(), columns = screen_columns();
	char row[600];
	fputs("\033[H", stdout);
	snprintf(row, sizeof row, "postrider queue watch   %s   (q ends it)", cli_time(clock_wall_ms()).text);
	put_row(row, columns);
	put_row("", columns);
	snprintf(row, sizeof row, "accepted %8.0f/s   delivered %8.0f/s   deferred %8.0f/s   failed %8.0f/s",
		rate(watch, "accepted"), rate(watch, "delivered"), rate(watch, "deferred"), rate(watch, "failed"));
	put_row(row, columns);
	snprintf(row, sizeof row, "in memory %s recipients of %s messages, %s connections, %s destinations",
		queue_number(number(watch->now, "active_recipients")).text,
		queue_number(number(watch->now, "active_messages")).text,
		queue_number(number(watch->now, "connections")).text,
		queue_number(number(watch->now, "destination_count")).text);
	put_row(row, columns);
	put_row("", columns);
	rows -= 6;
	rows -= draw_suspensions(json_object_get(watch->now, "suspensions"), rows / 2, columns);
	draw_destinations(json_object_get(watch->now, "destinations"), rows, columns);
	fputs("\033[J", stdout);
	fflush(stdout);
}

static enum err look(struct watch *watch)
{
	json_t *now = NULL;
	enum err err = admin_client_call(&watch->client, "queue.live", NULL, &now);
	if (err != ERR_OK)
		return err;
	json_decref(watch->before);
	watch->before = watch->now;
	watch->now = now;
	return ERR_OK;
}

static void show(struct watch *watch)
{
	if (watch->json) {
		cli_print_json(watch->now);
		fflush(stdout);
	} else if (watch->drawing) {
		draw(watch);
	} else if (watch->before != NULL) {
		print_line(watch); /* rates are known from the second look on */
	}
}

/* Until the next look; true: somebody wants to end it. */
static bool wait_for_key(const struct watch *watch, int64_t until_ms)
{
	for (;;) {
		int64_t wait_ms = until_ms - clock_monotonic_ms();
		if (ended || wait_ms <= 0)
			return ended != 0;
		struct pollfd keys = { .fd = watch->drawing ? STDIN_FILENO : -1, .events = POLLIN };
		char key;
		if (poll(&keys, 1, (int)wait_ms) > 0 &&
			(read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q' || key == KEY_CONTROL_C))
			return true;
	}
}

/* No echo, and keys as they are pressed. */
static void begin_drawing(struct watch *watch)
{
	struct termios raw;
	if (watch->json || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &watch->terminal) != 0)
		return;
	raw = watch->terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	watch->drawing = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	if (watch->drawing)
		fputs("\033[?1049h\033[?25l\033[2J", stdout);
}

static void end_drawing(struct watch *watch)
{
	if (!watch->drawing)
		return;
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &watch->terminal);
	watch->drawing = false;
}

static int run(struct watch *watch)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	enum err err = look(watch); /* what is wrong is said on the screen as it was */
	if (err == ERR_OK)
		begin_drawing(watch);
	uint64_t round = 0;
	while (err == ERR_OK) {
		int64_t next_ms = clock_monotonic_ms() + EVERY_MS;
		show(watch);
		if (watch->rounds > 0 && round++ == watch->rounds)
			break;
		if (ferror(stdout) || wait_for_key(watch, next_ms))
			break;
		err = look(watch);
	}
	end_drawing(watch);
	return err == ERR_OK ? EX_OK : cli_fail(err);
}

int queue_cmd_watch(int argc, char **argv)
{
	const char *config_path = NULL, *rounds = NULL;
	struct watch watch = { .json = false };
	const struct option_spec options[] = {
		{ .name = "count",
			.letter = 'n',
			.value_name = "N",
			.help = "end after N seconds",
			.ret_value = &rounds },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&watch.json),
	};
	const struct usage usage = { "postrider queue watch [--count N] [--json]",
		"Shows a running server at work: what it accepts and delivers per second, its connections, where most "
		"waits, and what\nis suspended. On a terminal the page is drawn anew each second, and q ends it; else "
		"a line is printed each second.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	if (rounds != NULL &&
		(view_parse_u64(view_from_cstr(rounds), INT32_MAX, &watch.rounds) != ERR_OK || watch.rounds == 0)) {
		cli_error("--count needs a number above 0");
		return EX_USAGE;
	}
	struct config *config = cli_load_config(config_path, &code);
	if (config == NULL)
		return code;
	admin_client_init(&watch.client, config);
	code = run(&watch);
	json_decref(watch.before);
	json_decref(watch.now);
	admin_client_clear(&watch.client);
	config_unref(config);
	return code;
}
