/* Suspending the mail to a site or a domain, or that of a stream, and resuming it. */
#include "service/admin_private.h"

#include "config/config.h"
#include "store/suspension_store.h"

struct target {
	enum suspension_kind kind;
	struct buf name;
	struct view stream; /* of a site; borrowed from the request */
};

static void target_clear(struct target *target)
{
	buf_clear(&target->name);
}

/* The one that is named, or a stream at a site; a domain in the form in which mail to it is queued. */
static enum err read_target(struct admin_call *call, struct target *ret)
{
	static const enum suspension_kind kinds[] = { SUSPENSION_DOMAIN, SUSPENSION_SITE, SUSPENSION_SMARTHOST,
		SUSPENSION_STREAM };
	size_t given = 0;
	struct view text = VIEW_NONE, site = admin_text(call, "site"), stream = admin_text(call, "stream");
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct view one = admin_text(call, suspension_kind_name(kinds[i]));
		if (one.len == 0)
			continue;
		given++;
		text = one;
		ret->kind = kinds[i];
	}
	if (given == 2 && site.len > 0 && stream.len > 0) {
		ret->kind = SUSPENSION_SITE;
		ret->stream = stream;
		text = site;
	} else if (given != 1) {
		return err_set(ERR_SYNTAX, "say one of: a site, a domain, a smart host, a stream");
	}
	return ret->kind == SUSPENSION_DOMAIN ? admin_normalise_domain(text, &ret->name) : buf_append(&ret->name, text);
}

/* As the places where mail waits are called in `queue watch`: nobody's site. */
static enum err refuse_at(enum err err)
{
	return err_set(
		err, "no site has an '@' in its name: for the mail of one stream to a site, give both their names");
}

static bool has_at(const struct target *target)
{
	struct view name = buf_view(&target->name);
	return target->kind == SUSPENSION_SITE && view_find(name, '@') < name.len;
}

static void add_name(json_t *made, enum suspension_kind kind, struct view name, struct view stream)
{
	admin_set(made, "kind", json_string(suspension_kind_name(kind)));
	admin_set(made, "name", admin_json_text(name));
	if (stream.len > 0)
		admin_set(made, "stream", admin_json_text(stream));
}

static void add_suspension(json_t *made, const struct suspension *suspension)
{
	add_name(made, suspension->kind, suspension->name, suspension->stream);
	admin_set(made, "source", json_string(suspension_source_name(suspension->source)));
	admin_set(made, "until_ms", suspension->until_ms != 0 ? json_integer(suspension->until_ms) : json_null());
	admin_set(made, "reason", admin_json_text(suspension->reason));
}

static void append_suspension(json_t *list, const struct suspension *suspension)
{
	json_t *made = json_object();
	add_suspension(made, suspension);
	admin_append(list, made);
}

static bool is_text_line(struct view text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return true;
}

/* Streams and smart hosts are sections of the configuration. */
static enum err check_section(const struct config *config, enum suspension_kind kind, struct view name)
{
	if (config == NULL || kind == SUSPENSION_DOMAIN || kind == SUSPENSION_SITE)
		return ERR_OK;
	for (size_t i = 0; kind == SUSPENSION_STREAM && i < config->stream_count; i++)
		if (view_eq_nocase(view_from_cstr(config->streams[i].name), name))
			return ERR_OK;
	for (size_t i = 0; kind == SUSPENSION_SMARTHOST && i < config->smarthost_count; i++)
		if (view_eq_nocase(view_from_cstr(config->smarthosts[i].name), name))
			return ERR_OK;
	struct buf shown = { 0 };
	enum err err = buf_append_escaped(&shown, name, 60);
	if (err == ERR_OK)
		err = err_set(ERR_NOT_FOUND, "the configuration has no %s '%s'", suspension_kind_name(kind),
			buf_cstr(&shown));
	buf_clear(&shown);
	return err;
}

/* What is named must be something that mail can go to. */
static enum err check_target(struct admin_call *call, const struct target *target)
{
	const struct config *config = call->context->config;
	enum err err = has_at(target) ? refuse_at(ERR_SYNTAX) : ERR_OK;
	if (err == ERR_OK)
		err = check_section(config, target->kind, buf_view(&target->name));
	if (err == ERR_OK && target->stream.len > 0)
		err = check_section(config, SUSPENSION_STREAM, target->stream);
	return err;
}

static enum err queue_suspend(struct admin_call *call)
{
	struct target target = { 0 };
	struct suspension suspension = { .reason = admin_text(call, "reason") };
	json_int_t for_ms = json_integer_value(json_object_get(call->arguments, "for_ms"));
	enum err err = read_target(call, &target);
	suspension.kind = target.kind;
	suspension.name = buf_view(&target.name);
	suspension.stream = target.stream;
	if (err == ERR_OK && !is_text_line(suspension.reason))
		err = err_set(ERR_SYNTAX, "the reason must be one line of text");
	if (err == ERR_OK)
		err = check_target(call, &target);
	if (err == ERR_OK && for_ms > INT64_MAX - call->context->now_ms)
		err = err_set(ERR_SYNTAX, "that time is too long: leave it out to suspend until it is resumed");
	if (err == ERR_OK && for_ms > 0)
		suspension.until_ms = call->context->now_ms + for_ms;
	if (err == ERR_OK)
		err = suspension_store_tidy(call->db, call->context->now_ms);
	if (err == ERR_OK)
		err = suspension_store_set(call->db, &suspension);
	if (err == ERR_OK) {
		add_suspension(call->result, &suspension);
		call->effects->queue_changed = call->effects->suspensions_changed = true;
	}
	target_clear(&target);
	return err;
}

/* What still keeps back mail that was resumed: all of its site or stream, or the site that a domain's mail goes to. */
static bool still_holds(const struct suspension *suspension, const struct target *target, struct view site_of_domain)
{
	bool is_site = suspension->kind == SUSPENSION_SITE;
	if (target->kind == SUSPENSION_DOMAIN)
		return is_site && view_eq_nocase(suspension->name, site_of_domain);
	if (target->kind != SUSPENSION_SITE || target->stream.len == 0)
		return false;
	return suspension->kind == SUSPENSION_STREAM ? view_eq_nocase(suspension->name, target->stream)
		: is_site ? suspension->source == SUSPENSION_BY_OPERATOR && suspension->stream.len == 0 &&
			view_eq_nocase(suspension->name, buf_view(&target->name))
			  : false;
}

static enum err add_remaining(struct admin_call *call, const struct target *target, struct arena *arena)
{
	struct buf site = { 0 };
	struct suspension *found = NULL;
	size_t count = 0;
	enum err err = ERR_OK;
	if (target->kind == SUSPENSION_DOMAIN)
		err = queue_store_find_site(call->db, call->context->sites, buf_view(&target->name), &site);
	if (err == ERR_OK)
		err = suspension_store_list(call->db, call->context->now_ms, arena, &found, &count);
	json_t *remaining = json_array();
	admin_set(call->result, "remaining", remaining);
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		if (still_holds(&found[i], target, buf_view(&site)))
			append_suspension(remaining, &found[i]);
	buf_clear(&site);
	return err;
}

/* It has no say in what is due when: whoever asks has what waits for it tried at once (queue.retry, suspended_by). */
static enum err queue_resume(struct admin_call *call)
{
	struct target target = { 0 };
	struct suspension *lifted = NULL;
	size_t count = 0;
	struct arena arena, all;
	arena_init(&arena, SUSPENSION_ARENA_BYTES);
	arena_init(&all, SUSPENSION_ARENA_BYTES);
	enum err err = read_target(call, &target);
	if (err == ERR_OK)
		err = suspension_store_lift(call->db, target.kind, buf_view(&target.name), target.stream,
			call->context->now_ms, &arena, &lifted, &count);
	if (err == ERR_OK && count == 0 && has_at(&target))
		err = refuse_at(ERR_NOT_FOUND);
	if (err == ERR_OK)
		err = suspension_store_tidy(call->db, call->context->now_ms);
	if (err == ERR_OK)
		err = add_remaining(call, &target, &all);
	if (err == ERR_OK) {
		json_t *list = json_array();
		add_name(call->result, target.kind, buf_view(&target.name), target.stream);
		admin_set(call->result, "was_suspended", json_boolean(count > 0));
		admin_set(call->result, "lifted", list);
		for (size_t i = 0; i < count; i++)
			append_suspension(list, &lifted[i]);
		call->effects->queue_changed = call->effects->suspensions_changed = count > 0;
	}
	arena_clear(&arena);
	arena_clear(&all);
	target_clear(&target);
	return err;
}

enum err admin_add_suspensions(struct admin_call *call)
{
	struct arena arena;
	arena_init(&arena, SUSPENSION_ARENA_BYTES);
	struct suspension *found = NULL;
	size_t count = 0;
	enum err err = suspension_store_list(call->db, call->context->now_ms, &arena, &found, &count);
	json_t *list = json_array();
	admin_set(call->result, "suspensions", list);
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		append_suspension(list, &found[i]);
	arena_clear(&arena);
	return err;
}

/* A running server adds what it is doing (admin_live.c); a store without one has no answer. */
static enum err queue_live(struct admin_call *call)
{
	if (!call->context->is_running)
		return err_set(ERR_STATE,
			"the server is not running: there is nothing to watch (postrider queue list shows what waits)");
	return admin_add_suspensions(call);
}

/* clang-format off */
#define TARGET                                                                                                         \
	{ "site", ADMIN_TEXT, false }, { "domain", ADMIN_TEXT, false }, { "smarthost", ADMIN_TEXT, false },            \
		{ "stream", ADMIN_TEXT, false }
/* clang-format on */

const struct admin_command admin_suspend_commands[] = {
	{ "queue.suspend", true, queue_suspend,
		{ TARGET, { "for_ms", ADMIN_COUNT, false }, { "reason", ADMIN_TEXT, false } } },
	{ "queue.resume", true, queue_resume, { TARGET } },
	{ "queue.suspensions", false, admin_add_suspensions, { { 0 } } },
	{ "queue.live", false, queue_live, { { 0 } } },
};
const size_t admin_suspend_command_count = sizeof admin_suspend_commands / sizeof admin_suspend_commands[0];
