#include "crypto/signature_private.h"

/* Read here by hand, and not through OpenSSL 3's decoders: those take ten times as long as the verification that follows. */

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_NULL = 0x05, DER_OID = 0x06, DER_SEQUENCE = 0x30 };

/* Takes one element with this tag off the front; DER's one form of each length only (X.690 §10.1). */
static bool take(struct view *rest, uint8_t tag, struct view *ret_content)
{
	if (rest->len < 2 || rest->ptr[0] != tag)
		return false;
	size_t head = 2, len = rest->ptr[1];
	if (len >= 0x80) {
		size_t bytes = len - 0x80;
		/* Up to two length bytes: 64 KiB is more than any key here has. */
		if (bytes < 1 || bytes > 2 || rest->len < 2 + bytes)
			return false;
		len = bytes == 1 ? rest->ptr[2] : (size_t)rest->ptr[2] << 8 | rest->ptr[3];
		if (len < (bytes == 1 ? 0x80u : 0x100u))
			return false;
		head += bytes;
	}
	if (len > rest->len - head)
		return false;
	*ret_content = view_sub(*rest, head, len);
	*rest = view_from(*rest, head + len);
	return true;
}

/* A positive INTEGER in its shortest form, without the sign's zero. */
static bool take_positive(struct view *rest, struct view *ret)
{
	struct view v;
	if (!take(rest, DER_INTEGER, &v) || v.len == 0 || v.ptr[0] >= 0x80)
		return false;
	if (v.ptr[0] == 0) {
		if (v.len == 1 || v.ptr[1] < 0x80)
			return false;
		v = view_from(v, 1);
	}
	*ret = v;
	return true;
}

static bool take_rsa_public_key(struct view content, struct rsa_numbers *ret)
{
	struct rsa_numbers numbers;
	if (!take_positive(&content, &numbers.modulus) || !take_positive(&content, &numbers.exponent) ||
		content.len > 0)
		return false;
	*ret = numbers;
	return true;
}

enum err rsa_numbers_parse(struct view der, struct rsa_numbers *ret)
{
	static const uint8_t rsa_encryption[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
	struct view outer, algorithm, oid, none, bits, inner;
	if (!take(&der, DER_SEQUENCE, &outer) || der.len > 0)
		return err_set(ERR_SYNTAX, "the key is not DER");
	if (outer.len > 0 && outer.ptr[0] == DER_INTEGER)
		return take_rsa_public_key(outer, ret) ? ERR_OK : err_set(ERR_SYNTAX, "the RSA key is malformed");
	if (!take(&outer, DER_SEQUENCE, &algorithm) || !take(&algorithm, DER_OID, &oid) ||
		!take(&outer, DER_BIT_STRING, &bits) || outer.len > 0)
		return err_set(ERR_SYNTAX, "the key is malformed");
	if (!view_eq(oid, view_of(rsa_encryption, sizeof rsa_encryption)))
		return err_set(ERR_UNSUPPORTED, "the key is no RSA key");
	/* RFC 3279 §2.3.1 wants NULL parameters; some leave them out. */
	if (algorithm.len > 0 && (!take(&algorithm, DER_NULL, &none) || none.len > 0 || algorithm.len > 0))
		return err_set(ERR_SYNTAX, "the key is malformed");
	if (bits.len == 0 || bits.ptr[0] != 0)
		return err_set(ERR_SYNTAX, "the RSA key is malformed");
	bits = view_from(bits, 1);
	if (!take(&bits, DER_SEQUENCE, &inner) || bits.len > 0 || !take_rsa_public_key(inner, ret))
		return err_set(ERR_SYNTAX, "the RSA key is malformed");
	return ERR_OK;
}
