/* What a program writes to sendmail: the first byte chooses the flags, the rest is the message. Laws:
 *   - line ends are CRLF and nothing else, and doing it again changes nothing;
 *   - no Bcc is left in the header, and Date, Message-ID and From are there;
 *   - there is at least one recipient, each of them once, without line ends. */
#include "cli/sendmail_message.h"

#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_line_ends(struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		must(text.ptr[i] != '\r' || (i + 1 < text.len && text.ptr[i + 1] == '\n'));
		must(text.ptr[i] != '\n' || (i > 0 && text.ptr[i - 1] == '\r'));
	}
	must(text.len == 0 || text.ptr[text.len - 1] == '\n');
}

static void check_again(struct view text)
{
	struct buf again = { 0 };
	/* A line "From " at the front is dropped each time, and so is what then stands there. */
	if (view_starts_with(text, VIEW("From ")))
		return;
	must(sendmail_line_ends(text, false, &again) == ERR_OK);
	must(view_eq(buf_view(&again), text));
	buf_clear(&again);
}

static void check_recipients(const struct sendmail_message *message)
{
	struct view rest = buf_view(&message->recipients);
	struct view line;
	size_t count = 0;
	while (view_split(&rest, '\n', &line)) {
		struct view others = rest;
		struct view other;
		must(line.len > 0 && view_find(line, '\r') == line.len && view_find(line, '\0') == line.len);
		while (count < 50 && view_split(&others, '\n', &other))
			must(!view_eq(line, other));
		count++;
	}
	must(count == message->recipient_count && count > 0);
}

static void check_message(const struct sendmail_message *message)
{
	struct view content = buf_view(&message->content);
	size_t body_from;
	struct view headers = view_sub(content, 0, submission_header_length(content, &body_from));
	check_line_ends(content);
	must(header_count(headers, VIEW("Bcc")) == 0 && header_count(headers, VIEW("Resent-Bcc")) == 0);
	must(header_count(headers, VIEW("Date")) > 0 && header_count(headers, VIEW("Message-ID")) > 0);
	must(header_count(headers, VIEW("From")) > 0);
	must(view_is_ascii(content) == !message->is_8bit);
	check_recipients(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sendmail_facts facts = {
		.user = { (const uint8_t *)"joe", 3 },
		.full_name = { (const uint8_t *)"Joe Doe", 7 },
		.domain = { (const uint8_t *)"example.com", 11 },
		.hostname = { (const uint8_t *)"mail.example.com", 16 },
		.wall_ms = 1700000000000,
	};
	if (size == 0)
		return 0;
	struct view input = view_of(data + 1, size - 1);
	struct sendmail_options options = {
		.recipients_from_header = (data[0] & 1) != 0,
		.dot_is_text = (data[0] & 2) != 0,
		.sender = (data[0] & 4) != 0 ? "<>" : NULL,
	};
	if ((data[0] & 8) != 0)
		options.recipients = (struct option_list){ 2, { "a@b.example, root", "A <a@b.example>" } };
	struct buf text = { 0 };
	must(sendmail_line_ends(input, !options.dot_is_text, &text) == ERR_OK);
	check_line_ends(buf_view(&text));
	check_again(buf_view(&text));
	buf_clear(&text);
	struct sendmail_message message;
	if (sendmail_message_build(input, &options, &facts, &message) == ERR_OK) {
		check_message(&message);
		sendmail_message_clear(&message);
	}
	return 0;
}
