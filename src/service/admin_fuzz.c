/* Requests from the control socket, against a small store: whatever comes, the laws hold.
 *   - a refused request changes nothing after its rollback, and has a sentence;
 *   - a request that only reads says so, and leaves no effects;
 *   - the answer is one line of JSON that parses. */
#include "service/admin.h"

#include "queue/id.h"
#include "store/directory_store.h"
#include "store/store_schema.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *db;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void set_up(void)
{
	struct queue_recipient recipients[] = {
		{ .index = 0, .address = VIEW("r@d.example"), .due_at_ms = 1000 },
		{ .index = 1,
			.address = VIEW("s@e.example"),
			.due_at_ms = 2000,
			.attempts = 1,
			.last_reply = VIEW("451 x") },
	};
	struct queue_message message = {
		.id = 7000000000000000u,
		.source = VIEW("mx"),
		.reverse_path = VIEW("a@b.example"),
		.head = VIEW("Received: x\r\n"),
		.body = VIEW("Subject: x\r\n\r\nbody\r\n"),
		.recipient_count = 2,
		.recipients = recipients,
	};
	must(db_open("sqlite::memory:", false, DB_SYNC_RELAXED, &db) == ERR_OK);
	must(store_schema_migrate(db, STORE_SCHEMA_MAIN, "memory") == ERR_OK);
	must(db_begin(db) == ERR_OK);
	must(directory_domain_add(db, VIEW("ours.example")) == ERR_OK);
	must(directory_account_add(db, VIEW("joe@ours.example"), VIEW_NONE) == ERR_OK);
	must(directory_alias_add(db, VIEW("info@ours.example"), VIEW("joe@ours.example")) == ERR_OK);
	must(queue_store_put(db, &message) == ERR_OK);
	must(db_commit(db) == ERR_OK);
}

static void check_answer(enum err err, const json_t *result)
{
	struct buf line = { 0 };
	must(admin_format_answer(err, err == ERR_OK ? "" : err_detail(), result, &line) == ERR_OK);
	must(line.len > 0 && view_find(buf_view(&line), '\n') == line.len - 1);
	json_t *answer = json_loadb((const char *)line.ptr, line.len, JSON_ALLOW_NUL, NULL);
	must(json_is_object(answer) && json_is_true(json_object_get(answer, "ok")) == (err == ERR_OK));
	json_decref(answer);
	buf_clear(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct admin_context context = { .now_ms = 5000, .postmaster = "joe@ours.example" };
	if (db == NULL)
		set_up();
	json_t *request = admin_parse_request(view_of(data, size));
	if (request == NULL) {
		must(err_detail()[0] != '\0');
		return 0;
	}
	json_t *result = NULL;
	struct admin_effects effects = { 0 };
	must(db_begin(db) == ERR_OK);
	(void)err_set(ERR_OK, "%s", "");
	enum err err = admin_run(db, &context, request, &result, &effects);
	must(err == ERR_OK ? json_is_object(result) : result == NULL && err_detail()[0] != '\0');
	if (err != ERR_OK || !admin_request_writes(request))
		must(!effects.queue_changed && !effects.directory_changed && effects.spool_count == 0);
	check_answer(err, result);
	/* Every input finds the same store. */
	db_rollback(db);
	admin_effects_clear(&effects);
	json_decref(result);
	json_decref(request);
	return 0;
}
