#include "cli/commands.h"
#include "cli/queue_commands.h"
#include "cli/queue_print.h"

#include "base/clock.h"

#include <string.h>

#define PAGE_MESSAGES 500
/* The line at the end of a list must not take longer than the list: `queue summary` counts all. */
#define SUMMARY_RECIPIENTS_MAX 200000

static enum err list_page(struct admin_client *client, const struct queue_selection *filter, json_int_t limit,
	json_t **after, size_t *total)
{
	json_t *arguments = queue_selection_json(filter);
	json_object_set_new(arguments, "limit", json_integer(limit));
	if (json_is_string(*after))
		json_object_set(arguments, "after", *after);
	json_t *result = NULL;
	enum err err = admin_client_call(client, "queue.list", arguments, &result);
	if (err != ERR_OK)
		return err;
	const json_t *messages = json_object_get(result, "messages");
	for (size_t i = 0; i < json_array_size(messages); i++, *total += 1) {
		const json_t *message = json_array_get(messages, i);
		if (filter->json) {
			fputs(*total > 0 ? "," : "", stdout);
			json_dumpf(message, stdout, JSON_COMPACT);
		} else {
			queue_print_message(message, clock_wall_ms());
		}
	}
	json_decref(*after);
	*after = json_incref(json_object_get(result, "next"));
	json_decref(result);
	return ERR_OK;
}

/* Page by page: a queue may be larger than memory. */
static enum err list_all(struct admin_client *client, const struct queue_selection *filter, uint64_t limit)
{
	json_t *after = NULL;
	size_t total = 0;
	enum err err;
	if (filter->json)
		fputs("{\"messages\":[", stdout);
	do {
		uint64_t want = limit - total;
		err = list_page(
			client, filter, (json_int_t)(want < PAGE_MESSAGES ? want : PAGE_MESSAGES), &after, &total);
	} while (err == ERR_OK && json_is_string(after) && total < limit && !ferror(stdout));
	if (filter->json)
		puts("]}");
	json_decref(after);
	if (err == ERR_OK && !filter->json) {
		json_t *summary = NULL, *arguments = json_object();
		json_object_set_new(arguments, "recipients_max", json_integer(SUMMARY_RECIPIENTS_MAX));
		err = admin_client_call(client, "queue.summary", arguments, &summary);
		if (err == ERR_OK)
			queue_print_summary(summary, clock_wall_ms());
		json_decref(summary);
	}
	return err;
}

static int list(int argc, char **argv)
{
	struct queue_selection filter = { 0 };
	const char *limit_text = NULL;
	const struct option_spec options[] = {
		QUEUE_SELECTION_OPTIONS(filter),
		{ .name = "limit",
			.letter = 'n',
			.value_name = "N",
			.help = "at most N messages",
			.ret_value = &limit_text },
	};
	const struct usage usage = {
		.synopsis = "postrider queue list " QUEUE_SELECTION_SYNOPSIS " [--limit N] [--json]",
		.text = "Lists the mail that waits, oldest first: for whom, since when, why, and when it is tried "
			"next.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	uint64_t limit = UINT64_MAX;
	if (limit_text != NULL &&
		(view_parse_u64(view_from_cstr(limit_text), INT64_MAX, &limit) != ERR_OK || limit == 0)) {
		cli_error("--limit needs a number above 0");
		return EX_USAGE;
	}
	struct config *config = cli_load_config(filter.config_path, &code);
	if (config == NULL)
		return code;
	struct admin_client client;
	admin_client_init(&client, config);
	enum err err = list_all(&client, &filter, limit);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}

static int show(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider queue show ID [--config FILE] [--json]",
		.text = "Shows one waiting message: its envelope, its header, and what became of each recipient so "
			"far.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0)
		code = admin_client_once(
			config_path, "queue.show", json_pack("{s:o}", "id", cli_json_text(words.items[0])), &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		queue_print_details(result, clock_wall_ms());
	json_decref(result);
	return EX_OK;
}

int cmd_queue(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "list", list, "list the mail that waits" },
		{ "show", show, "show one message" },
		{ "summary", queue_cmd_summary, "count what waits, by age, site, domain and reply" },
		{ "watch", queue_cmd_watch, "watch a running server deliver" },
		{ "retry", queue_cmd_retry, "try messages now" },
		{ "hold", queue_cmd_hold, "keep messages without trying them" },
		{ "release", queue_cmd_release, "let held messages go" },
		{ "bounce", queue_cmd_bounce, "return messages to their senders" },
		{ "rebind", queue_cmd_rebind, "send messages as another stream's, or to a smart host" },
		{ "remove", queue_cmd_remove, "remove messages for good" },
		{ "suspend", queue_cmd_suspend, "let the mail to a site or domain, or of a stream, wait" },
		{ "resume", queue_cmd_resume, "end a suspension" },
		{ "suspended", queue_cmd_suspended, "list what is suspended" },
	};
	return cli_group("queue", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
