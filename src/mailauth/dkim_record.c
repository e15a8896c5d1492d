#include "mailauth/dkim_record.h"

#include "mail/encode.h"
#include "mailauth/dkim_private.h"

enum err dkim_record_name(struct view selector, struct view domain, struct buf *out)
{
	struct arena arena;
	struct view clean_selector, clean_domain;
	arena_init(&arena, 1024);
	bool is_fine = view_is_ascii(selector) && view_is_ascii(domain) &&
		dkim_domain_normalise(selector, 1, &arena, &clean_selector) &&
		dkim_domain_normalise(domain, 2, &arena, &clean_domain) &&
		clean_selector.len + clean_domain.len + sizeof "._domainkey." - 1 <= 253;
	enum err err = is_fine
		? buf_append_format(out, "%.*s._domainkey.%.*s", VIEW_ARG(clean_selector), VIEW_ARG(clean_domain))
		: err_set(ERR_SYNTAX, "selector or domain is no name in A-labels");
	arena_clear(&arena);
	return err;
}

static enum err append_public(const struct signature_private *key, struct buf *out)
{
	struct buf bytes = { 0 };
	enum err err = signature_private_public(key, &bytes);
	if (err == ERR_OK)
		err = base64_encode(buf_view(&bytes), out);
	buf_clear(&bytes);
	return err;
}

enum err dkim_record_format(const struct signature_private *key, unsigned flags, struct buf *out)
{
	/* h= keeps a verifier that still takes SHA-1 from taking it with this key. */
	static const char *const fronts[] = { "v=DKIM1; k=rsa; h=sha256; ", "v=DKIM1; k=ed25519; h=sha256; " };
	static const char *const flag_tags[] = { "", "t=y; ", "t=s; ", "t=y:s; " };
	if (key == NULL)
		return buf_append(out, VIEW("v=DKIM1; p="));
	size_t before = out->len;
	enum err err = buf_append_cstr(out, fronts[signature_private_kind(key) == SIGNATURE_ED25519]);
	if (err == ERR_OK)
		err = buf_append_format(out, "%sp=", flag_tags[flags & (DKIM_RECORD_TESTING | DKIM_RECORD_STRICT)]);
	if (err == ERR_OK)
		err = append_public(key, out);
	if (err != ERR_OK)
		out->len = before;
	return err;
}

enum err dkim_record_quote(struct view text, struct buf *out)
{
	size_t before = out->len;
	enum err err = ERR_OK;
	do {
		struct view part = view_sub(text, 0, 255);
		text = view_from(text, part.len);
		err = buf_append(out, out->len > before ? VIEW(" \"") : VIEW("\""));
		for (size_t i = 0; err == ERR_OK && i < part.len; i++) {
			uint8_t c = part.ptr[i];
			/* RFC 1035 §5.1 */
			if (c == '"' || c == '\\')
				err = buf_append_format(out, "\\%c", c);
			else if (ascii_is_printable(c))
				err = buf_append_byte(out, c);
			else
				err = buf_append_format(out, "\\%03u", c);
		}
		if (err == ERR_OK)
			err = buf_append_byte(out, '"');
	} while (err == ERR_OK && text.len > 0);
	if (err != ERR_OK)
		out->len = before;
	return err;
}

enum err dkim_record_parse(struct view text, struct dkim_record *ret)
{
	struct dkim_key key;
	const char *wrong = dkim_key_parse(text, &key);
	if (wrong != NULL)
		return err_set(ERR_SYNTAX, "%s", wrong);
	struct dkim_record record = {
		.is_revoked = key.is_revoked, .is_testing = key.is_testing, .is_strict = key.is_strict
	};
	bool is_usable = key.is_for_mail && key.takes_sha256;
	if (key.key != NULL) {
		record.kind = signature_public_kind(key.key);
		record.bits = signature_public_bits(key.key);
	}
	dkim_key_clear(&key);
	if (!is_usable)
		return err_set(ERR_SYNTAX, "the key is not for mail, or not for SHA-256");
	*ret = record;
	return ERR_OK;
}

bool dkim_record_matches(struct view text, const struct signature_private *key)
{
	struct dkim_key published;
	if (dkim_key_parse(text, &published) != NULL)
		return false;
	/* What our key signs, the published one must match: no need to compare forms. */
	static const uint8_t digest[HASH_BYTES] = { 1 };
	struct buf signature = { 0 };
	bool matches = published.key != NULL && published.is_for_mail && published.takes_sha256 &&
		signature_public_kind(published.key) == signature_private_kind(key) &&
		signature_sign(key, digest, &signature) == ERR_OK &&
		signature_matches(published.key, digest, buf_view(&signature));
	buf_clear(&signature);
	dkim_key_clear(&published);
	return matches;
}

/* For mail, usable, and with the same key. */
static bool agrees(struct view published, const struct dkim_key *ours)
{
	struct dkim_key theirs;
	if (dkim_key_parse(published, &theirs) != NULL)
		return false;
	bool same = theirs.key != NULL && theirs.is_for_mail && theirs.takes_sha256 &&
		signature_public_equal(theirs.key, ours->key);
	dkim_key_clear(&theirs);
	return same;
}

enum dkim_publication dkim_record_publication(
	enum dkim_dns_status status, const struct dns_answer *answer, struct view record)
{
	struct dkim_key ours;
	size_t records = 0, right = 0;
	if (status == DKIM_DNS_FAILED)
		return DKIM_PUBLICATION_UNKNOWN;
	if (status != DKIM_DNS_OK || answer == NULL)
		return DKIM_UNPUBLISHED;
	if (dkim_key_parse(record, &ours) != NULL || ours.key == NULL)
		return DKIM_PUBLISHED_OTHER;
	for (size_t i = 0; i < answer->record_count; i++)
		if (answer->records[i].type == DNS_TYPE_TXT) {
			records++;
			right += agrees(answer->records[i].data, &ours);
		}
	dkim_key_clear(&ours);
	if (records == 0)
		return DKIM_UNPUBLISHED;
	return right == 0 ? DKIM_PUBLISHED_OTHER : right < records ? DKIM_PUBLISHED_SEVERAL : DKIM_PUBLISHED;
}

const char *dkim_publication_text(enum dkim_publication publication)
{
	static const char *const texts[DKIM_PUBLICATION_COUNT] = {
		[DKIM_PUBLISHED] = "published",
		[DKIM_UNPUBLISHED] = "not published: DNS has no record of that name",
		[DKIM_PUBLISHED_OTHER] = "not published: DNS has another record of that name",
		[DKIM_PUBLISHED_SEVERAL] = "published beside other records of that name: those must go",
		[DKIM_PUBLICATION_UNKNOWN] = "not known: DNS did not answer",
	};
	return texts[publication];
}
