/*
 * Address lists of header fields (RFC 5322 §3.4, with RFC 6532 UTF-8): mailboxes, groups, comments, quoted strings, folds, and the
 * obsolete routes, empty elements and blanks of §4.4. Pure; linear in the text.
 */
#ifndef MAIL_ADDRESS_LIST_H
#define MAIL_ADDRESS_LIST_H

#include "base/buf.h"

struct address_list {
	struct view rest; /* private, as is the rest */
	struct buf scratch;
	bool in_group;
};

struct address_list_entry {
	struct view
		address; /* canonical "local@domain", or "local" alone where no domain was written (sendmail's local names) */
	size_t local_length; /* of the front of `address` that is the local part, with its quotes */
	struct view name; /* display name in UTF-8, encoded words decoded; empty if there is none */
};

/* `text` is a field's value, with its folds; borrowed until address_list_clear(). */
void address_list_init(struct address_list *list, struct view text);
/* The next mailbox, of groups their members. ERR_NOT_FOUND at the end. ERR_SYNTAX (ERR_LIMIT) for an element that is malformed (too
 * long): it is skipped, and the next call goes on behind its comma. Views in *ret are valid until the next call. */
enum err address_list_next(struct address_list *list, struct address_list_entry *ret) MUST_CHECK;
void address_list_clear(struct address_list *list);

/* Appends `"name" <address>` with the name as an atom phrase, a quoted string or encoded words, whichever it needs; only the address without
 * a name. The address is not checked. */
enum err address_list_format(struct view name, struct view address, struct buf *out) MUST_CHECK;

#endif
