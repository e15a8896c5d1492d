/* What address.c lends to its siblings. */
#ifndef MAIL_ADDRESS_PRIVATE_H
#define MAIL_ADDRESS_PRIVATE_H

#include "mail/address.h"

/* atext of RFC 5322 §3.2.3, which RFC 5321 §4.1.2 uses for Dot-string. */
bool address_is_atext(uint8_t c);
/* Appends a local part from its value: as it is if it is a Dot-string, else in quotes. */
enum err address_append_local(struct view value, struct buf *out) MUST_CHECK;

#endif
