#include "mail/message_id.h"

#include "mail/address.h"

enum { ID_MAX_BYTES = 250 };

enum err message_id_make(
	int64_t wall_ms, const uint8_t random[MESSAGE_ID_RANDOM_BYTES], struct view hostname, struct buf *out)
{
	if (!address_domain_is_valid(hostname, 0) && !address_literal_is_valid(hostname))
		return err_set(ERR_SYNTAX, "the host name is no domain");
	if (wall_ms < 0)
		return err_set(ERR_LIMIT, "the time is before 1970");
	/* Milliseconds in base 36 sort as they were made and tell nothing that the Date does not tell. */
	char stamp[16];
	size_t at = sizeof stamp;
	uint64_t n = (uint64_t)wall_ms;
	do {
		stamp[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
		n /= 36;
	} while (n > 0);
	size_t before = out->len;
	enum err err = buf_append_byte(out, '<');
	if (err == ERR_OK)
		err = buf_append(out, view_of(stamp + at, sizeof stamp - at));
	if (err == ERR_OK)
		err = buf_append_byte(out, '.');
	for (size_t i = 0; i < MESSAGE_ID_RANDOM_BYTES && err == ERR_OK; i++)
		err = buf_append_format(out, "%02x", random[i]);
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = buf_append(out, hostname);
	if (err == ERR_OK)
		err = buf_append_byte(out, '>');
	if (err != ERR_OK)
		out->len = before;
	return err;
}

bool message_id_is_clean(struct view id)
{
	if (id.len < 5 || id.len > ID_MAX_BYTES || id.ptr[0] != '<' || id.ptr[id.len - 1] != '>')
		return false;
	size_t ats = 0;
	for (size_t i = 1; i + 1 < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f || id.ptr[i] == '<' || id.ptr[i] == '>')
			return false;
		ats += id.ptr[i] == '@';
	}
	return ats == 1;
}
