#include "mail/bounce_class.h"

#include <string.h>

#define TEXT_MAX_BYTES 1000u

static const char *const names[BOUNCE_CLASSES] = {
	[BOUNCE_UNDETERMINED] = "undetermined",
	[BOUNCE_BAD_MAILBOX] = "bad-mailbox",
	[BOUNCE_INACTIVE] = "inactive",
	[BOUNCE_FULL] = "full",
	[BOUNCE_TOO_LARGE] = "too-large",
	[BOUNCE_BAD_DOMAIN] = "bad-domain",
	[BOUNCE_BAD_SENDER] = "bad-sender",
	[BOUNCE_AUTHENTICATION] = "authentication",
	[BOUNCE_PTR] = "ptr",
	[BOUNCE_REPUTATION] = "reputation",
	[BOUNCE_CONTENT] = "content",
	[BOUNCE_VIRUS] = "virus",
	[BOUNCE_RATE] = "rate",
	[BOUNCE_GREYLIST] = "greylist",
	[BOUNCE_POLICY] = "policy",
	[BOUNCE_RELAY] = "relay",
	[BOUNCE_TLS] = "tls",
	[BOUNCE_DNS] = "dns",
	[BOUNCE_NETWORK] = "network",
	[BOUNCE_EXPIRED] = "expired",
	[BOUNCE_LOOP] = "loop",
	[BOUNCE_PROTOCOL] = "protocol",
	[BOUNCE_SYSTEM] = "system",
};

struct view bounce_class_name(enum bounce_class class)
{
	return view_from_cstr(names[class]);
}

bool bounce_class_parse(struct view name, enum bounce_class *ret)
{
	for (size_t i = 0; i < BOUNCE_CLASSES; i++)
		if (view_eq_nocase(name, view_from_cstr(names[i]))) {
			*ret = (enum bounce_class)i;
			return true;
		}
	return false;
}

/*
 * What servers say, in lower case; "*" is anything between two pieces. The first line that fits decides, so what is said for sure stands before
 * what is said in passing: "blocked … too many unknown users" is about reputation.
 */
struct phrase {
	const char *text;
	enum bounce_class class;
};

static const struct phrase phrases[] = {
	{ "virus", BOUNCE_VIRUS },
	{ "malware", BOUNCE_VIRUS },
	{ "infected", BOUNCE_VIRUS },
	{ "securiteinfo", BOUNCE_VIRUS },
	{ "mcspamsignature", BOUNCE_VIRUS },

	{ "greylist", BOUNCE_GREYLIST },
	{ "graylist", BOUNCE_GREYLIST },
	{ "grey-list", BOUNCE_GREYLIST },
	{ "grey list", BOUNCE_GREYLIST },

	{ "too many hops", BOUNCE_LOOP },
	{ "loops back", BOUNCE_LOOP },
	{ "mail loop", BOUNCE_LOOP },
	{ "mail forwarding loop", BOUNCE_LOOP },
	{ "hop count exceeded", BOUNCE_LOOP },
	{ "routing loop", BOUNCE_LOOP },
	{ "mailloop", BOUNCE_LOOP },

	{ "spam classification", BOUNCE_CONTENT },
	{ "duplicate header", BOUNCE_PROTOCOL },
	{ "multiple addresses in from", BOUNCE_PROTOCOL },
	{ "protocol violation", BOUNCE_PROTOCOL },

	{ "dmarc", BOUNCE_AUTHENTICATION },
	{ "spf check", BOUNCE_AUTHENTICATION },
	{ "spf record", BOUNCE_AUTHENTICATION },
	{ "spf fail", BOUNCE_AUTHENTICATION },
	{ "fail*spf", BOUNCE_AUTHENTICATION },
	{ "failed spf", BOUNCE_AUTHENTICATION },
	{ "dkim*fail", BOUNCE_AUTHENTICATION },
	{ "fail*dkim", BOUNCE_AUTHENTICATION },
	{ "spf or dkim", BOUNCE_AUTHENTICATION },
	{ "sender policy framework", BOUNCE_AUTHENTICATION },
	{ "does not have authentication information", BOUNCE_AUTHENTICATION },
	{ "sender is unauthenticated", BOUNCE_AUTHENTICATION },
	{ "unauthenticated email", BOUNCE_AUTHENTICATION },

	{ "reverse dns", BOUNCE_PTR },
	{ "rdns", BOUNCE_PTR },
	{ "ptr record", BOUNCE_PTR },
	{ "ptr resource record", BOUNCE_PTR },
	{ "no ptr", BOUNCE_PTR },
	{ "ip name lookup failed", BOUNCE_PTR },
	{ "cannot find your hostname", BOUNCE_PTR },
	{ "can't find your hostname", BOUNCE_PTR },
	{ "reverse hostname", BOUNCE_PTR },
	{ "hostname*does not match*ip", BOUNCE_PTR },
	{ "mismatches client ip", BOUNCE_PTR },
	{ "resolve your address", BOUNCE_PTR },

	{ "starttls", BOUNCE_TLS },
	{ "tls required", BOUNCE_TLS },
	{ "tls is required", BOUNCE_TLS },
	{ "must use tls", BOUNCE_TLS },
	{ "tls negotiation", BOUNCE_TLS },
	{ "tls handshake", BOUNCE_TLS },
	{ "certificate", BOUNCE_TLS },
	{ "encryption needed", BOUNCE_TLS },
	{ "encryption required", BOUNCE_TLS },

	{ "complaints", BOUNCE_REPUTATION },
	{ "reputation", BOUNCE_REPUTATION },
	{ "blacklist", BOUNCE_REPUTATION },
	{ "blocklist", BOUNCE_REPUTATION },
	{ "block list", BOUNCE_REPUTATION },
	{ "black list", BOUNCE_REPUTATION },
	{ "blocked using", BOUNCE_REPUTATION },
	{ "dnsbl", BOUNCE_REPUTATION },
	{ "rbl", BOUNCE_REPUTATION },
	{ "spamhaus", BOUNCE_REPUTATION },
	{ "spamcop", BOUNCE_REPUTATION },
	{ "sorbs", BOUNCE_REPUTATION },
	{ "barracudacentral", BOUNCE_REPUTATION },
	{ "banned sending ip", BOUNCE_REPUTATION },
	{ "senderscore", BOUNCE_REPUTATION },
	{ "sender score", BOUNCE_REPUTATION },
	{ "poor domain rep", BOUNCE_REPUTATION },
	{ "listed at", BOUNCE_REPUTATION },
	{ "listed in", BOUNCE_REPUTATION },
	{ "sending ip*is listed", BOUNCE_REPUTATION },
	{ "your ip*is listed", BOUNCE_REPUTATION },
	{ "blocked for spam", BOUNCE_REPUTATION },
	{ "blocked for abuse", BOUNCE_REPUTATION },
	{ "ip*has been blocked", BOUNCE_REPUTATION },
	{ "host*is blocked", BOUNCE_REPUTATION },
	{ "client host*blocked", BOUNCE_REPUTATION },
	{ "ip source bloquee", BOUNCE_REPUTATION },
	{ "mail from*refused*blocked", BOUNCE_REPUTATION },
	{ "part of their network is on our block", BOUNCE_REPUTATION },
	{ "bad reputation", BOUNCE_REPUTATION },
	{ "cdrbl", BOUNCE_REPUTATION },
	{ "not accepting connections", BOUNCE_REPUTATION },
	{ "may not be mail exchanger", BOUNCE_REPUTATION },
	{ "(bl)", BOUNCE_REPUTATION },

	{ "rate limit", BOUNCE_RATE },
	{ "rate-limit", BOUNCE_RATE },
	{ "ratelimit", BOUNCE_RATE },
	{ "receiving mail at a rate", BOUNCE_RATE },
	{ "receiving mail too quickly", BOUNCE_RATE },
	{ "receivingrate", BOUNCE_RATE },
	{ "too many connections", BOUNCE_RATE },
	{ "too many concurrent", BOUNCE_RATE },
	{ "concurrent connections", BOUNCE_RATE },
	{ "too many messages", BOUNCE_RATE },
	{ "too many recipients", BOUNCE_RATE },
	{ "too many sessions", BOUNCE_RATE },
	{ "too much mail", BOUNCE_RATE },
	{ "unusual rate", BOUNCE_RATE },
	{ "unexpected volume", BOUNCE_RATE },
	{ "throttl", BOUNCE_RATE },
	{ "frequency limited", BOUNCE_RATE },
	{ "sending limit", BOUNCE_RATE },
	{ "slow down", BOUNCE_RATE },
	{ "connection limit", BOUNCE_RATE },
	{ "exceeded*connection", BOUNCE_RATE },
	{ "exceeded*messages", BOUNCE_RATE },
	{ "try again later*too many", BOUNCE_RATE },

	{ "over quota", BOUNCE_FULL },
	{ "overquota", BOUNCE_FULL },
	{ "over-quota", BOUNCE_FULL },
	{ "mailbox full", BOUNCE_FULL },
	{ "mailbox is full", BOUNCE_FULL },
	{ "mailfolder is full", BOUNCE_FULL },
	{ "quota exceeded", BOUNCE_FULL },
	{ "exceed*quota", BOUNCE_FULL },
	{ "quota*exceed", BOUNCE_FULL },
	{ "shutoffquota", BOUNCE_FULL },
	{ "out of storage", BOUNCE_FULL },
	{ "storage quota", BOUNCE_FULL },
	{ "mailbox*exceed", BOUNCE_FULL },
	{ "inbox is full", BOUNCE_FULL },
	{ "user is over", BOUNCE_FULL },
	{ "not enough space*mailbox", BOUNCE_FULL },

	{ "message too large", BOUNCE_TOO_LARGE },
	{ "message is too large", BOUNCE_TOO_LARGE },
	{ "message size exceeds", BOUNCE_TOO_LARGE },
	{ "message length exceeds", BOUNCE_TOO_LARGE },
	{ "exceeds*message size", BOUNCE_TOO_LARGE },
	{ "exceeds*maximum*size", BOUNCE_TOO_LARGE },
	{ "size limit", BOUNCE_TOO_LARGE },
	{ "recipsizelimit", BOUNCE_TOO_LARGE },
	{ "message too big", BOUNCE_TOO_LARGE },
	{ "too big", BOUNCE_TOO_LARGE },

	{ "relay", BOUNCE_RELAY },
	{ "non-local", BOUNCE_RELAY },
	{ "not our customer", BOUNCE_INACTIVE },
	{ "not our user", BOUNCE_INACTIVE },
	{ "not local", BOUNCE_RELAY },
	{ "not a local", BOUNCE_RELAY },
	{ "rcpthosts", BOUNCE_RELAY },

	{ "has moved", BOUNCE_INACTIVE },
	{ "no longer", BOUNCE_INACTIVE },
	{ "has been disabled", BOUNCE_INACTIVE },
	{ "account*disabled", BOUNCE_INACTIVE },
	{ "mailbox*disabled", BOUNCE_INACTIVE },
	{ "user*disabled", BOUNCE_INACTIVE },
	{ "disableduser", BOUNCE_INACTIVE },
	{ "is not active", BOUNCE_INACTIVE },
	{ "not activated", BOUNCE_INACTIVE },
	{ "disabled recipient", BOUNCE_INACTIVE },
	{ "account*suspended", BOUNCE_INACTIVE },
	{ "mailbox*suspended", BOUNCE_INACTIVE },
	{ "account*inactive", BOUNCE_INACTIVE },
	{ "inactive", BOUNCE_INACTIVE },
	{ "mailbox is frozen", BOUNCE_INACTIVE },
	{ "account is locked", BOUNCE_INACTIVE },
	{ "temporary locked", BOUNCE_INACTIVE },
	{ "recipient account is blocked", BOUNCE_INACTIVE },
	{ "discontinued", BOUNCE_INACTIVE },
	{ "deactivated", BOUNCE_INACTIVE },
	{ "account*closed", BOUNCE_INACTIVE },
	{ "account has expired", BOUNCE_INACTIVE },

	{ "sender address*does not exist", BOUNCE_BAD_SENDER },
	{ "domain of sender", BOUNCE_BAD_SENDER },
	{ "sender*no a, aaaa", BOUNCE_BAD_SENDER },
	{ "sender*no mx", BOUNCE_BAD_SENDER },
	{ "sender domain", BOUNCE_BAD_SENDER },
	{ "sender address rejected", BOUNCE_BAD_SENDER },
	{ "sender rejected aup", BOUNCE_POLICY },
	{ "sender rejected. aup", BOUNCE_POLICY },
	{ "sender rejected", BOUNCE_BAD_SENDER },
	{ "sender verify failed", BOUNCE_BAD_SENDER },
	{ "sender verification", BOUNCE_BAD_SENDER },
	{ "invalid sender", BOUNCE_BAD_SENDER },
	{ "bad sender", BOUNCE_BAD_SENDER },
	{ "unresolvable address", BOUNCE_BAD_SENDER },
	{ "domain*must resolve", BOUNCE_BAD_SENDER },
	{ "purported responsible address", BOUNCE_BAD_SENDER },
	{ "from address*not allowed", BOUNCE_BAD_SENDER },

	{ "user unknown", BOUNCE_BAD_MAILBOX },
	{ "unknown user", BOUNCE_BAD_MAILBOX },
	{ "no such user", BOUNCE_BAD_MAILBOX },
	{ "user not found", BOUNCE_BAD_MAILBOX },
	{ "user not exist", BOUNCE_BAD_MAILBOX },
	{ "no such recipient", BOUNCE_BAD_MAILBOX },
	{ "recipient unknown", BOUNCE_BAD_MAILBOX },
	{ "unknown recipient", BOUNCE_BAD_MAILBOX },
	{ "invalid recipient", BOUNCE_BAD_MAILBOX },
	{ "recipient not found", BOUNCE_BAD_MAILBOX },
	{ "recipientnotfound", BOUNCE_BAD_MAILBOX },
	{ "recipnotfound", BOUNCE_BAD_MAILBOX },
	{ "no such mailbox", BOUNCE_BAD_MAILBOX },
	{ "mailbox not found", BOUNCE_BAD_MAILBOX },
	{ "mailbox unavailable", BOUNCE_BAD_MAILBOX },
	{ "mailbox does not exist", BOUNCE_BAD_MAILBOX },
	{ "mailbox*doesn't exist", BOUNCE_BAD_MAILBOX },
	{ "mailbox unknown", BOUNCE_BAD_MAILBOX },
	{ "address does not exist", BOUNCE_BAD_MAILBOX },
	{ "account*does not exist", BOUNCE_BAD_MAILBOX },
	{ "account that you tried to reach does not", BOUNCE_BAD_MAILBOX },
	{ "recipient*does not exist", BOUNCE_BAD_MAILBOX },
	{ "user*does not exist", BOUNCE_BAD_MAILBOX },
	{ "user doesn't", BOUNCE_BAD_MAILBOX },
	{ "doesn't have a*account", BOUNCE_BAD_MAILBOX },
	{ "unknown address", BOUNCE_BAD_MAILBOX },
	{ "address unknown", BOUNCE_BAD_MAILBOX },
	{ "unknown local", BOUNCE_BAD_MAILBOX },
	{ "unrouteable address", BOUNCE_BAD_MAILBOX },
	{ "unroutable address", BOUNCE_BAD_MAILBOX },
	{ "address rejected", BOUNCE_BAD_MAILBOX },
	{ "address invalid", BOUNCE_BAD_MAILBOX },
	{ "invalid mailbox", BOUNCE_BAD_MAILBOX },
	{ "mailbox name not allowed", BOUNCE_BAD_MAILBOX },
	{ "undeliverable address", BOUNCE_BAD_MAILBOX },
	{ "no mail-box", BOUNCE_BAD_MAILBOX },
	{ "recipient unrecognized", BOUNCE_BAD_MAILBOX },
	{ "recipient not recognized", BOUNCE_BAD_MAILBOX },
	{ "no such id", BOUNCE_BAD_MAILBOX },
	{ "cannot deliver mail for", BOUNCE_BAD_MAILBOX },
	{ "utilisateur inconnu", BOUNCE_BAD_MAILBOX },
	{ "not a valid", BOUNCE_BAD_MAILBOX },
	{ "destinataire invalide", BOUNCE_BAD_MAILBOX },
	{ "no mailbox", BOUNCE_BAD_MAILBOX },
	{ "recipient preferences", BOUNCE_POLICY },

	{ "no such domain", BOUNCE_BAD_DOMAIN },
	{ "domain does not exist", BOUNCE_BAD_DOMAIN },
	{ "domain not found", BOUNCE_BAD_DOMAIN },
	{ "domain name not found", BOUNCE_BAD_DOMAIN },
	{ "host unknown", BOUNCE_BAD_DOMAIN },
	{ "host not found", BOUNCE_BAD_DOMAIN },
	{ "unknown host", BOUNCE_BAD_DOMAIN },
	{ "invalid domain", BOUNCE_BAD_DOMAIN },
	{ "domain is not reachable", BOUNCE_BAD_DOMAIN },
	{ "nxdomain", BOUNCE_BAD_DOMAIN },
	{ "null mx", BOUNCE_BAD_DOMAIN },
	{ "nullmx", BOUNCE_BAD_DOMAIN },
	{ "does not accept mail", BOUNCE_BAD_DOMAIN },
	{ "accepts no mail", BOUNCE_BAD_DOMAIN },
	{ "no relevant answers", BOUNCE_BAD_DOMAIN },
	{ "no mx for", BOUNCE_BAD_DOMAIN },

	{ "name service error", BOUNCE_DNS },
	{ "dns", BOUNCE_DNS },
	{ "name server", BOUNCE_DNS },
	{ "can't be looked up", BOUNCE_DNS },

	{ "spam", BOUNCE_CONTENT },
	{ "content rejected", BOUNCE_CONTENT },
	{ "its content", BOUNCE_CONTENT },
	{ "unsolicited", BOUNCE_CONTENT },
	{ "bulk mail", BOUNCE_CONTENT },
	{ "junk mail", BOUNCE_CONTENT },
	{ "junkmail", BOUNCE_CONTENT },
	{ "phish", BOUNCE_CONTENT },
	{ "suspicious", BOUNCE_CONTENT },
	{ "message content", BOUNCE_CONTENT },
	{ "mail content", BOUNCE_CONTENT },
	{ "url in this*listed", BOUNCE_CONTENT },
	{ "message filtered", BOUNCE_CONTENT },
	{ "content filter", BOUNCE_CONTENT },
	{ "attachment", BOUNCE_CONTENT },
	{ "url*block", BOUNCE_CONTENT },
	{ "headers too large", BOUNCE_CONTENT },
	{ "8-bit data in message header", BOUNCE_CONTENT },

	{ "message expired", BOUNCE_EXPIRED },
	{ "queue.expired", BOUNCE_EXPIRED },
	{ "retry time*exceeded", BOUNCE_EXPIRED },
	{ "retry timeout exceeded", BOUNCE_EXPIRED },
	{ "delivery time expired", BOUNCE_EXPIRED },

	{ "timed out", BOUNCE_NETWORK },
	{ "timeout", BOUNCE_NETWORK },
	{ "connection refused", BOUNCE_NETWORK },
	{ "did not accept our requests to connect", BOUNCE_NETWORK },
	{ "connection reset", BOUNCE_NETWORK },
	{ "lost connection", BOUNCE_NETWORK },
	{ "connection lost", BOUNCE_NETWORK },
	{ "closed the connection", BOUNCE_NETWORK },
	{ "connection*dropped", BOUNCE_NETWORK },
	{ "no route to host", BOUNCE_NETWORK },
	{ "network is unreachable", BOUNCE_NETWORK },
	{ "can't be reached", BOUNCE_NETWORK },
	{ "could not be reached", BOUNCE_NETWORK },
	{ "unable to connect", BOUNCE_NETWORK },
	{ "could not connect", BOUNCE_NETWORK },

	{ "policy", BOUNCE_POLICY },
	{ "policies", BOUNCE_POLICY },
	{ "access denied", BOUNCE_POLICY },
	{ "not allowed", BOUNCE_POLICY },
	{ "authrequired", BOUNCE_POLICY },
	{ "authentication required", BOUNCE_POLICY },
	{ "unauthenticated", BOUNCE_POLICY },
	{ "not authorized", BOUNCE_POLICY },
	{ "not authorised", BOUNCE_POLICY },
	{ "prohibited", BOUNCE_POLICY },
	{ "restricted", BOUNCE_POLICY },
	{ "host rejected", BOUNCE_POLICY },
	{ "turn on smtp auth", BOUNCE_POLICY },
	{ "service refuse", BOUNCE_POLICY },
	{ "is not verified", BOUNCE_BAD_SENDER },
	{ "blocked", BOUNCE_REPUTATION },

	{ "disk space", BOUNCE_SYSTEM },
	{ "no space left", BOUNCE_SYSTEM },
	{ "insufficient system", BOUNCE_SYSTEM },
	{ "disk full", BOUNCE_SYSTEM },
	{ "maintenance", BOUNCE_SYSTEM },
	{ "service currently unavailable", BOUNCE_SYSTEM },
	{ "local error", BOUNCE_SYSTEM },
	{ "internal error", BOUNCE_SYSTEM },
	{ "temporarily unable", BOUNCE_SYSTEM },
	{ "temporary failure", BOUNCE_SYSTEM },
	{ "temporary local problem", BOUNCE_SYSTEM },
	{ "system problem", BOUNCE_SYSTEM },
	{ "configuration error", BOUNCE_SYSTEM },
	{ "transaction failed", BOUNCE_SYSTEM },

	{ "not implemented", BOUNCE_PROTOCOL },
	{ "sequence of commands", BOUNCE_PROTOCOL },
	{ "syntax error", BOUNCE_PROTOCOL },
	{ "bad command", BOUNCE_PROTOCOL },
	{ "unrecognized command", BOUNCE_PROTOCOL },
	{ "smtputf8", BOUNCE_PROTOCOL },
	{ "header error", BOUNCE_PROTOCOL },
	{ "8bit", BOUNCE_PROTOCOL },
	{ "rfc 5322", BOUNCE_PROTOCOL },
	{ "rfc5322", BOUNCE_PROTOCOL },
};

/* Enhanced codes that say it by themselves, whatever the text (RFC 3463, RFC 7293, RFC 7372, RFC 7505, RFC 8689, and Microsoft's three-digit ones). */
struct status {
	unsigned class; /* 0: any */
	unsigned subject, detail;
	enum bounce_class means;
};

static const struct status sure[] = {
	{ 0, 2, 2, BOUNCE_FULL },
	{ 0, 2, 3, BOUNCE_TOO_LARGE },
	{ 0, 3, 4, BOUNCE_TOO_LARGE },
	{ 0, 1, 6, BOUNCE_INACTIVE },
	{ 0, 1, 8, BOUNCE_BAD_SENDER },
	{ 0, 1, 7, BOUNCE_BAD_SENDER },
	{ 0, 4, 6, BOUNCE_LOOP },
	{ 0, 7, 10, BOUNCE_TLS },
	{ 0, 7, 13, BOUNCE_INACTIVE },
	{ 0, 7, 17, BOUNCE_INACTIVE },
	{ 0, 7, 18, BOUNCE_INACTIVE },
	{ 0, 7, 20, BOUNCE_AUTHENTICATION },
	{ 0, 7, 21, BOUNCE_AUTHENTICATION },
	{ 0, 7, 22, BOUNCE_AUTHENTICATION },
	{ 0, 7, 23, BOUNCE_AUTHENTICATION },
	{ 0, 7, 24, BOUNCE_AUTHENTICATION },
	{ 0, 7, 25, BOUNCE_PTR },
	{ 0, 7, 26, BOUNCE_AUTHENTICATION },
	{ 0, 7, 27, BOUNCE_BAD_SENDER },
	{ 0, 7, 28, BOUNCE_RATE },
	{ 0, 7, 29, BOUNCE_AUTHENTICATION },
	{ 0, 7, 30, BOUNCE_TLS },
	{ 0, 7, 38, BOUNCE_RATE },
	{ 0, 7, 509, BOUNCE_AUTHENTICATION },
	{ 0, 7, 606, BOUNCE_REPUTATION },
	{ 0, 7, 650, BOUNCE_REPUTATION },
};

/* Those that say it unless the text says more. */
static const struct status likely[] = {
	{ 0, 1, 1, BOUNCE_BAD_MAILBOX },
	{ 0, 1, 2, BOUNCE_BAD_DOMAIN },
	{ 0, 1, 3, BOUNCE_BAD_MAILBOX },
	{ 0, 1, 4, BOUNCE_BAD_MAILBOX },
	{ 0, 1, 0, BOUNCE_BAD_MAILBOX },
	{ 0, 1, 10, BOUNCE_BAD_DOMAIN },
	{ 0, 2, 1, BOUNCE_INACTIVE },
	{ 0, 2, 4, BOUNCE_BAD_MAILBOX },
	{ 0, 3, 1, BOUNCE_SYSTEM },
	{ 0, 3, 2, BOUNCE_SYSTEM },
	{ 0, 3, 0, BOUNCE_SYSTEM },
	{ 0, 3, 5, BOUNCE_SYSTEM },
	{ 0, 4, 1, BOUNCE_NETWORK },
	{ 0, 4, 2, BOUNCE_NETWORK },
	{ 0, 4, 3, BOUNCE_DNS },
	{ 0, 4, 4, BOUNCE_BAD_DOMAIN },
	{ 0, 4, 5, BOUNCE_RATE },
	{ 0, 4, 7, BOUNCE_EXPIRED },
	{ 0, 4, 0, BOUNCE_NETWORK },
	{ 0, 5, 3, BOUNCE_RATE },
	{ 0, 5, 1, BOUNCE_PROTOCOL },
	{ 0, 5, 2, BOUNCE_PROTOCOL },
	{ 0, 5, 4, BOUNCE_PROTOCOL },
	{ 0, 6, 9, BOUNCE_CONTENT },
	{ 0, 6, 1, BOUNCE_CONTENT },
	{ 0, 6, 0, BOUNCE_CONTENT },
	{ 0, 7, 5, BOUNCE_TLS },
	{ 0, 7, 8, BOUNCE_POLICY },
};

/* "a*b": a, and somewhere behind it b. */
static bool fits(const char *phrase, struct view text)
{
	struct view rest = view_from_cstr(phrase), piece;
	while (view_split(&rest, '*', &piece)) {
		const uint8_t *at = text.len >= piece.len ? memmem(text.ptr, text.len, piece.ptr, piece.len) : NULL;
		if (at == NULL)
			return false;
		text = view_from(text, (size_t)(at - text.ptr) + piece.len);
	}
	return true;
}

static bool find_phrase(struct view text, enum bounce_class *ret)
{
	uint8_t lower[TEXT_MAX_BYTES];
	size_t len = text.len < sizeof lower ? text.len : sizeof lower, n = 0;
	for (size_t i = 0; i < len; i++) {
		/* Folds and doubled blanks are one blank. */
		uint8_t c = text.ptr[i] <= ' ' ? ' ' : ascii_lower(text.ptr[i]);
		if (c != ' ' || n == 0 || lower[n - 1] != ' ')
			lower[n++] = c;
	}
	for (size_t i = 0; n > 0 && i < sizeof phrases / sizeof phrases[0]; i++)
		if (fits(phrases[i].text, view_of(lower, n))) {
			*ret = phrases[i].class;
			return true;
		}
	return false;
}

static bool find_status(
	const struct status *table, size_t count, const struct bounce_reply *reply, enum bounce_class *ret)
{
	for (size_t i = 0; i < count; i++)
		if ((table[i].class == 0 || table[i].class == reply->class) && table[i].subject == reply->subject &&
			table[i].detail == reply->detail && reply->class != 0) {
			*ret = table[i].means;
			return true;
		}
	return false;
}

static enum bounce_class by_code(const struct bounce_reply *reply)
{
	switch (reply->code) {
	case 521:
	case 556:
		return BOUNCE_BAD_DOMAIN; /* RFC 7504: takes no mail */
	case 500:
	case 501:
	case 502:
	case 503:
	case 504:
	case 555:
		return BOUNCE_PROTOCOL;
	case 422:
	case 522:
	case 552:
		return BOUNCE_FULL;
	case 551:
		return BOUNCE_INACTIVE;
	case 452:
		return BOUNCE_SYSTEM;
	case 530:
	case 535:
	case 538:
		return BOUNCE_POLICY;
	default:
		break;
	}
	return reply->class != 0 && reply->subject == 7 ? BOUNCE_POLICY : BOUNCE_UNDETERMINED;
}

struct bounce_verdict bounce_classify(const struct bounce_reply *reply)
{
	enum bounce_class class;
	if (!find_status(sure, sizeof sure / sizeof sure[0], reply, &class) && !find_phrase(reply->text, &class) &&
		!find_status(likely, sizeof likely / sizeof likely[0], reply, &class))
		class = by_code(reply);
	bool permanent = reply->code >= 500 || (reply->code == 0 && reply->class == 5);
	return (struct bounce_verdict){
		.class = class,
		.is_hard = permanent &&
			(class == BOUNCE_BAD_MAILBOX || class == BOUNCE_INACTIVE || class == BOUNCE_BAD_DOMAIN),
	};
}

/* "550", then "-" or " " or the end. */
static bool take_code(struct view *text, unsigned *ret)
{
	uint64_t code;
	if (text->len < 3 || view_parse_u64(view_sub(*text, 0, 3), 599, &code) != ERR_OK || code < 200)
		return false;
	if (text->len > 3 && text->ptr[3] != ' ' && text->ptr[3] != '-')
		return false;
	*ret = (unsigned)code;
	*text = view_trim(view_from(*text, text->len > 3 ? 4 : 3));
	return true;
}

static bool take_number(struct view *text, uint64_t max, unsigned *ret)
{
	size_t digits = 0;
	uint64_t n;
	while (digits < text->len && digits < 4 && ascii_is_digit(text->ptr[digits]))
		digits++;
	if (digits == 0 || view_parse_u64(view_sub(*text, 0, digits), max, &n) != ERR_OK)
		return false;
	*ret = (unsigned)n;
	*text = view_from(*text, digits);
	return true;
}

static bool take_dot(struct view *text)
{
	if (text->len == 0 || text->ptr[0] != '.')
		return false;
	*text = view_from(*text, 1);
	return true;
}

static void take_status(struct bounce_reply *reply)
{
	struct view rest = reply->text;
	unsigned class, subject, detail;
	if (!take_number(&rest, 5, &class) || class < 2 || class == 3 || !take_dot(&rest) ||
		!take_number(&rest, 999, &subject) || !take_dot(&rest) || !take_number(&rest, 999, &detail))
		return;
	if (rest.len > 0 && rest.ptr[0] != ' ')
		return;
	reply->class = class;
	reply->subject = subject;
	reply->detail = detail;
	reply->text = view_trim(rest);
}

struct bounce_reply bounce_reply_from(struct view text)
{
	struct bounce_reply reply = { .text = view_trim(text) };
	if (view_starts_with_nocase(reply.text, VIEW("smtp;")))
		reply.text = view_trim(view_from(reply.text, 5));
	(void)take_code(&reply.text, &reply.code);
	take_status(&reply);
	return reply;
}
