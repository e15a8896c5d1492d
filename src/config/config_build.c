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
	[LISTENER_HTTPS] = "https",
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
		"there is no kind of listener `%s`; write `listen mx`, `listen submission`, `listen submissions` or "
		"`listen https`",
		config_show(view_from_cstr(section->title)).text);
	return NULL;
}

/* Sections with a title of one's own: an array of structs each, in the order of the file. */
struct titled {
	const char *name;
	size_t size, array_offset, count_offset;
	uint32_t **(*lines)(struct config_memory *memory);
};

static uint32_t **smarthost_lines(struct config_memory *memory)
{
	return &memory->smarthost_lines;
}
static uint32_t **destination_lines(struct config_memory *memory)
{
	return &memory->destination_lines;
}
static uint32_t **egress_lines(struct config_memory *memory)
{
	return &memory->egress_lines;
}
static uint32_t **stream_lines(struct config_memory *memory)
{
	return &memory->stream_lines;
}

#define TITLED(kind, array, count)                                                                                     \
	{                                                                                                              \
#kind, sizeof(struct config_##kind), offsetof(struct config, array), offsetof(struct config, count),   \
			kind##_lines                                                                                   \
	}
static const struct titled titled[] = {
	TITLED(smarthost, smarthosts, smarthost_count),
	TITLED(destination, destinations, destination_count),
	TITLED(egress, egresses, egress_count),
	TITLED(stream, streams, stream_count),
};

static const struct titled *find_titled(const struct config_section *section)
{
	for (size_t i = 0; i < sizeof titled / sizeof titled[0]; i++)
		if (strcmp(section->kind->name, titled[i].name) == 0)
			return &titled[i];
	return NULL;
}

static void *field_of(struct config *config, size_t offset)
{
	return (char *)config + offset;
}

static void make_arrays(struct build *b)
{
	struct arena *arena = &b->memory->arena;
	for (size_t t = 0; t < sizeof titled / sizeof titled[0]; t++) {
		size_t count = 1; /* none has an array, too */
		for (size_t i = 0; i < b->source->section_count; i++)
			count += find_titled(&b->source->sections[i]) == &titled[t];
		*(void **)field_of(b->config, titled[t].array_offset) = config_alloc(arena, count * titled[t].size);
		*titled[t].lines(b->memory) = config_alloc(arena, count * sizeof(uint32_t));
		if (strcmp(titled[t].name, "smarthost") == 0)
			b->memory->secrets = config_alloc(arena, count * sizeof *b->memory->secrets);
	}
}

/* Names stand in keys, commands and tables beside other words: "mx/example.net@shop". The reader has looked at their letters. */
#define TITLE_MAX_BYTES 64u

static void check_title(struct build *b, const struct config_section *section)
{
	if (strlen(section->title) > TITLE_MAX_BYTES)
		config_errors_add(b->errors, section->line, "`%s %s`: a name here has at most %u letters",
			section->kind->name, config_show(view_from_cstr(section->title)).text, TITLE_MAX_BYTES);
}

static void *titled_base(struct build *b, const struct config_section *section)
{
	const struct titled *t = find_titled(section);
	ASSERT(t != NULL);
	size_t i = (*(size_t *)field_of(b->config, t->count_offset))++;
	char *base = *(char **)field_of(b->config, t->array_offset) + i * t->size;
	(*t->lines(b->memory))[i] = section->line;
	set_defaults(b, t->name, base);
	/* Each of these structs begins with its name. */
	*(const char **)(void *)base = config_copy(&b->memory->arena, view_from_cstr(section->title));
	if (strcmp(t->name, "smarthost") != 0)
		check_title(b, section);
	return base;
}
_Static_assert(offsetof(struct config_smarthost, name) == 0 && offsetof(struct config_destination, name) == 0 &&
		offsetof(struct config_egress, name) == 0 && offsetof(struct config_stream, name) == 0,
	"titled_base() writes the name");

static void make_sections(struct build *b)
{
	make_arrays(b);
	for (size_t i = 0; i < b->source->section_count; i++) {
		const struct config_section *section = &b->source->sections[i];
		if (!section->kind->has_title)
			b->bases[i] = b->config;
		else if (strcmp(section->kind->name, "listen") == 0)
			b->bases[i] = listener_base(b, section);
		else
			b->bases[i] = titled_base(b, section);
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

/* A smart host that others name is for them alone, unless it says otherwise. */
static bool is_named(const struct config *c, const char *name)
{
	struct view wanted = view_from_cstr(name);
	for (size_t i = 0; i < c->stream_count; i++)
		if (c->streams[i].smarthost != NULL && view_eq_nocase(view_from_cstr(c->streams[i].smarthost), wanted))
			return true;
	for (size_t i = 0; i < c->smarthost_count; i++)
		for (size_t f = 0; f < c->smarthosts[i].fallback_count; f++)
			if (view_eq_nocase(view_from_cstr(c->smarthosts[i].fallbacks[f]), wanted))
				return true;
	return false;
}

static void derive_smarthosts(struct build *b)
{
	static const uint16_t ports[] = {
		[CONFIG_SMARTHOST_STARTTLS] = 587,
		[CONFIG_SMARTHOST_IMPLICIT] = 465,
		[CONFIG_SMARTHOST_CLEAR] = 25,
		[CONFIG_SMARTHOST_DANE] = 587,
		[CONFIG_SMARTHOST_IMPLICIT_DANE] = 465,
	};
	static const char *const all[] = { "*" };
	for (size_t i = 0; i < b->config->smarthost_count; i++) {
		struct config_smarthost *s = &b->config->smarthosts[i];
		if (s->port == 0)
			s->port = ports[s->tls];
		/* The fields held the files' names so far; config_load() puts the secrets there. */
		struct config_secrets *secrets = &b->memory->secrets[i];
		secrets->password_file = s->password;
		secrets->oauth_client_secret_file = s->oauth_client_secret;
		secrets->oauth_refresh_token_file = s->oauth_refresh_token_file = s->oauth_refresh_token;
		s->password = s->oauth_client_secret = s->oauth_refresh_token = NULL;
		if (s->domains == NULL && !is_named(b->config, s->name)) {
			s->domains = all;
			s->domain_count = 1;
		}
	}
}

static void derive_streams(struct build *b)
{
	for (size_t i = 0; i < b->config->stream_count; i++) {
		struct config_stream *s = &b->config->streams[i];
		s->egress_found = config_alloc(
			&b->memory->arena, (s->egress_count + 1) * sizeof(struct config_egress *));
		for (size_t e = 0; e < s->egress_count; e++)
			s->egress_found[e] = config_egress_named(b->config, view_from_cstr(s->egress[e]));
	}
}

static const char **one_name(struct build *b, const char *name)
{
	const char **list = config_alloc(&b->memory->arena, sizeof *list);
	*list = name;
	return list;
}

/* What is called by hostname unless it is said otherwise. */
static void derive_names(struct build *b)
{
	struct config *c = b->config;
	if (c->hostname == NULL)
		return; /* config_check() says so */
	if (c->authentication.authserv_id == NULL)
		c->authentication.authserv_id = c->hostname;
	if (c->reports.organization == NULL)
		c->reports.organization = c->hostname;
	if (c->reports.from == NULL) {
		struct buf from = { 0 };
		enum err err = buf_append_format(&from, "postmaster@%s", c->hostname);
		ASSERT(err == ERR_OK);
		c->reports.from = config_copy(&b->memory->arena, buf_view(&from));
		buf_clear(&from);
	}
	if (c->mta_sts.mx_count == 0) {
		c->mta_sts.mx = one_name(b, c->hostname);
		c->mta_sts.mx_count = 1;
	}
}

static int by_domain(const void *a, const void *b)
{
	return view_compare(((const struct config_route *)a)->domain, ((const struct config_route *)b)->domain);
}

/* The domains of all smart hosts that are for every sender in one sorted table, so that finding one costs the same with ten as with ten thousand. */
static void make_routes(struct build *b)
{
	size_t count = 0, n = 0;
	for (size_t i = 0; i < b->config->smarthost_count; i++)
		count += b->config->smarthosts[i].sender_count == 0 ? b->config->smarthosts[i].domain_count : 0;
	struct config_route *routes = config_alloc(&b->memory->arena, (count + 1) * sizeof *routes);
	for (size_t i = 0; i < b->config->smarthost_count; i++) {
		const struct config_smarthost *s = &b->config->smarthosts[i];
		for (size_t d = 0; s->sender_count == 0 && d < s->domain_count; d++) {
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
	derive_names(b);
	derive_smarthosts(b);
	derive_streams(b);
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
