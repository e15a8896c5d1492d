/* What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1). Unknown keywords are skipped, malformed parameters count as absent. */
#include "smtp/sender_private.h"

#include "mail/date.h"

/* RFC 1870 §3: "SIZE" alone and "SIZE 0" set no fixed limit. */
static void parse_size(struct view value, struct sender_offer *offer)
{
	uint64_t n;
	if (view_parse_u64(value, UINT64_MAX, &n) == ERR_OK)
		offer->size_max_bytes = n;
}

/* RFC 2852 §2: the least time of mode R, and perhaps more behind a comma. */
static void parse_deliver_by(struct view value, struct sender_offer *offer)
{
	uint64_t n;
	if (view_parse_u64(view_sub(value, 0, view_find(value, ',')), 999999999, &n) == ERR_OK)
		offer->deliver_by_min_s = (uint32_t)n;
}

/* RFC 4865 §3: the longest interval and the last moment; without them it can't be known what is allowed. */
static void parse_future_release(struct view value, struct sender_offer *offer)
{
	uint64_t n;
	int64_t until_ms;
	size_t blank = view_find(value, ' ');
	if (view_parse_u64(view_sub(value, 0, blank), 999999999, &n) != ERR_OK || n == 0 ||
		date_parse_rfc3339(view_trim(view_from(value, blank + 1)), &until_ms) != ERR_OK)
		return;
	offer->extensions |= SMTP_EXT_FUTURERELEASE;
	offer->hold_max_s = (uint32_t)n;
	offer->hold_max_until_ms = until_ms;
}

static void parse_auth(struct view value, struct sender_offer *offer)
{
	/* A server may send both "AUTH …" and the old "AUTH=…": what stands in either counts. */
	offer->logins |= sasl_client_offered(value);
}

/* RFC 9422 §2: name=value words; names not known are skipped. */
static void parse_limits(struct view value, struct sender_offer *offer)
{
	struct view word;
	while (view_split(&value, ' ', &word)) {
		size_t equals = view_find(word, '=');
		struct view name = view_sub(word, 0, equals);
		uint64_t n;
		if (view_parse_u64(view_from(word, equals + 1), UINT32_MAX, &n) != ERR_OK)
			continue;
		if (view_eq_nocase(name, VIEW("RCPTMAX")))
			offer->limit_recipients = (uint32_t)n;
		else if (view_eq_nocase(name, VIEW("MAILMAX")))
			offer->limit_transactions = (uint32_t)n;
	}
}

static void parse_keyword(struct view line, struct sender_offer *offer)
{
	static const struct {
		const char *name;
		unsigned extension;
		void (*parse)(struct view value, struct sender_offer *offer);
	} keywords[] = {
		{ "PIPELINING", SMTP_EXT_PIPELINING, NULL },
		{ "8BITMIME", SMTP_EXT_8BITMIME, NULL },
		{ "SMTPUTF8", SMTP_EXT_SMTPUTF8, NULL },
		{ "CHUNKING", SMTP_EXT_CHUNKING, NULL },
		{ "BINARYMIME", SMTP_EXT_BINARYMIME, NULL },
		{ "DSN", SMTP_EXT_DSN, NULL },
		{ "SIZE", SMTP_EXT_SIZE, parse_size },
		{ "STARTTLS", SMTP_EXT_STARTTLS, NULL },
		{ "AUTH", SMTP_EXT_AUTH, parse_auth },
		{ "ENHANCEDSTATUSCODES", SMTP_EXT_ENHANCED, NULL },
		{ "LIMITS", SMTP_EXT_LIMITS, parse_limits },
		{ "REQUIRETLS", SMTP_EXT_REQUIRETLS, NULL },
		{ "MT-PRIORITY", SMTP_EXT_MT_PRIORITY, NULL },
		{ "DELIVERBY", SMTP_EXT_DELIVERBY, parse_deliver_by },
		{ "FUTURERELEASE", 0, parse_future_release },
	};
	line = view_trim(line);
	size_t blank = view_find(line, ' ');
	/* "AUTH=LOGIN PLAIN" comes from servers older than RFC 4954, and for the clients that were made for them. */
	if (view_starts_with_nocase(line, VIEW("AUTH=")))
		blank = 4;
	struct view name = view_sub(line, 0, blank);
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (!view_eq_nocase(name, view_from_cstr(keywords[i].name)))
			continue;
		offer->extensions |= keywords[i].extension;
		if (keywords[i].parse != NULL)
			keywords[i].parse(view_trim(view_from(line, blank + 1)), offer);
		return;
	}
}

void sender_offer_parse(struct view frame, struct sender_offer *ret)
{
	*ret = (struct sender_offer){ 0 };
	bool last = false;
	for (bool first = true; !last; first = false) {
		uint16_t code;
		struct view text;
		size_t used;
		/* The frame went through smtp_reply_parse() before. */
		if (smtp_reply_parse_line(frame, &code, &last, &text, &used) != ERR_OK)
			return;
		/* The first line is the server's name and greeting. */
		if (!first)
			parse_keyword(text, ret);
		frame = view_from(frame, used);
	}
}
