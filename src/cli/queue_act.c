/* Changing what waits in the queue: by ids in one request, or all that is selected, worked through in bites. */
#include "cli/queue_commands.h"

#include <string.h>
#include <unistd.h>

json_t *queue_selection_json(const struct queue_selection *selection)
{
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "domain", selection->domain },
		{ "site", selection->site },
		{ "sender", selection->sender },
		{ "stream", selection->stream },
	};
	const struct {
		const char *name;
		bool value;
	} flags[] = {
		{ "held", selection->held },
		{ "deferred", selection->deferred },
		{ "suspended", selection->suspended },
	};
	json_t *arguments = json_object();
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].value != NULL)
			json_object_set_new(arguments, texts[i].name, cli_json_text(texts[i].value));
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (flags[i].value)
			json_object_set_new(arguments, flags[i].name, json_true());
	return arguments;
}

struct cli_time_text queue_number(uint64_t number)
{
	struct cli_time_text out;
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	size_t to = 0;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out.text[to++] = ',';
		out.text[to++] = digits[i];
	}
	out.text[to] = '\0';
	return out;
}

static void show_progress(uint64_t looked_at, uint64_t changed, const char *done)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s looked at, %s %s\033[K", queue_number(looked_at).text, queue_number(changed).text, done);
	fflush(stderr);
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static enum err check_request(
	struct admin_client *client, const char *command, const json_t *selection, const json_t *more)
{
	json_t *arguments = json_copy((json_t *)(uintptr_t)selection), *result = NULL;
	if (more != NULL)
		json_object_update(arguments, (json_t *)(uintptr_t)more);
	json_object_set_new(arguments, "all", json_true());
	json_object_set_new(arguments, "check", json_true());
	enum err err = admin_client_call(client, command, arguments, &result);
	json_decref(result);
	return err;
}

/* What was found, changed: with the selection once more, for messages may have changed since. */
static enum err change_found(struct admin_client *client, const char *command, const json_t *selection,
	const json_t *more, json_t *ids, uint64_t *changed)
{
	if (json_array_size(ids) == 0)
		return ERR_OK;
	json_t *arguments = json_copy((json_t *)(uintptr_t)selection);
	if (more != NULL)
		json_object_update(arguments, (json_t *)(uintptr_t)more);
	json_object_set(arguments, "ids", ids);
	json_t *result = NULL;
	enum err err = admin_client_call(client, command, arguments, &result);
	if (err == ERR_OK)
		*changed += (uint64_t)json_integer_value(json_object_get(result, "changed"));
	json_decref(result);
	return err;
}

enum err queue_change_all(struct admin_client *client, const char *command, const json_t *selection, const json_t *more,
	const char *done, uint64_t *ret_changed)
{
	uint64_t looked_at = 0, changed = 0;
	json_t *after = NULL;
	/* A request that is wrong is refused before anything is looked for, and also where there is nothing to find. */
	enum err err = check_request(client, command, selection, more);
	if (err != ERR_OK)
		return err;
	do {
		json_t *arguments = json_copy((json_t *)(uintptr_t)selection), *found = NULL;
		if (json_is_string(after))
			json_object_set(arguments, "after", after);
		err = admin_client_call(client, "queue.find", arguments, &found);
		if (err == ERR_OK)
			err = change_found(client, command, selection, more, json_object_get(found, "ids"), &changed);
		looked_at += (uint64_t)json_integer_value(json_object_get(found, "looked_at"));
		json_decref(after);
		after = json_incref(json_object_get(found, "next"));
		json_decref(found);
		if (err == ERR_OK && json_is_string(after))
			show_progress(looked_at, changed, done);
	} while (err == ERR_OK && json_is_string(after));
	end_progress();
	json_decref(after);
	*ret_changed = changed;
	return err;
}

static int report(const json_t *result, const char *done, bool json)
{
	const json_t *missing = json_object_get(result, "not_found");
	uint64_t changed = (uint64_t)json_integer_value(json_object_get(result, "changed"));
	if (json)
		cli_print_json(result);
	else
		printf("%s: %llu recipient%s\n", done, (unsigned long long)changed, changed == 1 ? "" : "s");
	for (size_t i = 0; i < json_array_size(missing); i++)
		cli_error("message %s is not in the queue", cli_text(json_array_get(missing, i)));
	return json_array_size(missing) > 0 ? EX_NOUSER : EX_OK;
}

struct action {
	const char *command, *done;
	json_t *more; /* owned; NULL: none */
};

static enum err change_named(struct admin_client *client, const struct action *action, json_t *selection,
	const struct option_list *words, json_t **ret_result)
{
	json_t *arguments = json_copy(selection), *ids = json_array();
	if (action->more != NULL)
		json_object_update(arguments, action->more);
	for (size_t i = 0; i < words->count; i++)
		json_array_append_new(ids, cli_json_text(words->items[i]));
	json_object_set_new(arguments, "ids", ids);
	return admin_client_call(client, action->command, arguments, ret_result);
}

static enum err change_selected(
	struct admin_client *client, const struct action *action, json_t *selection, json_t **ret_result)
{
	uint64_t changed = 0;
	enum err err = queue_change_all(client, action->command, selection, action->more, action->done, &changed);
	if (err != ERR_OK && changed > 0)
		cli_error("%s: %llu recipients, before it failed", action->done, (unsigned long long)changed);
	if (err == ERR_OK)
		*ret_result = json_pack("{s:I,s:[]}", "changed", (json_int_t)changed, "not_found");
	return err;
}

static int change(
	const struct action *action, const struct queue_selection *chosen, bool all, const struct option_list *words)
{
	json_t *selection = queue_selection_json(chosen);
	int code = EX_USAGE;
	if (words->count == 0 && json_object_size(selection) == 0 && !all) {
		cli_error("say which messages: their ids, --domain, --site, --sender, --stream, --held, --deferred, "
			  "--suspended, or --all");
		json_decref(selection);
		return code;
	}
	struct config *config = cli_load_config(chosen->config_path, &code);
	if (config != NULL) {
		struct admin_client client;
		json_t *result = NULL;
		admin_client_init(&client, config);
		enum err err = words->count > 0 ? change_named(&client, action, selection, words, &result)
						: change_selected(&client, action, selection, &result);
		code = err == ERR_OK ? report(result, action->done, chosen->json) : cli_fail(err);
		json_decref(result);
		admin_client_clear(&client);
		config_unref(config);
	}
	json_decref(selection);
	return code;
}

#define WHICH "[ID...] " QUEUE_SELECTION_SYNOPSIS " [--all] [--json]"

static int change_plainly(struct action action, const char *synopsis, const char *text, int argc, char **argv)
{
	struct queue_selection chosen = { 0 };
	bool all = false;
	const struct option_spec options[] = {
		QUEUE_SELECTION_OPTIONS(chosen),
		{ .name = "all", .help = "every message", .ret_flag = &all },
	};
	const struct usage usage = { synopsis, text, sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, OPTION_LIST_MAX, &words);
	return code >= 0 ? code : change(&action, &chosen, all, &words);
}

int queue_cmd_retry(int argc, char **argv)
{
	return change_plainly((struct action){ "queue.retry", "to be tried now", NULL }, "postrider queue retry " WHICH,
		"Tries these messages now instead of waiting for their next time.\n", argc, argv);
}

int queue_cmd_hold(int argc, char **argv)
{
	return change_plainly((struct action){ "queue.hold", "held", NULL }, "postrider queue hold " WHICH,
		"Holds these messages: they are kept, and not tried until they are released.\n", argc, argv);
}

int queue_cmd_release(int argc, char **argv)
{
	return change_plainly((struct action){ "queue.release", "released", NULL }, "postrider queue release " WHICH,
		"Releases held messages; they are tried now.\n", argc, argv);
}

int queue_cmd_remove(int argc, char **argv)
{
	return change_plainly((struct action){ "queue.remove", "removed", NULL }, "postrider queue remove " WHICH,
		"Removes these messages from the queue for good. Nobody is told (see: postrider queue bounce).\n", argc,
		argv);
}

int queue_cmd_bounce(int argc, char **argv)
{
	struct queue_selection chosen = { 0 };
	bool all = false;
	const char *reason = NULL;
	const struct option_spec options[] = {
		{ .name = "reason",
			.value_name = "TEXT",
			.help = "what the senders are told; needed",
			.ret_value = &reason },
		QUEUE_SELECTION_OPTIONS(chosen),
		{ .name = "all", .help = "every message", .ret_flag = &all },
	};
	const struct usage usage = { "postrider queue bounce --reason TEXT " WHICH,
		"Gives these messages up: they are returned to their senders with this reason, as if the other side "
		"had refused\nthem. Done by the running server, or when it is started next.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, OPTION_LIST_MAX, &words);
	if (code >= 0)
		return code;
	if (reason == NULL || reason[0] == '\0') {
		cli_error("say why, in --reason TEXT: the senders are told");
		return EX_USAGE;
	}
	struct action action = { "queue.bounce", "to be returned", json_object() };
	json_object_set_new(action.more, "reason", cli_json_text(reason));
	code = change(&action, &chosen, all, &words);
	json_decref(action.more);
	return code;
}

int queue_cmd_rebind(int argc, char **argv)
{
	struct queue_selection chosen = { 0 };
	bool all = false;
	const char *stream = NULL, *smarthost = NULL;
	const struct option_spec options[] = {
		{ .name = "to-stream",
			.value_name = "STREAM",
			.help = "they belong to this stream now; none: to no stream",
			.ret_value = &stream },
		{ .name = "to-smarthost",
			.value_name = "SMARTHOST",
			.help = "they go to this smart host now; none: as configured",
			.ret_value = &smarthost },
		QUEUE_SELECTION_OPTIONS(chosen),
		{ .name = "all", .help = "every message", .ret_flag = &all },
	};
	const struct usage usage = { "postrider queue rebind [--to-stream STREAM] [--to-smarthost SMARTHOST] " WHICH,
		"Sends these messages another way: as mail of another stream, or to a smart host of the "
		"configuration. They are tried\nnow, unless they are held.\n",
		sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, OPTION_LIST_MAX, &words);
	if (code >= 0)
		return code;
	if ((stream == NULL || stream[0] == '\0') && (smarthost == NULL || smarthost[0] == '\0')) {
		cli_error("say where to: --to-stream STREAM, --to-smarthost SMARTHOST, or both");
		return EX_USAGE;
	}
	struct action action = { "queue.rebind", "rebound", json_object() };
	if (stream != NULL && stream[0] != '\0')
		json_object_set_new(action.more, "to_stream", cli_json_text(stream));
	if (smarthost != NULL && smarthost[0] != '\0')
		json_object_set_new(action.more, "to_smarthost", cli_json_text(smarthost));
	code = change(&action, &chosen, all, &words);
	json_decref(action.more);
	return code;
}
