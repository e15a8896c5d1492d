#include "queue/id.h"

/* Crockford's alphabet: no i, l, o (read as 1, 1, 0) and no u. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

#define TEXT_LEN (QUEUE_ID_TEXT_BYTES - 1)

uint64_t queue_id_next(uint64_t last, int64_t now_ms)
{
	ASSERT(last < INT64_MAX); /* the databases' integers are signed; the clock gets there in 71,000 years */
	uint64_t now = now_ms <= 0 ? 0 : now_ms > INT64_MAX / 4096 ? INT64_MAX : (uint64_t)now_ms * 4096;
	return now > last ? now : last + 1;
}

struct queue_id_text queue_id_format(uint64_t id)
{
	struct queue_id_text ret = { { 0 } };
	for (size_t i = TEXT_LEN; i-- > 0; id >>= 5)
		ret.text[i] = alphabet[id & 31];
	return ret;
}

/* 0–31, or -1. What people write down for a letter that is not in the alphabet is taken for what they saw. */
static int digit_value(uint8_t c)
{
	c = ascii_lower(c);
	if (c == 'i' || c == 'l')
		return 1;
	if (c == 'o')
		return 0;
	for (int i = 0; i < 32; i++)
		if ((uint8_t)alphabet[i] == c)
			return i;
	return -1;
}

enum err queue_id_parse(struct view text, uint64_t *ret)
{
	if (text.len != TEXT_LEN)
		return err_set(ERR_SYNTAX, "a queue id has %u letters and digits", TEXT_LEN);
	uint64_t id = 0;
	for (size_t i = 0; i < text.len; i++) {
		int value = digit_value(text.ptr[i]);
		/* 13 digits hold 65 bits: the first one has four. */
		if (value < 0 || (i == 0 && value > 15))
			return err_set(ERR_SYNTAX, "this is not a queue id");
		id = id << 5 | (uint64_t)value;
	}
	*ret = id;
	return ERR_OK;
}
