/*
 * A hostile server against the sender engine. The input's first four bytes choose options and envelope; the rest is what the server sends
 * (a byte FF stands for the moment when a TLS handshake is through).
 * In "dialogue" inputs an owner who keeps to the contract answers each event; they run at once, byte by byte and in odd pieces, and must
 * read the same. In "wild" inputs the rest also says what the owner does and when, in any order.
 *
 * Laws: output bounded; at most one event per recipient; DONE only when each had one; nothing after FAILED; a recipient
 * is accepted only when the whole message was written; DATA shows a receiver one end of data at most per transaction.
 */
#include "smtp/sender.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAW(condition) ((condition) ? (void)0 : abort())
#define RECIPIENTS 3
#define TRANSACTIONS_MAX 4
#define V(literal)                                                                                                     \
	{                                                                                                              \
		(const uint8_t *)(literal), sizeof(literal) - 1                                                        \
	}

static const struct smtp_sender_recipient recipients[RECIPIENTS] = {
	{ .address = V("ben@example.net"), .notify = SMTP_NOTIFY_NEVER, .orcpt = V("rfc822;b=n@example.org") },
	{ .address = V("\"c y\"@example.net"), .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE },
	{ .address = V("evil@example.net>\r\nDATA"), .orcpt = V("utf-8;\xc3\xa4@example.org") },
};

static const struct view bodies[] = {
	V(""),
	V("Subject: hi\r\n\r\ntext\r\n"),
	V("Subject: hi\n\n.\n\rtext\r.\r\n.\r\r\n.\0\r\n..\r"),
	V(".\r\n.\r\n\n.\nMAIL FROM:<>\r\n"),
};

struct owner {
	struct smtp_sender *sender;
	struct smtp_sender_transaction transaction;
	struct view body;
	size_t body_given;
	size_t body_piece;
	unsigned transactions;
	bool in_transaction, failed, all_given, in_handshake;
	bool told[RECIPIENTS];
	struct buf trace; /* events and output, to compare runs */
	struct buf events;
};

static void begin(struct owner *owner)
{
	if (owner->transactions++ >= TRANSACTIONS_MAX) {
		smtp_sender_quit(owner->sender);
		return;
	}
	enum err err = smtp_sender_begin(owner->sender, &owner->transaction);
	if (err != ERR_OK)
		return;
	owner->in_transaction = true;
	owner->all_given = false;
	owner->body_given = 0;
	memset(owner->told, 0, sizeof owner->told);
}

static void give_body(struct owner *owner)
{
	while (smtp_sender_wants_body(owner->sender)) {
		struct view piece = view_sub(owner->body, owner->body_given, owner->body_piece);
		owner->body_given += piece.len;
		bool last = owner->body_given == owner->body.len;
		if (smtp_sender_body(owner->sender, piece, last) != ERR_OK)
			return;
		owner->all_given = owner->all_given || last;
		if (last)
			return;
	}
}

static void on_event(struct owner *owner, const struct smtp_sender_event *event, bool polite)
{
	LAW(!owner->failed);
	LAW(buf_append_format(&owner->events, "%u %u %u ", (unsigned)event->kind, (unsigned)event->stage,
		    event->reply.code) == ERR_OK);
	LAW(buf_append(&owner->events, smtp_reply_text(&event->reply)) == ERR_OK);
	switch (event->kind) {
	case SMTP_SENDER_STARTTLS:
		owner->in_handshake = true;
		break;
	case SMTP_SENDER_READY:
		if (polite)
			begin(owner);
		break;
	case SMTP_SENDER_BODY:
		LAW(owner->in_transaction);
		if (polite)
			give_body(owner);
		break;
	case SMTP_SENDER_RECIPIENT:
		LAW(owner->in_transaction && event->index < RECIPIENTS && !owner->told[event->index]);
		LAW(event->reply.code >= 200);
		LAW(event->reply.code >= 400 ||
			(owner->all_given && !event->made_here && event->stage == SMTP_STAGE_FINAL));
		owner->told[event->index] = true;
		break;
	case SMTP_SENDER_DONE:
		LAW(owner->in_transaction);
		for (size_t i = 0; i < owner->transaction.recipient_count; i++)
			LAW(owner->told[i]);
		owner->in_transaction = false;
		if (polite)
			begin(owner);
		break;
	case SMTP_SENDER_FAILED:
		owner->failed = true;
		break;
	}
}

static void take_output(struct owner *owner, size_t at_most)
{
	struct view out = smtp_sender_output(owner->sender);
	LAW(out.len < 256u * 1024);
	LAW(!owner->failed || out.len == 0);
	struct view taken = view_sub(out, 0, at_most);
	LAW(buf_append(&owner->trace, taken) == ERR_OK);
	smtp_sender_sent(owner->sender, taken.len);
}

static void pump(struct owner *owner)
{
	struct smtp_sender_event event;
	while (smtp_sender_next(owner->sender, &event))
		on_event(owner, &event, true);
	take_output(owner, SIZE_MAX);
}

static void owner_init(struct owner *owner, const uint8_t choice[4])
{
	*owner = (struct owner){ 0 };
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = VIEW("client.example.com");
	options.tls = (enum smtp_sender_tls)(choice[0] % 3);
	options.tls_active = (choice[0] & 4) != 0;
	options.has_login = (choice[0] & 8) != 0;
	options.login_without_tls = (choice[0] & 16) != 0;
	options.user = VIEW("ann");
	options.password = VIEW("secret");
	options.login_nonce = (choice[3] & 1) != 0 ? VIEW("0123456789abcdef") : VIEW_NONE;
	options.login_mechanisms = (choice[3] & 2) != 0 ? SASL_CLIENT_BY_TOKEN : 0;
	options.login_host = VIEW("mx.example.net");
	owner->sender = smtp_sender_new(&options, 0);
	owner->body = bodies[choice[1] % 4];
	owner->body_piece = choice[3] % 7 + 1u;
	owner->transaction = (struct smtp_sender_transaction){
		.reverse_path = (choice[1] & 4) != 0 ? VIEW("ann@example.com") : VIEW_NONE,
		.recipient_count = choice[2] % (RECIPIENTS + 1u),
		.recipients = recipients,
		.size_bytes = owner->body.len + ((choice[1] & 0xf0) == 0xf0 ? 1 : 0),
		.body = (enum smtp_body_type)(choice[2] / 4 % 3),
		.smtputf8 = (choice[2] & 64) != 0,
		.ret = (enum smtp_ret)(choice[1] / 8 % 2),
		.envid = VIEW("id+=\x01"),
		.requiretls = (choice[3] & 128) != 0,
		.priority = (int32_t)(choice[3] / 8 % 4) * 6 - 9,
		.has_by = (choice[2] & 128) != 0,
		.by_return = (choice[3] & 64) != 0,
		.by_trace = (choice[3] & 32) != 0,
		.by_s = (choice[3] & 16) != 0 ? 100 : INT64_MIN / 2,
		.hold_for_s = (choice[3] & 3) == 1 ? 3600 : 0,
		.hold_until_ms = (choice[3] & 3) == 2 ? 1795444740000 : 0,
	};
}

static void owner_clear(struct owner *owner)
{
	smtp_sender_free(owner->sender);
	buf_clear(&owner->trace);
	buf_clear(&owner->events);
}

/* Up to the end, or to the failure of the session. */
static void feed_clear(struct owner *owner, struct view in, size_t piece)
{
	while (in.len > 0) {
		/* A copy of its own size, so that the sanitizer sees a read behind it. */
		struct view part = view_sub(in, 0, piece);
		uint8_t *copy = malloc(part.len);
		LAW(copy != NULL);
		memcpy(copy, part.ptr, part.len);
		size_t used = 0;
		enum err err = smtp_sender_feed(owner->sender, view_of(copy, part.len), &used);
		free(copy);
		if (err != ERR_OK) {
			LAW(err == ERR_STATE && owner->failed);
			return;
		}
		LAW(used <= part.len);
		size_t events_before = owner->events.len;
		pump(owner);
		LAW(used > 0 || owner->events.len > events_before);
		in = view_from(in, used);
	}
}

static void feed(struct owner *owner, struct view in, size_t piece)
{
	struct view part;
	while (view_split(&in, 0xff, &part)) {
		feed_clear(owner, part, piece);
		if (owner->in_handshake)
			smtp_sender_tls_started(owner->sender, 1000);
		owner->in_handshake = false;
		pump(owner);
	}
}

/* The same dialogue in pieces of different sizes reads the same. */
static void dialogue(const uint8_t choice[4], struct view in)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 3, 17 };
	struct owner first, other;
	owner_init(&first, choice);
	feed(&first, in, pieces[0]);
	for (size_t i = 1; i < sizeof pieces / sizeof pieces[0]; i++) {
		owner_init(&other, choice);
		feed(&other, in, pieces[i]);
		/* A server that answers before it is asked can make the session fail before the question left. */
		bool shorter = first.failed && view_starts_with(buf_view(&other.trace), buf_view(&first.trace));
		LAW(shorter || view_eq(buf_view(&first.trace), buf_view(&other.trace)));
		LAW(view_eq(buf_view(&first.events), buf_view(&other.events)));
		owner_clear(&other);
	}
	smtp_sender_closed(first.sender, "end of input");
	pump(&first);
	LAW(smtp_sender_begin(first.sender, &first.transaction) == ERR_CLOSED);
	owner_clear(&first);
}

/* Each step: one byte says what, the next how much. */
static void wild(const uint8_t choice[4], struct view in)
{
	struct owner owner;
	struct smtp_sender_event event;
	int64_t now_ms = 0;
	owner_init(&owner, choice);
	while (in.len >= 2) {
		uint8_t what = in.ptr[0], much = in.ptr[1];
		in = view_from(in, 2);
		size_t used = 0;
		struct view bytes;
		bool last;
		switch (what % 12) {
		case 0:
		case 1:
		case 2:
			bytes = view_sub(in, 0, much);
			if (smtp_sender_feed(owner.sender, bytes, &used) == ERR_OK)
				LAW(used <= bytes.len);
			in = view_from(in, bytes.len);
			break;
		case 3:
		case 4:
			for (unsigned i = 0; i <= much && smtp_sender_next(owner.sender, &event); i++)
				on_event(&owner, &event, false);
			break;
		case 5:
			/* Events that wait keep a transaction from beginning, so the owner's notes stay right. */
			begin(&owner);
			break;
		case 6:
			bytes = view_sub(in, 0, much);
			last = (what & 64) != 0;
			if (smtp_sender_body(owner.sender, bytes, last) == ERR_OK) {
				in = view_from(in, bytes.len);
				owner.all_given = owner.all_given || last;
			}
			break;
		case 7:
			take_output(&owner, much);
			break;
		case 8:
			now_ms += much * 4000;
			smtp_sender_tick(owner.sender, now_ms);
			LAW(smtp_sender_deadline(owner.sender) > now_ms);
			break;
		case 9:
			smtp_sender_tls_started(owner.sender, now_ms);
			break;
		case 10:
			give_body(&owner);
			break;
		default:
			if (much < 16)
				smtp_sender_closed(owner.sender, "wild");
			else if (much < 32)
				smtp_sender_abort(owner.sender);
			else if (much < 64)
				smtp_sender_quit(owner.sender);
			else
				take_output(&owner, SIZE_MAX);
		}
	}
	smtp_sender_closed(owner.sender, "end of input");
	while (smtp_sender_next(owner.sender, &event))
		on_event(&owner, &event, false);
	LAW(smtp_sender_output(owner.sender).len == 0);
	owner_clear(&owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 64u * 1024)
		return 0;
	struct view in = view_of(data + 4, size - 4);
	if ((data[0] & 32) != 0)
		wild(data, in);
	else
		dialogue(data, in);
	return 0;
}
