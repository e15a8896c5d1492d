/*
 * Which stream a recipient of a message belongs to. Each stream has rules of five kinds; a kind without a rule does not matter, of every other
 * one rule must match. The first stream that matches takes the recipient, so that one message may belong to several. Pure: values in, an index out.
 *
 * Rules: listeners "mx", "submission", "submissions", "local"; accounts "shop@example.com", "@example.com", "local:www-data"; senders and
 * recipients are addresses, "@example.com", or domains: "example.com", ".example.com" (below it), "*"; headers "List-Unsubscribe" (it is there) or
 * "X-Campaign: spring*" (its unfolded value, "*" stands for any text). All without case.
 */
#ifndef POLICY_STREAM_CHOICE_H
#define POLICY_STREAM_CHOICE_H

#include "base/view.h"

struct stream_list {
	size_t count;
	const char *const *rules;
};
struct stream_rules {
	struct stream_list listeners, accounts, senders, recipients, headers;
};

struct stream_message {
	struct view listener;
	struct view account; /* as logged in, or "local:NAME"; empty: nobody is */
	struct view reverse_path; /* empty: null; no rule of senders matches it */
	struct view header; /* section, or the start of a message */
};

/* Everything but the recipients is looked at once for a message: stream_choice_init(), then one stream_choice_for() for each recipient. */
#define STREAM_CHOICE_MAX 256u
struct stream_choice {
	size_t count;
	const struct stream_rules *streams;
	bool may[STREAM_CHOICE_MAX]; /* the message matches, as far as recipients don't matter */
};
/* Streams beyond STREAM_CHOICE_MAX are not looked at. `streams` is borrowed until the last call. */
void stream_choice_init(struct stream_choice *choice, size_t count, const struct stream_rules *streams,
	const struct stream_message *message);
/* The index of the stream; `count` (of init) if the recipient belongs to none. */
size_t stream_choice_for(const struct stream_choice *choice, struct view recipient);

#endif
