/* The rules as they are kept, shared by the shaping*.c files. */
#ifndef QUEUE_SHAPING_PRIVATE_H
#define QUEUE_SHAPING_PRIVATE_H

#include "base/arena.h"
#include "queue/shaping.h"

#include <stdatomic.h>

#define SHAPING_TEXT_MAX_BYTES (256u * 1024)
#define SHAPING_SITES_MAX 1000u
#define SHAPING_LINE_MAX_BYTES 1000u
#define SHAPING_NAME_MAX_BYTES 40u
#define SHAPING_WORDS_MAX 8u
#define SHAPING_FOR_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)

struct shaping_pattern {
	struct shaping_pattern *next;
	bool is_suffix; /* "*.example.com", kept as ".example.com" */
	struct view text; /* lower case */
};

struct shaping_rule {
	struct shaping_rule *next;
	uint8_t code[3]; /* digits, or 'x' for any */
	struct view enhanced; /* "4.7.28", "4.7.*"; empty: any, also none */
	size_t word_count;
	struct view words[SHAPING_WORDS_MAX];
	struct shaping_action action; /* SHAPING_NOTHING: written down so that no later rule acts */
};

/* What one source says of a site. */
struct shaping_layer {
	bool is_there;
	unsigned line;
	unsigned mx_line, connections_line, messages_line, rate_line; /* 0: not said, so what is built in holds */
	uint32_t connections, messages_per_connection; /* 0: unlimited */
	size_t rate_count;
	struct shaping_rate rates[SHAPING_RATES_MAX];
	struct shaping_pattern *patterns, **patterns_end;
	struct shaping_rule *rules, **rules_end;
};

enum shaping_source { SHAPING_FILE, SHAPING_BUILTIN, SHAPING_SOURCES };

struct shaping_site_rules {
	struct shaping_site site; /* first: the public side of it */
	struct shaping_site_rules *next;
	struct shaping_layer layers[SHAPING_SOURCES];
};

struct shaping {
	_Atomic uint32_t references;
	struct arena arena;
	struct shaping_site_rules *sites,
		**sites_end; /* in the order written, those of the file first; "*" is among them */
};

extern const char *const shaping_builtin_texts[]; /* one site each; NULL ends them */

/* As shaping_parse(), with the built-in rules or (for tests) without. */
struct shaping *shaping_parse_with(struct view text, const char *name, bool with_builtin, struct buf *ret_errors);
bool shaping_is_for_all(const struct shaping_site_rules *site); /* "*" */
struct shaping_site_rules *shaping_site_find(const struct shaping *shaping, struct view name);

#endif
