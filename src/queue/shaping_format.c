/* The rules in their own form. */
#include "queue/shaping_private.h"

static enum err format_unit(struct buf *out, uint64_t n, const char *unit)
{
	return buf_append_format(out, "%llu%s", (unsigned long long)n, unit);
}

static enum err format_duration(struct buf *out, int64_t ms)
{
	uint64_t s = (uint64_t)ms / 1000;
	if (s % 86400 == 0)
		return format_unit(out, s / 86400, "d");
	if (s % 3600 == 0)
		return format_unit(out, s / 3600, "h");
	return s % 60 == 0 ? format_unit(out, s / 60, "m") : format_unit(out, s, "s");
}

static enum err format_rates(struct buf *out, const struct shaping_layer *layer)
{
	if (layer->rate_count == 0)
		return buf_append_cstr(out, " unlimited");
	enum err err = ERR_OK;
	for (size_t i = 0; i < layer->rate_count && err == ERR_OK; i++) {
		const struct shaping_rate *r = &layer->rates[i];
		const char *unit = r->per_ms == 1000 ? "s"
			: r->per_ms == 60000         ? "m"
			: r->per_ms == 3600000       ? "h"
						     : "d";
		err = buf_append_format(out, " %u/%s", r->count, unit);
	}
	return err;
}

static enum err format_number(struct buf *out, const char *key, uint32_t n, const char *behind)
{
	return n == 0 ? buf_append_format(out, "  %s unlimited%s\n", key, behind)
		      : buf_append_format(out, "  %s %u%s\n", key, n, behind);
}

static enum err format_patterns(struct buf *out, const struct shaping_layer *layer)
{
	enum err err = ERR_OK;
	for (const struct shaping_pattern *p = layer->patterns; p != NULL && err == ERR_OK; p = p->next)
		err = buf_append_format(out, " %s%.*s", p->is_suffix ? "*" : "", VIEW_ARG(p->text));
	return err;
}

/* What the file says otherwise is shown, but as a comment. */
static const char *key_prefix(bool is_replaced)
{
	return is_replaced ? "  # replaced:" : "";
}

static enum err format_limits(
	struct buf *out, const struct shaping_layer *layer, const struct shaping_layer *replaced_by)
{
	enum err err = ERR_OK;
	const struct shaping_layer none = { .is_there = false };
	const struct shaping_layer *other = replaced_by != NULL ? replaced_by : &none;
	if (layer->mx_line != 0) {
		err = buf_append_format(out, "%s  mx", key_prefix(other->mx_line != 0));
		if (err == ERR_OK)
			err = format_patterns(out, layer);
		if (err == ERR_OK)
			err = buf_append_byte(out, '\n');
	}
	if (err == ERR_OK && layer->connections_line != 0) {
		err = buf_append_cstr(out, key_prefix(other->connections_line != 0));
		if (err == ERR_OK)
			err = format_number(out, "connections", layer->connections, "");
	}
	if (err == ERR_OK && layer->messages_line != 0) {
		err = buf_append_cstr(out, key_prefix(other->messages_line != 0));
		if (err == ERR_OK)
			err = format_number(out, "messages-per-connection", layer->messages_per_connection, "");
	}
	if (err == ERR_OK && layer->rate_line != 0) {
		err = buf_append_format(out, "%s  rate", key_prefix(other->rate_line != 0));
		if (err == ERR_OK)
			err = format_rates(out, layer);
		if (err == ERR_OK)
			err = buf_append_byte(out, '\n');
	}
	return err;
}

static enum err format_word(struct buf *out, struct view word)
{
	enum err err = buf_append_cstr(out, " \"");
	for (size_t i = 0; i < word.len && err == ERR_OK; i++) {
		if (word.ptr[i] == '"' || word.ptr[i] == '\\')
			err = buf_append_byte(out, '\\');
		if (err == ERR_OK)
			err = buf_append_byte(out, word.ptr[i]);
	}
	return err == ERR_OK ? buf_append_byte(out, '"') : err;
}

static enum err format_action(struct buf *out, const struct shaping_action *action)
{
	enum err err;
	switch (action->kind) {
	case SHAPING_SLOW:
		err = buf_append_format(out, " slow %u%% for ", action->percent);
		break;
	case SHAPING_SUSPEND:
		err = buf_append_cstr(out, " suspend ");
		break;
	case SHAPING_NEXT_HOST:
		return buf_append_cstr(out, " next-host");
	default:
		return buf_append_cstr(out, " nothing");
	}
	return err == ERR_OK ? format_duration(out, action->for_ms) : err;
}

static enum err format_rule(struct buf *out, const struct shaping_rule *rule)
{
	struct view code = view_of(rule->code, 3);
	enum err err = buf_append_cstr(out, "  when ");
	if (err == ERR_OK)
		err = buf_append(out, view_eq(code, VIEW("xxx")) ? VIEW("*") : code);
	if (err == ERR_OK)
		err = buf_append_byte(out, ' ');
	if (err == ERR_OK)
		err = buf_append(out, rule->enhanced.len > 0 ? rule->enhanced : VIEW("*"));
	for (size_t i = 0; i < rule->word_count && err == ERR_OK; i++)
		err = format_word(out, rule->words[i]);
	if (err == ERR_OK)
		err = format_action(out, &rule->action);
	return err == ERR_OK ? buf_append_byte(out, '\n') : err;
}

static enum err format_site(struct buf *out, const struct shaping_site_rules *site, enum shaping_source source)
{
	const struct shaping_layer *layer = &site->layers[source];
	const struct shaping_layer *replaced_by = source == SHAPING_BUILTIN ? &site->layers[SHAPING_FILE] : NULL;
	enum err err = buf_append_format(out, "\nsite %.*s\n", VIEW_ARG(site->site.name));
	if (err == ERR_OK)
		err = format_limits(out, layer, replaced_by);
	for (const struct shaping_rule *r = layer->rules; r != NULL && err == ERR_OK; r = r->next)
		err = format_rule(out, r);
	return err;
}

enum err shaping_format(const struct shaping *shaping, struct buf *out)
{
	static const char *const titles[SHAPING_SOURCES] = { "# From the file.\n", "# Built in.\n" };
	enum err err = ERR_OK;
	bool any_before = false;
	for (enum shaping_source source = 0; source < SHAPING_SOURCES; source++) {
		bool any = false;
		for (const struct shaping_site_rules *s = shaping->sites; s != NULL && err == ERR_OK; s = s->next) {
			if (!s->layers[source].is_there)
				continue;
			if (!any) {
				err = buf_append_cstr(out, any_before ? "\n" : "");
				if (err == ERR_OK)
					err = buf_append_cstr(out, titles[source]);
			}
			any = any_before = true;
			if (err == ERR_OK)
				err = format_site(out, s, source);
		}
	}
	return err;
}
