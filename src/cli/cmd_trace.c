#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/logfmt.h"
#include "cli/queue_print.h"

#include "base/clock.h"
#include "base/mem.h"
#include "queue/id.h"
#include "store/event_store.h"

#include <string.h>

/* {"at_ms", "event", "fields": {…}} */
static void append_event(void *owner, const struct store_event *event)
{
	json_t *fields = json_object();
	struct view rest = event->fields;
	struct view name;
	struct buf value = { 0 };
	while (logfmt_next(&rest, &name, &value)) {
		CLEANUP(mem_free_pointer) char *key = view_to_cstr(name);
		json_object_set_new(fields, key, cli_json_text(buf_cstr(&value)));
	}
	buf_clear(&value);
	json_array_append_new(owner,
		json_pack("{s:I, s:o, s:o}", "at_ms", (json_int_t)event->at_ms, "event", cli_json_text(event->event),
			"fields", fields));
}

static enum err read_events(const struct config *config, uint64_t id, json_t *events)
{
	struct buf url = { 0 };
	struct db *db = NULL;
	/* SQLite may have to make files beside the database even to read it: they must be the owner's. */
	enum err err = cli_become_owner(config->data);
	if (err == ERR_OK)
		err = buf_append_format(&url, "sqlite:%s/events.db", config->data);
	if (err == ERR_OK)
		err = db_open(buf_cstr(&url), true, DB_SYNC_RELAXED, &db);
	if (err == ERR_OK)
		err = event_store_list(db, id, append_event, events);
	db_close(db);
	buf_clear(&url);
	return err;
}

/* What is in the queue now; JSON null when it is not there any more. */
static enum err read_queue(const struct config *config, const char *id, json_t **ret)
{
	struct admin_client client;
	admin_client_init(&client, config);
	enum err err = admin_client_call(&client, "queue.show", json_pack("{s:s}", "id", id), ret);
	admin_client_clear(&client);
	if (err == ERR_NOT_FOUND) {
		*ret = json_null();
		return ERR_OK;
	}
	return err;
}

static void print_event(const json_t *event, int64_t first_ms)
{
	int64_t at_ms = json_integer_value(json_object_get(event, "at_ms"));
	const char *key;
	json_t *value;
	char since[40] = "";
	if (at_ms != first_ms)
		snprintf(since, sizeof since, "+%s", cli_duration(at_ms - first_ms).text);
	printf("%s.%03d %9s  %-10s", cli_time(at_ms).text, (int)(at_ms % 1000), since,
		cli_text(json_object_get(event, "event")));
	json_object_foreach(json_object_get(event, "fields"), key, value) printf("  %s=%s", key, cli_text(value));
	putchar('\n');
}

static void print_life(const json_t *events, const json_t *queue)
{
	int64_t first_ms = json_integer_value(json_object_get(json_array_get(events, 0), "at_ms"));
	for (size_t i = 0; i < json_array_size(events); i++)
		print_event(json_array_get(events, i), first_ms);
	if (json_is_object(queue)) {
		puts("\nIt is still in the queue:");
		queue_print_message(queue, clock_wall_ms());
	} else {
		puts("\nIt is not in the queue any more.");
	}
}

static int trace(const struct config *config, uint64_t id, bool json)
{
	struct queue_id_text id_text = queue_id_format(id);
	json_t *queue = NULL;
	json_t *events = json_array();
	/* The server writes events within a second of the queue: what the queue says is asked first, and so never newer. */
	enum err err = read_queue(config, id_text.text, &queue);
	if (err == ERR_OK)
		err = read_events(config, id, events);
	if (err == ERR_OK && json_array_size(events) == 0 && json_is_null(queue))
		err = err_set(ERR_NOT_FOUND, "nothing is known of message %s (any more)", id_text.text);
	if (err == ERR_OK && json) {
		json_t *out = json_pack("{s:s, s:O, s:O}", "id", id_text.text, "events", events, "queue", queue);
		cli_print_json(out);
		json_decref(out);
	} else if (err == ERR_OK) {
		print_life(events, queue);
	}
	json_decref(queue);
	json_decref(events);
	return err == ERR_OK ? EX_OK : cli_fail(err);
}

int cmd_trace(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider trace ID [--config FILE] [--json]",
		.text = "Tells the whole life of a message, step by step: how it came, where it went, what the others "
			"said.\n"
			"ID is the queue id: in the server's answer, in the Received field, in the log.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code >= 0)
		return code;
	uint64_t id;
	if (queue_id_parse(view_from_cstr(words.items[0]), &id) != ERR_OK) {
		cli_error("'%s' is no queue id (they look like %s)", words.items[0],
			queue_id_format(7000000000000000u).text);
		return EX_DATAERR;
	}
	struct config *config = cli_load_config(config_path, &code);
	if (config == NULL)
		return code;
	code = trace(config, id, json);
	config_unref(config);
	return code;
}
