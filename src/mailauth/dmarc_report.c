/* Writing aggregate reports, RFC 9990 Appendix A. Where RFC 7489's schema asks for more than the new one, it is there, too. */
#include "mailauth/dmarc_report.h"

#include "mail/encode.h"

#define NAMESPACE "urn:ietf:params:xml:ns:dmarc-2.0"
#define TEXT_MAX_BYTES 1024u

static enum err put_text(struct view text, struct buf *out)
{
	struct buf clean = { 0 };
	enum err err = text_clean(view_sub(text, 0, TEXT_MAX_BYTES), &clean);
	for (size_t i = 0; i < clean.len && err == ERR_OK; i++)
		switch (clean.ptr[i]) {
		case '<':
			err = buf_append_cstr(out, "&lt;");
			break;
		case '>':
			err = buf_append_cstr(out, "&gt;");
			break;
		case '&':
			err = buf_append_cstr(out, "&amp;");
			break;
		case 0xef:
			/* U+FFFE and U+FFFF are UTF-8, but no characters of XML. */
			if (view_starts_with(view_from(buf_view(&clean), i + 1), VIEW("\xbf\xbe")) ||
				view_starts_with(view_from(buf_view(&clean), i + 1), VIEW("\xbf\xbf"))) {
				i += 2;
				err = buf_append_cstr(out, "\xef\xbf\xbd");
				break;
			}
			/* fall through */
		default:
			err = buf_append_byte(out, clean.ptr[i]);
		}
	buf_clear(&clean);
	return err;
}

/* A line "<name>text</name>". */
static enum err put(struct buf *out, unsigned depth, const char *name, struct view text)
{
	enum err err = buf_append_format(out, "%*s<%s>", (int)(2 * depth), "", name);
	if (err == ERR_OK)
		err = put_text(text, out);
	return err == ERR_OK ? buf_append_format(out, "</%s>\n", name) : err;
}

static enum err put_if(struct buf *out, unsigned depth, const char *name, struct view text)
{
	return text.len > 0 ? put(out, depth, name, text) : ERR_OK;
}

static enum err put_number(struct buf *out, unsigned depth, const char *name, int64_t number)
{
	return buf_append_format(out, "%*s<%s>%lld</%s>\n", (int)(2 * depth), "", name, (long long)number, name);
}

static enum err put_metadata(const struct dmarc_report *report, struct buf *out)
{
	enum err err = buf_append_cstr(out, "  <report_metadata>\n");
	if (err == ERR_OK)
		err = put(out, 2, "org_name", report->organization);
	if (err == ERR_OK)
		err = put(out, 2, "email", report->email);
	if (err == ERR_OK)
		err = put_if(out, 2, "extra_contact_info", report->contact);
	if (err == ERR_OK)
		err = put(out, 2, "report_id", report->report_id);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "    <date_range>\n");
	if (err == ERR_OK)
		err = put_number(out, 3, "begin", report->begin_s);
	if (err == ERR_OK)
		err = put_number(out, 3, "end", report->end_s);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "    </date_range>\n");
	if (err == ERR_OK)
		err = put_if(out, 2, "error", report->error);
	if (err == ERR_OK)
		err = put_if(out, 2, "generator", report->generator);
	return err == ERR_OK ? buf_append_cstr(out, "  </report_metadata>\n") : err;
}

static enum err put_policy(const struct dmarc_report_policy *policy, struct buf *out)
{
	const struct {
		const char *name;
		struct view text;
		bool is_required;
	} elements[] = {
		{ "domain", policy->domain, true },
		{ "discovery_method", policy->discovery_method, false },
		{ "adkim", policy->adkim, false },
		{ "aspf", policy->aspf, false },
		{ "p", policy->p, true },
		/* RFC 7489 demands it. */
		{ "sp", policy->sp.len > 0 ? policy->sp : policy->p, true },
		{ "np", policy->np, false },
		{ "testing", policy->testing, false },
		{ "fo", policy->fo, false },
	};
	enum err err = buf_append_cstr(out, "  <policy_published>\n");
	for (size_t i = 0; i < sizeof elements / sizeof elements[0] && err == ERR_OK; i++)
		if (elements[i].is_required || elements[i].text.len > 0)
			err = put(out, 2, elements[i].name, elements[i].text);
	return err == ERR_OK ? buf_append_cstr(out, "  </policy_published>\n") : err;
}

enum err dmarc_report_begin(const struct dmarc_report *report, struct buf *out)
{
	enum err err = buf_append_cstr(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"" NAMESPACE
		"\">\n  <version>1.0</version>\n");
	if (err == ERR_OK)
		err = put_metadata(report, out);
	if (err == ERR_OK)
		err = put_policy(&report->policy, out);
	return err;
}

static struct view pass_or_fail(bool pass)
{
	return pass ? VIEW("pass") : VIEW("fail");
}

static enum err put_evaluated(const struct dmarc_report_row *row, struct buf *out)
{
	enum err err = buf_append_cstr(out, "      <policy_evaluated>\n");
	if (err == ERR_OK)
		err = put(out, 4, "disposition", row->disposition);
	if (err == ERR_OK)
		err = put(out, 4, "dkim", pass_or_fail(row->dkim_aligned));
	if (err == ERR_OK)
		err = put(out, 4, "spf", pass_or_fail(row->spf_aligned));
	for (size_t i = 0; i < row->reason_count && err == ERR_OK; i++) {
		err = buf_append_cstr(out, "        <reason>\n");
		if (err == ERR_OK)
			err = put(out, 5, "type", row->reasons[i].type);
		if (err == ERR_OK)
			err = put_if(out, 5, "comment", row->reasons[i].comment);
		if (err == ERR_OK)
			err = buf_append_cstr(out, "        </reason>\n");
	}
	return err == ERR_OK ? buf_append_cstr(out, "      </policy_evaluated>\n") : err;
}

static enum err put_auth(const char *method, const struct dmarc_report_auth *auth, struct buf *out)
{
	bool is_dkim = method[0] == 'd';
	enum err err = buf_append_format(out, "      <%s>\n", method);
	if (err == ERR_OK)
		err = put(out, 4, "domain", auth->domain);
	if (err == ERR_OK && is_dkim)
		err = put(out, 4, "selector", auth->selector);
	if (err == ERR_OK && !is_dkim)
		err = put_if(out, 4, "scope", auth->scope);
	if (err == ERR_OK)
		err = put(out, 4, "result", auth->result);
	if (err == ERR_OK)
		err = put_if(out, 4, "human_result", auth->human_result);
	return err == ERR_OK ? buf_append_format(out, "      </%s>\n", method) : err;
}

enum err dmarc_report_add(const struct dmarc_report_row *row, struct buf *out)
{
	enum err err = buf_append_cstr(out, "  <record>\n    <row>\n");
	if (err == ERR_OK)
		err = put(out, 3, "source_ip", row->source_ip);
	if (err == ERR_OK)
		err = put_number(out, 3, "count", (int64_t)row->messages);
	if (err == ERR_OK)
		err = put_evaluated(row, out);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "    </row>\n    <identifiers>\n");
	if (err == ERR_OK)
		err = put_if(out, 3, "envelope_to", row->envelope_to);
	/* RFC 7489 demands it; it is empty for a null reverse-path. */
	if (err == ERR_OK)
		err = put(out, 3, "envelope_from", row->envelope_from);
	if (err == ERR_OK)
		err = put(out, 3, "header_from", row->header_from);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "    </identifiers>\n    <auth_results>\n");
	for (size_t i = 0; i < row->dkim_count && err == ERR_OK; i++)
		err = put_auth("dkim", &row->dkim[i], out);
	for (size_t i = 0; i < row->spf_count && err == ERR_OK; i++)
		err = put_auth("spf", &row->spf[i], out);
	return err == ERR_OK ? buf_append_cstr(out, "    </auth_results>\n  </record>\n") : err;
}

enum err dmarc_report_end(struct buf *out)
{
	return buf_append_cstr(out, "</feedback>\n");
}

/* Letters, digits, dots and hyphens; all else would need quoting somewhere. */
static enum err put_name(struct view text, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < text.len && i < 255 && err == ERR_OK; i++) {
		uint8_t c = text.ptr[i];
		err = buf_append_byte(out, ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' ? c : '-');
	}
	return err;
}

enum err dmarc_report_file_name(
	const struct dmarc_report *report, struct view receiver, struct view id, struct buf *out)
{
	enum err err = put_name(receiver, out);
	if (err == ERR_OK)
		err = buf_append_byte(out, '!');
	if (err == ERR_OK)
		err = put_name(report->policy.domain, out);
	if (err == ERR_OK)
		err = buf_append_format(out, "!%lld!%lld", (long long)report->begin_s, (long long)report->end_s);
	if (err == ERR_OK && id.len > 0)
		err = buf_append_byte(out, '!');
	if (err == ERR_OK)
		err = put_name(id, out);
	return err == ERR_OK ? buf_append_cstr(out, ".xml.gz") : err;
}
