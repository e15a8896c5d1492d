/* The machine-readable part: RFC 3464 §2.2 and §2.3. */
#include "mail/dsn_private.h"

#include "mail/address.h"
#include "mail/date.h"
#include "mail/encode.h"
#include "mail/writer_private.h"

#include <string.h>

enum { DIAGNOSTIC_MAX_BYTES = 900, WORD_MAX_BYTES = 200, FOLD_COLUMN = 76 };

const char *dsn_action_name(enum dsn_action action)
{
	static const char *const names[] = { "failed", "delayed", "delivered", "relayed", "expanded" };
	size_t i = (size_t)action;
	return i < sizeof names / sizeof names[0] ? names[i] : "failed";
}

bool dsn_status_is_valid(struct view status)
{
	struct view part;
	size_t parts = 0;
	uint64_t n;
	if (status.len < 5 || status.ptr[status.len - 1] == '.' || memchr("245", status.ptr[0], 3) == NULL)
		return false;
	while (view_split(&status, '.', &part))
		if (part.len > 3 || view_parse_u64(part, parts++ == 0 ? 5 : 999, &n) != ERR_OK)
			return false;
	return parts == 3;
}

struct view dsn_recipient_status(const struct dsn_recipient *recipient)
{
	if (dsn_status_is_valid(recipient->status))
		return recipient->status;
	return recipient->action == DSN_FAILED     ? VIEW("5.0.0")
		: recipient->action == DSN_DELAYED ? VIEW("4.0.0")
						   : VIEW("2.0.0");
}

bool dsn_status_is_global(const struct dsn *dsn)
{
	for (size_t i = 0; i < dsn->recipient_count; i++)
		if (!view_is_ascii(dsn->recipients[i].address) || !view_is_ascii(dsn->recipients[i].original))
			return true;
	return false;
}

static bool is_printable(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] < 0x20 || v.ptr[i] == 0x7f)
			return false;
	return true;
}

static void write_date(struct writer *w, const char *name, const struct dsn *dsn, int64_t ms)
{
	if (ms == 0)
		return;
	write_text(w, name);
	write_result(w, date_format(ms, dsn->zone_minutes, w->out));
	write_text(w, "\r\n");
}

/* An address as UTF-8 if it is that, else as xtext, which is ASCII whatever is in it. */
static void write_address(struct writer *w, struct view address)
{
	if (w->err != ERR_OK)
		return;
	if (address.len <= 2 * ADDRESS_PATH_MAX_BYTES && is_printable(address) && view_is_utf8(address))
		write_view(w, address);
	else
		write_result(w, xtext_encode(view_sub(address, 0, 256), w->out));
}

/* ORCPT's "type;address". A type that is no atom makes the field meaningless: left out. */
static void write_original(struct writer *w, struct view original)
{
	size_t semicolon = view_find(original, ';');
	struct view type = view_sub(original, 0, semicolon);
	for (size_t i = 0; i < type.len; i++)
		if (!ascii_is_alnum(type.ptr[i]) && type.ptr[i] != '-')
			return;
	if (type.len == 0 || type.len > 32 || semicolon + 1 >= original.len)
		return;
	write_text(w, "Original-Recipient: ");
	write_view(w, type);
	write_text(w, "; ");
	write_address(w, view_from(original, semicolon + 1));
	write_text(w, "\r\n");
}

static void write_word(struct writer *w, size_t *column, struct view word, bool utf8)
{
	bool fold = *column + 1 + word.len > FOLD_COLUMN;
	write_text(w, fold ? "\r\n " : " ");
	*column = (fold ? 1 : *column + 1) + word.len;
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] < 0x80 || utf8)
			write_byte(w, word.ptr[i]);
		else if (word.ptr[i] >= 0xc0) /* one mark for each character */
			write_byte(w, '?');
}

/* Unstructured text: cleaned, without line ends, folded at spaces. ASCII only unless `utf8`. */
static void write_folded(struct writer *w, size_t column, struct view text, bool utf8)
{
	struct buf clean = { 0 };
	write_result(w, text_clean(view_sub(text, 0, DIAGNOSTIC_MAX_BYTES), &clean));
	struct view rest = view_trim(buf_view(&clean)), word;
	while (view_split(&rest, ' ', &word)) {
		while (word.len > 0) {
			/* A word that no line can hold is broken, between characters. */
			struct view piece = view_sub(word, 0, WORD_MAX_BYTES);
			while (piece.len < word.len && piece.len > 1 && (word.ptr[piece.len] & 0xc0) == 0x80)
				piece.len--;
			write_word(w, &column, piece, utf8);
			word = view_from(word, piece.len);
		}
	}
	write_text(w, "\r\n");
	buf_clear(&clean);
}

static void write_host(struct writer *w, const char *name, struct view host)
{
	if (!address_domain_is_valid(host, 0) && !address_literal_is_valid(host))
		return;
	write_text(w, name);
	write_view(w, host);
	write_text(w, "\r\n");
}

static void write_recipient(struct writer *w, const struct dsn *dsn, const struct dsn_recipient *r, bool global)
{
	write_text(w, "\r\n");
	if (r->original.len > 0)
		write_original(w, r->original);
	write_text(w, view_is_ascii(r->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; ");
	write_address(w, r->address);
	write_text(w, "\r\nAction: ");
	write_text(w, dsn_action_name(r->action));
	write_text(w, "\r\nStatus: ");
	write_view(w, dsn_recipient_status(r));
	write_text(w, "\r\n");
	if (r->remote_mta.len > 0)
		write_host(w, "Remote-MTA: dns; ", r->remote_mta);
	if (r->reply.len > 0) {
		write_text(w, "Diagnostic-Code: smtp;");
		write_folded(w, 22, r->reply, global);
	} else if (r->reason.len > 0) {
		/* RFC 3464 §2.3.6: a type of our own, so that no program takes the sentence for a server's reply. */
		write_text(w, "Diagnostic-Code: X-Postrider;");
		write_folded(w, 29, r->reason, global);
	}
	write_date(w, "Last-Attempt-Date: ", dsn, r->last_attempt_ms);
	if (r->action == DSN_DELAYED)
		write_date(w, "Will-Retry-Until: ", dsn, r->retry_until_ms);
}

/* RFC 4865 §5.1.2: what was asked for, in the words of a parameter HOLD that never came to be. */
static void write_hold(struct writer *w, const struct dsn *dsn)
{
	if (dsn->hold_until_ms == 0)
		return;
	write_text(w, "Future-Release-Request: ");
	if (dsn->hold_for_s > 0)
		write_result(w, buf_append_format(w->out, "for;%u", dsn->hold_for_s));
	else
		write_text(w, "until;");
	if (dsn->hold_for_s == 0)
		write_result(w, date_format_rfc3339(dsn->hold_until_ms, w->out));
	write_text(w, "\r\n");
}

enum err dsn_write_status(const struct dsn *dsn, struct buf *out)
{
	struct writer w = writer_begin(out);
	bool global = dsn_status_is_global(dsn);
	write_text(&w, "Reporting-MTA: dns; ");
	write_view(&w, dsn->reporting_mta);
	write_text(&w, "\r\n");
	if (dsn->envelope_id.len > 0) {
		write_text(&w, "Original-Envelope-Id: ");
		/* *text, not xtext: that was for the ESMTP parameter (RFC 3464 §2.2.1). What is not ASCII, which no ENVID should be, stays
		 * encoded, so that the report stays 7-bit. */
		struct view id = view_sub(dsn->envelope_id, 0, 100);
		write_result(&w, view_is_ascii(id) ? text_clean(id, out) : xtext_encode(id, out));
		write_text(&w, "\r\n");
	}
	write_date(&w, "Arrival-Date: ", dsn, dsn->arrival_ms);
	write_date(&w, "Deliver-By-Date: ", dsn, dsn->deliver_by_ms);
	write_hold(&w, dsn);
	for (size_t i = 0; i < dsn->recipient_count; i++)
		write_recipient(&w, dsn, &dsn->recipients[i], global);
	return writer_end(&w);
}
