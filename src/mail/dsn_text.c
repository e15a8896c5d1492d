/* The part for a human: what happened, to whom, what the server said, what to do next. Plain words, no blame. */
#include "mail/dsn_private.h"

#include "mail/date.h"
#include "mail/encode.h"
#include "mail/header.h"
#include "mail/writer_private.h"

enum { WRAP_COLUMN = 74, QUOTE_MAX_BYTES = 2000, SUBJECT_MAX_BYTES = 200, WORD_MAX_BYTES = 200 };

/* Advice by status (RFC 3463 and the IANA registry), the longest matching front first. Written for a sender who knows no codes. */
static const struct {
	struct view status;
	const char *advice;
} advices[] = {
#define ADVICE(status, text)                                                                                           \
	{                                                                                                              \
		{ (const uint8_t *)(status), sizeof(status) - 1 }, text                                                \
	}
	ADVICE("5.1.0", "Check the address for a spelling mistake."),
	ADVICE("5.1.1",
		"There is no such mailbox. Check the part before the @ for a spelling mistake, or ask the recipient "
		"for "
		"the right address another way."),
	ADVICE("5.1.2", "There is no such mail domain. Check the part behind the @ for a spelling mistake."),
	ADVICE("5.1.6", "The mailbox has moved. Ask the recipient for the new address another way."),
	ADVICE("5.1.7", "Your own address was not accepted as a sender. Ask your mail administrator to look at it."),
	ADVICE("5.1.8", "Your own domain was not found by the other side. Ask your mail administrator to look at it."),
	ADVICE("5.1.10",
		"That domain says that it takes no mail at all. Check the part behind the @ for a spelling mistake."),
	ADVICE("5.1.", "Check the address for a spelling mistake."),
	ADVICE("5.2.1", "The mailbox is switched off. Reach the recipient another way."),
	ADVICE("5.2.2",
		"The recipient's mailbox is full. Try again in a few days, or reach the recipient another way."),
	ADVICE("4.2.2",
		"The recipient's mailbox is full. Try again in a few days, or reach the recipient another way."),
	ADVICE("5.2.3", "Your message is too large for that mailbox. Send it without the attachments, or in parts."),
	ADVICE("5.3.4",
		"Your message is too large for the other server. Send it without the attachments, or in parts."),
	ADVICE("5.4.6", "The message went round in circles between servers. Tell the recipient's mail administrator."),
	ADVICE("4.4.7",
		"Their server could not be reached for days. Check the part behind the @, and try again later."),
	ADVICE("5.4.7",
		"Their server could not be reached for days. Check the part behind the @, and try again later."),
	ADVICE("5.4.", "Their server could not be found or reached. Check the part behind the @, and try again later."),
	ADVICE("4.4.", "Their server could not be found or reached. Check the part behind the @, and try again later."),
	ADVICE("5.6.7",
		"The address has letters that their server can't handle. Ask the recipient for an address in plain "
		"Latin letters."),
	ADVICE("5.6.",
		"Their server can't handle the form of your message. Send it as plain text, or in another file "
		"format."),
	ADVICE("5.7.1",
		"Their server does not want this message; the reason may be in its answer above. If you think that is "
		"a mistake, reach the recipient another way, and pass this report on."),
	ADVICE("5.7.",
		"Their server refused for reasons of security or policy. Pass this report on to your mail "
		"administrator."),
	ADVICE("", "If you can't make out the reason, pass this report on to your mail administrator."),
#undef ADVICE
};

static const char *advice_for(struct view status)
{
	const char *best = "";
	size_t best_len = 0;
	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
		struct view want = advices[i].status;
		/* "5.1.1" must not match 5.1.10, "5.1." everything below it. */
		bool whole = want.len > 0 && want.ptr[want.len - 1] != '.';
		if ((whole ? view_eq(status, want) : view_starts_with(status, want)) && want.len >= best_len) {
			best = advices[i].advice;
			best_len = want.len;
		}
	}
	return best;
}

/* Text in lines under 75 characters (of one byte), each behind the indent. A word that is too long for any line is cut apart at characters. */
static void write_wrapped(struct writer *w, const char *indent, struct view text)
{
	struct buf clean = { 0 };
	write_result(w, text_clean(view_sub(text, 0, QUOTE_MAX_BYTES), &clean));
	struct view rest = buf_view(&clean), word;
	size_t margin = view_from_cstr(indent).len, column = 0;
	while (view_split(&rest, ' ', &word)) {
		while (word.len > 0) {
			struct view piece = view_sub(word, 0, WORD_MAX_BYTES);
			while (piece.len < word.len && piece.len > 1 && (word.ptr[piece.len] & 0xc0) == 0x80)
				piece.len--;
			if (column > 0 && column + 1 + piece.len > WRAP_COLUMN) {
				write_text(w, "\r\n");
				column = 0;
			}
			if (column == 0) {
				write_text(w, indent);
				column = margin;
			} else {
				write_text(w, " ");
				column++;
			}
			write_view(w, piece);
			column += piece.len;
			word = view_from(word, piece.len);
		}
	}
	if (column > 0)
		write_text(w, "\r\n");
	buf_clear(&clean);
}

static void write_wrapped_text(struct writer *w, const char *indent, const char *text)
{
	write_wrapped(w, indent, view_from_cstr(text));
}

/* Every line of a server's answer on its own. */
static void write_reply(struct writer *w, struct view reply)
{
	struct view rest = view_sub(reply, 0, QUOTE_MAX_BYTES), line;
	while (view_split(&rest, '\n', &line))
		write_wrapped(w, "        ", view_trim(line));
}

/* Subject and date of the message, so that its sender knows which one this is about. */
static void write_about(struct writer *w, struct view message)
{
	static const char *const names[] = { "Subject", "Date" };
	bool any = false;
	for (size_t i = 0; i < 2; i++) {
		struct header_field field;
		if (!header_find(message, view_from_cstr(names[i]), &field))
			continue;
		struct buf text = { 0 };
		write_result(w, header_text_decode(view_sub(view_trim(field.value), 0, 4 * SUBJECT_MAX_BYTES), &text));
		struct view shown = view_sub(buf_view(&text), 0, SUBJECT_MAX_BYTES);
		while (shown.len > 0 && shown.len < text.len && (text.ptr[shown.len] & 0xc0) == 0x80)
			shown.len--;
		struct buf line = { 0 };
		write_result(w,
			buf_append_format(
				&line, "%s: %.*s%s", names[i], VIEW_ARG(shown), shown.len < text.len ? "..." : ""));
		write_wrapped(w, "    ", buf_view(&line));
		buf_clear(&line);
		buf_clear(&text);
		any = true;
	}
	if (any)
		write_text(w, "\r\n");
}

static void write_server(struct writer *w, const struct dsn_recipient *r, const char *verb)
{
	struct buf line = { 0 };
	write_result(w, buf_append_cstr(&line, "The server"));
	if (r->remote_mta.len > 0) {
		write_result(w, buf_append_cstr(&line, " "));
		write_result(w, buf_append(&line, r->remote_mta));
	}
	if (r->remote_address.len > 0) {
		write_result(w, buf_append_cstr(&line, " ["));
		write_result(w, buf_append(&line, r->remote_address));
		write_result(w, buf_append_cstr(&line, "]"));
	}
	write_result(w, buf_append_cstr(&line, verb));
	write_wrapped(w, "    ", buf_view(&line));
	buf_clear(&line);
}

static void write_delayed(struct writer *w, const struct dsn *dsn, const struct dsn_recipient *r)
{
	if (r->retry_until_ms == 0)
		return;
	struct buf line = { 0 };
	write_result(w, buf_append_cstr(&line, "It will be tried again until "));
	write_result(w, date_format(r->retry_until_ms, dsn->zone_minutes, &line));
	write_result(w, buf_append_cstr(&line, "."));
	write_wrapped(w, "    ", buf_view(&line));
	buf_clear(&line);
}

static void write_recipient(struct writer *w, const struct dsn *dsn, const struct dsn_recipient *r)
{
	static const char *const outcomes[] = {
		[DSN_DELIVERED] = "Your message was delivered to the mailbox.",
		[DSN_RELAYED] = "Your message was handed over to a server that sends no reports of its own; you may "
				"not hear more "
				"about it.",
		[DSN_EXPANDED] = "Your message was delivered to a list and passed on to its members; you may not hear "
				 "more about "
				 "them.",
	};
	struct buf head = { 0 };
	write_result(w, buf_append_cstr(&head, "<"));
	write_result(w, buf_append(&head, view_sub(r->address, 0, 2 * QUOTE_MAX_BYTES)));
	write_result(w, buf_append_cstr(&head, ">"));
	write_wrapped(w, "", buf_view(&head));
	buf_clear(&head);
	if (r->action == DSN_DELIVERED || r->action == DSN_RELAYED || r->action == DSN_EXPANDED)
		write_wrapped_text(w, "    ", outcomes[r->action]);
	if (r->reason.len > 0)
		write_wrapped(w, "    ", r->reason);
	if (r->reply.len > 0) {
		write_server(w, r, " answered:");
		write_reply(w, r->reply);
	} else if (r->remote_mta.len > 0 && r->action == DSN_RELAYED) {
		write_server(w, r, " took it.");
	}
	if (r->action == DSN_DELAYED)
		write_delayed(w, dsn, r);
	if (r->action == DSN_FAILED) {
		struct buf advice = { 0 };
		write_result(w, buf_append_cstr(&advice, "What you can do: "));
		write_result(w, buf_append_cstr(&advice, advice_for(dsn_recipient_status(r))));
		write_wrapped(w, "    ", buf_view(&advice));
		buf_clear(&advice);
	}
	write_text(w, "\r\n");
}

enum dsn_action dsn_worst_action(const struct dsn *dsn)
{
	enum dsn_action worst = DSN_EXPANDED;
	for (size_t i = 0; i < dsn->recipient_count; i++)
		if (dsn->recipients[i].action < worst)
			worst = dsn->recipients[i].action;
	return worst;
}

enum err dsn_write_text(const struct dsn *dsn, bool returned_full, struct buf *out)
{
	struct writer w = writer_begin(out);
	enum dsn_action worst = dsn_worst_action(dsn);
	write_text(&w, "This is the mail server ");
	write_view(&w, dsn->reporting_mta);
	write_text(&w, ".\r\n\r\n");
	if (worst == DSN_FAILED)
		write_wrapped_text(&w, "",
			dsn->recipient_count == 1 ? "I'm sorry: your message could not be delivered, and it will not "
						    "be tried again. Below is the "
						    "recipient with the reason."
						  : "I'm sorry: your message could not be delivered to everybody "
						    "below. Where it says so, it will "
						    "not be tried again; each recipient stands with the reason.");
	else if (worst == DSN_DELAYED)
		write_wrapped_text(&w, "",
			"Your message has not been delivered yet. You need not do anything and should not send "
			"it again: it stays in the queue and is tried again and again.");
	else
		write_wrapped_text(&w, "", "You asked to be told when your message arrives. It did:");
	write_text(&w, "\r\n");
	write_about(&w, dsn->message);
	for (size_t i = 0; i < dsn->recipient_count; i++)
		write_recipient(&w, dsn, &dsn->recipients[i]);
	write_wrapped_text(
		&w, "", "The next part of this message says the same in a form for programs and administrators.");
	write_wrapped_text(&w, "",
		returned_full ? "The last part is your message." : "The last part is the header of your message.");
	return writer_end(&w);
}
