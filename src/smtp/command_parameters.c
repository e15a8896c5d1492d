/* The parameters of MAIL and RCPT: one table, one function each. */
#include "mail/date.h"
#include "mail/encode.h"
#include "smtp/command.h"

#define BAD_SYNTAX "501 5.5.4 Malformed parameter"
#define BAD_VALUE "501 5.5.4 Malformed or missing parameter value"
#define TWICE "501 5.5.4 Parameter given twice"
#define UNKNOWN "555 5.5.4 Parameter not recognized or not implemented"

/* RFC 3461 §4.4: an ENVID of at most 100 characters; §4.2: ORCPT of at most 500. */
#define ENVID_MAX_BYTES 100u
#define ORCPT_MAX_BYTES 500u

struct target {
	const struct smtp_command_offer *offer;
	struct buf *scratch;
	struct smtp_mail_parameters *mail;
	struct smtp_rcpt_parameters *rcpt;
};

struct parameter {
	struct view name;
	bool has_value;
	const char *(*parse)(const struct target *target, struct view value);
};

/* Decodes xtext into the scratch. What comes out goes into header fields of reports, so no controls may hide in it. */
static bool decode(const struct target *target, struct view value, struct view *ret)
{
	size_t before = target->scratch->len;
	if (xtext_decode(value, target->scratch) != ERR_OK)
		return false;
	struct view decoded = view_from(buf_view(target->scratch), before);
	for (size_t i = 0; i < decoded.len; i++)
		if (decoded.ptr[i] < ' ' || decoded.ptr[i] == 0x7f)
			return false;
	if (!view_is_utf8(decoded))
		return false;
	*ret = decoded;
	return true;
}

static const char *parse_size(const struct target *target, struct view value)
{
	uint64_t max = target->offer->message_size_max_bytes;
	/* RFC 1870 §3: up to 20 digits, which is more than 64 bits hold. */
	enum err err = value.len > 20 ? ERR_SYNTAX : view_parse_u64(value, UINT64_MAX, &target->mail->size_bytes);
	if (err == ERR_SYNTAX)
		return BAD_VALUE;
	if (err != ERR_OK || (max > 0 && target->mail->size_bytes > max))
		return "552 5.3.4 Message size exceeds the limit";
	target->mail->has_size = true;
	return NULL;
}

static const char *parse_body(const struct target *target, struct view value)
{
	if (view_eq_nocase(value, VIEW("7BIT")))
		target->mail->body = SMTP_BODY_7BIT;
	else if (view_eq_nocase(value, VIEW("8BITMIME")))
		target->mail->body = SMTP_BODY_8BITMIME;
	else if (view_eq_nocase(value, VIEW("BINARYMIME")) && target->offer->binarymime)
		target->mail->body = SMTP_BODY_BINARYMIME;
	else
		return "501 5.5.4 Unsupported BODY type";
	return NULL;
}

static const char *parse_smtputf8(const struct target *target, struct view value)
{
	(void)value;
	if (!target->offer->smtputf8)
		return UNKNOWN;
	target->mail->smtputf8 = true;
	return NULL;
}

static const char *parse_ret(const struct target *target, struct view value)
{
	if (!target->offer->dsn)
		return UNKNOWN;
	if (view_eq_nocase(value, VIEW("FULL")))
		target->mail->ret = SMTP_RET_FULL;
	else if (view_eq_nocase(value, VIEW("HDRS")))
		target->mail->ret = SMTP_RET_HDRS;
	else
		return BAD_VALUE;
	return NULL;
}

static const char *parse_envid(const struct target *target, struct view value)
{
	if (!target->offer->dsn)
		return UNKNOWN;
	if (value.len > ENVID_MAX_BYTES || !decode(target, value, &target->mail->envid) ||
		!view_is_ascii(target->mail->envid))
		return BAD_VALUE;
	return NULL;
}

static const char *parse_auth(const struct target *target, struct view value)
{
	/* RFC 4954 §5: only where AUTH was offered. */
	if (!target->offer->auth)
		return UNKNOWN;
	target->mail->has_auth = true;
	if (view_eq(value, VIEW("<>")))
		return NULL;
	return decode(target, value, &target->mail->auth) ? NULL : BAD_VALUE;
}

/* RFC 8689 §2: a promise that is kept only inside TLS, so only there is the word known. */
static const char *parse_requiretls(const struct target *target, struct view value)
{
	(void)value;
	if (!target->offer->requiretls)
		return UNKNOWN;
	target->mail->requiretls = true;
	return NULL;
}

/* RFC 6710 §3: priority-value = (["-"] NZDIGIT) / "0" */
static const char *parse_priority(const struct target *target, struct view value)
{
	if (!target->offer->mt_priority)
		return UNKNOWN;
	bool negative = value.ptr[0] == '-';
	struct view digit = view_from(value, negative);
	uint64_t n;
	if (digit.len != 1 || view_parse_u64(digit, 9, &n) != ERR_OK || (negative && n == 0))
		return BAD_VALUE;
	target->mail->has_priority = true;
	target->mail->priority = negative ? -(int32_t)n : (int32_t)n;
	return NULL;
}

/* RFC 2852 §4: by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT; by-mode = "N" / "R"; by-trace = "T" */
static const char *parse_by(const struct target *target, struct view value)
{
	struct smtp_mail_parameters *mail = target->mail;
	if (!target->offer->deliver_by)
		return UNKNOWN;
	size_t semicolon = view_find(value, ';');
	struct view mode = view_from(value, semicolon + 1);
	bool sign = value.ptr[0] == '-' || value.ptr[0] == '+';
	struct view digits = view_sub(value, sign, semicolon - (semicolon > 0 && sign));
	uint64_t n;
	if (digits.len > 9 || view_parse_u64(digits, 999999999, &n) != ERR_OK || mode.len == 0 || mode.len > 2 ||
		(mode.len == 2 && mode.ptr[1] != 'T' && mode.ptr[1] != 't'))
		return BAD_VALUE;
	if (mode.ptr[0] == 'R' || mode.ptr[0] == 'r')
		mail->by_return = true;
	else if (mode.ptr[0] != 'N' && mode.ptr[0] != 'n')
		return BAD_VALUE;
	mail->has_by = true;
	mail->by_trace = mode.len == 2;
	mail->by_s = value.ptr[0] == '-' ? -(int32_t)n : (int32_t)n;
	/* What is to be returned if it does not get there in no time would always be returned. */
	if (mail->by_return && mail->by_s <= 0)
		return "501 5.5.4 BY with mode R needs a time above 0";
	if (mail->by_return && (uint32_t)mail->by_s < target->offer->deliver_by_min_s)
		return "555 5.5.4 BY is below the minimum that DELIVERBY offers";
	return NULL;
}

#define HOLD_TWICE "501 5.5.4 Either HOLDFOR or HOLDUNTIL"
#define HOLD_TOO_LONG "501 5.5.4 The message can't be held that long"

static const char *parse_hold_for(const struct target *target, struct view value)
{
	uint64_t n;
	if (target->offer->hold_max_s == 0)
		return UNKNOWN;
	if (target->mail->hold_until_ms != 0)
		return HOLD_TWICE;
	if (value.len > 9 || view_parse_u64(value, 999999999, &n) != ERR_OK || n == 0)
		return BAD_VALUE;
	if (n > target->offer->hold_max_s)
		return HOLD_TOO_LONG;
	target->mail->hold_for_s = (uint32_t)n;
	target->mail->hold_until_ms = target->offer->wall_ms + (int64_t)n * 1000;
	return NULL;
}

static const char *parse_hold_until(const struct target *target, struct view value)
{
	int64_t until_ms;
	if (target->offer->hold_max_s == 0)
		return UNKNOWN;
	if (target->mail->hold_until_ms != 0)
		return HOLD_TWICE;
	if (date_parse_rfc3339(value, &until_ms) != ERR_OK)
		return BAD_VALUE;
	if (until_ms <= target->offer->wall_ms)
		return "501 5.5.4 HOLDUNTIL is in the past";
	if (until_ms > target->offer->wall_ms + (int64_t)target->offer->hold_max_s * 1000)
		return HOLD_TOO_LONG;
	target->mail->hold_until_ms = until_ms;
	return NULL;
}

static const char *parse_notify(const struct target *target, struct view value)
{
	static const struct {
		struct view name;
		unsigned bit;
	} words[] = {
		{ { (const uint8_t *)"NEVER", 5 }, SMTP_NOTIFY_NEVER },
		{ { (const uint8_t *)"SUCCESS", 7 }, SMTP_NOTIFY_SUCCESS },
		{ { (const uint8_t *)"FAILURE", 7 }, SMTP_NOTIFY_FAILURE },
		{ { (const uint8_t *)"DELAY", 5 }, SMTP_NOTIFY_DELAY },
	};
	if (!target->offer->dsn)
		return UNKNOWN;
	unsigned notify = 0;
	if (value.ptr[value.len - 1] == ',')
		return BAD_VALUE;
	struct view word;
	while (view_split(&value, ',', &word)) {
		unsigned bit = 0;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (view_eq_nocase(word, words[i].name))
				bit = words[i].bit;
		if (bit == 0)
			return BAD_VALUE;
		notify |= bit;
	}
	/* RFC 3461 §4.1: NEVER stands alone. */
	if ((notify & SMTP_NOTIFY_NEVER) != 0 && notify != SMTP_NOTIFY_NEVER)
		return BAD_VALUE;
	target->rcpt->notify = notify;
	return NULL;
}

/* RFC 3461 §4.2: addr-type ";" xtext. With type "utf-8" it is RFC 6533's: \x{...} becomes the character it stands for. */
static const char *parse_orcpt(const struct target *target, struct view value)
{
	if (!target->offer->dsn)
		return UNKNOWN;
	size_t type_len = view_find(value, ';');
	if (value.len > ORCPT_MAX_BYTES || type_len == 0 || type_len + 1 >= value.len)
		return BAD_VALUE;
	for (size_t i = 0; i < type_len; i++)
		if (!ascii_is_alnum(value.ptr[i]) && value.ptr[i] != '-' && value.ptr[i] != '_')
			return BAD_VALUE;
	size_t before = target->scratch->len;
	struct view text;
	bool utf8 = view_eq_nocase(view_sub(value, 0, type_len), VIEW("utf-8"));
	if (buf_append(target->scratch, view_sub(value, 0, type_len + 1)) != ERR_OK)
		return BAD_VALUE;
	if (!view_is_ascii(value)) {
		/* RFC 6533 §3: utf-8-address may also come as it is. */
		text = view_from(value, type_len + 1);
		if (!utf8 || !target->offer->smtputf8 || !view_is_utf8(text) ||
			buf_append(target->scratch, text) != ERR_OK)
			return BAD_VALUE;
	} else if (utf8) {
		if (utf8_addr_xtext_decode(view_from(value, type_len + 1), target->scratch) != ERR_OK)
			return BAD_VALUE;
	} else if (!decode(target, view_from(value, type_len + 1), &text)) {
		return BAD_VALUE;
	}
	struct view whole = view_from(buf_view(target->scratch), before);
	/* It is repeated in reports: nothing that could end a line there. */
	for (size_t i = 0; i < whole.len; i++)
		if (whole.ptr[i] < 0x20 || whole.ptr[i] == 0x7f)
			return BAD_VALUE;
	target->rcpt->orcpt = whole;
	return NULL;
}

#define NAME(literal)                                                                                                  \
	{                                                                                                              \
		(const uint8_t *)(literal), sizeof(literal) - 1                                                        \
	}

static const struct parameter mail_parameters[] = {
	{ NAME("SIZE"), true, parse_size },
	{ NAME("BODY"), true, parse_body },
	{ NAME("SMTPUTF8"), false, parse_smtputf8 },
	{ NAME("RET"), true, parse_ret },
	{ NAME("ENVID"), true, parse_envid },
	{ NAME("AUTH"), true, parse_auth },
	{ NAME("REQUIRETLS"), false, parse_requiretls },
	{ NAME("MT-PRIORITY"), true, parse_priority },
	{ NAME("BY"), true, parse_by },
	{ NAME("HOLDFOR"), true, parse_hold_for },
	{ NAME("HOLDUNTIL"), true, parse_hold_until },
};
static const struct parameter rcpt_parameters[] = {
	{ NAME("NOTIFY"), true, parse_notify },
	{ NAME("ORCPT"), true, parse_orcpt },
};

/* esmtp-keyword of RFC 5321 §4.1.2. */
static bool is_keyword(struct view name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.ptr[i]) && (i == 0 || name.ptr[i] != '-'))
			return false;
	return name.len > 0;
}

static const char *parse_one(
	struct view word, const struct target *target, const struct parameter *known, size_t count, unsigned *seen)
{
	size_t name_len = view_find(word, '=');
	struct view name = view_sub(word, 0, name_len);
	struct view value = view_from(word, name_len + 1);
	if (!is_keyword(name))
		return BAD_SYNTAX;
	for (size_t i = 0; i < count; i++) {
		if (!view_eq_nocase(name, known[i].name))
			continue;
		if (known[i].has_value != (value.len > 0) || (!known[i].has_value && name_len < word.len))
			return BAD_VALUE;
		if ((*seen & 1u << i) != 0)
			return TWICE;
		*seen |= 1u << i;
		return known[i].parse(target, value);
	}
	return UNKNOWN;
}

static const char *parse_all(
	struct view parameters, const struct target *target, const struct parameter *known, size_t count)
{
	unsigned seen = 0;
	const char *refusal = NULL;
	while (parameters.len > 0 && refusal == NULL) {
		struct view word;
		smtp_command_split(parameters, &word, &parameters);
		refusal = word.len > 0 ? parse_one(word, target, known, count, &seen) : NULL;
	}
	return refusal;
}

const char *smtp_command_mail_parameters(struct view parameters, const struct smtp_command_offer *offer,
	struct buf *scratch, struct smtp_mail_parameters *ret)
{
	struct target target = { .offer = offer, .scratch = scratch, .mail = ret };
	*ret = (struct smtp_mail_parameters){ 0 };
	const char *refusal = parse_all(
		parameters, &target, mail_parameters, sizeof mail_parameters / sizeof *mail_parameters);
	/* RFC 4865 §5.2.2: it would be late before anybody tried to deliver it. */
	if (refusal == NULL && ret->has_by && ret->hold_until_ms != 0 &&
		ret->hold_until_ms > offer->wall_ms + (int64_t)ret->by_s * 1000)
		refusal = "501 5.5.4 The message would be released after the time given with BY";
	return refusal;
}

const char *smtp_command_rcpt_parameters(struct view parameters, const struct smtp_command_offer *offer,
	struct buf *scratch, struct smtp_rcpt_parameters *ret)
{
	struct target target = { .offer = offer, .scratch = scratch, .rcpt = ret };
	*ret = (struct smtp_rcpt_parameters){ 0 };
	return parse_all(parameters, &target, rcpt_parameters, sizeof rcpt_parameters / sizeof *rcpt_parameters);
}
