/*
 * libConfuse reads the structure of a file: sections, titles, lists. Every value is a string to it; what the strings mean is
 * decided by the table of keys, so that each error names its line and what would be right.
 *
 * Its callbacks have no user pointer and its scanner is global: one reader at a time, behind a mutex.
 * It stops at the first unknown key. To find all of them, an unknown key is added to its options and the text is read again;
 * its value then comes to a callback that reports it.
 */
#include "config/config_private.h"

#include "base/mem.h"
#include "config/config_value.h"

#include <confuse.h>
#include <pthread.h>
#include <string.h>

#define UNKNOWN_MAX 20u
#define SECTION_KEYS_MAX 32u
#define SETTINGS_MAX 100000u

struct unknown {
	const struct config_section_kind *kind;
	char name[64];
};

static struct reader {
	struct config_source *source;
	struct config_errors *errors;
	const cfg_t *section_seen; /* the section of the last setting, and its index */
	uint32_t section_index;
	bool again; /* stopped at an unknown key that was added to `unknown` */
	bool stopped; /* an error of ours was reported for what libConfuse complains about now */
	size_t unknown_count;
	struct unknown unknown[UNKNOWN_MAX];
} * reader;
static pthread_mutex_t reader_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct config_section_kind *kind_of(const cfg_t *cfg)
{
	struct view name = view_from_cstr(cfg->name);
	return config_section_kind_find(view_eq(name, VIEW("root")) ? VIEW("") : name);
}

static unsigned line_of(const cfg_t *cfg)
{
	return cfg->line > 0 ? (unsigned)cfg->line : 0;
}

/* "section `listen mx`", "the top of the file" */
static struct config_shown describe_section(const struct config_section_kind *kind, const char *title)
{
	struct config_shown out;
	if (kind->name[0] == '\0')
		snprintf(out.text, sizeof out.text, "the top of the file");
	else if (title != NULL && title[0] != '\0')
		snprintf(out.text, sizeof out.text, "section `%s %.60s`", kind->name, title);
	else
		snprintf(out.text, sizeof out.text, "section `%s`", kind->name);
	return out;
}

/* What may have been meant by an unknown name: a name of this section, else a key of another one. */
static void report_unknown(const cfg_t *cfg, const char *written, const char *noun)
{
	const struct config_section_kind *kind = kind_of(cfg);
	struct view name = view_from_cstr(written);
	struct config_nearest nearest;
	config_nearest_init(&nearest, name);
	const struct config_key *elsewhere = NULL;
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].section, kind->name) == 0)
			config_nearest_offer(&nearest, view_from_cstr(keys[i].name));
		else if (view_eq_nocase(view_from_cstr(keys[i].name), name) && elsewhere == NULL)
			elsewhere = &keys[i];
	}
	if (kind->name[0] == '\0') {
		const struct config_section_kind *kinds = config_section_kinds(&count);
		for (size_t i = 1; i < count; i++)
			config_nearest_offer(&nearest, view_from_cstr(kinds[i].name));
	}
	struct config_shown shown = config_show(name), where = describe_section(kind, cfg->title);
	if (elsewhere != NULL && (nearest.best.len == 0 || nearest.distance > 0))
		config_errors_add(reader->errors, line_of(cfg), "unknown %s `%s` in %s; it belongs %s%s%s", noun,
			shown.text, where.text,
			elsewhere->section[0] != '\0' ? "in section `" : "at the top of the file", elsewhere->section,
			elsewhere->section[0] != '\0' ? "`" : "");
	else if (nearest.best.len > 0)
		config_errors_add(reader->errors, line_of(cfg), "unknown %s `%s` in %s; did you mean `%.*s`?", noun,
			shown.text, where.text, VIEW_ARG(nearest.best));
	else
		config_errors_add(reader->errors, line_of(cfg), "unknown %s `%s` in %s; see postrider.conf(5)", noun,
			shown.text, where.text);
}

static bool is_unknown(const struct config_section_kind *kind, const char *name)
{
	for (size_t i = 0; i < reader->unknown_count; i++)
		if (reader->unknown[i].kind == kind && strcmp(reader->unknown[i].name, name) == 0)
			return true;
	return false;
}

/* True when reading again will get past this name. */
static bool add_unknown(const cfg_t *cfg, const char *name)
{
	const struct config_section_kind *kind = kind_of(cfg);
	size_t len = strlen(name);
	if (reader->unknown_count == UNKNOWN_MAX || len == 0 || len >= sizeof reader->unknown[0].name ||
		is_unknown(kind, name))
		return false;
	struct unknown *u = &reader->unknown[reader->unknown_count++];
	u->kind = kind;
	memcpy(u->name, name, len + 1);
	return true;
}

static void say_unknown(cfg_t *cfg, const char *name)
{
	reader->again = add_unknown(cfg, name);
	if (!reader->again)
		report_unknown(cfg, name, "key");
}

static void say_no_equals(cfg_t *cfg, const char *name)
{
	if (is_unknown(kind_of(cfg), name))
		report_unknown(cfg, name, kind_of(cfg)->name[0] == '\0' ? "section" : "key");
	else
		config_errors_add(reader->errors, line_of(cfg), "`%s` needs `=` and a value behind it", name);
}

static void say_section(cfg_t *cfg, const char *name)
{
	const struct config_section_kind *kind = config_section_kind_find(view_from_cstr(name));
	config_errors_add(
		reader->errors, line_of(cfg), "`%s` is a section; write `%s`", name, kind != NULL ? kind->usage : name);
}

static void say_same_title(cfg_t *cfg, const char *title)
{
	config_errors_add(reader->errors, line_of(cfg), "there are two sections with the name `%s`; write one",
		config_show(view_from_cstr(title)).text);
}

static void say_no_list(cfg_t *cfg, const char *name)
{
	config_errors_add(reader->errors, line_of(cfg), "`%s` has one value; write `=` instead of `+=`", name);
}

static void say_unexpected(cfg_t *cfg, const char *token)
{
	config_errors_add(reader->errors, line_of(cfg), "unexpected `%s`%s", config_show(view_from_cstr(token)).text,
		token[0] == '{' ? "; if a list was meant: this key has one value" : "");
}

static void say_unexpected_end(cfg_t *cfg, const char *none)
{
	(void)none;
	config_errors_add(reader->errors, line_of(cfg), "unexpected `}`; no section is open here");
}

static void say_too_short(cfg_t *cfg, const char *none)
{
	(void)none;
	config_errors_add(reader->errors, line_of(cfg), "the file ends here, but a value or a section is missing");
}

/* libConfuse's complaints that can be said better. Those with a %s get that word. */
static const struct complaint {
	const char *format;
	void (*say)(cfg_t *cfg, const char *word);
} complaints[] = {
	{ "no such option '%s'", say_unknown },
	{ "missing equal sign after option '%s'", say_no_equals },
	{ "missing title for section '%s'", say_section },
	{ "missing opening brace for section '%s'", say_section },
	{ "found duplicate title '%s'", say_same_title },
	{ "attempt to append to non-list option '%s'", say_no_list },
	{ "unexpected token '%s'", say_unexpected },
	{ "unexpected closing brace", say_unexpected_end },
	{ "premature end of file", say_too_short },
};

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	if (reader->stopped)
		return;
	for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++)
		if (strcmp(format, complaints[i].format) == 0) {
			const char *word = strchr(format, '%') != NULL ? va_arg(args, const char *) : NULL;
			complaints[i].say(cfg, word);
			return;
		}
	char sentence[256];
	vsnprintf(sentence, sizeof sentence, format, args);
	config_errors_add(reader->errors, line_of(cfg), "%s", config_show(view_from_cstr(sentence)).text);
}

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room > 0 ? *room * 2 : 64;
	return mem_resize(array, *room * size);
}

static uint32_t note_section(const cfg_t *cfg)
{
	struct config_source *s = reader->source;
	if (cfg == reader->section_seen)
		return reader->section_index;
	const struct config_section_kind *kind = kind_of(cfg);
	const char *title = kind->has_title && cfg->title != NULL ? cfg->title : "";
	size_t i = 0;
	while (i < s->section_count && !(s->sections[i].kind == kind && strcmp(s->sections[i].title, title) == 0))
		i++;
	if (i == s->section_count) {
		s->sections = grow(s->sections, s->section_count, &s->section_room, sizeof *s->sections);
		s->sections[s->section_count++] = (struct config_section){
			.kind = kind, .title = config_copy(&s->texts, view_from_cstr(title)), .line = line_of(cfg)
		};
	}
	reader->section_seen = cfg;
	reader->section_index = (uint32_t)i;
	return reader->section_index;
}

/* A name such as "tls|key" would come here with a key of another section; such names are refused before, this makes sure. */
static bool is_own_option(cfg_t *cfg, const cfg_opt_t *opt)
{
	unsigned count = cfg_num(cfg);
	for (unsigned i = 0; i < count; i++)
		if (cfg_getnopt(cfg, i) == opt)
			return true;
	return false;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct config_source *s = reader->source;
	const struct config_section_kind *kind = kind_of(cfg);
	const struct config_key *key = is_own_option(cfg, opt)
		? config_key_find(view_from_cstr(kind->name), view_from_cstr(opt->name))
		: NULL;
	if (s->setting_count == SETTINGS_MAX) {
		config_errors_add(reader->errors, line_of(cfg), "the file has too many values");
		reader->stopped = true;
		return -1;
	}
	uint32_t section = note_section(cfg);
	/* libConfuse has made room for this value already: its index is the count less one. */
	uint32_t index = opt->nvalues > 0 ? opt->nvalues - 1 : 0;
	if (key == NULL) {
		if (index == 0)
			report_unknown(cfg, opt->name, "key");
	} else {
		s->settings = grow(s->settings, s->setting_count, &s->setting_room, sizeof *s->settings);
		struct view copy = view_from_cstr(config_copy(&s->texts, view_from_cstr(value)));
		s->settings[s->setting_count++] = (struct config_setting){
			.key = key, .section = section, .line = line_of(cfg), .index = index, .value = copy
		};
	}
	/* libConfuse keeps a copy of this: nothing of it is used. */
	*(const char **)result = "";
	return 0;
}

/* At the end of a section: also an empty one counts. */
static int on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned count = cfg_opt_size(opt);
	cfg_t *section = count > 0 ? cfg_opt_getnsec(opt, count - 1) : NULL;
	if (section != NULL)
		note_section(section);
	if (count > CONFIG_SECTIONS_MAX) {
		config_errors_add(reader->errors, line_of(cfg), "there are more than %u sections of this kind",
			CONFIG_SECTIONS_MAX);
		reader->stopped = true;
		return -1;
	}
	return 0;
}

/* libConfuse's options for one section; `ret` has SECTION_KEYS_MAX + UNKNOWN_MAX + 1 places and stays zero behind the last. */
static size_t make_options(const struct config_section_kind *kind, cfg_opt_t *ret)
{
	size_t count, n = 0;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].section, kind->name) != 0)
			continue;
		ASSERT(n < SECTION_KEYS_MAX);
		ret[n++] = (cfg_opt_t){ .name = keys[i].name,
			.type = CFGT_STR,
			.flags = CFGF_NODEFAULT | (config_key_is_list(&keys[i]) ? CFGF_LIST : 0),
			.parsecb = on_value };
	}
	for (size_t i = 0; i < reader->unknown_count; i++)
		if (reader->unknown[i].kind == kind)
			ret[n++] = (cfg_opt_t){ .name = reader->unknown[i].name,
				.type = CFGT_STR,
				.flags = CFGF_NODEFAULT | CFGF_LIST,
				.parsecb = on_value };
	return n;
}

#define OPTIONS_MAX (SECTION_KEYS_MAX + UNKNOWN_MAX + 32)

static void read_once(const char *text)
{
	size_t kind_count, n = 0;
	const struct config_section_kind *kinds = config_section_kinds(&kind_count);
	ASSERT(kind_count <= 32);
	cfg_opt_t *options = mem_alloc_array((kind_count + 1) * OPTIONS_MAX, sizeof *options);
	cfg_opt_t *top = options + kind_count * OPTIONS_MAX;
	for (size_t i = 0; i < kind_count; i++) {
		if (kinds[i].name[0] == '\0') {
			n += make_options(&kinds[i], top + n);
			continue;
		}
		make_options(&kinds[i], options + i * OPTIONS_MAX);
		top[n++] = (cfg_opt_t){ .name = kinds[i].name,
			.type = CFGT_SEC,
			.flags = kinds[i].has_title ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE,
			.subopts = options + i * OPTIONS_MAX,
			.validcb = on_section_end };
	}
	cfg_t *cfg = cfg_init(top, CFGF_NONE);
	if (cfg != NULL) {
		cfg_set_error_function(cfg, on_error);
		size_t errors_before = reader->errors->count;
		int result = cfg_parse_buf(cfg, text);
		if (result != CFG_SUCCESS && !reader->again && reader->errors->count == errors_before)
			config_errors_add(reader->errors, line_of(cfg), "this is not understood");
		cfg_free(cfg);
	}
	mem_free(options);
}

void config_source_read(struct config_source *source, struct buf *prepared, struct config_errors *errors)
{
	size_t errors_before = errors->count;
	struct reader r = { .source = source, .errors = errors };
	pthread_mutex_lock(&reader_lock);
	reader = &r;
	do {
		config_errors_cut(errors, errors_before);
		arena_clear(&source->texts);
		source->section_count = source->setting_count = 0;
		r.section_seen = NULL;
		r.again = r.stopped = false;
		read_once(buf_cstr(prepared));
	} while (r.again);
	reader = NULL;
	pthread_mutex_unlock(&reader_lock);
}

void config_source_init(struct config_source *source)
{
	*source = (struct config_source){ 0 };
	arena_init(&source->texts, CONFIG_ARENA_BYTES);
}

void config_source_clear(struct config_source *source)
{
	arena_clear(&source->texts);
	mem_free(source->sections);
	mem_free(source->settings);
	source->sections = NULL;
	source->settings = NULL;
	source->section_count = source->setting_count = 0;
}
