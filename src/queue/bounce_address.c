#include "queue/bounce_address.h"

#include "mail/address.h"
#include "policy/proof.h"
#include "queue/id.h"

#define MARK VIEW("+bounce-")
#define PURPOSE "bounce"

/* What is proven: everything before the proof. */
static enum err format_proven(struct view base, uint64_t message_id, uint32_t index, struct buf *out)
{
	struct queue_id_text id = queue_id_format(message_id);
	/* Not by "%.*s", which would end at a NUL. */
	enum err err = buf_append(out, base);
	if (err == ERR_OK)
		err = buf_append(out, MARK);
	return err == ERR_OK ? buf_append_format(out, "%s-%u", id.text, index) : err;
}

enum err bounce_address_format(struct view key, struct view base, uint64_t message_id, uint32_t index, struct buf *out)
{
	size_t before = out->len;
	char proof[PROOF_CHARS];
	enum err err = format_proven(base, message_id, index, out);
	/* Checked before the proof is made of it: its maker takes no more. */
	if (err == ERR_OK && out->len - before + 1 + PROOF_CHARS > ADDRESS_LOCAL_MAX_BYTES)
		err = err_set(ERR_LIMIT, "the signed bounce address would be too long");
	if (err == ERR_OK) {
		proof_make(key, PURPOSE, view_from(buf_view(out), before), proof);
		err = buf_append_byte(out, '-');
	}
	if (err == ERR_OK)
		err = buf_append(out, view_of(proof, sizeof proof));
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* Where the last mark begins, in either case; local.len: nowhere. */
static size_t find_mark(struct view local)
{
	for (size_t at = local.len; at-- > 0;)
		if (view_starts_with_nocase(view_from(local, at), MARK))
			return at;
	return local.len;
}

bool bounce_address_parse(struct view local, struct bounce_token *ret)
{
	size_t at = find_mark(local);
	if (at == local.len || at == 0 || local.len > ADDRESS_LOCAL_MAX_BYTES)
		return false;
	struct view rest = view_from(local, at + MARK.len), id, index;
	uint64_t number;
	struct bounce_token token = { .base = view_sub(local, 0, at) };
	if (!view_split(&rest, '-', &id) || !view_split(&rest, '-', &index) || rest.len != PROOF_CHARS ||
		queue_id_parse(id, &token.message_id) != ERR_OK || view_parse_u64(index, UINT32_MAX, &number) != ERR_OK)
		return false;
	token.index = (uint32_t)number;
	token.proof = rest;
	*ret = token;
	return true;
}

enum err bounce_address_check(struct view key, const struct bounce_token *token, int64_t now_ms, int64_t valid_ms)
{
	struct buf proven = { 0 };
	enum err err = format_proven(token->base, token->message_id, token->index, &proven);
	if (err == ERR_OK && !proof_matches(key, PURPOSE, buf_view(&proven), token->proof))
		err = err_set(ERR_REFUSED, "the bounce address is not of our making");
	buf_clear(&proven);
	/* Ids are made of the time (queue/id.h). */
	if (err == ERR_OK && now_ms - (int64_t)(token->message_id / 4096) > valid_ms)
		err = err_set(ERR_TIMEOUT, "the bounce address has expired");
	return err;
}
