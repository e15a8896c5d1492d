/* Laws: a parsed address proves only what we signed; a signed one parses to what it was made of. */
#include "queue/bounce_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = view_of(data, size), key = VIEW("key");
	struct bounce_token token;
	struct buf out = { 0 };
	if (bounce_address_parse(text, &token)) {
		ASSERT(token.base.len > 0 && token.base.ptr == text.ptr);
		enum err err = bounce_address_check(key, &token, 0, INT64_MAX);
		enum err made = bounce_address_format(key, token.base, token.message_id, token.index, &out);
		ASSERT(err != ERR_OK || made == ERR_LIMIT || view_eq_nocase(buf_view(&out), text) ||
			out.len != text.len);
	}
	buf_reset(&out);
	struct view base = view_sub(text, 0, 20);
	if (base.len > 0 && bounce_address_format(key, base, 1u << 20, 7, &out) == ERR_OK) {
		ASSERT(bounce_address_parse(buf_view(&out), &token));
		ASSERT(view_eq(token.base, base) && token.message_id == 1u << 20 && token.index == 7);
		ASSERT(bounce_address_check(key, &token, 0, INT64_MAX) == ERR_OK);
	}
	buf_clear(&out);
	return 0;
}
