/* Looking at the queue: lists, single messages, summaries. */
#include "service/admin_private.h"

#include "queue/id.h"
#include "smtp/receiver.h"
#include "store/queue_summary.h"
#include "store/spool.h"

#include <string.h>
#include <unistd.h>

#define LIST_MESSAGES_DEFAULT 100u
#define LIST_MESSAGES_MAX 1000u
#define TOP_MAX 100u
/* A bite of the summary is a transaction: short ones let the log be cleared meanwhile. */
#define TALLY_BITE_ROWS 50000
#define HEADER_MAX_BYTES (64u * 1024)
#define SHOW_ARENA_BYTES (64u * 1024 * 1024)

json_t *admin_json_id(uint64_t id)
{
	return json_string(queue_id_format(id).text);
}

enum err admin_parse_id(struct view text, uint64_t *ret)
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
	if (recipient->stream.len > 0)
		admin_set(made, "stream", admin_json_text(recipient->stream));
	if (recipient->smarthost.len > 0)
		admin_set(made, "smarthost", admin_json_text(recipient->smarthost));
	if (recipient->priority != 0)
		admin_set(made, "priority", json_integer(recipient->priority));
	if (recipient->deliver_by_ms != 0)
		admin_set(made, "deliver_by_ms", json_integer(recipient->deliver_by_ms));
	if ((recipient->flags & QUEUE_RETURN) != 0)
		admin_set(made, "returning", json_true());
	return made;
}

static void fill_message(json_t *made, const struct queue_message *message)
{
	admin_set(made, "id", admin_json_id(message->id));
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

struct queue_filter admin_filter(const struct admin_call *call)
{
	return (struct queue_filter){
		.recipient_domain = admin_text(call, "domain"),
		.sender = admin_text(call, "sender"),
		.site = admin_text(call, "site"),
		.sites = call->context->sites,
		.stream = admin_text(call, "stream"),
		.only_held = admin_flag(call, "held"),
		.only_deferred = admin_flag(call, "deferred"),
		.only_suspended = admin_flag(call, "suspended"),
		.suspended_by = admin_text(call, "suspended_by"),
	};
}

bool admin_filter_is_empty(const struct queue_filter *filter)
{
	return filter->recipient_domain.len == 0 && filter->sender.len == 0 && filter->site.len == 0 &&
		filter->stream.len == 0 && !filter->only_held && !filter->only_deferred && !filter->only_suspended &&
		filter->suspended_by.len == 0;
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
		enum err err = admin_parse_id(after_text, &after);
		if (err != ERR_OK)
			return err;
	}
	json_int_t asked = json_integer_value(json_object_get(call->arguments, "limit"));
	size_t limit = asked == 0           ? LIST_MESSAGES_DEFAULT
		: asked > LIST_MESSAGES_MAX ? LIST_MESSAGES_MAX
					    : (size_t)asked;
	struct queue_filter filter = admin_filter(call);
	struct list_state state = { .messages = json_array() };
	admin_set(call->result, "messages", state.messages);
	enum err err = queue_store_list(call->db, &filter, after, limit, append_row, &state);
	bool more = json_array_size(state.messages) >= limit;
	admin_set(call->result, "next", more ? admin_json_id(state.current_id) : json_null());
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
	enum err err = admin_parse_id(admin_text(call, "id"), &id);
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

static const struct {
	const char *name;
	enum queue_grouping grouping;
} groupings[] = {
	{ "domains", QUEUE_BY_DOMAIN },
	{ "sites", QUEUE_BY_SITE },
	{ "streams", QUEUE_BY_STREAM },
	{ "replies", QUEUE_BY_REPLY },
};

static enum err add_groups(struct admin_call *call, struct queue_tally *tally, size_t room)
{
	struct queue_group groups[TOP_MAX];
	enum err err = ERR_OK;
	for (size_t i = 0; i < sizeof groupings / sizeof groupings[0] && err == ERR_OK; i++) {
		size_t count = 0;
		bool exact = true;
		err = queue_tally_top(tally, call->db, groupings[i].grouping, room, groups, &count, &exact);
		if (err != ERR_OK)
			break;
		json_t *made = json_object(), *list = json_array();
		admin_set(call->result, groupings[i].name, made);
		admin_set(made, "exact", json_boolean(exact));
		admin_set(made, "groups", list);
		for (size_t n = 0; n < count; n++) {
			json_t *group = json_object();
			admin_append(list, group);
			admin_set(group, "name", admin_json_text(groups[n].name));
			admin_set(group, "recipients", json_integer((json_int_t)groups[n].recipients));
		}
	}
	return err;
}

static void add_ages(json_t *result, const struct queue_summary *sum)
{
	json_t *ages = json_array();
	admin_set(result, "ages", ages);
	for (size_t i = 0; i < QUEUE_AGES; i++) {
		json_t *age = json_object();
		admin_append(ages, age);
		admin_set(age, "below_ms", i < QUEUE_AGES - 1 ? json_integer(queue_summary_age_ms[i]) : json_null());
		admin_set(age, "recipients", json_integer((json_int_t)sum->by_age[i]));
	}
}

static void add_totals(json_t *result, const struct queue_summary *sum)
{
	const struct {
		const char *name;
		uint64_t value;
	} totals[] = {
		{ "messages", sum->messages },
		{ "recipients", sum->recipients },
		{ "deferred", sum->deferred },
		{ "held", sum->held },
		{ "suspended", sum->suspended },
		{ "returning", sum->returning },
		{ "bytes", sum->bytes },
	};
	for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
		admin_set(result, totals[i].name, json_integer((json_int_t)totals[i].value));
	admin_set(result, "oldest_ms", sum->messages > 0 ? json_integer((json_int_t)sum->oldest_ms) : json_null());
	admin_set(result, "complete", json_boolean(sum->complete));
}

static enum err queue_summary(struct admin_call *call)
{
	json_int_t top = json_integer_value(json_object_get(call->arguments, "top"));
	json_int_t most = json_integer_value(json_object_get(call->arguments, "recipients_max"));
	struct queue_filter filter = admin_filter(call);
	struct queue_tally *tally = queue_tally_new(&filter, call->context->now_ms);
	const struct queue_summary *sum = queue_tally_summary(tally);
	size_t bite = most > 0 && most < TALLY_BITE_ROWS ? (size_t)most : TALLY_BITE_ROWS;
	bool more = most > 0;
	enum err err = most > 0 ? ERR_OK : queue_tally_read_all(tally, call->db);
	while (err == ERR_OK && more && sum->recipients < (uint64_t)most)
		err = queue_tally_read(tally, call->db, bite, &more);
	if (err == ERR_OK && top > 0)
		err = add_groups(call, tally, top < TOP_MAX ? (size_t)top : TOP_MAX);
	if (err == ERR_OK && top > 0)
		err = admin_add_suspensions(call);
	if (err == ERR_OK) {
		add_totals(call->result, sum);
		add_ages(call->result, sum);
	}
	queue_tally_free(tally);
	return err;
}

const struct admin_command admin_queue_commands[] = {
	{ "queue.list", ADMIN_SCANS, queue_list,
		{ ADMIN_FILTER_ARGUMENTS, { "after", ADMIN_TEXT, false }, { "limit", ADMIN_COUNT, false } } },
	{ "queue.show", false, queue_show, { { "id", ADMIN_TEXT, true } } },
	{ "queue.summary", ADMIN_SCANS, queue_summary,
		{ ADMIN_FILTER_ARGUMENTS, { "top", ADMIN_COUNT, false }, { "recipients_max", ADMIN_COUNT, false } } },
};
const size_t admin_queue_command_count = sizeof admin_queue_commands / sizeof admin_queue_commands[0];
