/*
 * Writing into a Maildir: tmp/ → synced → new/ → folder synced. Blocking: worker threads. Messages are stored with LF line ends, as
 * every Maildir reader expects.
 */
#ifndef SERVICE_MAILDIR_H
#define SERVICE_MAILDIR_H

#include "base/buf.h"

/* <mail_folder>/<domain>/<local> for an account's address. Bytes that a file name should not have become %XX; case is folded. */
enum err maildir_path(const char *mail_folder, struct view mailbox, struct buf *ret_path) MUST_CHECK;

struct maildir_message {
	const char *folder; /* from maildir_path() */
	/* A folder of the mailbox (Maildir++ ".Junk"): NULL is the inbox. When it is made, it is also subscribed to. A name that could not be one
	 * ('/', '.', control characters, beyond ASCII) counts as "Junk". */
	const char *subfolder;
	const char *hostname; /* ours: part of the unique name */
	const char *
		id; /* queue id: with the index it makes the name, so that a repeat after a crash finds the same file */
	uint32_t index;
	int64_t received_at_ms;
	bool keep_line_ends; /* binary content: bytes as they are */
	struct view front; /* Return-Path and the fields put in front, CRLF */
	struct view body;
	int body_fd; /* -1, or a spool file that follows instead of `body`; not closed here */
};
/* Makes the folders where they are missing. On success the message is durable in new/. ERR_NO_SPACE, ERR_PERMISSION, ERR_IO with a sentence. */
enum err maildir_deliver(const struct maildir_message *message) MUST_CHECK;

#endif
