/*
 * Fills a store with waiting mail, for measures of long queues: messages of one recipient each, put through queue_store_put() in large
 * transactions.
 *   queue_fill FOLDER COUNT deferred|due [body bytes, at least 100]
 * "deferred": tried several times over the last four days, due within the next hours. "due": never tried, of the last hour, due since a minute, all to
 * names under due.example. A third of the deferred ones is for one site, the rest for 50,000 domains. Ids come before any that the clock gives now.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "queue/id.h"
#include "store/queue_store.h"
#include "store/store.h"

#include <string.h>

#define PER_TRANSACTION 20000u
#define DEFERRED_SINCE_MS (4 * 24 * 3600 * 1000ll)
#define DUE_SINCE_MS (3600 * 1000ll)
#define DUE_WITHIN_MS (4 * 3600 * 1000ll)

struct fill {
	struct db *db;
	uint64_t count, made, first_id, id_step;
	bool deferred;
	int64_t now_ms;
	uint64_t random;
	struct view body;
};

static void die(const char *what)
{
	fprintf(stderr, "queue_fill: %s: %s\n", what, err_detail());
	exit(1);
}

/* xorshift64: the same store for the same arguments. */
static uint64_t next_random(struct fill *fill)
{
	fill->random ^= fill->random << 13;
	fill->random ^= fill->random >> 7;
	fill->random ^= fill->random << 17;
	return fill->random;
}

static struct view make_address(struct fill *fill, char text[80])
{
	static const char *const big[] = { "gmail.example", "outlook.example", "yahoo.example" };
	uint64_t user = next_random(fill) % 100000000, dice = next_random(fill) % 90;
	if (!fill->deferred)
		snprintf(text, 80, "user%llu@d%llu.due.example", (unsigned long long)user,
			(unsigned long long)(fill->made % 100));
	else if (dice < 30)
		snprintf(text, 80, "user%llu@%s", (unsigned long long)user, big[dice / 10]);
	else
		snprintf(text, 80, "user%llu@company%llu.example", (unsigned long long)user,
			(unsigned long long)(next_random(fill) % 50000));
	return view_from_cstr(text);
}

static struct view make_reply(struct fill *fill, char text[160])
{
	static const char *const replies[] = {
		"451 4.7.1 Greylisted, please try again; session",
		"452 4.2.2 The mailbox is over its quota; id",
		"421 4.7.28 Our system has detected an unusual rate of mail from your address; see",
		"451 4.4.1 The connection to the server timed out after",
		"450 4.1.8 Sender address rejected: domain not found; session",
	};
	uint64_t dice = next_random(fill);
	snprintf(text, 160, "%s %llu", replies[dice % 5], (unsigned long long)(dice >> 32));
	return view_from_cstr(text);
}

static enum err put_one(struct fill *fill)
{
	static const char received[] =
		"Received: from client.example (client.example [192.0.2.1])\r\n\tby mx.origin.example with "
		"ESMTP id 0123456789abc;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n";
	struct view head = view_of(received, sizeof received - 1);
	char address[80], reply[160];
	uint64_t id = fill->first_id + fill->made * fill->id_step;
	struct queue_recipient r = { .address = make_address(fill, address), .due_at_ms = fill->now_ms - 60000 };
	if (fill->deferred) {
		r.attempts = 1 + (uint32_t)(next_random(fill) % 20);
		r.due_at_ms = fill->now_ms + (int64_t)(next_random(fill) % DUE_WITHIN_MS) + 600000;
		r.last_attempt_ms = fill->now_ms - (int64_t)(next_random(fill) % DUE_WITHIN_MS);
		r.last_reply = make_reply(fill, reply);
		r.last_host = VIEW("mx1.somewhere.example[192.0.2.77]");
		r.stream = next_random(fill) % 4 == 0 ? VIEW("shop") : VIEW_NONE;
	}
	struct queue_message message = { .id = id,
		.received_at_ms = (int64_t)(id / 4096),
		.reverse_path = VIEW("sender@origin.example"),
		.client = VIEW("192.0.2.1"),
		.source = VIEW("mx"),
		.size_bytes = head.len + fill->body.len,
		.head = head,
		.body = fill->body,
		.recipient_count = 1,
		.recipients = &r };
	return queue_store_put(fill->db, &message);
}

static enum err fill_all(struct fill *fill)
{
	enum err err = ERR_OK;
	while (err == ERR_OK && fill->made < fill->count) {
		err = db_begin(fill->db);
		for (unsigned i = 0; err == ERR_OK && i < PER_TRANSACTION && fill->made < fill->count; i++) {
			err = put_one(fill);
			fill->made++;
		}
		if (err == ERR_OK)
			err = db_commit(fill->db);
		else
			db_rollback(fill->db);
	}
	return err;
}

static char *make_body(size_t bytes)
{
	static const char start[] = "From: sender@origin.example\r\nSubject: one of many\r\n\r\n";
	char *body = mem_alloc(bytes + sizeof start);
	for (size_t i = 0; i < bytes; i++)
		body[i] = i < sizeof start - 1 ? start[i]
			: i % 78 == 76         ? '\r'
			: i % 78 == 77         ? '\n'
					       : (char)('a' + i % 26);
	memcpy(body + bytes - 2, "\r\n", 2);
	return body;
}

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
	uint64_t value = otherwise;
	if (argc > index && (view_parse_u64(view_from_cstr(argv[index]), 1u << 30, &value) != ERR_OK || value == 0)) {
		fprintf(stderr, "queue_fill: %s is not a number above 0\n", argv[index]);
		exit(1);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct view what = argc > 3 ? view_from_cstr(argv[3]) : VIEW_NONE;
	bool deferred = view_eq(what, VIEW("deferred"));
	if (!deferred && !view_eq(what, VIEW("due"))) {
		fprintf(stderr, "usage: queue_fill FOLDER COUNT deferred|due [body bytes]\n");
		return 1;
	}
	size_t body_bytes = argument(argc, argv, 4, 300);
	if (body_bytes < 100)
		body_bytes = 100;
	char *body = make_body(body_bytes);
	struct fill fill = { .count = argument(argc, argv, 2, 1),
		.deferred = deferred,
		.now_ms = clock_wall_ms(),
		.random = 0x9e3779b97f4a7c15u,
		.body = view_of(body, body_bytes) };
	uint64_t begin = (uint64_t)(fill.now_ms - (deferred ? DEFERRED_SINCE_MS : DUE_SINCE_MS)) * 4096,
		 end = (uint64_t)(fill.now_ms - 1000) * 4096;
	struct store_options options = { .folder = argv[1] };
	struct store *store;
	uint64_t last = 0;
	if (store_open(&options, &store) != ERR_OK)
		die("cannot open the store");
	fill.db = store_db(store);
	if (fill.db == NULL || queue_store_last_id(fill.db, &last) != ERR_OK)
		die("cannot read the queue");
	fill.first_id = last >= begin ? last + 1 : begin;
	fill.id_step = fill.first_id < end ? (end - fill.first_id) / fill.count : 1;
	if (fill.id_step == 0)
		fill.id_step = 1;
	if (fill_all(&fill) != ERR_OK)
		die("cannot fill the queue");
	store_close(store);
	mem_free(body);
	return 0;
}
