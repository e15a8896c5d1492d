#include "mail/submission.h"

#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/writer_private.h"

#include "base/mem.h"

_Static_assert(SUBMISSION_RANDOM_BYTES == MESSAGE_ID_RANDOM_BYTES, "one serves the other");

enum err submission_missing_fields(struct view headers, const struct submission_facts *facts, struct buf *out)
{
	bool has_date = false, has_id = false, has_from = false;
	struct view rest = headers;
	struct header_field field;
	while (header_next(&rest, &field)) {
		has_date |= view_eq_nocase(field.name, VIEW("Date"));
		has_id |= view_eq_nocase(field.name, VIEW("Message-ID"));
		has_from |= view_eq_nocase(field.name, VIEW("From"));
	}
	struct writer w = writer_begin(out);
	if (!has_date) {
		write_text(&w, "Date: ");
		write_result(&w, date_format(facts->wall_ms, facts->zone_minutes, out));
		write_text(&w, "\r\n");
	}
	if (!has_id) {
		write_text(&w, "Message-ID: ");
		write_result(&w, message_id_make(facts->wall_ms, facts->random, facts->hostname, out));
		write_text(&w, "\r\n");
	}
	if (!has_from && facts->from.len > 0) {
		write_text(&w, "From: ");
		write_view(&w, facts->from);
		write_text(&w, "\r\n");
	}
	return writer_end(&w);
}

size_t submission_header_length(struct view message, size_t *ret_body_from)
{
	struct view rest = message, before = message;
	struct header_field field;
	while (header_next(&rest, &field)) {
		if (field.name.len == 0) {
			rest = before;
			break;
		}
		before = rest;
	}
	size_t header = message.len - rest.len, empty = 0;
	if (rest.len > 0 && rest.ptr[0] == '\n')
		empty = 1;
	else if (rest.len > 1 && rest.ptr[0] == '\r' && rest.ptr[1] == '\n')
		empty = 2;
	*ret_body_from = header + empty;
	return header;
}

static bool is_one_of(struct view name, const char *const names[3])
{
	for (size_t i = 0; i < 3; i++)
		if (view_eq_nocase(name, view_from_cstr(names[i])))
			return true;
	return false;
}

static int compare_views(const void *a, const void *b)
{
	return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* Sorted, so that duplicates are neighbours whatever their number. */
static enum err append_unique(struct view lines, size_t count, size_t recipients_max, struct buf *out)
{
	struct view *sorted = mem_alloc_array(count, sizeof *sorted), line;
	size_t n = 0, unique = 0;
	while (n < count && view_split(&lines, '\n', &line))
		sorted[n++] = line;
	qsort(sorted, n, sizeof *sorted, compare_views);
	struct writer w = writer_begin(out);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && view_eq(sorted[i], sorted[i - 1]))
			continue;
		if (++unique > recipients_max)
			write_result(&w, err_set(ERR_LIMIT, "more than %zu recipients", recipients_max));
		write_view(&w, sorted[i]);
		write_byte(&w, '\n');
	}
	mem_free(sorted);
	return writer_end(&w);
}

/* The addresses of one field's value to *found. */
static enum err collect(const struct header_field *field, struct buf *found, size_t *count)
{
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, field->value);
	enum err err;
	while ((err = address_list_next(&list, &entry)) == ERR_OK) {
		struct writer w = writer_begin(found);
		write_view(&w, entry.address);
		write_byte(&w, '\n');
		err = writer_end(&w);
		if (err != ERR_OK)
			break;
		++*count;
	}
	address_list_clear(&list);
	if (err == ERR_SYNTAX) {
		/* A copy, since err_set() writes where err_detail() reads. */
		CLEANUP(mem_free_pointer) char *detail = mem_dup_cstr(err_detail());
		return err_set(ERR_SYNTAX, "field %.*s: %s", VIEW_ARG(view_sub(field->name, 0, 20)), detail);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err submission_recipients(struct view headers, size_t recipients_max, struct buf *out)
{
	static const char *const plain[3] = { "To", "Cc", "Bcc" };
	static const char *const resent[3] = { "Resent-To", "Resent-Cc", "Resent-Bcc" };
	const char *const *wanted = plain;
	struct view rest = headers;
	struct header_field field;
	while (header_next(&rest, &field))
		if (is_one_of(field.name, resent))
			wanted = resent;
	struct buf found = { 0 };
	size_t count = 0;
	enum err err = ERR_OK;
	rest = headers;
	while (err == ERR_OK && header_next(&rest, &field))
		if (is_one_of(field.name, wanted))
			err = collect(&field, &found, &count);
	if (err == ERR_OK && count > 0)
		err = append_unique(buf_view(&found), count, recipients_max, out);
	buf_clear(&found);
	return err;
}

enum err submission_without_bcc(struct view headers, struct buf *out)
{
	struct writer w = writer_begin(out);
	struct header_field field;
	while (header_next(&headers, &field))
		if (!view_eq_nocase(field.name, VIEW("Bcc")) && !view_eq_nocase(field.name, VIEW("Resent-Bcc")))
			write_view(&w, field.whole);
	/* With the empty line, if the header section has one. */
	write_view(&w, view_sub(headers, 0, headers.len > 0 && headers.ptr[0] == '\r' ? 2 : 1));
	return writer_end(&w);
}
