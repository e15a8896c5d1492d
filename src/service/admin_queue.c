/* Administration of the queue. */
#include "service/admin_private.h"

#include "base/mem.h"
#include "queue/id.h"
#include "smtp/receiver.h"
#include "store/spool.h"

#include <string.h>
#include <unistd.h>

#define LIST_MESSAGES_DEFAULT 100u
#define LIST_MESSAGES_MAX 1000u
#define HEADER_MAX_BYTES (64u * 1024)
#define SHOW_ARENA_BYTES (64u * 1024 * 1024)

static json_t *json_id(uint64_t id)
{
	return json_string(queue_id_format(id).text);
}

static enum err parse_id(struct view text, uint64_t *ret)
{
	if (queue_id_parse(text, ret) == ERR_OK && *ret != 0)
		return ERR_OK;
	struct buf shown = { 0 };
	enum err err = buf_append_escaped(&shown, text, 40);
	if (err == ERR_OK)
		err = err_set(ERR_SYNTAX, "'%s' is no queue id (they look like %s)", buf_cstr(&shown),
			queue_id_format(7000000000000000u).text);
	buf_clear(&shown);
	return err;
}

static json_t *notify_names(unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
		{ SMTP_NOTIFY_NEVER, "never" },
		{ SMTP_NOTIFY_SUCCESS, "success" },
		{ SMTP_NOTIFY_FAILURE, "failure" },
		{ SMTP_NOTIFY_DELAY, "delay" },
	};
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if ((notify & names[i].bit) != 0)
			admin_append(list, json_string(names[i].name));
	return list;
}

static json_t *recipient_json(const struct queue_recipient *recipient)
{
	json_t *made = json_object();
	admin_set(made, "address", admin_json_text(recipient->address));
	if (recipient->original.len > 0)
		admin_set(made, "original", admin_json_text(recipient->original));
	if (recipient->notify != 0)
		admin_set(made, "notify", notify_names(recipient->notify));
	const char *state = recipient->state == QUEUE_HELD ? "held" : recipient->attempts > 0 ? "deferred" : "ready";
	admin_set(made, "state", json_string(state));
	admin_set(made, "attempts", json_integer(recipient->attempts));
	admin_set(made, "due_at_ms", json_integer(recipient->due_at_ms));
	if (recipient->last_attempt_ms != 0)
		admin_set(made, "last_attempt_ms", json_integer(recipient->last_attempt_ms));
	if (recipient->last_reply.len > 0)
		admin_set(made, "last_reply", admin_json_text(recipient->last_reply));
	if (recipient->last_host.len > 0)
		admin_set(made, "last_host", admin_json_text(recipient->last_host));
	return made;
}

static void fill_message(json_t *made, const struct queue_message *message)
{
	admin_set(made, "id", json_id(message->id));
	admin_set(made, "received_at_ms", json_integer(message->received_at_ms));
	admin_set(made, "sender", admin_json_text(message->reverse_path));
	admin_set(made, "size_bytes", json_integer((json_int_t)message->size_bytes));
	admin_set(made, "source", admin_json_text(message->source));
	if (message->account.len > 0)
		admin_set(made, "account", admin_json_text(message->account));
	if (message->client.len > 0)
		admin_set(made, "client", admin_json_text(message->client));
	if (message->envid.len > 0)
		admin_set(made, "envid", admin_json_text(message->envid));
	admin_set(made, "recipients", json_array());
}

static void read_filter(const struct admin_call *call, struct queue_filter *filter)
{
	*filter = (struct queue_filter){
		.recipient_domain = admin_text(call, "domain"),
		.sender = admin_text(call, "sender"),
		.only_held = admin_flag(call, "held"),
		.only_deferred = admin_flag(call, "deferred"),
	};
}

struct list_state {
	json_t *messages;
	json_t *current;
	uint64_t current_id;
};

/* Rows come recipient by recipient, those of one message next to each other. */
static void append_row(void *owner, const struct queue_message *message, const struct queue_recipient *recipient)
{
	struct list_state *state = owner;
	if (state->current == NULL || state->current_id != message->id) {
		state->current = json_object();
		state->current_id = message->id;
		admin_append(state->messages, state->current);
		fill_message(state->current, message);
	}
	admin_append(json_object_get(state->current, "recipients"), recipient_json(recipient));
}

static enum err queue_list(struct admin_call *call)
{
	uint64_t after = 0;
	struct view after_text = admin_text(call, "after");
	if (after_text.len > 0) {
		enum err err = parse_id(after_text, &after);
		if (err != ERR_OK)
			return err;
	}
	json_int_t asked = json_integer_value(json_object_get(call->arguments, "limit"));
	size_t limit = asked == 0           ? LIST_MESSAGES_DEFAULT
		: asked > LIST_MESSAGES_MAX ? LIST_MESSAGES_MAX
					    : (size_t)asked;
	struct queue_filter filter;
	read_filter(call, &filter);
	struct list_state state = { .messages = json_array() };
	admin_set(call->result, "messages", state.messages);
	enum err err = queue_store_list(call->db, &filter, after, limit, append_row, &state);
	bool more = json_array_size(state.messages) >= limit;
	admin_set(call->result, "next", more ? json_id(state.current_id) : json_null());
	return err;
}

/* The first bytes of a spool file; a file that can't be read is simply not shown. */
static enum err read_spool_start(const struct admin_call *call, const char *name, struct buf *out)
{
	int fd;
	uint64_t size;
	if (call->context->data_folder == NULL || spool_open(call->context->data_folder, name, &fd, &size) != ERR_OK)
		return ERR_OK;
	enum err err = buf_reserve(out, HEADER_MAX_BYTES);
	while (err == ERR_OK && out->len < HEADER_MAX_BYTES) {
		ssize_t n = read(fd, out->ptr + out->len, HEADER_MAX_BYTES - out->len);
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	close(fd);
	return err;
}

/* Up to the empty line, at most HEADER_MAX_BYTES. */
static struct view header_of(struct view content)
{
	struct view start = view_sub(content, 0, HEADER_MAX_BYTES);
	if (view_starts_with(start, VIEW("\r\n")))
		return VIEW_NONE;
	const uint8_t *end = start.len > 0 ? memmem(start.ptr, start.len, "\r\n\r\n", 4) : NULL;
	return end != NULL ? view_sub(start, 0, (size_t)(end - start.ptr) + 2) : start;
}

static enum err add_content(struct admin_call *call, uint64_t id)
{
	struct buf head = { 0 };
	struct buf body = { 0 };
	char spool[64] = "";
	enum err err = queue_store_load_content(call->db, id, &head, &body, spool);
	if (err == ERR_OK && spool[0] != '\0')
		err = read_spool_start(call, spool, &body);
	if (err == ERR_OK) {
		admin_set(call->result, "head", admin_json_text(buf_view(&head)));
		admin_set(call->result, "header", admin_json_text(header_of(buf_view(&body))));
	}
	buf_clear(&head);
	buf_clear(&body);
	return err;
}

static enum err queue_show(struct admin_call *call)
{
	uint64_t id;
	enum err err = parse_id(admin_text(call, "id"), &id);
	if (err != ERR_OK)
		return err;
	struct arena arena;
	arena_init(&arena, SHOW_ARENA_BYTES);
	struct queue_message message;
	err = queue_store_load(call->db, id, &arena, &message);
	if (err == ERR_OK) {
		fill_message(call->result, &message);
		json_t *recipients = json_object_get(call->result, "recipients");
		for (size_t i = 0; i < message.recipient_count; i++)
			admin_append(recipients, recipient_json(&message.recipients[i]));
	}
	arena_clear(&arena);
	if (err == ERR_OK)
		err = add_content(call, id);
	if (err == ERR_NOT_FOUND)
		return err_set(err,
			"message %s is not in the queue: it was delivered, returned or removed (see: postrider trace "
			"%s)",
			queue_id_format(id).text, queue_id_format(id).text);
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

static enum err act_on_id(struct admin_call *call, enum queue_action action, struct queue_filter filter,
	struct view text, uint64_t *total)
{
	enum err err = parse_id(text, &filter.message_id);
	if (err != ERR_OK)
		return err;
	bool exists = false;
	struct queue_filter just_id = { .message_id = filter.message_id };
	err = queue_store_list(call->db, &just_id, 0, 1, note_row, &exists);
	if (err != ERR_OK)
		return err;
	if (!exists) {
		admin_append(json_object_get(call->result, "not_found"), json_id(filter.message_id));
		return ERR_OK;
	}
	uint64_t changed = 0;
	err = queue_store_act(call->db, action, &filter, call->context->now_ms, note_spool, call->effects, &changed);
	*total += changed;
	call->effects->messages[call->effects->message_count++] = filter.message_id;
	return err;
}

/* The filter outlives the request in the effects, so its texts are copied there. */
static enum err keep_filter(struct admin_effects *effects, const struct queue_filter *filter)
{
	enum err err = buf_append(&effects->text, filter->recipient_domain);
	if (err == ERR_OK)
		err = buf_append(&effects->text, filter->sender);
	if (err != ERR_OK)
		return err;
	effects->filter = *filter;
	effects->filter.recipient_domain = view_sub(buf_view(&effects->text), 0, filter->recipient_domain.len);
	effects->filter.sender = view_from(buf_view(&effects->text), filter->recipient_domain.len);
	return ERR_OK;
}

static enum err act(struct admin_call *call, enum queue_action action)
{
	struct queue_filter filter;
	read_filter(call, &filter);
	const json_t *ids = json_object_get(call->arguments, "ids");
	size_t id_count = json_array_size(ids);
	bool filtered = filter.recipient_domain.len > 0 || filter.sender.len > 0 || filter.only_held ||
		filter.only_deferred;
	if (id_count == 0 && !filtered && !admin_flag(call, "all"))
		return err_set(ERR_SYNTAX, "say which messages: their ids, a domain, a sender, held ones, or all");
	call->effects->queue_action = action;
	admin_set(call->result, "not_found", json_array());
	uint64_t changed = 0;
	enum err err = keep_filter(call->effects, &filter);
	if (err == ERR_OK && id_count > 0) {
		call->effects->messages = mem_alloc_array(id_count, sizeof call->effects->messages[0]);
		for (size_t i = 0; err == ERR_OK && i < id_count; i++) {
			const json_t *id = json_array_get(ids, i);
			struct view text = view_of(json_string_value(id), json_string_length(id));
			err = act_on_id(call, action, filter, text, &changed);
		}
	} else if (err == ERR_OK) {
		err = queue_store_act(
			call->db, action, &filter, call->context->now_ms, note_spool, call->effects, &changed);
	}
	call->effects->queue_changed = changed > 0;
	admin_set(call->result, "changed", json_integer((json_int_t)changed));
	return err;
}

static enum err queue_retry(struct admin_call *call)
{
	return act(call, QUEUE_RETRY);
}

static enum err queue_hold(struct admin_call *call)
{
	return act(call, QUEUE_HOLD);
}

static enum err queue_release(struct admin_call *call)
{
	return act(call, QUEUE_RELEASE);
}

static enum err queue_remove(struct admin_call *call)
{
	return act(call, QUEUE_REMOVE);
}

static enum err queue_summary(struct admin_call *call)
{
	struct queue_summary summary = { 0 };
	enum err err = queue_store_summarize(call->db, &summary);
	admin_set(call->result, "messages", json_integer((json_int_t)summary.messages));
	admin_set(call->result, "recipients", json_integer((json_int_t)summary.recipients));
	admin_set(call->result, "deferred", json_integer((json_int_t)summary.deferred));
	admin_set(call->result, "held", json_integer((json_int_t)summary.held));
	admin_set(call->result, "bytes", json_integer((json_int_t)summary.bytes));
	admin_set(call->result, "oldest_ms",
		summary.messages > 0 ? json_integer((json_int_t)summary.oldest_ms) : json_null());
	return err;
}

/* clang-format off */
#define FILTER_ARGUMENTS                                                                                               \
	{ "domain", ADMIN_TEXT, false }, { "sender", ADMIN_TEXT, false }, { "held", ADMIN_BOOL, false },               \
		{ "deferred", ADMIN_BOOL, false }
#define ACTION_ARGUMENTS { FILTER_ARGUMENTS, { "ids", ADMIN_TEXTS, false }, { "all", ADMIN_BOOL, false } }
/* clang-format on */

const struct admin_command admin_queue_commands[] = {
	{ "queue.list", false, queue_list,
		{ FILTER_ARGUMENTS, { "after", ADMIN_TEXT, false }, { "limit", ADMIN_COUNT, false } } },
	{ "queue.show", false, queue_show, { { "id", ADMIN_TEXT, true } } },
	{ "queue.retry", true, queue_retry, ACTION_ARGUMENTS },
	{ "queue.hold", true, queue_hold, ACTION_ARGUMENTS },
	{ "queue.release", true, queue_release, ACTION_ARGUMENTS },
	{ "queue.remove", true, queue_remove, ACTION_ARGUMENTS },
	{ "queue.summary", false, queue_summary, { { 0 } } },
};
const size_t admin_queue_command_count = sizeof admin_queue_commands / sizeof admin_queue_commands[0];
