/*
 * Laws of Authentication-Results:
 *   - whatever strangers say, a result is one result, and the field one field: lines of printable bytes, each within
 *     998, folded by a tab, its id read back as it was; our own is found as one that pretends to be ours;
 *   - a text is either refused as a result or adds no result, field or line;
 *   - in any header section, what is taken for forged lies in it, in order, and is an Authentication-Results; without
 *     it nothing more is found.
 *
 * The input is lines: id, reason, value; then a header section.
 */
#include "mailauth/auth_results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The ";" outside quotes, which is what separates results. */
static size_t check_lines(struct view field)
{
	size_t separators = 0;
	bool in_quotes = false, is_first = true;
	struct view rest = field, line;
	ASSERT(view_ends_with_nocase(field, VIEW("\r\n")));
	for (; view_split(&rest, '\n', &line); is_first = false) {
		ASSERT(line.len > 1 && line.len <= 998 && line.ptr[line.len - 1] == '\r');
		ASSERT(is_first || (line.ptr[0] == '\t' && line.len > 2));
		for (size_t i = is_first ? 0 : 1; i + 1 < line.len; i++) {
			ASSERT(ascii_is_printable(line.ptr[i]));
			if (in_quotes && line.ptr[i] == '\\')
				i++;
			else if (line.ptr[i] == '"')
				in_quotes = !in_quotes;
			else
				separators += !in_quotes && line.ptr[i] == ';';
		}
		ASSERT(!in_quotes);
	}
	return separators;
}

static void check_field(struct view field, struct view id, size_t count)
{
	struct view rest = field;
	struct header_field found;
	struct buf read = { 0 };
	enum auth_serv_id kind;
	ASSERT(check_lines(field) == count);
	ASSERT(header_next(&rest, &found) && rest.len == 0 && view_eq(found.whole, field));
	ASSERT(auth_results_read_id(found.value, &read, &kind) == ERR_OK && kind == AUTH_ID_PRESENT);
	bool is_clean = id.len <= 320;
	for (size_t i = 0; i < id.len; i++)
		is_clean = is_clean && ascii_is_printable(id.ptr[i]);
	ASSERT(!is_clean || view_eq(buf_view(&read), id));
	struct view ours = buf_view(&read);
	rest = field;
	ASSERT(auth_results_next_forged(&rest, &ours, 1, &found));
	buf_clear(&read);
}

static void check_writing(struct view id, struct view reason, struct view value)
{
	struct auth_property properties[] = { { VIEW("smtp"), VIEW("auth"), value },
		{ VIEW("x"), VIEW("y-z"), reason } };
	struct auth_result result = { VIEW("auth"), VIEW("pass"), reason, properties, 2 };
	struct buf one = { 0 }, two = { 0 }, field = { 0 };
	ASSERT(auth_result_format(&result, &one) == ERR_OK);
	ASSERT(auth_iprev_format(AUTH_IPREV_FAIL, value, reason, &two) == ERR_OK);
	struct view results[] = { buf_view(&one), buf_view(&two), value };
	for (size_t count = 0; count < 3; count++) {
		buf_reset(&field);
		ASSERT(auth_results_format(id, results, count, &field) == ERR_OK);
		check_field(buf_view(&field), id, count > 0 ? count : 1);
	}
	buf_reset(&field);
	enum err err = auth_results_format(id, results, 3, &field);
	ASSERT(err == ERR_OK || (err == ERR_SYNTAX && field.len == 0));
	if (err == ERR_OK)
		check_field(buf_view(&field), id, 3);
	buf_clear(&one);
	buf_clear(&two);
	buf_clear(&field);
}

static size_t remove_forged(struct view headers, struct view id, struct buf *out)
{
	struct header_field found;
	struct view rest = headers;
	const uint8_t *end = headers.ptr;
	size_t count = 0;
	while (auth_results_next_forged(&rest, &id, 1, &found)) {
		ASSERT(found.whole.ptr >= end && view_eq_nocase(found.name, VIEW("Authentication-Results")));
		ASSERT(buf_append(out, view_of(end, (size_t)(found.whole.ptr - end))) == ERR_OK);
		end = found.whole.ptr + found.whole.len;
		ASSERT(end <= headers.ptr + headers.len);
		count++;
	}
	ASSERT(buf_append(out, view_from(headers, (size_t)(end - headers.ptr))) == ERR_OK);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size), id = VIEW_NONE, reason = VIEW_NONE, value = VIEW_NONE;
	view_split(&in, '\n', &id);
	view_split(&in, '\n', &reason);
	view_split(&in, '\n', &value);
	check_writing(id, reason, value);
	if (in.len == 0)
		return 0;
	struct buf clean = { 0 }, again = { 0 };
	remove_forged(in, id, &clean);
	/* A folded line that stood behind a forged field went with it, so no field has changed. */
	ASSERT(clean.len == 0 || remove_forged(buf_view(&clean), id, &again) == 0);
	buf_clear(&clean);
	buf_clear(&again);
	return 0;
}
