#include "mailauth/dmarc.h"

struct view dmarc_result_name(enum dmarc_result result)
{
	static const char *const names[DMARC_RESULT_COUNT] = { "none", "pass", "fail", "temperror", "permerror" };
	return view_from_cstr(names[result]);
}

/* Nothing here needs quoting: names are of letters, digits, "-", "_" and ".", and reasons are our own. */
enum err dmarc_format_result(const struct dmarc_verdict *verdict, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_append_format(out, "dmarc=%.*s", VIEW_ARG(dmarc_result_name(verdict->result)));
	if (err == ERR_OK && verdict->result != DMARC_PASS)
		err = buf_append_format(out, " reason=\"%s\"", verdict->reason);
	if (err == ERR_OK && verdict->result == DMARC_FAIL)
		err = buf_append_format(out, " policy.dmarc=%.*s", VIEW_ARG(dmarc_policy_name(verdict->applied)));
	if (err == ERR_OK && verdict->domain.len > 0)
		err = buf_append_format(out, " header.from=%.*s", VIEW_ARG(verdict->domain));
	if (err != ERR_OK)
		out->len = before;
	return err;
}
