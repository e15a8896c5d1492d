/*
 * Delivery status notifications (bounces): RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533. Pure: builds the whole message, which the
 * caller queues with the null reverse-path. Whether to send one at all (never for the null reverse-path, NOTIFY) is the caller's
 * decision, made before.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

#define DSN_RANDOM_BYTES 16u

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_recipient {
	struct view address; /* final recipient, "local@domain" */
	struct view original; /* ORCPT: "rfc822;user@example.com", the address decoded; empty if none was given */
	enum dsn_action action;
	struct view status; /* "5.1.1"; empty or malformed: the action's general one */
	struct view remote_mta; /* host name of the server that answered; empty if the outcome was decided here */
	struct view remote_address; /* its IP address, for the human part; may be empty */
	struct view reply; /* its answer, "550 5.1.1 No such user", lines separated by LF; empty if none */
	struct view reason; /* our own sentence, used when there is no reply, and besides it: "The mailbox is full." */
	int64_t last_attempt_ms; /* wall clock; 0 = not told */
	int64_t retry_until_ms; /* of DSN_DELAYED; 0 = not told */
};

struct dsn {
	struct view to; /* the reverse-path of the message reported on; not empty */
	struct view reporting_mta; /* our host name */
	struct view envelope_id; /* ENVID, decoded; may be empty */
	int64_t arrival_ms; /* 0 = not told */
	int64_t deliver_by_ms; /* DELIVERBY (RFC 2852 §5); 0 = none */
	int64_t hold_until_ms; /* FUTURERELEASE (RFC 4865 §5.1.2); 0 = none */
	uint32_t hold_for_s; /* it was asked for as an interval; 0 = as a date */
	int64_t now_ms;
	int zone_minutes;
	uint8_t random[DSN_RANDOM_BYTES]; /* for the boundary and the Message-ID */
	size_t recipient_count; /* at least 1 */
	const struct dsn_recipient *recipients;
	struct view message; /* the original, at least its header section */
	bool return_full; /* return all of `message` (RET=FULL, RFC 3461 §4.3); else the header section */
	size_t return_max_bytes; /* a larger message is returned as its header section; 0 = no limit */
};

struct dsn_built {
	bool is_8bit; /* the result needs 8BITMIME */
	bool is_smtputf8; /* its own header has UTF-8 (the sender's address has): needs SMTPUTF8 */
	bool returned_full;
};

/* Appends the message (CRLF line ends, lines of at most 998 bytes, no NUL, no bare CR or LF). The subject and the wording follow the worst
 * action among the recipients. A message that can't travel as 8-bit text (see mail/scan.h) is returned as its header section. ERR_LIMIT from
 * the buffer, ERR_SYNTAX if `to` or `reporting_mta` can't stand in a header; then nothing is appended. */
enum err dsn_build(const struct dsn *dsn, struct buf *out, struct dsn_built *ret) MUST_CHECK;

/* "failed", "delayed", "delivered", "relayed", "expanded". */
const char *dsn_action_name(enum dsn_action action);

#endif
