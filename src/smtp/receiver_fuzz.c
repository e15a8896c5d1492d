/*
 * Laws of the receiver engine, for any bytes, answers and times:
 *   - fed in one piece, byte by byte, or in odd pieces it says and tells the same (also checked: the driver's laws, such as BODY only
 *     inside a message, and no event behind CLOSE);
 *   - its output is bounded by its input;
 *   - one more time with the same gives the same.
 *
 * The first four bytes choose options and the answers' seed; byte 0xf5 (which is in no UTF-8 text) and the one behind it are no input
 * but an act of the owner: TLS, time, shutting down.
 */
#include "smtp/receiver_driver.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t answer_seed;

/* Answers by the event's content, not by its number, so that they are the same however the bytes come. */
static struct smtp_reply decide(struct receiver_driver *driver, const struct smtp_event *event)
{
	static const struct {
		uint16_t code;
		const char *enhanced;
	} answers[] = { { 250, "2.0.0" }, { 250, "2.0.0" }, { 250, "2.0.0" }, { 550, "5.7.1" }, { 451, "4.7.1" },
		{ 354, NULL }, { 250, "2.0.0" }, { 421, "4.3.2" } };
	if (answer_seed % 4 != 0)
		return receiver_driver_decide(driver, event);
	uint64_t hash = view_hash(event->address) ^ view_hash(event->auth_user) ^ view_hash(event->text) ^
		(uint64_t)event->kind ^ answer_seed;
	size_t pick = (size_t)((hash ^ hash >> 17 ^ hash >> 40) % (sizeof answers / sizeof *answers));
	return smtp_reply_make(answers[pick].code, answers[pick].enhanced, "as the bytes have it");
}

static void set_options(const uint8_t choice[4], struct smtp_receiver_options *options)
{
	smtp_receiver_options_init(options);
	options->hostname = VIEW("mx.example.org");
	options->submission = (choice[0] & 1) != 0;
	options->starttls = (choice[0] & 2) != 0;
	options->tls_active = (choice[0] & 4) != 0;
	options->auth = (choice[0] & 8) != 0;
	options->auth_without_tls = (choice[0] & 16) != 0;
	options->normalise_line_ends = (choice[0] & 32) != 0;
	options->chunking = (choice[0] & 64) == 0;
	options->smtputf8 = options->dsn = options->requiretls = options->mt_priority = options->deliver_by =
		(choice[0] & 128) == 0;
	/* About 2026-11-23T14:39:00Z. */
	options->hold_max_s = (choice[3] & 1) != 0 ? 86400 : 0;
	options->wall_offset_ms = INT64_C(1795444740000);
	options->message_size_max_bytes = choice[1] == 0 ? 0 : choice[1] * 16u;
	options->recipients_max = choice[2] % 16;
	options->errors_max = choice[2] / 16 * 4;
	options->transactions_max = choice[3] % 16;
	options->commands_max = choice[3] / 16 * 16;
}

static void act(struct receiver_driver *driver, uint8_t what)
{
	if (what < 64) {
		if (driver->tls_waits)
			receiver_driver_start_tls(driver);
	} else if (what < 224) {
		receiver_driver_tick(driver, driver->now_ms + (what - 64) * 2000);
	} else {
		smtp_receiver_shutdown(driver->receiver, "stopping");
		receiver_driver_pump(driver);
	}
	int64_t deadline = smtp_receiver_deadline(driver->receiver);
	ASSERT(driver->closed == (deadline == INT64_MAX) && deadline > driver->now_ms);
}

static void play(struct receiver_driver *driver, const uint8_t choice[4], struct view in, size_t piece)
{
	struct smtp_receiver_options options;
	set_options(choice, &options);
	receiver_driver_init(driver, &options);
	driver->decide = decide;
	receiver_driver_pump(driver);
	size_t given = 0;
	while (in.len > 0 && !driver->closed) {
		size_t end = view_find(in, 0xf5);
		receiver_driver_feed(driver, view_sub(in, 0, end), piece);
		given += end;
		if (end + 1 < in.len && !driver->closed)
			act(driver, in.ptr[end + 1]);
		in = view_from(in, end + 2);
	}
	/* The longest reply to the shortest command, "\r\n", and the greeting; EHLO's reply to "EHLO x\r\n". */
	ASSERT(driver->out.len <= 1000 + given * 65);
}

static void compare(const struct receiver_driver *a, const struct receiver_driver *b)
{
	ASSERT(view_eq(buf_view(&a->out), buf_view(&b->out)));
	ASSERT(view_eq(buf_view(&a->events), buf_view(&b->events)));
	ASSERT(view_eq(buf_view(&a->body), buf_view(&b->body)));
	ASSERT(view_eq(buf_view(&a->message), buf_view(&b->message)));
	ASSERT(a->closed == b->closed);
	ASSERT(smtp_receiver_deadline(a->receiver) == smtp_receiver_deadline(b->receiver));
}

/* Every reply line is one, and not too long. */
static void check_output(struct view out)
{
	while (out.len > 0) {
		struct smtp_reply reply;
		size_t used;
		ASSERT(smtp_reply_parse(out, &reply, &used) == ERR_OK);
		out = view_from(out, used);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 7, 2 };
	if (size < 4)
		return 0;
	answer_seed = data[3] ^ data[1];
	struct receiver_driver first;
	play(&first, data, view_of(data + 4, size - 4), pieces[0]);
	check_output(buf_view(&first.out));
	for (size_t i = 1; i < sizeof pieces / sizeof *pieces; i++) {
		struct receiver_driver other;
		play(&other, data, view_of(data + 4, size - 4), pieces[i]);
		compare(&first, &other);
		receiver_driver_clear(&other);
	}
	receiver_driver_clear(&first);
	return 0;
}
