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

/* What is named, as arguments of a request; NULL after a sentence. */
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
	size_t given = json_object_size(arguments);
	if (given == 1 || (given == 2 && target->site != NULL && target->stream != NULL))
		return arguments;
	cli_error("say one of: --site SITE, --domain DOMAIN, --smarthost NAME, --stream STREAM; or a stream at a site, "
		  "with --site and --stream");
	json_decref(arguments);
	return NULL;
}

struct queue_suspension_text queue_suspension_name(const json_t *suspension)
{
	struct queue_suspension_text out;
	const json_t *stream = json_object_get(suspension, "stream");
	int len = snprintf(out.text, sizeof out.text, "%s ", cli_text(json_object_get(suspension, "kind")));
	len += snprintf(out.text + len, sizeof out.text - (size_t)len, "%.1020s",
		cli_text(json_object_get(suspension, "name")));
	if (stream != NULL)
		snprintf(out.text + len, sizeof out.text - (size_t)len, ", stream %.255s", cli_text(stream));
	return out;
}

bool queue_suspension_is_by_rule(const json_t *suspension)
{
	const char *source = json_string_value(json_object_get(suspension, "source"));
	return source != NULL && strcmp(source, "rule") == 0;
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
	if (queue_suspension_is_by_rule(suspension))
		printf(", by a shaping rule: %s", reason);
	else if (reason[0] != '\0')
		printf(" (%s)", reason);
	putchar('\n');
}

void queue_print_suspensions(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		printf("%s: ", queue_suspension_name(one).text);
		print_terms(one, clock_wall_ms());
	}
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
	const struct usage usage = {
		"postrider queue suspend --site S | --domain D | --smarthost H | --stream N | --site S --stream N "
		"[--for TIME] [--reason TEXT] [--json]",
		"Lets the mail to a site, a domain or a smart host, or that of a stream, or that of a stream to a "
		"site, wait. Other mail\ngoes on.\n",
		sizeof options / sizeof options[0], options
	};
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
		printf("%s is suspended ", queue_suspension_name(result).text);
		print_terms(result, clock_wall_ms());
	}
	json_decref(result);
	return EX_OK;
}

/* Whoever lifts what a rule set should know what the other side had said. */
static void print_lifted(const json_t *suspension)
{
	printf("%s: ", queue_suspension_name(suspension).text);
	printf("a shaping rule had suspended it until %s, since it was told: ",
		cli_time(json_integer_value(json_object_get(suspension, "until_ms"))).text);
	puts(cli_text(json_object_get(suspension, "reason")));
}

static int report_resumed(const json_t *result, uint64_t changed, bool json)
{
	const json_t *lifted = json_object_get(result, "lifted"), *remaining = json_object_get(result, "remaining");
	struct queue_suspension_text name = queue_suspension_name(result);
	bool was = json_is_true(json_object_get(result, "was_suspended"));
	if (json)
		cli_print_json(result);
	else if (was)
		printf("%s is resumed: %llu recipient%s to be tried now\n", name.text, (unsigned long long)changed,
			changed == 1 ? "" : "s");
	else
		cli_error("%s was not suspended%s", name.text,
			json_array_size(remaining) > 0 ? " itself, see: postrider queue suspended" : "");
	for (size_t i = 0; !json && i < json_array_size(lifted); i++)
		if (queue_suspension_is_by_rule(json_array_get(lifted, i)))
			print_lifted(json_array_get(lifted, i));
	for (size_t i = 0; !json && was && i < json_array_size(remaining); i++)
		printf("%s is suspended still\n", queue_suspension_name(json_array_get(remaining, i)).text);
	return was || json ? EX_OK : EX_NOUSER;
}

/* Suspension first, then what waited for it: what comes in between goes its way at once. */
static enum err resume(struct admin_client *client, json_t *arguments, json_t **ret_result, uint64_t *changed)
{
	enum err err = admin_client_call(client, "queue.resume", arguments, ret_result);
	if (err != ERR_OK || !json_is_true(json_object_get(*ret_result, "was_suspended")))
		return err;
	struct buf what = { 0 };
	const char *stream = json_string_value(json_object_get(*ret_result, "stream"));
	err = buf_append_format(&what, "%s %s%s%s", json_string_value(json_object_get(*ret_result, "kind")),
		json_string_value(json_object_get(*ret_result, "name")), stream != NULL ? ", stream " : "",
		stream != NULL ? stream : "");
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
	const struct usage usage = { "postrider queue resume --site S | --domain D | --smarthost H | --stream N | "
				     "--site S --stream N [--json]",
		"Ends every suspension that names it, those that shaping rules set as well; what waited for them is "
		"tried now.\n",
		sizeof options / sizeof options[0], options };
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
	const struct usage usage = { "postrider queue suspended [--json]",
		"Lists what is suspended, by an operator or a shaping rule, until when and why.\n",
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
	else
		queue_print_suspensions(list);
	json_decref(result);
	return EX_OK;
}
