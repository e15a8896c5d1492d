/*
 * SMTP commands as text: the verb, the path of MAIL and RCPT, their parameters, BDAT's arguments. Pure parsing; what is refused is
 * told as the reply to send, a literal such as "501 5.5.4 ...", because the code depends on what exactly is wrong.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "mail/address.h"
#include "smtp/receiver.h"

/* Splits a command line without CRLF: the verb, and the rest without blanks around it. */
void smtp_command_split(struct view line, struct view *ret_verb, struct view *ret_arguments);

/* "FROM:" or "TO:" in any case, with blanks around the colon as sloppy clients write, off the front of the arguments. */
bool smtp_command_keyword(struct view *arguments, struct view keyword);

/* What this listener offered, and so what a parameter may ask for. */
struct smtp_command_offer {
	bool dsn, smtputf8, binarymime, auth;
	bool requiretls, mt_priority, deliver_by;
	uint32_t deliver_by_min_s;
	uint32_t hold_max_s; /* 0: FUTURERELEASE is not offered */
	int64_t wall_ms; /* Unix time now */
	uint64_t message_size_max_bytes; /* 0: no limit */
};

/* The parameters of MAIL (RCPT), a list separated by blanks. NULL if all is well, else the refusal; *ret is undefined then.
 * Decoded values are appended to `scratch`, of which the memory must not move (its capacity is reserved already). */
const char *smtp_command_mail_parameters(struct view parameters, const struct smtp_command_offer *offer,
	struct buf *scratch, struct smtp_mail_parameters *ret);
const char *smtp_command_rcpt_parameters(struct view parameters, const struct smtp_command_offer *offer,
	struct buf *scratch, struct smtp_rcpt_parameters *ret);

/* BDAT's "n" or "n LAST" (RFC 3030 §2). ERR_SYNTAX: it is not even known how many bytes follow. *ret_clean is false if something
 * else than LAST stands behind the size. */
enum err smtp_command_bdat(struct view arguments, uint64_t *ret_size, bool *ret_last, bool *ret_clean) MUST_CHECK;

/* The argument of EHLO and HELO: Domain or address-literal (RFC 5321 §4.1.1.1), with underscores and a trailing dot let pass. */
bool smtp_command_hello_is_valid(struct view name);

#endif
