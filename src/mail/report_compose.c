#include "mail/report_compose.h"

#include "mail/date.h"
#include "mail/encode.h"

static enum err put_field(const char *name, struct view value, struct buf *out)
{
	enum err err = buf_append_format(out, "%s: ", name);
	if (err == ERR_OK)
		err = header_text_encode(value, out);
	return err == ERR_OK ? buf_append_cstr(out, "\r\n") : err;
}

/* Addresses stand one a line, and are not encoded; control characters never get so far, but are not let through either. */
static enum err put_addresses(const char *name, const struct view *addresses, size_t count, struct buf *out)
{
	enum err err = buf_append_format(out, "%s: ", name);
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		if (i > 0)
			err = buf_append_cstr(out, ",\r\n ");
		if (err == ERR_OK)
			err = text_clean(addresses[i], out);
	}
	return err == ERR_OK ? buf_append_cstr(out, "\r\n") : err;
}

static enum err put_header(const struct report_compose *report, const char *boundary, struct buf *out)
{
	enum err err = buf_append_cstr(out, "Date: ");
	if (err == ERR_OK)
		err = date_format(report->wall_ms, 0, out);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "\r\n");
	if (err == ERR_OK)
		err = put_addresses("From", &report->from, 1, out);
	if (err == ERR_OK)
		err = put_addresses("To", report->to, report->to_count, out);
	if (err == ERR_OK)
		err = put_field("Subject", report->subject, out);
	if (err == ERR_OK)
		err = put_field("Message-ID", report->message_id, out);
	for (size_t i = 0; i < report->field_count && err == ERR_OK; i++)
		err = put_field(report->fields[i].name, report->fields[i].value, out);
	if (err == ERR_OK)
		err = buf_append_cstr(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	if (err == ERR_OK && report->report_type.len > 0)
		err = buf_append_format(out,
			"Content-Type: multipart/report; report-type=%.*s;\r\n boundary=\"%s\"\r\n",
			VIEW_ARG(report->report_type), boundary);
	else if (err == ERR_OK)
		err = buf_append_format(out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n", boundary);
	return err == ERR_OK ? buf_append_cstr(out, "\r\n") : err;
}

/* ASCII in lines that end with CRLF; a bare CR or LF is one. */
static enum err put_text(struct view text, struct buf *out)
{
	enum err err = ERR_OK;
	struct view line;
	while (err == ERR_OK && view_split(&text, '\n', &line)) {
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		for (size_t i = 0; i < line.len && err == ERR_OK; i++)
			err = buf_append_byte(out, ascii_is_printable(line.ptr[i]) ? line.ptr[i] : '?');
		if (err == ERR_OK)
			err = buf_append_cstr(out, "\r\n");
	}
	return err;
}

static enum err put_parts(const struct report_compose *report, const char *boundary, struct buf *out)
{
	enum err err = buf_append_format(out,
		"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
		boundary);
	if (err == ERR_OK)
		err = put_text(report->text, out);
	if (err == ERR_OK)
		err = buf_append_format(out,
			"\r\n--%s\r\nContent-Type: %.*s;\r\n name=\"%.*s\"\r\nContent-Transfer-Encoding: base64\r\n"
			"Content-Disposition: attachment;\r\n filename=\"%.*s\"\r\n\r\n",
			boundary, VIEW_ARG(report->file_type), VIEW_ARG(report->file_name),
			VIEW_ARG(report->file_name));
	if (err == ERR_OK)
		err = base64_encode_lines(report->file, out);
	return err == ERR_OK ? buf_append_format(out, "\r\n--%s--\r\n", boundary) : err;
}

enum err report_compose(const struct report_compose *report, struct buf *out)
{
	static const char hex[] = "0123456789abcdef";
	char boundary[8 + 2 * REPORT_COMPOSE_RANDOM_BYTES] = "report-";
	for (size_t i = 0; i < 2 * REPORT_COMPOSE_RANDOM_BYTES; i++)
		boundary[7 + i] = hex[report->random[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
	size_t before = out->len;
	enum err err = put_header(report, boundary, out);
	if (err == ERR_OK)
		err = put_parts(report, boundary, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}
