/*
 * Scripted dialogues for the sender engine's tests. A script is lines of text:
 *
 *   S: text        the server sends the line with CRLF
 *   s: text        the server sends exactly this (escapes \r \n \0 \\)
 *   C: text        the engine must write the line with CRLF; all "C:" and "c:" lines up to the next action in this order
 *   c: text        the engine must write exactly this (escapes)
 *   E: event       the next event must read so; see sender_script.c
 *   BEGIN name     smtp_sender_begin() with that transaction of the table
 *   BODY: text     a piece of the message (escapes);  LAST: the last piece
 *   TLS  QUIT  ABORT  CLOSED  TICK ms
 *
 * Before each action everything that the engine wrote and told must have been expected by the lines before it.
 * sender_script_run() plays each script several ways: replies that follow one another at once, line by line, byte by byte with
 * output taken byte by byte too. All must read the same.
 */
#ifndef SMTP_SENDER_SCRIPT_H
#define SMTP_SENDER_SCRIPT_H

#include "smtp/sender.h"

enum {
	SCRIPT_TLS_NEVER = 1,
	SCRIPT_TLS_REQUIRED = 2,
	SCRIPT_TLS_ACTIVE = 4,
	SCRIPT_LOGIN = 8,
	SCRIPT_LOGIN_IN_CLEAR = 16,
	SCRIPT_LONG_PASSWORD = 32,
	SCRIPT_TOKEN = 64, /* "token" instead of a password, for "ann" at mx.example.net:587 */
	SCRIPT_SCRAM = 128, /* user, pencil and the nonce of RFC 7677 §3 */
};

struct sender_script {
	const char *name;
	unsigned options; /* SCRIPT_* */
	const char *text;
};

struct sender_script_transaction {
	const char *name;
	struct smtp_sender_transaction transaction;
};

/* Fails the running cmocka test with the script's name and the line that did not come true. */
void sender_script_run(const struct sender_script *script, size_t transaction_count,
	const struct sender_script_transaction *transactions);

#endif
