#include "mail/report_parts.h"

enum { PARTS_MAX = 1000 };

struct search {
	bool (*is_report)(const struct mime_type *type);
	struct report_parts *found;
	unsigned parts; /* seen so far */
};

static bool is_message(const struct mime_type *type)
{
	return mime_type_is(type, "message", "rfc822") || mime_type_is(type, "message", "global") ||
		mime_type_is(type, "message", "global-headers") || mime_type_is(type, "text", "rfc822-headers") ||
		mime_type_is(type, "message", "rfc822-headers"); /* which some write */
}

static void search_part(struct view entity, bool in_digest, unsigned depth, struct search *search)
{
	struct report_parts *found = search->found;
	struct mime_part part;
	struct mime_walker walker;
	struct view child;
	if (depth > MIME_DEPTH_MAX || ++search->parts > PARTS_MAX)
		return;
	mime_part_parse(entity, in_digest, &part);
	if (!found->has_report && search->is_report(&part.type)) {
		found->report = part;
		found->has_report = true;
	} else if (found->has_report && !found->has_message && is_message(&part.type)) {
		found->message = part.body;
		found->has_message = true;
	} else if (mime_walker_init(&walker, &part)) {
		bool digest = view_eq_nocase(part.type.subtype, VIEW("digest"));
		while (!found->has_message && mime_walker_next(&walker, &child))
			search_part(child, digest, depth + 1, search);
	}
}

void report_parts_find(struct view message, bool (*is_report)(const struct mime_type *type), struct report_parts *ret)
{
	*ret = (struct report_parts){ 0 };
	struct search search = { .is_report = is_report, .found = ret };
	search_part(message, false, 0, &search);
}

struct view report_parts_unfold(struct buf *text, struct view value)
{
	if (value.len == 0)
		return VIEW_NONE;
	uint8_t *to = text->ptr + (value.ptr - text->ptr), *start = to;
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] != '\r' && value.ptr[i] != '\n')
			*to++ = value.ptr[i];
	return view_trim(view_of(start, (size_t)(to - start)));
}

struct view report_parts_first_word(struct view value)
{
	size_t n = 0;
	while (n < value.len && value.ptr[n] > ' ' && value.ptr[n] != '(' && value.ptr[n] != ';')
		n++;
	return view_sub(value, 0, n);
}

struct view report_parts_without_type(struct view value, struct view *ret_type)
{
	size_t semicolon = view_find(value, ';');
	bool has_type = semicolon < value.len;
	if (ret_type != NULL)
		*ret_type = has_type ? view_trim(view_sub(value, 0, semicolon)) : VIEW_NONE;
	return has_type ? view_trim(view_from(value, semicolon + 1)) : value;
}
