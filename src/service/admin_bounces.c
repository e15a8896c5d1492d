/* What is known of recipients that bounced. */
#include "service/admin_private.h"
#include "store/bounce_store.h"

#define LIST_MAX 1000

static json_t *describe(const struct bounce_record *r)
{
	json_t *row = json_object();
	admin_set(row, "address", admin_json_text(r->address));
	admin_set(row, "hard", json_integer((json_int_t)r->hard));
	admin_set(row, "soft", json_integer((json_int_t)r->soft));
	admin_set(row, "complaints", json_integer((json_int_t)r->complaints));
	admin_set(row, "last_class", admin_json_text(r->last_class));
	admin_set(row, "last_text", admin_json_text(r->last_text));
	admin_set(row, "last_ms", json_integer(r->last_ms));
	return row;
}

static void add_row(void *owner, const struct bounce_record *record)
{
	admin_append(owner, describe(record));
}

/* A page: those behind `after`; as many as `limit` means that there may be more. */
static enum err run_list(struct admin_call *call)
{
	json_int_t limit = LIST_MAX;
	const json_t *given = json_object_get(call->arguments, "limit");
	if (given != NULL && json_integer_value(given) < limit)
		limit = json_integer_value(given);
	json_t *rows = json_array();
	admin_set(call->result, "bounces", rows);
	return bounce_store_list(
		call->db, admin_flag(call, "hard"), admin_text(call, "after"), (size_t)limit, add_row, rows);
}

static void set_row(void *owner, const struct bounce_record *record)
{
	admin_set(owner, "bounce", describe(record));
}

static enum err run_show(struct admin_call *call)
{
	struct view address = admin_text(call, "address");
	enum err err = bounce_store_find(call->db, address, set_row, call->result);
	if (err == ERR_NOT_FOUND)
		return err_set(ERR_NOT_FOUND, "no bounce of %.*s is known", VIEW_ARG(view_sub(address, 0, 200)));
	return err;
}

static enum err run_forget(struct admin_call *call)
{
	struct view address = admin_text(call, "address");
	uint64_t removed = 0;
	enum err err = bounce_store_forget(call->db, address, &removed);
	if (err == ERR_OK && removed == 0)
		return err_set(ERR_NOT_FOUND, "no bounce of %.*s is known", VIEW_ARG(view_sub(address, 0, 200)));
	return err;
}

const struct admin_command admin_bounce_commands[] = {
	{ "bounces.list", ADMIN_READS, run_list,
		{ { "after", ADMIN_TEXT, false }, { "limit", ADMIN_COUNT, false }, { "hard", ADMIN_BOOL, false } } },
	{ "bounces.show", ADMIN_READS, run_show, { { "address", ADMIN_TEXT, true } } },
	{ "bounces.forget", ADMIN_WRITES, run_forget, { { "address", ADMIN_TEXT, true } } },
};
const size_t admin_bounce_command_count = sizeof admin_bounce_commands / sizeof admin_bounce_commands[0];
