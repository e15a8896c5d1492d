#include "mailauth/mta_sts.h"

#include "mailauth/txt_fields_private.h"

#define VERSION VIEW("v=STSv1")

static bool is_id(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]))
			return false;
	return v.len > 0 && v.len <= MTA_STS_ID_MAX_BYTES;
}

enum err mta_sts_record_parse(struct view text, struct view *ret_id)
{
	struct view rest = text, name, value, id = VIEW_NONE;
	enum err err = txt_fields_begin(&rest, VERSION);
	if (err != ERR_OK)
		return err;
	enum txt_step step;
	while ((step = txt_fields_next(&rest, &name, &value)) == TXT_FIELD) {
		if (!txt_field_value_is_plain(value))
			return err_set(ERR_SYNTAX, "an MTA-STS record with a malformed value");
		/* §3.2: of a field that comes twice the first counts. */
		if (!view_eq(name, VIEW("id")) || id.len > 0)
			continue;
		if (!is_id(value))
			return err_set(ERR_SYNTAX, "an MTA-STS record whose id is malformed");
		id = value;
	}
	if (step == TXT_BAD)
		return err_set(ERR_SYNTAX, "a malformed MTA-STS record");
	if (id.len == 0)
		return err_set(ERR_SYNTAX, "an MTA-STS record without an id");
	*ret_id = id;
	return ERR_OK;
}

enum err mta_sts_record_find(const struct dns_answer *answer, struct view *ret_id)
{
	struct view text;
	enum err err = txt_fields_choose(answer, VERSION, &text);
	return err != ERR_OK ? err : mta_sts_record_parse(text, ret_id);
}
