/* Suspending the mail to a site or a domain, or that of a stream, and resuming it. */
#include "service/admin_private.h"

#include "config/config.h"
#include "store/suspension_store.h"

static enum err too_many(void)
{
	return err_set(ERR_SYNTAX, "say one of: a site, a domain, a smart host, a stream");
}

/* The one that is named; a domain in the form in which mail to it is queued. */
static enum err read_target(struct admin_call *call, enum suspension_kind *ret_kind, struct buf *name)
{
	static const enum suspension_kind kinds[] = { SUSPENSION_DOMAIN, SUSPENSION_SITE, SUSPENSION_SMARTHOST,
		SUSPENSION_STREAM };
	size_t given = 0;
	struct view text = VIEW_NONE;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct view one = admin_text(call, suspension_kind_name(kinds[i]));
		if (one.len == 0)
			continue;
		given++;
		text = one;
		*ret_kind = kinds[i];
	}
	if (given != 1)
		return too_many();
	return *ret_kind == SUSPENSION_DOMAIN ? admin_normalise_domain(text, name) : buf_append(name, text);
}

static json_t *suspension_json(enum suspension_kind kind, struct view name)
{
	json_t *made = json_object();
	admin_set(made, "kind", json_string(suspension_kind_name(kind)));
	admin_set(made, "name", admin_json_text(name));
	return made;
}

static void add_terms(json_t *made, const struct suspension *suspension)
{
	admin_set(made, "until_ms", suspension->until_ms != 0 ? json_integer(suspension->until_ms) : json_null());
	admin_set(made, "reason", admin_json_text(suspension->reason));
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

static enum err queue_suspend(struct admin_call *call)
{
	struct buf name = { 0 };
	struct suspension suspension = { .reason = admin_text(call, "reason") };
	json_int_t for_ms = json_integer_value(json_object_get(call->arguments, "for_ms"));
	enum err err = read_target(call, &suspension.kind, &name);
	suspension.name = buf_view(&name);
	if (err == ERR_OK && !is_text_line(suspension.reason))
		err = err_set(ERR_SYNTAX, "the reason must be one line of text");
	if (err == ERR_OK)
		err = check_section(call->context->config, suspension.kind, suspension.name);
	if (err == ERR_OK && for_ms > INT64_MAX - call->context->now_ms)
		err = err_set(ERR_SYNTAX, "that time is too long: leave it out to suspend until it is resumed");
	if (err == ERR_OK && for_ms > 0)
		suspension.until_ms = call->context->now_ms + for_ms;
	if (err == ERR_OK)
		err = suspension_store_tidy(call->db, call->context->now_ms);
	if (err == ERR_OK)
		err = suspension_store_set(call->db, &suspension);
	if (err == ERR_OK) {
		json_t *made = suspension_json(suspension.kind, suspension.name);
		add_terms(made, &suspension);
		json_object_update(call->result, made);
		json_decref(made);
		call->effects->queue_changed = true;
	}
	buf_clear(&name);
	return err;
}

/* It has no say in what is due when: whoever asks has what waits for it tried at once (queue.retry, suspended: true). */
static enum err queue_resume(struct admin_call *call)
{
	struct buf name = { 0 };
	enum suspension_kind kind = SUSPENSION_DOMAIN;
	bool was_there = false;
	enum err err = read_target(call, &kind, &name);
	if (err == ERR_OK)
		err = suspension_store_remove(call->db, kind, buf_view(&name), &was_there);
	if (err == ERR_OK)
		err = suspension_store_tidy(call->db, call->context->now_ms);
	if (err == ERR_OK) {
		json_t *made = suspension_json(kind, buf_view(&name));
		json_object_update(call->result, made);
		json_decref(made);
		admin_set(call->result, "was_suspended", json_boolean(was_there));
		call->effects->queue_changed = was_there;
	}
	buf_clear(&name);
	return err;
}

static enum err queue_suspensions(struct admin_call *call)
{
	struct arena arena;
	arena_init(&arena, SUSPENSION_ARENA_BYTES);
	struct suspension *found = NULL;
	size_t count = 0;
	enum err err = suspension_store_list(call->db, call->context->now_ms, &arena, &found, &count);
	json_t *list = json_array();
	admin_set(call->result, "suspensions", list);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		json_t *made = suspension_json(found[i].kind, found[i].name);
		add_terms(made, &found[i]);
		admin_append(list, made);
	}
	arena_clear(&arena);
	return err;
}

/* A running server adds what it is doing (admin_live.c); a store without one has no answer. */
static enum err queue_live(struct admin_call *call)
{
	if (!call->context->is_running)
		return err_set(ERR_STATE,
			"the server is not running: there is nothing to watch (postrider queue list shows what waits)");
	return queue_suspensions(call);
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
	{ "queue.suspensions", false, queue_suspensions, { { 0 } } },
	{ "queue.live", false, queue_live, { { 0 } } },
};
const size_t admin_suspend_command_count = sizeof admin_suspend_commands / sizeof admin_suspend_commands[0];
