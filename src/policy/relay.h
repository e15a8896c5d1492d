/*
 * Who may send from where, and to where. Pure: what the store and the listener know is passed in. There is no third way for mail to
 * get out of here: to one of our mailboxes, from a client that logged in, or from a network that the operator trusts.
 */
#ifndef POLICY_RELAY_H
#define POLICY_RELAY_H

#include "smtp/reply.h"

struct relay_client {
	bool is_submission; /* came in on a submission listener: needs a login (RFC 6409 §4.3) */
	bool has_tls;
	bool is_trusted; /* its address is in the listener's relay_from */
	struct view account; /* that it logged in as, "local@domain"; "" = it did not */
};

/* What the directory knows about an address. */
enum relay_mailbox {
	RELAY_MAILBOX_NOT_OURS, /* the domain is not ours */
	RELAY_MAILBOX_UNKNOWN, /* the domain is ours, the mailbox does not exist */
	RELAY_MAILBOX_FOUND,
	RELAY_MAILBOX_UNAVAILABLE, /* the directory could not be asked now */
};

struct relay_sender {
	struct view address; /* MAIL FROM, canonical "local@domain"; "" = null reverse-path */
	enum relay_mailbox mailbox;
	/* The accounts that mail to this address is delivered to: itself, without its +tag, or through aliases. */
	size_t account_count;
	const struct view *accounts;
};

struct relay_recipient {
	struct view address; /* RCPT TO, canonical */
	enum relay_mailbox mailbox;
};

/* MAIL: true, or the reply to refuse with: 530 5.7.0 (log in first), 553 5.7.1 (an account sends only as itself and as the addresses
 * that are delivered to it; the null reverse-path is free), 451 4.3.0. The sender's mailbox matters only for clients that logged in. */
bool relay_allows_sender(const struct relay_client *client, const struct relay_sender *sender,
	struct smtp_reply *ret_refusal) MUST_CHECK;

/* RCPT: true, or the reply to refuse with: 550 5.1.1 (no such mailbox), 550 5.7.1 (relaying denied), 530 5.7.0, 451 4.3.0. */
bool relay_allows_recipient(const struct relay_client *client, const struct relay_recipient *recipient,
	struct smtp_reply *ret_refusal) MUST_CHECK;

#endif
