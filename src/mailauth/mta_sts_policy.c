#include "mailauth/mta_sts.h"

#include "mail/address.h"
#include "mailauth/txt_fields_private.h"

/* 10 digits are what the grammar has (§3.2). */
#define MAX_AGE_DIGITS_MAX 10u

struct reading {
	struct mta_sts_policy *policy;
	bool has_version, has_mode, has_max_age;
};

static const struct view mode_names[] = {
	[MTA_STS_NONE] = { (const uint8_t *)"none", 4 },
	[MTA_STS_TESTING] = { (const uint8_t *)"testing", 7 },
	[MTA_STS_ENFORCE] = { (const uint8_t *)"enforce", 7 },
};

struct view mta_sts_mode_name(enum mta_sts_mode mode)
{
	ASSERT((size_t)mode < sizeof mode_names / sizeof *mode_names);
	return mode_names[mode];
}

static enum err read_version(struct reading *reading, struct view value)
{
	if (reading->has_version)
		return ERR_OK;
	if (!view_eq(value, VIEW("STSv1")))
		return err_set(ERR_SYNTAX, "an MTA-STS policy of another version");
	reading->has_version = true;
	return ERR_OK;
}

static enum err read_mode(struct reading *reading, struct view value)
{
	if (reading->has_mode)
		return ERR_OK;
	for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++)
		if (view_eq(value, mode_names[i])) {
			reading->policy->mode = (enum mta_sts_mode)i;
			reading->has_mode = true;
			return ERR_OK;
		}
	return err_set(ERR_SYNTAX, "an MTA-STS policy with an unknown mode");
}

static enum err read_max_age(struct reading *reading, struct view value)
{
	uint64_t n;
	if (reading->has_max_age)
		return ERR_OK;
	if (value.len > MAX_AGE_DIGITS_MAX || view_parse_u64(value, UINT64_MAX, &n) != ERR_OK)
		return err_set(ERR_SYNTAX, "an MTA-STS policy whose max_age is malformed");
	reading->policy->max_age_s = n < MTA_STS_MAX_AGE_MAX_S ? (uint32_t)n : MTA_STS_MAX_AGE_MAX_S;
	reading->has_max_age = true;
	return ERR_OK;
}

static enum err read_mx(struct reading *reading, struct view value)
{
	struct mta_sts_policy *policy = reading->policy;
	struct view domain = view_starts_with(value, VIEW("*.")) ? view_from(value, 2) : value;
	if (!address_domain_is_valid(domain, 0))
		return err_set(ERR_SYNTAX, "an MTA-STS policy whose mx is no host name");
	if (policy->mx_count == MTA_STS_MX_MAX)
		return err_set(ERR_LIMIT, "an MTA-STS policy of more than %d hosts", MTA_STS_MX_MAX);
	policy->mx[policy->mx_count++] = value;
	return ERR_OK;
}

/* Keys have case (§3.2). */
static const struct {
	const char *key;
	enum err (*read)(struct reading *reading, struct view value);
} keys[] = {
	{ "version", read_version },
	{ "mode", read_mode },
	{ "max_age", read_max_age },
	{ "mx", read_mx },
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct view trim_blanks(struct view v)
{
	while (v.len > 0 && is_blank(v.ptr[0]))
		v = view_from(v, 1);
	while (v.len > 0 && is_blank(v.ptr[v.len - 1]))
		v.len--;
	return v;
}

/* Inside a value only spaces; that it is UTF-8 was checked for the whole text. */
static bool is_value(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] < ' ' || v.ptr[i] == 0x7f)
			return false;
	return v.len > 0;
}

static enum err read_line(struct reading *reading, struct view line)
{
	size_t colon = view_find(line, ':');
	struct view key = view_sub(line, 0, colon), value = trim_blanks(view_from(line, colon + 1));
	if (!txt_field_name_is_valid(key) || !is_value(value))
		return err_set(ERR_SYNTAX, "an MTA-STS policy with a malformed line");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (view_eq(key, view_from_cstr(keys[i].key)))
			return keys[i].read(reading, value);
	return ERR_OK;
}

static enum err read_lines(struct reading *reading, struct view text)
{
	struct view rest = text, line;
	while (view_split(&rest, '\n', &line)) {
		/* A CR belongs to a line end; at the end of the text, where there is none, it is a control character. */
		bool is_ended = line.ptr + line.len < text.ptr + text.len;
		if (is_ended && line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (trim_blanks(line).len == 0)
			continue;
		enum err err = read_line(reading, line);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

enum err mta_sts_policy_parse(struct view text, struct mta_sts_policy *ret)
{
	if (text.len > MTA_STS_POLICY_MAX_BYTES)
		return err_set(ERR_LIMIT, "an MTA-STS policy of more than %d bytes", MTA_STS_POLICY_MAX_BYTES);
	if (!view_is_utf8(text))
		return err_set(ERR_SYNTAX, "an MTA-STS policy that is not UTF-8");
	struct mta_sts_policy policy = { 0 };
	struct reading reading = { .policy = &policy };
	enum err err = read_lines(&reading, text);
	if (err != ERR_OK)
		return err;
	if (!reading.has_version || !reading.has_mode || !reading.has_max_age)
		return err_set(ERR_SYNTAX, "an MTA-STS policy without version, mode or max_age");
	if (policy.mx_count == 0 && policy.mode != MTA_STS_NONE)
		return err_set(ERR_SYNTAX, "an MTA-STS policy without a host");
	*ret = policy;
	return ERR_OK;
}

enum err mta_sts_policy_format(const struct mta_sts_policy *policy, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_append_format(out, "version: STSv1\r\nmode: %.*s\r\nmax_age: %u\r\n",
		VIEW_ARG(mta_sts_mode_name(policy->mode)), (unsigned)policy->max_age_s);
	for (size_t i = 0; err == ERR_OK && i < policy->mx_count; i++)
		err = buf_append_format(out, "mx: %.*s\r\n", VIEW_ARG(policy->mx[i]));
	if (err != ERR_OK)
		out->len = before;
	return err;
}
