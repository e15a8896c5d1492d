/*
 * Inside the config room. The way of a file:
 *   text    what was written → tokens that libConfuse reads exactly (config_text.c)
 *   read    libConfuse → a flat list of settings, each with its line (config_read.c)
 *   build   settings → struct config, by the table of keys (config_build.c, config_set.c)
 *   check   what one key alone can't show (config_check.c)
 */
#ifndef CONFIG_CONFIG_PRIVATE_H
#define CONFIG_CONFIG_PRIVATE_H

#include "base/arena.h"
#include "config/config.h"
#include "config/config_keys.h"

#define CONFIG_FILE_MAX_BYTES (256u * 1024)
#define CONFIG_ERRORS_MAX 50u
/* More than any file of that size can need: at most 128 Ki values of two bytes, each with its address or text. */
#define CONFIG_ARENA_BYTES ((size_t)128 * 1024 * 1024)
#define CONFIG_SECTIONS_MAX 1000u

/* Errors on their way to the caller: collected with their lines, then written in the order of the lines. */
struct config_error {
	unsigned line; /* 0: of the file as a whole */
	size_t from, len; /* in `text` */
};
struct config_errors {
	const char *name; /* of the file */
	struct buf text;
	size_t count;
	struct config_error list[CONFIG_ERRORS_MAX];
	bool more; /* than there is room for */
};
void config_errors_init(struct config_errors *errors, const char *name);
void config_errors_clear(struct config_errors *errors);
void config_errors_add(struct config_errors *errors, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);
/* Forgets all errors from number `count` on. */
void config_errors_cut(struct config_errors *errors, size_t count);
void config_errors_write(struct config_errors *errors, struct buf *out);

/* What the operator wrote, made safe to repeat in a message. */
struct config_shown {
	char text[100];
};
struct config_shown config_show(struct view text);

/* Rewrites a file for libConfuse: comments go, every word becomes a quoted string with nothing in it that libConfuse would expand,
 * drop or trip over; line ends stay where they are. False when there were errors. */
bool config_text_prepare(struct view text, struct config_errors *errors, struct buf *out);

struct config_setting {
	const struct config_key *key;
	uint32_t section; /* index in config_source.sections */
	uint32_t line;
	uint32_t index; /* of the value in its list */
	struct view value;
};
struct config_section {
	const struct config_section_kind *kind;
	const char *title; /* "" if it has none */
	uint32_t line; /* of its first key, or of its end */
};
/* A file's settings in the order of the file. */
struct config_source {
	struct arena texts; /* of titles and values */
	size_t section_count, section_room;
	struct config_section *sections;
	size_t setting_count, setting_room;
	struct config_setting *settings;
};
void config_source_init(struct config_source *source);
/* Errors go to `errors`; what could be read stays in the source. */
void config_source_read(struct config_source *source, struct buf *prepared, struct config_errors *errors);
void config_source_clear(struct config_source *source);

/* What hangs on config.memory. */
struct config_route {
	struct view domain; /* as in smarthost.domains, lower case */
	const struct config_smarthost *smarthost;
};
struct config_secrets { /* files; NULL: none */
	const char *password_file, *oauth_client_secret_file, *oauth_refresh_token_file;
};
struct config_memory {
	struct arena arena;
	struct config_secrets *secrets; /* one per smarthost */
	uint32_t *smarthost_lines, *destination_lines, *egress_lines, *stream_lines;
	uint32_t listener_lines[LISTENER_KINDS];
	size_t route_count;
	struct config_route *routes; /* sorted by domain */
};
struct config_memory *config_memory(const struct config *config);
/* From an arena of CONFIG_ARENA_BYTES, which is enough for any file. */
void *config_alloc(struct arena *arena, size_t size);
const char *config_copy(struct arena *arena, struct view text);

/* Where one setting is written to: `base` is the struct that the key's offset counts from. */
struct config_set_context {
	struct arena *arena;
	struct config_errors *errors;
	void *base;
	const struct config_setting *setting;
	size_t list_count; /* values of this list in the file */
};
/* Checks and stores the value; false and an error when it is not valid. */
bool config_set(const struct config_set_context *context);

/* Fills the config (with its arena in memory) with defaults and the source's settings. */
void config_build(struct config *config, const struct config_source *source, struct config_errors *errors);
/* Errors that need more than one key to see. */
void config_check(const struct config *config, struct config_errors *errors);

/* Values of single keys: NULL when fine, else what is valid. */
const char *config_check_hostname(struct view value);
const char *config_check_path(struct view value);
const char *config_check_socket(struct view value);
const char *config_check_user(struct view value);
const char *config_check_address(struct view value);
const char *config_check_delimiter(struct view value);
const char *config_check_ehlo_name(struct view value);
const char *config_check_host(struct view value);
const char *config_check_login(struct view value);
const char *config_check_pattern(struct view value);
const char *config_check_dns_server(struct view value);
const char *config_check_env(struct view value);
const char *config_check_url(struct view value);
const char *config_check_text(struct view value);
const char *config_check_address_pattern(struct view value);
const char *config_check_account_pattern(struct view value);
const char *config_check_listener(struct view value);
const char *config_check_header_rule(struct view value);
const char *config_check_selector(struct view value);
const char *config_check_mx_pattern(struct view value);
const char *config_check_folder(struct view value);
const char *config_check_host_port(struct view value);

/* config_check_sections.c: what the titled sections say of each other. */
void config_check_smarthosts(const struct config *config, struct config_errors *errors);
void config_check_streams(const struct config *config, struct config_errors *errors);

#endif
