#include "mail/feedback_report.h"

#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/encode.h"
#include "mail/header.h"
#include "mail/report_parts.h"

#include <stddef.h>

enum { REPORT_MAX_BYTES = 256 * 1024, SENDER_MAX_BYTES = 1024 };

static bool is_feedback(const struct mime_type *type)
{
	return mime_type_is(type, "message", "feedback-report");
}

/* Values, in the report's own memory. Each is made shorter in place, never longer. */

static struct view lower_in_place(struct buf *text, struct view value)
{
	if (value.len == 0)
		return VIEW_NONE;
	uint8_t *at = text->ptr + (value.ptr - text->ptr);
	for (size_t i = 0; i < value.len; i++)
		at[i] = ascii_lower(at[i]);
	return value;
}

static struct view without_comment(struct view value)
{
	return view_trim(view_sub(value, 0, view_find(value, '(')));
}

/* "<joe@example.org>", "rfc822;joe@example.org" → the address. */
static struct view address_of(struct view value)
{
	size_t semicolon = view_find(value, ';'), at = view_find(value, '@');
	if (semicolon < at)
		value = view_trim(view_from(value, semicolon + 1));
	size_t open = view_find(value, '<');
	if (open < value.len)
		value = view_from(value, open + 1);
	return view_trim(view_sub(value, 0, view_find(value, '>')));
}

static struct view ip_of(struct view value)
{
	value = report_parts_first_word(value);
	if (view_starts_with(value, VIEW("[")))
		value = view_sub(value, 1, view_find(value, ']') - 1);
	return view_starts_with_nocase(value, VIEW("IPv6:")) ? view_from(value, 5) : value;
}

enum kind { WHOLE, WORD, WORDS, ADDRESS, IP, NAME };

#define AT(member) offsetof(struct feedback_report, member)
/* Of a field that is there twice the first counts. */
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} fields[] = {
	{ "Feedback-Type", WORD, AT(type) },
	{ "User-Agent", WHOLE, AT(user_agent) },
	{ "Version", WHOLE, AT(version) },
	{ "Original-Mail-From", ADDRESS, AT(mail_from) },
	{ "Original-Envelope-Id", WHOLE, AT(envelope_id) },
	{ "Reported-Domain", WORD, AT(reported_domain) },
	{ "Reporting-MTA", NAME, AT(reporting_mta) },
	{ "Source-IP", IP, AT(source_ip) },
	{ "Authentication-Results", WHOLE, AT(authentication_results) },
	{ "Auth-Failure", WORD, AT(failure) },
	{ "Delivery-Result", WORD, AT(delivery_result) },
	{ "Identity-Alignment", WORDS, AT(identity_alignment) },
	{ "DKIM-Domain", WORD, AT(dkim_domain) },
	{ "DKIM-Identity", WHOLE, AT(dkim_identity) },
	{ "DKIM-Selector", WORD, AT(dkim_selector) },
	{ "SPF-DNS", WHOLE, AT(spf_dns) },
};

static struct view make_value(struct buf *text, enum kind kind, struct view value)
{
	switch (kind) {
	case WORD:
		return lower_in_place(text, report_parts_first_word(value));
	case WORDS:
		return lower_in_place(text, without_comment(value));
	case ADDRESS:
		return address_of(value);
	case IP:
		return ip_of(value);
	case NAME:
		return report_parts_without_type(value, NULL);
	default:
		return value;
	}
}

static void take_field(struct feedback_report *report, struct view name, struct view value)
{
	uint64_t number;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct view *at = (struct view *)(void *)((char *)report + fields[i].offset);
		if (at->len == 0 && view_eq_nocase(name, view_from_cstr(fields[i].name)))
			*at = make_value(&report->text, fields[i].kind, value);
	}
	if (view_eq_nocase(name, VIEW("Original-Rcpt-To"))) {
		struct view address = address_of(value);
		if (address.len > 0 && report->recipient_count < FEEDBACK_RECIPIENTS_MAX)
			report->recipients[report->recipient_count++] = address;
	} else if (view_eq_nocase(name, VIEW("Arrival-Date")) || view_eq_nocase(name, VIEW("Received-Date"))) {
		if (report->arrival_ms == 0 && date_parse(value, &report->arrival_ms) != ERR_OK)
			report->arrival_ms = 0;
	} else if (view_eq_nocase(name, VIEW("Incidents"))) {
		if (view_parse_u64(report_parts_first_word(value), UINT32_MAX, &number) == ERR_OK && number > 0)
			report->incidents = number;
	}
}

static void take_fields(struct feedback_report *report)
{
	struct view rest = buf_view(&report->text);
	struct header_field field;
	while (rest.len > 0) {
		if (header_next(&rest, &field))
			take_field(report, field.name, report_parts_unfold(&report->text, field.value));
		else
			rest = view_from(rest, 1); /* empty lines between them */
	}
}

/* What the reported message says of itself, appended to the report's text; views into it are made when it does not move any more. */
static enum err take_message(struct feedback_report *report, size_t *ret_id, size_t *ret_from)
{
	struct header_field field;
	enum err err = ERR_OK;
	*ret_id = report->text.len;
	struct view header = view_sub(report->message, 0, header_section_length(report->message));
	if (header_find(header, VIEW("Message-ID"), &field))
		err = header_unfold(view_sub(field.value, 0, SENDER_MAX_BYTES), &report->text);
	*ret_from = report->text.len;
	if (err != ERR_OK || !header_find(header, VIEW("From"), &field))
		return err;
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, view_sub(field.value, 0, SENDER_MAX_BYTES));
	if (address_list_next(&list, &entry) == ERR_OK)
		err = buf_append(&report->text, entry.address);
	address_list_clear(&list);
	return err;
}

enum err feedback_report_parse(struct view message, struct feedback_report *ret)
{
	struct report_parts parts;
	report_parts_find(message, is_feedback, &parts);
	feedback_report_clear(ret);
	if (!parts.has_report)
		return err_set(ERR_NOT_FOUND, "the message has no feedback-report part");
	buf_init(&ret->text, REPORT_MAX_BYTES + 4 * SENDER_MAX_BYTES);
	ret->message = parts.message;
	ret->incidents = 1;
	enum err err = mime_part_decode(&parts.report, &ret->text);
	size_t fields_end = ret->text.len, id = 0, from = 0;
	if (err == ERR_OK && fields_end <= REPORT_MAX_BYTES)
		err = take_message(ret, &id, &from);
	if (err != ERR_OK || fields_end > REPORT_MAX_BYTES) {
		feedback_report_clear(ret);
		return err_set(ERR_LIMIT, "the feedback-report part is too large");
	}
	struct view text = buf_view(&ret->text);
	ret->message_id = view_trim(view_sub(text, id, from - id));
	ret->header_from = view_from(text, from);
	ret->text.len = fields_end;
	take_fields(ret);
	ret->text.len = text.len;
	if (ret->type.len > 0)
		return ERR_OK;
	feedback_report_clear(ret);
	return err_set(ERR_NOT_FOUND, "the feedback-report part has no Feedback-Type");
}

void feedback_report_clear(struct feedback_report *report)
{
	if (report == NULL)
		return;
	buf_clear(&report->text);
	*report = (struct feedback_report){ 0 };
}
