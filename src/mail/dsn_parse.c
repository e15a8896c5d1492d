#include "mail/dsn_parse.h"

#include "mail/dsn_private.h"
#include "mail/header.h"
#include "mail/report_parts.h"

enum { REPORT_MAX_BYTES = 1024 * 1024 };

static bool is_status(const struct mime_type *type)
{
	return mime_type_is(type, "message", "delivery-status") ||
		mime_type_is(type, "message", "global-delivery-status");
}

static struct view address_of(struct view value)
{
	struct view address = report_parts_without_type(value, NULL);
	if (address.len >= 2 && address.ptr[0] == '<' && address.ptr[address.len - 1] == '>')
		address = view_sub(address, 1, address.len - 2);
	return view_trim(address);
}

static void set_original(struct dsn_report_recipient *r, struct view value)
{
	r->original = address_of(value);
}
static void set_final(struct dsn_report_recipient *r, struct view value)
{
	r->final = address_of(value);
}
static void set_action(struct dsn_report_recipient *r, struct view value)
{
	for (int i = DSN_FAILED; i <= DSN_EXPANDED; i++)
		if (view_eq_nocase(
			    report_parts_first_word(value), view_from_cstr(dsn_action_name((enum dsn_action)i)))) {
			r->action = (enum dsn_action)i;
			r->has_action = true;
		}
}
static void set_status(struct dsn_report_recipient *r, struct view value)
{
	struct view word = report_parts_first_word(value);
	if (dsn_status_is_valid(word))
		r->status = word;
}
static void set_diagnostic(struct dsn_report_recipient *r, struct view value)
{
	struct view type;
	r->diagnostic = report_parts_without_type(value, &type);
	r->diagnostic_is_smtp = view_eq_nocase(type, VIEW("smtp"));
	if (type.len > 0 && view_find(type, ' ') < type.len)
		r->diagnostic = value; /* the semicolon was a part of the text */
}
static void set_remote(struct dsn_report_recipient *r, struct view value)
{
	r->remote_mta = report_parts_without_type(value, NULL);
}

static const struct {
	const char *name;
	void (*set)(struct dsn_report_recipient *r, struct view value);
	bool begins; /* stands once per recipient, in whatever place: another one means another recipient */
} fields[] = {
	{ "Original-Recipient", set_original, true },
	{ "Final-Recipient", set_final, true },
	{ "Action", set_action, false },
	{ "Status", set_status, false },
	{ "Diagnostic-Code", set_diagnostic, false },
	{ "Remote-MTA", set_remote, false },
};

/* The recipient that a field belongs to: the current one or a new one. NULL when there is no room. */
static struct dsn_report_recipient *recipient_for(
	struct dsn_report *report, struct dsn_report_recipient *current, size_t field)
{
	bool again = current != NULL && fields[field].begins &&
		(field == 0 ? current->original.len : current->final.len) > 0;
	if (current != NULL && !again)
		return current;
	if (report->recipient_count == DSN_REPORT_RECIPIENTS_MAX) {
		report->is_truncated = true;
		return NULL;
	}
	struct dsn_report_recipient *r = &report->recipients[report->recipient_count++];
	*r = (struct dsn_report_recipient){ 0 };
	return r;
}

static void parse_block(struct dsn_report *report, struct view *rest)
{
	struct dsn_report_recipient *current = NULL;
	struct header_field field;
	while (header_next(rest, &field)) {
		struct view value = report_parts_unfold(&report->text, field.value);
		if (view_eq_nocase(field.name, VIEW("Reporting-MTA")))
			report->reporting_mta = report_parts_without_type(value, NULL);
		else if (view_eq_nocase(field.name, VIEW("Original-Envelope-Id")))
			report->envelope_id = value;
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			if (view_eq_nocase(field.name, view_from_cstr(fields[i].name))) {
				current = recipient_for(report, current, i);
				if (current == NULL)
					return;
				fields[i].set(current, value);
			}
	}
}

/* Blocks with empty lines between (RFC 3464 §2.1). Ones that name nobody are dropped. */
static void parse_blocks(struct dsn_report *report)
{
	struct view rest = buf_view(&report->text);
	while (rest.len > 0 && !report->is_truncated) {
		if (rest.ptr[0] == '\r' || rest.ptr[0] == '\n')
			rest = view_from(rest, 1);
		else
			parse_block(report, &rest);
	}
	size_t kept = 0;
	for (size_t i = 0; i < report->recipient_count; i++) {
		struct dsn_report_recipient r = report->recipients[i];
		if (r.final.len == 0)
			r.final = r.original;
		if (r.final.len > 0)
			report->recipients[kept++] = r;
	}
	report->recipient_count = kept;
}

enum err dsn_parse(struct view message, struct dsn_report *ret)
{
	struct report_parts parts;
	report_parts_find(message, is_status, &parts);
	dsn_report_clear(ret);
	if (!parts.has_report)
		return err_set(ERR_NOT_FOUND, "the message has no delivery-status part");
	buf_init(&ret->text, REPORT_MAX_BYTES);
	enum err err = mime_part_decode(&parts.report, &ret->text);
	if (err != ERR_OK) {
		dsn_report_clear(ret);
		return err_set(err, "the delivery-status part is too large");
	}
	ret->returned = parts.message;
	parse_blocks(ret);
	if (ret->recipient_count > 0)
		return ERR_OK;
	dsn_report_clear(ret);
	return err_set(ERR_NOT_FOUND, "the delivery-status part names no recipient");
}

void dsn_report_clear(struct dsn_report *report)
{
	if (report == NULL)
		return;
	buf_clear(&report->text);
	buf_init(&report->text, 0);
	report->reporting_mta = report->envelope_id = report->returned = VIEW_NONE;
	report->recipient_count = 0;
	report->is_truncated = false;
}
