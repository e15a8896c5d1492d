/* The message of `postrider send`: composed from options and files, with its envelope. */
#ifndef CLI_SEND_MESSAGE_H
#define CLI_SEND_MESSAGE_H

#include "cli/options.h"
#include "smtp/sender.h"

struct send_request {
	const char *from; /* "Anna <anna@example.com>" */
	struct option_list to, cc, bcc; /* each an address list */
	const char *reply_to;
	const char *subject;
	const char *text, *text_file; /* "-" is standard input */
	const char *html, *html_file;
	struct option_list attachments; /* files */
	struct view hostname;
};

struct send_message {
	struct buf content;
	struct buf sender; /* envelope address */
	struct buf addresses; /* what recipients point into */
	size_t recipient_count;
	struct smtp_sender_recipient *recipients;
	bool is_smtputf8;
};
void send_message_clear(struct send_message *message);

/* Reads the files and composes. ERR_SYNTAX for a malformed address, or none; the errors of files; each with a sentence. */
enum err send_message_build(const struct send_request *request, struct send_message *ret) MUST_CHECK;

/* "application/pdf" for "x.pdf"; empty when the extension is not known. */
struct view send_message_type_of(const char *file_name);

#endif
