/* For the admin_*.c files: what a command gets, and the pieces of JSON they all make. */
#ifndef SERVICE_ADMIN_PRIVATE_H
#define SERVICE_ADMIN_PRIVATE_H

#include "service/admin.h"

struct admin_call {
	struct db *db;
	const struct admin_context *context;
	const json_t *arguments; /* checked against the command's table: names, kinds, required ones */
	json_t *result; /* an empty object to fill */
	struct admin_effects *effects;
};

enum admin_argument_kind { ADMIN_TEXT, ADMIN_TEXTS, ADMIN_BOOL, ADMIN_COUNT };
struct admin_argument {
	const char *name; /* NULL ends a table */
	enum admin_argument_kind kind;
	bool required;
};
#define ADMIN_ARGUMENTS_MAX 16u
enum admin_access {
	ADMIN_READS = false,
	ADMIN_WRITES = true,
	ADMIN_SCANS, /* it reads, and may have to look through the whole queue */
};
struct admin_command {
	const char *name;
	enum admin_access access;
	enum err (*run)(struct admin_call *call);
	struct admin_argument arguments[ADMIN_ARGUMENTS_MAX];
};

/* The commands of one file each. */
extern const struct admin_command admin_directory_commands[];
extern const size_t admin_directory_command_count;
extern const struct admin_command admin_report_commands[];
extern const size_t admin_report_command_count;
extern const struct admin_command admin_dkim_commands[];
extern const size_t admin_dkim_command_count;
extern const struct admin_command admin_queue_commands[];
extern const size_t admin_queue_command_count;
extern const struct admin_command admin_queue_act_commands[];
extern const size_t admin_queue_act_command_count;
extern const struct admin_command admin_suspend_commands[];
extern const size_t admin_suspend_command_count;
extern const struct admin_command admin_bounce_commands[];
extern const size_t admin_bounce_command_count;
extern const struct admin_command admin_stream_commands[];
extern const size_t admin_stream_command_count;

/* What selects messages of the queue: the rows of a command's table, and their values. */
/* clang-format off */
#define ADMIN_FILTER_ARGUMENTS                                                                                         \
	{ "domain", ADMIN_TEXT, false }, { "sender", ADMIN_TEXT, false }, { "site", ADMIN_TEXT, false },               \
		{ "stream", ADMIN_TEXT, false }, { "held", ADMIN_BOOL, false }, { "deferred", ADMIN_BOOL, false },     \
		{ "suspended", ADMIN_BOOL, false }, { "suspended_by", ADMIN_TEXT, false }
/* clang-format on */
struct queue_filter admin_filter(const struct admin_call *call);
/* The result's "suspensions": all that is in force. */
enum err admin_add_suspensions(struct admin_call *call) MUST_CHECK;
bool admin_filter_is_empty(const struct queue_filter *filter);
enum err admin_parse_id(struct view text, uint64_t *ret) MUST_CHECK;
json_t *admin_json_id(uint64_t id);

/* An argument's text; empty if it is absent. Borrowed from the request. */
struct view admin_text(const struct admin_call *call, const char *name);
bool admin_flag(const struct admin_call *call, const char *name);

/* Running out of memory is not recoverable (base/mem.h): these abort. `value` is stolen. */
void admin_set(json_t *object, const char *key, json_t *value);
void admin_append(json_t *array, json_t *value);
/* Text that may be anything: if it is not UTF-8, its bytes above 127 are shown as \xNN. */
json_t *admin_json_text(struct view text);

#endif
