/*
 * Laws of TLS reports, for any bytes: what is read has policies with domains, clean texts and bounded numbers; it can be written, and is the same when
 * it is read again.
 */
#include "mailauth/tls_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct view v)
{
	ASSERT(view_is_utf8(v));
	for (size_t i = 0; i < v.len; i++)
		ASSERT(v.ptr[i] >= ' ' || v.ptr[i] == '\t');
}

static void check_policy(const struct tls_report_policy *a, const struct tls_report_policy *b)
{
	check_text(a->domain);
	check_text(a->type);
	ASSERT(a->domain.len > 0 && a->failure_count <= TLS_REPORT_FAILURES_MAX &&
		a->line_count <= TLS_REPORT_LINES_MAX && a->mx_host_count <= TLS_REPORT_LINES_MAX);
	ASSERT(view_eq(a->domain, b->domain) && view_eq(a->type, b->type) && a->successes == b->successes &&
		a->failures == b->failures && a->failure_count == b->failure_count && a->line_count == b->line_count &&
		a->mx_host_count == b->mx_host_count);
	for (size_t i = 0; i < a->failure_count; i++) {
		check_text(a->details[i].additional);
		ASSERT(view_eq(a->details[i].result_type, b->details[i].result_type) &&
			view_eq(a->details[i].receiving_ip, b->details[i].receiving_ip) &&
			view_eq(a->details[i].reason, b->details[i].reason) &&
			a->details[i].sessions == b->details[i].sessions);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena, second;
	struct tls_report report, again;
	struct buf out = { 0 };
	arena_init(&arena, TLS_REPORT_ARENA_BYTES);
	arena_init(&second, TLS_REPORT_ARENA_BYTES);
	enum err err = tls_report_read(view_of(data, size), &arena, &report);
	ASSERT(err == ERR_OK || err == ERR_SYNTAX || err == ERR_LIMIT);
	/* Times that its form can't write are the caller's affair. */
	if (err == ERR_OK && tls_report_write(&report, &out) == ERR_OK) {
		ASSERT(report.policy_count > 0 && report.policy_count <= TLS_REPORT_POLICIES_MAX);
		ASSERT(tls_report_read(buf_view(&out), &second, &again) == ERR_OK);
		ASSERT(report.policy_count == again.policy_count && report.begin_s == again.begin_s &&
			report.end_s == again.end_s && view_eq(report.report_id, again.report_id) &&
			view_eq(report.organization, again.organization));
		for (size_t i = 0; i < report.policy_count; i++)
			check_policy(&report.policies[i], &again.policies[i]);
	}
	arena_clear(&arena);
	arena_clear(&second);
	buf_clear(&out);
	return 0;
}
