/*
 * For tests: scripted dialogues with the receiver engine. A script is lines of text:
 *
 *   C: text        the client sends the line with CRLF (escapes below)
 *   c: text        the client sends exactly this
 *   S: text        the server must answer with this line; with "..." at its end only the beginning counts
 *   E: text        this event must come, as receiver_driver.c writes it down; "..." as above. If a script has any E line, then all of
 *                  its events must be there.
 *   TICK ms        so much time passes, then the engine is told
 *   DEADLINE ms    so far from now is the engine's deadline; "none"
 *   TLS            the handshake is done
 *   STOP text      smtp_receiver_shutdown()
 *   HOLD, ANSWER   from now on questions stay open; answers the open one, and the next ones are answered at once again
 *   MESSAGE text   the last complete message was this (escapes)
 *   OPEN, CLOSED   the session is still open; is closed
 *
 * Escapes: \r \n \t \0 \\ \xNN, and \R{n}c for n times the byte c.
 *
 * Each script is played with the client's bytes given line by line, all bytes up to the next other action at once (as a client that
 * does not wait), in sevens, and byte by byte; all must read the same.
 */
#ifndef SMTP_RECEIVER_DIALOGUE_H
#define SMTP_RECEIVER_DIALOGUE_H

#include "smtp/receiver_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { /* options of a script */
	DIALOGUE_SUBMISSION = 1, /* with STARTTLS and AUTH */
	DIALOGUE_STARTTLS = 2,
	DIALOGUE_TLS = 4, /* active from the first byte */
	DIALOGUE_AUTH = 8,
	DIALOGUE_AUTH_IN_CLEAR = 16,
	DIALOGUE_NORMALISE = 32,
	DIALOGUE_BARE = 64, /* no SMTPUTF8, CHUNKING, DSN, REQUIRETLS, MT-PRIORITY, DELIVERBY */
	DIALOGUE_SMALL =
		128, /* limits: message 100 bytes, 3 recipients, 3 transactions, 4 errors, 12 commands, 2 failed logins */
	DIALOGUE_HELLO = 256, /* the script begins behind the greeting and an EHLO */
	DIALOGUE_RCPT = 512, /* ... and behind MAIL FROM:<a@a.example> and RCPT TO:<b@b.example> */
	DIALOGUE_NO_LIMITS = 1024, /* all limits 0 */
	DIALOGUE_HOLD = 2048, /* FUTURERELEASE up to a day; it is 2026-11-23T14:39:00Z */
};

struct dialogue {
	const char *name;
	unsigned options;
	const char *script;
};

/* Fails the running cmocka test with the dialogue's name, the way it was played, and what differs. */
void dialogue_run_all(const struct dialogue *dialogues, size_t count);

#endif
