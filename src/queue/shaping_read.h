/* Reading rule files: what the shaping_*.c files that do it share. */
#ifndef QUEUE_SHAPING_READ_H
#define QUEUE_SHAPING_READ_H

#include "queue/shaping_private.h"

#define SHAPING_TOKENS_MAX 64u
#define SHAPING_ERRORS_MAX 20u

struct shaping_token {
	struct view text; /* of a quoted one: unescaped */
	bool is_quoted;
};

struct shaping_reader {
	struct shaping *shaping;
	enum shaping_source source;
	const char *name;
	struct buf *errors;
	unsigned error_count;
	unsigned line;
	size_t site_count;
	struct shaping_site_rules *site; /* NULL: no `site` line yet, or a bad one */
	bool skipping; /* of a bad `site` line, nobody is told about what is under it */
	struct view rule; /* the line at hand, without its comment */
	size_t count;
	struct shaping_token tokens[SHAPING_TOKENS_MAX]; /* good until the next line */
	uint8_t unescaped[SHAPING_LINE_MAX_BYTES];
	char shown[4][64], near[80]; /* of sentences */
	unsigned next_shown;
};

/* "FILE:LINE: sentence" to the errors. */
void shaping_fail(struct shaping_reader *r, const char *format, ...) PRINTF_LIKE(2, 3);
/* A word as it is shown in a sentence; good until the fourth call after. */
const char *shaping_show(struct shaping_reader *r, struct view word);
/* ", did you mean `x`?" or ""; good until the next call. */
const char *shaping_did_you_mean(struct shaping_reader *r, struct view word, size_t count, const char *const *names);
/* Memory of the rules; never NULL, for the text's size bounds it. */
void *shaping_get(struct shaping_reader *r, size_t size);
struct view shaping_keep(struct shaping_reader *r, struct view bytes);
/* Cuts a line into tokens, up to its comment. False: an error was told. */
bool shaping_read_tokens(struct shaping_reader *r, struct view line);
/* "s", "m", "h", "d" in milliseconds; 0: none of these. */
uint32_t shaping_unit_ms(struct view name);
static inline struct shaping_layer *shaping_layer_of(struct shaping_reader *r)
{
	return &r->site->layers[r->source];
}

/* shaping_when.c: the line at hand is a rule. */
void shaping_read_when(struct shaping_reader *r);

#endif
