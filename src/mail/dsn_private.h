/* The parts of a notification, for dsn*.c. */
#ifndef MAIL_DSN_PRIVATE_H
#define MAIL_DSN_PRIVATE_H

#include "mail/dsn.h"

/* failed before delayed before the successes: what the subject and the first sentence are about. */
enum dsn_action dsn_worst_action(const struct dsn *dsn);
/* RFC 3463 §2: class "." subject "." detail, the latter two of 1–3 digits. */
bool dsn_status_is_valid(struct view status);
/* The recipient's status if it is well-formed, else the action's general one. */
struct view dsn_recipient_status(const struct dsn_recipient *recipient);

/* The text for a human: UTF-8 in lines with CRLF. */
enum err dsn_write_text(const struct dsn *dsn, bool returned_full, struct buf *out) MUST_CHECK;

/* True if an address among the recipients is not ASCII: the status part is then message/global-delivery-status (RFC 6533 §3). */
bool dsn_status_is_global(const struct dsn *dsn);
/* The fields for programs (RFC 3464 §2). */
enum err dsn_write_status(const struct dsn *dsn, struct buf *out) MUST_CHECK;

#endif
