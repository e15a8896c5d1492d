/* Laws of SRS: what is rewritten leads back; what leads anywhere is an address; nothing is appended on failure. */
#include "policy/srs.h"

#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = view_of(data, size), key = VIEW("key");
	struct buf out = { 0 }, back = { 0 };
	struct address a;
	if (srs_reverse(key, 20000, text, &out) == ERR_OK)
		ASSERT(address_parse(buf_view(&out), 0, &a) == ERR_OK);
	else
		ASSERT(out.len == 0);
	buf_reset(&out);
	if (srs_forward(key, 20000, text, VIEW("ours.example"), &out) == ERR_OK) {
		ASSERT(address_parse(buf_view(&out), 0, &a) == ERR_OK && a.local.len <= ADDRESS_LOCAL_MAX_BYTES);
		ASSERT(srs_is_address(a.local));
		struct address sender;
		ASSERT(address_parse(text, 0, &sender) == ERR_OK);
		enum err err = srs_reverse(key, 20000, a.local, &back);
		ASSERT(srs_is_address(sender.local) || (err == ERR_OK && view_eq(buf_view(&back), text)));
	} else {
		ASSERT(out.len == 0);
	}
	buf_clear(&out);
	buf_clear(&back);
	return 0;
}
