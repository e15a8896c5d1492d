#include "base/mem.h"
#include "sasl/server.h"
#include "smtp/framer.h"

#include <string.h>

/* Grows by hand, for realloc() would leave copies of passwords behind in freed memory. */
static void hold(struct smtp_line_framer *framer, struct view bytes, size_t max_bytes)
{
	size_t need = framer->partial_len + bytes.len;
	if (need > framer->partial_cap) {
		size_t cap = framer->partial_cap == 0 ? 128 : framer->partial_cap * 4;
		while (cap < need)
			cap *= 4;
		if (cap > max_bytes)
			cap = max_bytes;
		uint8_t *larger = mem_alloc(cap);
		if (framer->partial_len > 0)
			memcpy(larger, framer->partial, framer->partial_len);
		sasl_wipe(framer->partial, framer->partial_len);
		mem_free(framer->partial);
		framer->partial = larger;
		framer->partial_cap = cap;
	}
	if (bytes.len > 0)
		memcpy(framer->partial + framer->partial_len, bytes.ptr, bytes.len);
	framer->partial_len = need;
}

void smtp_line_framer_clear(struct smtp_line_framer *framer)
{
	sasl_wipe(framer->partial, framer->partial_len);
	mem_free(framer->partial);
	*framer = (struct smtp_line_framer){ 0 };
}

enum smtp_line_kind smtp_line_framer_feed(
	struct smtp_line_framer *framer, struct view in, size_t max_bytes, struct view *ret_line, size_t *ret_used)
{
	size_t end = view_find(in, '\n');
	bool complete = end < in.len;
	size_t take = complete ? end + 1 : in.len;
	struct view bytes = view_sub(in, 0, take);
	*ret_used = take;
	if (take > max_bytes - framer->partial_len) {
		bool after_cr = framer->after_cr;
		smtp_line_framer_clear(framer);
		framer->after_cr = after_cr;
		framer->too_long = true;
	}
	bool after_cr = take > 0 ? bytes.ptr[take - 1] == '\r' : framer->after_cr;
	if (!complete) {
		if (!framer->too_long)
			hold(framer, bytes, max_bytes);
		framer->after_cr = after_cr;
		return SMTP_LINE_MORE;
	}
	bool crlf = end > 0 ? in.ptr[end - 1] == '\r' : framer->after_cr;
	if (!crlf)
		return SMTP_LINE_BARE_LF;
	if (framer->too_long)
		return SMTP_LINE_TOO_LONG;
	if (framer->partial_len > 0) {
		hold(framer, bytes, max_bytes);
		bytes = view_of(framer->partial, framer->partial_len);
	}
	*ret_line = view_sub(bytes, 0, bytes.len - 2);
	return SMTP_LINE_COMPLETE;
}
