/* Suspending the mail to a site, a domain or a smart host, or that of a stream; resuming it; and what is suspended. */
#include "cli/queue_commands.h"

#include "base/clock.h"
#include "config/config_value.h"

#include <string.h>

struct target {
	const char *config_path;
	const char *site, *domain, *smarthost, *stream;
	bool json;
};

#define TARGET_OPTIONS(target)                                                                                         \
	{ .name = "site", .value_name = "SITE", .help = "all mail to this site", .ret_value = &(target).site },        \
		{ .name = "domain",                                                                                    \
			.value_name = "DOMAIN",                                                                        \
			.help = "all mail to this domain",                                                             \
			.ret_value = &(target).domain },                                                               \
		{ .name = "smarthost",                                                                                 \
			.value_name = "NAME",                                                                          \
			.help = "all mail to this smart host",                                                         \
			.ret_value = &(target).smarthost },                                                            \
		{ .name = "stream",                                                                                    \
			.value_name = "STREAM",                                                                        \
			.help = "all mail of this stream",                                                             \
			.ret_value = &(target).stream },                                                               \
		CLI_CONFIG_OPTION(&(target).config_path), CLI_JSON_OPTION(&(target).json)

/* One of the three, as arguments of a request; NULL after a sentence. */
static json_t *target_json(const struct target *target)
{
	const struct {
		const char *name, *value;
	} kinds[] = { { "site", target->site }, { "domain", target->domain }, { "smarthost", target->smarthost },
		{ "stream", target->stream } };
	json_t *arguments = json_object();
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].value != NULL)
			json_object_set_new(arguments, kinds[i].name, cli_json_text(kinds[i].value));
	if (json_object_size(arguments) == 1)
		return arguments;
	cli_error("say one of: --site SITE, --domain DOMAIN, --smarthost NAME, --stream STREAM");
	json_decref(arguments);
	return NULL;
}

static void print_terms(const json_t *suspension, int64_t now_ms)
{
	const json_t *until = json_object_get(suspension, "until_ms");
	const char *reason = cli_text(json_object_get(suspension, "reason"));
	if (json_is_integer(until))
		/* A moment has passed since it was said. */
		printf("for %s, until %s", cli_duration(json_integer_value(until) - now_ms + 999).text,
			cli_time(json_integer_value(until)).text);
	else
		printf("until it is resumed");
	if (reason[0] != '\0')
		printf(" (%s)", reason);
	putchar('\n');
}

int queue_cmd_suspend(int argc, char **argv)
{
	struct target target = { 0 };
	const char *duration = NULL, *reason = NULL;
	const struct option_spec options[] = {
		TARGET_OPTIONS(target),
		{ .name = "for",
			.value_name = "TIME",
			.help = "for so long (30m, 2h, 1d); without it until it is resumed",
			.ret_value = &duration },
		{ .name = "reason", .value_name = "TEXT", .help = "shown in queue and trace", .ret_value = &reason },
	};
	const struct usage usage = { "postrider queue suspend --site S | --domain D | --smarthost H | --stream N "
				     "[--for TIME] [--reason TEXT] [--json]",
		"Lets the mail to a site, a domain or a smart host, or that of a stream, wait. Other mail goes on.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	uint64_t for_ms = 0;
	if (duration != NULL &&
		(config_parse_duration(view_from_cstr(duration), &for_ms) != ERR_OK || for_ms == 0 ||
			for_ms > INT64_MAX)) {
		cli_error("--for needs a time such as 30m, 2h or 1d");
		return EX_USAGE;
	}
	json_t *arguments = target_json(&target), *result = NULL;
	if (arguments == NULL)
		return EX_USAGE;
	if (for_ms > 0)
		json_object_set_new(arguments, "for_ms", json_integer((json_int_t)for_ms));
	if (reason != NULL && reason[0] != '\0')
		json_object_set_new(arguments, "reason", cli_json_text(reason));
	code = admin_client_once(target.config_path, "queue.suspend", arguments, &result);
	if (code >= 0)
		return code;
	if (target.json) {
		cli_print_json(result);
	} else {
		printf("%s %s is suspended ", cli_text(json_object_get(result, "kind")),
			cli_text(json_object_get(result, "name")));
		print_terms(result, clock_wall_ms());
	}
	json_decref(result);
	return EX_OK;
}

static int report_resumed(const json_t *result, uint64_t changed, bool json)
{
	const char *kind = cli_text(json_object_get(result, "kind")), *name = cli_text(json_object_get(result, "name"));
	bool was = json_is_true(json_object_get(result, "was_suspended"));
	if (json)
		cli_print_json(result);
	else if (was)
		printf("%s %s is resumed: %llu recipient%s to be tried now\n", kind, name, (unsigned long long)changed,
			changed == 1 ? "" : "s");
	else
		cli_error("%s %s was not suspended", kind, name);
	return was || json ? EX_OK : EX_NOUSER;
}

/* Suspension first, then what waited for it: what comes in between goes its way at once. */
static enum err resume(struct admin_client *client, json_t *arguments, json_t **ret_result, uint64_t *changed)
{
	enum err err = admin_client_call(client, "queue.resume", arguments, ret_result);
	if (err != ERR_OK || !json_is_true(json_object_get(*ret_result, "was_suspended")))
		return err;
	struct buf what = { 0 };
	err = buf_append_format(&what, "%s %s", json_string_value(json_object_get(*ret_result, "kind")),
		json_string_value(json_object_get(*ret_result, "name")));
	json_t *selection = json_pack("{s:s}", "suspended_by", err == ERR_OK ? buf_cstr(&what) : "");
	buf_clear(&what);
	if (err != ERR_OK)
		return err;
	err = queue_change_all(client, "queue.retry", selection, NULL, "to be tried now", changed);
	json_decref(selection);
	if (err == ERR_OK)
		json_object_set_new(*ret_result, "changed", json_integer((json_int_t)*changed));
	return err;
}

int queue_cmd_resume(int argc, char **argv)
{
	struct target target = { 0 };
	const struct option_spec options[] = { TARGET_OPTIONS(target) };
	const struct usage usage = {
		"postrider queue resume --site S | --domain D | --smarthost H | --stream N [--json]",
		"Ends a suspension; what waited for it is tried now.\n", sizeof options / sizeof options[0], options
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	json_t *arguments = target_json(&target), *result = NULL;
	if (arguments == NULL)
		return EX_USAGE;
	struct config *config = cli_load_config(target.config_path, &code);
	if (config == NULL) {
		json_decref(arguments);
		return code;
	}
	struct admin_client client;
	uint64_t changed = 0;
	admin_client_init(&client, config);
	enum err err = resume(&client, arguments, &result, &changed);
	code = err == ERR_OK ? report_resumed(result, changed, target.json) : cli_fail(err);
	json_decref(result);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}

int queue_cmd_suspended(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = { "postrider queue suspended [--json]", "Lists what is suspended.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code < 0)
		code = admin_client_once(config_path, "queue.suspensions", NULL, &result);
	if (code >= 0)
		return code;
	const json_t *list = json_object_get(result, "suspensions");
	if (json)
		cli_print_json(result);
	else if (json_array_size(list) == 0)
		puts("Nothing is suspended.");
	for (size_t i = 0; !json && i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		printf("%s %s: ", cli_text(json_object_get(one, "kind")), cli_text(json_object_get(one, "name")));
		print_terms(one, clock_wall_ms());
	}
	json_decref(result);
	return EX_OK;
}
