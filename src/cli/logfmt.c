#include "cli/logfmt.h"

/* The character at the front of v, where \xNN counts as one; 0 when it does not fit. Returns its length in v. */
static size_t read_byte(struct view v, uint8_t *ret)
{
	if (v.len >= 4 && v.ptr[0] == '\\' && v.ptr[1] == 'x') {
		int high = ascii_hex_value(v.ptr[2]);
		int low = ascii_hex_value(v.ptr[3]);
		if (high >= 0 && low >= 0) {
			*ret = (uint8_t)(high * 16 + low);
			return 4;
		}
	}
	*ret = v.ptr[0];
	return 1;
}

bool logfmt_next(struct view *rest, struct view *ret_name, struct buf *ret_value)
{
	buf_reset(ret_value);
	struct view v = view_trim(*rest);
	size_t equals = view_find(v, '=');
	if (equals == 0 || equals >= v.len || view_find(view_sub(v, 0, equals), ' ') < equals)
		return false;
	*ret_name = view_sub(v, 0, equals);
	v = view_from(v, equals + 1);
	bool quoted = v.len > 0 && v.ptr[0] == '"';
	if (quoted)
		v = view_from(v, 1);
	while (v.len > 0 && v.ptr[0] != (quoted ? '"' : ' ')) {
		uint8_t c;
		v = view_from(v, read_byte(v, &c));
		if (buf_append_byte(ret_value, c) != ERR_OK)
			return false;
	}
	if (quoted)
		v = view_from(v, 1);
	*rest = v;
	return true;
}
