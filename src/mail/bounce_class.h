/*
 * Why a recipient was refused or put off, in a word: told from the reply's code, its enhanced code (RFC 3463) and its text, by a table of
 * what servers say. For statistics and for the sender's lists, never for what becomes of a message: that follows from the code alone. Pure.
 */
#ifndef MAIL_BOUNCE_CLASS_H
#define MAIL_BOUNCE_CLASS_H

#include "base/view.h"

enum bounce_class {
	BOUNCE_UNDETERMINED,
	BOUNCE_BAD_MAILBOX, /* no such address there */
	BOUNCE_INACTIVE, /* it is there, but disabled or has moved */
	BOUNCE_FULL, /* over quota */
	BOUNCE_TOO_LARGE, /* the message */
	BOUNCE_BAD_DOMAIN, /* the recipient's domain: not there, or takes no mail */
	BOUNCE_BAD_SENDER, /* the reverse-path, or its domain, is not taken */
	BOUNCE_AUTHENTICATION, /* SPF, DKIM or DMARC */
	BOUNCE_PTR, /* our address and its name do not agree in DNS */
	BOUNCE_REPUTATION, /* our address or domain is on a block list, or thought badly of */
	BOUNCE_CONTENT, /* looks like spam, or holds what is not taken */
	BOUNCE_VIRUS,
	BOUNCE_RATE, /* too much, too fast, too many connections */
	BOUNCE_GREYLIST, /* come back later */
	BOUNCE_POLICY, /* any other rule of theirs */
	BOUNCE_RELAY, /* they do not take mail for that domain */
	BOUNCE_TLS,
	BOUNCE_DNS, /* a look-up failed for now */
	BOUNCE_NETWORK, /* no connection, or it was lost */
	BOUNCE_EXPIRED, /* tried for too long */
	BOUNCE_LOOP,
	BOUNCE_PROTOCOL, /* a command or a form that one side does not know */
	BOUNCE_SYSTEM, /* trouble of their own: disk, software, maintenance */
};
enum { BOUNCE_CLASSES = BOUNCE_SYSTEM + 1 };
/* "bad-mailbox", "full" …; stable: in the log, the trace and the store. */
struct view bounce_class_name(enum bounce_class class);
/* False if there is none of that name. */
bool bounce_class_parse(struct view name, enum bounce_class *ret);

struct bounce_reply {
	unsigned code; /* 550; 0: unknown */
	unsigned class, subject, detail; /* 5.1.1; all 0: none given */
	struct view text; /* without codes, or with them: it makes no difference; the first 1,000 bytes are looked at */
};
struct bounce_verdict {
	enum bounce_class class;
	/* The address will not work tomorrow either: it belongs off a list. A refusal of the message or of the sender is not hard, however final. */
	bool is_hard;
};
struct bounce_verdict bounce_classify(const struct bounce_reply *reply);
/* Takes the codes off the front of a text such as "550 5.1.1 <a@example.com> unknown" or "smtp; 550-5.1.1 …". */
struct bounce_reply bounce_reply_from(struct view text);

#endif
