#include "mail/dsn_private.h"

#include "mail/address.h"
#include "mail/date.h"
#include "mail/encode.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/scan.h"
#include "mail/writer_private.h"

/* A header section above this is cut at a field's end: a report must not carry megabytes of header. */
enum { RETURN_HEADER_MAX_BYTES = 256 * 1024 };

struct part {
	const char *type; /* with parameters */
	const char *encoding; /* "7bit", "8bit", "quoted-printable" */
	struct view content;
};

/* The header section without its empty line, cut where it is too long. */
static struct view returned_header(struct view message)
{
	struct view rest = message;
	struct header_field field;
	size_t taken = 0;
	while (taken < RETURN_HEADER_MAX_BYTES && header_next(&rest, &field)) {
		if (taken + field.whole.len > RETURN_HEADER_MAX_BYTES)
			break;
		taken += field.whole.len;
	}
	return view_sub(message, 0, taken);
}

/* The third part (RFC 6522 §4, RFC 6533 §5 for headers in UTF-8). */
static struct part returned_part(const struct dsn *dsn, bool *ret_full)
{
	struct mail_scan scan = mail_scan(dsn->message);
	bool fits = dsn->return_max_bytes == 0 || dsn->message.len <= dsn->return_max_bytes;
	*ret_full = dsn->return_full && fits && !mail_scan_is_binary(&scan);
	struct view header = returned_header(dsn->message);
	bool global = !view_is_ascii(header) && view_is_utf8(header);
	if (*ret_full)
		return (struct part){ global ? "message/global" : "message/rfc822",
			scan.has_8bit_header || scan.has_8bit_body ? "8bit" : "7bit", dsn->message };
	scan = mail_scan(header);
	return (struct part){ global ? "message/global-headers" : "text/rfc822-headers",
		mail_scan_is_binary(&scan)     ? "quoted-printable"
			: scan.has_8bit_header ? "8bit"
					       : "7bit",
		header };
}

static const char *subject_of(enum dsn_action worst)
{
	switch (worst) {
	case DSN_FAILED:
		return "Your message could not be delivered";
	case DSN_DELAYED:
		return "Your message is delayed";
	case DSN_DELIVERED:
	case DSN_RELAYED:
	case DSN_EXPANDED:
		break;
	}
	return "Your message has arrived";
}

static void write_boundary(struct writer *w, const struct dsn *dsn)
{
	write_text(w, "=_dsn_");
	write_hex(w, dsn->random, DSN_RANDOM_BYTES);
}

/* RFC 3834 §3.1.5: an answer names what it answers. */
static void write_references(struct writer *w, struct view message)
{
	struct header_field field;
	if (!header_find(message, VIEW("Message-ID"), &field))
		return;
	struct view id = view_trim(field.value);
	if (!message_id_is_clean(id))
		return;
	write_text(w, "In-Reply-To: ");
	write_view(w, id);
	write_text(w, "\r\nReferences: ");
	write_view(w, id);
	write_text(w, "\r\n");
}

static void write_header(struct writer *w, const struct dsn *dsn, bool is_8bit)
{
	write_text(w, "Date: ");
	write_result(w, date_format(dsn->now_ms, dsn->zone_minutes, w->out));
	write_text(w, "\r\nFrom: Mail Delivery System <MAILER-DAEMON@");
	write_view(w, dsn->reporting_mta);
	write_text(w, ">\r\nTo: <");
	write_view(w, dsn->to);
	write_text(w, ">\r\nSubject: ");
	write_text(w, subject_of(dsn_worst_action(dsn)));
	write_text(w, "\r\nMessage-ID: ");
	/* The second half of the random bytes; the boundary shows all of them, but neither is a secret. */
	write_result(
		w, message_id_make(dsn->now_ms, dsn->random + MESSAGE_ID_RANDOM_BYTES, dsn->reporting_mta, w->out));
	write_text(w, "\r\n");
	write_references(w, dsn->message);
	write_text(w,
		"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	write_boundary(w, dsn);
	write_text(w, is_8bit ? "\"\r\nContent-Transfer-Encoding: 8bit\r\n" : "\"\r\n");
	write_text(w, "\r\nThis is a report in MIME format.\r\n");
}

static void write_part(struct writer *w, const struct dsn *dsn, const struct part *part)
{
	write_text(w, "\r\n--");
	write_boundary(w, dsn);
	write_text(w, "\r\nContent-Type: ");
	write_text(w, part->type);
	write_text(w, "\r\nContent-Transfer-Encoding: ");
	write_text(w, part->encoding);
	write_text(w, "\r\n\r\n");
	if (part->encoding[0] == 'q')
		write_result(w, quoted_printable_encode(part->content, w->out));
	else
		write_view(w, part->content);
}

static enum err write_all(const struct dsn *dsn, const struct part parts[3], bool is_8bit, struct buf *out)
{
	struct writer w = writer_begin(out);
	write_header(&w, dsn, is_8bit);
	for (size_t i = 0; i < 3; i++)
		write_part(&w, dsn, &parts[i]);
	write_text(&w, "\r\n--");
	write_boundary(&w, dsn);
	write_text(&w, "--\r\n");
	return writer_end(&w);
}

static enum err check(const struct dsn *dsn, struct address *ret_to)
{
	if (!address_domain_is_valid(dsn->reporting_mta, 0) && !address_literal_is_valid(dsn->reporting_mta))
		return err_set(ERR_SYNTAX, "the reporting host's name is no domain");
	if (dsn->recipient_count == 0)
		return err_set(ERR_SYNTAX, "a report needs a recipient to report on");
	return address_parse(dsn->to, ADDRESS_ALLOW_UTF8 | ADDRESS_ALLOW_NO_DOMAIN, ret_to);
}

enum err dsn_build(const struct dsn *dsn, struct buf *out, struct dsn_built *ret)
{
	struct address to;
	struct dsn_built built = { 0 };
	enum err err = check(dsn, &to);
	if (err != ERR_OK)
		return err;
	struct buf text = { 0 }, status = { 0 };
	struct part parts[3];
	parts[2] = returned_part(dsn, &built.returned_full);
	err = dsn_write_text(dsn, built.returned_full, &text);
	if (err == ERR_OK)
		err = dsn_write_status(dsn, &status);
	if (err == ERR_OK) {
		bool text_is_ascii = view_is_ascii(buf_view(&text)), global = dsn_status_is_global(dsn);
		parts[0] = (struct part){ text_is_ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8",
			text_is_ascii ? "7bit" : "quoted-printable", buf_view(&text) };
		parts[1] = (struct part){ global ? "message/global-delivery-status" : "message/delivery-status",
			view_is_ascii(buf_view(&status)) ? "7bit" : "8bit", buf_view(&status) };
		built.is_smtputf8 = to.has_utf8;
		built.is_8bit = to.has_utf8 || parts[1].encoding[0] == '8' || parts[2].encoding[0] == '8';
		err = write_all(dsn, parts, built.is_8bit, out);
	}
	buf_clear(&text);
	buf_clear(&status);
	if (err == ERR_OK)
		*ret = built;
	return err;
}
