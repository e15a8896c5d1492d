/*
 * Key records that were parsed before. The senders of most mail are few, and making a key of its record takes as long as a verification with
 * it. It remembers by the record's own text, never by a name: what DNS says is asked anew each time. Not for several threads.
 */
#ifndef MAILAUTH_DKIM_KEYS_H
#define MAILAUTH_DKIM_KEYS_H

#include <stddef.h>

struct dkim_keys;

/* For up to so many records (some 4 KiB each, with OpenSSL's part); those that were not used for the longest time make room. */
struct dkim_keys *dkim_keys_new(size_t capacity);
/* NULL is fine. Verifiers that use it must be gone. */
void dkim_keys_free(struct dkim_keys *keys);

#endif
