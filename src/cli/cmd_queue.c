#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/queue_print.h"

#include "base/clock.h"

#include <string.h>

#define PAGE_MESSAGES 500

struct filter {
	const char *config_path;
	const char *domain;
	const char *sender;
	bool held, deferred, all, json;
};

#define FILTER_OPTIONS(filter)                                                                                         \
	{ .name = "domain",                                                                                            \
		.value_name = "DOMAIN",                                                                                \
		.help = "only recipients in this domain",                                                              \
		.ret_value = &(filter).domain },                                                                       \
		{ .name = "sender",                                                                                    \
			.value_name = "ADDRESS",                                                                       \
			.help = "only mail from this sender",                                                          \
			.ret_value = &(filter).sender },                                                               \
		{ .name = "held", .help = "only what is held", .ret_flag = &(filter).held },                           \
		{ .name = "deferred", .help = "only what was tried in vain", .ret_flag = &(filter).deferred },         \
		CLI_CONFIG_OPTION(&(filter).config_path), CLI_JSON_OPTION(&(filter).json)

static json_t *filter_json(const struct filter *filter)
{
	json_t *arguments = json_object();
	if (filter->domain != NULL)
		json_object_set_new(arguments, "domain", cli_json_text(filter->domain));
	if (filter->sender != NULL)
		json_object_set_new(arguments, "sender", cli_json_text(filter->sender));
	if (filter->held)
		json_object_set_new(arguments, "held", json_true());
	if (filter->deferred)
		json_object_set_new(arguments, "deferred", json_true());
	return arguments;
}

static enum err list_page(
	struct admin_client *client, const struct filter *filter, json_int_t limit, json_t **after, size_t *total)
{
	json_t *arguments = filter_json(filter);
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
static enum err list_all(struct admin_client *client, const struct filter *filter, uint64_t limit)
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
		json_t *summary = NULL;
		err = admin_client_call(client, "queue.summary", NULL, &summary);
		if (err == ERR_OK)
			queue_print_summary(summary, clock_wall_ms());
		json_decref(summary);
	}
	return err;
}

static int list(int argc, char **argv)
{
	struct filter filter = { 0 };
	const char *limit_text = NULL;
	const struct option_spec options[] = {
		FILTER_OPTIONS(filter),
		{ .name = "limit",
			.letter = 'n',
			.value_name = "N",
			.help = "at most N messages",
			.ret_value = &limit_text },
	};
	const struct usage usage = {
		.synopsis = "postrider queue list [--domain D] [--sender A] [--held] [--deferred] [--limit N] [--json]",
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

static int report(const json_t *result, const char *done, bool json)
{
	const json_t *missing = json_object_get(result, "not_found");
	json_int_t changed = json_integer_value(json_object_get(result, "changed"));
	if (json)
		cli_print_json(result);
	else
		printf("%s: %lld recipient%s\n", done, (long long)changed, changed == 1 ? "" : "s");
	for (size_t i = 0; i < json_array_size(missing); i++)
		cli_error("message %s is not in the queue", cli_text(json_array_get(missing, i)));
	return json_array_size(missing) > 0 ? EX_NOUSER : EX_OK;
}

static int act(const char *command, const char *synopsis, const char *text, const char *done, int argc, char **argv)
{
	struct filter filter = { 0 };
	const struct option_spec options[] = {
		FILTER_OPTIONS(filter),
		{ .name = "all", .help = "every message", .ret_flag = &filter.all },
	};
	const struct usage usage = { synopsis, text, sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, OPTION_LIST_MAX, &words);
	if (code >= 0)
		return code;
	json_t *arguments = filter_json(&filter);
	if (words.count == 0 && json_object_size(arguments) == 0 && !filter.all) {
		json_decref(arguments);
		cli_error("say which messages: their ids, --domain, --sender, --held, --deferred, or --all");
		return EX_USAGE;
	}
	if (filter.all)
		json_object_set_new(arguments, "all", json_true());
	json_t *ids = json_array();
	for (size_t i = 0; i < words.count; i++)
		json_array_append_new(ids, cli_json_text(words.items[i]));
	if (words.count > 0)
		json_object_set(arguments, "ids", ids);
	json_decref(ids);
	json_t *result = NULL;
	code = admin_client_once(filter.config_path, command, arguments, &result);
	if (code >= 0)
		return code;
	code = report(result, done, filter.json);
	json_decref(result);
	return code;
}

#define WHICH "[ID...] [--domain D] [--sender A] [--held] [--deferred] [--all] [--json]"

static int retry(int argc, char **argv)
{
	return act("queue.retry", "postrider queue retry " WHICH,
		"Tries these messages now instead of waiting for their next time.\n", "to be tried now", argc, argv);
}

static int hold(int argc, char **argv)
{
	return act("queue.hold", "postrider queue hold " WHICH,
		"Holds these messages: they are kept, and not tried until they are released.\n", "held", argc, argv);
}

static int release(int argc, char **argv)
{
	return act("queue.release", "postrider queue release " WHICH, "Releases held messages; they are tried now.\n",
		"released", argc, argv);
}

static int remove_messages(int argc, char **argv)
{
	return act("queue.remove", "postrider queue remove " WHICH,
		"Removes these messages from the queue for good. Nobody is told.\n", "removed", argc, argv);
}

int cmd_queue(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "list", list, "list the mail that waits" },
		{ "show", show, "show one message" },
		{ "retry", retry, "try messages now" },
		{ "hold", hold, "keep messages without trying them" },
		{ "release", release, "let held messages go" },
		{ "remove", remove_messages, "remove messages for good" },
	};
	return cli_group("queue", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
