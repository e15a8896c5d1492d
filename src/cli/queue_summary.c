/* What waits, in numbers. */
#include "cli/queue_commands.h"
#include "cli/queue_print.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

#define BAR_COLUMNS 30u

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value > 0 ? (uint64_t)value : 0;
}

static void print_bar(uint64_t part, uint64_t most)
{
	uint64_t columns = most > 0 ? (part * BAR_COLUMNS + most - 1) / most : 0;
	for (uint64_t i = 0; i < columns; i++)
		putchar('#');
	putchar('\n');
}

static void print_ages(const json_t *ages)
{
	uint64_t most = 0;
	for (size_t i = 0; i < json_array_size(ages); i++)
		if (number(json_array_get(ages, i), "recipients") > most)
			most = number(json_array_get(ages, i), "recipients");
	puts("\nage            recipients");
	int64_t from_ms = 0;
	for (size_t i = 0; i < json_array_size(ages); i++) {
		const json_t *age = json_array_get(ages, i), *below = json_object_get(age, "below_ms");
		uint64_t recipients = number(age, "recipients");
		char label[80];
		if (json_is_integer(below))
			snprintf(label, sizeof label, "below %s", cli_duration(json_integer_value(below)).text);
		else
			snprintf(label, sizeof label, "%s and more", cli_duration(from_ms).text);
		from_ms = json_integer_value(below);
		printf("%-14s %10s  ", label, queue_number(recipients).text);
		print_bar(recipients, most);
	}
}

static void print_groups(const json_t *result, const char *key, const char *title)
{
	const json_t *made = json_object_get(result, key), *groups = json_object_get(made, "groups");
	if (json_array_size(groups) == 0)
		return;
	printf("\nrecipients  %s%s\n", title,
		json_is_false(json_object_get(made, "exact")) ? " (there are very many: small ones are left out)" : "");
	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);
		printf("%10s  %s\n", queue_number(number(group, "recipients")).text,
			cli_text(json_object_get(group, "name")));
	}
}

static void print_report(const json_t *result)
{
	const json_t *suspensions = json_object_get(result, "suspensions");
	queue_print_summary(result, clock_wall_ms());
	if (json_array_size(suspensions) > 0) {
		puts("\nsuspended");
		queue_print_suspensions(suspensions);
	}
	if (number(result, "messages") == 0)
		return;
	print_ages(json_object_get(result, "ages"));
	print_groups(result, "sites", "by site");
	print_groups(result, "domains", "by domain");
	print_groups(result, "streams", "by stream");
	print_groups(result, "replies", "by what the other side said last");
}

/* While the answer is awaited. */
static void show_waiting(void *owner, int64_t elapsed_ms)
{
	(void)owner;
	fprintf(stderr, "\rcounting, %s so far ...\033[K", cli_duration(elapsed_ms).text);
	fflush(stderr);
}

int queue_cmd_summary(int argc, char **argv)
{
	struct queue_selection chosen = { 0 };
	const char *top_text = NULL;
	const struct option_spec options[] = {
		QUEUE_SELECTION_OPTIONS(chosen),
		{ .name = "top",
			.letter = 'n',
			.value_name = "N",
			.help = "the N largest of each kind (10)",
			.ret_value = &top_text },
	};
	const struct usage usage = { "postrider queue summary " QUEUE_SELECTION_SYNOPSIS " [--top N] [--json]",
		"Counts what waits: how much, how old, for which sites and domains, and what the other side said "
		"last.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	uint64_t top = 10;
	if (top_text != NULL && (view_parse_u64(view_from_cstr(top_text), 100, &top) != ERR_OK || top == 0)) {
		cli_error("--top needs a number from 1 to 100");
		return EX_USAGE;
	}
	struct config *config = cli_load_config(chosen.config_path, &code);
	if (config == NULL)
		return code;
	bool show = isatty(STDERR_FILENO);
	struct admin_client client;
	admin_client_init(&client, config);
	client.waiting = show ? show_waiting : NULL;
	json_t *arguments = queue_selection_json(&chosen), *result = NULL;
	json_object_set_new(arguments, "top", json_integer((json_int_t)top));
	enum err err = admin_client_call(&client, "queue.summary", arguments, &result);
	if (show)
		fputs("\r\033[K", stderr);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	if (err == ERR_OK && chosen.json)
		cli_print_json(result);
	else if (err == ERR_OK)
		print_report(result);
	json_decref(result);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}
