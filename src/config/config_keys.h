/*
 * The table of every configuration key. It drives the reading and checking of a file, the listing of keys, the commented file that
 * `postrider init` writes, and the check of the manual (tools/manual_check): a key is added here and in
 * docs/man/postrider.conf.5.md, nowhere else.
 */
#ifndef CONFIG_CONFIG_KEYS_H
#define CONFIG_CONFIG_KEYS_H

#include "base/buf.h"

enum config_type {
	CONFIG_U16,
	CONFIG_U32,
	CONFIG_DURATION_U32, /* uint32_t, milliseconds */
	CONFIG_DURATION_I64, /* int64_t, milliseconds */
	CONFIG_SIZE, /* uint64_t, bytes */
	CONFIG_BOOL,
	CONFIG_CHOICE, /* an enum; choices in the order of its values */
	CONFIG_WORD, /* const char *, one of the choices */
	CONFIG_TEXT, /* const char * */
	CONFIG_PASSWORD_FILE, /* const char *: the path; config_load() puts the content in its place */
	CONFIG_IPV4, /* struct net_address, port 0 */
	CONFIG_IPV6,
	CONFIG_I32, /* from -maximum to maximum */
	CONFIG_DATE, /* int64_t, Unix time of its 00:00 UTC */
	CONFIG_U32_LIST, /* uint32_t * */
	CONFIG_RATE_LIST, /* struct config_rate * */
	CONFIG_TEXT_LIST, /* const char *const * */
	CONFIG_LISTEN_LIST, /* struct net_address * */
	CONFIG_RANGE_LIST, /* struct net_range * */
	CONFIG_TYPES,
};

struct config_key {
	const char *section; /* "" at the top of the file */
	const char *name;
	const char *default_text; /* as one would write it; NULL: unset */
	enum config_type type;
	size_t offset; /* in struct config, or in the struct of a titled section: config_listener (listen), config_smarthost (smarthost) … */
	size_t count_offset; /* of a list's size_t count */
	uint64_t minimum, maximum; /* of numbers: plain, ms, bytes */
	const char *const *choices; /* NULL-terminated */
	/* NULL when the value is fine, else what is valid. */
	const char *(*check)(struct view value);
	const char *default_note; /* what holds when it is unset */
	const char *example; /* for the file of `postrider init` when there is no default */
	const char *what; /* one line */
};

struct config_section_kind {
	const char *name;
	bool has_title;
	const char *usage; /* how it is written: "listen mx|submission|submissions { … }" */
	const char *what;
};

/* In the order of the manual; keys of one section stand together. */
const struct config_key *config_keys(size_t *ret_count);
const struct config_section_kind *config_section_kinds(size_t *ret_count);
/* NULL when there is none. */
const struct config_key *config_key_find(struct view section, struct view name);
const struct config_section_kind *config_section_kind_find(struct view name);

bool config_key_is_list(const struct config_key *key);

/* A list of all keys for people: one line each, "limits.connections  number from 1 to 1000000, default 10000: …". */
enum err config_keys_describe(struct buf *out) MUST_CHECK;
/* "a duration from 1s to 1h": what may be written for a key. */
enum err config_key_describe_values(const struct config_key *key, struct buf *out) MUST_CHECK;

/* The commented configuration file of `postrider init`: it loads as it is, and shows every key with its default. certificate and
 * key may be NULL: then there is no TLS in it, and only an mx listener. */
enum err config_template(
	const char *hostname, const char *data, const char *certificate, const char *key, struct buf *out) MUST_CHECK;

#endif
