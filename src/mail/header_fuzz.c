/* A header section and what is done with it: fields, dates, address lists, trace fields, submission's fix-ups, the scan. */
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/received.h"
#include "mail/scan.h"
#include "mail/submission.h"

#include <stdlib.h>
#include <string.h>

#define LAW(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_date(struct view value)
{
	int64_t ms, again;
	struct buf text = { 0 };
	if (date_parse(value, &ms) == ERR_OK && date_format(ms, -210, &text) == ERR_OK)
		LAW(date_parse(buf_view(&text), &again) == ERR_OK && again == ms);
	buf_clear(&text);
}

static void check_addresses(struct view value)
{
	struct address_list list;
	struct address_list_entry entry;
	enum err err;
	size_t steps = 0;
	address_list_init(&list, value);
	while ((err = address_list_next(&list, &entry)) != ERR_NOT_FOUND) {
		LAW(++steps <= value.len + 1);
		if (err != ERR_OK)
			continue;
		struct address parsed;
		LAW(entry.local_length <= entry.address.len && entry.local_length > 0);
		LAW(view_is_utf8(entry.address) && view_is_utf8(entry.name));
		LAW(memchr(entry.address.ptr, '\n', entry.address.len) == NULL);
		if (entry.local_length < entry.address.len)
			LAW(address_parse(entry.address, ADDRESS_ALLOW_UTF8, &parsed) == ERR_OK);
		/* Written out, it is read back as the same mailbox. */
		struct buf text = { 0 };
		struct address_list one;
		struct address_list_entry again;
		LAW(address_list_format(entry.name, entry.address, &text) == ERR_OK);
		address_list_init(&one, buf_view(&text));
		LAW(address_list_next(&one, &again) == ERR_OK && view_eq(again.address, entry.address));
		LAW(address_list_next(&one, &again) == ERR_NOT_FOUND);
		address_list_clear(&one);
		buf_clear(&text);
	}
	address_list_clear(&list);
}

static size_t check_fields(struct view message)
{
	struct view rest = message;
	struct header_field field;
	size_t taken = 0, received = 0;
	struct buf text = { 0 };
	while (header_next(&rest, &field)) {
		LAW(field.whole.len > 0 && field.whole.ptr == message.ptr + taken);
		taken += field.whole.len;
		LAW(field.name.len + field.value.len <= field.whole.len);
		for (size_t i = 0; i < field.name.len; i++)
			LAW(field.name.ptr[i] > ' ' && field.name.ptr[i] < 0x7f && field.name.ptr[i] != ':');
		received += view_eq_nocase(field.name, VIEW("Received"));
		check_date(field.value);
		check_addresses(field.value);
		buf_reset(&text);
		LAW(header_unfold(field.value, &text) == ERR_OK && text.len <= field.value.len);
		LAW(text.len == 0 || memchr(text.ptr, '\n', text.len) == NULL);
		(void)message_id_is_clean(buf_view(&text));
	}
	LAW(taken + rest.len == message.len);
	size_t section = header_section_length(message);
	LAW(section == taken || (section == taken + 1 && message.ptr[taken] == '\n') ||
		(section == taken + 2 && message.ptr[taken] == '\r'));
	LAW(received_count(message) == received);
	buf_clear(&text);
	return taken;
}

static void check_submission(struct view message, size_t fields_length)
{
	struct submission_facts facts = { .hostname = VIEW("h.example") };
	struct buf out = { 0 };
	size_t body, header = submission_header_length(message, &body);
	LAW(header <= fields_length && body >= header && body <= header + 2);
	LAW(submission_missing_fields(message, &facts, &out) == ERR_OK);
	/* With what was added, nothing is missing any more. */
	LAW(buf_append(&out, message) == ERR_OK);
	LAW(header_count(buf_view(&out), VIEW("Date")) > 0 && header_count(buf_view(&out), VIEW("Message-ID")) > 0);
	buf_reset(&out);
	LAW(submission_without_bcc(message, &out) == ERR_OK && out.len <= message.len);
	LAW(header_count(buf_view(&out), VIEW("Bcc")) == 0 || header_count(message, VIEW("")) > 0 ||
		fields_length < message.len);
	LAW(header_count(view_sub(buf_view(&out), 0, fields_length), VIEW("Bcc")) == 0);
	buf_reset(&out);
	if (submission_recipients(message, 100, &out) == ERR_OK) {
		struct view rest = buf_view(&out), line, last = VIEW_NONE;
		while (view_split(&rest, '\n', &line)) {
			LAW(line.len > 0 && !view_eq(line, last));
			last = line;
		}
	}
	buf_clear(&out);
}

/* Hostile words in every place: still one field, with lines that fit. */
static void check_received(struct view in)
{
	struct view words[8] = { 0 }, rest = in;
	for (size_t i = 0; i < 8 && view_split(&rest, '|', &words[i]); i++)
		;
	struct received_trace trace = { .helo = words[0],
		.client_name = words[1],
		.client_address = words[2],
		.by = words[3],
		.note = words[4],
		.tls_version = words[5],
		.tls_cipher = words[6],
		.id = words[3],
		.recipient = words[7],
		.is_esmtp = in.len % 2 == 1,
		.is_tls = in.len % 3 == 1,
		.is_smtputf8 = in.len % 5 == 1 };
	struct buf out = { 0 };
	struct header_field field;
	LAW(received_format(&trace, &out) == ERR_OK);
	struct view all = buf_view(&out);
	LAW(header_next(&all, &field) && all.len == 0 && view_eq(field.name, VIEW("Received")));
	struct mail_scan scan = mail_scan(buf_view(&out));
	LAW(!mail_scan_is_binary(&scan) && (trace.is_smtputf8 || !scan.has_8bit_header));
	buf_reset(&out);
	if (return_path_format(words[0], &out) == ERR_OK) {
		all = buf_view(&out);
		LAW(header_next(&all, &field) && all.len == 0);
	}
	buf_clear(&out);
}

static void check_scan(struct view message)
{
	struct mail_scan whole = mail_scan(message), parts = { 0 };
	size_t step = message.len > 0 ? message.ptr[0] % 11 + 1 : 1;
	for (size_t i = 0; i < message.len; i += step)
		mail_scan_feed(&parts, view_sub(message, i, step));
	mail_scan_end(&parts);
	LAW(whole.has_8bit_header == parts.has_8bit_header && whole.has_8bit_body == parts.has_8bit_body);
	LAW(whole.has_nul == parts.has_nul && whole.has_bare_cr == parts.has_bare_cr);
	LAW(whole.has_bare_lf == parts.has_bare_lf && whole.line_max_bytes == parts.line_max_bytes);
	LAW(whole.header_bytes == parts.header_bytes && whole.total_bytes == message.len);
	LAW(whole.header_bytes == header_section_length(message));
	LAW((whole.has_8bit_header || whole.has_8bit_body) == !view_is_ascii(message));
	LAW(whole.has_nul == (view_find(message, 0) < message.len));
	bool bare_cr = false, bare_lf = false;
	for (size_t i = 0; i < message.len; i++) {
		bare_cr |= message.ptr[i] == '\r' && (i + 1 == message.len || message.ptr[i + 1] != '\n');
		bare_lf |= message.ptr[i] == '\n' && (i == 0 || message.ptr[i - 1] != '\r');
	}
	LAW(whole.has_bare_cr == bare_cr && whole.has_bare_lf == bare_lf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	size_t fields_length = check_fields(in);
	check_submission(in, fields_length);
	check_received(in);
	check_scan(in);
	return 0;
}
