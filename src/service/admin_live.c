#include "service/admin_live.h"

#include "service/admin_private.h"

#include <string.h>

bool admin_request_is_live(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	return name != NULL && strcmp(name, "queue.live") == 0;
}

static uint64_t read_total(const _Atomic uint64_t *total)
{
	return atomic_load_explicit(total, memory_order_relaxed);
}

static json_t *line_json(const struct dispatcher_status_line *line)
{
	json_t *made = json_object();
	admin_set(made, "name", admin_json_text(view_from_cstr(line->name)));
	admin_set(made, "waiting", json_integer((json_int_t)line->waiting));
	admin_set(made, "connections", json_integer(line->connections));
	admin_set(made, "connections_max", json_integer(line->connections_max));
	admin_set(made, "blocked_ms", json_integer(line->blocked_ms));
	admin_set(made, "reason", admin_json_text(view_from_cstr(line->reason)));
	return made;
}

void admin_add_status(json_t *result, const struct dispatcher_status *status, const struct server_totals *totals)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "at_ms", (uint64_t)status->at_ms },
		{ "accepted", read_total(&totals->accepted) },
		{ "delivered", read_total(&totals->delivered) },
		{ "deferred", read_total(&totals->deferred) },
		{ "failed", read_total(&totals->failed) },
		{ "active_messages", status->active_messages },
		{ "active_recipients", status->active_recipients },
		{ "connections", status->connections },
		{ "destination_count", status->destinations },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		admin_set(result, numbers[i].name, json_integer((json_int_t)numbers[i].value));
	json_t *list = json_array();
	admin_set(result, "destinations", list);
	for (size_t i = 0; i < status->top_count; i++)
		admin_append(list, line_json(&status->top[i]));
}
