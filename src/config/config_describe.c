/* The table of keys as text: a listing, and the commented file of `postrider init`. */
#include "config/config_keys.h"
#include "config/config_private.h"
#include "config/config_value.h"

#include <string.h>

/* Text that is appended piece by piece; the first failure sticks. */
struct writer {
	struct buf *out;
	enum err err;
};

static void put(struct writer *w, const char *text)
{
	if (w->err == ERR_OK)
		w->err = buf_append_cstr(w->out, text);
}

/* In quotes, as config_text.c reads it. */
static void put_quoted(struct writer *w, const char *text)
{
	put(w, "\"");
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			put(w, "\\");
		char one[2] = { *c, '\0' };
		put(w, one);
	}
	put(w, "\"");
}

static void put_number(struct writer *w, enum config_type type, uint64_t n)
{
	if (w->err != ERR_OK)
		return;
	if (type == CONFIG_DURATION_U32 || type == CONFIG_DURATION_I64)
		w->err = config_format_duration(n, w->out);
	else if (type == CONFIG_SIZE)
		w->err = config_format_size(n, w->out);
	else
		w->err = buf_append_u64(w->out, n);
}

/* A key's value as one would write it. */
static void put_value(struct writer *w, const struct config_key *key, const char *value)
{
	if (key->type == CONFIG_U16 || key->type == CONFIG_U32 || key->type == CONFIG_BOOL || key->type == CONFIG_I32 ||
		key->type == CONFIG_U32_LIST)
		put(w, value);
	else
		put_quoted(w, value);
}

static const char *const type_names[CONFIG_TYPES] = {
	[CONFIG_U16] = "a number",
	[CONFIG_U32] = "a number",
	[CONFIG_DURATION_U32] = "a duration such as \"90s\", \"5m\", \"4h\" or \"1d\",",
	[CONFIG_DURATION_I64] = "a duration such as \"90s\", \"5m\", \"4h\" or \"1d\",",
	[CONFIG_SIZE] = "a size such as \"64k\", \"50M\" or \"1GiB\",",
	[CONFIG_BOOL] = "yes or no",
	[CONFIG_CHOICE] = "one of",
	[CONFIG_WORD] = "one of",
	[CONFIG_TEXT] = "text",
	[CONFIG_PASSWORD_FILE] = "a file",
	[CONFIG_IPV4] = "an IPv4 address",
	[CONFIG_IPV6] = "an IPv6 address",
	[CONFIG_I32] = "a number",
	[CONFIG_DATE] = "a date such as \"2026-12-01\"",
	[CONFIG_U32_LIST] = "a list of numbers",
	[CONFIG_RATE_LIST] = "rates such as \"20/s\", \"1000/m\", \"5000/h\" or \"100000/d\"",
	[CONFIG_TEXT_LIST] = "a list of texts",
	[CONFIG_LISTEN_LIST] = "addresses and ports, such as \"*:25\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
	[CONFIG_RANGE_LIST] = "addresses or networks, such as \"192.0.2.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"",
};

static void put_values(struct writer *w, const struct config_key *key)
{
	put(w, type_names[key->type]);
	if (key->choices != NULL)
		for (size_t i = 0; key->choices[i] != NULL; i++) {
			put(w, i == 0 ? " " : key->choices[i + 1] != NULL ? ", " : " or ");
			put(w, key->choices[i]);
		}
	if (key->maximum > 0) {
		put(w, key->type == CONFIG_I32 ? " from -" : " from ");
		put_number(w, key->type, key->type == CONFIG_I32 ? key->maximum : key->minimum);
		put(w, " to ");
		put_number(w, key->type, key->maximum);
	}
}

enum err config_key_describe_values(const struct config_key *key, struct buf *out)
{
	struct writer w = { .out = out, .err = ERR_OK };
	put_values(&w, key);
	return w.err;
}

enum err config_keys_describe(struct buf *out)
{
	struct writer w = { .out = out, .err = ERR_OK };
	size_t count, kind_count;
	const struct config_key *keys = config_keys(&count);
	const struct config_section_kind *kinds = config_section_kinds(&kind_count);
	for (size_t k = 0; k < kind_count; k++) {
		put(&w, k == 0 ? "at the top of the file: " : "\n");
		put(&w, kinds[k].usage);
		put(&w, k == 0 ? "" : ": ");
		put(&w, kinds[k].what);
		put(&w, "\n");
		for (size_t i = 0; i < count; i++) {
			if (strcmp(keys[i].section, kinds[k].name) != 0)
				continue;
			put(&w, "  ");
			put(&w, keys[i].name);
			put(&w, keys[i].default_text != NULL ? " = " : " (default: ");
			if (keys[i].default_text != NULL)
				put_value(&w, &keys[i], keys[i].default_text);
			else
				put(&w, keys[i].default_note);
			put(&w, keys[i].default_text != NULL ? "\n      " : ")\n      ");
			put(&w, keys[i].what);
			put(&w, "\n      ");
			put_values(&w, &keys[i]);
			put(&w, "\n");
		}
	}
	return w.err;
}

/* A key's two lines in the template: what it is, and the key with its default behind "# ", or with `value`. */
static void put_key(struct writer *w, const struct config_key *key, const char *indent, const char *value)
{
	put(w, indent);
	put(w, "# ");
	put(w, key->what);
	if (value == NULL && key->default_text == NULL) {
		put(w, " (default: ");
		put(w, key->default_note);
		put(w, ")");
	}
	put(w, "\n");
	put(w, indent);
	put(w, value != NULL ? "" : "#");
	put(w, key->name);
	put(w, " = ");
	put_value(w, key, value != NULL ? value : key->default_text != NULL ? key->default_text : key->example);
	put(w, "\n");
}

/* A value that is set in the template instead of shown as a comment. */
struct preset {
	const char *name, *value;
};

static void put_keys(
	struct writer *w, const char *section, const char *indent, size_t preset_count, const struct preset *presets)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].section, section) != 0)
			continue;
		const char *value = NULL;
		for (size_t p = 0; p < preset_count; p++)
			if (strcmp(presets[p].name, keys[i].name) == 0)
				value = presets[p].value;
		put_key(w, &keys[i], indent, value);
	}
}

static void put_section_start(struct writer *w, const char *comment, const char *head)
{
	put(w, "\n# ");
	put(w, comment);
	put(w, "\n");
	put(w, head);
	put(w, " {\n");
}

static void put_listener(struct writer *w, const char *comment, const char *head, const char *address)
{
	struct preset preset = { "address", address };
	put_section_start(w, comment, head);
	put_keys(w, "listen", "\t", 1, &preset);
	put(w, "}\n");
}

static void put_listeners(struct writer *w, bool tls)
{
	put_listener(w, "Mail from other servers, for our domains.", "listen mx", "*:25");
	if (!tls)
		return;
	struct preset preset = { "address", "*:465" };
	put_section_start(w, "Mail from our users, who log in: here with TLS by STARTTLS,", "listen submission");
	put(w, "\taddress = { \"*:587\", \"*:2525\" }\n}\n");
	put_section_start(w, "and here with TLS from the first byte.", "listen submissions");
	put_key(w, config_key_find(VIEW("listen"), VIEW("address")), "\t", preset.value);
	put(w, "}\n");
}

static void put_plain_sections(struct writer *w)
{
	size_t count;
	const struct config_section_kind *kinds = config_section_kinds(&count);
	for (size_t i = 0; i < count; i++) {
		if (kinds[i].name[0] == '\0' || kinds[i].has_title || strcmp(kinds[i].name, "tls") == 0)
			continue;
		put_section_start(w, kinds[i].what, kinds[i].name);
		put_keys(w, kinds[i].name, "\t", 0, NULL);
		put(w, "}\n");
	}
}

/* A titled section as a comment to be opened; what must be set in it is. */
static void put_closed_section(struct writer *w, const char *intro, const char *section, const char *title)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	put(w, "\n# ");
	put(w, intro);
	put(w, ", take away one # from these lines:\n#");
	put(w, section);
	put(w, " ");
	put(w, title);
	put(w, " {\n");
	for (size_t i = 0; i < count; i++) {
		bool must = keys[i].default_note != NULL && strcmp(keys[i].default_note, "must be set") == 0;
		if (strcmp(keys[i].section, section) == 0)
			put_key(w, &keys[i], "#\t", must ? keys[i].example : NULL);
	}
	put(w, "#}\n");
}

static void put_closed_sections(struct writer *w)
{
	put_closed_section(
		w, "To send through another server (a provider's relay, for example)", "smarthost", "provider");
	put_closed_section(w, "To insist on encryption with some domains", "destination", "partners");
	put_closed_section(w, "To send from an address of its own", "egress", "ip1");
	put_closed_section(w, "To keep a class of mail (a shop's, for example) apart from the rest", "stream", "shop");
}

enum err config_template(
	const char *hostname, const char *data, const char *certificate, const char *key, struct buf *out)
{
	struct writer w = { .out = out, .err = ERR_OK };
	struct preset top[] = { { "hostname", hostname }, { "data", data } };
	bool tls = certificate != NULL && key != NULL;
	put(&w,
		"# Postrider's configuration. What stands behind a # is a comment; commented keys show their "
		"defaults.\n"
		"# All keys are described in postrider.conf(5). After a change: postrider check, then postrider "
		"reload.\n\n");
	put_keys(&w, "", "", sizeof top / sizeof top[0], top);
	if (tls) {
		struct preset files[] = { { "certificate", certificate }, { "key", key } };
		put_section_start(&w, "Encryption for clients.", "tls");
		put_keys(&w, "tls", "\t", sizeof files / sizeof files[0], files);
		put(&w, "}\n");
	}
	put_listeners(&w, tls);
	put_plain_sections(&w);
	put_closed_sections(&w);
	return w.err;
}
