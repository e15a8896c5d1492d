/* How the directory takes addresses apart and puts them together. */
#ifndef STORE_DIRECTORY_PRIVATE_H
#define STORE_DIRECTORY_PRIVATE_H

#include "mail/address.h"
#include "store/directory_store.h"

/* An address as the tables keep it. All views point into `memory`. */
struct directory_key {
	struct view local; /* value, without quotes; empty for "@domain" */
	struct view local_key; /* the same in lower case (ASCII) */
	struct view domain; /* in lower case */
	struct view address; /* canonical: quotes only where needed, domain in lower case */
	struct view address_key; /* the same in lower case */
	uint8_t memory[5 * ADDRESS_PATH_MAX_BYTES];
	size_t used;
};
/* "local@domain"; with `catch_all` also "@domain". ERR_SYNTAX, ERR_LIMIT with a sentence. The key must not be moved afterwards. */
enum err directory_key_parse(struct view text, bool catch_all, struct directory_key *ret) MUST_CHECK;
/* The same from a local part's value. */
enum err directory_key_make(struct view local_value, struct view domain, struct directory_key *ret) MUST_CHECK;

#endif
