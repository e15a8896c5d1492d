/*
 * Laws of config_parse: whatever the text, it ends with a config or at least one error, and each error names the file; it prints nothing; nothing
 * of the environment or of other files gets in; the same text gives the same result.
 */
#include "config/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Begins with a letter that no escape such as \xfe ends in. */
#define SECRET "Zq-of-the-environment"

static bool contains(struct view haystack, struct view needle)
{
	return haystack.len > 0 && memmem(haystack.ptr, haystack.len, needle.ptr, needle.len) != NULL;
}

static void check_errors(struct view errors)
{
	ASSERT(errors.len > 0 && errors.ptr[errors.len - 1] == '\n');
	for (struct view line; view_split(&errors, '\n', &line);)
		ASSERT(view_starts_with(line, VIEW("name:")));
}

static void check_config(const struct config *c, struct view text)
{
	ASSERT(c->hostname != NULL && c->hostname[0] != '\0' && c->data != NULL && c->socket != NULL);
	ASSERT(c->delivery.ehlo_name != NULL && c->tls_minimum != NULL);
	ASSERT((c->tls_certificate == NULL) == (c->tls_key == NULL));
	bool any = false;
	for (size_t i = 0; i < LISTENER_KINDS; i++) {
		const struct config_listener *l = &c->listeners[i];
		any = any || (l->enabled && l->address_count > 0);
		for (size_t r = 0; r < l->relay_from_count; r++)
			ASSERT(l->relay_from[r].prefix_bits >= 7);
	}
	ASSERT(any);
	for (size_t i = 0; i < c->smarthost_count; i++) {
		const struct config_smarthost *s = &c->smarthosts[i];
		ASSERT(s->host != NULL && s->port > 0 && s->domain_count > 0 && s->password == NULL);
		for (size_t d = 0; d < s->domain_count; d++)
			if (s->domains[d][0] != '.')
				ASSERT(config_find_smarthost(c, view_from_cstr(s->domains[d])) == s);
	}
	if (!contains(text, VIEW(SECRET)))
		ASSERT(!contains(view_from_cstr(c->data), VIEW(SECRET)) &&
			!contains(view_from_cstr(c->hostname), VIEW(SECRET)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	if (!prepared && setenv("SECRET", SECRET, 1) != 0)
		return 0;
	prepared = true;
	struct view text = view_of(data, size);
	struct buf errors = { 0 }, again = { 0 };
	struct config *first = config_parse(text, "name", &errors);
	struct config *second = config_parse(text, "name", &again);
	ASSERT((first == NULL) == (second == NULL) && view_eq(buf_view(&errors), buf_view(&again)));
	if (first == NULL)
		check_errors(buf_view(&errors));
	else
		ASSERT(errors.len == 0);
	if (first != NULL)
		check_config(first, text);
	if (!contains(text, VIEW(SECRET)))
		ASSERT(!contains(buf_view(&errors), VIEW(SECRET)));
	config_unref(first);
	config_unref(second);
	buf_clear(&errors);
	buf_clear(&again);
	return 0;
}
