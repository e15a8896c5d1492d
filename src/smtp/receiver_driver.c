#include "smtp/receiver_driver.h"

#include <string.h>

/* Longer bodies are written down as length and hash. */
#define BODY_SHOWN_BYTES 400u

static void put(struct buf *buf, struct view bytes)
{
	ASSERT(buf_append(buf, bytes) == ERR_OK);
}

static void put_cstr(struct buf *buf, const char *s)
{
	put(buf, view_from_cstr(s));
}

static void put_word(struct buf *buf, const char *name, struct view value)
{
	put_cstr(buf, " ");
	put_cstr(buf, name);
	ASSERT(buf_append_escaped(buf, value, value.len) == ERR_OK);
}

static void put_number(struct buf *buf, const char *name, uint64_t value)
{
	put_cstr(buf, " ");
	put_cstr(buf, name);
	ASSERT(buf_append_u64(buf, value) == ERR_OK);
}

/* ---- Writing events down ---- */

/* The message's bytes so far become one line. */
static void flush_body(struct receiver_driver *driver)
{
	struct view body = buf_view(&driver->body);
	if (body.len == 0)
		return;
	put_cstr(&driver->events, "BODY");
	if (body.len <= BODY_SHOWN_BYTES) {
		put_word(&driver->events, "", body);
	} else {
		put_number(&driver->events, "bytes=", body.len);
		put_number(&driver->events, "hash=", view_hash(body));
	}
	put_cstr(&driver->events, "\n");
	buf_reset(&driver->message);
	put(&driver->message, body);
	buf_reset(&driver->body);
}

static void put_mail(struct buf *log, const struct smtp_event *event)
{
	static const char *const bodies[] = { "", " 8BITMIME", " BINARYMIME" };
	static const char *const rets[] = { "", " FULL", " HDRS" };
	if (event->mail.has_size)
		put_number(log, "size=", event->mail.size_bytes);
	put_cstr(log, bodies[event->mail.body]);
	put_cstr(log, event->mail.smtputf8 ? " SMTPUTF8" : "");
	put_cstr(log, rets[event->mail.ret]);
	if (event->mail.envid.len > 0)
		put_word(log, "envid=", event->mail.envid);
	if (event->mail.has_auth)
		put_word(log, "auth=", event->mail.auth);
	put_cstr(log, event->mail.requiretls ? " REQUIRETLS" : "");
	if (event->mail.has_priority)
		ASSERT(buf_append_format(log, " priority=%d", (int)event->mail.priority) == ERR_OK);
	if (event->mail.has_by)
		ASSERT(buf_append_format(log, " by=%d%s%s", (int)event->mail.by_s, event->mail.by_return ? "R" : "N",
			       event->mail.by_trace ? "T" : "") == ERR_OK);
	if (event->mail.hold_until_ms != 0)
		ASSERT(buf_append_format(log, " until=%lld", (long long)event->mail.hold_until_ms) == ERR_OK);
}

static void write_down(struct receiver_driver *driver, const struct smtp_event *event)
{
	static const char *const names[] = { "CONNECT", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY",
		"MESSAGE", "ABORT", "CLOSE" };
	struct buf *log = &driver->events;
	if (event->kind == SMTP_EVENT_BODY) {
		put(&driver->body, event->body);
		return;
	}
	/* Between two chunks there may be an EHLO that is refused. */
	if (event->kind != SMTP_EVENT_HELO)
		flush_body(driver);
	put_cstr(log, event->kind == SMTP_EVENT_HELO && event->is_ehlo ? "EHLO" : names[event->kind]);
	if (event->kind == SMTP_EVENT_MAIL || event->kind == SMTP_EVENT_RCPT) {
		put_cstr(log, " <");
		ASSERT(buf_append_escaped(log, event->address, event->address.len) == ERR_OK);
		put_cstr(log, ">");
		put_mail(log, event);
		if (event->rcpt.notify != 0)
			put_number(log, "notify=", event->rcpt.notify);
		if (event->rcpt.orcpt.len > 0)
			put_word(log, "orcpt=", event->rcpt.orcpt);
	}
	if (event->kind == SMTP_EVENT_AUTH) {
		put_word(log, "", event->auth_mechanism);
		put_word(log, "for=", event->auth_identity);
		put_word(log, "user=", event->auth_user);
		put_word(log, "password=", event->auth_password);
	}
	if (event->kind == SMTP_EVENT_MESSAGE)
		put_number(log, "", event->message_bytes);
	if (event->text.len > 0)
		put_word(log, "", event->text);
	put_cstr(log, "\n");
}

/* ---- The policy ---- */

static bool local_is(struct view address, const char *local)
{
	return view_eq(view_sub(address, 0, view_find(address, '@')), view_from_cstr(local));
}

static struct smtp_reply decide_address(struct view address, const char *good)
{
	if (local_is(address, "nobody"))
		return smtp_reply_make(550, "5.1.1", "Nobody here");
	if (local_is(address, "later"))
		return smtp_reply_make(451, "4.3.0", "Not now");
	if (local_is(address, "bye"))
		return smtp_reply_make(421, "4.7.0", "Go away");
	return smtp_reply_make(250, good, "Ok");
}

static struct smtp_reply decide_auth(struct view password)
{
	if (view_eq(password, VIEW("secret")))
		return smtp_reply_make(235, "2.7.0", "Welcome");
	if (view_eq(password, VIEW("slow")))
		return smtp_reply_make(454, "4.7.0", "The directory does not answer");
	if (view_eq(password, VIEW("bye")))
		return smtp_reply_make(421, "4.7.0", "Go away");
	return smtp_reply_make(535, "5.7.8", "Wrong user or password");
}

struct smtp_reply receiver_driver_decide(struct receiver_driver *driver, const struct smtp_event *event)
{
	struct view sender = buf_view(&driver->sender);
	switch (event->kind) {
	case SMTP_EVENT_CONNECT:
		return smtp_reply_make(220, NULL, "ready");
	case SMTP_EVENT_HELO:
		if (view_eq(event->text, VIEW("refused.example")))
			return smtp_reply_make(550, "5.7.1", "Not you");
		if (view_eq(event->text, VIEW("bye.example")))
			return smtp_reply_make(421, "4.7.0", "Go away");
		return smtp_reply_make(250, NULL, "ok");
	case SMTP_EVENT_AUTH:
		return decide_auth(event->auth_password);
	case SMTP_EVENT_MAIL:
		return decide_address(event->address, "2.1.0");
	case SMTP_EVENT_RCPT:
		return decide_address(event->address, "2.1.5");
	case SMTP_EVENT_DATA:
		if (local_is(sender, "nodata"))
			return smtp_reply_make(550, "5.7.1", "No message from you");
		if (local_is(sender, "byedata"))
			return smtp_reply_make(421, "4.7.0", "Go away");
		return smtp_reply_make(354, NULL, "go");
	case SMTP_EVENT_MESSAGE:
		if (local_is(sender, "nomsg"))
			return smtp_reply_make(554, "5.7.1", "Not this one");
		if (local_is(sender, "latermsg"))
			return smtp_reply_make(452, "4.3.1", "Disk full");
		if (local_is(sender, "byemsg"))
			return smtp_reply_make(421, "4.3.0", "Go away");
		return smtp_reply_make(250, "2.0.0", "Queued");
	case SMTP_EVENT_STARTTLS:
	case SMTP_EVENT_BODY:
	case SMTP_EVENT_ABORT:
	case SMTP_EVENT_CLOSE:
		break;
	}
	ASSERT(false);
	return smtp_reply_make(554, NULL, "never");
}

/* ---- Laws ---- */

static void check_address(const struct smtp_event *event)
{
	struct view a = event->address;
	ASSERT(view_starts_with(a, event->local) && view_ends_with_nocase(a, event->domain));
	ASSERT(a.len == event->local.len + event->domain.len + (event->domain.len > 0 ? 1 : 0));
	ASSERT(view_find(a, '\r') == a.len && view_find(a, '\n') == a.len && view_find(a, '\0') == a.len);
}

static void check_order(const struct receiver_driver *driver, const struct smtp_event *event)
{
	ASSERT(!driver->closed);
	ASSERT(driver->open.token == 0 || event->kind == SMTP_EVENT_ABORT || event->kind == SMTP_EVENT_CLOSE);
	switch (event->kind) {
	case SMTP_EVENT_MAIL:
		ASSERT(!driver->in_envelope);
		check_address(event);
		ASSERT(event->mail.priority >= -9 && event->mail.priority <= 9);
		ASSERT(!event->mail.by_return || (event->mail.has_by && event->mail.by_s > 0));
		ASSERT(event->mail.hold_until_ms >= 0);
		break;
	case SMTP_EVENT_RCPT:
		ASSERT(driver->in_envelope && !driver->in_message && event->address.len > 0);
		check_address(event);
		break;
	case SMTP_EVENT_DATA:
		ASSERT(driver->in_envelope && !driver->in_message);
		break;
	case SMTP_EVENT_BODY:
		ASSERT(driver->in_message && event->body.len > 0);
		break;
	case SMTP_EVENT_MESSAGE:
		ASSERT(driver->in_message && event->message_bytes == driver->body.len);
		break;
	case SMTP_EVENT_ABORT:
		ASSERT(driver->in_envelope);
		break;
	case SMTP_EVENT_STARTTLS:
		ASSERT(!driver->in_envelope);
		break;
	case SMTP_EVENT_CLOSE:
		ASSERT(!driver->in_envelope);
		break;
	case SMTP_EVENT_CONNECT:
	case SMTP_EVENT_HELO:
	case SMTP_EVENT_AUTH:
		break;
	}
}

static void follow(struct receiver_driver *driver, const struct smtp_event *event, bool yes)
{
	if (event->kind == SMTP_EVENT_MAIL && yes) {
		driver->in_envelope = true;
		buf_reset(&driver->sender);
		put(&driver->sender, event->address);
	}
	if (event->kind == SMTP_EVENT_DATA)
		driver->in_message = yes;
	if (event->kind == SMTP_EVENT_ABORT || event->kind == SMTP_EVENT_MESSAGE)
		driver->in_envelope = driver->in_message = false;
	/* An answer of 421 ends everything; its ABORT is still to be pulled. */
	if (event->kind == SMTP_EVENT_MAIL || event->kind == SMTP_EVENT_MESSAGE)
		ASSERT(smtp_receiver_in_transaction(driver->receiver) == driver->in_envelope);
}

/* ---- Doing ---- */

static void take_output(struct receiver_driver *driver)
{
	struct view out = smtp_receiver_output(driver->receiver);
	/* In two parts, as a socket would. */
	size_t first = out.len / 2;
	put(&driver->out, view_sub(out, 0, first));
	smtp_receiver_sent(driver->receiver, first);
	out = smtp_receiver_output(driver->receiver);
	put(&driver->out, out);
	smtp_receiver_sent(driver->receiver, out.len);
	ASSERT(smtp_receiver_output(driver->receiver).len == 0);
}

static void answer(struct receiver_driver *driver, const struct smtp_event *event)
{
	struct smtp_reply reply = driver->decide(driver, event);
	ASSERT(smtp_receiver_answer(driver->receiver, event->token + 1, &reply) == ERR_STATE);
	/* Before the answer, for it may bring the next event. */
	bool yes = smtp_reply_is_positive(&reply);
	struct smtp_event copy = { .kind = event->kind, .address = event->address };
	struct buf address = { 0 };
	put(&address, event->address);
	copy.address = buf_view(&address);
	ASSERT(smtp_receiver_answer(driver->receiver, event->token, &reply) == ERR_OK);
	ASSERT(smtp_receiver_answer(driver->receiver, event->token, &reply) == ERR_STATE);
	follow(driver, &copy, yes);
	buf_clear(&address);
}

void receiver_driver_pump(struct receiver_driver *driver)
{
	struct smtp_event event;
	while (smtp_receiver_next(driver->receiver, &event)) {
		check_order(driver, &event);
		write_down(driver, &event);
		if (event.kind == SMTP_EVENT_ABORT)
			driver->in_envelope = driver->in_message = false;
		if (event.kind == SMTP_EVENT_STARTTLS)
			driver->tls_waits = true;
		if (event.kind == SMTP_EVENT_CLOSE)
			driver->closed = true;
		bool question = event.kind <= SMTP_EVENT_MESSAGE && event.kind != SMTP_EVENT_STARTTLS &&
			event.kind != SMTP_EVENT_BODY;
		ASSERT(question == (event.token != 0));
		if (question && driver->hold)
			driver->open = event;
		else if (question)
			answer(driver, &event);
	}
	take_output(driver);
}

void receiver_driver_answer(struct receiver_driver *driver)
{
	struct smtp_event event = driver->open;
	driver->open = (struct smtp_event){ 0 };
	ASSERT(event.token != 0);
	answer(driver, &event);
	receiver_driver_pump(driver);
}

bool receiver_driver_feed(struct receiver_driver *driver, struct view in, size_t piece)
{
	unsigned idle = 0;
	while (in.len > 0 && !driver->closed) {
		size_t used = SIZE_MAX;
		struct view now = view_sub(in, 0, piece);
		ASSERT(smtp_receiver_feed(driver->receiver, now, &used) == ERR_OK);
		ASSERT(used <= now.len);
		receiver_driver_pump(driver);
		if (used == 0 && driver->open.token != 0)
			return false;
		/* Only an event that was waiting may keep it from taking anything, and that is handled now. */
		idle = used == 0 ? idle + 1 : 0;
		ASSERT(idle < 2);
		in = view_from(in, used);
	}
	return true;
}

void receiver_driver_tick(struct receiver_driver *driver, int64_t now_ms)
{
	driver->now_ms = now_ms;
	smtp_receiver_tick(driver->receiver, now_ms);
	receiver_driver_pump(driver);
}

void receiver_driver_start_tls(struct receiver_driver *driver)
{
	ASSERT(driver->tls_waits);
	driver->tls_waits = false;
	smtp_receiver_tls_started(driver->receiver, driver->now_ms);
	receiver_driver_pump(driver);
}

void receiver_driver_init(struct receiver_driver *driver, const struct smtp_receiver_options *options)
{
	*driver = (struct receiver_driver){ .now_ms = 1000, .decide = receiver_driver_decide };
	driver->receiver = smtp_receiver_new(options, driver->now_ms);
	ASSERT(smtp_receiver_output(driver->receiver).len == 0);
}

void receiver_driver_clear(struct receiver_driver *driver)
{
	flush_body(driver);
	smtp_receiver_free(driver->receiver);
	buf_clear(&driver->out);
	buf_clear(&driver->events);
	buf_clear(&driver->body);
	buf_clear(&driver->message);
	buf_clear(&driver->sender);
}
