#include "service/admin_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void admin_effects_clear(struct admin_effects *effects)
{
	mem_free(effects->messages);
	mem_free(effects->spools);
	buf_clear(&effects->event_fields);
	*effects = (struct admin_effects){ 0 };
}

struct view admin_text(const struct admin_call *call, const char *name)
{
	const json_t *value = json_object_get(call->arguments, name);
	return value == NULL ? VIEW_NONE : view_of(json_string_value(value), json_string_length(value));
}

bool admin_flag(const struct admin_call *call, const char *name)
{
	return json_is_true(json_object_get(call->arguments, name));
}

static json_t *must_have(json_t *value)
{
	if (value == NULL) {
		fputs("postrider: out of memory\n", stderr);
		abort();
	}
	return value;
}

void admin_set(json_t *object, const char *key, json_t *value)
{
	int rc = json_object_set_new_nocheck(object, key, must_have(value));
	ASSERT(rc == 0);
}

void admin_append(json_t *array, json_t *value)
{
	int rc = json_array_append_new(array, must_have(value));
	ASSERT(rc == 0);
}

json_t *admin_json_text(struct view text)
{
	if (text.len == 0)
		return must_have(json_string_nocheck(""));
	if (view_is_utf8(text))
		return must_have(json_stringn_nocheck((const char *)text.ptr, text.len));
	struct buf shown = { 0 };
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < text.len; i++)
		err = text.ptr[i] < 0x80 ? buf_append_byte(&shown, text.ptr[i])
					 : buf_append_format(&shown, "\\x%02x", text.ptr[i]);
	json_t *made = must_have(err == ERR_OK ? json_stringn_nocheck((const char *)shown.ptr, shown.len)
					       : json_string("(too long to show)"));
	buf_clear(&shown);
	return made;
}

static const struct admin_command *find_in(const struct admin_command *commands, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static const struct admin_command *find_command(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	if (name == NULL)
		return NULL;
	const struct admin_command *found = find_in(admin_directory_commands, admin_directory_command_count, name);
	if (found == NULL)
		found = find_in(admin_dkim_commands, admin_dkim_command_count, name);
	if (found == NULL)
		found = find_in(admin_report_commands, admin_report_command_count, name);
	if (found == NULL)
		found = find_in(admin_queue_commands, admin_queue_command_count, name);
	if (found == NULL)
		found = find_in(admin_queue_act_commands, admin_queue_act_command_count, name);
	if (found == NULL)
		found = find_in(admin_suspend_commands, admin_suspend_command_count, name);
	if (found == NULL)
		found = find_in(admin_stream_commands, admin_stream_command_count, name);
	if (found == NULL)
		found = find_in(admin_bounce_commands, admin_bounce_command_count, name);
	return found;
}

bool admin_request_writes(const json_t *request)
{
	const struct admin_command *command = find_command(request);
	return command != NULL && command->access == ADMIN_WRITES;
}

bool admin_request_scans(const json_t *request)
{
	const struct admin_command *command = find_command(request);
	return command != NULL && command->access == ADMIN_SCANS;
}

bool admin_request_wants_sites(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	if (name == NULL || strncmp(name, "queue.", strlen("queue.")) != 0)
		return false;
	return strcmp(name, "queue.summary") == 0 || strcmp(name, "queue.resume") == 0 ||
		json_object_get(json_object_get(request, "arguments"), "site") != NULL;
}

void admin_effects_events(const struct admin_effects *effects, int64_t now_ms,
	void (*add)(void *owner, const struct store_event *event), void *owner)
{
	if (effects->event == NULL)
		return;
	struct buf fields = { 0 };
	for (size_t i = 0; i < effects->message_count; i++) {
		const struct admin_changed *changed = &effects->messages[i];
		buf_reset(&fields);
		enum err err = buf_append_format(
			&fields, "by=operator recipients=%llu", (unsigned long long)changed->recipients);
		if (err == ERR_OK && effects->event_fields.len > 0)
			err = buf_append_byte(&fields, ' ');
		if (err == ERR_OK)
			err = buf_append(&fields, buf_view(&effects->event_fields));
		ASSERT(err == ERR_OK); /* bounded by the request */
		add(owner,
			&(struct store_event){ .message_id = changed->id,
				.at_ms = now_ms,
				.event = effects->event,
				.fields = buf_view(&fields) });
	}
	buf_clear(&fields);
}

static bool is_array_of_texts(const json_t *value)
{
	if (!json_is_array(value) || json_array_size(value) == 0)
		return false;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!json_is_string(json_array_get(value, i)))
			return false;
	return true;
}

static bool kind_matches(const json_t *value, enum admin_argument_kind kind)
{
	switch (kind) {
	case ADMIN_TEXT:
		return json_is_string(value);
	case ADMIN_TEXTS:
		return is_array_of_texts(value);
	case ADMIN_BOOL:
		return json_is_boolean(value);
	case ADMIN_COUNT:
		return json_is_integer(value) && json_integer_value(value) > 0;
	}
	return false;
}

static const struct admin_argument *find_argument(const struct admin_command *command, const char *name)
{
	for (size_t i = 0; i < ADMIN_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++)
		if (strcmp(command->arguments[i].name, name) == 0)
			return &command->arguments[i];
	return NULL;
}

static enum err check_arguments(const struct admin_command *command, json_t *arguments)
{
	static const char *const kind_names[] = {
		[ADMIN_TEXT] = "a text",
		[ADMIN_TEXTS] = "a list of texts",
		[ADMIN_BOOL] = "true or false",
		[ADMIN_COUNT] = "a number above 0",
	};
	const char *key;
	json_t *value;
	json_object_foreach(arguments, key, value)
	{
		const struct admin_argument *known = find_argument(command, key);
		if (known == NULL)
			return err_set(ERR_SYNTAX, "%s does not know the argument '%.60s'", command->name, key);
		/* An empty filter would mean "all", which nobody means by it. Only the hash may be empty: no login. */
		bool empty = json_is_string(value) && json_string_length(value) == 0;
		if (empty && strcmp(key, "password_hash") != 0)
			return err_set(ERR_SYNTAX, "%s: '%s' is empty", command->name, known->name);
		if (!kind_matches(value, known->kind))
			return err_set(
				ERR_SYNTAX, "%s: '%s' must be %s", command->name, known->name, kind_names[known->kind]);
	}
	for (size_t i = 0; i < ADMIN_ARGUMENTS_MAX && command->arguments[i].name != NULL; i++)
		if (command->arguments[i].required && json_object_get(arguments, command->arguments[i].name) == NULL)
			return err_set(
				ERR_SYNTAX, "%s needs the argument '%s'", command->name, command->arguments[i].name);
	return ERR_OK;
}

enum err admin_run(struct db *db, const struct admin_context *context, const json_t *request, json_t **ret_result,
	struct admin_effects *ret_effects)
{
	if (!json_is_object(request))
		return err_set(ERR_SYNTAX, "the request is no JSON object");
	const struct admin_command *command = find_command(request);
	if (command == NULL) {
		const char *name = json_string_value(json_object_get(request, "command"));
		return err_set(ERR_SYNTAX, "there is no command '%.60s'", name != NULL ? name : "");
	}
	json_t *arguments = json_object_get(request, "arguments");
	if (arguments != NULL && !json_is_object(arguments))
		return err_set(ERR_SYNTAX, "'arguments' must be a JSON object");
	json_t *given = arguments != NULL ? json_incref(arguments) : must_have(json_object());
	json_t *result = must_have(json_object());
	struct admin_effects effects = { 0 };
	struct admin_call call = {
		.db = db, .context = context, .arguments = given, .result = result, .effects = &effects
	};
	enum err err = check_arguments(command, given);
	if (err == ERR_OK)
		err = command->run(&call);
	json_decref(given);
	if (err != ERR_OK) {
		json_decref(result);
		admin_effects_clear(&effects);
		return err;
	}
	*ret_result = result;
	*ret_effects = effects;
	return ERR_OK;
}

json_t *admin_parse_request(struct view line)
{
	json_error_t error;
	if (line.len > ADMIN_REQUEST_MAX_BYTES) {
		(void)err_set(ERR_LIMIT, "the request is longer than %u bytes", ADMIN_REQUEST_MAX_BYTES);
		return NULL;
	}
	json_t *request = json_loadb((const char *)line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
	if (request == NULL || !json_is_object(request)) {
		(void)err_set(ERR_SYNTAX, "the request is no JSON object%s%s", request == NULL ? ": " : "",
			request == NULL ? error.text : "");
		json_decref(request);
		return NULL;
	}
	return request;
}

static int append_json(const char *text, size_t len, void *data)
{
	return buf_append((struct buf *)data, view_of(text, len)) == ERR_OK ? 0 : -1;
}

enum err admin_format_answer(enum err err, const char *detail, const json_t *result, struct buf *out)
{
	json_t *answer = must_have(json_object());
	size_t before = out->len;
	admin_set(answer, "ok", json_boolean(err == ERR_OK));
	if (err == ERR_OK) {
		admin_set(answer, "result", result != NULL ? json_deep_copy(result) : json_null());
	} else {
		admin_set(answer, "error", admin_json_text(view_from_cstr(detail)));
		admin_set(answer, "code", json_string(err_name(err)));
	}
	int rc = json_dump_callback(answer, append_json, out, JSON_COMPACT);
	json_decref(answer);
	if (rc == 0 && buf_append_byte(out, '\n') == ERR_OK)
		return ERR_OK;
	out->len = before;
	return err_set(ERR_LIMIT, "the answer is too large; ask for fewer messages at once");
}
