/*
 * Shaping: how the servers of each large site want to be sent to, as rules that people can read and test. A rule file is lines:
 *
 *   site google
 *     mx *.google.com *.googlemail.com          # hosts that make a domain part of this site
 *     connections 20                            # at once
 *     messages-per-connection 100
 *     rate 50/s 20000/h                         # messages
 *     when 421 4.7.28 "rate" slow 50% for 10m   # a reply that matches: code, enhanced code ("4.7.*", "*"), words
 *     when 421 4.7.0 "not in whitelist" suspend 1h
 *     when 4xx * "try another" next-host
 *
 * The same form is compiled in for the large mailbox providers (shaping_builtin.c); a file's rules come before those, and what it says of
 * a built-in site's hosts or limits (a number, or `unlimited`) takes their place. `when … nothing` keeps a later rule from acting. Rules under
 * `site *` hold for all, behind those of the site. Words match without case anywhere in the text, all of them must, and a blank in them is any run
 * of blanks or line ends. Pure; immutable once parsed, so that many may read it.
 */
#ifndef QUEUE_SHAPING_H
#define QUEUE_SHAPING_H

#include "base/buf.h"

struct shaping;

struct shaping_rate {
	uint32_t count;
	uint32_t per_ms;
};
#define SHAPING_RATES_MAX 4u

/* What holds for one site. 0: no limit of its own. Owned by the shaping. */
struct shaping_site {
	struct view name; /* "google" */
	uint32_t connections, messages_per_connection;
	size_t rate_count;
	struct shaping_rate rates[SHAPING_RATES_MAX];
};

enum shaping_action_kind {
	SHAPING_NOTHING, /* no rule speaks of this reply, or one says so (`rule` is not empty) */
	SHAPING_SLOW, /* connections and rates at `percent` of what they are, for `for_ms` */
	SHAPING_SUSPEND, /* nothing to this site for `for_ms` */
	SHAPING_NEXT_HOST, /* this delivery to another host of the domain */
};
struct shaping_action {
	enum shaping_action_kind kind;
	uint32_t percent;
	int64_t for_ms;
	struct view rule; /* as written, for the log; owned by the shaping */
	unsigned line; /* of its file; 0: built in */
};

/* `text` NULL view: only what is built in. `name` stands for the file in errors ("FILE:LINE: sentence, and what to write instead"). NULL with the
 * errors in *ret_errors. */
struct shaping *shaping_parse(struct view text, const char *name, struct buf *ret_errors);
struct shaping *shaping_ref(struct shaping *shaping);
void shaping_unref(struct shaping *shaping); /* thread-safe; NULL is fine */

/* The site that these MX hosts (of one domain, best first; A-labels) belong to; NULL: none that a rule names. All hosts must match for it: a
 * domain with one foreign backup host is nobody's but its own. */
const struct shaping_site *shaping_find_site(
	const struct shaping *shaping, size_t host_count, const struct view *hosts);
const struct shaping_site *shaping_site_named(const struct shaping *shaping, struct view name);
/* All sites, those of the file first. */
void shaping_each(
	const struct shaping *shaping, void (*each)(void *owner, const struct shaping_site *site), void *owner);
/* What the file itself says: sites (that of all among them) and `when` rules. */
void shaping_count(const struct shaping *shaping, size_t *ret_sites, size_t *ret_rules);
/* What a negative reply calls for: of the site's rules (NULL: only those for all), the first that matches. `enhanced` "4.7.28" or empty. */
struct shaping_action shaping_match(const struct shaping *shaping, const struct shaping_site *site, unsigned code,
	struct view enhanced, struct view text);

/* Prints all rules in their own form: those of the file, then the built-in ones. */
enum err shaping_format(const struct shaping *shaping, struct buf *out) MUST_CHECK;

#endif
