/*
 * The log: one line per event, logfmt (`time=… level=info event=… key=value`) or JSON, to stderr, syslog or journald.
 * Thread-safe. No secrets, no message bodies: callers pass named fields, and every value from a peer is escaped here.
 * Pure folders (mail, smtp, queue …) never log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNALD };

/* May be called again (reload). */
void log_setup(enum log_target target, enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);

/* One field; build arrays of them on the stack. A field with an empty name ends nothing: the count does. */
struct log_field {
	const char *name;
	struct view text; /* used unless is_number */
	int64_t number;
	bool is_number;
};

#define LOG_TEXT(field_name, view_value) ((struct log_field){ .name = (field_name), .text = (view_value) })
#define LOG_CSTR(field_name, cstr_value)                                                                               \
	((struct log_field){ .name = (field_name), .text = view_from_cstr(cstr_value) })
#define LOG_NUM(field_name, n) ((struct log_field){ .name = (field_name), .number = (int64_t)(n), .is_number = true })

/* Fields with empty text are left out. `event` is a fixed word such as "delivered". */
void log_event(enum log_level level, const char *event, size_t field_count, const struct log_field *fields);
#define LOG(level, event, ...)                                                                                         \
	log_event((level), (event), sizeof((struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field),            \
		(struct log_field[]){ __VA_ARGS__ })

/* The fields alone as logfmt ("key=value key=\"va lue\""), for the trace. Never fails: what does not fit is left out. */
void log_format_fields(struct buf *out, size_t field_count, const struct log_field *fields);

/* Lines are gathered for a few milliseconds under load; this writes what is waiting. Called by timers and at exit. */
void log_flush(void);

#endif
