/*
 * dsn_parse() and feedback_report_parse() against the sample reports that KumoMTA reads in its own tests: those of RFC 3464 and RFC 5965, and a few
 * from the field. What each says is written down here, told from the files themselves.
 */
#include "mail/conformance.h"
#include "mail/dsn_parse.h"
#include "mail/feedback_report.h"

#define FOLDER "bounce-kumomta/crates/kumo-log-types/data/"
/* What stands in the samples for names that were taken out. */
#define BLANKED                                                                                                        \
	"X"                                                                                                            \
	"XX"

static const struct {
	const char *file;
	size_t index, count; /* recipient, of so many */
	const char *final, *status, *diagnostic, *remote_mta;
	enum dsn_action action;
} notifications[] = {
	{ "rfc3464/1.eml", 0, 1, "louisl@larry.slip.umd.edu", "4.0.0", "426 connection timed out", "", DSN_FAILED },
	{ "rfc3464/2.eml", 0, 3, "arathib@vnet.ibm.com", "5.0.0",
		"550 'arathib@vnet.IBM.COM' is not a  registered gateway user", "vnet.ibm.com", DSN_FAILED },
	{ "rfc3464/2.eml", 1, 3, "johnh@hpnjld.njd.hp.com", "4.0.0", "", "", DSN_DELAYED },
	{ "rfc3464/2.eml", 2, 3, "wsnell@sdcc13.ucsd.edu", "5.0.0", "550 user unknown", "sdcc13.ucsd.edu", DSN_FAILED },
	{ "rfc3464/3.eml", 0, 1, "nair_s", "5.0.0", "", "", DSN_FAILED },
	{ "rfc3464/4.eml", 0, 1, "thomas@de-montfort.ac.uk", "4.0.0", "", "", DSN_DELAYED },
	{ "rfc3464/5.eml", 0, 1, "recipient@domain.com", "5.0.0", "552 <recipient@domain.com> rejected: over quota",
		"lmtp.cs.dolmen.bouyguestelecom.fr", DSN_FAILED },
	{ "rfc3464/6.eml", 0, 1, "redacted@example.com", "5.0.0",
		"host example-com.mail.eo.outlook.com:25 says: 550 5.4.1 Recipient address rejected: Access denied. "
		"For more information see https://aka.ms/EXOSmtpErrors [" BLANKED ".namprd05.prod.outlook.com "
		"2026-03-13T18:10:42.797Z " BLANKED "]",
		"example-com.mail.eo.outlook.com:25", DSN_FAILED },
	{ "rfc3464/obsolete_arrival_date.eml", 0, 1, "user@example.com", "5.1.1", "550 5.1.1 Mailbox does not exist",
		"", DSN_FAILED },
};

static const struct {
	const char *file, *type, *agent, *mail_from, *recipient, *domain, *source_ip;
	bool has_arrival;
} complaints[] = {
	{ "rfc5965/1.eml", "abuse", "SomeGenerator/1.0", "", "", "", "", false },
	{ "rfc5965/2.eml", "abuse", "SomeGenerator/1.0", "somespammer@example.net", "user@example.com", "example.net",
		"192.0.2.1", true },
	{ "rfc5965/3.eml", "abuse", "Yahoo!-Mail-Feedback/2.0", "test1@example.com", "user@example.com",
		"bounce.kumo.example.com", "", true },
	{ "rfc5965/4.eml", "abuse", "ReturnPathFBL/2.0", "foo@bounce.example.com",
		"cb4a01a48251d4765f489076aa81e2a4@comcast.net", "bounce.example.com", "x.x.x.x", true },
};

static struct dsn_report dsn;
static struct feedback_report feedback;
static unsigned wrong;

static void must_be(const char *file, const char *what, struct view got, const char *want)
{
	if (view_eq(got, view_from_cstr(want)))
		return;
	wrong++;
	printf("%s: %s is \"%.*s\", want \"%s\": WRONG\n", file, what, VIEW_ARG(got), want);
}

static void read_sample(const char *file, struct buf *out)
{
	char path[200];
	snprintf(path, sizeof path, FOLDER "%s", file);
	read_suite(__FILE__, path, out);
}

static bool check_notification(size_t i, struct view message)
{
	unsigned before = wrong;
	if (dsn_parse(message, &dsn) != ERR_OK || dsn.recipient_count != notifications[i].count) {
		printf("%s: not read, or not %zu recipients: WRONG\n", notifications[i].file, notifications[i].count);
		return false;
	}
	const struct dsn_report_recipient *recipient = &dsn.recipients[notifications[i].index];
	must_be(notifications[i].file, "final recipient", recipient->final, notifications[i].final);
	must_be(notifications[i].file, "status", recipient->status, notifications[i].status);
	must_be(notifications[i].file, "diagnostic", recipient->diagnostic, notifications[i].diagnostic);
	must_be(notifications[i].file, "remote MTA", recipient->remote_mta, notifications[i].remote_mta);
	if (!recipient->has_action || recipient->action != notifications[i].action) {
		printf("%s: another action: WRONG\n", notifications[i].file);
		return false;
	}
	return wrong == before;
}

static bool check_complaint(size_t i, struct view message)
{
	unsigned before = wrong;
	const char *file = complaints[i].file;
	if (feedback_report_parse(message, &feedback) != ERR_OK) {
		printf("%s: not read: WRONG\n", file);
		return false;
	}
	must_be(file, "type", feedback.type, complaints[i].type);
	must_be(file, "user agent", feedback.user_agent, complaints[i].agent);
	must_be(file, "reverse-path", feedback.mail_from, complaints[i].mail_from);
	must_be(file, "recipient", feedback.recipient_count > 0 ? feedback.recipients[0] : VIEW_NONE,
		complaints[i].recipient);
	must_be(file, "domain", feedback.reported_domain, complaints[i].domain);
	must_be(file, "source", feedback.source_ip, complaints[i].source_ip);
	if ((feedback.arrival_ms != 0) != complaints[i].has_arrival || feedback.message.len == 0) {
		printf("%s: another arrival date, or no message: WRONG\n", file);
		return false;
	}
	return wrong == before;
}

int main(void)
{
	unsigned passed = 0, total = 0;
	for (size_t i = 0; i < sizeof notifications / sizeof notifications[0]; i++, total++) {
		struct buf message = { 0 };
		read_sample(notifications[i].file, &message);
		passed += check_notification(i, buf_view(&message));
		buf_clear(&message);
	}
	for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++, total++) {
		struct buf message = { 0 };
		read_sample(complaints[i].file, &message);
		passed += check_complaint(i, buf_view(&message));
		buf_clear(&message);
	}
	dsn_report_clear(&dsn);
	feedback_report_clear(&feedback);
	printf("CONFORMANCE bounce-reports-kumomta %u/%u\n", passed, total);
	return passed == total ? 0 : 1;
}
