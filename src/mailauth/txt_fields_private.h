/* TXT records of the form "v=X; name=value; …": what RFC 8461 §3.1 and RFC 8460 §3 have in common. Nothing is copied. */
#ifndef MAILAUTH_TXT_FIELDS_PRIVATE_H
#define MAILAUTH_TXT_FIELDS_PRIVATE_H

#include "dns/message.h"

#define TXT_FIELDS_MAX_BYTES 4096u
#define TXT_FIELD_NAME_MAX_BYTES 32u

enum txt_step { TXT_FIELD, TXT_END, TXT_BAD };

/* The one record among the answer's that begins with the version and its ";". ERR_NOT_FOUND if there is none, ERR_SYNTAX if there are more:
 * either way the domain has no such policy. */
enum err txt_fields_choose(const struct dns_answer *answer, struct view version, struct view *ret) MUST_CHECK;
/* Takes the version off the front of *rest. ERR_SYNTAX if it is another, ERR_LIMIT for a record over TXT_FIELDS_MAX_BYTES. */
enum err txt_fields_begin(struct view *rest, struct view version) MUST_CHECK;
/* Takes the next field off the front; its name is checked, its value is not empty and has no white space around it. */
enum txt_step txt_fields_next(struct view *rest, struct view *ret_name, struct view *ret_value);
/* True for what the value of an unknown field may be: visible ASCII without "=" and ";". */
bool txt_field_value_is_plain(struct view value);
/* True for what the name of a field may be, in these records and in policy files: 1–32 letters, digits, and inside "_", "-", ".". */
bool txt_field_name_is_valid(struct view name);

#endif
