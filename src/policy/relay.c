#include "policy/relay.h"

/* As much of an address as fits into a reply beside the sentence. */
#define SHOWN_MAX_BYTES 256u

static struct view shown(struct view address)
{
	return view_sub(address, 0, SHOWN_MAX_BYTES);
}

static bool is_known(const struct relay_client *client)
{
	return client->account.len > 0 || client->is_trusted;
}

/* RFC 6409 §4.3: a submission server takes no mail without a login; RFC 4954 §6 gives the reply. */
static bool needs_login(const struct relay_client *client, struct smtp_reply *ret_refusal)
{
	if (!client->is_submission || is_known(client))
		return false;
	*ret_refusal = client->has_tls
		? smtp_reply_make(530, "5.7.0", "Log in first: this port takes mail only after AUTH")
		: smtp_reply_make(530, "5.7.0", "Log in first: this port takes mail only after STARTTLS and AUTH");
	return true;
}

static struct smtp_reply directory_unavailable(void)
{
	return smtp_reply_make(451, "4.3.0", "The list of mailboxes can't be read now; try again later");
}

/* Domains and, in our own directory, local parts are compared without ASCII case. */
static bool account_gets(const struct relay_sender *sender, struct view account)
{
	for (size_t i = 0; i < sender->account_count; i++)
		if (view_eq_nocase(sender->accounts[i], account))
			return true;
	return false;
}

bool relay_allows_sender(
	const struct relay_client *client, const struct relay_sender *sender, struct smtp_reply *ret_refusal)
{
	if (needs_login(client, ret_refusal))
		return false;
	/* Read receipts (RFC 8098 §2.1) and automatic answers (RFC 3834 §3.3) go out with the null reverse-path. */
	if (client->account.len == 0 || sender->address.len == 0)
		return true;
	if (view_eq_nocase(sender->address, client->account))
		return true;
	if (sender->mailbox == RELAY_MAILBOX_UNAVAILABLE) {
		*ret_refusal = directory_unavailable();
		return false;
	}
	/* The directory decides about +tags and aliases: joe+work@ may be an account of somebody else. */
	if (sender->mailbox == RELAY_MAILBOX_FOUND && account_gets(sender, client->account))
		return true;
	*ret_refusal = smtp_reply_make(553, "5.7.1",
		"<%.*s> is not an address of your account; send as the address you log in with, or as an alias of it",
		VIEW_ARG(shown(sender->address)));
	return false;
}

bool relay_allows_recipient(
	const struct relay_client *client, const struct relay_recipient *recipient, struct smtp_reply *ret_refusal)
{
	if (needs_login(client, ret_refusal))
		return false;
	switch (recipient->mailbox) {
	case RELAY_MAILBOX_FOUND:
		return true;
	case RELAY_MAILBOX_UNKNOWN:
		*ret_refusal = smtp_reply_make(
			550, "5.1.1", "<%.*s>: there is no such mailbox here", VIEW_ARG(shown(recipient->address)));
		return false;
	case RELAY_MAILBOX_NOT_OURS:
		if (is_known(client))
			return true;
		*ret_refusal = smtp_reply_make(550, "5.7.1",
			"<%.*s>: relaying denied; to send through this server, log in on port 587 or 465",
			VIEW_ARG(shown(recipient->address)));
		return false;
	case RELAY_MAILBOX_UNAVAILABLE:
		break;
	}
	*ret_refusal = directory_unavailable();
	return false;
}
