#include "cli/init_text.h"

#include "config/config_keys.h"

#include <string.h>

/* Replaces the first such text; false when it is not there. */
static bool replace(struct buf *text, const char *old, const char *new)
{
	struct buf made = { .max_bytes = text->max_bytes };
	const uint8_t *at = text->len > 0 ? memmem(text->ptr, text->len, old, strlen(old)) : NULL;
	size_t before = at != NULL ? (size_t)(at - text->ptr) : 0;
	bool done = at != NULL && buf_append(&made, view_sub(buf_view(text), 0, before)) == ERR_OK &&
		buf_append_cstr(&made, new) == ERR_OK &&
		buf_append(&made, view_from(buf_view(text), before + strlen(old))) == ERR_OK;
	if (!done) {
		buf_clear(&made);
		return false;
	}
	buf_clear(text);
	*text = made;
	return true;
}

static bool use_high_ports(struct buf *text)
{
	return replace(text, "\taddress = \"*:25\"", "\taddress = \"*:8025\"") &&
		replace(text, "\taddress = { \"*:587\", \"*:2525\" }", "\taddress = \"*:8587\"") &&
		replace(text, "\taddress = \"*:465\"", "\taddress = \"*:8465\"");
}

enum err init_text_make(const struct init_text *init, struct buf *out)
{
	struct buf text = { 0 };
	char line[400];
	enum err err = config_template(init->hostname, init->data, init->certificate, init->key, &text);
	snprintf(line, sizeof line, "user = \"%s\"", init->user != NULL ? init->user : "");
	if (err == ERR_OK && init->user != NULL && !replace(&text, "#user = \"postrider\"", line))
		err = err_set(ERR_STATE, "the configuration template has no `user` any more");
	snprintf(line, sizeof line, "postmaster = \"%s\"", init->postmaster != NULL ? init->postmaster : "");
	if (err == ERR_OK && init->postmaster != NULL && !replace(&text, "#postmaster = \"admin@example.com\"", line))
		err = err_set(ERR_STATE, "the configuration template has no `postmaster` any more");
	if (err == ERR_OK && init->high_ports && !use_high_ports(&text))
		err = err_set(ERR_STATE, "the configuration template has other listeners than this program knows");
	if (err == ERR_OK)
		err = buf_append(out, buf_view(&text));
	buf_clear(&text);
	return err;
}
