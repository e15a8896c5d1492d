/* Rule files: text → rules, or a list of what is wrong and what to write instead. */
#include "queue/shaping_read.h"

#include "base/mem.h"

#include <string.h>

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct view keep_lower(struct shaping_reader *r, struct view bytes)
{
	uint8_t *copy = shaping_get(r, bytes.len + 1);
	for (size_t i = 0; i < bytes.len; i++)
		copy[i] = ascii_lower(bytes.ptr[i]);
	return view_of(copy, bytes.len);
}

static struct shaping_site_rules *site_get(struct shaping_reader *r, struct view name)
{
	struct shaping_site_rules *site = shaping_site_find(r->shaping, name);
	if (site == NULL) {
		site = shaping_get(r, sizeof *site);
		site->site.name = keep_lower(r, name);
		*r->shaping->sites_end = site;
		r->shaping->sites_end = &site->next;
		for (size_t i = 0; i < SHAPING_SOURCES; i++) {
			site->layers[i].patterns_end = &site->layers[i].patterns;
			site->layers[i].rules_end = &site->layers[i].rules;
		}
	}
	struct shaping_layer *layer = &site->layers[r->source];
	if (!layer->is_there)
		layer->line = r->line;
	layer->is_there = true;
	return site;
}

static bool is_name(struct view name)
{
	if (view_eq(name, VIEW("*")))
		return true;
	if (name.len == 0 || name.len > SHAPING_NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.ptr[i]) && view_find(VIEW("-_."), name.ptr[i]) == 3)
			return false;
	return true;
}

static void read_site(struct shaping_reader *r)
{
	r->site = NULL;
	r->skipping = true;
	if (r->count != 2 || r->tokens[1].is_quoted)
		shaping_fail(
			r, "`site` takes one name: write `site example`, and what holds for it on the lines below");
	else if (!is_name(r->tokens[1].text))
		shaping_fail(r,
			"`%s` is no name for a site: letters, digits, `-`, `_` and `.`, at most %u (or `*`: all sites)",
			shaping_show(r, r->tokens[1].text), SHAPING_NAME_MAX_BYTES);
	else if (shaping_site_find(r->shaping, r->tokens[1].text) == NULL && ++r->site_count > SHAPING_SITES_MAX)
		shaping_fail(r, "more than %u sites", SHAPING_SITES_MAX);
	else {
		r->site = site_get(r, r->tokens[1].text);
		r->skipping = false;
	}
}

static bool is_host(struct view host)
{
	bool has_dot = false;
	for (size_t i = 0; i < host.len; i++) {
		bool dot = host.ptr[i] == '.';
		if (!dot && !ascii_is_alnum(host.ptr[i]) && host.ptr[i] != '-' && host.ptr[i] != '_')
			return false;
		if (dot && (i == 0 || i + 1 == host.len || host.ptr[i - 1] == '.'))
			return false;
		has_dot |= dot;
	}
	return has_dot && host.len <= 255;
}

static void read_mx(struct shaping_reader *r)
{
	struct shaping_layer *layer = shaping_layer_of(r);
	if (r->count < 2)
		shaping_fail(r, "`mx` needs host names: write `mx *.example.com`");
	layer->mx_line = r->line;
	for (size_t i = 1; i < r->count; i++) {
		struct view text = r->tokens[i].text;
		bool is_suffix = view_starts_with(text, VIEW("*."));
		struct view host = is_suffix ? view_from(text, 2) : text;
		/* "*.com" is no site. */
		if (!is_host(host)) {
			shaping_fail(r,
				"`%s` is no pattern for hosts: write `*.example.com` (all below it) or "
				"`mx1.example.com`; other letters in their xn-- form",
				shaping_show(r, text));
			continue;
		}
		struct shaping_pattern *p = shaping_get(r, sizeof *p);
		p->is_suffix = is_suffix;
		p->text = keep_lower(r, is_suffix ? view_from(text, 1) : text);
		*layer->patterns_end = p;
		layer->patterns_end = &p->next;
	}
}

/* True: the key was not given before. */
static bool is_first(struct shaping_reader *r, unsigned *line)
{
	if (*line != 0)
		shaping_fail(r, "`%s` is set twice for site %s, first on line %u: leave one of them out",
			shaping_show(r, r->tokens[0].text), shaping_show(r, r->site->site.name), *line);
	bool first = *line == 0;
	*line = r->line;
	return first;
}

static void read_number(struct shaping_reader *r, uint32_t max, unsigned *line, uint32_t *ret)
{
	uint64_t n;
	if (!is_first(r, line))
		return;
	if (r->count == 2 && view_eq_nocase(r->tokens[1].text, VIEW("unlimited")))
		*ret = 0;
	else if (r->count != 2 || view_parse_u64(r->tokens[1].text, max, &n) != ERR_OK || n == 0)
		shaping_fail(r, "`%s` takes one number from 1 to %u, or `unlimited`",
			shaping_show(r, r->tokens[0].text), max);
	else
		*ret = (uint32_t)n;
}

static void read_connections(struct shaping_reader *r)
{
	read_number(r, 10000, &shaping_layer_of(r)->connections_line, &shaping_layer_of(r)->connections);
}

static void read_messages(struct shaping_reader *r)
{
	read_number(r, 1000000, &shaping_layer_of(r)->messages_line, &shaping_layer_of(r)->messages_per_connection);
}

static void read_rate(struct shaping_reader *r)
{
	struct shaping_layer *layer = shaping_layer_of(r);
	if (!is_first(r, &layer->rate_line))
		return;
	if (r->count == 2 && view_eq_nocase(r->tokens[1].text, VIEW("unlimited")))
		return;
	if (r->count < 2 || r->count - 1 > SHAPING_RATES_MAX) {
		shaping_fail(r, "`rate` takes one to %u rates: write `rate 50/s 20000/h`, or `rate unlimited`",
			SHAPING_RATES_MAX);
		return;
	}
	for (size_t i = 1; i < r->count; i++) {
		struct view text = r->tokens[i].text;
		size_t slash = view_find(text, '/');
		uint64_t n;
		uint32_t per_ms = shaping_unit_ms(view_from(text, slash + 1));
		if (per_ms == 0 || view_parse_u64(view_sub(text, 0, slash), 1000000000, &n) != ERR_OK || n == 0)
			shaping_fail(r, "`%s` is no rate: write messages per s, m, h or d, such as `20/s` or `5000/h`",
				shaping_show(r, text));
		else
			layer->rates[layer->rate_count++] = (struct shaping_rate){ (uint32_t)n, per_ms };
	}
}

static const struct {
	const char *name;
	void (*read)(struct shaping_reader *r);
	bool for_all; /* may stand under `site *` */
} keys[] = {
	{ "mx", read_mx, false },
	{ "connections", read_connections, false },
	{ "messages-per-connection", read_messages, false },
	{ "rate", read_rate, false },
	{ "when", shaping_read_when, true },
};

static void unknown_key(struct shaping_reader *r)
{
	const char *names[COUNT(keys) + 1] = { "site" };
	for (size_t i = 0; i < COUNT(keys); i++)
		names[i + 1] = keys[i].name;
	shaping_fail(r, "`%s` is no key%s (site, mx, connections, messages-per-connection, rate, when)",
		shaping_show(r, r->tokens[0].text), shaping_did_you_mean(r, r->tokens[0].text, COUNT(names), names));
}

static void read_key(struct shaping_reader *r)
{
	for (size_t i = 0; i < COUNT(keys); i++) {
		if (!view_eq_nocase(r->tokens[0].text, view_from_cstr(keys[i].name)))
			continue;
		if (r->skipping)
			return;
		if (r->site == NULL)
			shaping_fail(r,
				"`%s` stands before the first site: write `site example` (or `site *`) above it",
				keys[i].name);
		else if (shaping_is_for_all(r->site) && !keys[i].for_all)
			shaping_fail(r,
				"under `site *` only `when` may stand: limits for all sites are in section `delivery` "
				"of the configuration");
		else
			keys[i].read(r);
		return;
	}
	unknown_key(r);
}

static void read_line(struct shaping_reader *r, struct view line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len > SHAPING_LINE_MAX_BYTES) {
		shaping_fail(r, "the line is longer than %u bytes", SHAPING_LINE_MAX_BYTES);
		return;
	}
	for (size_t i = 0; i < line.len; i++)
		if ((line.ptr[i] < ' ' && line.ptr[i] != '\t') || line.ptr[i] == 0x7f) {
			shaping_fail(r, "there is a control character in the line");
			return;
		}
	if (!view_is_utf8(line)) {
		shaping_fail(r, "the line is not written in UTF-8");
		return;
	}
	if (!shaping_read_tokens(r, line) || r->count == 0)
		return;
	if (!r->tokens[0].is_quoted && view_eq_nocase(r->tokens[0].text, VIEW("site")))
		read_site(r);
	else
		read_key(r);
}

static void read_text(struct shaping_reader *r, struct view text)
{
	struct view line;
	r->line = 0;
	r->site_count = 0;
	r->site = NULL;
	r->skipping = false;
	if (view_starts_with(text, VIEW("\xef\xbb\xbf")))
		text = view_from(text, 3);
	if (text.len > SHAPING_TEXT_MAX_BYTES) {
		shaping_fail(r, "the file is larger than %u bytes", SHAPING_TEXT_MAX_BYTES);
		return;
	}
	while (view_split(&text, '\n', &line) && r->error_count < SHAPING_ERRORS_MAX) {
		r->line++;
		read_line(r, line);
	}
}

/* Puts the two sources together, and looks for sites that nobody can belong to. */
static void finish(struct shaping_reader *r)
{
	for (struct shaping_site_rules *s = r->shaping->sites; s != NULL; s = s->next) {
		const struct shaping_layer *file = &s->layers[SHAPING_FILE], *builtin = &s->layers[SHAPING_BUILTIN];
		const struct shaping_layer *from = file->connections_line != 0 ? file : builtin;
		s->site.connections = from->connections;
		from = file->messages_line != 0 ? file : builtin;
		s->site.messages_per_connection = from->messages_per_connection;
		from = file->rate_line != 0 ? file : builtin;
		s->site.rate_count = from->rate_count;
		memcpy(s->site.rates, from->rates, sizeof s->site.rates);
		if (shaping_is_for_all(s) || file->mx_line != 0 || builtin->mx_line != 0)
			continue;
		r->line = file->line;
		shaping_fail(r,
			"site %s has no line `mx`, and is none of the built-in ones: nothing would belong to it",
			shaping_show(r, s->site.name));
	}
}

struct shaping *shaping_parse_with(struct view text, const char *name, bool with_builtin, struct buf *ret_errors)
{
	struct shaping *shaping = mem_alloc(sizeof *shaping);
	shaping->references = 1;
	shaping->sites_end = &shaping->sites;
	arena_init(&shaping->arena, ARENA_BYTES);
	struct shaping_reader *r = mem_alloc(sizeof *r);
	*r = (struct shaping_reader){ .shaping = shaping, .source = SHAPING_FILE, .name = name, .errors = ret_errors };
	read_text(r, text);
	if (with_builtin && r->error_count == 0) {
		r->source = SHAPING_BUILTIN;
		for (size_t i = 0; shaping_builtin_texts[i] != NULL; i++)
			read_text(r, view_from_cstr(shaping_builtin_texts[i]));
		ASSERT(r->error_count == 0);
	}
	if (r->error_count == 0)
		finish(r);
	bool failed = r->error_count > 0;
	mem_free(r);
	if (failed) {
		shaping_unref(shaping);
		return NULL;
	}
	return shaping;
}

struct shaping *shaping_parse(struct view text, const char *name, struct buf *ret_errors)
{
	return shaping_parse_with(text, name, true, ret_errors);
}
