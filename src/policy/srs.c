#include "policy/srs.h"

#include "mail/address.h"
#include "policy/proof.h"

#define PURPOSE "srs"
#define DAY_CHARS 2u

static bool has_prefix(struct view local, const char *prefix)
{
	/* Some write "SRS0+" or "SRS0-" instead of "SRS0=". */
	return local.len > 5 && view_starts_with_nocase(local, view_from_cstr(prefix)) &&
		(local.ptr[4] == '=' || local.ptr[4] == '+' || local.ptr[4] == '-');
}

bool srs_is_address(struct view local)
{
	return has_prefix(local, "SRS0") || has_prefix(local, "SRS1");
}

/* Takes the piece before the next "=" off the front. */
static bool take(struct view *rest, struct view *ret)
{
	size_t at = view_find(*rest, '=');
	if (at == 0 || at >= rest->len)
		return false;
	*ret = view_sub(*rest, 0, at);
	*rest = view_from(*rest, at + 1);
	return true;
}

/* "kind=proof=" and what is proven, "@domain". */
static enum err write(struct view key, const char *kind, struct view proven, struct view domain, struct buf *out)
{
	char proof[PROOF_CHARS];
	size_t before = out->len;
	proof_make(key, PURPOSE, proven, proof);
	enum err err = buf_append_cstr(out, kind);
	if (err == ERR_OK)
		err = buf_append(out, view_of(proof, sizeof proof));
	if (err == ERR_OK)
		err = buf_append_byte(out, '=');
	if (err == ERR_OK)
		err = buf_append(out, proven);
	if (err == ERR_OK && out->len - before > ADDRESS_LOCAL_MAX_BYTES)
		err = err_set(ERR_LIMIT, "the rewritten address would be too long");
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = buf_append(out, domain);
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* What stands behind the proof, for a sender who has no SRS address yet: "day=sender.example=joe". */
static enum err prove_first(int64_t day, const struct address *a, struct buf *out)
{
	enum err err = proof_append_number((uint32_t)(day % SRS_DAYS), DAY_CHARS, out);
	if (err == ERR_OK)
		err = buf_append_format(out, "=%.*s=%.*s", VIEW_ARG(a->domain), VIEW_ARG(a->local));
	return err;
}

/* The same for one who has: "forwarder.example==rest" of his SRS0, or what his SRS1 has behind the proof. */
static enum err prove_again(const struct address *a, struct buf *out)
{
	struct view rest = view_from(a->local, 5), proof;
	if (has_prefix(a->local, "SRS0"))
		/* The sign that stood behind SRS0 stays: it is the other server's. */
		return buf_append_format(out, "%.*s=%.*s", VIEW_ARG(a->domain), VIEW_ARG(view_from(a->local, 4)));
	if (!take(&rest, &proof) || rest.len == 0)
		return err_set(ERR_UNSUPPORTED, "the sender's SRS address is malformed");
	return buf_append(out, rest);
}

enum err srs_forward(struct view key, int64_t day, struct view sender, struct view domain, struct buf *out)
{
	struct address a;
	if (address_parse(sender, 0, &a) != ERR_OK || a.local_is_quoted || a.domain_is_literal)
		return err_set(ERR_UNSUPPORTED, "the sender's address can't be rewritten");
	bool again = srs_is_address(a.local);
	struct buf proven = { 0 };
	enum err err = again ? prove_again(&a, &proven) : prove_first(day, &a, &proven);
	if (err == ERR_OK)
		err = write(key, again ? "SRS1=" : "SRS0=", buf_view(&proven), domain, out);
	buf_clear(&proven);
	return err;
}

static bool is_recent(int64_t day, uint32_t written)
{
	int64_t age = (day % SRS_DAYS - (int64_t)written + SRS_DAYS) % SRS_DAYS;
	return age <= SRS_VALID_DAYS;
}

/* An address that is not one after all must not come out of here, whatever was proven. */
static enum err append_address(struct view local, struct view domain, struct buf *out)
{
	struct address a;
	size_t before = out->len;
	enum err err = buf_append_format(out, "%.*s@%.*s", VIEW_ARG(local), VIEW_ARG(domain));
	if (err == ERR_OK && address_parse(view_from(buf_view(out), before), 0, &a) != ERR_OK)
		err = ERR_SYNTAX;
	if (err != ERR_OK)
		out->len = before;
	return err;
}

static enum err reverse_first(int64_t day, struct view proven, struct buf *out)
{
	struct view rest = proven, written, domain;
	uint32_t number;
	if (!take(&rest, &written) || !take(&rest, &domain) || rest.len == 0 || written.len != DAY_CHARS ||
		proof_parse_number(written, &number) != ERR_OK)
		return ERR_SYNTAX;
	if (!is_recent(day, number))
		return err_set(ERR_REFUSED, "the address has expired");
	return append_address(rest, domain, out);
}

static enum err reverse_again(struct view proven, struct buf *out)
{
	struct view rest = proven, domain;
	if (!take(&rest, &domain) || rest.len < 2)
		return ERR_SYNTAX;
	struct buf local = { 0 };
	enum err err = buf_append_format(&local, "SRS0%.*s", VIEW_ARG(rest));
	if (err == ERR_OK)
		err = append_address(buf_view(&local), domain, out);
	buf_clear(&local);
	return err;
}

enum err srs_reverse(struct view key, int64_t day, struct view local, struct buf *out)
{
	if (!srs_is_address(local) || local.len > ADDRESS_LOCAL_MAX_BYTES)
		return ERR_SYNTAX;
	struct view rest = view_from(local, 5), proof;
	if (!take(&rest, &proof))
		return ERR_SYNTAX;
	if (!proof_matches(key, PURPOSE, rest, proof))
		return err_set(ERR_REFUSED, "the address is not of our making");
	return has_prefix(local, "SRS0") ? reverse_first(day, rest, out) : reverse_again(rest, out);
}
