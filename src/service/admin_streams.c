/* What was sent from each egress address. Streams themselves are in the configuration. */
#include "queue/egress.h"
#include "service/admin_private.h"
#include "store/egress_store.h"

#define DAYS_MAX 400

static void add_row(void *owner, struct view egress, int64_t day, uint64_t messages)
{
	json_t *row = json_object();
	admin_set(row, "egress", admin_json_text(egress));
	admin_set(row, "day", json_integer(day));
	admin_set(row, "messages", json_integer((json_int_t)messages));
	admin_append(owner, row);
}

static enum err run_sent(struct admin_call *call)
{
	json_int_t days = 1;
	const json_t *given = json_object_get(call->arguments, "days");
	if (given != NULL)
		days = json_integer_value(given);
	if (days > DAYS_MAX)
		return err_set(ERR_LIMIT, "counts are kept for %d days", DAYS_MAX);
	int64_t today = egress_day(call->context->now_ms);
	json_t *sent = json_array();
	admin_set(call->result, "today", json_integer(today));
	admin_set(call->result, "sent", sent);
	return egress_store_load(call->db, today - days + 1, add_row, sent);
}

const struct admin_command admin_stream_commands[] = {
	{ "stream.sent", ADMIN_READS, run_sent, { { "days", ADMIN_COUNT, false } } },
};
const size_t admin_stream_command_count = sizeof admin_stream_commands / sizeof admin_stream_commands[0];
