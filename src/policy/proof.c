#include "policy/proof.h"

#include "crypto/mac.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
#define TEXT_MAX_BYTES 600u

void proof_make(struct view key, const char *purpose, struct view text, char ret[PROOF_CHARS])
{
	uint8_t lower[TEXT_MAX_BYTES], mac[MAC_BYTES];
	size_t n = 0;
	/* The purpose and a NUL first, so that no text for one purpose is one for another. */
	for (const char *p = purpose; *p != '\0'; p++)
		lower[n++] = (uint8_t)*p;
	lower[n++] = 0;
	ASSERT(text.len <= sizeof lower - n);
	for (size_t i = 0; i < text.len; i++)
		lower[n++] = ascii_lower(text.ptr[i]);
	mac_once(key, view_of(lower, n), mac);
	for (size_t i = 0; i < PROOF_CHARS; i++)
		ret[i] = letters[mac[i] & 31u];
}

bool proof_matches(struct view key, const char *purpose, struct view text, struct view proof)
{
	char wanted[PROOF_CHARS];
	uint8_t lower[PROOF_CHARS];
	if (proof.len != PROOF_CHARS)
		return false;
	for (size_t i = 0; i < PROOF_CHARS; i++)
		lower[i] = ascii_lower(proof.ptr[i]);
	proof_make(key, purpose, text, wanted);
	return mac_equal(view_of(wanted, PROOF_CHARS), view_of(lower, PROOF_CHARS));
}

enum err proof_append_number(uint32_t number, unsigned chars, struct buf *out)
{
	enum err err = ERR_OK;
	for (unsigned i = chars; i-- > 0 && err == ERR_OK;)
		err = buf_append_byte(out, (uint8_t)letters[number >> (5 * i) & 31u]);
	return err;
}

enum err proof_parse_number(struct view text, uint32_t *ret)
{
	uint32_t number = 0;
	if (text.len == 0 || text.len > 6)
		return ERR_SYNTAX;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = ascii_lower(text.ptr[i]);
		if (c >= 'a' && c <= 'z')
			number = number << 5 | (uint32_t)(c - 'a');
		else if (c >= '2' && c <= '7')
			number = number << 5 | (uint32_t)(c - '2' + 26);
		else
			return ERR_SYNTAX;
	}
	*ret = number;
	return ERR_OK;
}
