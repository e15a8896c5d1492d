/* MAIL and RCPT as text, with the parameters that the server offers. */
#include "smtp/sender_private.h"

#include "mail/date.h"
#include "mail/encode.h"

/* Real addresses are below 320 bytes; a bound keeps the output bounded. */
#define PATH_MAX_BYTES 1000u
/* RFC 3461 §4.4 and §4.2: ENVID has at most 100 characters, ORCPT at most 500. */
#define ENVID_MAX_BYTES 100u
#define ORCPT_MAX_BYTES 500u
#define DELIVER_BY_MAX_S 999999999

static bool has(const struct smtp_sender *sender, unsigned extension)
{
	return (sender->offer.extensions & extension) != 0;
}

/* Addresses were parsed long before they come here. This is the last door before the wire: a CR or LF would begin a new command, a
 * blank or ">" outside a quoted string would begin parameters. */
bool sender_command_path_is_safe(struct view address)
{
	bool quoted = false;
	if (address.len > PATH_MAX_BYTES)
		return false;
	for (size_t i = 0; i < address.len; i++) {
		uint8_t c = address.ptr[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == '"')
			quoted = !quoted;
		else if (quoted && c == '\\')
			/* A quoted pair: the next byte is looked at only for being a control. */
			i += i + 1 < address.len && address.ptr[i + 1] >= 0x20 && address.ptr[i + 1] != 0x7f;
		else if (!quoted && (c == ' ' || c == '<' || c == '>'))
			return false;
	}
	return !quoted;
}

static void put_path(struct smtp_sender *sender, struct view verb, struct view address)
{
	sender_put(sender, verb);
	sender_put(sender, address);
	sender_put(sender, VIEW(">"));
}

static void put_mail_dsn(struct smtp_sender *sender)
{
	static const struct view returns[] = {
		[SMTP_RET_FULL] = { (const uint8_t *)" RET=FULL", 9 },
		[SMTP_RET_HDRS] = { (const uint8_t *)" RET=HDRS", 9 },
	};
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	if (what->ret != SMTP_RET_UNSET)
		sender_put(sender, returns[what->ret]);
	if (what->envid.len > 0 && what->envid.len <= ENVID_MAX_BYTES) {
		sender_put(sender, VIEW(" ENVID="));
		ASSERT(xtext_encode(what->envid, &sender->out) == ERR_OK);
	}
}

static void put_number(struct smtp_sender *sender, struct view name, int64_t n)
{
	sender_put(sender, name);
	if (n < 0)
		sender_put(sender, VIEW("-"));
	sender_put_u64(sender, (uint64_t)(n < 0 ? -n : n));
}

/* RFC 2852 §4: nine digits at most. */
static void put_deliver_by(struct smtp_sender *sender)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	int64_t by_s = what->by_s;
	if (by_s < -DELIVER_BY_MAX_S || by_s > DELIVER_BY_MAX_S)
		by_s = by_s < 0 ? -DELIVER_BY_MAX_S : DELIVER_BY_MAX_S;
	put_number(sender, VIEW(" BY="), by_s);
	sender_put(sender, what->by_return ? VIEW(";R") : VIEW(";N"));
	if (what->by_trace)
		sender_put(sender, VIEW("T"));
}

static void put_hold(struct smtp_sender *sender)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	if (what->hold_for_s > 0) {
		put_number(sender, VIEW(" HOLDFOR="), what->hold_for_s);
	} else if (what->hold_until_ms > 0) {
		sender_put(sender, VIEW(" HOLDUNTIL="));
		ASSERT(date_format_rfc3339(what->hold_until_ms, &sender->out) == ERR_OK);
	}
}

void sender_command_mail(struct smtp_sender *sender)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	put_path(sender, VIEW("MAIL FROM:<"), what->reverse_path);
	if (has(sender, SMTP_EXT_SIZE)) {
		sender_put(sender, VIEW(" SIZE="));
		sender_put_u64(sender, what->size_bytes);
	}
	/* That these are offered was checked when the transaction began; 7BIT is the default and needs no word. */
	if (what->body == SMTP_BODY_8BITMIME)
		sender_put(sender, VIEW(" BODY=8BITMIME"));
	else if (what->body == SMTP_BODY_BINARYMIME)
		sender_put(sender, VIEW(" BODY=BINARYMIME"));
	if (what->smtputf8)
		sender_put(sender, VIEW(" SMTPUTF8"));
	if (has(sender, SMTP_EXT_DSN))
		put_mail_dsn(sender);
	if (what->requiretls)
		sender_put(sender, VIEW(" REQUIRETLS"));
	/* RFC 6710 §4.2: also where it is the usual one. */
	if (has(sender, SMTP_EXT_MT_PRIORITY))
		put_number(sender, VIEW(" MT-PRIORITY="), what->priority);
	if (what->has_by && has(sender, SMTP_EXT_DELIVERBY))
		put_deliver_by(sender);
	put_hold(sender);
	/* The login is ours, not the author's: we vouch for nobody (RFC 4954 §5). */
	if (sender->options.has_login && has(sender, SMTP_EXT_AUTH))
		sender_put(sender, VIEW(" AUTH=<>"));
	sender_put(sender, VIEW("\r\n"));
}

/* RFC 2852 §4.1.4.2: a server that can't be told the time by which a message should arrive is at least to tell of delays. */
static unsigned notify_for(const struct smtp_sender *sender, unsigned notify)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	bool is_untold = what->has_by && !what->by_return && what->by_s > 0 && !has(sender, SMTP_EXT_DELIVERBY);
	if (!is_untold || (notify & SMTP_NOTIFY_NEVER) != 0)
		return notify;
	return (notify == 0 ? SMTP_NOTIFY_FAILURE : notify) | SMTP_NOTIFY_DELAY;
}

/* RFC 3461 §4.1: NEVER stands alone. */
static void put_notify(struct smtp_sender *sender, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {
		{ SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		{ SMTP_NOTIFY_FAILURE, "FAILURE" },
		{ SMTP_NOTIFY_DELAY, "DELAY" },
	};
	const char *separator = " NOTIFY=";
	if ((notify & SMTP_NOTIFY_NEVER) != 0) {
		sender_put(sender, VIEW(" NOTIFY=NEVER"));
		return;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if ((notify & words[i].bit) == 0)
			continue;
		sender_put(sender, view_from_cstr(separator));
		sender_put(sender, view_from_cstr(words[i].word));
		separator = ",";
	}
}

static bool is_atom(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && v.ptr[i] != '-')
			return false;
	return v.len > 0;
}

/* RFC 3461 §4.2: "rfc822;" and xtext. RFC 6533 §3: the type "utf-8" has its own encoding for what is not ASCII. What can't be written is
 * left out: the parameter is of use to reports only. */
static void put_orcpt(struct smtp_sender *sender, struct view orcpt)
{
	size_t semicolon = view_find(orcpt, ';');
	struct view type = view_sub(orcpt, 0, semicolon);
	struct view address = view_from(orcpt, semicolon + 1);
	size_t before = sender->out.len;
	if (!is_atom(type) || address.len == 0 || orcpt.len > ORCPT_MAX_BYTES)
		return;
	sender_put(sender, VIEW(" ORCPT="));
	sender_put(sender, view_sub(orcpt, 0, semicolon + 1));
	bool utf8 = view_eq_nocase(type, VIEW("utf-8"));
	enum err err = utf8 ? utf8_addr_xtext_encode(address, &sender->out) : xtext_encode(address, &sender->out);
	if (err != ERR_OK)
		sender->out.len = before;
}

void sender_command_rcpt(struct smtp_sender *sender, const struct smtp_sender_recipient *recipient)
{
	put_path(sender, VIEW("RCPT TO:<"), recipient->address);
	if (has(sender, SMTP_EXT_DSN)) {
		put_notify(sender, notify_for(sender, recipient->notify));
		put_orcpt(sender, recipient->orcpt);
	}
	sender_put(sender, VIEW("\r\n"));
}
