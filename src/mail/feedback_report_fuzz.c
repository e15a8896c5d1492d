/*
 * Laws of reading feedback reports, for any bytes:
 *   - a report has a type; all that it says lies in its own text or in the message, and has no line end;
 *   - reading it again, into what was used before, gives the same;
 *   - memory is bounded by the message's length.
 */
#include "mail/feedback_report.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct feedback_report *report, struct view v)
{
	ASSERT(v.len == 0 || (v.ptr >= report->text.ptr && v.ptr + v.len <= report->text.ptr + report->text.len));
	ASSERT(view_find(v, '\n') == v.len && view_find(v, '\r') == v.len);
}

static void check_all(const struct feedback_report *r)
{
	const struct view views[] = { r->type, r->user_agent, r->version, r->mail_from, r->envelope_id,
		r->reported_domain, r->reporting_mta, r->source_ip, r->authentication_results, r->failure,
		r->delivery_result, r->identity_alignment, r->dkim_domain, r->dkim_identity, r->dkim_selector,
		r->spf_dns, r->message_id, r->header_from };
	for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
		check(r, views[i]);
	for (size_t i = 0; i < r->recipient_count; i++)
		check(r, r->recipients[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feedback_report first = { 0 }, second = { 0 };
	enum err err = feedback_report_parse(view_of(data, size), &first);
	ASSERT(err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_LIMIT);
	if (err != ERR_OK) {
		ASSERT(first.text.cap == 0);
		return 0;
	}
	ASSERT(first.type.len > 0 && first.incidents > 0 && first.recipient_count <= FEEDBACK_RECIPIENTS_MAX);
	ASSERT(first.text.len <= size + 4096);
	check_all(&first);
	ASSERT(first.message.len == 0 ||
		(first.message.ptr >= data && first.message.ptr + first.message.len <= data + size));
	ASSERT(feedback_report_parse(VIEW("Content-Type: message/feedback-report\n\nFeedback-Type: x\n"), &second) ==
		ERR_OK);
	ASSERT(feedback_report_parse(view_of(data, size), &second) == ERR_OK);
	ASSERT(view_eq(first.type, second.type) && view_eq(first.mail_from, second.mail_from) &&
		view_eq(first.header_from, second.header_from) && first.arrival_ms == second.arrival_ms &&
		first.recipient_count == second.recipient_count);
	feedback_report_clear(&first);
	feedback_report_clear(&second);
	return 0;
}
