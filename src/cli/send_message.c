#include "cli/send_message.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypto/random.h"
#include "mail/address_list.h"
#include "mail/compose.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECIPIENTS_MAX 10000u
#define ATTACHMENTS_MAX 1000u
#define FILE_MAX_BYTES (512u * 1024 * 1024)
#define MESSAGE_MAX_BYTES (1024u * 1024 * 1024)

void send_message_clear(struct send_message *message)
{
	buf_clear(&message->content);
	buf_clear(&message->sender);
	buf_clear(&message->addresses);
	mem_free(message->recipients);
	*message = (struct send_message){ 0 };
}

struct view send_message_type_of(const char *file_name)
{
	static const struct {
		const char *extension;
		const char *type;
	} types[] = {
		{ ".txt", "text/plain; charset=utf-8" },
		{ ".html", "text/html" },
		{ ".htm", "text/html" },
		{ ".csv", "text/csv" },
		{ ".ics", "text/calendar" },
		{ ".md", "text/markdown" },
		{ ".patch", "text/x-patch" },
		{ ".diff", "text/x-patch" },
		{ ".pdf", "application/pdf" },
		{ ".json", "application/json" },
		{ ".xml", "application/xml" },
		{ ".zip", "application/zip" },
		{ ".gz", "application/gzip" },
		{ ".eml", "message/rfc822" },
		{ ".png", "image/png" },
		{ ".jpg", "image/jpeg" },
		{ ".jpeg", "image/jpeg" },
		{ ".gif", "image/gif" },
		{ ".webp", "image/webp" },
		{ ".svg", "image/svg+xml" },
		{ ".mp3", "audio/mpeg" },
		{ ".mp4", "video/mp4" },
		{ ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
		{ ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
		{ ".odt", "application/vnd.oasis.opendocument.text" },
		{ ".ods", "application/vnd.oasis.opendocument.spreadsheet" },
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (view_ends_with_nocase(view_from_cstr(file_name), view_from_cstr(types[i].extension)))
			return view_from_cstr(types[i].type);
	return VIEW_NONE;
}

static enum err join(const struct option_list *list, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < list->count; i++) {
		if (i > 0)
			err = buf_append(out, VIEW(", "));
		if (err == ERR_OK)
			err = buf_append_cstr(out, list->items[i]);
	}
	return err;
}

static enum err read_text(const char *literal, const char *file, struct buf *out)
{
	if (literal != NULL)
		return buf_append_cstr(out, literal);
	if (file == NULL)
		return ERR_OK;
	return strcmp(file, "-") == 0 ? cli_read_fd(STDIN_FILENO, out) : cli_read_file(file, out);
}

/* Without any content on the command line the text is what comes on standard input. */
static enum err read_plain(const struct send_request *request, struct buf *out)
{
	bool none = request->text == NULL && request->text_file == NULL && request->html == NULL &&
		request->html_file == NULL && request->attachments.count == 0;
	if (none && isatty(STDIN_FILENO))
		fputs("Write the message; end with Ctrl-D on a line of its own.\n", stderr);
	return read_text(request->text, none ? "-" : request->text_file, out);
}

/* The addresses of one field, one a line, behind what is in *out. A name without a domain can't be sent to another server. */
static enum err append_addresses(struct view field, const char *name, struct buf *out, size_t *count)
{
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, field);
	enum err err;
	while ((err = address_list_next(&list, &entry)) == ERR_OK) {
		if (view_find_last(entry.address, '@') >= entry.address.len)
			err = err_set(ERR_SYNTAX, "%s: '%.*s' has no domain", name,
				VIEW_ARG(view_sub(entry.address, 0, 100)));
		if (err == ERR_OK)
			err = buf_append(out, entry.address);
		if (err == ERR_OK)
			err = buf_append_byte(out, '\n');
		if (err == ERR_OK && ++*count > RECIPIENTS_MAX)
			err = err_set(ERR_LIMIT, "more than %u recipients", RECIPIENTS_MAX);
		if (err != ERR_OK)
			break;
	}
	address_list_clear(&list);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static int compare_recipients(const void *a, const void *b)
{
	const struct smtp_sender_recipient *x = a;
	const struct smtp_sender_recipient *y = b;
	return view_compare(x->address, y->address);
}

/* Lines become recipients, each once. */
static void split_addresses(struct send_message *message, size_t count)
{
	struct view rest = buf_view(&message->addresses);
	struct view line;
	size_t n = 0;
	message->recipients = mem_alloc_array(count, sizeof message->recipients[0]);
	while (n < count && view_split(&rest, '\n', &line))
		message->recipients[n++].address = line;
	qsort(message->recipients, n, sizeof message->recipients[0], compare_recipients);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !view_eq(message->recipients[i].address, message->recipients[i - 1].address))
			message->recipients[message->recipient_count++].address = message->recipients[i].address;
}

static enum err build_envelope(
	struct view from, struct view to, struct view cc, struct view bcc, struct send_message *ret)
{
	struct buf senders = { 0 };
	size_t sender_count = 0;
	size_t count = 0;
	enum err err = append_addresses(from, "from", &senders, &sender_count);
	if (err == ERR_OK && sender_count == 0)
		err = err_set(ERR_SYNTAX, "say who sends it: --from you@example.com");
	if (err == ERR_OK)
		err = buf_append(&ret->sender, view_sub(buf_view(&senders), 0, view_find(buf_view(&senders), '\n')));
	if (err == ERR_OK)
		err = append_addresses(to, "to", &ret->addresses, &count);
	if (err == ERR_OK)
		err = append_addresses(cc, "cc", &ret->addresses, &count);
	if (err == ERR_OK)
		err = append_addresses(bcc, "bcc", &ret->addresses, &count);
	if (err == ERR_OK && count == 0)
		err = err_set(ERR_SYNTAX, "say who gets it: --to somebody@example.com");
	if (err == ERR_OK)
		split_addresses(ret, count);
	ret->is_smtputf8 = !view_is_ascii(buf_view(&ret->sender)) || !view_is_ascii(buf_view(&ret->addresses));
	buf_clear(&senders);
	return err;
}

struct parts {
	struct buf to, cc, bcc, text, html;
	size_t count;
	struct buf *files;
	struct compose_attachment *attachments;
};

static void parts_clear(struct parts *parts)
{
	buf_clear(&parts->to);
	buf_clear(&parts->cc);
	buf_clear(&parts->bcc);
	buf_clear(&parts->text);
	buf_clear(&parts->html);
	for (size_t i = 0; i < parts->count; i++)
		buf_clear(&parts->files[i]);
	mem_free(parts->files);
	mem_free(parts->attachments);
}

static enum err read_attachments(const struct option_list *names, struct parts *parts)
{
	if (names->count > ATTACHMENTS_MAX)
		return err_set(ERR_LIMIT, "more than %u attachments", ATTACHMENTS_MAX);
	parts->count = names->count;
	parts->files = mem_alloc_array(names->count + 1, sizeof parts->files[0]);
	parts->attachments = mem_alloc_array(names->count + 1, sizeof parts->attachments[0]);
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < names->count; i++) {
		buf_init(&parts->files[i], FILE_MAX_BYTES);
		err = cli_read_file(names->items[i], &parts->files[i]);
		parts->attachments[i] = (struct compose_attachment){
			.name = view_from_cstr(names->items[i]),
			.type = send_message_type_of(names->items[i]),
			.bytes = buf_view(&parts->files[i]),
		};
	}
	return err;
}

static enum err read_parts(const struct send_request *request, struct parts *parts)
{
	buf_init(&parts->text, FILE_MAX_BYTES);
	buf_init(&parts->html, FILE_MAX_BYTES);
	enum err err = read_attachments(&request->attachments, parts);
	if (err == ERR_OK)
		err = read_plain(request, &parts->text);
	if (err == ERR_OK)
		err = read_text(request->html, request->html_file, &parts->html);
	return err;
}

static enum err build_content(
	const struct send_request *request, const struct parts *parts, struct send_message *message)
{
	struct view sender = buf_view(&message->sender);
	struct view domain = view_from(sender, view_find_last(sender, '@') + 1);
	struct compose compose = {
		.from = view_from_cstr(request->from),
		.to = buf_view(&parts->to),
		.cc = buf_view(&parts->cc),
		.reply_to = view_from_cstr(request->reply_to),
		.subject = view_from_cstr(request->subject),
		.text = buf_view(&parts->text),
		.html = buf_view(&parts->html),
		.attachment_count = parts->count,
		.attachments = parts->attachments,
		.wall_ms = clock_wall_ms(),
		/* Of the sender's domain: it says less about this machine, and stays the same from wherever one writes. */
		.hostname = view_is_ascii(domain) ? domain : request->hostname,
	};
	time_t seconds = (time_t)(compose.wall_ms / 1000);
	struct tm broken;
	if (localtime_r(&seconds, &broken) != NULL)
		compose.zone_minutes = (int)(broken.tm_gmtoff / 60);
	random_bytes(compose.random, sizeof compose.random);
	struct compose_built built = { 0 };
	enum err err = compose_build(&compose, &message->content, &built);
	message->is_smtputf8 = message->is_smtputf8 || built.is_smtputf8;
	return err == ERR_LIMIT ? err_set(err, "the message is too large") : err;
}

enum err send_message_build(const struct send_request *request, struct send_message *ret)
{
	struct send_message message = { 0 };
	struct parts parts = { 0 };
	buf_init(&message.content, MESSAGE_MAX_BYTES);
	enum err err = join(&request->to, &parts.to);
	if (err == ERR_OK)
		err = join(&request->cc, &parts.cc);
	if (err == ERR_OK)
		err = join(&request->bcc, &parts.bcc);
	/* A wrong address is told before anybody has typed a message. */
	if (err == ERR_OK)
		err = build_envelope(view_from_cstr(request->from), buf_view(&parts.to), buf_view(&parts.cc),
			buf_view(&parts.bcc), &message);
	if (err == ERR_OK)
		err = read_parts(request, &parts);
	if (err == ERR_OK)
		err = build_content(request, &parts, &message);
	parts_clear(&parts);
	if (err != ERR_OK) {
		send_message_clear(&message);
		return err;
	}
	*ret = message;
	return ERR_OK;
}
