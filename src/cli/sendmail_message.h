/*
 * What a program wrote to sendmail's standard input, made into a message and an envelope: line ends, header fields, recipients.
 * Pure: time, names and randomness are passed in.
 */
#ifndef CLI_SENDMAIL_MESSAGE_H
#define CLI_SENDMAIL_MESSAGE_H

#include "cli/sendmail_options.h"
#include "mail/submission.h"

#define SENDMAIL_RECIPIENTS_MAX 10000u

struct sendmail_facts {
	struct view user; /* login name */
	struct view full_name; /* of the user, UTF-8; -F wins */
	struct view domain; /* for addresses without one */
	struct view hostname; /* for the Message-ID */
	int64_t wall_ms;
	int zone_minutes;
	uint8_t random[SUBMISSION_RANDOM_BYTES];
};

struct sendmail_message {
	struct buf content; /* CRLF line ends; Date, Message-ID and From are there, Bcc is not */
	struct buf sender; /* envelope; empty for <> */
	struct buf recipients; /* canonical addresses, one a line, each once */
	size_t recipient_count;
	bool is_8bit;
	bool is_smtputf8; /* an envelope address has UTF-8 */
};
void sendmail_message_clear(struct sendmail_message *message);

/* Builds it all from the raw input. ERR_SYNTAX with a sentence: a malformed address, or no recipient at all; ERR_LIMIT. */
enum err sendmail_message_build(struct view input, const struct sendmail_options *options,
	const struct sendmail_facts *facts, struct sendmail_message *ret) MUST_CHECK;

/* The input with CRLF at every line's end: LF, CRLF and a lone CR end a line, "\r\r\n" is one end. A first line "From …" of a mailbox
 * file is dropped. If `dot_ends`, a line with just a dot ends the message. */
enum err sendmail_line_ends(struct view input, bool dot_ends, struct buf *out) MUST_CHECK;

#endif
