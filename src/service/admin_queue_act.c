/* Changing what waits in the queue. Each request is one transaction; a long queue is worked through in bites that queue.find gives. */
#include "service/admin_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "queue/id.h"

#include <string.h>

#define FIND_ROWS 50000u
#define FIND_IDS_MAX 2000u
#define REASON_MAX_BYTES 400u

static enum err queue_find(struct admin_call *call)
{
	struct queue_filter filter = admin_filter(call);
	struct view after_text = admin_text(call, "after");
	uint64_t after = 0;
	if (after_text.len > 0) {
		enum err err = admin_parse_id(after_text, &after);
		if (err != ERR_OK)
			return err;
	}
	uint64_t *ids = mem_alloc_array(FIND_IDS_MAX, sizeof *ids);
	struct queue_found found = { 0 };
	enum err err = queue_store_find(call->db, &filter, after, FIND_ROWS, FIND_IDS_MAX, ids, &found);
	json_t *list = json_array();
	admin_set(call->result, "ids", list);
	for (size_t i = 0; err == ERR_OK && i < found.count; i++)
		admin_append(list, admin_json_id(ids[i]));
	admin_set(call->result, "looked_at", json_integer((json_int_t)found.looked_at));
	admin_set(call->result, "next", found.next_id != 0 ? admin_json_id(found.next_id) : json_null());
	mem_free(ids);
	return err;
}

static void note_spool(void *owner, const char *spool)
{
	struct admin_effects *effects = owner;
	effects->spools = mem_resize(effects->spools, (effects->spool_count + 1) * sizeof effects->spools[0]);
	struct admin_spool_name *name = &effects->spools[effects->spool_count++];
	snprintf(name->name, sizeof name->name, "%s", spool);
}

static void note_row(void *owner, const struct queue_message *message, const struct queue_recipient *recipient)
{
	(void)message;
	(void)recipient;
	*(bool *)owner = true;
}

static enum err act_on_id(struct admin_call *call, const struct queue_change *change, struct queue_filter filter,
	struct view text, uint64_t *total)
{
	enum err err = admin_parse_id(text, &filter.message_id);
	if (err != ERR_OK)
		return err;
	uint64_t changed = 0;
	err = queue_store_change(call->db, change, &filter, note_spool, call->effects, &changed);
	if (err != ERR_OK)
		return err;
	if (changed > 0) {
		*total += changed;
		call->effects->messages[call->effects->message_count++] = (struct admin_changed){ filter.message_id,
			changed };
		return ERR_OK;
	}
	bool exists = false;
	struct queue_filter just_id = { .message_id = filter.message_id };
	err = queue_store_list(call->db, &just_id, 0, 1, note_row, &exists);
	if (err == ERR_OK && !exists)
		admin_append(json_object_get(call->result, "not_found"), admin_json_id(filter.message_id));
	return err;
}

/* Without ids: everything that the filter selects, one bite of ids after the other, so that the trace hears of each message. */
static enum err act_on_all(
	struct admin_call *call, const struct queue_change *change, const struct queue_filter *filter, uint64_t *total)
{
	struct admin_effects *effects = call->effects;
	uint64_t *ids = mem_alloc_array(FIND_IDS_MAX, sizeof *ids);
	struct queue_found found = { 0 };
	enum err err = ERR_OK;
	do {
		err = queue_store_find(call->db, filter, found.next_id, FIND_ROWS, FIND_IDS_MAX, ids, &found);
		if (err != ERR_OK)
			break;
		effects->messages = mem_resize(
			effects->messages, (effects->message_count + found.count + 1) * sizeof effects->messages[0]);
		for (size_t i = 0; i < found.count && err == ERR_OK; i++) {
			struct queue_filter one = *filter;
			one.message_id = ids[i];
			uint64_t changed = 0;
			err = queue_store_change(call->db, change, &one, note_spool, effects, &changed);
			*total += changed;
			if (err == ERR_OK && changed > 0)
				effects->messages[effects->message_count++] = (struct admin_changed){ ids[i], changed };
		}
	} while (err == ERR_OK && found.next_id != 0);
	mem_free(ids);
	return err;
}

static enum err act(struct admin_call *call, const struct queue_change *change, const char *event)
{
	struct queue_filter filter = admin_filter(call);
	const json_t *ids = json_object_get(call->arguments, "ids");
	size_t id_count = json_array_size(ids);
	if (id_count == 0 && admin_filter_is_empty(&filter) && !admin_flag(call, "all"))
		return err_set(ERR_SYNTAX,
			"say which messages: their ids, a domain, site, sender or stream, held, deferred or suspended "
			"ones, or "
			"all");
	admin_set(call->result, "not_found", json_array());
	if (admin_flag(call, "check")) {
		admin_set(call->result, "changed", json_integer(0));
		return ERR_OK;
	}
	call->effects->event = event;
	uint64_t changed = 0;
	enum err err = ERR_OK;
	if (id_count > 0)
		call->effects->messages = mem_alloc_array(id_count, sizeof call->effects->messages[0]);
	for (size_t i = 0; err == ERR_OK && i < id_count; i++) {
		const json_t *id = json_array_get(ids, i);
		struct view text = view_of(json_string_value(id), json_string_length(id));
		err = act_on_id(call, change, filter, text, &changed);
	}
	if (err == ERR_OK && id_count == 0)
		err = act_on_all(call, change, &filter, &changed);
	call->effects->queue_changed = changed > 0;
	admin_set(call->result, "changed", json_integer((json_int_t)changed));
	return err;
}

static enum err queue_retry(struct admin_call *call)
{
	/* The end of a suspension, or of a pause of the whole queue, is not the release that its sender asked for (RFC 4865). */
	bool stands = admin_flag(call, "unreleased") || admin_text(call, "suspended_by").len > 0;
	enum queue_action action = stands ? QUEUE_TRY : QUEUE_RETRY;
	return act(call, &(struct queue_change){ .action = action, .now_ms = call->context->now_ms }, NULL);
}

static enum err queue_hold(struct admin_call *call)
{
	return act(call, &(struct queue_change){ .action = QUEUE_HOLD }, "held");
}

static enum err queue_release(struct admin_call *call)
{
	return act(
		call, &(struct queue_change){ .action = QUEUE_RELEASE, .now_ms = call->context->now_ms }, "released");
}

static enum err queue_remove(struct admin_call *call)
{
	return act(call, &(struct queue_change){ .action = QUEUE_REMOVE }, "removed");
}

/* What goes into a reply must be one line of text that any mail program shows (RFC 5321 §4.2). */
static enum err check_reason(struct view reason)
{
	for (size_t i = 0; i < reason.len; i++)
		if (reason.ptr[i] < ' ' || reason.ptr[i] >= 0x7f)
			return err_set(
				ERR_SYNTAX, "the reason must be one line of plain (ASCII) text: senders read it");
	if (reason.len > REASON_MAX_BYTES)
		return err_set(ERR_LIMIT, "the reason is longer than %u characters", REASON_MAX_BYTES);
	return ERR_OK;
}

static enum err queue_bounce(struct admin_call *call)
{
	struct view reason = admin_text(call, "reason");
	enum err err = check_reason(reason);
	if (err != ERR_OK)
		return err;
	struct buf reply = { 0 };
	err = buf_append_format(&reply, "554 5.0.0 Returned by the administrator: %.*s", VIEW_ARG(reason));
	if (err == ERR_OK) {
		struct log_field field = LOG_TEXT("reason", reason);
		log_format_fields(&call->effects->event_fields, 1, &field);
		struct queue_change change = {
			.action = QUEUE_BOUNCE, .now_ms = call->context->now_ms, .reply = buf_view(&reply)
		};
		err = act(call, &change, "returning");
	}
	buf_clear(&reply);
	return err;
}

static bool has_stream(const struct config *config, struct view name)
{
	for (size_t i = 0; i < config->stream_count; i++)
		if (view_eq(view_from_cstr(config->streams[i].name), name))
			return true;
	return false;
}

static bool has_smarthost(const struct config *config, struct view name)
{
	for (size_t i = 0; i < config->smarthost_count; i++)
		if (view_eq(view_from_cstr(config->smarthosts[i].name), name))
			return true;
	return false;
}

/* A name of the configuration, or "none". */
static enum err check_target(const struct config *config, const char *kind,
	bool (*has)(const struct config *config, struct view name), struct view *name)
{
	if (view_eq(*name, VIEW("none"))) {
		*name = VIEW_NONE;
		return ERR_OK;
	}
	if (config == NULL || name->len == 0 || has(config, *name))
		return ERR_OK;
	struct buf shown = { 0 };
	enum err err = buf_append_escaped(&shown, *name, 60);
	if (err == ERR_OK)
		err = err_set(ERR_NOT_FOUND, "the configuration has no %s '%s'", kind, buf_cstr(&shown));
	buf_clear(&shown);
	return err;
}

static enum err queue_rebind(struct admin_call *call)
{
	struct view stream = admin_text(call, "to_stream"), smarthost = admin_text(call, "to_smarthost");
	struct queue_change change = {
		.action = QUEUE_REBIND,
		.now_ms = call->context->now_ms,
		.set_stream = stream.len > 0,
		.set_smarthost = smarthost.len > 0,
	};
	if (!change.set_stream && !change.set_smarthost)
		return err_set(ERR_SYNTAX, "say where to: a stream, a smart host, or both");
	struct log_field fields[] = { LOG_TEXT("stream", stream), LOG_TEXT("smarthost", smarthost) };
	enum err err = check_target(call->context->config, "stream", has_stream, &stream);
	if (err == ERR_OK)
		err = check_target(call->context->config, "smart host", has_smarthost, &smarthost);
	if (err != ERR_OK)
		return err;
	change.stream = stream;
	change.smarthost = smarthost;
	log_format_fields(&call->effects->event_fields, 2, fields);
	return act(call, &change, "rebound");
}

/* clang-format off */
#define SELECTION ADMIN_FILTER_ARGUMENTS, { "ids", ADMIN_TEXTS, false }, { "all", ADMIN_BOOL, false }, { "check", ADMIN_BOOL, false }
/* clang-format on */

const struct admin_command admin_queue_act_commands[] = {
	{ "queue.find", ADMIN_SCANS, queue_find, { ADMIN_FILTER_ARGUMENTS, { "after", ADMIN_TEXT, false } } },
	{ "queue.retry", true, queue_retry, { SELECTION, { "unreleased", ADMIN_BOOL, false } } },
	{ "queue.hold", true, queue_hold, { SELECTION } },
	{ "queue.release", true, queue_release, { SELECTION } },
	{ "queue.remove", true, queue_remove, { SELECTION } },
	{ "queue.bounce", true, queue_bounce, { SELECTION, { "reason", ADMIN_TEXT, true } } },
	{ "queue.rebind", true, queue_rebind,
		{ SELECTION, { "to_stream", ADMIN_TEXT, false }, { "to_smarthost", ADMIN_TEXT, false } } },
};
const size_t admin_queue_act_command_count = sizeof admin_queue_act_commands / sizeof admin_queue_act_commands[0];
