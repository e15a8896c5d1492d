/* What the rules say: which site hosts belong to, and what a reply calls for. */
#include "queue/shaping_private.h"

#include "base/mem.h"

struct shaping *shaping_ref(struct shaping *shaping)
{
	atomic_fetch_add_explicit(&shaping->references, 1, memory_order_relaxed);
	return shaping;
}

void shaping_unref(struct shaping *shaping)
{
	if (shaping == NULL || atomic_fetch_sub_explicit(&shaping->references, 1, memory_order_acq_rel) != 1)
		return;
	arena_clear(&shaping->arena);
	mem_free(shaping);
}

bool shaping_is_for_all(const struct shaping_site_rules *site)
{
	return view_eq(site->site.name, VIEW("*"));
}

struct shaping_site_rules *shaping_site_find(const struct shaping *shaping, struct view name)
{
	struct shaping_site_rules *s = shaping->sites;
	while (s != NULL && !view_eq_nocase(s->site.name, name))
		s = s->next;
	return s;
}

const struct shaping_site *shaping_site_named(const struct shaping *shaping, struct view name)
{
	const struct shaping_site_rules *s = shaping_site_find(shaping, name);
	return s != NULL && !shaping_is_for_all(s) ? &s->site : NULL;
}

void shaping_each(
	const struct shaping *shaping, void (*each)(void *owner, const struct shaping_site *site), void *owner)
{
	for (const struct shaping_site_rules *s = shaping->sites; s != NULL; s = s->next)
		if (!shaping_is_for_all(s))
			each(owner, &s->site);
}

void shaping_count(const struct shaping *shaping, size_t *ret_sites, size_t *ret_rules)
{
	size_t sites = 0, rules = 0;
	for (const struct shaping_site_rules *s = shaping->sites; s != NULL; s = s->next) {
		sites += s->layers[SHAPING_FILE].is_there;
		for (const struct shaping_rule *r = s->layers[SHAPING_FILE].rules; r != NULL; r = r->next)
			rules++;
	}
	*ret_sites = sites;
	*ret_rules = rules;
}

/* The hosts of a site are those of the file if it names any. */
static const struct shaping_pattern *patterns_of(const struct shaping_site_rules *site)
{
	const struct shaping_layer *file = &site->layers[SHAPING_FILE];
	return file->mx_line != 0 ? file->patterns : site->layers[SHAPING_BUILTIN].patterns;
}

static bool host_matches(const struct shaping_site_rules *site, struct view host)
{
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	for (const struct shaping_pattern *p = patterns_of(site); p != NULL; p = p->next) {
		bool matches = p->is_suffix ? host.len > p->text.len && view_ends_with_nocase(host, p->text)
					    : view_eq_nocase(host, p->text);
		if (matches)
			return true;
	}
	return false;
}

const struct shaping_site *shaping_find_site(const struct shaping *shaping, size_t host_count, const struct view *hosts)
{
	if (host_count == 0)
		return NULL;
	for (const struct shaping_site_rules *s = shaping->sites; s != NULL; s = s->next) {
		size_t matching = 0;
		while (matching < host_count && host_matches(s, hosts[matching]))
			matching++;
		if (matching == host_count)
			return &s->site;
	}
	return NULL;
}

static bool code_matches(const uint8_t pattern[3], unsigned code)
{
	if (code > 999)
		return false;
	const uint8_t digits[3] = { (uint8_t)('0' + code / 100), (uint8_t)('0' + code / 10 % 10),
		(uint8_t)('0' + code % 10) };
	for (size_t i = 0; i < 3; i++)
		if (pattern[i] != 'x' && pattern[i] != digits[i])
			return false;
	return true;
}

static bool enhanced_matches(struct view pattern, struct view enhanced)
{
	if (pattern.len == 0)
		return true;
	struct view want, is;
	while (view_split(&pattern, '.', &want))
		if (!view_split(&enhanced, '.', &is) || (!view_eq(want, VIEW("*")) && !view_eq(want, is)))
			return false;
	return enhanced.len == 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Does the word stand here? A blank in it is any number of blanks in the text: replies are broken into lines where it pleases their servers. */
static bool stands_at(struct view text, size_t at, struct view word)
{
	for (size_t i = 0; i < word.len; i++) {
		if (at == text.len)
			return false;
		if (word.ptr[i] != ' ') {
			if (ascii_lower(text.ptr[at++]) != ascii_lower(word.ptr[i]))
				return false;
			continue;
		}
		if (!is_blank(text.ptr[at]))
			return false;
		while (at < text.len && is_blank(text.ptr[at]))
			at++;
	}
	return true;
}

static bool has_word(struct view text, struct view word)
{
	for (size_t at = 0; at < text.len; at++)
		if (stands_at(text, at, word))
			return true;
	return false;
}

static bool rule_matches(const struct shaping_rule *rule, unsigned code, struct view enhanced, struct view text)
{
	if (!code_matches(rule->code, code) || !enhanced_matches(rule->enhanced, enhanced))
		return false;
	for (size_t i = 0; i < rule->word_count; i++)
		if (!has_word(text, rule->words[i]))
			return false;
	return true;
}

static const struct shaping_rule *first_match(const struct shaping_site_rules *site, enum shaping_source source,
	unsigned code, struct view enhanced, struct view text)
{
	const struct shaping_rule *r = site != NULL ? site->layers[source].rules : NULL;
	while (r != NULL && !rule_matches(r, code, enhanced, text))
		r = r->next;
	return r;
}

struct shaping_action shaping_match(const struct shaping *shaping, const struct shaping_site *site, unsigned code,
	struct view enhanced, struct view text)
{
	const struct shaping_site_rules *own = (const struct shaping_site_rules *)(const void *)site;
	const struct shaping_site_rules *all = shaping_site_find(shaping, VIEW("*"));
	for (enum shaping_source source = 0; source < SHAPING_SOURCES; source++) {
		const struct shaping_rule *rule = first_match(own, source, code, enhanced, text);
		if (rule == NULL)
			rule = first_match(all, source, code, enhanced, text);
		if (rule != NULL)
			return rule->action;
	}
	return (struct shaping_action){ .kind = SHAPING_NOTHING };
}
