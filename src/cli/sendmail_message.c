#include "cli/sendmail_message.h"

#include "base/mem.h"
#include "mail/address.h"
#include "mail/address_list.h"

void sendmail_message_clear(struct sendmail_message *message)
{
	buf_clear(&message->content);
	buf_clear(&message->sender);
	buf_clear(&message->recipients);
	*message = (struct sendmail_message){ 0 };
}

/* The next line off the front of *rest, without its end. CRs before the LF belong to the end: programs that write CRLF through a
 * library which makes CRLF of LF produce them. A CR elsewhere ends a line of its own: bare it may not travel (RFC 5321 §2.3.8). */
static struct view next_line(struct view *rest)
{
	size_t end = 0;
	while (end < rest->len && rest->ptr[end] != '\n' && rest->ptr[end] != '\r')
		end++;
	struct view line = view_sub(*rest, 0, end);
	size_t after = end;
	while (after < rest->len && after < end + 4 && rest->ptr[after] == '\r')
		after++;
	if (after < rest->len && rest->ptr[after] == '\n')
		after++;
	else if (after > end + 1)
		after = end + 1;
	*rest = view_from(*rest, after);
	return line;
}

enum err sendmail_line_ends(struct view input, bool dot_ends, struct buf *out)
{
	if (view_starts_with(input, VIEW("From ")))
		(void)next_line(&input);
	enum err err = ERR_OK;
	while (err == ERR_OK && input.len > 0) {
		struct view line = next_line(&input);
		if (dot_ends && view_eq(line, VIEW(".")))
			break;
		err = buf_append(out, line);
		if (err == ERR_OK)
			err = buf_append(out, VIEW("\r\n"));
	}
	return err == ERR_LIMIT ? err_set(err, "the message is too large") : err;
}

/* Appends the address in its full form, checked. "local" alone gets our domain; root is whoever looks after this machine, which RFC 5321
 * §4.5.1 calls postmaster. */
static enum err qualify(struct view address, const struct sendmail_facts *facts, bool is_recipient, struct buf *out)
{
	struct address parsed;
	if (address_parse(address, ADDRESS_ALLOW_UTF8, &parsed) == ERR_OK)
		return buf_append(out, address);
	if (is_recipient && (view_eq_nocase(address, VIEW("root")) || view_eq_nocase(address, VIEW("postmaster"))))
		return buf_append(out, VIEW("postmaster"));
	size_t before = out->len;
	enum err err = buf_append(out, address);
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = buf_append(out, facts->domain);
	if (err == ERR_OK && address_parse(view_from(buf_view(out), before), ADDRESS_ALLOW_UTF8, &parsed) != ERR_OK) {
		struct buf shown = { 0 };
		err = buf_append_escaped(&shown, address, 100);
		if (err == ERR_OK)
			err = err_set(ERR_SYNTAX, "'%s' is no mail address", buf_cstr(&shown));
		buf_clear(&shown);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

static enum err add_recipient(struct view address, const struct sendmail_facts *facts, struct sendmail_message *message)
{
	enum err err = qualify(address, facts, true, &message->recipients);
	if (err == ERR_OK)
		err = buf_append_byte(&message->recipients, '\n');
	if (err == ERR_OK && ++message->recipient_count > SENDMAIL_RECIPIENTS_MAX)
		err = err_set(ERR_LIMIT, "more than %u recipients", SENDMAIL_RECIPIENTS_MAX);
	return err;
}

static int compare_views(const void *a, const void *b)
{
	return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* Each once, however often and in whatever form it was named: sorted, equal ones are neighbours. */
static enum err drop_duplicates(struct sendmail_message *message)
{
	struct view *sorted = mem_alloc_array(message->recipient_count + 1, sizeof sorted[0]);
	struct view rest = buf_view(&message->recipients);
	struct buf unique = { 0 };
	size_t count = 0;
	size_t kept = 0;
	enum err err = ERR_OK;
	while (count < message->recipient_count && view_split(&rest, '\n', &sorted[count]))
		count++;
	qsort(sorted, count, sizeof sorted[0], compare_views);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		if (i > 0 && view_eq(sorted[i], sorted[i - 1]))
			continue;
		kept++;
		err = buf_append(&unique, sorted[i]);
		if (err == ERR_OK)
			err = buf_append_byte(&unique, '\n');
	}
	mem_free(sorted);
	buf_clear(&message->recipients);
	message->recipients = unique;
	message->recipient_count = kept;
	message->is_smtputf8 = !view_is_ascii(buf_view(&unique));
	return err;
}

/* Arguments may be lists and have names: "Joe <joe@example.com>, root". */
static enum err add_argument(const char *word, const struct sendmail_facts *facts, struct sendmail_message *message)
{
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, view_from_cstr(word));
	enum err err;
	while ((err = address_list_next(&list, &entry)) == ERR_OK) {
		err = add_recipient(entry.address, facts, message);
		if (err != ERR_OK)
			break;
	}
	address_list_clear(&list);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err add_from_header(
	struct view headers, const struct sendmail_facts *facts, struct sendmail_message *message)
{
	struct buf found = { 0 };
	enum err err = submission_recipients(headers, SENDMAIL_RECIPIENTS_MAX, &found);
	struct view rest = buf_view(&found);
	struct view address;
	while (err == ERR_OK && view_split(&rest, '\n', &address))
		err = add_recipient(address, facts, message);
	buf_clear(&found);
	return err;
}

static enum err find_recipients(struct view headers, const struct sendmail_options *options,
	const struct sendmail_facts *facts, struct sendmail_message *message)
{
	enum err err = options->recipients_from_header ? add_from_header(headers, facts, message) : ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < options->recipients.count; i++)
		err = add_argument(options->recipients.items[i], facts, message);
	if (err == ERR_OK)
		err = drop_duplicates(message);
	if (err == ERR_OK && message->recipient_count == 0)
		err = err_set(ERR_SYNTAX,
			options->recipients_from_header
				? "there is no recipient: neither in To, Cc or Bcc nor as an argument"
				: "there is no recipient: name one, or use -t to take them from the header");
	return err;
}

static enum err find_sender(
	const struct sendmail_options *options, const struct sendmail_facts *facts, struct sendmail_message *message)
{
	if (options->sender == NULL)
		return qualify(facts->user, facts, false, &message->sender);
	struct view given = view_trim(view_from_cstr(options->sender));
	if (given.len == 0 || view_eq(given, VIEW("<>")))
		return ERR_OK;
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, given);
	enum err err = address_list_next(&list, &entry);
	if (err == ERR_OK)
		err = qualify(entry.address, facts, false, &message->sender);
	address_list_clear(&list);
	if (err == ERR_NOT_FOUND)
		err = err_set(ERR_SYNTAX, "the sender -f %.100s is no mail address", options->sender);
	message->is_smtputf8 = message->is_smtputf8 || !view_is_ascii(buf_view(&message->sender));
	return err;
}

/* Fields that are missing, fields that are there without Bcc, the empty line, the body. */
static enum err assemble(struct view text, const struct sendmail_options *options, const struct sendmail_facts *facts,
	struct sendmail_message *message)
{
	struct buf from = { 0 };
	size_t body_from = 0;
	struct view headers = view_sub(text, 0, submission_header_length(text, &body_from));
	struct buf *content = &message->content;
	struct view name = options->full_name != NULL ? view_from_cstr(options->full_name) : facts->full_name;
	/* A message from <> was still written by somebody. */
	enum err err = message->sender.len > 0 ? address_list_format(name, buf_view(&message->sender), &from)
					       : qualify(facts->user, facts, false, &from);
	if (err == ERR_OK) {
		struct submission_facts missing = {
			.wall_ms = facts->wall_ms,
			.zone_minutes = facts->zone_minutes,
			.hostname = facts->hostname,
			.from = buf_view(&from),
		};
		for (size_t i = 0; i < SUBMISSION_RANDOM_BYTES; i++)
			missing.random[i] = facts->random[i];
		err = submission_missing_fields(headers, &missing, content);
	}
	if (err == ERR_OK)
		err = submission_without_bcc(headers, content);
	if (err == ERR_OK)
		err = buf_append(content, VIEW("\r\n"));
	if (err == ERR_OK)
		err = buf_append(content, view_from(text, body_from));
	buf_clear(&from);
	return err == ERR_LIMIT ? err_set(err, "the message is too large") : err;
}

enum err sendmail_message_build(struct view input, const struct sendmail_options *options,
	const struct sendmail_facts *facts, struct sendmail_message *ret)
{
	struct sendmail_message message = { 0 };
	struct buf text = { 0 };
	/* What came in is bounded; what is made of it is at most a CR per byte and a few fields more. */
	text.max_bytes = message.content.max_bytes = input.len * 2 + 64 * 1024;
	enum err err = sendmail_line_ends(input, !options->dot_is_text, &text);
	size_t body_from;
	if (err == ERR_OK) {
		struct view headers = view_sub(
			buf_view(&text), 0, submission_header_length(buf_view(&text), &body_from));
		err = find_recipients(headers, options, facts, &message);
	}
	if (err == ERR_OK)
		err = find_sender(options, facts, &message);
	if (err == ERR_OK)
		err = assemble(buf_view(&text), options, facts, &message);
	buf_clear(&text);
	if (err != ERR_OK) {
		sendmail_message_clear(&message);
		return err;
	}
	message.is_8bit = !view_is_ascii(buf_view(&message.content));
	*ret = message;
	return ERR_OK;
}
