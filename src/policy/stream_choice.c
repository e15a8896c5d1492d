#include "policy/stream_choice.h"

#include "mail/header.h"

/* Of a header field's value so much is compared with patterns. */
#define VALUE_MAX_BYTES 1000u

static bool domain_matches(struct view pattern, struct view domain)
{
	if (view_eq(pattern, VIEW("*")))
		return true;
	if (pattern.len > 0 && pattern.ptr[0] == '.')
		return domain.len > pattern.len && view_ends_with_nocase(domain, pattern);
	return view_eq_nocase(pattern, domain);
}

static bool address_matches(struct view pattern, struct view address)
{
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	if (address.len == 0)
		return false;
	if (pattern.len > 0 && pattern.ptr[0] == '@')
		return domain_matches(view_from(pattern, 1), domain);
	if (view_find(pattern, '@') < pattern.len)
		return view_eq_nocase(pattern, address);
	return domain_matches(pattern, domain);
}

static bool account_matches(struct view pattern, struct view account)
{
	bool is_local = view_starts_with(account, VIEW("local:"));
	if (is_local || view_starts_with(pattern, VIEW("local:")))
		return view_eq(pattern, account);
	return address_matches(pattern, account);
}

static bool any_matches(
	const struct stream_list *list, struct view value, bool (*matches)(struct view pattern, struct view value))
{
	for (size_t i = 0; i < list->count; i++)
		if (matches(view_from_cstr(list->rules[i]), value))
			return true;
	return list->count == 0;
}

/* "*" stands for any text, also none. After a "*" only the last one is ever gone back to: the work is at most pattern × text. */
static bool glob_matches(struct view pattern, struct view text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;
	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern.len && ascii_lower(pattern.ptr[p]) == ascii_lower(text.ptr[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

static bool value_matches(struct view pattern, struct view raw)
{
	uint8_t text[VALUE_MAX_BYTES];
	size_t len = 0;
	raw = view_trim(raw);
	/* Unfolded (RFC 5322 §2.2.3): only line ends go. */
	for (size_t i = 0; i < raw.len && len < sizeof text; i++)
		if (raw.ptr[i] != '\r' && raw.ptr[i] != '\n')
			text[len++] = raw.ptr[i];
	return glob_matches(pattern, view_of(text, len));
}

static bool field_matches(const struct stream_list *list, const struct header_field *field)
{
	for (size_t i = 0; i < list->count; i++) {
		struct view rule = view_from_cstr(list->rules[i]);
		size_t colon = view_find(rule, ':');
		if (!view_eq_nocase(view_trim(view_sub(rule, 0, colon)), field->name))
			continue;
		if (colon == rule.len || value_matches(view_trim(view_from(rule, colon + 1)), field->value))
			return true;
	}
	return false;
}

static bool header_matches(const struct stream_list *list, struct view header)
{
	struct header_field field;
	if (list->count == 0)
		return true;
	while (header_next(&header, &field))
		if (field.name.len > 0 && field_matches(list, &field))
			return true;
	return false;
}

void stream_choice_init(struct stream_choice *choice, size_t count, const struct stream_rules *streams,
	const struct stream_message *message)
{
	choice->count = count;
	choice->streams = streams;
	for (size_t i = 0; i < count && i < STREAM_CHOICE_MAX; i++) {
		const struct stream_rules *s = &streams[i];
		choice->may[i] = any_matches(&s->listeners, message->listener, view_eq_nocase) &&
			any_matches(&s->accounts, message->account, account_matches) &&
			any_matches(&s->senders, message->reverse_path, address_matches) &&
			header_matches(&s->headers, message->header);
	}
}

size_t stream_choice_for(const struct stream_choice *choice, struct view recipient)
{
	for (size_t i = 0; i < choice->count && i < STREAM_CHOICE_MAX; i++)
		if (choice->may[i] && any_matches(&choice->streams[i].recipients, recipient, address_matches))
			return i;
	return choice->count;
}
