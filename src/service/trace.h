/* One step in a message's life: a log line with its queue id, and a row for `postrider trace`. */
#ifndef SERVICE_TRACE_H
#define SERVICE_TRACE_H

#include "base/log.h"
#include "store/store.h"

void trace_fields(struct store *store, enum log_level level, uint64_t message_id, const char *event, size_t count,
	const struct log_field *fields);
#define TRACE(store, level, message_id, event, ...)                                                                    \
	trace_fields((store), (level), (message_id), (event),                                                          \
		sizeof((struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field),                                \
		(struct log_field[]){ __VA_ARGS__ })

#endif
