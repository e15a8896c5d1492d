/* Settings → struct config: defaults first, then what the file says, then what follows from it. */
#include "config/config_private.h"

#include "base/mem.h"

#include <string.h>

struct build {
	struct config *config;
	struct config_memory *memory;
	const struct config_source *source;
	struct config_errors *errors;
	void **bases; /* per section of the source: the struct its keys count from; NULL: unknown title */
	uint32_t *seen_lines; /* per section × key: where it was set, 0 = not yet */
};

static const char *const listener_names[LISTENER_KINDS] = {
	[LISTENER_MX] = "mx",
	[LISTENER_SUBMISSION] = "submission",
	[LISTENER_SUBMISSIONS] = "submissions",
};

void *config_alloc(struct arena *arena, size_t size)
{
	void *memory = arena_alloc(arena, size);
	ASSERT(memory != NULL);
	return memory;
}

const char *config_copy(struct arena *arena, struct view text)
{
	char *copy = config_alloc(arena, text.len + 1);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return copy;
}

static void set_defaults(struct build *b, const char *section, void *base)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		if (keys[i].default_text == NULL || strcmp(keys[i].section, section) != 0)
			continue;
		struct config_setting setting = { .key = &keys[i], .value = view_from_cstr(keys[i].default_text) };
		struct config_set_context context = { .arena = &b->memory->arena,
			.errors = b->errors,
			.base = base,
			.setting = &setting,
			.list_count = 1 };
		bool good = config_set(&context);
		ASSERT(good);
	}
}

static void *listener_base(struct build *b, const struct config_section *section)
{
	for (size_t i = 0; i < LISTENER_KINDS; i++)
		if (strcmp(section->title, listener_names[i]) == 0) {
			b->config->listeners[i].enabled = true;
			b->memory->listener_lines[i] = section->line;
			return &b->config->listeners[i];
		}
	config_errors_add(b->errors, section->line,
		"there is no kind of listener `%s`; write `listen mx`, `listen submission` or `listen submissions`",
		config_show(view_from_cstr(section->title)).text);
	return NULL;
}

static size_t count_smarthosts(const struct config_source *source)
{
	size_t n = 0;
	for (size_t i = 0; i < source->section_count; i++)
		n += strcmp(source->sections[i].kind->name, "smarthost") == 0;
	return n;
}

static void *smarthost_base(struct build *b, const struct config_section *section)
{
	size_t i = b->config->smarthost_count++;
	struct config_smarthost *s = &b->config->smarthosts[i];
	b->memory->smarthost_lines[i] = section->line;
	set_defaults(b, "smarthost", s);
	s->name = config_copy(&b->memory->arena, view_from_cstr(section->title));
	return s;
}

static void make_sections(struct build *b)
{
	struct arena *arena = &b->memory->arena;
	size_t smarthosts = count_smarthosts(b->source);
	b->config->smarthosts = config_alloc(arena, (smarthosts + 1) * sizeof *b->config->smarthosts);
	b->memory->smarthost_lines = config_alloc(arena, (smarthosts + 1) * sizeof *b->memory->smarthost_lines);
	b->memory->password_files = config_alloc(arena, (smarthosts + 1) * sizeof *b->memory->password_files);
	for (size_t i = 0; i < b->source->section_count; i++) {
		const struct config_section *section = &b->source->sections[i];
		if (!section->kind->has_title)
			b->bases[i] = b->config;
		else if (strcmp(section->kind->name, "listen") == 0)
			b->bases[i] = listener_base(b, section);
		else
			b->bases[i] = smarthost_base(b, section);
	}
}

/* The first value of a list says how many follow: the values of one list stand together. */
static size_t values_of_list(const struct config_source *source, size_t first)
{
	const struct config_setting *s = &source->settings[first];
	size_t n = 1;
	while (first + n < source->setting_count && source->settings[first + n].key == s->key &&
		source->settings[first + n].section == s->section && source->settings[first + n].index == n)
		n++;
	return n;
}

/* A key set a second time is a mistake that would otherwise silently win or lose. */
static bool is_repeated(
	struct build *b, const struct config_setting *s, size_t key_count, const struct config_key *keys)
{
	uint32_t *line = &b->seen_lines[s->section * key_count + (size_t)(s->key - keys)];
	if (*line == 0) {
		*line = s->line;
		return false;
	}
	config_errors_add(
		b->errors, s->line, "`%s` is set again; it was set in line %u", s->key->name, (unsigned)*line);
	return true;
}

static void apply_values(struct build *b, void *base, const struct config_setting *first, size_t values)
{
	/* A list in the file takes the place of the default one. */
	if (config_key_is_list(first->key))
		*(size_t *)(void *)((char *)base + first->key->count_offset) = 0;
	for (size_t i = 0; i < values; i++) {
		struct config_set_context context = { .arena = &b->memory->arena,
			.errors = b->errors,
			.base = base,
			.setting = first + i,
			.list_count = values };
		config_set(&context);
	}
}

static void apply_settings(struct build *b)
{
	size_t key_count;
	const struct config_key *keys = config_keys(&key_count);
	for (size_t i = 0; i < b->source->setting_count;) {
		const struct config_setting *s = &b->source->settings[i];
		size_t values = s->index == 0 ? values_of_list(b->source, i) : 1;
		void *base = b->bases[s->section];
		if (s->index > 0)
			config_errors_add(b->errors, s->line,
				"write all values of `%s` in one place: `%s = { \"…\", \"…\" }`", s->key->name,
				s->key->name);
		else if (base != NULL && !is_repeated(b, s, key_count, keys))
			apply_values(b, base, s, values);
		i += values;
	}
}

/* "data" + "/" + name */
static const char *in_data_folder(struct build *b, const char *name)
{
	struct buf path = { 0 };
	const char *data = b->config->data;
	size_t len = strlen(data);
	const char *slash = len > 0 && data[len - 1] == '/' ? "" : "/";
	enum err err = buf_append_format(&path, "%s%s%s", data, slash, name);
	ASSERT(err == ERR_OK);
	const char *copy = config_copy(&b->memory->arena, buf_view(&path));
	buf_clear(&path);
	return copy;
}

static void derive_smarthosts(struct build *b)
{
	static const uint16_t ports[] = {
		[CONFIG_SMARTHOST_STARTTLS] = 587,
		[CONFIG_SMARTHOST_IMPLICIT] = 465,
		[CONFIG_SMARTHOST_CLEAR] = 25,
	};
	for (size_t i = 0; i < b->config->smarthost_count; i++) {
		struct config_smarthost *s = &b->config->smarthosts[i];
		if (s->port == 0)
			s->port = ports[s->tls];
		/* The field held the file's name so far; config_load() puts the password there. */
		b->memory->password_files[i] = s->password;
		s->password = NULL;
	}
}

static int by_domain(const void *a, const void *b)
{
	return view_compare(((const struct config_route *)a)->domain, ((const struct config_route *)b)->domain);
}

/* All smart hosts' domains in one sorted table, so that finding one costs the same with ten as with ten thousand. */
static void make_routes(struct build *b)
{
	size_t count = 0, n = 0;
	for (size_t i = 0; i < b->config->smarthost_count; i++)
		count += b->config->smarthosts[i].domain_count;
	struct config_route *routes = config_alloc(&b->memory->arena, (count + 1) * sizeof *routes);
	for (size_t i = 0; i < b->config->smarthost_count; i++) {
		const struct config_smarthost *s = &b->config->smarthosts[i];
		for (size_t d = 0; d < s->domain_count; d++) {
			size_t len = strlen(s->domains[d]);
			uint8_t *lower = config_alloc(&b->memory->arena, len + 1);
			for (size_t at = 0; at < len; at++)
				lower[at] = ascii_lower((uint8_t)s->domains[d][at]);
			routes[n++] = (struct config_route){ .domain = view_of(lower, len), .smarthost = s };
		}
	}
	qsort(routes, n, sizeof *routes, by_domain);
	b->memory->routes = routes;
	b->memory->route_count = n;
}

static void derive(struct build *b)
{
	struct config *c = b->config;
	if (c->mail_folder == NULL)
		c->mail_folder = in_data_folder(b, "mail");
	if (c->socket == NULL)
		c->socket = in_data_folder(b, "submit.sock");
	if (c->delivery.ehlo_name == NULL)
		c->delivery.ehlo_name = c->hostname;
	derive_smarthosts(b);
	make_routes(b);
}

void config_build(struct config *config, const struct config_source *source, struct config_errors *errors)
{
	size_t kind_count, key_count;
	const struct config_section_kind *kinds = config_section_kinds(&kind_count);
	config_keys(&key_count);
	struct build b = { .config = config, .memory = config_memory(config), .source = source, .errors = errors };
	b.bases = mem_alloc_array(source->section_count + 1, sizeof *b.bases);
	b.seen_lines = mem_alloc_array((source->section_count + 1) * key_count, sizeof *b.seen_lines);
	for (size_t i = 0; i < kind_count; i++)
		if (!kinds[i].has_title)
			set_defaults(&b, kinds[i].name, config);
	make_sections(&b);
	apply_settings(&b);
	derive(&b);
	mem_free(b.bases);
	mem_free(b.seen_lines);
}
