#include "mailauth/dkim_private.h"

#include "mail/encode.h"
#include "mailauth/dkim_record.h"

#include <string.h>

static bool has_word(const struct tag_list *list, struct view name, struct view word)
{
	const struct tag *tag = tag_list_find(list, name);
	struct view rest = tag != NULL ? tag->value : VIEW_NONE, part;
	while (tag_value_next(&rest, &part))
		if (view_eq_nocase(part, word))
			return true;
	return false;
}

static bool kind_of(const struct tag_list *list, enum signature_kind *ret)
{
	const struct tag *tag = tag_list_find(list, VIEW("k"));
	if (tag == NULL || view_eq_nocase(tag->value, VIEW("rsa")))
		*ret = SIGNATURE_RSA;
	else if (view_eq_nocase(tag->value, VIEW("ed25519")))
		*ret = SIGNATURE_ED25519;
	else
		return false;
	return true;
}

static const char *make_key(enum signature_kind kind, struct view p, struct signature_public **ret)
{
	uint8_t text[DKIM_RECORD_MAX_BYTES];
	size_t len;
	struct buf bytes = { 0 };
	const char *wrong = "the key is no base64";
	if (tag_value_pack(p, text, sizeof text, &len) == ERR_OK &&
		base64_decode(view_of(text, len), &bytes) == ERR_OK) {
		enum err err = kind == SIGNATURE_RSA ? signature_public_read_der(buf_view(&bytes), ret)
						     : signature_public_read_raw(buf_view(&bytes), ret);
		wrong = err == ERR_OK       ? NULL
			: err == ERR_SYNTAX ? "the key is malformed"
					    : "the key is of a kind or size that we don't take";
	}
	buf_clear(&bytes);
	return wrong;
}

const char *dkim_key_parse(struct view text, struct dkim_key *ret)
{
	struct tag_list list;
	if (text.len > DKIM_RECORD_MAX_BYTES)
		return "the key record is too long";
	if (tag_list_parse(text, &list) != ERR_OK)
		return "the key record is no tag list";
	/* RFC 6376 §3.6.1: v= comes first if at all, and another one marks a record that is not for us. */
	const struct tag *version = tag_list_find(&list, VIEW("v")), *p = tag_list_find(&list, VIEW("p"));
	if (version != NULL && (version != &list.tags[0] || !view_eq(version->value, VIEW("DKIM1"))))
		return "the record is none of DKIM1";
	if (p == NULL)
		return "the key record has no key";
	enum signature_kind kind;
	if (!kind_of(&list, &kind))
		return "the key is of an unknown kind";
	struct dkim_key key = { .is_revoked = p->value.len == 0,
		.is_testing = has_word(&list, VIEW("t"), VIEW("y")),
		.is_strict = has_word(&list, VIEW("t"), VIEW("s")),
		.is_for_mail = tag_list_find(&list, VIEW("s")) == NULL || has_word(&list, VIEW("s"), VIEW("*")) ||
			has_word(&list, VIEW("s"), VIEW("email")),
		.takes_sha256 = tag_list_find(&list, VIEW("h")) == NULL || has_word(&list, VIEW("h"), VIEW("sha256")) };
	const char *wrong = key.is_revoked ? NULL : make_key(kind, p->value, &key.key);
	if (wrong == NULL)
		*ret = key;
	return wrong;
}

void dkim_key_clear(struct dkim_key *key)
{
	signature_public_free(key->key);
	key->key = NULL;
}
