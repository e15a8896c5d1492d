#include "service/trace.h"

#include "base/clock.h"
#include "queue/id.h"

#include <string.h>

#define FIELDS_MAX 20u

void trace_fields(struct store *store, enum log_level level, uint64_t message_id, const char *event, size_t count,
	const struct log_field *fields)
{
	struct buf text = { 0 };
	if (log_enabled(level)) {
		struct queue_id_text id = queue_id_format(message_id);
		struct log_field all[FIELDS_MAX + 1] = { LOG_CSTR("id", id.text) };
		size_t n = count < FIELDS_MAX ? count : FIELDS_MAX;
		memcpy(all + 1, fields, n * sizeof *fields);
		log_event(level, event, n + 1, all);
	}
	log_format_fields(&text, count, fields);
	struct store_event row = {
		.message_id = message_id,
		.at_ms = clock_wall_ms(),
		.event = event,
		.fields = buf_view(&text),
	};
	store_event_add(store, &row);
	buf_clear(&text);
}
